"""Lhotse Shar: shards of cuts, the rows' facts as JSON lines, beside shards of recordings.

Written by ourselves and not by Lhotse's SharWriter: that one decodes and encodes every recording anew, and needs Lhotse
and torch where only bytes are copied. Cuts are not compressed, so that their bytes do not depend on a zlib's version.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from data_foundry.engines.spec import EngineSpec
from data_foundry.export.folder import ExportFolder, HashedFile, Shards
from data_foundry.export.nemo import LANGUAGE
from data_foundry.export.row import ExportRow, to_json_line

# What a supervision says itself; the other columns of a row are the cut's custom fields.
_OF_SUPERVISION = ("text", "speaker", "gender")


class SharWriter(ExitStack):
    """Writes <split>/cuts.000000.jsonl and <split>/recording.000000.tar, and so on."""

    def __init__(self, folder: ExportFolder, split: str, spec: EngineSpec, shard_bytes: int) -> None:
        super().__init__()
        self._folder, self._split = folder, split
        self._recordings = self.enter_context(Shards(folder, f"{split}/recording.{{:06d}}.tar", shard_bytes))
        self._cuts = self.enter_context(ExitStack())
        self._cuts_of: tuple[int, HashedFile] | None = None

    @property
    def shards(self) -> int:
        return self._recordings.count

    def write(self, row: ExportRow) -> None:
        """Write one row, which has audio."""
        recording = _recording(row)
        members = {f"{row.name}.wav": row.audio or b"", f"{row.name}.json": to_json_line(recording)}
        number = self._recordings.write(members)
        if self._cuts_of is None or self._cuts_of[0] != number:
            self._cuts.close()
            opened = self._folder.open(f"{self._split}/cuts.{number:06d}.jsonl")
            self._cuts_of = (number, self._cuts.enter_context(opened))
        self._cuts_of[1].write(to_json_line(_cut(row, recording)))


def _recording(row: ExportRow) -> dict[str, Any]:
    """Return a lhotse.Recording whose audio stands beside it in the shard."""
    channels = list(range(row.sound.channels))
    return {
        "id": row.name,
        "sources": [{"type": "shar", "channels": channels, "source": ""}],
        "sampling_rate": row.sound.rate,
        "num_samples": row.sound.samples,
        "duration": row.sound.duration,
        "channel_ids": channels,
    }


def _cut(row: ExportRow, recording: dict[str, Any]) -> dict[str, Any]:
    """Return a lhotse.MonoCut of the whole recording."""
    said = {name: row.values[name] for name in _OF_SUPERVISION if row.values.get(name) is not None}
    return {
        "id": row.name,
        "start": 0,
        "duration": row.sound.duration,
        "channel": 0,
        "supervisions": [
            {
                "id": row.name,
                "recording_id": row.name,
                "start": 0.0,
                "duration": row.sound.duration,
                "channel": 0,
                "language": LANGUAGE,
                **said,
            }
        ],
        "recording": recording,
        "custom": {name: value for name, value in row.values.items() if name not in _OF_SUPERVISION},
        "type": "MonoCut",
    }
