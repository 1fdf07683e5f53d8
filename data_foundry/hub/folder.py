"""A folder laid out like a Hub: datasets/<owner>/<name>/... and models/<owner>/<name>/..."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.hub.files import HubFile, Kind, Snapshot, Withheld, check_repo_id, licence_tag
from data_foundry.hub.hashing import BLOCK, Digest, git_blob_id, git_tree_id, hash_file
from data_foundry.hub.patience import Halted
from data_foundry.lake import write_atomically

# A plan hashes this much of a folder that no run has hashed yet, and leaves more to the run.
PLANNED_BYTES = 256 * 1024 * 1024
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class _Entry:
    path: str
    file: Path
    mode: str
    stamp: tuple[int, int, int]


class FolderHub:
    """A Hub in a folder: datasets/<owner>/<name>/... and models/<owner>/<name>/..., one revision of each.

    `index` keeps the hashes of files by size and times of change, so that a plan need not read them again. `name` is
    what the folder is called where what came from it is described.
    """

    def __init__(self, source: Path, index: Path, name: str = "folder") -> None:
        self.source = source
        self.index = index
        self.name = name

    def known_revision(self, kind: Kind, repo_id: str, pinned: str | None) -> str | None:
        entries = self._entries(kind, repo_id)
        known = self._index(kind, repo_id, entries)
        if sum(entry.stamp[0] for entry in entries if entry.path not in known) > PLANNED_BYTES:
            return None
        try:
            blobs = {e.path: known[e.path][0] if e.path in known else git_blob_id(e.file) for e in entries}
        except OSError as error:
            raise _unreadable(repo_id, error) from None
        return _tree(entries, blobs)

    def resolve(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> str:
        # Not by known_revision: what has to be hashed is kept for the fetch.
        return self.snapshot(kind, repo_id, pinned, ref).revision

    def snapshot(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> Snapshot:
        entries = self._entries(kind, repo_id)
        known = self._index(kind, repo_id, entries)
        hashes = {entry.path: known.get(entry.path) or self._hash(repo_id, entry.file) for entry in entries}
        if known != hashes:
            kept = {entry.path: [*entry.stamp, *hashes[entry.path]] for entry in entries}
            text = json.dumps({"source": str(self.source), "files": kept}, ensure_ascii=False)
            write_atomically(self._index_file(kind, repo_id), text)
        files = tuple(
            HubFile(e.path, e.stamp[0], sha256=hashes[e.path][1], git_blob=hashes[e.path][0]) for e in entries
        )
        return Snapshot(
            kind, repo_id, _tree(entries, {path: git_blob for path, (git_blob, _) in hashes.items()}), self.name, files
        )

    def bring(
        self, snapshot: Snapshot, file: HubFile, part: Path, again: bool, halt: threading.Event | None = None
    ) -> Digest:
        source = self._folder(snapshot.kind, snapshot.repo_id) / file.path
        digest = file.digest()
        try:
            with source.open("rb", buffering=0) as read, part.open("wb", buffering=0) as write:
                while block := read.read(BLOCK):
                    digest.update(block)
                    write.write(block)
                    if halt is not None and halt.is_set():
                        raise Halted
        except FileNotFoundError:
            raise FoundryError(f"{source} is gone: the folder changed while it was read.", "Run again.") from None
        fault = file.fault_of(digest)
        if fault:
            self._index_file(snapshot.kind, snapshot.repo_id).unlink(missing_ok=True)
            raise FoundryError(f"{source} {fault}: it changed while it was read.", "Run again when it is at rest.")
        return digest

    def model_folder(self, repo_id: str, revision: str | None) -> Path:
        self.snapshot("models", repo_id, None)
        return self._folder("models", repo_id)

    def access(self, kind: Kind, repo_id: str, revision: str = "main") -> dict[str, Any]:
        entries = self._entries(kind, repo_id)
        return {
            "revision": self.known_revision(kind, repo_id, None),
            "gated": False,
            "licence": licence_tag(self._folder(kind, repo_id) / "README.md"),
            "bytes": sum(entry.stamp[0] for entry in entries),
            "files": len(entries),
            "renamed_to": None,
        }

    def account(self) -> dict[str, Any] | None:
        return None

    def reach(self) -> None:
        if not self.source.is_dir():
            raise FoundryError(f"hub.source {self.source} is not a folder.", "Point hub.source at a folder Hub.")

    def _folder(self, kind: Kind, repo_id: str) -> Path:
        folder = self.source / kind / check_repo_id(repo_id)
        if folder.is_dir():
            return folder
        if self.name == "package":
            raise FoundryError(f"{repo_id} is missing from the package: {folder} is no folder.", "Install it again.")
        self.reach()
        there = sorted(f"{path.parent.name}/{path.name}" for path in (self.source / kind).glob("*/*") if path.is_dir())
        raise Withheld(
            f"{repo_id} is missing from the folder Hub {self.source}.",
            f"Put its files under {folder}. It has: {', '.join(there) or f'no {kind}'}.",
        )

    def _entries(self, kind: Kind, repo_id: str) -> list[_Entry]:
        folder = self._folder(kind, repo_id)
        try:
            return sorted(_walk(folder), key=lambda entry: entry.path)
        except OSError as error:
            raise _unreadable(repo_id, error) from None

    def _hash(self, repo_id: str, file: Path) -> tuple[str, str]:
        if file.stat().st_size < 1024 and file.read_bytes().startswith(LFS_POINTER):
            raise FoundryError(
                f"{repo_id}: {file} is a Git LFS pointer, not the file it stands for.",
                "Run `git lfs pull` in the folder Hub, then run again.",
            )
        return hash_file(file)

    def _index_file(self, kind: Kind, repo_id: str) -> Path:
        return self.index / kind / f"{repo_id}.json"

    def _index(self, kind: Kind, repo_id: str, entries: Sequence[_Entry]) -> dict[str, tuple[str, str]]:
        """Return {path: (git blob, sha256)} of the files that are unchanged since a run hashed them."""
        try:
            index = json.loads(self._index_file(kind, repo_id).read_text(encoding="utf-8"))
            if index["source"] != str(self.source):
                return {}
            known = {path: (tuple(row[:3]), (row[3], row[4])) for path, row in index["files"].items()}
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
            return {}
        return {e.path: known[e.path][1] for e in entries if e.path in known and known[e.path][0] == e.stamp}


def _unreadable(repo_id: str, error: OSError) -> FoundryError:
    return FoundryError(f"{repo_id}: {error.filename} can't be read: {error}.", "Mend or remove it, then run again.")


def _walk(folder: Path) -> Iterator[_Entry]:
    """Yield every file below a folder. Raises OSError for what can't be read or is a link to a folder."""

    def refuse(error: OSError) -> None:
        raise error

    for root, folders, names in os.walk(folder, onerror=refuse):
        at = Path(root)
        relative = at.relative_to(folder)
        hidden = {".git"} if at == folder else {"huggingface"} if relative == Path(".cache") else set()
        folders[:] = [name for name in folders if name not in hidden]
        for name in folders:
            if (at / name).is_symlink():
                raise OSError(errno.ELOOP, "links to folders are not followed", str(at / name))
        for name in names:
            status = (at / name).stat()
            mode = "100755" if status.st_mode & 0o100 else "100644"
            stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            yield _Entry((relative / name).as_posix(), at / name, mode, stamp)


def _tree(entries: Sequence[_Entry], blobs: Mapping[str, str]) -> str:
    return git_tree_id({entry.path: (entry.mode, blobs[entry.path]) for entry in entries})
