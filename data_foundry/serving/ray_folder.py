"""The folder of a Ray that is started here: gone with the command that made it, or when the next one starts."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARENT = Path("/tmp")
"""Short: the sockets that Ray makes below it have a path of at most 107 bytes."""
PREFIX = "ray-"
OWNER = "data_foundry.lock"
"""Locked for as long as the command lives; the system lets go of it even where that is killed."""


@contextmanager
def ray_folder(parent: Path = PARENT) -> Iterator[Path]:
    """Make a folder and remove it in the end, and first those of commands that were killed."""
    _remove_left_behind(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        # It has its name only once it is locked, so that nobody takes it for one that was left behind.
        with (folder / f".{OWNER}").open("w") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            Path(owner.name).rename(folder / OWNER)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*/{OWNER}"):
        # One that is locked has a living owner; one of another user is none of ours.
        with suppress(OSError), path.open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
