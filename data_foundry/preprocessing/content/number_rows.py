"""Numbers of people in rows of digit groups: mobiles however they are grouped, Aadhaar and card numbers by check digit.

A row is everything that blanks, hyphens, dots and the like join: a telephone number in five groups, or a card with its
expiry. What stands beside a number in its row neither hides it nor makes one: a number with a check digit must account
for its row of fours, and a mobile's grouping must tell it from its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from data_foundry.preprocessing.content.amounts import (
    are_counts,
    calls,
    is_amount,
    is_counting,
    is_reference,
    is_round_amount,
)
from data_foundry.preprocessing.content.check_digits import luhn, verhoeff
from data_foundry.preprocessing.content.rule import Found

# A dot with a blank after it ends a sentence, and the row.
_ROW = re.compile(r"(?:\(?\+|\()?\d+(?:(?!\. )[ ()._/·•–-]{1,3}\d+)*")
_GROUP = re.compile(r"\d+")
_BY_DIGIT = re.compile(r"(?<!\d)(?<!\d,)(?<!\d, )(?:(?:\+|00)?91[ -]?|0)?[6-9](?:, ?\d){9}(?!\d|, ?\d)")
_BRANCH = re.compile(r"[A-Z]{4}0\d{6}$")
"""The code of a bank's branch, whose digits are no part of a number beside it."""
_INSIDE = re.compile(r" ?[-–·•] ?|\)?[ ._/]|\)|[ .-]?\(|\)[.-]")
"""What may stand between two groups of one number."""
_PLAIN = frozenset(" -_·•")
"""Marks that seldom part the numbers of a list or the ends of a range, as strokes, dots and spaced hyphens do."""
_NATIONAL = re.compile(r"(?:(?:00)?91)?0?([6-9]\d{9})")
# How mobiles are written most: told from neighbours whose groups have other lengths.
_COMMON = {(5, 5), (4, 3, 3), (3, 3, 4), (4, 6), (1,) * 10}
# A comma or colon makes digits a part of an amount or a time.
_JOINED_BEFORE, _JOINED_AFTER = re.compile(r"\d[.,:]$"), re.compile(r"[.,:]\d")
_LETTER = re.compile(r"[^\W\d_]")
_YEAR = re.compile(r"(?:19|20)\d\d")
_NAMED = re.compile(r"ആധാ|[Aa]adha|AADHA|\bUID|കാർഡ|[Cc]ard|CARD")
_LONGEST = 14
"""Digits of a mobile behind 0091 and a 0."""


@dataclass(frozen=True, slots=True)
class _Group:
    start: int
    end: int
    digits: str


class _Part:
    """Groups side by side in a text: a row, or what is left of one."""

    def __init__(self, text: str, groups: list[_Group], wordless: bool) -> None:
        self.text, self.groups, self.wordless = text, groups, wordless

    def mark(self, place: int) -> str:
        """Return what stands between a group and the one before it."""
        return self.text[self.groups[place - 1].end : self.groups[place].start]

    @cached_property
    def goes_on(self) -> list[bool]:
        """Whether each group and the one before it may be of one number."""
        return [place > 0 and _INSIDE.fullmatch(self.mark(place)) is not None for place in range(len(self.groups))]

    @cached_property
    def named(self) -> bool:
        """Whether a word beside the groups names an Aadhaar number or a card."""
        return _NAMED.search(self.text, max(0, self.groups[0].start - 40), self.groups[-1].end + 40) is not None

    def digits(self, first: int, last: int) -> str:
        return "".join(group.digits for group in self.groups[first : last + 1])


def find_row_numbers(text: str) -> list[Found]:
    """Return the card, Aadhaar and mobile numbers of a text, none overlapping another, in no order."""
    found: list[Found] = []
    wordless = _LETTER.search(text) is None
    for match in _ROW.finditer(text):
        if len(match[0]) < 10 or sum(map(str.isdecimal, match[0])) < 10:
            continue
        groups = [_Group(*group.span(), group[0]) for group in _GROUP.finditer(text, *match.span())]
        if _BRANCH.search(text, max(0, match.start() - 4), groups[0].end):
            del groups[0]
        rest: list[_Group] = []
        checked = dict(_checked_numbers(_Part(text, groups, wordless)))
        place = 0
        while place < len(groups):
            if place not in checked:
                rest.append(groups[place])
                place += 1
                continue
            last, one = checked[place]
            found += [one, *_mobiles(_Part(text, rest, wordless))]
            rest, place = [], last + 1
        found += _mobiles(_Part(text, rest, wordless))
    for match in _BY_DIGIT.finditer(text):
        values = [int(digit) for digit in match[0] if digit.isdecimal()]
        if not is_counting(values) and not are_counts(text, *match.span()):
            found.append(Found("mobile_number", *match.span(), "10 digits, first 6 to 9"))
    return found


def _checked_numbers(part: _Part) -> Iterator[tuple[int, tuple[int, Found]]]:
    """Yield the first group of each number with a check digit, its last group, and what was found."""
    lengths = [len(group.digits) for group in part.groups]
    for first, length in enumerate(lengths):
        if length in (12, 15, 16) and (one := _checked(part, first, first)):
            yield first, (first, one)
        if lengths[first : first + 3] == [4, 6, 5] and (one := _checked(part, first, first + 2)):
            yield first, (first + 2, one)
    first = 0
    while first < len(lengths):
        if lengths[first] != 4:
            first += 1
            continue
        end = next((place for place in range(first, len(lengths)) if lengths[place] != 4), len(lengths))
        if end - first >= 3:
            yield from _among_fours(part, first, end)
        first = end


def _among_fours(part: _Part, first: int, end: int) -> Iterator[tuple[int, tuple[int, Found]]]:
    """Yield the numbers that a row of groups of four is made of.

    Besides them only years may stand there, unless a word names such a number: of a list of four-digit counts every
    tenth window passes a check digit.
    """
    # From the right: how many groups are neither in a number nor a year, how many in none, how many are a number.
    best: list[tuple[int, int, int]] = [(0, 0, 0)]
    found: dict[int, tuple[int, Found]] = {}
    for place in range(end - 1, first - 1, -1):
        odd, loose, _ = best[-1]
        choice = (odd + (not _YEAR.fullmatch(part.groups[place].digits)), loose + 1, 0)
        for count in (3, 4):
            if place + count <= end and (one := _checked(part, place, place + count - 1)):
                odd, loose, _ = best[-count]
                if (odd, loose) <= choice[:2]:
                    choice = (odd, loose, count)
                    found[place] = (place + count - 1, one)
        best.append(choice)
    if best[-1][0] and not part.named:
        return
    place = first
    while place < end:
        if best[end - place][2]:
            yield place, found[place]
        place += best[end - place][2] or 1


def _checked(part: _Part, first: int, last: int) -> Found | None:
    """Return the number with a check digit that groups hold; money after it is only believed of a round number."""
    start, end, text, digits = part.groups[first].start, part.groups[last].end, part.text, part.digits(first, last)
    marks = [part.mark(place) for place in range(first + 1, last + 1)]
    if not all(_INSIDE.fullmatch(mark) for mark in marks):
        return None
    if marks and not part.named and (not _PLAIN.issuperset(marks) or are_counts(text, start, end)):
        return None
    if first == last and (_is_decimal(text, start, end) or text[start - 1 : start] == "+"):
        return None
    if is_round_amount(text, start, end) or is_reference(text, start, end):
        return None
    if len(digits) == 12:
        years = sum(_YEAR.fullmatch(group.digits) is not None for group in part.groups[first : last + 1])
        likelier_mobile = first == last and re.match("91[6-9]", digits)
        if digits[0] < "2" or likelier_mobile or (years > 1 and not part.named) or not verhoeff(digits):
            return None
        return Found("aadhaar", start, end, "12 digits, checksum valid")
    kinds = "3[47]" if len(digits) == 15 else "[3-68]"
    if not re.match(kinds, digits) or not luhn(digits):
        return None
    return Found("card", start, end, f"{len(digits)} digits, checksum valid")


def _is_decimal(text: str, start: int, end: int) -> bool:
    """Return whether digits are a part of a number with a decimal point."""
    return re.compile(r"\.\d").match(text, end) is not None or (
        text[start - 1 : start] == "." and text[start - 2 : start - 1].isdecimal()
    )


def _mobiles(part: _Part) -> list[Found]:
    """Return the mobile numbers in groups side by side."""
    groups = part.groups
    starts: dict[int, int] = {}  # first group of a number -> its last one
    for first in range(len(groups) - 1, -1, -1):
        for last in _windows(part, first):
            after = last + 1 + _shares_digits(part, last)
            alone = after == len(groups) or after in starts
            if _is_mobile(part, first, last, 0 if alone else _beside(part, first, last, after)):
                starts[first] = last
                break
    found = []
    place, done = 0, 0
    while place < len(groups):
        if place not in starts:
            place += 1
            continue
        before = _beside(part, place, starts[place], place - 1) if place > done else 0
        if not _is_mobile(part, place, starts[place], before):
            place += 1
            continue
        end = starts[place] + _shares_digits(part, starts[place])
        found.append(Found("mobile_number", groups[place].start, groups[end].end, "10 digits, first 6 to 9"))
        place = done = end + 1
    return [Found(one.rule, _with_opening(part.text, one.start), one.end, one.evidence) for one in found]


def _windows(part: _Part, first: int) -> Iterator[int]:
    """Yield the last group of each window that begins with a group and has the digits of a mobile, longest first."""
    digits, found = "", []
    for last in range(first, len(part.groups)):
        if last > first and not part.goes_on[last]:
            break
        digits += part.groups[last].digits
        if len(digits) > _LONGEST:
            break
        if len(digits) >= 10 and _NATIONAL.fullmatch(digits):
            found.append(last)
    yield from reversed(found)


def _beside(part: _Part, first: int, last: int, near: int) -> int:
    """Return how many digits the group next to some has; none where a wider mark sets it apart: 98-470-123-45 500."""
    mark = part.mark(max(near, first))
    inside = [part.mark(place) for place in range(first + 1, last + 1)]
    return len(part.groups[near].digits) if mark in inside or " " not in mark else 0


def _is_mobile(part: _Part, first: int, last: int, beside: int) -> bool:
    """Return whether groups with the digits of a mobile are one; `beside` has so many digits the group next to them.

    A grouping that says little (pairs, two fives with a stroke) is believed where something else speaks of a number of
    a person: a country code, a zero in front of a group, words of calling, or no word at all.
    """
    text, start, end = part.text, part.groups[first].start, part.groups[last].end
    digits = part.digits(first, last)
    lengths = _lengths(part, first, last)
    if digits.endswith("000000") or is_reference(text, start, end) or is_amount(text, start, end):
        return False
    if first == last:
        return not _is_decimal(text, start, end)
    if set(lengths) == {1} and is_counting([int(digit) for digit in digits]):
        return False
    if are_counts(text, start, end) or _is_not_grouped(text, start, end):
        return False
    prefixed = _is_prefixed(part, first, last)
    if beside and lengths not in _COMMON and not prefixed:
        return False
    proved = (
        prefixed
        or any(group.digits[0] == "0" for group in part.groups[first + 1 : last + 1])
        or calls(text, start, end)
        or (part.wordless and not ("/" in text[start:end] and len(set(lengths)) == 1))
    )
    if beside and not proved and (lengths != (5, 5) or beside == 5 or not _stands_out(part, first, last)):
        return False
    if set(lengths) == {1}:
        return True
    marks = {part.mark(place) for place in range(first + 1, last + 1)}
    weak = (
        len(digits) > 10  # the code of the country is not set apart
        or (lengths == (2,) * 5 and not marks.isdisjoint(" -./"))
        or not (_PLAIN.issuperset(marks) or (lengths in _COMMON and len(lengths) == 3) or _is_no_range(text[start:end]))
        or (1 in lengths and (max(lengths) < 5 or len(lengths) > 3))
        or (lengths == (5, 5) and marks != {" "} and _goes_on(part, first, last))
    )
    return proved or not weak


def _is_no_range(said: str) -> bool:
    """Return whether two groups of five beside a spaced hyphen fall, as the ends of a range do not."""
    ends = re.fullmatch(r"(\d{5}) [-–] (\d{5})", said)
    return ends is not None and ends[1] > ends[2]


def _goes_on(part: _Part, first: int, last: int) -> bool:
    """Return whether the mark inside two groups joins them to a third: numbers of persons are set apart otherwise."""
    beside = [place for place in (first, last + 1) if 0 < place < len(part.groups)]
    return part.mark(last) in (part.mark(place) for place in beside)


def _stands_out(part: _Part, first: int, last: int) -> bool:
    """Return whether two groups of five are no part of a list: their mark joins at most two of other lengths."""
    groups, mark, others = part.groups, part.mark(last), 0
    for step, end in ((-1, first), (1, last)):
        place = end + step
        while 0 <= place < len(groups) and part.mark(max(place, place - step)) == mark and others < 3:
            others += len(groups[place].digits) != 5
            place += step
    return others < 3


def _is_prefixed(part: _Part, first: int, last: int) -> bool:
    """Return whether a zero or the code of the country, behind a plus or by itself, stands before ten digits."""
    group = part.groups[first]
    if len(part.digits(first, last)) == 10:
        return False
    apart = group.digits == "91" or len(group.digits) > 10
    return apart or group.digits[0] == "0" or part.text[group.start - 1 : group.start] == "+"


def _lengths(part: _Part, first: int, last: int) -> tuple[int, ...]:
    """Return how the ten digits of a mobile are grouped, without its country code and its zero."""
    groups = [len(group.digits) for group in part.groups[first : last + 1]]
    prefix = sum(groups) - 10
    lengths = []
    for length in groups:
        taken = min(prefix, length)
        prefix -= taken
        lengths += [length - taken] * (length > taken)
    return tuple(lengths)


def _is_not_grouped(text: str, start: int, end: int) -> bool:
    """Return whether digits with marks between them are an IP address, decimals, or parts of amounts."""
    said = text[start:end]
    if re.fullmatch(r"\d{1,3}\.\d{4,}", said) and text[start - 1 : start] != "+":
        return True
    if re.fullmatch(r"\d+(?:\.\d+){3}", said) and max(map(int, said.split("."))) < 256:
        return True
    if "." in said and re.fullmatch(r"\d{1,3}(?:\.\d{1,3})?(?:[ -]\d{1,3}(?:\.\d{1,3})?)+", said):
        return True
    return bool(_JOINED_BEFORE.search(text, max(0, start - 2), start) or _JOINED_AFTER.match(text, end))


def _shares_digits(part: _Part, last: int) -> int:
    """Return 1 where the last digits of a second number follow, which shares the first ones: 9000012045/46."""
    after = last + 1
    if after >= len(part.groups) or part.mark(after) != "/" or len(part.groups[after].digits) > 4:
        return 0
    return int(after + 1 == len(part.groups) or not part.mark(after + 1).startswith("/"))


def _with_opening(text: str, start: int) -> int:
    """Return where a number begins with the plus and the bracket before it."""
    for mark in "+(":
        if text[start - 1 : start] == mark:
            start -= 1
    return start
