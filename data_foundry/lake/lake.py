"""The lake: folders of published files with manifests, under one base path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from data_foundry.config import Settings, Storage
from data_foundry.errors import FoundryError
from data_foundry.lake.backup import copy_database, copy_folder
from data_foundry.lake.commit import Commit
from data_foundry.lake.durable import make_folder, sha256_file, storage_error
from data_foundry.lake.lock import hold
from data_foundry.lake.manifest import MANIFEST, Layer, Manifest, read_manifest
from data_foundry.lake.publication import abandon, recover

# What can't be derived again: of these a backup is kept where one is asked for.
BACKED_UP = (Layer.RAW, Layer.MODELS)
# Where the folders of a layer lie below its root; what lies deeper is their data, whatever its name.
FOLDERS = {Layer.RAW: "*/*", Layer.SILVER: "*/*", Layer.GOLD: "*", Layer.MODELS: "*/*"}


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
        return read_manifest(self.folder(layer, name))

    def readable(self, layer: Layer, name: str) -> Manifest | None:
        """Return the manifest, or None where nothing complete lies or it can't be read; `fault` tells them apart."""
        try:
            return self.manifest(layer, name)
        except FoundryError:
            return None

    def fault(self, layer: Layer, name: str) -> str | None:
        """Return why a manifest can't be read, or None where it can or there is none."""
        try:
            self.manifest(layer, name)
        except FoundryError as error:
            return str(error)
        return None

    def names(self, layer: Layer) -> list[str]:
        """Return the names in a layer that have a manifest, readable or not, sorted."""
        root = self._root(layer)
        names = sorted(str(path.parent.relative_to(root)) for path in root.glob(f"{FOLDERS[layer]}/{MANIFEST}"))
        return [name for name in names if not any(part.startswith(".") for part in name.split("/"))]

    def manifests(self, layer: Layer) -> list[Manifest]:
        """Return every complete manifest of a layer, by name; one that can't be read is left to `fault`."""
        found = [self.readable(layer, name) for name in self.names(layer)]
        return [manifest for manifest in found if manifest is not None]

    def files(self, layer: Layer, name: str, under: str = "", *, hashed: bool = False) -> list[Path]:
        """Return the listed files below `under`, sorted by path, after checking that each is there with its size.

        With `hashed` their bytes are checked too, at the price of reading them. Raises FoundryError.
        """
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
                redo = f"Delete {folder / MANIFEST} and run its phase again."
                hint = f"A copy lies at {copy}." if copy.is_file() else redo
                raise FoundryError(f"{path} {state}.", hint)
            if hashed and sha256_file(path) != file.sha256:
                raise FoundryError(
                    f"{path} has other bytes than were published.",
                    "Run `python -m data_foundry verify --repair`, then the phase that made it.",
                )
        return [folder / file.path for file in sorted(chosen, key=lambda f: f.path)]

    @contextmanager
    def commit(self, layer: Layer, name: str, key: str) -> Iterator[Commit]:
        """Open a commit; on an error the staging folder goes and the previous state stays.

        Usage: `with lake.commit(Layer.SILVER, id, key) as commit:` write to `commit.path("train/part-00000.parquet")`,
        then `commit.publish(...)`. Raises FoundryError, naming the path and the way out, when the disk fails.
        """
        commit = Commit(self, layer, name, key)
        abandon(commit.folder)
        try:
            yield commit
        except OSError as error:
            raise storage_error(error, commit.folder) or error from None
        finally:
            abandon(commit.folder)

    def back_up(self, layer: Layer, name: str) -> None:
        """Make the backup of a complete folder whole, where one is asked for.

        Files that the backup holds already, by their hash, are not copied again. Raises FoundryError and OSError.
        """
        manifest = self.manifest(layer, name)
        if manifest is None or not self.storage.backup_enabled or layer not in BACKED_UP:
            return
        source, target = self.folder(layer, name), self._backup(layer, name)
        copy_folder(source, target, manifest, read_back=self.storage.type == "shared")

    def backup_fault(self, layer: Layer, name: str) -> str | None:
        """Return what the backup of a complete folder lacks, or None where it is whole or none is asked for."""
        if not self.storage.backup_enabled or layer not in BACKED_UP:
            return None
        copy = self._backup(layer, name) / MANIFEST
        try:
            whole = copy.read_bytes() == (self.folder(layer, name) / MANIFEST).read_bytes()
        except OSError:
            whole = False
        # The backup's manifest is written last, so an equal one stands for every file.
        return None if whole else f"its backup in {copy.parent} is not complete"

    def back_up_database(self, path: Path) -> None:
        """Copy an SQLite database below the base path to the same place in the backup, where one is asked for.

        Raises FoundryError, after which the last copy stays.
        """
        if not self.storage.backup_enabled:
            return
        copy = self._backup_root() / path.relative_to(self.base_path)
        try:
            copy_database(path, copy)
        except OSError as error:
            raise storage_error(error, copy) or error from None

    def backup_shares_disk(self, layer: Layer) -> bool:
        """Tell whether what a layer publishes takes room twice on one disk, because its backup lies there too."""
        if not self.storage.backup_enabled or layer not in BACKED_UP:
            return False
        places = (self._root(layer), self._backup_root())
        there = [next(folder for folder in (place, *place.parents) if folder.exists()) for place in places]
        return there[0].stat().st_dev == there[1].stat().st_dev

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Hold the lake for one writing run, and finish or undo what killed ones left. A run that this process's parent
        holds the lake for holds it too. Raises FoundryError when another run has it."""
        folder = self.base_path / "storage"
        try:
            make_folder(folder)
        except OSError as error:
            raise FoundryError(f"{folder} can't be made: {error}.", "Give another --base-path DIR.") from None
        with hold(folder / ".lock", purpose, shared=self.storage.type == "shared"):
            for layer in Layer:
                recover(self._root(layer))
                recover(self._backup_root() / layer.value)
            yield

    def _root(self, layer: Layer) -> Path:
        return self.base_path / "models" if layer is Layer.MODELS else self.base_path / "storage" / layer.value

    def _backup_root(self) -> Path:
        return self.storage.backup_path or self.base_path / "backup"

    def _backup(self, layer: Layer, name: str) -> Path:
        return self._backup_root() / layer.value / name
