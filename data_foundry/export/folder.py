"""A folder that is filled beside its place, file by file with its hash, and renamed when it is whole."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.lake import MANIFEST, Lake, Layer, sha256_file
from data_foundry.lake.durable import fsync, fsync_folder, make_folder, naming

CHECKSUMS = "SHA256SUMS"
ELSEWHERE = "Choose another folder with --to DIR"
_LOCK = ".exporting"


class HashedFile:
    """A file that knows the sha256 and the number of the bytes written to it."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes, self.sha256 = path, 0, hashlib.sha256()
        # Made, never opened anew: a name that comes twice would hide a row.
        self._file = path.open("xb")

    def write(self, data: bytes) -> int:
        """Write all of it. Raises OSError, naming the file."""
        with naming(self.path):
            self._file.write(data)
        self.sha256.update(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes

    def close(self) -> None:
        """Hand what waits to the operating system; `ExportFolder.finish` waits for the disk."""
        with naming(self.path):
            self._file.close()


class ExportFolder:
    """Takes an export's files; `files` and `bytes` count them. `SHA256SUMS` lists each as it is done."""

    def __init__(self, staging: Path) -> None:
        self.staging, self.files, self.bytes = staging, 0, 0
        self._checksums = HashedFile(staging / CHECKSUMS)

    @contextmanager
    def open(self, relative: str) -> Iterator[HashedFile]:
        """Open a new file for writing; it is listed when it is closed."""
        path = self.staging / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        file = HashedFile(path)
        try:
            yield file
        finally:
            file.close()
        self._checksums.write(f"{file.sha256.hexdigest()}  {relative}\n".encode())
        self.files += 1
        self.bytes += file.bytes

    def write(self, relative: str, data: bytes) -> None:
        """Write a whole file."""
        with self.open(relative) as file:
            file.write(data)

    def finish(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Close the list of checksums, write the manifest with the list's hash, wait for the disk; return it."""
        self._checksums.close()
        counts = {"files": self.files, "bytes": self.bytes, "sha256sums": self._checksums.sha256.hexdigest()}
        whole = {**manifest, **counts}
        text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
        (self.staging / MANIFEST).write_text(text, encoding="utf-8")
        # All at the end: thousands of small files one by one would each wait for the disk's journal.
        for folder, _, names in os.walk(self.staging, topdown=False):
            for name in names:
                fsync(Path(folder, name))
            fsync_folder(Path(folder))
        return whole

    def close(self) -> None:
        """Let go of the list of checksums; on a full disk, without what it still held."""
        with suppress(OSError):
            self._checksums.close()


class Shards(ExitStack):
    """Tar files of bounded size under `pattern` ("train/{:06d}.tar"): the same members give the same bytes.

    Uncompressed USTAR; members carry no time, owner or other trace of where they were made. `count`: shards begun.
    """

    def __init__(self, folder: ExportFolder, pattern: str, shard_bytes: int) -> None:
        super().__init__()
        self._folder, self._pattern, self._shard_bytes = folder, pattern, shard_bytes
        self._tar: tarfile.TarFile | None = None
        self.count = 0

    def write(self, members: dict[str, bytes]) -> int:
        """Write the members of a row side by side into one shard, and return that shard's number."""
        size = sum(tarfile.BLOCKSIZE + len(data) + -len(data) % tarfile.BLOCKSIZE for data in members.values())
        if self._tar is None or self._tar.offset + size > self._shard_bytes:
            self.close()
            # Of all that a file can do, writing a tar needs write and tell.
            file: Any = self.enter_context(self._folder.open(self._pattern.format(self.count)))
            self._tar = self.enter_context(tarfile.TarFile(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT))
            self.count += 1
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
        return self.count - 1


def is_taken(lake: Lake, target: Path) -> bool:
    """Return whether something lies at the target. Raises FoundryError for a place that no export can have."""
    if any(target.is_relative_to(lake.folder(layer, "x").parent.resolve()) for layer in Layer):
        raise FoundryError(f"{target} lies in the lake, which removes what it did not publish.", f"{ELSEWHERE}.")
    if target.is_mount():
        raise FoundryError(f"{target} is a mounted disk, which no folder can be renamed to.", "Name a folder in it.")
    if target.exists() and not target.is_dir():
        raise FoundryError(f"{target} is a file.", f"{ELSEWHERE}.")
    return target.exists() and any(target.iterdir())


@contextmanager
def fresh_folder(target: Path) -> Iterator[ExportFolder]:
    """Fill a folder that becomes `target` when the block ends well, after `finish`; otherwise nothing is left.

    What a killed process left is swept first. Raises FoundryError when another export fills it now, OSError when the
    disk fails.
    """
    make_folder(target.parent)
    staging = target.with_name(f".{target.name}{_LOCK}")
    if staging.is_symlink() or (staging.exists() and not (staging / _LOCK).is_file() and any(staging.iterdir())):
        raise FoundryError(f"{staging} is in the way, and no export left it.", "Move it, or choose another --to DIR.")
    staging.mkdir(exist_ok=True)
    with (staging / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # One that ended just now took the file away with its folder.
            ours = os.path.samestat(os.fstat(lock.fileno()), (staging / _LOCK).stat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            raise FoundryError(f"Another export writes to {target}.", "Wait until it ends, or choose another --to DIR.")
        _empty(staging)
        folder = ExportFolder(staging)
        try:
            yield folder
            staging.rename(target)
            # Not before: without it another export could take the folder for the remains of a killed one.
            (target / _LOCK).unlink()
            fsync_folder(target.parent)
        except BaseException:
            folder.close()
            shutil.rmtree(staging, ignore_errors=True)
            raise


def _empty(staging: Path) -> None:
    for path in staging.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_export(target: Path) -> dict[str, Any] | None:
    """Return the manifest of a whole export that lies there, or None where none does.

    Raises FoundryError when files of it are missing or have another size together.
    """
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        found = (manifest["sha256sums"], manifest["files"], manifest["bytes"], manifest["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    listed, files, size = target / CHECKSUMS, 0, 0
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target).as_posix() not in (MANIFEST, CHECKSUMS, _LOCK):
            files, size = files + 1, size + path.stat().st_size
    if not listed.is_file() or (sha256_file(listed), files, size) != found[:3]:
        raise FoundryError(
            f"{target} holds an export whose files are not all as they were written.",
            f"`sha256sum -c {CHECKSUMS}` in it tells which; delete the folder and export again.",
        )
    return manifest
