"""One row on its way out of gold: its values, its recording, and its names in files and JSON."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from data_foundry.records import Hertz, Seconds

if TYPE_CHECKING:
    from pathlib import Path

# No dots: WebDataset takes what follows the first one for a part's name.
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
# Line ends for Unicode but not for JSON: readers that split lines as Python's str.splitlines does would cut a row.
_LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_LINE_END = re.compile("|".join(_LINE_ENDS))
BATCH_ROWS = 16


@dataclass(frozen=True)
class Sound:
    """What a recording's own header says."""

    rate: Hertz
    samples: int
    channels: int

    @property
    def duration(self) -> Seconds:
        return self.samples / self.rate


@dataclass(frozen=True)
class ExportRow:
    """A gold row: `values` holds its columns but the audio, in gold's order; `audio` the bytes of its WAV file."""

    values: dict[str, Any]
    audio: bytes | None

    @cached_property
    def name(self) -> str:
        """The row_id, safe as the name of a file. Raises FoundryError where it is not."""
        return safe_name(self.values["row_id"])

    @cached_property
    def sound(self) -> Sound:
        """Raises FoundryError when the recording is none."""
        try:
            with wave.open(io.BytesIO(self.audio or b""), "rb") as file:
                return Sound(file.getframerate(), file.getnframes(), file.getnchannels())
        except (wave.Error, EOFError) as error:
            raise FoundryError(
                f"The recording of gold row {self.values['row_id']} is no PCM WAV file: {error}.",
                "Run phase 3 again; should it stay so, please report it.",
            ) from None


class SplitWriter(AbstractContextManager, Protocol):
    """Writes the rows of one split into an export; closing it finishes its last file. `shards` counts its tar files."""

    @property
    def shards(self) -> int: ...

    def write(self, row: ExportRow) -> None: ...


def safe_name(name: str) -> str:
    """Return the name of a row or a split, which files are named after. Raises FoundryError where it could lead out."""
    if not _SAFE_NAME.fullmatch(name):
        raise FoundryError(
            f"{name!r} can't name a file of an export.",
            "Ids and splits that phase 3 makes are letters, digits, - and _: was this gold made by something else?",
        )
    return name


def to_json_line(value: dict[str, Any]) -> bytes:
    """Return JSON on one line, whichever way its reader splits lines, as UTF-8 with its line end.

    Bytes become hex digits. Raises FoundryError for a number that JSON does not have.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=bytes.hex)
    except ValueError:
        raise FoundryError(
            f"Gold row {value.get('row_id') or value.get('id')} holds a number that is none, which JSON can't hold.",
            "Run phase 3 again; should it stay so, please report it.",
        ) from None
    return _LINE_END.sub(lambda found: _LINE_ENDS[found.group()], text).encode() + b"\n"


def read_split(lake: Lake, engine: str, split: str) -> Iterator[ExportRow]:
    """Yield the rows of a split of an engine's gold in its order, a few in memory at a time.

    Every file's bytes are checked first. Raises FoundryError.
    """
    for path in lake.files(Layer.GOLD, engine, split, hashed=True):
        yield from _read_part(path)


def _read_part(path: Path) -> Iterator[ExportRow]:
    import pyarrow.parquet as pq

    with path.open("rb") as handle:
        file = pq.ParquetFile(handle, buffer_size=1 << 20, pre_buffer=False)
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            for values in batch.to_pylist():
                audio = values.pop("audio", None)
                yield ExportRow(values, audio["bytes"] if audio else None)
