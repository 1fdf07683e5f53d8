"""The lake: the only file that spells a storage path or commits a part.

A part is written in a staging folder, fsynced and renamed into place; then the manifest replaces the old one in a
single rename. The manifest is what "complete" means: readers see only what it lists. A killed process leaves staging
files, or published files that no manifest lists; both are swept by the next commit of the same name.
Manifests hold no time, path of this machine or worker name, so equal inputs leave equal bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from data_foundry import __version__
from data_foundry.config import Settings, Storage
from data_foundry.errors import FoundryError

LEASE_SECONDS = 120
MANIFEST = "manifest.json"
STAGING = ".staging"


class Layer(StrEnum):
    """RAW: bytes of a Hub commit. SILVER: standardized rows. GOLD: training sets. MODELS: evaluated adapters."""

    RAW = "raw"
    SILVER = "silver"
    GOLD = "gold"
    MODELS = "models"


class LakeFile(BaseModel):
    """One published file: `path` relative to its folder, POSIX style; `rows` where the file holds rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


class Manifest(BaseModel):
    """What makes a folder of the lake complete: its files, where they came from, and where every row went."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    schema_version: int = 1
    layer: Layer
    name: str
    key: str
    code_version: str = __version__
    inputs: dict[str, str] = {}
    rule_sets: dict[str, str] = {}
    settings: dict[str, Any] = {}
    files: tuple[LakeFile, ...] = ()
    rows_in: int = 0
    rows_out: int = 0
    rejected: dict[str, int] = {}
    details: dict[str, Any] = {}

    @property
    def content_hash(self) -> str:
        """Hash of the files' paths and contents: what a later step's key depends on."""
        return fingerprint([(file.path, file.sha256) for file in self.files])

    @property
    def counts(self) -> dict[str, Any]:
        """Where the rows went: rows_in, rows_out and rejected, as a step reports them."""
        return {"rows_in": self.rows_in, "rows_out": self.rows_out, "rejected": self.rejected}

    @property
    def total_bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def fingerprint(value: Any) -> str:
    """Return the sha256 (hex) of a JSON-like value in canonical form."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the sha256 (hex) of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _fsync_folder(path.parent)


class Lake:
    """Folders of published files with manifests, under one base path."""

    def __init__(self, settings: Settings) -> None:
        self.base_path = settings.base_path
        self.storage: Storage = settings.storage

    def folder(self, layer: Layer, name: str) -> Path:
        """Return where a dataset (`owner/name`), an engine's gold or a model lies; it may not exist yet."""
        if not name or name != str(PurePosixPath(name)) or ".." in name.split("/") or name.startswith("/"):
            raise FoundryError(f"{name!r} can't be a name in the lake.", "Use owner/name, without '..'.")
        return self._root(layer) / name

    def manifest(self, layer: Layer, name: str) -> Manifest | None:
        """Return the manifest, or None where nothing complete lies. Raises FoundryError when it can't be read."""
        path = self.folder(layer, name) / MANIFEST
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise FoundryError(
                f"{path} can't be read as a manifest: {error}.", f"Delete {path.parent} and run its phase again."
            ) from None

    def manifests(self, layer: Layer) -> list[Manifest]:
        """Return every complete manifest of a layer, by name."""
        root = self._root(layer)
        names = sorted(str(path.parent.relative_to(root)) for path in root.rglob(MANIFEST) if path.parent != root)
        found = [self.manifest(layer, name) for name in names if not any(p.startswith(".") for p in name.split("/"))]
        return [manifest for manifest in found if manifest is not None]

    def files(self, layer: Layer, name: str, under: str = "") -> list[Path]:
        """Return the listed files below `under`, sorted by path, after checking that each is there with its size."""
        manifest = self.manifest(layer, name)
        if manifest is None:
            raise FoundryError(f"{layer} holds no complete {name}.", "Run the phase that makes it.")
        folder = self.folder(layer, name)
        chosen = [f for f in manifest.files if not under or f.path.startswith(f"{under}/") or f.path == under]
        for file in chosen:
            path = folder / file.path
            size = path.stat().st_size if path.is_file() else None
            if size != file.bytes:
                state = "is missing" if size is None else f"has {size} bytes, its manifest says {file.bytes}"
                copy = self._backup(layer, name) / file.path
                hint = f"A copy lies at {copy}." if copy.is_file() else "Delete its folder and run its phase again."
                raise FoundryError(f"{path} {state}.", hint)
        return [folder / file.path for file in sorted(chosen, key=lambda f: f.path)]

    def backup_fault(self, layer: Layer, name: str) -> str | None:
        """Return what the backup of a complete folder lacks, or None where it is whole or none is asked for."""
        if not self.storage.backup_enabled:
            return None
        copy = self._backup(layer, name) / MANIFEST
        try:
            whole = copy.read_bytes() == (self.folder(layer, name) / MANIFEST).read_bytes()
        except OSError:
            whole = False
        # The backup's manifest is written last, so an equal one stands for every file.
        return None if whole else f"its backup in {copy.parent} is not complete"

    @contextmanager
    def commit(self, layer: Layer, name: str, key: str) -> Iterator[Commit]:
        """Open a commit; on an error the staging folder goes and the previous state stays.

        Usage: `with lake.commit(Layer.SILVER, id, key) as commit:` write to `commit.path("train/part-00000.parquet")`,
        then `commit.publish(...)`.
        """
        commit = Commit(self, layer, name, key)
        commit.clear_staging()
        try:
            yield commit
        finally:
            commit.clear_staging()

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Hold the lake for one writing run. Raises FoundryError when another run has it."""
        path = self.base_path / "storage" / ".lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FoundryError(f"{path.parent} can't be made: {error}.", "Give another --base-path DIR.") from None
        holder = _lease if self.storage.type == "shared" else _file_lock
        with holder(path, {"host": socket.gethostname(), "pid": os.getpid(), "purpose": purpose}):
            yield

    def _root(self, layer: Layer) -> Path:
        return self.base_path / "models" if layer is Layer.MODELS else self.base_path / "storage" / layer.value

    def _backup(self, layer: Layer, name: str) -> Path:
        return (self.storage.backup_path or self.base_path / "backup") / layer.value / name


class Commit:
    """One all-or-nothing change of a folder in the lake."""

    def __init__(self, lake: Lake, layer: Layer, name: str, key: str) -> None:
        self.lake, self.layer, self.name, self.key = lake, layer, name, key
        self.folder = lake.folder(layer, name)
        # A name of this process's own: whatever a killed run left is swept, never written into.
        self.staging = self.folder / f"{STAGING}-{os.getpid()}-{os.urandom(4).hex()}"
        self._kept: list[LakeFile] = []

    def path(self, relative: str) -> Path:
        """Return where to write a file of this commit; its folder exists."""
        path = self.staging / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def keep(self, file: LakeFile) -> None:
        """Carry a file that the previous manifest lists over to this commit, untouched."""
        self._kept.append(file)

    def clear_staging(self) -> None:
        """Remove what this commit staged, and what killed ones left."""
        for staging in self.folder.glob(f"{STAGING}*"):
            shutil.rmtree(staging, ignore_errors=True)

    def publish(
        self,
        *,
        rows: Mapping[str, int] | None = None,
        inputs: Mapping[str, str] | None = None,
        rule_sets: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        rows_in: int = 0,
        rows_out: int = 0,
        rejected: Mapping[str, int] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Fsync and rename every staged file, write the manifest, sweep what it does not list; return it.

        `rows` gives rows per relative path. Raises FoundryError when rows_in != rows_out + rejected.
        """
        refused = {reason: count for reason, count in sorted((rejected or {}).items()) if count}
        if rows_in != rows_out + sum(refused.values()):
            raise FoundryError(
                f"{self.name}: {rows_in} rows in, but {rows_out} out and {sum(refused.values())} rejected {refused}.",
                "This is a defect of the step, nothing was published; please report it.",
            )
        staged = sorted(path for path in self.staging.rglob("*") if path.is_file())
        lost = set(rows or {}) - {path.relative_to(self.staging).as_posix() for path in staged}
        if lost - {file.path for file in self._kept}:
            raise FoundryError(
                f"{self.name}: {', '.join(sorted(lost))} vanished before publication; nothing was published.",
                "Another process works on this lake without its lock; end it and run again.",
            )
        files = list(self._kept)
        for source in staged:
            relative = source.relative_to(self.staging).as_posix()
            _fsync(source)
            size, count = source.stat().st_size, (rows or {}).get(relative)
            files.append(LakeFile(path=relative, sha256=sha256_file(source), bytes=size, rows=count))
        manifest = Manifest(
            layer=self.layer,
            name=self.name,
            key=self.key,
            inputs=dict(inputs or {}),
            rule_sets=dict(rule_sets or {}),
            settings=dict(settings or {}),
            files=tuple(sorted(files, key=lambda file: file.path)),
            rows_in=rows_in,
            rows_out=rows_out,
            rejected=refused,
            details=dict(details or {}),
        )
        # A file that changes content under the same path would be torn for readers of the old manifest: the old
        # manifest goes first, so that a kill here means "not complete", never "complete with other bytes".
        previous = self.lake.manifest(self.layer, self.name) if (self.folder / MANIFEST).exists() else None
        before = {file.path: file.sha256 for file in previous.files} if previous else {}
        if any(before.get(file.path, file.sha256) != file.sha256 for file in files):
            (self.folder / MANIFEST).unlink()
            _fsync_folder(self.folder)
        for source in staged:
            target = self.folder / source.relative_to(self.staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        for folder in {(self.folder / file.path).parent for file in files}:
            _fsync_folder(folder)
        if self.lake.storage.type == "shared":
            self._read_back(files)
        write_atomically(self.folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
        self._sweep({file.path for file in files})
        if self.lake.storage.backup_enabled and self.layer in (Layer.RAW, Layer.MODELS):
            self._copy_to_backup(manifest)
        return manifest

    def _read_back(self, files: list[LakeFile]) -> None:
        for file in files:
            if sha256_file(self.folder / file.path) != file.sha256:
                raise FoundryError(
                    f"{self.folder / file.path} reads back with other bytes than were written.",
                    "The shared file system lost a write; check it, then run again.",
                )

    def _sweep(self, listed: set[str]) -> None:
        self.clear_staging()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            relative = path.relative_to(self.folder).as_posix()
            if path.is_file() and relative not in listed and relative != MANIFEST:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def _copy_to_backup(self, manifest: Manifest) -> None:
        target = self.lake._backup(self.layer, self.name)
        for file in manifest.files:
            copy = target / file.path
            if copy.is_file() and copy.stat().st_size == file.bytes and sha256_file(copy) == file.sha256:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            beside = copy.with_name(f".{copy.name}.part")
            shutil.copyfile(self.folder / file.path, beside)
            if sha256_file(beside) != file.sha256:
                raise FoundryError(f"{copy} could not be copied intact.", "Check the backup's disk; run again.")
            _fsync(beside)
            beside.replace(copy)
        write_atomically(target / MANIFEST, manifest.model_dump_json(indent=1) + "\n")


def _fsync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _fsync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _busy(path: Path, holder: str) -> FoundryError:
    return FoundryError(
        f"Another run is writing to this lake: {holder or 'unknown holder'}.",
        f"Wait until it ends, or give another --base-path. The lock is {path}.",
    )


@contextmanager
def _file_lock(path: Path, owner: dict[str, Any]) -> Iterator[None]:
    """The operating system lets the lock go when its process dies, so it is never stale."""
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _busy(path, file.read().strip()) from None
        file.truncate(0)
        file.write(json.dumps(owner))
        file.flush()
        yield
        file.truncate(0)


@contextmanager
def _lease(path: Path, owner: dict[str, Any]) -> Iterator[None]:
    """A lease file with a heartbeat, for file systems whose locks do not cross machines."""
    lease = path.with_suffix(".lease")
    if lease.exists() and time.time() - lease.stat().st_mtime > LEASE_SECONDS:
        lease.unlink(missing_ok=True)
    try:
        handle = os.open(lease, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        raise _busy(lease, lease.read_text(encoding="utf-8", errors="replace")) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(owner, file)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(LEASE_SECONDS / 6):
            os.utime(lease)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        lease.unlink(missing_ok=True)
