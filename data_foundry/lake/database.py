"""SQLite files under the base path: one writer at a time, and reading that leaves no file behind."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from data_foundry.config import Storage
from data_foundry.errors import FoundryError

ERROR_HINT = "Check the disk and that no other process holds it; a damaged file must come back from a backup."


class Database:
    """One SQLite file. `name` is what errors call it, `schema` makes what is not there yet, `tables` are its tables.

    `busy_seconds`: how long to wait for another writer.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        schema: str,
        tables: tuple[str, ...],
        storage: Storage,
        *,
        hint: str = ERROR_HINT,
        busy_seconds: float = 30.0,
    ) -> None:
        self.path, self.name, self.hint = path, name, hint
        self._schema, self._tables, self._busy_seconds = schema, tables, busy_seconds
        # A write-ahead log needs memory that its readers share, which a network file system does not give.
        self._journal = "WAL" if storage.type == "local" else "DELETE"

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open the file, make it where it is not there, and hold one transaction: all of it or nothing, durable."""
        with self.clear_errors(), closing(self.open()) as connection, transaction(connection):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """One consistent view, or None where nothing was ever written. Leaves no file behind."""
        if not self.path.exists():
            yield None
            return
        # A connection that may write tidies the log away when it closes; a read-only one would leave it lying.
        writable = os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        # An immutable file is read without its log: changes that still lie there would not be seen.
        logged = self.path.with_name(f"{self.path.name}-wal").exists()
        mode = "rw" if writable else "ro" if logged else "ro&immutable=1"
        with self.clear_errors(self._log_hint() if mode == "ro" else self.hint), closing(self._reader(mode)) as found:
            found.execute("PRAGMA query_only = ON")
            found.execute("BEGIN")
            names = {row[0] for row in found.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            yield found if names.issuperset(self._tables) else None
            found.execute("COMMIT")

    def _reader(self, mode: str) -> sqlite3.Connection:
        """Return a connection that reads; a full disk has no room for what readers of a log share."""
        found = self.connect(mode)
        try:
            found.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.OperationalError as error:
            found.close()
            # Without a lock nothing may lie beside it: changes in a log, or what a writer that died was at.
            beside = [self.path.with_name(f"{self.path.name}-{kind}") for kind in ("wal", "journal")]
            whole = self._journal == "WAL" and not any(each.exists() and each.stat().st_size for each in beside)
            full = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
            if mode != "rw" or not full or not whole:
                raise
            found = self.connect("ro&immutable=1")
        return found

    def open(self) -> sqlite3.Connection:
        """Return a connection that writes, each commit durable, after making what is missing; the caller closes it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self.connect("rwc")
        try:
            until = time.monotonic() + self._busy_seconds
            while True:
                try:
                    connection.execute(f"PRAGMA journal_mode = {self._journal}")
                    break
                except sqlite3.OperationalError as error:
                    # Who makes the file at the same time is not waited for by SQLite itself.
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                        raise
                    time.sleep(0.01)
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def connect(self, mode: str) -> sqlite3.Connection:
        """Return a bare connection, its rows named; `mode` as in SQLite's URIs. Threads that share it take turns."""
        uri, wait = f"{self.path.as_uri()}?mode={mode}", self._busy_seconds
        connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    @contextmanager
    def clear_errors(self, hint: str | None = None) -> Iterator[None]:
        """Raise what SQLite raises as a FoundryError that names the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise FoundryError(f"{self.name} {self.path} can't be used: {error}.", hint or self.hint) from error

    def _log_hint(self) -> str:
        return (
            f"Its latest changes still lie in {self.path.name}-wal, and who may not write there can't read them: let a "
            "user who may write there read it once, which brings them in."
        )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the one writer's lock; commit at the end, roll back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
