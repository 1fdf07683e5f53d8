"""The first pass over silver: routes every row, and keeps of those that can serve only what the split is decided by."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from data_foundry.allocation.links import AUDIO_DIGEST, LINKS, anchor, digest, identity
from data_foundry.allocation.routing import RoutingMatrix, route
from data_foundry.allocation.splits import LinkedRows, published_side
from data_foundry.engines import ENGINES, AIEngine, engines_sharing_rows
from data_foundry.engines.spec import EngineSpec, Row
from data_foundry.licence_terms import refusal
from data_foundry.records import SilverRow

if TYPE_CHECKING:
    from collections.abc import Callable

# Columns that no decision needs; audio bytes and codes are read only where a link needs their digest.
UNREAD = {
    "revision", "text_raw", "source_rate", "segment_end", "audio", "codes", "content", "peak", "clipping_share", "rms",
    "speech_level", "silence_share", "snr", "bandwidth", "dc_offset", "speaking_rate", "mos", "text_group",
    "audio_group",
}  # fmt: skip
SMALL_COLUMNS = [name for name in SilverRow.model_fields if name not in UNREAD]


def read_batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[Any]:
    """Yield record batches of at most `rows` rows, holding little more than one batch in memory."""
    with path.open("rb") as handle:
        file = pq.ParquetFile(handle, buffer_size=1 << 20, pre_buffer=False)
        yield from file.iter_batches(batch_size=rows, columns=list(columns))


class Codes:
    """Numbers for strings, in the order they were met."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._of: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        code = self._of.get(name)
        if code is None:
            code = self._of[name] = len(self.names)
            self.names.append(name)
        return code

    def ranks(self, codes: np.ndarray) -> np.ndarray:
        """Return for each code its name's place among the sorted names: independent of the order they were met."""
        order = {name: rank for rank, name in enumerate(sorted(self.names))}
        return np.array([order[name] for name in self.names] or [0], dtype=np.int64)[codes]


class Candidates:
    """The rows that can serve an engine or one that it shares rows with, as arrays: about 100 bytes a row.

    `file` and `offset` say where a row lies in silver; `own` whether the engine itself can use it; `identity` is equal
    for rows that are one example twice. The arrays are filled by `scan`.
    """

    def __init__(self, engine: AIEngine) -> None:
        self.engine = engine
        self.family = engines_sharing_rows(engine)
        self.kinds = sorted({kind for spec in self.family for kind in spec.links})
        self.datasets, self.labels, self.sources, self.licences = Codes(), Codes(), Codes(), Codes()
        self.columns: dict[str, array] = {
            name: array(code)
            for name, code in {
                "file": "l", "offset": "q", "own": "b", "dataset": "l", "label": "l", "published": "b", "source": "l",
                "source_row": "q", "segment": "d", "licence": "l", "anchor": "Q", "identity": "Q",
                **{f"link:{kind}": "Q" for kind in self.kinds},
            }.items()
        }  # fmt: skip

    def __len__(self) -> int:
        return len(self.columns["file"])

    def __getitem__(self, name: str) -> np.ndarray:
        column = self.columns[name]
        return np.frombuffer(column, column.typecode) if len(column) else np.array([], column.typecode)

    def linked_rows(self) -> LinkedRows:
        """Return what the split is decided by."""
        return LinkedRows(
            dataset=self.datasets.ranks(self["dataset"]),
            label=self.labels.ranks(self["label"]),
            published=self["published"],
            links={kind: self[f"link:{kind}"] for kind in self.kinds},
            anchor=self["anchor"],
        )

    def duplicates(self, kept: np.ndarray) -> np.ndarray:
        """Return which of the kept rows repeat an example; the first by dataset, source file and source row stays."""
        order = np.lexsort(
            (
                self["segment"],
                self["source_row"],
                self.sources.ranks(self["source"]),
                self.datasets.ranks(self["dataset"]),
            )
        )
        order = order[kept[order]]
        _, first = np.unique(self["identity"][order], return_index=True)
        repeated = kept.copy()
        repeated[order[first]] = False
        return repeated

    def add(self, row: Row, file: int, offset: int, able: dict[AIEngine, bool]) -> None:
        """Keep one row."""
        own = ENGINES[self.engine]
        links = {kind: LINKS[kind].key(row) for kind in self.kinds}
        values: dict[str, Any] = {
            "file": file,
            "offset": offset,
            "own": able[self.engine],
            "dataset": self.datasets[row["dataset"]],
            "label": self.labels[_stratum(row, self.family)],
            "published": published_side(row["source_split"]),
            "source": self.sources[row["source_file"]],
            "source_row": row["source_row"],
            "segment": row["segment_start"] or 0.0,
            "licence": self.licences[row["licence"]],
            "anchor": anchor(links),
            "identity": identity(own.view(row), own.identity) if able[self.engine] else 0,
            **{f"link:{kind}": key for kind, key in links.items()},
        }
        for name, value in values.items():
            self.columns[name].append(value)


def _stratum(row: Row, family: Sequence[EngineSpec]) -> str:
    return "|".join(str(spec.view(row)[spec.stratum] or "") for spec in family if spec.stratum)


def scan(
    engine: AIEngine,
    files: Sequence[Path],
    commercial_use: bool,
    reject: Callable[[str, str, str], None],
) -> tuple[Candidates, RoutingMatrix]:
    """Read silver once and return the candidate rows of an engine and the routing of every row to every engine.

    Each row that can't serve the engine, or whose licence forbids it, is told to `reject` (row id, dataset, reason).
    """
    candidates, matrix = Candidates(engine), RoutingMatrix()
    audio, codes = "audio" in candidates.kinds, "codes" in candidates.kinds
    columns = [*SMALL_COLUMNS, "audio" if audio else "audio.path", *(["codes"] if codes else [])]
    for number, path in enumerate(files):
        offset = 0
        for batch in read_batches(path, columns, 64 if audio else 2048):
            sounds = batch.column("audio")
            rows = batch.drop_columns(["audio"]).to_pylist()
            present = sounds.is_valid().to_pylist()
            for at, row in enumerate(rows):
                if not present[at]:
                    row["duration"] = None
                elif row["duration"] is None:
                    row["duration"] = 0.0
                unmet = route(row)
                matrix.add(row["dataset"], unmet)
                able = {name: not reasons for name, reasons in unmet.items()}
                forbidden = refusal(row["dataset"], row["licence"]) if commercial_use else None
                if not able[engine] or forbidden:
                    reject(row["row_id"], row["dataset"], unmet[engine][0] if unmet[engine] else str(forbidden))
                if forbidden or not any(able[spec.engine] for spec in candidates.family):
                    continue
                row[AUDIO_DIGEST] = digest(sounds[at]["bytes"].as_py()) if audio and present[at] else None
                candidates.add(row, number, offset + at, able)
            offset += len(rows)
    return candidates, matrix
