"""Bringing files of a commit: nothing but the commit's very bytes is ever put at a file's place."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_foundry.errors import FoundryError
from data_foundry.figures import readable_size
from data_foundry.hub.explain import disk_error
from data_foundry.hub.files import Hub, HubFile, Snapshot, safe_path
from data_foundry.hub.side_by_side import side_by_side

log = logging.getLogger("data_foundry")
# Where files lie until they are whole; a killed run's are taken up again by the next.
PARTS = ".partial"
WRONG_TRIES = 3
PROGRESS_SECONDS = 30.0


@dataclass(frozen=True)
class Fetched:
    """A file that lies at its place with the commit's bytes. `travelled` is false where it lay there before."""

    travelled: bool
    sha256: str


def fetch(hub: Hub, snapshot: Snapshot, file: HubFile, folder: Path, halt: threading.Event | None = None) -> Fetched:
    """Bring one file to folder/path with the commit's very bytes, unless it lies there whole already.

    Raises FoundryError when the bytes are wrong again and again, or can't be written; then nothing lies at folder/path.
    """
    path = folder / safe_path(snapshot.repo_id, file.path)
    part = folder / PARTS / part_name(file)
    try:
        if path.is_file() and not path.is_symlink():
            fault, sha256 = file.check(path)
            if fault is None:
                return Fetched(False, sha256)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        for tried in range(1, WRONG_TRIES + 1):
            digest = hub.bring(snapshot, file, part, tried > 1, halt)
            wrong = file.fault_of(digest)
            if wrong is None and part.stat().st_size != file.bytes:
                wrong = "was written to by another run"
            if wrong is None:
                part.replace(path)
                return Fetched(True, digest.sha256)
            part.unlink(missing_ok=True)
            log.warning("%s: %s %s (try %d of %d)", snapshot.repo_id, file.path, wrong, tried, WRONG_TRIES)
    except OSError as error:
        raise disk_error(error, f"{snapshot.repo_id}: {file.path}", path) from None
    raise FoundryError(
        f"{snapshot.repo_id}: {file.path} {wrong}, {WRONG_TRIES} times in a row.",
        "What arrives is not what the commit lists: a proxy or mirror alters or truncates it. Try another network or "
        "endpoint, then run again; nothing wrong was kept, finished files are.",
    )


def fetch_all(
    hub: Hub, snapshot: Snapshot, files: Sequence[HubFile], folder: Path, parallel: int
) -> dict[str, Fetched]:
    """Fetch files, at most `parallel` at once; return {path in the repository: Fetched}.

    The first failure ends the others and is raised; whole files stay, and parts of others for the next run.
    """
    _check_names(snapshot, files, folder)
    # The largest first, so that none of them is left alone at the end.
    tasks = sorted(files, key=lambda each: (-each.bytes, each.path))
    fetched: dict[str, Fetched] = {}
    told = time.monotonic()

    def work(file: HubFile, halt: threading.Event) -> Fetched:
        return fetch(hub, snapshot, file, folder, halt)

    for ended in side_by_side(tasks, work, parallel, PROGRESS_SECONDS):
        if ended is not None:
            fetched[ended[0].path] = ended[1]
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            _tell_progress(snapshot, files, fetched, folder / PARTS)
    return fetched


def _tell_progress(snapshot: Snapshot, files: Sequence[HubFile], fetched: Mapping[str, Fetched], parts: Path) -> None:
    whole = sum(file.bytes for file in files if file.path in fetched)
    under_way = sum(_size(parts / part_name(file)) for file in files if file.path not in fetched)
    there, all_of_them = readable_size(whole + under_way), readable_size(sum(file.bytes for file in files))
    log.info("%s: %d of %d files, %s of %s", snapshot.repo_id, len(fetched), len(files), there, all_of_them)


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        # Not begun, or just now moved to its place.
        return 0


def part_name(file: HubFile) -> str:
    """Name a part by path and content, so that it can't be taken for another commit's or another file's."""
    return hashlib.sha256(f"{file.path}\0{file.sha256}\0{file.git_blob}\0{file.bytes}".encode()).hexdigest()[:40]


def _check_names(snapshot: Snapshot, files: Sequence[HubFile], folder: Path) -> None:
    """Refuse names that the repository tells apart and this file system does not."""
    seen: dict[str, str] = {}
    for file in files:
        safe_path(snapshot.repo_id, file.path)
        other = seen.setdefault(file.path.casefold(), file.path)
        if other == file.path:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".Case"
        probe.touch()
        same = (folder / ".cASE").exists()
        probe.unlink()
        if same:
            raise FoundryError(
                f"{snapshot.repo_id} holds {other!r} and {file.path!r}, one file where case does not count.",
                "Choose a --base-path on a file system that tells upper and lower case apart.",
            )
        return
