"""Verification: every file of the lake is hashed against its manifest, and damaged ones are removed on request."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_foundry.adapter_name import is_of
from data_foundry.errors import FoundryError
from data_foundry.lake.damage import DamagedRows, damaged_rows
from data_foundry.lake.durable import sha256_stored
from data_foundry.lake.lake import Lake
from data_foundry.lake.manifest import MANIFEST, LakeFile, Layer, Manifest

PHASES = {Layer.RAW: "phase1", Layer.SILVER: "phase2", Layer.GOLD: "phase3", Layer.MODELS: "phase4"}
# Their phases take engines, all others datasets.
OF_ENGINES = (Layer.GOLD, Layer.MODELS)
# Whose Parquet files have checksums of their pages; raw ones are as the Hub holds them.
WITH_CHECKSUMS = (Layer.SILVER, Layer.GOLD)


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong in a complete folder: `expected` and `found` are sha256 (hex) where bytes differ.

    `rows` is how many the file holds, `damaged` which of them are damaged or may be.
    """

    layer: str
    name: str
    file: str
    fault: str
    way_out: str
    rows: int | None = None
    expected: str | None = None
    found: str | None = None
    damaged: tuple[DamagedRows, ...] = ()


def chosen(lake: Lake, layers: Sequence[Layer], names: Sequence[str]) -> list[tuple[Layer, str]]:
    """Return the complete folders of the layers, of all names or of these.

    An engine's name stands for all its models, and for those of its variants. Raises FoundryError for a name that no
    layer holds.
    """
    every = [(layer, name) for layer in layers for name in lake.names(layer)]
    unknown = [each for each in names if not any(_is(layer, name, each) for layer, name in every)]
    if unknown:
        there = ", ".join(sorted({name for _, name in every})) or "nothing"
        raise FoundryError(f"{', '.join(map(str, layers))}: no complete {', '.join(unknown)}.", f"There is {there}.")
    return [(layer, name) for layer, name in every if not names or any(_is(layer, name, each) for each in names)]


def verify(lake: Lake, layer: Layer, name: str, tell: Callable[[int], None] = lambda size: None) -> list[Damage]:
    """Hash the files of a complete folder and return what is wrong with it; `tell` hears of the bytes of each file.

    A folder that another run publishes meanwhile is looked at again. Raises OSError.
    """
    while True:
        manifest, fault = lake.readable(layer, name), lake.fault(layer, name)
        if manifest is None:
            return [] if fault is None else [Damage(layer, name, MANIFEST, fault, _way_out(layer, name))]
        found = list(_damages(lake.folder(layer, name), manifest, layer, name, tell))
        if not found or lake.readable(layer, name) == manifest:
            return found


def repair(lake: Lake, damages: Sequence[Damage]) -> None:
    """Remove the damaged files, so that the next run of their phases makes or fetches them again; hold the lake's lock.

    Raw files are fetched one by one. What is derived is made as a whole, by phases that look at the manifest alone: it
    goes, too. Everything else stays. Raises OSError.
    """
    for damage in damages:
        layer = Layer(damage.layer)
        folder = lake.folder(layer, damage.name)
        (folder / damage.file).unlink(missing_ok=True)
        if layer is not Layer.RAW and damage.expected is not None:
            (folder / MANIFEST).unlink(missing_ok=True)


def _damages(
    folder: Path, manifest: Manifest, layer: Layer, name: str, tell: Callable[[int], None]
) -> Iterator[Damage]:
    for file in manifest.files:
        fault, found = _fault(folder / file.path, file)
        if fault is not None:
            damaged = tuple(_rows(folder / file.path, layer, file, fault, found))
            yield Damage(layer, name, file.path, fault, _way_out(layer, name), file.rows, file.sha256, found, damaged)
        tell(file.bytes)
    listed = {MANIFEST, *(file.path for file in manifest.files)}
    for path in _lying(folder):
        if path not in listed:
            yield Damage(layer, name, path, "is not listed in the manifest", _way_out(layer, name))


def _fault(path: Path, file: LakeFile) -> tuple[str | None, str | None]:
    """Return (what is wrong with a listed file or None, its sha256 where its size is right)."""
    if path.is_symlink() or not path.is_file():
        return "is a link" if path.is_symlink() else "is missing", None
    if (size := path.stat().st_size) != file.bytes:
        return f"has {size} bytes instead of {file.bytes}", None
    found = sha256_stored(path)
    return (None, found) if found == file.sha256 else ("has other bytes than were published", found)


def _rows(path: Path, layer: Layer, file: LakeFile, fault: str, found: str | None) -> list[DamagedRows]:
    """Return which rows of a damaged file are damaged or may be."""
    if not file.rows:
        return []
    if found is None:
        return [DamagedRows(0, file.rows - 1, f"the file {fault}")]
    if layer in WITH_CHECKSUMS and path.suffix == ".parquet":
        return damaged_rows(path, file.rows)
    return [DamagedRows(0, file.rows - 1, "the file has no checksums by which to tell")]


def _lying(folder: Path) -> Iterator[str]:
    """Yield the files of a folder, but for what an unfinished run left: its phase takes that up or sweeps it."""
    for root, folders, names in os.walk(folder):
        if Path(root) == folder:
            folders[:] = [each for each in folders if not each.startswith(".")]
        folders.sort()
        yield from ((Path(root) / each).relative_to(folder).as_posix() for each in sorted(names))


def _way_out(layer: Layer, name: str) -> str:
    which = f"--engines {name.split('/')[0]}" if layer in OF_ENGINES else f"--datasets {name}"
    return f"python run_data_foundry.py --phases {PHASES[layer]} {which}"


def _is(layer: Layer, name: str, wished: str) -> bool:
    if layer is Layer.MODELS and is_of(name.split("/")[0], wished):
        return True
    return name == wished or name.startswith(f"{wished}/")
