"""Numbers said digit by digit, as callers say a telephone number: runs of number words in Malayalam and English.

The spellings were collected for this project; no native speaker has checked them.
"""

from __future__ import annotations

import re
from functools import cache

from data_foundry.preprocessing.content.amounts import is_counting
from data_foundry.preprocessing.content.identifiers import is_public
from data_foundry.preprocessing.content.rule import Found

MIN_DIGITS = 8
"""Shorter runs are PINs, bills and house numbers as often as parts of a telephone number."""
MIN_DIGITS_IN_PAIRS = 10
"""Where tens are said ("ninety-eight forty-seven ..."), a row of plain numbers is likelier, so more is asked."""

# Malayalam, written colloquial and formal; English in Malayalam letters; Malayalam in Latin letters; English.
_DIGITS = (
    "പൂജ്യം പൂജ്യ പൂജ്ജ്യം സീറോ സിറോ poojyam pujyam poojym zero",
    "ഒന്ന് ഒന്നു വൺ വണ്ണ് onnu onn one",
    "രണ്ട് രണ്ടു ടു ടൂ randu rand two",
    "മൂന്ന് മൂന്നു ത്രീ moonnu moonu munnu three",
    "നാല് നാലു ഫോർ naalu nalu four",
    "അഞ്ച് അഞ്ചു ഫൈവ് anchu anju five",
    "ആറ് ആറു സിക്സ് സിക്‌സ് aaru aru six",
    "ഏഴ് ഏഴു സെവൻ ezhu eezhu seven",
    "എട്ട് എട്ടു എയ്റ്റ് എയിറ്റ് എയ്ട്ട് ettu eight",
    "ഒൻപത് ഒമ്പത് ഒന്പത് ഒൻപതു ഒമ്പതു നയൻ നൈൻ onpathu ombathu onpath nine",
)
# A zero where digits stand on both sides of it; alone they are other words.
_ZERO_INSIDE = "ഓ oh o"
_REPEATS = {2: "ഇരട്ട ഡബിൾ double", 3: "ട്രിപ്പിൾ triple"}
_TEENS = (
    "പത്ത് പതിനൊന്ന് പന്ത്രണ്ട് പതിമൂന്ന് പതിനാല് പതിനഞ്ച് പതിനാറ് പതിനേഴ് പതിനെട്ട് പത്തൊമ്പത്",
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
)
_TENS = {
    20: "ഇരുപത് ഇരുപത്തി twenty", 30: "മുപ്പത് മുപ്പത്തി thirty", 40: "നാൽപ്പത് നാൽപ്പത്തി നാൽപത് നാൽപത്തി നാല്പത് നാല്പത്തി forty",
    50: "അമ്പത് അമ്പത്തി അൻപത് അൻപത്തി fifty", 60: "അറുപത് അറുപത്തി sixty", 70: "എഴുപത് എഴുപത്തി seventy",
    80: "എൺപത് എൺപത്തി eighty", 90: "തൊണ്ണൂറ് തൊണ്ണൂറ്റി ninety",
}  # fmt: skip
# What is said last may carry "is", "also" or "to": രണ്ടാണ്, രണ്ടും, രണ്ടിലേക്ക്.
_ENDINGS = ("ാണ്", "ും", "ിലേക്ക്", "ിൽ", "ിന്")
_VOWEL_SIGN = {"ഒ": "ൊ", "അ": "", "ആ": "ാ", "ഏ": "േ", "എ": "െ"}

WORD = re.compile("[\u0d00-\u0d7f\u200c]+|[A-Za-z]+")
"""A word in Malayalam letters or in Latin ones."""
_GAP = re.compile(r"[ ,.;-]{1,5}")


@cache
def digit_words() -> dict[str, str]:
    """Return what each word says: one digit, two digits, or "x2" and "x3" for a digit said twice or three times."""
    words: dict[str, str] = {"പൂജ്യമാണ്": "0", "പൂജ്യവും": "0", **dict.fromkeys(_ZERO_INSIDE.split(), "0")}
    for digit, spellings in enumerate(_DIGITS):
        for word in spellings.split():
            words[word] = str(digit)
            if word.endswith("്"):
                words |= {word[:-1] + ending: str(digit) for ending in _ENDINGS}
    words |= {word: str(number) for teens in _TEENS for number, word in enumerate(teens.split(), 10)}
    ones = [(one, word) for one, spellings in enumerate(_DIGITS) if one for word in spellings.split()]
    for ten, spellings in _TENS.items():
        for word in spellings.split():
            words[word] = str(ten)
            if word.endswith("ി"):
                words |= {joined: str(ten + one) for one, last in ones for joined in _joined(word, last)}
    words |= {word: f"x{times}" for times, spellings in _REPEATS.items() for word in spellings.split()}
    latin = [word for word in words if word.isascii()]
    return words | {word.capitalize(): words[word] for word in latin} | {word.upper(): words[word] for word in latin}


def _joined(ten: str, one: str) -> list[str]:
    """Return the spellings of a ten and a one as one word: set together, with a glide, and with one vowel dropped."""
    sign = _VOWEL_SIGN.get(one[0])
    glides = [] if sign is None else [f"{ten}യ{sign}{one[1:]}", f"{ten[:-1]}{sign}{one[1:]}"]
    return [ten + one, *glides]


def find_spelled_numbers(text: str, public_numbers: frozenset[str] = frozenset()) -> list[Found]:
    """Return runs of number words that say eight digits or more and are neither counted off nor a public number."""
    words = digit_words()
    found: list[Found] = []
    run: list[re.Match[str]] = []
    for match in WORD.finditer(text):
        if match[0] in words:
            if run and not _GAP.fullmatch(text, run[-1].end(), match.start()):
                found += _judged(run, public_numbers)
                run = []
            run.append(match)
        elif run:
            found += _judged(run, public_numbers)
            run = []
    return found + _judged(run, public_numbers)


def _judged(run: list[re.Match[str]], public_numbers: frozenset[str]) -> list[Found]:
    while run and run[-1][0].lower() in _ZERO_INSIDE.split():
        run = run[:-1]
    while run and run[0][0].lower() in _ZERO_INSIDE.split():
        run = run[1:]
    if len(run) < 5:
        return []
    values = _values([match[0] for match in run])
    digits = "".join(values)
    if len(digits) < (MIN_DIGITS_IN_PAIRS if any(len(value) == 2 for value in values) else MIN_DIGITS):
        return []
    if is_public(digits, public_numbers):
        return []
    numbers = [int(value) for value in values]
    if is_counting(numbers) or is_table(numbers):
        return []
    return [Found("spelled_number", run[0].start(), run[-1].end(), f"{len(digits)} digits in {len(run)} words")]


def _values(words: list[str]) -> list[str]:
    """Return the numbers that words say: tens with the one after them, and a repeated digit as often as it is said.

    Malayalam tens have a form of their own before a one (ഇരുപത്തി അഞ്ച് is 25, ഇരുപത് അഞ്ച് are 20 and 5).
    """
    values: list[str] = []
    times, tens = 1, False
    for word in words:
        value = digit_words()[word]
        if value.startswith("x"):
            times = int(value[1])
            continue
        if tens and len(value) == 1 and value != "0" and times == 1:
            values[-1] = values[-1][0] + value
            tens = False
        else:
            values += [value] * times
            tens = len(value) == 2 and value[0] > "1" and value[1] == "0" and (word.isascii() or word[-1] == "ി")
        times = 1
    return values


def is_table(values: list[int]) -> bool:
    """Return whether numbers are a multiplication or addition table said aloud: two twos four, two threes six."""
    triples = [values[place : place + 3] for place in range(0, len(values) - 2, 3)]
    return len(triples) > 2 and (
        all(one * other == result for one, other, result in triples)
        or all(one + other == result for one, other, result in triples)
    )
