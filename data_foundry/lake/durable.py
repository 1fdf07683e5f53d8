"""Files that survive a crash: hashed, fsynced and renamed, with errors that name their path and the way out."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_foundry.errors import FoundryError

# What the user can do; choosing another disk is always the other way.
OF_THE_LAKE = (
    "or choose another with --base-path DIR (storage.backup_path for the backup); the same command then goes on where "
    "it was"
)
WAYS_OUT = {
    errno.ENOSPC: "Free space on that disk",
    errno.EDQUOT: "Free space within the quota, or have it raised",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f)",
    errno.EIO: "Check that disk: the kernel's log names its faults",
    errno.EROFS: "Mount that disk writable",
    errno.EACCES: "Give this user the right to write there",
}


def storage_error(error: OSError, path: Path | None = None, other: str = OF_THE_LAKE) -> FoundryError | None:
    """Return what a failing disk means for the user, or None for an error that is none of the disk's.

    `path` is named where the error itself names none; `other` is the way out besides mending the disk.
    """
    way_out = WAYS_OUT.get(error.errno or 0)
    if way_out is None:
        return None
    # What copies or moves names both ends, and either may be the one that failed.
    where = " -> ".join(str(name) for name in (error.filename, error.filename2) if name) or path
    words = os.strerror(error.errno or 0)
    message = f"{where}: {words}." if where else f"{words}."
    return FoundryError(message, f"{way_out}, {other}.")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError that names no file the name of this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def sha256_file(path: Path) -> str:
    """Return the sha256 (hex) of a file, read in blocks."""
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_stored(path: Path) -> str:
    """Return the sha256 (hex) of what the disk holds of a file that was fsynced, not of what memory still does."""
    with naming(path), path.open("rb") as file:
        # Not everywhere (macOS), and only a wish: what can't be dropped is read from memory.
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return sha256_file(path)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new content, never a part."""
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_through(beside, text)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    fsync_folder(path.parent)


def write_through(path: Path, text: str) -> None:
    """Write a text file and wait until it is on the disk."""
    with naming(path), path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def fsync(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with naming(path), path.open("rb") as file:
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and its parents, and wait until their names are on the disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    fsync_folder(path.parent)


def fsync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    with naming(path):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
