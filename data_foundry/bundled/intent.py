"""An intent of the phone line, and the author templates that callers' lines are made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

STYLES = {"f": "formal", "c": "colloquial", "m": "code_mixed", "r": "romanised"}
# A phrasing is shown with so many fillings at most: what varies should be how callers say it.
FILLINGS = 4
_SLOT = re.compile(r"\{(\w+)\}")


class Template(NamedTuple):
    """One phrasing: its id such as "pay_bill-07", its style, and its text with slots in braces."""

    id: str
    style: str
    text: str

    @property
    def slots(self) -> list[str]:
        """The names of its slots, in their order."""
        return _SLOT.findall(self.text)

    def filled(self, **values: str) -> str:
        """Return the utterance with these values in its slots."""
        return _SLOT.sub(lambda match: values[match[1]], self.text)


class Intent(NamedTuple):
    """What a caller wants, in English, and how callers say it: a template a line, after the letter of its style.

    The letters: f formal, c colloquial, m code-mixed (English words in Latin letters within Malayalam), r romanised
    (all in Latin letters). A template's number is its place, so new ones go to the end.
    """

    meaning: str
    lines: str

    def templates(self, name: str) -> Iterator[Template]:
        """Yield the templates of this intent, which has the given name."""
        for number, line in enumerate(self.lines.strip().splitlines(), start=1):
            style, text = line.split(" ", 1)
            yield Template(f"{name}-{number:02}", STYLES[style], text)
