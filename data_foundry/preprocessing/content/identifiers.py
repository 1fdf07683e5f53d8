"""Personal identifiers by shape and check digit: phones, Aadhaar, cards, accounts, PAN, vehicles, e-mail and UPI.

Numbers of people are found by shape, so a shape that means something else stands in `passes`. Not covered, because a
pattern cannot tell them from other words and numbers: names of persons, addresses, passports and voter cards.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_foundry.preprocessing.content.amounts import is_amount, is_reference
from data_foundry.preprocessing.content.number_rows import find_row_numbers
from data_foundry.preprocessing.content.rule import Found

# Numbers of the public: they may stand. National Numbering Plan 2003 of India's Department of Telecommunications,
# annex IV (level 1: special services; 1800 toll-free, 1860 universal access), and the services' own announcements.
HELPLINES = {
    "100": "police", "101": "fire", "102": "ambulance", "104": "health", "108": "ambulance", "112": "emergency",
    "139": "railways", "181": "women", "1056": "health (Kerala)", "1091": "women", "1097": "AIDS", "1098": "children",
    "1912": "electricity", "1930": "cyber crime", "14567": "the elderly", "155260": "cyber crime",
}  # fmt: skip
_PUBLIC_PREFIXES = ("1800", "1860")

# What stands at the end of a virtual payment address: handles that payment apps and banks announce.
UPI_HANDLES = (
    "okaxis oksbi okicici okhdfcbank ybl ibl axl paytm ptaxis ptyes ptsbi pthdfc upi apl yapl rapl waaxis wahdfcbank "
    "waicici wasbi sbi axisbank hdfcbank icici kotak federal barodampay cnrb pnb sib freecharge ikwik jupiteraxis "
    "yescred axisb idfcbank indus kbl unionbank boi cboi"
)
# First two letters of a registration mark, as the Central Motor Vehicles Rules 1989 (rule 50) give them to states; in
# small letters only those that are no English word or measure ("as 10 am 1230", "500 ml").
_STATES = (
    "AN AP AR AS BR CG CH DD DL DN GA GJ HP HR JH JK KA KL LA LD MH ML MN MP MZ NL OD OR PB PY RJ SK TG TN TR TS UK UP "
    "WB"
)
_SMALL_STATES = "ap dl gj hr ka kl mh py rj tg tn ts wb"

_ANY_DIGIT = re.compile(r"\d")
# A character outside ASCII and everyday Malayalam may be a digit of another script; a joiner may part two digits.
_DISGUISE = re.compile(
    "[\u0660-\u0cff\u0d66-\u0d6f\u0de6-\u200b\u200e-\U0010ffff]|[ -~][\u200c\u200d]|[\u200c\u200d][ -~]"
)
_LONG_NUMBER = re.compile(r"\d(?:[ ()._/,·•–-]{0,3}\d){8}")
_CODE = re.compile(r"[A-Za-z]{2}[ -]?\d")

# Other numbers may stand beside a number; a decimal part makes it an amount.
_BEFORE, _AFTER = r"(?<!\d)(?<!\d\.)", r"(?!\d|\.\d)"
_LANDLINE = re.compile(
    rf"{_BEFORE}0[1-8]\d{{9}}{_AFTER}"
    # Four capitals and a zero begin the code of a bank's branch.
    rf"|{_BEFORE}(?<![A-Z]{{4}})(?:\(0[1-8]\d{{1,3}}\)|0[1-8]\d{{1,3}}|\+91[ .-]?[1-8]\d{{1,3}})"
    rf"(?: ?[-–] ?|[/ .])?[2-9]\d{{1,3}}[ .-]?\d{{3,5}}{_AFTER}"
)
# Abroad: a plus and another country's code, or 00 and a code of the Gulf, where many callers have family.
_ABROAD = re.compile(
    rf"(?<![\d+])\+(?!91)[1-9](?:[ .()-]{{0,2}}\d){{8,14}}{_AFTER}"
    rf"|{_BEFORE}00(?:971|966|965|968|973|974)(?:[ .-]?\d){{7,9}}{_AFTER}"
)
_ACCOUNT = re.compile(
    r"(?:അക്കൗണ്ട|അക്കൌണ്ട|\b[aA](?:[cC]{2}(?:OUNT|ount|t|T)?\b|/[cC]\b))[^\d]{0,24}?"
    r"(\d{9,18}(?!\d|[.,]\d)|\d(?:[ -]?\d){8,17}(?!\d|[ .,/:_-]\d))"
)
_PAN = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]|[a-z]{3}[abcfghljpt][a-z]\d{4}[a-z])(?![A-Za-z0-9])"
)
_IFSC = re.compile(r"(?<![A-Za-z0-9])[A-Z]{4}0(?=[A-Z0-9]*\d)[A-Z0-9]{6}(?![A-Za-z0-9])")
_VEHICLE = re.compile(
    rf"(?<![A-Za-z0-9])(?:(?:{_STATES.replace(' ', '|')})[ -]?\d{{1,2}}[ -]?[A-Z]{{1,3}}"
    rf"|(?:{_SMALL_STATES.replace(' ', '|')})[ -]?\d{{1,2}}[ -]?[a-z]{{1,3}})[ -]?\d{{4}}(?![A-Za-z0-9])"
)
_EMAIL = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_UPI = re.compile(r"(?<![A-Za-z0-9._@-])[A-Za-z0-9._-]{2,64}@([A-Za-z][A-Za-z0-9]{1,31})(?![A-Za-z0-9@]|\.[A-Za-z])")
_UPI_CONTEXT = re.compile(r"UPI|upi|യു ?പി ?ഐ|ഗൂഗിൾ പേ|ഫോൺ ?പേ|പേ ?ടി ?എം|GPay|gpay|PhonePe")


@dataclass(frozen=True, slots=True)
class _Identifier:
    """A shape and what else must hold; `judge` gets the text, the match and the digits, and returns evidence."""

    rule: str
    pattern: re.Pattern[str]
    judge: Callable[[str, re.Match[str], str], str | None]


def may_identify(text: str) -> bool:
    """Return whether a text holds a digit or an @, without which no identifier is found."""
    return "@" in text or _ANY_DIGIT.search(text) is not None


def find_identifiers(text: str, public_numbers: frozenset[str] = frozenset()) -> list[Found]:
    """Return the personal identifiers in a text, in order, none inside another.

    Digits of every script count, and joiners, which show nothing beside ASCII, hide nothing. `public_numbers` are
    digits of numbers that may stand, as dialled in the country.
    """
    if not may_identify(text):
        return []
    if not _DISGUISE.search(text):
        return _find(text, public_numbers)
    plain: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        if char in "\u200c\u200d" or (char == " " and plain[-1:] == [" "]):
            continue
        plain.append(str(unicodedata.decimal(char)) if char.isdecimal() else char)
        places.append(place)
    return [
        Found(one.rule, places[one.start], places[one.end - 1] + 1, one.evidence)
        for one in _find("".join(plain), public_numbers)
    ]


def _find(text: str, public_numbers: frozenset[str]) -> list[Found]:
    found: list[Found] = []  # in order of their start, none overlapping another
    for one in _candidates(text):
        place = bisect_left(found, one.start, key=lambda other: other.start)
        if (place and found[place - 1].end > one.start) or (place < len(found) and found[place].start < one.end):
            continue
        digits = re.sub(r"\D", "", text[one.start : one.end])
        if not (one.rule in _DIALLED and is_public(digits, public_numbers)):
            found.insert(place, one)
    return found


def is_public(number: str, public_numbers: frozenset[str] = frozenset()) -> bool:
    """Return whether the digits are a helpline's, toll-free, or among the numbers that may stand."""
    national = re.sub("^(?:00)?91(?=.{9})", "", number)
    if number in HELPLINES or (national.startswith(_PUBLIC_PREFIXES) and 10 <= len(national) <= 12):
        return True
    return bool(public_numbers) and any(
        number.removeprefix(prefix) in public_numbers for prefix in ("", "0", "91", "0091")
    )


def _candidates(text: str) -> Iterator[Found]:
    """Yield what has a shape that the text can hold, by cheap looks at it; the likelier reading comes first."""
    if "@" in text:
        yield from _matches(text, _ADDRESSES)
    if _LONG_NUMBER.search(text):
        numbers = find_row_numbers(text)
        yield from (one for one in numbers if one.rule != "mobile_number")
        yield from _matches(text, _ACCOUNTS)
        yield from (one for one in numbers if one.rule == "mobile_number")
        yield from _matches(text, _PHONES)
    if _CODE.search(text):
        yield from _matches(text, _CODES)


def _matches(text: str, identifiers: tuple[_Identifier, ...]) -> Iterator[Found]:
    for identifier in identifiers:
        for match in identifier.pattern.finditer(text):
            group = 1 if identifier.rule == "bank_account" else 0
            evidence = identifier.judge(text, match, re.sub(r"\D", "", match[group]))
            if evidence is not None:
                yield Found(identifier.rule, *match.span(group), evidence)


def _shape(name: str) -> Callable[[str, re.Match[str], str], str]:
    return lambda text, match, digits: name


def _landline(text: str, match: re.Match[str], digits: str) -> str | None:
    national = digits[2:] if match[0].startswith("+") else digits[1:]
    if len(national) != 10 or is_amount(text, *match.span()) or is_reference(text, *match.span()):
        return None
    return "area code and subscriber, 10 digits after the 0"


def _abroad(text: str, match: re.Match[str], digits: str) -> str | None:
    return None if is_amount(text, match.start() + 1, match.end()) else "number behind the code of another country"


def _account(text: str, match: re.Match[str], digits: str) -> str | None:
    return None if is_amount(text, *match.span(1)) else f"{len(digits)} digits after the word account"


def _upi(text: str, match: re.Match[str], digits: str) -> str | None:
    if match[1].lower() in UPI_HANDLES.split():
        return "payment address with a known handle"
    beside = (max(0, match.start() - 80), match.end() + 80)
    return "payment address beside the name of the service" if _UPI_CONTEXT.search(text, *beside) else None


# Only what can be dialled is held against the public numbers: other digits may equal a helpline's by chance.
_DIALLED = ("mobile_number", "landline", "bank_account")
_ADDRESSES = (
    _Identifier("email", _EMAIL, _shape("address with a domain")),
    _Identifier("upi_id", _UPI, _upi),
)
_ACCOUNTS = (_Identifier("bank_account", _ACCOUNT, _account),)
_PHONES = (
    _Identifier("landline", _LANDLINE, _landline),
    _Identifier("mobile_number", _ABROAD, _abroad),
)
_CODES = (
    _Identifier("pan", _PAN, _shape("5 letters, 4 digits, 1 letter")),
    _Identifier("ifsc", _IFSC, _shape("4 letters, a zero, 6 characters")),
    _Identifier("vehicle", _VEHICLE, _shape("a state's registration mark")),
)
