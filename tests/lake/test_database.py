"""SQLite under the base path: one transaction or nothing, readers that leave no file, and errors that name the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import Storage
from data_foundry.errors import FoundryError
from data_foundry.lake import Database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    schema = "CREATE TABLE IF NOT EXISTS words (word TEXT NOT NULL UNIQUE);"
    return Database(tmp_path / "base" / "words.sqlite", "The list of words", schema, ("words",), Storage())


def words(database: Database) -> list[str] | None:
    with database.reading() as connection:
        return [row["word"] for row in connection.execute("SELECT word FROM words")] if connection else None


def test_reading_what_nobody_wrote_is_none_and_makes_nothing(database: Database) -> None:
    assert words(database) is None and not database.path.parent.exists()


def test_a_file_of_another_program_holds_none_of_the_tables(database: Database) -> None:
    database.path.parent.mkdir()
    sqlite3.connect(database.path).close()
    assert words(database) is None


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('one')")
    with pytest.raises(KeyboardInterrupt), database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('two')")
        raise KeyboardInterrupt
    with pytest.raises(FoundryError, match=r"The list of words .*words\.sqlite can't be used: UNIQUE"):
        with database.writing() as connection:
            connection.execute("INSERT INTO words VALUES ('three')")
            connection.execute("INSERT INTO words VALUES ('one')")
    assert words(database) == ["one"]
    assert [path.name for path in database.path.parent.iterdir()] == ["words.sqlite"]


def test_a_reader_can_not_write_and_sees_what_is_committed_while_another_writes(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('one')")
    with database.writing() as writer:
        writer.execute("INSERT INTO words VALUES ('two')")
        assert words(database) == ["one"]
    with pytest.raises(FoundryError, match="readonly"), database.reading() as reader:
        assert reader is not None
        reader.execute("INSERT INTO words VALUES ('three')")
    assert words(database) == ["one", "two"]


def test_who_makes_a_file_together_with_others_tries_again_where_sqlite_waits_for_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    class Busy(sqlite3.Connection):
        """Two that switch a file to a log at once: SQLite refuses the one without waiting, lest both wait for ever."""

        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            if sql.startswith("PRAGMA journal_mode") and len(tries) < 3:
                tries.append(sql)
                refused = sqlite3.OperationalError("database is locked")
                refused.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise refused
            return super().execute(sql, *given)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **named, factory=Busy))
    with database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('one')")
    assert (words(database), len(tries)) == (["one"], 3)


def test_what_is_whole_is_read_where_the_disk_has_no_room_for_what_readers_share(
    disk: Callable[[int], Path],
) -> None:
    base = disk(256)
    schema = "CREATE TABLE IF NOT EXISTS words (word TEXT NOT NULL UNIQUE);"
    database = Database(base / "words.sqlite", "The list of words", schema, ("words",), Storage())
    with database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('one')")
    with suppress(OSError), (base / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 1024)
    assert words(database) == ["one"]
    with pytest.raises(FoundryError, match="can't be used"), database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('two')")
    (base / "filler").unlink()
    with database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('two')")
    assert words(database) == ["one", "two"]


@pytest.mark.parametrize("beside", ["journal", "wal"])
def test_what_a_writer_that_died_was_at_is_never_read_as_what_is_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch, beside: str
) -> None:
    with database.writing() as connection:
        connection.execute("INSERT INTO words VALUES ('one')")
    database.path.with_name(f"words.sqlite-{beside}").write_bytes(b"what it was at")
    connect = sqlite3.connect

    class NoRoom(sqlite3.Connection):
        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            refused = sqlite3.OperationalError("disk I/O error")
            refused.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise refused

    def no_room(place: str, *given: Any, **named: Any) -> sqlite3.Connection:
        return connect(place, *given, **named, factory=NoRoom if place.endswith("mode=rw") else sqlite3.Connection)

    monkeypatch.setattr(sqlite3, "connect", no_room)
    with pytest.raises(FoundryError, match="disk I/O error"):
        words(database)
    database.path.with_name(f"words.sqlite-{beside}").unlink()
    assert words(database) == ["one"]
