"""Whether a gold set's splits are disjoint, found out from its Parquet files alone: nothing that made them is asked.

Every key is made again from the columns of gold: who speaks, what is said, the samples of the sound, nearly equal texts
and sounds. Whoever edits gold, and copies a test row into train, is found out here.
"""

from __future__ import annotations

import hashlib
import io
import json
import wave
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.allocation.near_audio import NearAudio
from data_foundry.allocation.near_text import NearTexts
from data_foundry.engines import AIEngine, engines_sharing_rows
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing.fingerprint import fingerprint
from data_foundry.preprocessing.text import scoring_form

# Domain rows adapt a model, as train rows do: they may share with those, and with nothing that is held out.
SIDES = ("train", "validation", "test", "domain")
TRAIN, VALIDATION, TEST, DOMAIN = range(4)
HELD_OUT = (VALIDATION, TEST)
APART = ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST), (DOMAIN, VALIDATION), (DOMAIN, TEST))
# Where rows of a published split may stand; those of any other, such as an evaluation set, in test alone.
PUBLISHED_MAY_STAND = {"train": (TRAIN, VALIDATION, TEST, DOMAIN), "validation": (VALIDATION,)}
PHONE = "_phone"
CERTIFICATE = "splits.json"
IDS_TOLD = 20
BATCH_ROWS = 64

Row = Mapping[str, Any]
Sharing = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a gold set's splits; `rows` are `side/row_id`, at most IDS_TOLD of `count`."""

    engine: str
    kind: str
    message: str
    count: int
    rows: tuple[str, ...] = ()


def _named(*columns: str) -> Callable[[Row], str | None]:
    """Return the columns' values as one string, None where the last one has none."""
    return lambda row: repr([row[name] for name in columns]) if row[columns[-1]] not in (None, "") else None


def _said(column: str) -> Callable[[Row], str | None]:
    def said(row: Row) -> str | None:
        text = (row[column] or "").strip()
        return (scoring_form(text) or text) if text else None

    return said


# By kind of link: the columns it needs, and what must not stand on two sides.
KEYS: dict[str, tuple[tuple[str, ...], Callable[[Row], str | bytes | None]]] = {
    "row_id": (("row_id",), _named("row_id")),
    "group": (("group",), _named("group")),
    "recording": (("dataset", "source_file", "source_row"), _named("dataset", "source_file", "source_row")),
    "speaker": (("dataset", "speaker"), _named("dataset", "speaker")),
    "prompt": (("dataset", "prompt"), _named("dataset", "prompt")),
    "document": (("dataset", "document"), _named("dataset", "document")),
    "text": (("text",), _said("text")),
    "translation": (("translation",), _said("translation")),
    "codes": (("codes",), lambda row: json.dumps(row["codes"]) if row["codes"] else None),
    "audio": (("audio",), lambda row: row["samples"]),
}


class _Rows:
    """The rows of the gold sets that share rows: 8 bytes a row for each kind of key, and their ids."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.engine, self.side, self.phone = array("b"), array("b"), array("b")
        self.keys = {kind: array("Q") for kind in KEYS}
        self.texts, self.sounds = NearTexts(), NearAudio()
        self.published: list[int] = []

    def add(self, row: Row, engine: int, side: int, phone: bool) -> None:
        """Take in one row: `samples` are its PCM bytes; a phone row has the samples of the line, not its own."""
        self.ids.append(row["row_id"])
        self.engine.append(engine)
        self.side.append(side)
        self.phone.append(phone)
        for kind, (columns, key) in KEYS.items():
            asked = not (phone and kind == "audio") and all(name in row for name in columns)
            value = key(row) if asked else None
            self.keys[kind].append(0 if value is None else _hash(value))
        sound = None if phone else row.get("samples")
        self.texts.add(row.get("text"))
        self.sounds.add(fingerprint(np.frombuffer(sound, "<i2")) if sound else None)
        if side not in PUBLISHED_MAY_STAND.get(row["source_split"], (TEST,)):
            self.published.append(len(self.ids) - 1)

    def checks(self) -> Iterator[tuple[str, Sharing]]:
        """Yield (kind, function from some rows to all that share the kind with them) of what must stay on one side."""
        for kind, column in self.keys.items():
            yield kind, partial(_equal, np.frombuffer(column, "Q"))
        yield "near_text", self.texts.found().touched
        yield "near_audio", self.sounds.found().touched


def _equal(keys: np.ndarray, which: np.ndarray) -> np.ndarray:
    return (keys != 0) & np.isin(keys, keys[which & (keys != 0)])


def _hash(value: str | bytes) -> int:
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little") or 1


def split_faults(lake: Lake, engines: Sequence[AIEngine]) -> tuple[dict[str, dict[str, int]], list[Fault]]:
    """Return the rows by split of each of these engines' gold sets, and what is wrong with their splits.

    Engines that share rows are checked together, too, named or not: what they both hold must stand alike in both.
    Of the others only what concerns a named one is told. Raises FoundryError for a file that can't be read.
    """
    counted: dict[str, dict[str, int]] = {}
    faults: list[Fault] = []
    for family in _families(lake, engines):
        rows = _Rows()
        found: list[Fault] = []
        for number, engine in enumerate(family):
            counts = _read(lake.folder(Layer.GOLD, engine), rows, number)
            if engine in engines:
                counted[engine] = counts
                found += _against_certificate(lake.folder(Layer.GOLD, engine), engine, counts)
        found += _repeated_ids(rows, family)
        found += _published(rows, family)
        for kind, sharing in rows.checks():
            found += _straddling(rows, family, kind, sharing)
        unasked = {str(engine) for engine in family if engine not in engines}
        faults += [fault for fault in found if fault.engine not in unasked]
    return counted, list(dict.fromkeys(faults))


def _families(lake: Lake, engines: Sequence[AIEngine]) -> Iterator[list[AIEngine]]:
    """Yield the engines whose gold is to be read together: those asked for, and those that they share rows with."""
    left, there = list(engines), lake.names(Layer.GOLD)
    while left:
        sharing = sorted(spec.engine for spec in engines_sharing_rows(left[0]))
        yield [engine for engine in sharing if engine in left or engine in there]
        left = [engine for engine in left if engine not in sharing]


def _read(folder: Path, rows: _Rows, engine: int) -> dict[str, int]:
    """Read every Parquet file of the splits that lies there, listed in a manifest or not; return rows by split."""
    counts: dict[str, int] = {}
    for path in sorted(folder.glob("*/*.parquet")):
        split = path.parent.name
        side = split.removesuffix(PHONE)
        if side not in SIDES:
            continue
        try:
            for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS):
                for row in batch.to_pylist():
                    sound = (row.get("audio") or {}).get("bytes")
                    row["samples"] = _samples(sound) if sound else None
                    rows.add(row, engine, SIDES.index(side), split != side)
                counts[split] = counts.get(split, 0) + batch.num_rows
        except (OSError, pa.ArrowInvalid, wave.Error, EOFError) as error:
            raise FoundryError(
                f"{path} can't be read: {error}.", "Run `python -m data_foundry verify --layer gold`."
            ) from None
    return counts


def _samples(wav: bytes) -> bytes:
    with wave.open(io.BytesIO(wav)) as file:
        return file.readframes(file.getnframes())


def _straddling(rows: _Rows, family: Sequence[AIEngine], kind: str, sharing: Sharing) -> Iterator[Fault]:
    """Yield a fault for each engine, and one for several together, of whose rows two sides share a kind of link."""
    engine, side = np.frombuffer(rows.engine, "b"), np.frombuffer(rows.side, "b")
    told = np.zeros(len(side), dtype=bool)
    each = [(name, engine == number) for number, name in enumerate(family)]
    together = [(" and ".join(family), np.ones(len(side), dtype=bool))] if len(family) > 1 else []
    for name, here in (*each, *together):
        found = np.zeros(len(side), dtype=bool)
        for one, other in APART:
            ours, theirs = here & (side == one), here & (side == other)
            found |= (ours & sharing(theirs)) | (theirs & sharing(ours))
        found &= ~told
        told |= found
        if found.any():
            sides = " and ".join(SIDES[at] for at in np.unique(side[found]).tolist())
            yield _fault(rows, name, kind, np.flatnonzero(found).tolist(), f"the same on two sides ({sides})")


def _published(rows: _Rows, family: Sequence[AIEngine]) -> Iterator[Fault]:
    """Yield a fault for each engine in which rows that are published as held out stand elsewhere."""
    for number, name in enumerate(family):
        found = [at for at in rows.published if rows.engine[at] == number]
        if found:
            yield _fault(rows, name, "published", found, "is published as held out and does not stand there")


def _repeated_ids(rows: _Rows, family: Sequence[AIEngine]) -> Iterator[Fault]:
    """Yield faults of row ids that stand twice in one split, and of phone rows without the row that they are of."""
    engine, phone = np.frombuffer(rows.engine, "b"), np.frombuffer(rows.phone, "b").astype(bool)
    side, keys = np.frombuffer(rows.side, "b"), np.frombuffer(rows.keys["row_id"], "Q")
    for number, name in enumerate(family):
        for at in range(len(SIDES)):
            clean = np.flatnonzero((engine == number) & (side == at) & ~phone)
            heard = np.flatnonzero((engine == number) & (side == at) & phone)
            for here in (clean, heard):
                values, first = np.unique(keys[here], return_index=True)
                if len(values) < len(here):
                    twice = np.delete(here, first).tolist()
                    yield _fault(rows, name, "row_id", twice, f"stands twice in {SIDES[at]}")
            alone = heard[~np.isin(keys[heard], keys[clean])].tolist()
            if alone:
                yield _fault(rows, name, "phone", alone, f"has a phone version in {SIDES[at]} and does not stand there")


def _fault(rows: _Rows, engine: str, kind: str, found: Sequence[int], message: str) -> Fault:
    named = sorted({f"{SIDES[rows.side[at]]}/{rows.ids[at]}" for at in found})
    return Fault(engine, kind, message, len(named), tuple(named[:IDS_TOLD]))


def _against_certificate(folder: Path, engine: str, counts: Mapping[str, int]) -> Iterator[Fault]:
    """Yield what the certificate says that is not so: how many rows a split has, whose certificate it is."""
    try:
        certified = json.loads((folder / CERTIFICATE).read_text(encoding="utf-8"))
        stated, of = certified["rows"], certified["engine"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Fault(engine, "certificate", f"{folder / CERTIFICATE} can't be read: {error}", 1)
        return
    if of != engine:
        yield Fault(engine, "certificate", f"the certificate is of {of}", 1)
    for split in SIDES:
        if stated.get(split, 0) != counts.get(split, 0):
            message = f"the certificate says {stated.get(split, 0)} rows in {split}, there are {counts.get(split, 0)}"
            yield Fault(engine, "certificate", message, abs(stated.get(split, 0) - counts.get(split, 0)))
