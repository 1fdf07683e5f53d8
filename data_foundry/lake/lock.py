"""The lake's lock: one writing run at a time, on one machine or on several that share a file system."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.lake.durable import naming, write_through

LEASE_SECONDS = 120.0
"""A lease whose heartbeat is older has no living holder."""

log = logging.getLogger("data_foundry")


class LeaseLost(FoundryError):
    """Another run took the lease, or nobody could tell that this one still lives: it must stop writing."""


@contextmanager
def hold(path: Path, purpose: str, *, shared: bool) -> Iterator[None]:
    """Hold a lock file, or where a file system's locks do not cross machines (`shared`) a lease beside it.

    A process whose parent holds it already holds it through the parent. Raises FoundryError, naming the holder, when
    another run has it.
    """
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "purpose": purpose,
        "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    with _lease(path.with_suffix(".lease"), owner) if shared else _file_lock(path, owner):
        yield


@contextmanager
def _file_lock(path: Path, owner: dict[str, Any]) -> Iterator[None]:
    """The operating system lets the lock go when its process dies, so it is never stale."""
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = _owner(file.read())
            if _is_parent(holder):
                end_with(os.getppid())
                yield
                return
            raise _busy(path, holder) from None
        except OSError as error:
            raise FoundryError(
                f"{path} can't be locked: {error}.", "On a network file system set storage.type to shared."
            ) from None
        with naming(path):
            file.truncate(0)
            file.write(json.dumps(owner))
            file.flush()
        yield
        file.truncate(0)


@contextmanager
def _lease(path: Path, owner: dict[str, Any]) -> Iterator[None]:
    """A lease file with a heartbeat: it is there with its owner's token from the first moment, or not at all."""
    holder = _read(path)
    if holder is not None and _is_parent(holder):
        end_with(os.getppid())
        yield
        return
    token = f"{os.getpid()}-{os.urandom(8).hex()}"
    own = path.with_name(f"{path.name}.{token}")
    try:
        write_through(own, json.dumps({**owner, "token": token}))
        if not _take(path, own):
            raise _busy(path, _read(path) or {})
        for leftover in path.parent.glob(f"{path.name}.*"):
            if _stale(leftover, own):
                leftover.unlink(missing_ok=True)
    finally:
        own.unlink(missing_ok=True)
    heartbeat = _Heartbeat(path, token)
    heartbeat.start()
    try:
        try:
            yield
        except KeyboardInterrupt:
            # The heartbeat ends the run with a signal; who ended it is told here.
            if heartbeat.loss is None:
                raise
        # Here too where the run took the signal for its user's and ended in order.
        if heartbeat.loss:
            raise heartbeat.loss from None
    finally:
        heartbeat.ended.set()
        heartbeat.join()
        if (_read(path) or {}).get("token") == token:
            path.unlink(missing_ok=True)


def _take(path: Path, own: Path) -> bool:
    """Link the lease into place; a stale one is taken away first, by one process alone."""
    if _link(own, path):
        return True
    if not _stale(path, own):
        return False
    # Between seeing that a lease is stale and removing it another process may have put a fresh one there, so only the
    # holder of this second file removes leases, and looks again before it does.
    takeover = path.with_name(f"{path.name}.takeover")
    if not _link(own, takeover):
        if _stale(takeover, own):
            takeover.unlink(missing_ok=True)  # Its process died in the middle; the next try finds the way free.
        return False
    try:
        if _stale(path, own):
            path.unlink(missing_ok=True)
        return _link(own, path)
    finally:
        takeover.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        raise FoundryError(
            f"{target} can't be linked: {error}.", "storage.type shared needs a file system with hard links."
        ) from None
    return True


def _stale(path: Path, own: Path) -> bool:
    """Whether a heartbeat stopped long ago, by the clock of the file system, which is the same for every machine."""
    try:
        beaten = path.stat().st_mtime
    except FileNotFoundError:
        return False
    os.utime(own)
    return own.stat().st_mtime - beaten > LEASE_SECONDS


class _Heartbeat(threading.Thread):
    """Renews a lease while it is its own, and ends the run when it is not any more."""

    def __init__(self, path: Path, token: str) -> None:
        super().__init__(daemon=True)
        self.path, self.token = path, token
        self.ended = threading.Event()
        self.loss: LeaseLost | None = None

    def run(self) -> None:
        renewed = time.monotonic()
        while not self.ended.wait(LEASE_SECONDS / 6):
            try:
                holder = _owner(self.path.read_text(encoding="utf-8"))
                if holder.get("token") != self.token:
                    return self._end_run(f"{_described(holder)} took it")
                os.utime(self.path)
                renewed = time.monotonic()
            except FileNotFoundError:
                return self._end_run("someone removed it")
            except OSError as error:
                log.warning("%s can't be renewed: %s", self.path, error)
                if time.monotonic() - renewed > LEASE_SECONDS / 2:
                    return self._end_run(f"it could not be renewed: {error}")

    def _end_run(self, why: str) -> None:
        self.loss = LeaseLost(
            f"This run lost its lease {self.path}: {why}.",
            "It stopped writing. Run the same command again when the other run has ended.",
        )
        log.error("%s", self.loss.message)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def end_with(parent: int) -> None:
    """Let this process end at once when its parent is gone: an orphan would go on writing into a lake that the next
    run believes to be its own."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _read(path: Path) -> dict[str, Any] | None:
    with suppress(FileNotFoundError):
        return _owner(path.read_text(encoding="utf-8", errors="replace"))
    return None


def _owner(text: str) -> dict[str, Any]:
    try:
        owner = json.loads(text)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _is_parent(holder: dict[str, Any]) -> bool:
    return holder.get("pid") == os.getppid() and holder.get("host") == socket.gethostname()


def _described(holder: dict[str, Any]) -> str:
    if not holder:
        return "a run that has only begun or just ended"
    told = {name: holder.get(name, "unknown") for name in ("purpose", "pid", "host", "since", "command")}
    return "{purpose}, process {pid} on {host}, since {since}: {command}".format(**told)


def _busy(path: Path, holder: dict[str, Any]) -> FoundryError:
    return FoundryError(
        f"Another run is writing to this lake: {_described(holder)}.",
        f"Wait until it ends, or give another --base-path. The lock is {path}.",
    )
