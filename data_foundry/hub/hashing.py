"""Hashes that tell a commit's bytes from all others: sha256 of large files, git's blob and tree ids of the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

BLOCK = 1024 * 1024


class Digest:
    """The hashes of a file of `size` bytes, taken while the bytes pass; `git_blob` only where asked for."""

    def __init__(self, size: int, git: bool) -> None:
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        # Git hashes the length before the content, so it must be known at the start.
        self._git_blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False) if git else None

    def update(self, block: bytes | memoryview) -> None:
        """Take in the next bytes."""
        self.bytes += len(block)
        self._sha256.update(block)
        if self._git_blob is not None:
            self._git_blob.update(block)

    def take_file(self, path: Path) -> Digest:
        """Take in a whole file; return itself."""
        buffer = memoryview(bytearray(BLOCK))
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                self.update(buffer[:count])
        return self

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def git_blob(self) -> str | None:
        return None if self._git_blob is None else self._git_blob.hexdigest()


def hash_file(path: Path) -> tuple[str, str]:
    """Return (git blob sha1, sha256) of a file, both hex, in one pass."""
    digest = Digest(path.stat().st_size, git=True).take_file(path)
    return digest.git_blob or "", digest.sha256


def git_blob_id(path: Path) -> str:
    """Return the git blob sha1 (hex) of a file."""
    git_blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            git_blob.update(block)
    return git_blob.hexdigest()


def git_tree_id(blobs: Mapping[str, tuple[str, str]]) -> str:
    """Return the id that git gives to a tree: {path: (mode, blob sha1)} -> 40 hex digits.

    Git orders entries by name, a folder as if its name ended in a slash (Pro Git, "Git Internals - Git Objects").
    """
    entries: dict[str, tuple[str, str]] = {}
    below: dict[str, dict[str, tuple[str, str]]] = {}
    for path, (mode, blob) in blobs.items():
        first, _, rest = path.partition("/")
        if rest:
            below.setdefault(first, {})[rest] = (mode, blob)
        else:
            entries[first] = (mode, blob)
    entries |= {name: ("40000", git_tree_id(inner)) for name, inner in below.items()}
    ordered = sorted(entries.items(), key=lambda item: (item[0] + "/" * (item[1][0] == "40000")).encode())
    body = b"".join(mode.encode() + b" " + name.encode() + b"\0" + bytes.fromhex(sha) for name, (mode, sha) in ordered)
    return hashlib.sha1(b"tree %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
