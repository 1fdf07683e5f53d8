"""NeMo manifests: a JSON line per recording, with WAV files beside them.

The keys are those that NeMo's readers know (audio_filepath, duration, text, label, lang, sampling_rate, offset is
absent: a file is a whole row); all others of a row are kept, and NeMo hands them on. A relative audio_filepath is
relative to the manifest's folder (nemo/collections/common/parts/preprocessing/manifest.py, get_full_path).
"""

from __future__ import annotations

from contextlib import ExitStack

from data_foundry.engines.spec import EngineSpec
from data_foundry.export.folder import ExportFolder
from data_foundry.export.row import ExportRow, to_json_line

LANGUAGE = "ml"


class NemoWriter(ExitStack):
    """Writes <split>_manifest.json and audio/<split>/<2 first digits of the row_id>/<row_id>.wav."""

    shards = 0

    def __init__(self, folder: ExportFolder, split: str, spec: EngineSpec, shard_bytes: int) -> None:
        super().__init__()
        self._folder, self._split, self._spec = folder, split, spec
        self._manifest = self.enter_context(folder.open(f"{split}_manifest.json"))

    def write(self, row: ExportRow) -> None:
        """Write one row, which has audio."""
        path = f"audio/{self._split}/{row.name[:2]}/{row.name}.wav"
        line = {
            "audio_filepath": path,
            "duration": row.sound.duration,
            "sampling_rate": row.sound.rate,
            "text": row.values.get("text") or "",
            "lang": LANGUAGE,
        }
        if self._spec.task == "audio-classification":
            line["label"] = row.values[self._spec.label]
        self._folder.write(path, row.audio or b"")
        self._manifest.write(to_json_line(line | {name: row.values[name] for name in row.values if name not in line}))
