"""Bringing files of a commit: nothing but the commit's very bytes is ever put at a file's place."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_foundry.errors import FoundryError
from data_foundry.hub.explain import disk_error
from data_foundry.hub.files import Hub, HubFile, Snapshot, safe_path

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
    part = folder / PARTS / _part_name(file)
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
    halt = threading.Event()
    waiting: queue.SimpleQueue[HubFile] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[str, Fetched | BaseException]] = queue.SimpleQueue()
    # The largest first, so that none of them is left alone at the end.
    for file in sorted(files, key=lambda each: (-each.bytes, each.path)):
        waiting.put(file)

    def work() -> None:
        while not halt.is_set():
            try:
                file = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                ended.put((file.path, fetch(hub, snapshot, file, folder, halt)))
            except BaseException as error:
                # Told first: what the others end with once they are halted is no cause.
                ended.put((file.path, error))
                halt.set()

    # Daemons, because an interrupted run must not wait for an answer that may never come.
    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(parallel, len(files)))]
    for worker in workers:
        worker.start()
    fetched: dict[str, Fetched] = {}
    told = time.monotonic()
    try:
        while len(fetched) < len(files):
            try:
                path, outcome = ended.get(timeout=PROGRESS_SECONDS)
            except queue.Empty:
                pass
            else:
                if isinstance(outcome, BaseException):
                    # Nobody may still write to a part when the next try, here or in another run, takes it up.
                    for worker in workers:
                        worker.join()
                    raise outcome
                fetched[path] = outcome
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                _tell_progress(snapshot, files, fetched, folder / PARTS)
    finally:
        halt.set()
    return fetched


def _tell_progress(snapshot: Snapshot, files: Sequence[HubFile], fetched: Mapping[str, Fetched], parts: Path) -> None:
    whole = sum(file.bytes for file in files if file.path in fetched)
    under_way = sum(path.stat().st_size for path in map(parts.joinpath, map(_part_name, files)) if path.is_file())
    log.info(
        "%s: %d of %d files, %.2f of %.2f GB",
        snapshot.repo_id, len(fetched), len(files), (whole + under_way) / 1e9, sum(f.bytes for f in files) / 1e9,
    )  # fmt: skip


def _part_name(file: HubFile) -> str:
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
