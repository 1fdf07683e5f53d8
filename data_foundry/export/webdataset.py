"""WebDataset: tar files in which the parts of a row stand side by side under its row_id: .json, and .wav for speech."""

from __future__ import annotations

from contextlib import ExitStack

from data_foundry.engines.spec import EngineSpec
from data_foundry.export.folder import ExportFolder, Shards
from data_foundry.export.row import ExportRow, to_json_line


class WebDatasetWriter(ExitStack):
    """Writes <split>/000000.tar and so on."""

    def __init__(self, folder: ExportFolder, split: str, spec: EngineSpec, shard_bytes: int) -> None:
        super().__init__()
        self._tars = self.enter_context(Shards(folder, f"{split}/{{:06d}}.tar", shard_bytes))

    @property
    def shards(self) -> int:
        return self._tars.count

    def write(self, row: ExportRow) -> None:
        """Write one row."""
        parts = {f"{row.name}.json": to_json_line(row.values)}
        self._tars.write(parts if row.audio is None else {**parts, f"{row.name}.wav": row.audio})
