"""What a number shaped like a person's may be instead: an amount of money, a reference, counts side by side.

The words were chosen for this project; no native speaker has checked them. Where the words around it speak of
calling, a number is taken for a telephone number rather than for a count.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from data_foundry.preprocessing.content.inflection import inflected

# A unit stands with the number on its one side: "500 രൂപ 9000012045" pays 500, and "9000012045 രൂപ 500" too.
_PAID = re.compile(r"(?<!\d)(?<!\d[ -])(?:₹|[Rr][Ss]\.?|INR|\$|രൂപ)[ :]?$")
_MONEY = re.compile(r" ?(?:(?:രൂപ|ഡോളർ|[Rr]upees)(?![ :]{0,2}\d)|/-)")
_ROUND = re.compile(r"[1-9]\d{0,8}0{4,}")
_AROUND = 80
"""So many characters on both sides are looked at for words of calling."""
_CALLING = re.compile(
    r"വിളി|നമ്പ|ഫോൺ|ഫോണ|മൊബൈ|വാട്സ|വാട്ട്സ|ബന്ധപ്പെ|[Cc]all|[Pp]hone|[Mm]ob|[Ww]hats|\b[Nn]umber|\b[Nn]o\b|\b[Pp]h\b|\b[Tt]el\b"
)
_BEGINS_CALLING = re.compile("[വനഫമബCcPpMmWwNnTt]")
# What is counted, measured or drawn, as the word beside the digits; before them it may carry an ending.
_COUNTED = (
    "വോട്ട് വോട്ടുകൾ ലൈക്ക് ലൈക്കുകൾ നറുക്ക് ലോട്ടറി മാർക്ക് മാർക്കുകൾ സ്കോർ സ്കോറുകൾ റൺസ് പോയിന്റ് അളവ് അളവുകൾ താപനില ചൂട് വില ശമ്പളം "
    "നിരക്ക് തുക ആകെ മൊത്തം ജനസംഖ്യ എണ്ണം ഭാരം തൂക്കം ഉയരം ദൂരം പ്രായം പിൻ പിൻകോഡ് വരുമാനം ചെലവ് കാഴ്ചക്കാർ കാണികൾ സംഖ്യ സംഖ്യകൾ അനുപാതം റീഡിങ്"
)
_WORD_BEFORE = re.compile("(?<![\u0d00-\u0d7f\u200c])([\u0d00-\u0d7f\u200c]+)[ :,-]{0,3}$")
_COUNTED_AFTER = re.compile(
    " ?(?:വോട്ട|ലൈക്ക|ടിക്കറ്റ|സീറ്റ|പേർ|ആളുക|ആൾക്കാ|എണ്ണ|കിലോ|ഗ്രാം|രൂപ|മീറ്റർ|ലിറ്റർ|ടൺ|ശതമാന|ഡിഗ്രി|സെക്കൻഡ|റൺ|മാർക്ക|പോയിന്റ|യൂണിറ്റ|"
    "കാണിക|യാത്രക്കാ|എന്നിങ്ങനെ|വരെ|മുതൽ|വീതം|kg|km|ml|cm|mm|%)"
)
# A train has a number of five digits, and a pair of trains two.
_TRAIN_BEFORE = re.compile(
    "(?:ട്രെയിൻ|ട്രെയിന|തീവണ്ടി|വണ്ടി|[Tt]rain)[\u0d00-\u0d7fs]*(?: ?(?:നമ്പർ|നമ്പറുകൾ|[Nn]os?))?[ .:]{0,3}$"
)
_TRAIN_AFTER = re.compile(" ?(?:ട്രെയിൻ|ട്രെയിന|തീവണ്ടി|വണ്ടി|എക്സ്പ്രസ|പാസഞ്ചർ|മെമു|[Tt]rain|[Ee]xpress)")
_DIGITS = re.compile(r"\d+")
_REFERENCE = re.compile(
    r"(?:PNR|പി ?എൻ ?ആർ|ISBN|[Oo]rder|ഓർഡർ|[Cc]onsumer|കൺസ്യൂമർ|[Ii]nvoice|ഇൻവോയ്സ്|[Rr]eference|റഫറൻസ്|[Tt]racking|ട്രാക്കിങ്)"
    r"(?: ?(?:[Nn]umber|[Nn]o|[Ii][Dd]|നമ്പർ|ഐ ?ഡി))?[ .:#-]{0,3}$"
)


def is_amount(text: str, start: int, end: int) -> bool:
    """Return whether an unbroken number is an amount of money, by the unit beside it.

    Not where the unit only follows and the words around speak of calling: then ten unbroken digits are no question.
    """
    return is_round_amount(text, start, end) or (_is_paid_after(text, start, end) and not calls(text, start, end))


def is_round_amount(text: str, start: int, end: int) -> bool:
    """Return whether an unbroken number has a unit of money before it, or is round and has one after it."""
    if not text[start:end].isdecimal():
        return False
    if _PAID.search(text, max(0, start - 8), start):
        return True
    return _ROUND.fullmatch(text, start, end) is not None and _is_paid_after(text, start, end)


def is_reference(text: str, start: int, end: int) -> bool:
    """Return whether an unbroken number stands behind a word such as PNR or order number."""
    return text[start:end].isdecimal() and _REFERENCE.search(text, max(0, start - 24), start) is not None


def are_counts(text: str, start: int, end: int) -> bool:
    """Return whether groups of digits are counts: round ones, powers of two, or beside what is counted."""
    groups = _DIGITS.findall(text, start, end)
    # A hyphen makes a range of amounts, such as salaries, which are round sooner.
    zeros = "00" if "-" in text[start:end] else "000"
    large = [group for group in groups if len(group) > 3]
    if len(large) > 1 and all(group.endswith(zeros) for group in large):
        return True
    if len(groups) == 2 and all(int(one).bit_count() == 1 for one in groups):
        return True
    if {len(group) for group in groups} == {5} and (
        _TRAIN_BEFORE.search(text, max(0, start - 40), start) or _TRAIN_AFTER.match(text, end)
    ):
        return True
    word = _WORD_BEFORE.search(text, max(0, start - 32), start)
    counted = (word is not None and word[1] in _counted()) or _COUNTED_AFTER.match(text, end) is not None
    return counted and not calls(text, start, end)


@cache
def _counted() -> frozenset[str]:
    return frozenset(form for noun in _COUNTED.split() for form in inflected(noun))


def calls(text: str, start: int, end: int) -> bool:
    """Return whether the words around a number speak of calling."""
    # Not searched for as it stands: at every character it tries each word, and a row of digits has a thousand numbers.
    begin, stop = max(0, start - _AROUND), end + _AROUND
    return any(_CALLING.match(text, one.start(), stop) for one in _BEGINS_CALLING.finditer(text, begin, stop))


def _is_paid_after(text: str, start: int, end: int) -> bool:
    return text[start:end].isdecimal() and _MONEY.match(text, end) is not None


def is_counting(values: list[int]) -> bool:
    """Return whether numbers are counted aloud (1 2 3 ..., backwards, again and again) or all the same.

    A short count that is repeated begins below 6, as no mobile number does.
    """
    steps = [after - before for before, after in pairwise(values)]
    commonest = max(set(steps), key=steps.count, default=0)
    if commonest == 0:
        return all(step == 0 for step in steps)
    if steps.count(commonest) >= 0.7 * len(steps):
        return True
    length = next((place for place, step in enumerate(steps, 1) if step != steps[0]), len(values))
    drilled = all(value == values[place % length] for place, value in enumerate(values))
    return drilled and values[0] < 6 and abs(steps[0]) == 1
