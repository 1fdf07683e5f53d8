"""Disk space that datasets claim before they are fetched, so that those which run at once can't overfill the disk."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.figures import readable_size
from data_foundry.hub import disk_error

SPARE_BYTES = 64 * 1024 * 1024
# How long a claim waits for more important ones that run already and have not yet learnt what they need.
PATIENCE_SECONDS = 30.0
WAYS_OUT = (
    "Free space, choose another --base-path, or take less of each dataset: --max-bytes-per-dataset SIZE, "
    "--max-rows-per-dataset N."
)


class DiskClaim:
    """What one dataset still needs. Others see it for as long as its process lives, whichever process that is.

    `folder` holds a file for each claim; its owner keeps it locked, so a claim of a killed process counts no more.
    `backed_up` says that what comes is copied to the same disk once more.
    """

    def __init__(self, folder: Path, subject: str, rank: int, area: Path, backed_up: bool = False) -> None:
        self.folder, self.subject, self.rank, self.area, self.backed_up = folder, subject, rank, area, backed_up
        self.file = folder / (subject.replace("/", "__") + ".json")

    def reserve(self, size: int) -> None:
        """Claim the bytes that are still to be written below `area`.

        Raises FoundryError when they do not fit beside what the claims of others still need.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with _locked(self.folder):
                others = self._others()
                waits = any(other["needed"] is None and other["rank"] < self.rank for other in others)
                if not waits or time.monotonic() > deadline:
                    self._check(size, sum(_outstanding(other) for other in others))
                    self._write(size)
                    return
            time.sleep(0.1)

    def _check(self, size: int, claimed: int) -> None:
        there = next(folder for folder in (self.area, *self.area.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if not size or size + claimed + SPARE_BYTES <= free:
            return
        promised = f", {readable_size(claimed)} of it promised to datasets that are being fetched" if claimed else ""
        twice = " (its backup lies there too)" if self.backed_up else ""
        raise FoundryError(
            f"{self.subject} needs {readable_size(size)} more on {there}{twice}, and {readable_size(free)} are "
            f"free{promised}; {readable_size(SPARE_BYTES)} are kept spare.",
            WAYS_OUT,
        )

    def _others(self) -> list[dict[str, Any]]:
        found = []
        for path in sorted(self.folder.glob("*.json")):
            if path == self.file:
                continue
            with path.open("r+", encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    # Empty, or cut, where the disk was too full even for the claim; its owner is giving up.
                    with suppress(ValueError):
                        found.append(json.loads(file.read()))
                else:
                    path.unlink()
        return found

    def _write(self, needed: int | None) -> None:
        record = {"rank": self.rank, "needed": needed, "area": str(self.area), "held": folder_bytes(self.area)}
        try:
            self.handle.seek(0)
            self.handle.truncate()
            self.handle.write(json.dumps(record).encode())
        except OSError as error:
            raise disk_error(error, self.subject, self.file) from None

    def __enter__(self) -> DiskClaim:
        with _locked(self.folder):
            # Without a buffer, so that what a full disk refuses is not written again when it closes.
            self.handle = self.file.open("wb", buffering=0)
            fcntl.flock(self.handle, fcntl.LOCK_EX)
            try:
                self._write(None)
            except FoundryError:
                self.file.unlink()
                self.handle.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        with _locked(self.folder):
            self.file.unlink(missing_ok=True)
            self.handle.close()
            if not any(self.folder.iterdir()):
                self.folder.rmdir()


def folder_bytes(folder: Path) -> int:
    """Return how many bytes the files below a folder hold; 0 where it does not exist."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            # What is gone was renamed or swept by its own process meanwhile.
            with suppress(FileNotFoundError):
                total += (Path(root) / name).lstat().st_size
    return total


def _outstanding(claim: dict[str, Any]) -> int:
    if not claim["needed"]:
        return 0
    return max(0, claim["needed"] - max(0, folder_bytes(Path(claim["area"])) - claim["held"]))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; it is made again where another process removed it meanwhile."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists() and os.fstat(handle).st_ino == folder.stat().st_ino:
                yield
                return
        finally:
            os.close(handle)
