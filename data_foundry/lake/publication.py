"""Publication: how staged files become a folder's content in one step, and how what a killed one left is swept.

The manifest is staged with the files, so that a disk which fills up does so before anything is touched. Then files are
renamed into place, then the manifest, then what it does not list goes, the staging folder last. While that is there,
the folder may hold files that no manifest lists; whether the manifest is still in it tells how far its process came.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from data_foundry.errors import FoundryError
from data_foundry.lake.durable import fsync_folder, make_folder, sha256_stored, write_through
from data_foundry.lake.manifest import MANIFEST, Manifest, read_manifest

STAGING = ".staging"
PUBLISHING = ".publishing"

log = logging.getLogger("data_foundry")


def staging_folder(folder: Path) -> Path:
    """Return a name for a staging folder that no other process has: what a killed one left is never written into."""
    return folder / f"{STAGING}-{os.getpid()}-{os.urandom(4).hex()}"


def publish(folder: Path, staging: Path, manifest: Manifest, *, read_back: bool) -> None:
    """Make a folder hold what its manifest lists: what is staged, already fsynced, and what lies there already.

    `read_back` hashes every file before anything is touched. Raises OSError and FoundryError; while the old manifest
    still stands the old files do too.
    """
    if read_back:
        _read_back(folder, staging, manifest)
    staged = [path.relative_to(staging) for path in sorted(staging.rglob("*")) if path.is_file()]
    make_folder(folder)
    write_through(staging / MANIFEST, manifest.text)
    staging = staging.rename(staging.with_name(staging.name.replace(STAGING, PUBLISHING)))
    # A file that changes content under the same path would be torn for readers of the old manifest: the old manifest
    # goes first, so that a kill here means "not complete", never "complete with other bytes".
    try:
        previous = read_manifest(folder)
    except FoundryError:
        # What can't be read vouches for nothing.
        previous = None
    before = {file.path: file.sha256 for file in previous.files} if previous else {}
    obstacles = sorted({path for relative in staged for path in _obstacles(folder, relative)})
    if previous and (obstacles or any(before.get(file.path, file.sha256) != file.sha256 for file in manifest.files)):
        (folder / MANIFEST).unlink()
        fsync_folder(folder)
    for path in obstacles:
        _remove(path)
    for relative in staged:
        make_folder((folder / relative).parent)
        (staging / relative).replace(folder / relative)
    for parent in sorted({(folder / file.path).parent for file in manifest.files}):
        fsync_folder(parent)
    (staging / MANIFEST).replace(folder / MANIFEST)
    fsync_folder(folder)
    sweep(folder, manifest)


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove what a complete folder's manifest does not list."""
    listed = {folder / file.path for file in manifest.files} | {folder / MANIFEST}
    stagings = set(_stagings(folder))
    for path in sorted(folder.rglob("*"), reverse=True):
        if stagings & {path, *path.parents}:
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in listed:
            path.unlink()
    for staging in sorted(stagings):
        _remove(staging)


def recover(root: Path) -> None:
    """Finish or undo what killed processes left in the folders below `root`, which no process may be writing to.

    A publication whose manifest is in place is swept. The files of any other stay for the step that will publish them
    again; only what it had staged goes.
    """
    for folder in sorted({staging.parent for depth in ("*", "*/*") for staging in _stagings(root, depth)}):
        try:
            abandon(folder)
            if any(_stagings(folder)) and (manifest := read_manifest(folder)) is not None:
                sweep(folder, manifest)
        except (OSError, FoundryError) as error:
            # It only takes room; what is wrong with the folder itself, its own step will say.
            log.warning("%s holds leftovers of a killed run that can't be removed: %s", folder, error)


def abandon(folder: Path) -> None:
    """Remove what was staged and did not come to a manifest in place; what resists stays for the next run."""
    for staging in _stagings(folder):
        if staging.name.startswith(STAGING) or (staging / MANIFEST).exists():
            shutil.rmtree(staging, ignore_errors=True)


def _stagings(folder: Path, depth: str = ".") -> Iterator[Path]:
    for name in (STAGING, PUBLISHING):
        yield from folder.glob(f"{depth}/{name}-*")


def _remove(path: Path) -> None:
    """Remove a file, or a folder with all it holds. Not rmtree, whose errors name no whole path."""
    for each in [*sorted(path.rglob("*"), reverse=True), path]:
        each.rmdir() if each.is_dir() else each.unlink()


def _obstacles(folder: Path, relative: Path) -> Iterator[Path]:
    """Yield what lies where a new file needs a folder, and a folder that lies where it will be itself."""
    for parent in relative.parents:
        if (folder / parent).is_file():
            yield folder / parent
    if (folder / relative).is_dir():
        yield folder / relative


def _read_back(folder: Path, staging: Path, manifest: Manifest) -> None:
    for file in manifest.files:
        path = next((place for place in (staging / file.path, folder / file.path) if place.is_file()), None)
        if path is None or sha256_stored(path) != file.sha256:
            raise FoundryError(
                f"{path or folder / file.path} reads back with other bytes than were written; nothing was published.",
                "The shared file system lost a write; check it, then run again.",
            )
