"""What a Hub holds and how it is brought: commits, files with hashes, and the fetch that accepts no other bytes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from data_foundry.errors import FoundryError

Kind = Literal["datasets", "models"]
TOKEN_VARIABLES = ("HUGGINGFACE_TOKEN", "HF_TOKEN")
BLOCK = 1024 * 1024
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class HubFile:
    """One file of a commit. `sha256` is known for large files and in folders, `git_blob` (sha1) for all others."""

    path: str
    bytes: int
    sha256: str | None = None
    git_blob: str | None = None

    def fault(self, path: Path) -> str | None:
        """Return what is wrong with a copy of this file, or None when its bytes are the commit's."""
        size = path.stat().st_size
        if size != self.bytes:
            return f"has {size} bytes instead of {self.bytes}"
        git_blob, sha256 = hash_file(path)
        if self.sha256 is not None:
            return None if sha256 == self.sha256 else f"has sha256 {sha256} instead of {self.sha256}"
        if self.git_blob is not None:
            return None if git_blob == self.git_blob else f"has git hash {git_blob} instead of {self.git_blob}"
        return "has no hash in the commit to be checked against"


@dataclass(frozen=True)
class Snapshot:
    """What one commit of a repository holds. `hub` is the endpoint, or "folder"."""

    kind: Kind
    repo_id: str
    revision: str
    hub: str
    files: tuple[HubFile, ...]


class Hub(Protocol):
    """A source of repositories. Every method raises FoundryError naming the repository, the cause and the way out."""

    name: str

    def known_revision(self, kind: Kind, repo_id: str, pinned: str | None) -> str | None:
        """Return the commit a run would use, if that is known at once and without asking anyone; writes nothing."""

    def snapshot(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> Snapshot:
        """Resolve the commit (the pinned one, else where `ref` stands) and list its files."""

    def bring(self, snapshot: Snapshot, file: HubFile, folder: Path, again: bool) -> None:
        """Write a file's bytes to folder/path, not yet verified; `again` bypasses every cache."""

    def model_folder(self, repo_id: str, revision: str | None) -> Path:
        """Return a verified local folder of a model, for from_pretrained."""

    def access(self, kind: Kind, repo_id: str) -> dict[str, Any]:
        """Return {"revision", "gated", "licence"} after checking that the files themselves may be read."""


def token_from(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the access token from the environment, or None. It must never be logged, stored or put in an error."""
    environ = os.environ if environ is None else environ
    return next((environ[name] for name in TOKEN_VARIABLES if environ.get(name)), None)


def fetch(hub: Hub, snapshot: Snapshot, file: HubFile, folder: Path, attempts: int = 3) -> bool:
    """Bring one file to folder/path with the commit's very bytes; return False when it lay there whole already.

    Raises FoundryError when the bytes are wrong again and again; then nothing lies at folder/path.
    """
    path = folder / safe_path(snapshot, file.path)
    if path.is_file() and file.fault(path) is None:
        return False
    fault: str | None = "was not brought"
    for attempt in range(attempts):
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        hub.bring(snapshot, file, folder, attempt > 0)
        fault = file.fault(path)
        if fault is None:
            return True
        path.unlink()
    raise FoundryError(
        f"{snapshot.repo_id}: {file.path} {fault}, {attempts} times in a row.",
        "What arrives is not what the commit lists: a proxy or mirror alters or truncates it. Try another network or "
        "endpoint, then run again; nothing wrong was kept.",
    )


def safe_path(snapshot: Snapshot, path: str) -> str:
    """Return a path of a repository after checking that it stays inside. Raises FoundryError."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise FoundryError(f"{snapshot.repo_id} lists a file {path!r} that would leave its folder.", "Don't use it.")
    return path


def check_repo_id(repo_id: str) -> str:
    """Return a repository id of the form owner/name. Raises FoundryError for anything else."""
    if not _REPO_ID.fullmatch(repo_id) or ".." in repo_id:
        raise FoundryError(f"{repo_id!r} can't be a repository id.", "It has the form owner/name.")
    return repo_id


def is_commit(revision: str | None) -> bool:
    """Return whether a revision is a full commit id rather than a branch or tag."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def hash_file(path: Path) -> tuple[str, str]:
    """Return (git blob sha1, sha256) of a file, both hex, in one pass."""
    git_blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            git_blob.update(block)
            sha256.update(block)
    return git_blob.hexdigest(), sha256.hexdigest()


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


def licence_tag(card: Path) -> str | None:
    """Return the licence that a repository's README.md states in its YAML header, or None."""
    try:
        text = card.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    header = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    if header is None:
        return None
    import yaml

    try:
        found = yaml.safe_load(header.group(1))
    except yaml.YAMLError:
        return None
    licence = found.get("license") if isinstance(found, dict) else None
    if licence == "other":
        licence = found.get("license_name") or licence
    return ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence) if licence else None
