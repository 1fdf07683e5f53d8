"""Datasets that come with the package, in a folder laid out like a Hub: datasets/<owner>/<name>/...

`python -m data_foundry.bundled` writes their files anew from the texts in this package. The pipeline reads the files
alone, as it reads those of any dataset.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
