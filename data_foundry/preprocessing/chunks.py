"""Timed chunks of a recording as datasets write them: a list of objects, or its JSON, under one of several names."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from data_foundry.preprocessing import labels
from data_foundry.preprocessing.readers import encodable
from data_foundry.records import Rejected, Seconds

_START = ("start", "start_time", "begin", "from", "onset")
_END = ("end", "end_time", "finish", "stop", "until", "to")
_BOTH = ("timestamp", "timestamps", "time", "times", "segment")
_LENGTH = ("duration", "dur", "length")
_TEXT = ("text", "transcript", "sentence", "transcription", "normalized", "verbatim", "utterance")
_SPEAKER = ("speaker_id", "speaker")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d*)?)")
"""[hours:]minutes:seconds, the seconds with a decimal point or, as in subtitles, a comma."""


class Chunk(NamedTuple):
    """A stretch of a recording and what the dataset says of it; times in seconds, NaN where there is none."""

    start: Seconds
    end: Seconds
    text: Any
    speaker: str | None

    @property
    def timed(self) -> bool:
        return math.isfinite(self.start) and math.isfinite(self.end)


def read_chunks(value: Any) -> list[Chunk]:
    """Return the chunks of a cell, a list with objects in it or the JSON of one; [] for any other cell.

    Times are seconds, as numbers or their text, or [hh:]mm:ss: a start with an end or a length, or a pair of both. A
    chunk without them has NaN; `placed` says whether any can be found in its recording.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = encodable(json.loads(value))
        except (ValueError, RecursionError, Rejected):
            return []
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return []
    return [_chunk(item if isinstance(item, dict) else {"text": item}) for item in value]


def placed(chunks: Sequence[Chunk]) -> bool:
    """Return whether any of the chunks has a start and an end; a recording is cut by them only then."""
    return any(chunk.timed for chunk in chunks)


def timed_chunks(value: Any) -> list[Chunk]:
    """Return the chunks of a cell by which its recording is cut; [] where none of them has a start and an end."""
    chunks = read_chunks(value)
    return chunks if placed(chunks) else []


def _chunk(item: dict[str, Any]) -> Chunk:
    pair = _first(item, _BOTH)
    start, end = pair if isinstance(pair, list) and len(pair) == 2 else (_first(item, _START), _first(item, _END))
    start, end = _seconds(start), _seconds(end)
    if math.isnan(end):
        end = start + _seconds(_first(item, _LENGTH))
    return Chunk(start, end, _first(item, _TEXT), labels.cell_text(_first(item, _SPEAKER)))


def _seconds(value: Any) -> Seconds:
    """Return a time of a cell in seconds, or NaN where it is none."""
    if isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        hours, minutes, seconds = clock.groups("0")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _first(item: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)
