"""Who may call: named keys, of which only a hash is kept.

A key is 256 random bits, so its plain SHA-256 can't be guessed back. Gateways look at the file before they answer, and
see a new or a revoked key at once. It is replaced atomically and may be read by its owner alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.lake.durable import fsync_folder, make_folder

log = logging.getLogger("data_foundry")

CREATE = "python -m data_foundry keys create NAME"
_PREFIX = "df-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Keys(Protocol):
    """What the gateway asks about a key: whose it is, None for nobody's."""

    def caller(self, key: str | None) -> str | None: ...


@dataclass(frozen=True)
class KeyEntry:
    """A key as it is kept: whose, its SHA-256 in hex, and when it was made and revoked (UTC, ISO 8601)."""

    name: str
    sha256: str
    created: str
    revoked: str | None = None


class OneKey:
    """One key, held in memory."""

    def __init__(self, key: str, name: str) -> None:
        self._digest, self._name = _digest(key), name

    def caller(self, key: str | None) -> str | None:
        return self._name if key is not None and hmac.compare_digest(_digest(key), self._digest) else None


class Everybody:
    """No key is asked for: on a loopback address, where only this machine calls."""

    def caller(self, key: str | None) -> str | None:
        return "local"


class ApiKeys:
    """The keys in a file. Safe from several threads and processes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._active: list[tuple[bytes, str]] = []

    @classmethod
    def of(cls, settings: Settings) -> ApiKeys:
        """Return the keys of the gateways that serve a base path."""
        return cls(settings.base_path / "serving" / "api_keys.json")

    def entries(self) -> list[KeyEntry]:
        """Return all keys, the revoked ones too. Raises FoundryError for a file that can't be trusted."""
        try:
            mode = self.file.stat().st_mode
            text = self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise FoundryError(f"The API keys in {self.file} can't be read: {error}.", "Mend the file.") from None
        if mode & 0o077:
            raise FoundryError(
                f"{self.file} can be read by others than its owner.", f"chmod 600 {self.file}, and look who may have."
            )
        try:
            return [KeyEntry(**entry) for entry in json.loads(text)["keys"]]
        except (ValueError, KeyError, TypeError) as error:
            raise FoundryError(
                f"{self.file} does not hold API keys: {error}.",
                f"Put it aside and make new ones, with the gateway's own flags: {CREATE}",
            ) from None

    def active(self) -> list[KeyEntry]:
        """Return the keys that open the gateway."""
        return [entry for entry in self.entries() if entry.revoked is None]

    def create(self, name: str) -> str:
        """Make a key and return it: nothing can tell it again. Raises FoundryError for a name that is taken or odd."""
        if not _NAME.fullmatch(name):
            raise FoundryError(
                f"{name!r} can't be a key's name.", "1 to 64 letters, digits, dots, dashes and underscores."
            )
        with self._writing() as entries:
            if any(entry.name == name and entry.revoked is None for entry in entries):
                raise FoundryError(
                    f"There is a key named {name} already.",
                    f"Choose another, or, with the gateway's own flags: python -m data_foundry keys revoke {name}",
                )
            key = _PREFIX + secrets.token_urlsafe(32)
            entries.append(KeyEntry(name, _digest(key).hex(), _now()))
        return key

    def revoke(self, name: str) -> None:
        """Let a key open nothing any more. Raises FoundryError where no active key has the name."""
        with self._writing() as entries:
            places = [at for at, entry in enumerate(entries) if entry.name == name and entry.revoked is None]
            if not places:
                raise FoundryError(
                    f"No active key is named {name}.",
                    "python -m data_foundry keys list, with the gateway's own flags, shows them.",
                )
            entries[places[0]] = KeyEntry(**{**asdict(entries[places[0]]), "revoked": _now()})

    def caller(self, key: str | None) -> str | None:
        """Return whose key this is, None for nobody's. All are compared, each in constant time."""
        if key is None:
            return None
        digest, found = _digest(key), None
        for known, name in self._current():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _current(self) -> list[tuple[bytes, str]]:
        with self._lock:
            try:
                stat = self.file.stat()
                seen: tuple[int, ...] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            except OSError:
                seen = ()
            if seen != self._seen:
                self._seen = seen
                try:
                    self._active = [(bytes.fromhex(entry.sha256), entry.name) for entry in self.active()]
                except (FoundryError, ValueError) as error:
                    # Every change of ours is whole, so this is somebody's edit: who could call goes on calling.
                    log.error("API keys unchanged: %s", error)
            return self._active

    @contextmanager
    def _writing(self) -> Iterator[list[KeyEntry]]:
        make_folder(self.file.parent)
        with (self.file.parent / ".api_keys.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self.entries()
            yield entries
            beside = self.file.with_name(f".{self.file.name}.{os.getpid()}")
            beside.unlink(missing_ok=True)
            try:
                handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump({"keys": [asdict(entry) for entry in entries]}, file, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self.file)
            finally:
                beside.unlink(missing_ok=True)
            fsync_folder(self.file.parent)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
