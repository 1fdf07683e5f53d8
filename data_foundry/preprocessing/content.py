"""Content flags: personal data that a pattern can find. A flag is evidence for a person; it deletes nothing."""

from __future__ import annotations

import re

# Ten digits from 6 to 9 on, as India's numbering plan gives mobiles, also behind +91 or 0 and cut after the fifth.
_MOBILE = re.compile(r"(?<![\d.])(?:\+?91[ -]?|0)?[6-9]\d{4}[ -]?\d{5}(?![\d]|\.\d)")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}")


def personal_data(text: str) -> list[str]:
    """Return which kinds of personal data a normalised text holds: "mobile_number", "email"."""
    found = []
    if any(char.isdigit() for char in text) and _MOBILE.search(text):
        found.append("mobile_number")
    if "@" in text and _EMAIL.search(text):
        found.append("email")
    return found
