"""Rows as models know them: what a caller sends is standardised as phase 2 standardised what the models learnt from."""

from __future__ import annotations

from typing import Any

from data_foundry.config import Settings
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.text import normalize
from data_foundry.records import Rejected
from data_foundry.serving.calls import Row

CLASSIFIES_TEXT = "text-classification"
TEXTS = ("text", "translation")


class Standard:
    """Standardises rows under one set of settings; safe from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._profile = settings.text.profile
        self._longest = settings.serving.max_text_characters
        self._reviewer = Reviewer(settings.content)

    def row(self, row: Row, task: str) -> dict[str, Any]:
        """Return a caller's row as its adapter's gold would hold it, with no column that a model does not read.

        Texts are normalised by the profile of phase 2. For a classifier personal data is masked besides, as in what it
        learnt from: its labels hold none of it. A translation or speech must say what was said. Raises Rejected.
        """
        found: dict[str, Any] = {name: row.get(name) for name in (*TEXTS, "direction", "audio", "duration")}
        for name in TEXTS:
            text = found[name]
            if text is None:
                continue
            if not isinstance(text, str):
                raise Rejected("not_a_text", f"{name} is a {type(text).__name__}")
            if len(text) > self._longest:
                raise Rejected("text_too_long", f"{len(text)} characters, at most {self._longest} are taken")
            text = self.text(text)
            found[name] = self._reviewer.masked_raw(text) if task == CLASSIFIES_TEXT else text
        return found

    def text(self, text: str) -> str:
        """Return the normal form of a text."""
        return normalize(text, self._profile).text
