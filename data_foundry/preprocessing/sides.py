"""Which cell of a row is the Malayalam text and which its English translation: by script, not by column names alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.preprocessing.romanised import is_romanised
from data_foundry.preprocessing.text import malayalam_ratio, normalize, script_counts

_MALAYALAM_NAMES = frozenset({"ml", "mal", "mal_mlym", "ml-in", "ml_in", "malayalam"})
_NOTHING = frozenset(("n/a", "nan", "null"))
"""What writers leave for a missing cell; none of them translates anything, as "none" or "unknown" may."""
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_ENGLISH = re.compile(r"\b(?:the|The|of|and|is|are|was)\b")
"""Words without which few English sentences do, and which nobody writes in Manglish."""
_MALAYALAM_SIDE = 0.5
"""A side is Malayalam when at least half of its letters are; the gate on the accepted text is stricter."""


@dataclass(slots=True)
class Sides:
    """The two sides of a row as found; `direction` is "ml-en" or "en-ml", and None without a translation."""

    text: str | None
    translation: str | None = None
    direction: str | None = None
    flags: list[str] = field(default_factory=list)


def sides(entry: DatasetEntry, values: Mapping[str, Any]) -> Sides:
    """Return the Malayalam and the English side of a row.

    A dataset without a second side has only a text. Where the sides stand the other way round than the columns say,
    they are swapped and flagged `sides_swapped`. An "English" side is one whose letters are mostly Latin and that is no
    Malayalam in Latin letters: any other is dropped and flagged `translation_not_english`, a missing one, or one of
    markup alone, `no_translation`. Which language of Latin letters it is, is not asked.
    """
    text = cell_string(values.get("text"))
    if "source_text" in values:
        return _from_source_and_target(text, cell_string(values.get("source_text")), values)
    if "translation" not in values:
        return Sides(text)
    translation = cell_string(values.get("translation"))
    flags = []
    if not _is_malayalam(text) and _is_malayalam(translation):
        text, translation = translation, text
        flags = ["sides_swapped"]
    return _pair(text, translation, entry.direction or "ml-en", flags)


def _from_source_and_target(target: str | None, source: str | None, values: Mapping[str, Any]) -> Sides:
    """Rows of a speech translation corpus: `source` was spoken, `target` is its transcript or its translation."""
    says_transcript = _named_malayalam(values.get("source_language")) and _named_malayalam(
        values.get("target_language")
    )
    if _is_malayalam(source):
        if says_transcript or (source or "").strip() == (target or "").strip():
            into_english = not _named_malayalam(values.get("target_language"))
            # The same Malayalam on both sides of what claims to be a translation is a transcript, and said to be one.
            return Sides(target or source, flags=["translation_not_english"] if into_english else [])
        swapped = _named_malayalam(values.get("target_language"))
        return _pair(source, target, "ml-en", ["sides_swapped"] if swapped else [])
    if _is_malayalam(target):
        swapped = _named_malayalam(values.get("source_language"))
        return _pair(target, source, "en-ml", ["sides_swapped"] if swapped else [])
    if _named_malayalam(values.get("source_language")) and not _named_malayalam(values.get("target_language")):
        # Neither side is in Malayalam letters: the text is the one that claims to be Malayalam, and judged as such.
        return _pair(source, target, "ml-en", [])
    return Sides(target if target else source)


def _pair(text: str | None, translation: str | None, direction: str, flags: list[str]) -> Sides:
    normal = normalize(translation or "").text
    if not normal or normal.lower() in _NOTHING:
        return Sides(text, flags=[*flags, "no_translation"])
    if not _is_english(normal):
        return Sides(text, flags=[*flags, "translation_not_english"])
    return Sides(text, translation, direction, flags)


def cell_string(value: Any) -> str | None:
    """Return a text cell as text, bytes as UTF-8, and a list of texts one after the other.

    None stays None, and so does the NaN that some writers leave for a missing cell; an object is no text either.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return " ".join(filter(None, map(cell_string, value))) or None
    if value is None or isinstance(value, dict) or value != value:
        return None
    return str(value)


def _is_malayalam(text: str | None) -> bool:
    """Return whether a text is Malayalam as it stands, or once its storage is repaired."""
    if not text:
        return False
    return malayalam_ratio(text) >= _MALAYALAM_SIDE or malayalam_ratio(normalize(text).text) >= _MALAYALAM_SIDE


def _is_english(text: str) -> bool:
    """Return whether a normalised text may be English: at least half of its letters are Latin, and not Manglish."""
    malayalam, other = script_counts(text)
    latin = other if text.isascii() else len(_LATIN.findall(text))
    if not 0 < latin >= _MALAYALAM_SIDE * (malayalam + other):
        return False
    return _ENGLISH.search(text) is not None or not is_romanised(text)


def _named_malayalam(language: Any) -> bool:
    return isinstance(language, str) and language.strip().lower() in _MALAYALAM_NAMES
