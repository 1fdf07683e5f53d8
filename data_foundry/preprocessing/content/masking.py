"""Hiding personal data in texts behind placeholders. Recordings keep what they say: no source gives the times of words.

A placeholder is an English word in square brackets, such as [PHONE]: normalisation leaves it alone (angle brackets
would be taken for markup), no content rule finds anything in it, and scoring keeps it as one word.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from data_foundry.preprocessing.content.rule import Found

PLACEHOLDERS = {
    "mobile_number": "[PHONE]",
    "landline": "[PHONE]",
    "aadhaar": "[AADHAAR]",
    "card": "[CARD]",
    "bank_account": "[ACCOUNT]",
    "pan": "[PAN]",
    "ifsc": "[IFSC]",
    "vehicle": "[VEHICLE]",
    "email": "[EMAIL]",
    "upi_id": "[UPI]",
    "spelled_number": "[NUMBER]",
}


def mask(text: str, flags: Sequence[Found]) -> tuple[str, list[Found]]:
    """Return a text with placeholders for its personal data, and all flags with their places in the new text.

    Where personal data overlaps, one placeholder covers all of it, under the name of what begins first; any other flag
    that overlaps it is dropped, for it no longer says what stands there.
    """
    parts: list[str] = []
    moved: list[Found] = []
    length = done = 0
    for flag in _apart(flags):
        shown = PLACEHOLDERS.get(flag.rule, text[flag.start : flag.end])
        start = length + flag.start - done
        parts += [text[done : flag.start], shown]
        moved.append(Found(flag.rule, start, start + len(shown), flag.evidence))
        length, done = start + len(shown), flag.end
    return "".join([*parts, text[done:]]), moved


def _apart(flags: Sequence[Found]) -> list[Found]:
    """Return flags that do not overlap, in order: personal data whole, and of the others those that are clear of it."""
    personal: list[Found] = []
    others: list[Found] = []
    for flag in sorted(flags, key=lambda one: (one.start, -one.end)):
        if flag.rule not in PLACEHOLDERS:
            others.append(flag)
        elif personal and flag.start < personal[-1].end:
            first = personal[-1]
            personal[-1] = Found(first.rule, first.start, max(first.end, flag.end), first.evidence)
        else:
            personal.append(flag)
    ends = [one.end for one in personal]
    kept: list[Found] = []
    for flag in others:
        after = bisect_right(ends, flag.start)
        clear = after == len(personal) or personal[after].start >= flag.end
        if clear and not (kept and flag.start < kept[-1].end):
            kept.append(flag)
    return sorted([*personal, *kept], key=lambda one: one.start)
