"""Hiding personal data: placeholders in texts, a tone or silence in audio where the times of words are known.

A placeholder is an English word in square brackets, such as [PHONE]: normalisation leaves it alone (angle brackets
would be taken for markup), no content rule finds anything in it, and scoring keeps it as one word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_foundry.preprocessing.content.rule import Found
from data_foundry.records import SAMPLE_RATE, Seconds

if TYPE_CHECKING:
    import numpy as np

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
_MARGIN: Seconds = 0.05
"""Word times are seldom exact: this much more is hidden on both sides."""
_FADE: Seconds = 0.005
_TONE_HERTZ, _TONE_LEVEL = 1000.0, 0.1


def mask(text: str, flags: Sequence[Found]) -> tuple[str, list[Found]]:
    """Return a text with placeholders for its personal data, and all flags with their places in the new text.

    `flags` are in order of their start; where two overlap, the later one is dropped with what it covered.
    """
    parts: list[str] = []
    moved: list[Found] = []
    length = done = 0
    for flag in sorted(flags, key=lambda one: (one.start, -one.end)):
        if flag.start < done:
            continue
        parts.append(text[done : flag.start])
        length += flag.start - done
        shown = PLACEHOLDERS.get(flag.rule, text[flag.start : flag.end])
        parts.append(shown)
        moved.append(Found(flag.rule, length, length + len(shown), flag.evidence))
        length += len(shown)
        done = flag.end
    return "".join([*parts, text[done:]]), moved


def word_spans(
    text: str, flags: Sequence[Found], words: Sequence[tuple[str, Seconds, Seconds]]
) -> list[tuple[Seconds, Seconds]] | None:
    """Return when the personal data of a text is said, from words with their start and end.

    `flags` are places in `text` as `words` say it, before masking. Returns None where the words do not follow each
    other through the whole text, so that no part of it could be left audible by mistake.
    """
    place = 0
    at: list[tuple[int, int, Seconds, Seconds]] = []
    for word, start, end in words:
        found = text.find(word, place)
        if found < 0 or text[place:found].strip(" ,.?!-"):
            return None
        place = found + len(word)
        at.append((found, place, start, end))
    if text[place:].strip(" ,.?!-"):
        return None
    spans = []
    for flag in flags:
        if flag.rule in PLACEHOLDERS:
            said = [(start, end) for first, last, start, end in at if first < flag.end and flag.start < last]
            spans.append((said[0][0], said[-1][1]))
    return spans


def mask_audio(
    samples: np.ndarray[Any, Any], spans: Sequence[tuple[Seconds, Seconds]], rate: int = SAMPLE_RATE, tone: bool = True
) -> np.ndarray[Any, Any]:
    """Return a copy of mono samples with a tone (1 kHz, -20 dBFS) or silence over spans of seconds.

    Works on int16 and on float samples from -1 to 1. Each span grows by 50 ms on both sides and nothing of the
    recording is left inside it; the tone fades in and out over 5 ms within the span, so that no click is added to it.
    """
    import numpy as np

    masked = samples.copy()
    full = np.iinfo(samples.dtype).max if np.issubdtype(samples.dtype, np.integer) else 1.0
    for start, end in spans:
        first = max(0, int((start - _MARGIN) * rate))
        last = min(len(samples), int(np.ceil((end + _MARGIN) * rate)))
        if first >= last:
            continue
        cover = np.zeros(last - first)
        if tone:
            time = np.arange(last - first) / rate
            edge = np.minimum(time, time[::-1])
            cover = _TONE_LEVEL * full * np.sin(2 * np.pi * _TONE_HERTZ * time) * np.clip(edge / _FADE, 0.0, 1.0)
        masked[first:last] = cover.astype(samples.dtype)
    return masked
