"""Backups: second copies of what can't be derived again, hashed, and whole or not there."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from data_foundry.errors import FoundryError
from data_foundry.lake.durable import fsync, make_folder, naming, sha256_file
from data_foundry.lake.manifest import LakeFile, Manifest
from data_foundry.lake.publication import abandon, publish, staging_folder

LOCK_SECONDS = 30.0


def copy_folder(source: Path, target: Path, manifest: Manifest, *, read_back: bool) -> None:
    """Make `target` hold what a complete folder holds; files that it has already, by their hash, are not copied again.

    Raises FoundryError when a copy's bytes differ, and OSError; the earlier backup then stays.
    """
    abandon(target)
    staging = staging_folder(target)
    make_folder(staging)
    try:
        for file in manifest.files:
            if not _holds(target, file):
                copy_intact(source / file.path, staging / file.path, file.sha256)
        publish(target, staging, manifest, read_back=read_back)
    finally:
        abandon(target)


def copy_intact(source: Path, target: Path, sha256: str) -> None:
    """Copy a file onto the disk. Raises FoundryError when the copy has another hash than it should have."""
    make_folder(target.parent)
    with naming(target):
        shutil.copyfile(source, target)
    if sha256_file(target) != sha256:
        raise FoundryError(f"{target} could not be copied intact from {source}.", "Check both disks, then run again.")
    fsync(target)


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database as of one moment, while others may use it. Raises FoundryError and OSError."""
    make_folder(target.parent)
    beside = target.with_name(f".{target.name}.part")
    with _alone(target.parent):
        beside.unlink(missing_ok=True)
        _copy_database(source, beside, target)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time copy into a folder, or an older copy could take the place of a newer one.

    A file system that locks no folders (some network ones) leaves that to luck. Raises FoundryError where another one
    does not come to an end.
    """
    opened = os.open(folder, os.O_RDONLY)
    until = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise FoundryError(
                        f"Another program holds {folder} for longer than {LOCK_SECONDS:g} s.", "See which one it is."
                    ) from None
                time.sleep(0.05)
            except OSError:
                break
        yield
    finally:
        os.close(opened)


def _copy_database(source: Path, beside: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as original,
            closing(sqlite3.connect(beside)) as copy,
        ):
            original.backup(copy)
            faults = [row[0] for row in copy.execute("PRAGMA integrity_check") if row[0] != "ok"]
        if faults:
            raise FoundryError(f"{source} is damaged: {faults[0]}.", "The last backup stays; restore from it.")
        fsync(beside)
        beside.replace(target)
    except sqlite3.Error as error:
        raise FoundryError(
            f"{source} can't be copied to {target}: {error}.", "Check both disks, then run again."
        ) from None
    finally:
        for leftover in target.parent.glob(f"{beside.name}*"):
            leftover.unlink()


def _holds(folder: Path, file: LakeFile) -> bool:
    path = folder / file.path
    return path.is_file() and path.stat().st_size == file.bytes and sha256_file(path) == file.sha256
