"""Audio payloads, seen by their headers: format, rate, channels, length, what is broken, and which repeat."""

from __future__ import annotations

import bisect
import hashlib
import io
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from data_foundry.ingestion.findings import MOST_EXAMPLES, Findings

# Every payload of tables that hold no more than this is looked at; of larger ones, a sample of rows.
WHOLE_BYTES = 256 * 1024 * 1024
SAMPLED = 512
MOST_CLIPS = 8192
# Of a sampled table, so many row groups are read.
MOST_GROUPS = 64
# A writer may put a row group's audio into one page, which no reader can hold a part of: larger ones are passed over.
LARGEST_GROUP = 64 * 1024 * 1024
BATCH_ROWS = 16
LONG_SECONDS = 30.0
SECONDS_BINS = (0.3, 1, 2, 5, 10, 15, 20, 30, 60)
# Containers that libsndfile does not know and ffmpeg does: bytes at an offset.
_FOREIGN = {"MPEG-4 audio": (4, b"ftyp"), "Matroska or WebM": (0, b"\x1aE\xdf\xa3"), "AMR": (0, b"#!AMR")}
_NO_LENGTH = 2**40


@dataclass
class AudioProfile:
    """What the payloads are: counts by form, lengths in seconds, and how many there are in all."""

    total: int = 0
    seen: int = 0
    unreadable: int = 0
    empty: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    rates: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=lambda: [0] * (len(SECONDS_BINS) + 1))
    seconds: float = 0.0
    shortest: float = float("inf")
    longest: float = 0.0
    first_of: dict[int, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Return the profile for metadata.json; lengths in seconds, of the payloads that were looked at."""
        known = sum(self.lengths)
        edges = [f"{low:g}-{high:g}" for low, high in pairwise((0.0, *SECONDS_BINS))] + [f"{SECONDS_BINS[-1]:g}+"]
        stats = {"min": self.shortest, "mean": self.seconds / known, "max": self.longest} if known else {}
        return {
            "payloads": self.total,
            "sampled": self.seen,
            "unreadable": self.unreadable,
            "empty": self.empty,
            "forms": dict(sorted(self.forms.items())),
            "formats": dict(sorted(self.formats.items())),
            "rates": {str(rate): count for rate, count in sorted(self.rates.items())},
            "channels": {str(count): times for count, times in sorted(self.channels.items())},
            "seconds": {name: round(value, 3) for name, value in stats.items()},
            "seconds_histogram": {edge: count for edge, count in zip(edges, self.lengths, strict=True) if count},
        }

    def add(self, payload: bytes | Path | None, where: str, findings: Findings) -> None:
        """Sniff one payload."""
        import soundfile

        self.seen += 1
        head = _head(payload)
        if not head:
            self._empty(where, findings)
            return
        try:
            info = soundfile.info(io.BytesIO(payload) if isinstance(payload, bytes) else str(payload))
        except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
            foreign = next((name for name, (at, mark) in _FOREIGN.items() if head[at:].startswith(mark)), None)
            if foreign:
                self.forms[foreign] += 1
                self.formats[foreign] += 1
                text = f"Audio payloads need ffmpeg to be read, such as {foreign}."
                findings.add("audio_needs_ffmpeg", "info", text, where)
            else:
                self.unreadable += 1
                reason = str(error).rpartition(": ")[2].strip() or type(error).__name__
                findings.add("unreadable_audio", "warning", f"Audio payloads can't be read: {reason}", where)
            return
        self.forms[f"{info.format}/{info.subtype} {info.samplerate} Hz {info.channels} ch"] += 1
        self.formats[info.format] += 1
        self.rates[info.samplerate] += 1
        self.first_of.setdefault(info.samplerate, where)
        self.channels[info.channels] += 1
        if info.frames > _NO_LENGTH:
            findings.add("audio_without_length", "info", "Audio headers state no length.", where)
            return
        if info.frames == 0:
            self._empty(where, findings)
        elif _is_cut(payload, head):
            text = "WAV payloads are shorter than their headers say: they were cut off."
            findings.add("truncated_audio", "warning", text, where)
        self._length(info.frames / info.samplerate, where, findings)

    def conclude(self, findings: Findings) -> None:
        """Add what only all payloads together show."""
        if len(self.rates) > 1:
            rates = ", ".join(f"{rate} Hz" for rate in sorted(self.rates))
            for rate, where in sorted(self.first_of.items()):
                findings.add("mixed_sample_rates", "info", f"Sample rates differ: {rates}.", f"{where}: {rate} Hz")
        if self.seen < self.total:
            text = "Findings on audio come from a sample of the payloads."
            findings.add("audio_sampled", "info", text, f"{self.seen} of {self.total}", self.seen)

    def _empty(self, where: str, findings: Findings) -> None:
        self.empty += 1
        findings.add("empty_audio", "warning", "Audio payloads are empty.", where)

    def _length(self, seconds: float, where: str, findings: Findings) -> None:
        self.seconds += seconds
        self.shortest, self.longest = min(self.shortest, seconds), max(self.longest, seconds)
        self.lengths[bisect.bisect_right(SECONDS_BINS, seconds)] += 1
        if seconds > LONG_SECONDS:
            text = f"Clips are longer than {LONG_SECONDS:g} s and must be segmented."
            findings.add("long_audio", "info", text, where)


@dataclass
class Digests:
    """64-bit digests by split: what repeats, where, and what stands in two splits.

    A place is a number below 2**64 that grows by one from row to row, in the order of reading.
    """

    by_split: dict[str, array[int]] = field(default_factory=dict)
    # By split, where rows follow one another: indices of the first digests, and their places.
    _runs: dict[str, tuple[array[int], array[int]]] = field(default_factory=dict)
    _counted: tuple[int, int] = (0, 0)
    _examples: list[tuple[int, int]] = field(default_factory=list)
    _sorted: bool = False

    def add(self, split: str, digest: int, place: int) -> None:
        """Remember one digest; 0 stands for nothing."""
        if digest:
            held = self.by_split.setdefault(split, array("Q"))
            self._run(split, len(held), place)
            held.append(digest)

    def add_rows(self, splits: str | list[str], values: np.ndarray, place: int) -> None:
        """Remember a digest per row from a place on: all of one split, or each of its own."""
        if not isinstance(splits, str):
            for row, (split, value) in enumerate(zip(splits, values.tolist(), strict=True)):
                self.add(split, value, place + row)
        elif (rows := np.flatnonzero(values)).size:
            held = self.by_split.setdefault(splits, array("Q"))
            for index in [0, *(np.flatnonzero(np.diff(rows) > 1) + 1).tolist()]:
                self._run(splits, len(held) + index, place + int(rows[index]))
            held.frombytes(values[rows].tobytes())

    def _run(self, split: str, index: int, place: int) -> None:
        firsts, places = self._runs.setdefault(split, (array("Q"), array("Q")))
        if not firsts or place - places[-1] != index - firsts[-1]:
            firsts.append(index)
            places.append(place)

    def different(self) -> int:
        """Return how many different ones there are."""
        every, repeated = self.repeats()
        return every - repeated

    def repeats(self) -> tuple[int, int]:
        """Return (how many there are, how many of them an earlier one equals)."""
        size = sum(map(len, self.by_split.values()))
        # None is ever taken out again, so that what was counted for as many holds.
        if self._counted[0] != size:
            every = np.concatenate([np.frombuffer(values, dtype=np.uint64) for values in self.by_split.values()])
            every.sort()
            repeated = every[1:][every[1:] == every[:-1]]
            self._counted = size, repeated.size
            if not self._sorted:
                self._examples = self._located(np.unique(repeated[:MOST_EXAMPLES]).tolist())
        return self._counted

    def examples(self) -> list[tuple[int, int]]:
        """Return a few of those that an earlier one equals, as (place, place of the earlier one).

        They are looked up until `shared` is first called: it sorts, after which an index tells no place.
        """
        self.repeats()
        return self._examples

    def _located(self, digests: list[int]) -> list[tuple[int, int]]:
        pairs = []
        for digest in digests:
            places = []
            for split, values in self.by_split.items():
                firsts, starts = self._runs[split]
                found = np.flatnonzero(np.frombuffer(values, dtype=np.uint64) == digest)[: MOST_EXAMPLES + 1]
                for index in found.tolist():
                    run = bisect.bisect_right(firsts, index) - 1
                    places.append(starts[run] + index - firsts[run])
            first, *others = sorted(places)
            pairs += [(place, first) for place in others]
        return sorted(pairs)[:MOST_EXAMPLES]

    def shared(self) -> Iterator[tuple[str, str, int]]:
        """Yield (split, other split, how many different digests both hold), train first."""
        self.repeats()
        self._sorted = True
        names = sorted(self.by_split, key=lambda name: (name != "train", name))
        unique = {name: _unique(self.by_split[name]) for name in names}
        for at, one in enumerate(names):
            for other in names[at + 1 :]:
                count = int(np.intersect1d(unique[one], unique[other], assume_unique=True).size)
                if count:
                    yield one, other, count


def _unique(values: array[int]) -> np.ndarray:
    """Return the different values, sorted; the array itself comes out sorted too, for which no copy is needed."""
    every = np.frombuffer(values, dtype=np.uint64)
    every.sort()
    return every[np.concatenate([[True], every[1:] != every[:-1]])]


def digest(payload: bytes) -> int:
    """Return a 64-bit digest of a payload, 0 for none."""
    return int.from_bytes(hashlib.blake2b(payload, digest_size=8).digest(), "little") if payload else 0


def spread(count: int, sampled: int = SAMPLED) -> list[int]:
    """Return up to `sampled` indices of `count` things, evenly spread, the first one among them."""
    return sorted({index * count // sampled for index in range(sampled)}) if count > sampled else list(range(count))


def parquet_payloads(file: Any, column: str, sampled: int | None = None) -> Iterator[tuple[int, bytes | None]]:
    """Yield (row, bytes) of a Parquet file's audio column, one small batch in memory: of `sampled` rows, or of all.

    Rows of groups that are too large for that (see `large_groups`) are passed over.
    """
    groups = range(file.metadata.num_row_groups)
    rows = [file.metadata.row_group(group).num_rows for group in groups]
    large = set(large_groups(file))
    small = [group for group in groups if group not in large]
    chosen = small if sampled is None else [small[index] for index in spread(len(small), MOST_GROUPS)]
    total = sum(rows[group] for group in chosen)
    picked = spread(total, total if sampled is None else sampled)
    before = 0
    for group in chosen:
        wanted = {pick - before for pick in picked if before <= pick < before + rows[group]}
        before += rows[group]
        if not wanted:
            continue
        first, row, last = sum(rows[:group]), 0, max(wanted)
        batches = file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=[column], use_threads=False)
        for batch in batches:
            for index in range(batch.num_rows):
                if row in wanted:
                    value = batch.column(0)[index].as_py()
                    yield first + row, value.get("bytes") if isinstance(value, dict) else value
                row += 1
            if row > last:
                break


def large_groups(file: Any) -> list[int]:
    """Return the row groups of a Parquet file that hold more than `LARGEST_GROUP` bytes."""
    groups = range(file.metadata.num_row_groups)
    return [group for group in groups if file.metadata.row_group(group).total_byte_size > LARGEST_GROUP]


def _head(payload: bytes | Path | None) -> bytes:
    if isinstance(payload, Path):
        with payload.open("rb") as file:
            return file.read(4096)
    return (payload or b"")[:4096]


def _is_cut(payload: bytes | Path | None, head: bytes) -> bool:
    """Tell whether a WAV's data chunk claims more bytes than there are; streamed headers claim an impossible length."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE" or payload is None:
        return False
    size = payload.stat().st_size if isinstance(payload, Path) else len(payload)
    at = 12
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            return length < 0x7FFF0000 and at + 8 + length > size
        at += 8 + length + length % 2
    return False
