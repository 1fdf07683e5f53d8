"""What gold remembers of its splits, so that a row stays on its side when others arrive.

`assignments.parquet` holds the anchor of every row that was on a side (see links.anchor) and that side; and the side of
every row itself, of those that left, too: what arrives may give a row another anchor, and only by its own side can be
told whether it moved. The next making of gold starts from it, and keeps it as `assignments-before.parquet`: with it the
same can be made again, and the engines that share rows, which may be made at the same time, all start from the same
one. Planning reads manifests only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from data_foundry.allocation.keys import ANCHORS, split_settings
from data_foundry.config import Settings
from data_foundry.engines import AIEngine, engines_sharing_rows
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer, Manifest

if TYPE_CHECKING:
    import numpy as np

NOW = "assignments.parquet"
# Sorts before NOW, and so is in its place first: whoever no longer finds a memory under NOW finds it here.
BEFORE = "assignments-before.parquet"


@dataclass(frozen=True)
class Memory:
    """A remembered assignment: the hash of its file, and the how manieth of its line it is (of two the later holds)."""

    sha256: str
    generation: int


def remembered(lake: Lake, settings: Settings, engine: AIEngine) -> Memory | None:
    """Return the latest assignment that an engine, or one it shares rows with, made with the same shares and seed."""
    if not settings.splits.remember:
        return None
    found = []
    for spec in engines_sharing_rows(engine):
        manifest = lake.readable(Layer.GOLD, spec.engine)
        if manifest and (memory := made_by(manifest, settings)):
            found.append(memory)
    return max(found, key=lambda memory: memory.generation, default=None)


def made_by(manifest: Manifest, settings: Settings) -> Memory | None:
    """Return what a gold manifest has to remember, or None where its shares, seed or anchors were others."""
    fits = (
        split_settings(settings).items() <= manifest.settings.items() and manifest.rule_sets.get("anchors") == ANCHORS
    )
    file = next((file for file in manifest.files if file.path == NOW), None)
    return Memory(file.sha256, manifest.details["generation"]) if file and fits else None


@dataclass(frozen=True)
class Sides:
    """The side (int8) of each key (uint64, ascending)."""

    key: np.ndarray
    side: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, sides: np.ndarray, before: Sides | None = None) -> Sides:
        """Return the sides of keys (of rows, so maybe repeated), and of those before that are not among them."""
        import numpy as np

        known, first = np.unique(keys, return_index=True)
        if before is None:
            return cls(known, sides[first].astype(np.int8))
        gone = ~np.isin(before.key, known)
        every = np.concatenate([known, before.key[gone]])
        order = np.argsort(every)
        return cls(every[order], np.concatenate([sides[first], before.side[gone]])[order].astype(np.int8))

    def look_up(self, keys: np.ndarray, unknown: int) -> np.ndarray:
        """Return the side of each of the keys, `unknown` for those that are not here."""
        import numpy as np

        if not len(self.key):
            return np.full(len(keys), unknown, dtype=np.int8)
        at = np.minimum(np.searchsorted(self.key, keys), len(self.key) - 1)
        return np.where(self.key[at] == keys, self.side[at], unknown).astype(np.int8)


@dataclass(frozen=True)
class Remembered:
    """What gold remembers: the sides of anchors, and those of rows (groups.REJECTED: it left)."""

    anchors: Sides
    rows: Sides
    content: bytes = b""


def read_memory(lake: Lake, engine: AIEngine, sha256: str) -> Remembered:
    """Return a remembered assignment with the content of its file.

    Raises FoundryError when it is no longer there.
    """
    import pyarrow.parquet as pq

    for folder in (lake.folder(Layer.GOLD, spec.engine) for spec in engines_sharing_rows(engine)):
        for name in (NOW, BEFORE):
            content = _content(folder / name)
            if content is not None and hashlib.sha256(content).hexdigest() == sha256:
                table = pq.read_table(BytesIO(content))
                of_row, keys, sides = (table[name].to_numpy() for name in ("of_row", "key", "side"))
                return Remembered(Sides(keys[~of_row], sides[~of_row]), Sides(keys[of_row], sides[of_row]), content)
    raise FoundryError(
        f"The remembered sides of {engine}'s rows (sha256 {sha256[:8]}) are damaged, or changed while phase 3 ran.",
        "Run phase 3 again; should it stay, `python -m data_foundry verify --repair` first, and hashes decide anew.",
    )


def write_memory(path: Path, memory: Remembered) -> None:
    """Write what the next making of gold is to start from."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = (memory.anchors, memory.rows)
    table = pa.table(
        {
            "of_row": pa.array(np.repeat([False, True], [len(part.key) for part in parts])),
            "key": pa.array(np.concatenate([part.key for part in parts]), pa.uint64()),
            "side": pa.array(np.concatenate([part.side for part in parts]), pa.int8()),
        }
    )
    pq.write_table(table, path, compression="zstd", use_dictionary=["side"], write_page_checksum=True)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
