"""The first pass over silver: routes every row, and keeps of those that can serve only what the split is decided by."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.allocation.assignments import Remembered
from data_foundry.allocation.groups import REJECTED, UNKNOWN
from data_foundry.allocation.links import CODES_DIGEST, LINKS, TEXT_FORM, anchor, codes_digests, digest, identity
from data_foundry.allocation.near_audio import NearAudio
from data_foundry.allocation.near_text import NearTexts
from data_foundry.allocation.neighbours import Near
from data_foundry.allocation.routing import NOT_REROUTED, RoutingMatrix, route
from data_foundry.allocation.splits import LinkedRows, published_side
from data_foundry.engines import ENGINES, AIEngine, engines_sharing_rows
from data_foundry.engines.spec import EngineSpec, Row
from data_foundry.licence_terms import refusal
from data_foundry.preprocessing.text import scoring_form
from data_foundry.records import SilverRow

# Columns that no decision needs; fingerprints and codes are read only where they link.
UNREAD = {
    "revision", "text_raw", "source_rate", "segment_end", "audio", "codes", "content", "peak", "clipping_share", "rms",
    "speech_level", "silence_share", "snr", "bandwidth", "dc_offset", "speaking_rate", "mos", "text_group",
    "audio_fingerprint",
}  # fmt: skip
SMALL_COLUMNS = [name for name in SilverRow.model_fields if name not in UNREAD]
BATCH_ROWS = 2048
LABELLED, UNLABELLED = 1, 2
NEAR: dict[str, type[NearTexts] | type[NearAudio]] = {"near_text": NearTexts, "near_audio": NearAudio}


def read_batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[Any]:
    """Yield record batches of at most `rows` rows, holding little more than one batch in memory."""
    with path.open("rb") as handle:
        file = pq.ParquetFile(handle, buffer_size=1 << 20, pre_buffer=False)
        there = [name for name in columns if name.split(".")[0] in file.schema_arrow.names]
        yield from file.iter_batches(batch_size=rows, columns=there)


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
        """Return for each code its name's place among the sorted names, -1 for the empty one: independent of the order
        they were met."""
        order = {name: rank for rank, name in enumerate(sorted(filter(None, self.names)))}
        return np.array([order.get(name, -1) for name in self.names] or [0], dtype=np.int64)[codes]


class Candidates:
    """The rows that can serve an engine or one that it shares rows with, as arrays: about 160 bytes a row.

    `file` and `offset` say where a row lies in silver; `own` whether the engine itself can use it (LABELLED, or
    UNLABELLED for adapting to the domain only; 0: it can't); `identity` is equal for rows that are one example twice.
    The arrays are filled by `scan`.
    """

    def __init__(self, engine: AIEngine) -> None:
        self.engine = engine
        self.spec = ENGINES[engine]
        self.family = engines_sharing_rows(engine)
        self.others = tuple(spec for spec in self.family if spec.engine != engine)
        self.kinds = sorted({kind for spec in self.family for kind in spec.links})
        self.row_kinds = {kind: key for kind in self.kinds if (key := LINKS[kind].key) is not None}
        self.datasets, self.labels, self.sources, self.licences = Codes(), Codes(), Codes(), Codes()
        self.genders, self.strata, self.dialects = Codes(), Codes(), Codes()
        self.columns: dict[str, array] = {
            name: array(code)
            for name, code in {
                "file": "l", "offset": "q", "own": "b", "dataset": "l", "label": "l", "stratum": "l", "gender": "l",
                "dialect": "l", "published": "b", "source": "l", "source_row": "q", "segment": "d", "licence": "l",
                "anchor": "Q", "row": "Q", "identity": "Q", "others": "B",
                **{f"link:{kind}": "Q" for kind in self.row_kinds},
            }.items()
        }  # fmt: skip
        self._near: dict[str, NearTexts | NearAudio] = {kind: NEAR[kind]() for kind in self.kinds if kind in NEAR}
        # What unlabelled rows have in common must not tie labelled ones together: they are compared once more.
        self._near_of_all = {kind: NEAR[kind]() for kind in self._near} if self.spec.unlabelled else {}
        self.near: dict[str, Near] = {}
        self.near_of_all: dict[str, Near] = {}
        self.methods = {kind: near.METHOD for kind, near in self._near.items()}

    def __len__(self) -> int:
        return len(self.columns["file"])

    def __getitem__(self, name: str) -> np.ndarray:
        kind = name.removeprefix("link:")
        if kind in self.near:
            return self.near[kind].keys
        column = self.columns[name]
        return np.frombuffer(column, column.typecode) if len(column) else np.array([], column.typecode)

    def linked_rows(self, memory: Remembered | None = None) -> LinkedRows:
        """Return what the split is decided by; a row of which the anchor is not remembered has its own side of then."""
        remembered = stood = None
        if memory:
            stood = memory.rows.look_up(self["row"], UNKNOWN)
            remembered = memory.anchors.look_up(self["anchor"], REJECTED)
            remembered = np.where(remembered == REJECTED, np.maximum(stood, REJECTED), remembered)
        gender = self.genders.ranks(self["gender"])
        return LinkedRows(
            dataset=self.datasets.ranks(self["dataset"]),
            label=self.labels.ranks(self["label"]),
            published=self["published"],
            links={kind: self[f"link:{kind}"] for kind in self.kinds},
            anchor=self["anchor"],
            strata=(gender,),
            remembered=remembered,
            stood=stood,
            unlabelled=self["own"] == UNLABELLED,
            near=self.near,
            near_of_all=self.near_of_all,
        )

    def duplicates(self, kept: np.ndarray) -> np.ndarray:
        """Return which of the kept rows repeat an example; the first by dataset, source file and source row stays.

        An unlabelled row repeats every row that says the same text, a labelled one sooner than another unlabelled one.
        """
        order = np.lexsort(
            (
                self["segment"],
                self["source_row"],
                self.sources.ranks(self["source"]),
                self.datasets.ranks(self["dataset"]),
            )
        )
        order = order[kept[order]]
        own, repeated = self["own"][order], kept.copy()
        labelled, unlabelled = order[own == LABELLED], order[own == UNLABELLED]
        _, first = np.unique(self["identity"][labelled], return_index=True)
        repeated[labelled[first]] = False
        if len(unlabelled):
            texts = self["link:text"]
            values, first = np.unique(texts[unlabelled], return_index=True)
            repeated[unlabelled[first[~np.isin(values, texts[labelled])]]] = False
        return repeated

    def add(self, row: Row, file: int, offset: int, own: int, others: int) -> None:
        """Keep one row; `own` as above, `others` has a bit for each of `self.others` that can use it."""
        row = {**row, TEXT_FORM: scoring_form(row["text"] or "")}
        links = {kind: key(row) for kind, key in self.row_kinds.items()}
        seen = self.spec.view(row) if own else row
        values: dict[str, Any] = {
            "file": file,
            "offset": offset,
            "own": own,
            "dataset": self.datasets[row["dataset"]],
            "label": self.labels[_label(row, self.family)],
            "stratum": self.strata[str(seen[self.spec.stratum] or "") if own and self.spec.stratum else ""],
            "gender": self.genders[row["gender"] or ""],
            "dialect": self.dialects[seen["dialect"] or ""],
            "published": published_side(row["source_split"]),
            "source": self.sources[row["source_file"]],
            "source_row": row["source_row"],
            "segment": row["segment_start"] or 0.0,
            "licence": self.licences[row["licence"]],
            "anchor": anchor(links),
            "row": digest("row", row["row_id"]),
            "identity": identity(seen, self.spec.identity) if own == LABELLED else 0,
            "others": others,
            **{f"link:{kind}": key for kind, key in links.items()},
        }
        for name, value in values.items():
            self.columns[name].append(value)
        for near in self._near.values():
            _collect(near, row, own != UNLABELLED)
        for near in self._near_of_all.values():
            _collect(near, row, True)

    def compare(self) -> None:
        """Compare all rows with each other: the kinds of link that no row has by itself. Call it once, after the scan.

        Without an unlabelled row the second comparison would find the same.
        """
        both = bool(self._near_of_all) and bool((self["own"] == UNLABELLED).any())
        if not both:
            self._near_of_all = {}
        # Each collection goes when it was compared: they are what takes memory.
        self.near = {kind: self._near.pop(kind).found() for kind in list(self._near)}
        self.near_of_all = {kind: self._near_of_all.pop(kind).found() for kind in list(self._near_of_all)} or self.near


def _collect(near: NearTexts | NearAudio, row: Row, wanted: bool) -> None:
    if isinstance(near, NearTexts):
        near.add_form(row[TEXT_FORM] if wanted else "")
    else:
        near.add(row["audio_fingerprint"] if wanted else None)


def _label(row: Row, family: Sequence[EngineSpec]) -> str:
    return "|".join(str(spec.view(row)[spec.stratum] or "") for spec in family if spec.stratum)


def scan(
    engine: AIEngine,
    files: Sequence[Path],
    commercial_use: bool,
    reject: Callable[[str, str, str], None],
    withheld: Set[str] = frozenset(),
) -> tuple[Candidates, RoutingMatrix]:
    """Read silver once and return the candidate rows of an engine and the routing of every row to every engine.

    Each row that can't serve the engine, whose licence forbids it, or whose dataset is `withheld` from all engines, is
    told to `reject` (row id, dataset, reason).
    Audio is not read: its groups and fingerprints stand beside it.
    """
    candidates, matrix = Candidates(engine), RoutingMatrix()
    wanted = {"near_audio": "audio_fingerprint", "codes": "codes"}
    columns = [*SMALL_COLUMNS, "audio.path", *(wanted[kind] for kind in candidates.kinds if kind in wanted)]
    refused = cache(refusal)
    for number, path in enumerate(files):
        offset = 0
        for batch in read_batches(path, columns, BATCH_ROWS):
            for at, row in enumerate(_rows(batch)):
                fits = route(row)
                matrix.add(row["dataset"], fits)
                fit = fits[engine]
                own = LABELLED if fit.able else UNLABELLED if fit.domain else 0
                others = sum(1 << bit for bit, other in enumerate(candidates.others) if fits[other.engine].able)
                forbidden = refused(row["dataset"], row["licence"]) if commercial_use else None
                if row["dataset"] in withheld:
                    forbidden = NOT_REROUTED
                if not own or forbidden:
                    reject(row["row_id"], row["dataset"], fit.lacks[0] if not own else str(forbidden))
                if not forbidden and (own or others):
                    candidates.add(row, number, offset + at, own, others)
            offset += batch.num_rows
    candidates.compare()
    return candidates, matrix


def measure(files: Sequence[Path]) -> RoutingMatrix:
    """Read silver once and return the routing of every row to every engine."""
    matrix = RoutingMatrix()
    for path in files:
        for batch in read_batches(path, [*SMALL_COLUMNS, "audio.path"], BATCH_ROWS):
            for row in _rows(batch):
                matrix.add(row["dataset"], route(row))
    return matrix


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield a batch's rows as dicts: without audio, `duration` is None exactly when there is none, codes as digest."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    there = columns.pop("audio").is_valid().to_pylist()
    codes = columns.pop("codes", None)
    values = {name: _listed(column) for name, column in columns.items()}
    values |= {name: [None] * batch.num_rows for name in (*SMALL_COLUMNS, "audio_fingerprint") if name not in values}
    values[CODES_DIGEST] = [None] * batch.num_rows if codes is None else codes_digests(codes)
    values["duration"] = [
        (duration or 0.0) if present else None for present, duration in zip(there, values["duration"], strict=True)
    ]
    names = list(values)
    for cells in zip(*values.values(), strict=True):
        yield dict(zip(names, cells, strict=True))


def _listed(column: pa.Array) -> list[Any]:
    """Return an Arrow column as a list, fast where all of it is null."""
    return [None] * len(column) if column.null_count == len(column) else column.to_pylist()
