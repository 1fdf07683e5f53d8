"""Commits that are disturbed at every call they make to the file system, each in a process of its own.

    python -m tests.lake.disturbed_commits FOLDER SCENARIO DISTURBANCE

prints a JSON line for every call of the scenario's commit: what the disturbed process left, and what a rerun made of
it. The first line is the undisturbed commit.
"""

from __future__ import annotations

import builtins
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from data_foundry.config import load_settings
from data_foundry.errors import FoundryError
from data_foundry.lake import LEASE_SECONDS, Lake, Layer, sha256_file, storage_error
from tests.lake.builders import NAME, tree

# Scenario: (a commit lies there already, a backup is kept, the storage is shared).
SCENARIOS = {
    "first": (False, False, False),
    "overwriting with backup": (True, True, False),
    "overwriting on shared storage": (True, False, True),
}
DISTURBANCES = ("kill before", "kill after", "ENOSPC", "EIO", "EDQUOT")
CALLS = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "sendfile")
LAYER = Layer.RAW
FETCHED = hashlib.sha256(b"fetched").hexdigest()


class Disturbance:
    """Counts the calls to the file system and disturbs one of them."""

    def __init__(self, kind: str | None, at: int) -> None:
        self.kind, self.at, self.count, self.disturbed = kind, at, 0, ""

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        real = io.open

        def opened(file: Any, mode: str = "r", *arguments: Any, **more: Any) -> Any:
            handle = real(file, mode, *arguments, **more)
            return DisturbedFile(handle, self) if set(mode) & set("wax+") else handle

        io.open = builtins.open = opened  # type: ignore[assignment]

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            file = str(arguments[0]) if name not in ("fsync", "sendfile") else None
            hit = self.hit(name, file)
            try:
                return call(*arguments, **more)
            finally:
                if hit:
                    die()

        return counted

    def hit(self, name: str, file: str | None = None) -> bool:
        """Count a call; die or fail before it, or return whether to die after it."""
        self.count += 1
        if self.kind is None or self.count != self.at:
            return False
        self.disturbed = f"{name} {file or ''}"
        if self.kind == "kill before":
            die()
        if self.kind == "kill after":
            return True
        number = getattr(errno, self.kind)
        # As the kernel does: a call on a handle does not know its file's name.
        raise OSError(number, os.strerror(number), file) if file else OSError(number, os.strerror(number))


class DisturbedFile:
    """A file open for writing; a kill in the middle of a write leaves half of it."""

    def __init__(self, file: Any, disturbance: Disturbance) -> None:
        self._file, self._disturbance = file, disturbance

    def write(self, data: Any) -> Any:
        if self._disturbance.hit("write"):
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            die()
        return self._file.write(data)

    def __enter__(self) -> DisturbedFile:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@cache
def lake_of(base: Path, scenario: str) -> Lake:
    _, backup, shared = SCENARIOS[scenario]
    storage = {"backup_enabled": backup, "type": "shared" if shared else "local"}
    return Lake(load_settings(flags={"base_path": str(base), "storage": storage}, environ={}))


def prepare(base: Path, scenario: str) -> None:
    """The lake as the commit finds it: maybe an earlier commit, and a file that an earlier try fetched."""
    if SCENARIOS[scenario][0]:
        with lake_of(base, scenario).commit(LAYER, NAME, "k1") as commit:
            for path in ("a", "deep/b", "kept", "gone/c", "folder/c"):
                commit.path(path).write_text(f"old {path}")
            commit.publish()
    fetched = lake_of(base, scenario).folder(LAYER, NAME) / ".fetched" / "f"
    fetched.parent.mkdir(parents=True)
    fetched.write_text("fetched")


def run(base: Path, scenario: str) -> None:
    """What a run does: hold the lake, and publish what is not complete; only a lacking backup is made up for."""
    lake = lake_of(base, scenario)
    with lake.lock("test"):
        manifest = lake.manifest(LAYER, NAME)
        if manifest is not None and manifest.key == "k2":
            if lake.backup_fault(LAYER, NAME):
                lake.back_up(LAYER, NAME)
            return
        with lake.commit(LAYER, NAME, "k2") as commit:
            folder = lake.folder(LAYER, NAME)
            fetched = folder / ".fetched" / "f"
            # It was verified once; after a kill it lies at either place.
            commit.adopt(fetched if fetched.exists() else folder / "f", "f", FETCHED)
            for file in manifest.files if manifest else ():
                if file.path == "kept":
                    commit.keep(file)
            if not manifest:
                commit.path("kept").write_text("old kept")
            for path in ("a", "deep/b", "deep/new/d", "folder"):
                commit.path(path).write_text(f"new {path}")
            commit.publish(details={"n": 1})


def faults(lake: Lake, folder: Path) -> list[str]:
    """What is wrong with a folder for its readers: a listed file that is not there or holds other bytes."""
    from data_foundry.lake.manifest import read_manifest

    manifest = read_manifest(folder)
    wrong = [
        file.path
        for file in (manifest.files if manifest else ())
        if not (folder / file.path).is_file() or sha256_file(folder / file.path) != file.sha256
    ]
    return [f"{folder.relative_to(lake.base_path)}/{path}" for path in wrong]


def disturbed(base: Path, scenario: str, kind: str | None, at: int) -> dict[str, Any]:
    """Prepare, run with a disturbance, look, run again, look again."""
    shutil.rmtree(base, ignore_errors=True)
    prepare(base, scenario)
    lake, told = lake_of(base, scenario), base.with_name("told.json")
    told.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        disturbance, error = Disturbance(kind, at), None
        disturbance.install()
        try:
            run(base, scenario)
        except FoundryError as raised:
            error = str(raised)
        except OSError as raised:
            error = str(storage_error(raised) or f"unclear: {raised!r}")
        except BaseException as raised:
            error = f"unclear: {raised!r}"
        disturbance.kind = None
        told.write_text(json.dumps({"calls": disturbance.count, "hit": disturbance.disturbed, "error": error}))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    folders = [lake.folder(LAYER, NAME), base / "backup" / LAYER.value / NAME]
    found: dict[str, Any] = {"killed": os.WIFSIGNALED(status), "at": at}
    found |= json.loads(told.read_text()) if told.exists() else {}
    found["faults"] = [fault for folder in folders for fault in faults(lake, folder)]
    for lease in base.glob("storage/.lock.lease*"):
        # Its process is dead, and nobody waits in a test until that shows.
        long_ago = lease.stat().st_mtime - LEASE_SECONDS - 1
        os.utime(lease, (long_ago, long_ago))
    run(base, scenario)
    return found | {"tree": tree(base)}


def main(folder: str, scenario: str, kind: str) -> None:
    # A killed process loses nothing that it gave to the operating system; waiting for the disk would only take time.
    os.fsync = lambda handle: None  # type: ignore[assignment]
    undisturbed = disturbed(Path(folder) / "base", scenario, None, 0)
    print(json.dumps(undisturbed))
    for at in range(1, undisturbed["calls"] + 1):
        print(json.dumps(disturbed(Path(folder) / "base", scenario, kind, at)))


if __name__ == "__main__":
    main(*sys.argv[1:])
