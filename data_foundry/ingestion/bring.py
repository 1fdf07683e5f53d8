"""How a dataset's files come: room is claimed, what is there is kept, the rest is fetched up to the limits."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.hub import Hub, HubFile, Snapshot, fetch_all
from data_foundry.hub.fetching import PARTS, part_name
from data_foundry.ingestion.disk import DiskClaim
from data_foundry.ingestion.selection import Cap, arranged

# Where files wait until the commit is whole; the lake sweeps it when it publishes.
FETCHED = ".fetched"
FILES = "files"


@dataclass
class Brought:
    """The chosen files of a commit, each verified: where it lies, its sha256, and how many came in which way."""

    local: dict[str, Path] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    travelled: int = 0

    @property
    def fetched(self) -> list[str]:
        """The files that are not in their place yet."""
        return sorted(self.local.keys() - self.kept)


def bring(
    hub: Hub, snapshot: Snapshot, entry: DatasetEntry, cap: Cap, folder: Path, claim: DiskClaim, parallel: int
) -> Brought:
    """Bring the files of a commit that the cap chooses to `folder`/.fetched, but for those that lie in place already.

    With a limit on rows, tables come one by one until they hold that many: which, the commit alone decides. Raises
    FoundryError; whole files stay for the next run.
    """
    always, data = arranged(entry, snapshot.files, cap)
    area = folder / FETCHED
    sweep(area, (*always, *data))
    brought, rows = Brought(), 0
    counted = cap.max_rows is not None and entry.layout != "audiofolder"
    for files in _batches(always, data, counted):
        _bring(hub, snapshot, files, folder, claim, parallel, brought)
        if counted and cap.max_rows is not None:
            rows += sum(_rows(entry, file, brought) for file in files)
            if rows >= cap.max_rows:
                break
    return brought


def sweep(area: Path, wanted: Iterable[HubFile]) -> None:
    """Remove files and parts that an unfinished run left and this one has no use for, and folders that hold nothing."""
    keep = {path for file in wanted for path in (area / file.path, _part(area, file))}
    for path in sorted(area.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in keep:
            path.unlink()


def drop(folder: Path) -> None:
    """Remove everything that an unfinished run fetched."""
    shutil.rmtree(folder / FETCHED, ignore_errors=True)


def _batches(always: Sequence[HubFile], data: Sequence[HubFile], one_by_one: bool) -> Iterator[Sequence[HubFile]]:
    if not one_by_one:
        yield [*always, *data]
        return
    yield always
    yield from ([file] for file in data)


def _bring(
    hub: Hub,
    snapshot: Snapshot,
    files: Sequence[HubFile],
    folder: Path,
    claim: DiskClaim,
    parallel: int,
    brought: Brought,
) -> None:
    area, wanted = folder / FETCHED, []
    for file in files:
        place = folder / FILES / file.path
        fault, sha256 = file.check(place) if place.is_file() and not place.is_symlink() else ("is not there", "")
        if fault is None:
            brought.kept.add(file.path)
            brought.local[file.path], brought.sha256[file.path] = place, sha256
        else:
            wanted.append(file)
    missing = [file for file in wanted if _bytes_at(area / file.path) != file.bytes]
    needed = sum(max(0, file.bytes - (_bytes_at(_part(area, file)) or 0)) for file in missing)
    claim.reserve(needed + (sum(file.bytes for file in wanted) if claim.backed_up else 0))
    for path, fetched in fetch_all(hub, snapshot, wanted, area, parallel).items():
        brought.local[path], brought.sha256[path] = area / path, fetched.sha256
        brought.travelled += fetched.travelled


def _part(area: Path, file: HubFile) -> Path:
    """Return where a file lies while it is not whole and can be gone on with."""
    return area / PARTS / part_name(file)


def _rows(entry: DatasetEntry, file: HubFile, brought: Brought) -> int:
    from data_foundry.ingestion.tables import row_count

    return row_count(entry, file.path, brought.local[file.path]) if entry.is_table(file.path) else 0


def _bytes_at(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
