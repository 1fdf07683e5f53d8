"""What a Hub holds: repositories by kind and id, commits, and files with sizes and hashes."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from data_foundry.errors import FoundryError
from data_foundry.hub.hashing import Digest

Kind = Literal["datasets", "models"]
TOKEN_VARIABLES = ("HUGGINGFACE_TOKEN", "HF_TOKEN")
# What may stand after "Bearer" (RFC 6750, section 2.1); anything else would break the request or be quoted in pieces.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Controls, line separators, turns of the writing direction and halves of characters; the joiners of Malayalam are fine.
_HIDING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
CARD_CHARACTERS = 1024 * 1024


class Withheld(FoundryError):
    """The repository itself can't be had: missing, renamed, gated, forbidden or disabled, while the Hub is well."""


@dataclass(frozen=True)
class HubFile:
    """One file of a commit. `sha256` is known for large files and in folders, `git_blob` (sha1) for all others.

    `xet`: the Hub offers it through its chunked storage, too.
    """

    path: str
    bytes: int
    sha256: str | None = None
    git_blob: str | None = None
    xet: bool = False

    def digest(self) -> Digest:
        """Return an empty digest that takes what the commit lists, and sha256 always."""
        return Digest(self.bytes, git=self.sha256 is None)

    def fault_of(self, digest: Digest) -> str | None:
        """Return what is wrong with the bytes that a digest has seen, or None when they are the commit's."""
        if digest.bytes != self.bytes:
            return f"has {digest.bytes} bytes instead of {self.bytes}"
        if self.sha256 is not None:
            return None if digest.sha256 == self.sha256 else f"has sha256 {digest.sha256} instead of {self.sha256}"
        if self.git_blob is not None:
            return None if digest.git_blob == self.git_blob else f"has git hash {digest.git_blob} not {self.git_blob}"
        return "has no hash in the commit to be checked against"

    def check(self, path: Path) -> tuple[str | None, str]:
        """Return (what is wrong with a copy of this file or None, its sha256), reading it once."""
        size = path.stat().st_size
        if size != self.bytes:
            return f"has {size} bytes instead of {self.bytes}", ""
        digest = self.digest().take_file(path)
        return self.fault_of(digest), digest.sha256

    def fault(self, path: Path) -> str | None:
        """Return what is wrong with a copy of this file, or None when its bytes are the commit's."""
        return self.check(path)[0]


@dataclass(frozen=True)
class Snapshot:
    """What one commit of a repository holds. `hub` is the endpoint, "folder", or "package" for what is bundled."""

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

    def resolve(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> str:
        """Return the commit a run is to use: the pinned one, else where `ref` stands; its files are not listed."""

    def snapshot(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> Snapshot:
        """Resolve the commit and list its files."""

    def bring(
        self, snapshot: Snapshot, file: HubFile, part: Path, again: bool, halt: threading.Event | None = None
    ) -> Digest:
        """Write a file's bytes to `part` and return their digest; whether they are right is for the caller to judge.

        `part` may hold the beginning from an earlier try; `again` says that what came before was wrong, and bypasses
        every cache. Once `halt` is set, it ends with Halted.
        """

    def model_folder(self, repo_id: str, revision: str | None) -> Path:
        """Return a verified local folder of a model, for from_pretrained."""

    def access(self, kind: Kind, repo_id: str, revision: str = "main") -> dict[str, Any]:
        """Check that the files themselves may be read.

        Returns {"revision", "gated", "licence", "bytes", "files", "renamed_to"} of the commit at a revision.
        """

    def account(self) -> dict[str, Any] | None:
        """Return what the Hub tells of the token (name, auth), {"status"} where it refuses it; None without one."""

    def reach(self) -> None:
        """Raise FoundryError at once where nothing answers."""


def token_from(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the access token from the environment, or None. It must never be logged, stored or put in an error.

    Raises FoundryError for what can't be a token, without showing it.
    """
    environ = os.environ if environ is None else environ
    for name in TOKEN_VARIABLES:
        if token := environ.get(name, "").strip():
            if not _TOKEN.fullmatch(token):
                raise FoundryError(
                    f"{name} holds no access token: a token is one word of ASCII letters, digits and - . _ ~ + / =, "
                    "and this value has blanks, line breaks or other characters.",
                    "Copy the token again, or unset the variable for public data.",
                )
            return token
    return None


def safe_path(repo_id: str, path: str) -> str:
    """Return a path of a repository after checking that it is plain and stays inside. Raises FoundryError."""
    plain = _HIDING.search(path) is None and "\\" not in path and path == str(PurePosixPath(path))
    if not plain or path in ("", ".") or path.startswith("/") or ".." in path.split("/"):
        raise FoundryError(f"{repo_id} lists a file {path!r} that would leave its folder or hide.", "Don't use it.")
    return path


def check_repo_id(repo_id: str) -> str:
    """Return a repository id of the form owner/name. Raises FoundryError for anything else."""
    if not _REPO_ID.fullmatch(repo_id) or ".." in repo_id:
        raise FoundryError(f"{repo_id!r} can't be a repository id.", "It has the form owner/name.")
    return repo_id


def is_commit(revision: str | None) -> bool:
    """Return whether a revision is a full commit id rather than a branch or tag."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def licence_tag(card: Path) -> str | None:
    """Return the licence that a repository's README.md states in its YAML header, or None."""
    try:
        with card.open(encoding="utf-8-sig", errors="replace") as file:
            text = file.read(CARD_CHARACTERS)
    except OSError:
        return None
    header = re.match(r"---[ \t]*\n(.*?)\n---", text, re.DOTALL)
    if header is None:
        return None
    import yaml

    try:
        # Every scalar stays the text that it is: a date that no calendar has is no reason to fail.
        found = yaml.load(header.group(1), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None
    licence = found.get("license") if isinstance(found, dict) else None
    if licence == "other":
        licence = found.get("license_name") or licence
    named = [each for each in (licence if isinstance(licence, list) else [licence]) if isinstance(each, str)]
    return ", ".join(each for each in named if each not in ("", "~", "null")) or None
