"""Write the files of the bundled datasets anew, from the texts in this package: python -m data_foundry.bundled"""

from data_foundry.bundled import FOLDER
from data_foundry.bundled.intent_set import write

if __name__ == "__main__":
    write(FOLDER)
