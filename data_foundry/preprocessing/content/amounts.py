"""What a number shaped like a person's may be instead: an amount of money, a reference, two counts side by side.

The words were chosen for this project; no native speaker has checked them. Where the words around it speak of
calling, a number is taken for a telephone number rather than for a count.
"""

from __future__ import annotations

import re

# A unit stands with the number on its one side: "500 രൂപ 9000012045" pays 500, and "9000012045 രൂപ 500" too.
_PAID = re.compile(r"(?<!\d)(?<!\d[ -])(?:₹|[Rr][Ss]\.?|INR|\$|രൂപ)[ :]?$")
_MONEY = re.compile(r" ?(?:(?:രൂപ|ഡോളർ|[Rr]upees)(?![ :]{0,2}\d)|/-)")
_ROUND = re.compile(r"[1-9]\d{0,8}0{4,}")
_AROUND = 80
"""So many characters on both sides are looked at for words of calling."""
_CALLING = re.compile(r"വിളി|നമ്പ|ഫോൺ|മൊബൈ|വാട്സ|ബന്ധപ്പെ|[Cc]all|[Pp]hone|[Mm]obile|[Ww]hats|\b[Nn]umber|\b[Nn]o\b")
# What is counted or drawn in two groups of digits, directly beside them.
_COUNTED_BEFORE = re.compile(r"(?:വോട്ട്|വോട്ടുകൾ|ലൈക്കുകൾ|ലൈക്ക്|നറുക്ക്|ലോട്ടറി)[ :,-]{0,3}$")
_COUNTED_AFTER = re.compile(r" ?(?:വോട്ട|ലൈക്ക|ടിക്കറ്റ|സീറ്റ)")
_TWO_GROUPS = re.compile(r"(\d{4,6})([ -])(\d{4,6})")
_REFERENCE = re.compile(
    r"(?:PNR|പി ?എൻ ?ആർ|ISBN|[Oo]rder|ഓർഡർ|[Cc]onsumer|കൺസ്യൂമർ|[Ii]nvoice|ഇൻവോയ്സ്|[Rr]eference|റഫറൻസ്|[Tt]racking|ട്രാക്കിങ്)"
    r"(?: ?(?:[Nn]umber|[Nn]o|[Ii][Dd]|നമ്പർ|ഐ ?ഡി))?[ .:#-]{0,3}$"
)


def is_amount(text: str, start: int, end: int) -> bool:
    """Return whether an unbroken number is an amount of money, by the unit beside it.

    Not where the unit only follows and the words around speak of calling: then ten unbroken digits are no question.
    """
    return is_round_amount(text, start, end) or (_is_paid_after(text, start, end) and not _calls(text, start, end))


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
    """Return whether two groups of digits are two counts: round both, powers of two, or beside what is counted."""
    groups = _TWO_GROUPS.fullmatch(text, start, end)
    if groups is None:
        return False
    first, mark, second = groups.groups()
    zeros = "00" if mark == "-" else "000"  # a hyphen makes a range of amounts, such as salaries
    if first.endswith(zeros) and second.endswith(zeros):
        return True
    if all(int(one).bit_count() == 1 for one in (first, second)):
        return True
    beside = _COUNTED_BEFORE.search(text, max(0, start - 16), start) or _COUNTED_AFTER.match(text, end)
    return beside is not None and not _calls(text, start, end)


def _calls(text: str, start: int, end: int) -> bool:
    """Return whether the words around a number speak of calling."""
    return _CALLING.search(text, max(0, start - _AROUND), end + _AROUND) is not None


def _is_paid_after(text: str, start: int, end: int) -> bool:
    return text[start:end].isdecimal() and _MONEY.match(text, end) is not None
