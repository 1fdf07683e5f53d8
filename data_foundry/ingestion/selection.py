"""Which files of a commit a capped dataset brings: whole files, in an order that the commit alone decides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from data_foundry.config import Settings
from data_foundry.dataset_entry import AUDIO_SUFFIXES, DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.figures import counted
from data_foundry.hub import HubFile

SELECTION_RULE = "whole-files-1"
ORDER = (
    "Cards, metadata tables and other small files always. Then data files: those of a split in the order of "
    "sha256(repo_id, path), the splits merged in proportion to how many files each has, their first files before all "
    "others: train's, then the smaller ones. The first file that would exceed the limit ends the choice."
)
# Of a capped dataset, a file that holds no rows is brought whatever the cap up to this size.
SMALL_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Cap:
    """The limits of one dataset: bytes are never exceeded, rows by the rest of the last file; None takes everything."""

    max_bytes: int | None = None
    max_rows: int | None = None

    @classmethod
    def of(cls, settings: Settings, entry: DatasetEntry) -> Cap:
        """Return the cap that the settings set on a dataset; what is bundled has come already and has none."""
        return cls() if entry.bundled else cls(settings.hub.max_bytes_per_dataset, settings.hub.max_rows_per_dataset)

    def __bool__(self) -> bool:
        return self.max_bytes is not None or self.max_rows is not None

    def __str__(self) -> str:
        limits = ((self.max_bytes, "byte"), (self.max_rows, "row"))
        return " and ".join(counted(limit, unit) for limit, unit in limits if limit is not None) or "everything"

    @property
    def told(self) -> str:
        """What the limits mean for the files, such as "whole files until 10 rows are reached"."""
        parts = [] if self.max_bytes is None else [f"up to {counted(self.max_bytes, 'byte')}"]
        if self.max_rows is not None:
            parts.append(f"until {counted(self.max_rows, 'row')} {'is' if self.max_rows == 1 else 'are'} reached")
        return f"whole files {' and '.join(parts)}" if parts else "every file"

    def settings(self) -> dict[str, int]:
        """Return the limits that are set, under the names of their settings."""
        named = {"max_bytes_per_dataset": self.max_bytes, "max_rows_per_dataset": self.max_rows}
        return {name: limit for name, limit in named.items() if limit is not None}


def holds_rows(entry: DatasetEntry, path: str) -> bool:
    """Tell whether a file is one that a cap may leave out: a table, or a clip of an audio folder."""
    if entry.layout == "audiofolder":
        return path.lower().endswith(AUDIO_SUFFIXES)
    return entry.is_table(path)


def arranged(entry: DatasetEntry, files: Iterable[HubFile], cap: Cap) -> tuple[list[HubFile], list[HubFile]]:
    """Return (files that always come, data files in their order, cut where the byte limit ends them).

    A row limit ends the data files of an audio folder here too (a clip is a row); that of tables is known only once
    they have come. Raises FoundryError when not even the first data file fits.
    """
    files = list(files)
    data = _merged(entry, [file for file in files if holds_rows(entry, file.path)])
    others = [file for file in files if not holds_rows(entry, file.path)]
    if not cap:
        return others, data
    always = [file for file in others if file.bytes <= SMALL_BYTES or entry.is_table(file.path)]
    if entry.layout == "audiofolder" and cap.max_rows is not None:
        data = data[: cap.max_rows]
    if cap.max_bytes is None:
        return always, data
    left = cap.max_bytes - sum(file.bytes for file in always)
    chosen: list[HubFile] = []
    for file in data:
        left -= file.bytes
        if left < 0:
            break
        chosen.append(file)
    if data and not chosen:
        raise FoundryError(
            f"{entry.repo_id}: {cap.max_bytes:,} bytes are too few for one file with rows: {data[0].path}, with the "
            f"{len(always)} files that always come, takes {cap.max_bytes - left:,}.",
            f"Raise --max-bytes-per-dataset to {cap.max_bytes - left} at least.",
        )
    return always, chosen


def _merged(entry: DatasetEntry, data: Sequence[HubFile]) -> list[HubFile]:
    by_split: dict[str, list[HubFile]] = {}
    for file in data:
        by_split.setdefault(entry.split_of(file.path), []).append(file)
    keyed = []
    for split, files in by_split.items():
        files.sort(key=lambda file: (_hash(entry.repo_id, file.path), file.path))
        for number, file in enumerate(files):
            # Where of its split's files it stands, 0 <= place < 1: equal shares of every split come first.
            keyed.append((number / len(files), split != "train", file.bytes if number == 0 else 0, file.path, file))
    return [file for *_, file in sorted(keyed, key=lambda item: item[:4])]


def missing_splits(entry: DatasetEntry, files: Iterable[HubFile], chosen: Collection[str]) -> dict[str, int]:
    """Return the splits of a commit of which no file with rows was chosen, with how many such files each has."""
    of_split = Counter(entry.split_of(file.path) for file in files if holds_rows(entry, file.path))
    there = {entry.split_of(path) for path in chosen if holds_rows(entry, path)}
    return {split: count for split, count in sorted(of_split.items()) if split not in there}


def _hash(repo_id: str, path: str) -> str:
    return hashlib.sha256(f"{repo_id}\n{path}".encode()).hexdigest()


def described(cap: Cap, all_files: Iterable[HubFile], chosen: Iterable[str]) -> dict[str, Any]:
    """Return what was chosen and what was left out, for metadata.json and the manifest."""
    chosen = set(chosen)
    taken: list[HubFile] = []
    left: list[HubFile] = []
    for file in all_files:
        (taken if file.path in chosen else left).append(file)
    return {
        "rule": SELECTION_RULE,
        "order": ORDER if cap else "Every file of the commit.",
        "max_bytes": cap.max_bytes,
        "max_rows": cap.max_rows,
        "files": len(taken),
        "bytes": sum(file.bytes for file in taken),
        "left_out": {
            "files": len(left),
            "bytes": sum(file.bytes for file in left),
            "paths": sorted(file.path for file in left),
        },
    }
