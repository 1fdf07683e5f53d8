"""What gateways counted, durable: calls by the minute, and the shape of what was said by the hour.

One SQLite file under the base path, that any number of gateways write to and anybody reads. A gateway counts in memory
and writes every `FLUSH_SECONDS` the whole figures of the minutes and hours that changed, each row its own, so a row
written twice is right, a disk that was full for a while loses nothing, and a kill loses at most what was counted since
the last flush. Rows hold names of adapters and versions, numbers, and labels of answers: no text and no id of a call.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_foundry.lake import Database, Lake
from data_foundry.lake.database import transaction
from data_foundry.serving.watch.buckets import bucket

FLUSH_SECONDS = 2.0
"""What a kill can lose."""
SILENT_SECONDS = 10.0
"""A gateway that wrote nothing for so long is gone, or its disk is."""
KEEP_MINUTES = 48 * 60
"""Minutes older than this are added up to hours, of all gateways together."""
KEEP_HOURS = 400 * 24
KEEP_SHAPE_HOURS = KEEP_GATEWAY_HOURS = 30 * 24
FOLDED = "folded"
NO_ADAPTER = "none"
"""Stands for the adapter where requests are counted by the error that they were answered with, whatever they asked."""
BUSY_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS gateways (
  gateway TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, source TEXT NOT NULL,
  started REAL NOT NULL, heard REAL NOT NULL, closed REAL, state TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS gateways_by_time ON gateways (heard);
CREATE TABLE IF NOT EXISTS tallies (
  gateway TEXT NOT NULL, source TEXT NOT NULL, adapter TEXT NOT NULL, version TEXT NOT NULL, minute INTEGER NOT NULL,
  span INTEGER NOT NULL, calls INTEGER NOT NULL, fallbacks INTEGER NOT NULL, failures TEXT NOT NULL,
  latencies TEXT NOT NULL, PRIMARY KEY (minute, adapter, version, gateway, source)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shapes (
  gateway TEXT NOT NULL, adapter TEXT NOT NULL, version TEXT NOT NULL, feature TEXT NOT NULL, hour INTEGER NOT NULL,
  counts TEXT NOT NULL, PRIMARY KEY (hour, adapter, feature, version, gateway)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reference_shapes (
  key TEXT PRIMARY KEY, made REAL NOT NULL, content TEXT NOT NULL);
"""
_TABLES = ("gateways", "tallies", "shapes", "reference_shapes")
_HINT = "They are counts, no stage depends on them: move the file away, and the gateway begins a new one."


@dataclass
class Tally:
    """Calls of one version in one stretch of time: answered `calls`, of which `fallbacks` in another's place."""

    calls: int = 0
    fallbacks: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        return self.failures.total()

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.fallbacks += other.fallbacks
        self.failures.update(other.failures)
        self.latencies.update(other.latencies)


@dataclass(frozen=True)
class Heard:
    """A gateway that wrote here; times are seconds since 1970, `closed` None while it was not closed in order.

    `state` is what its routes, mirrors and trials said last, JSON-like, and the `address` at which others reach it.
    """

    gateway: str
    host: str
    pid: int
    source: str
    started: float
    heard: float
    closed: float | None
    state: Mapping[str, Any]

    def running(self, now: float, silent_seconds: float = SILENT_SECONDS) -> bool:
        """Return whether it wrote lately, was not closed, and, on this host, its process lives."""
        lately = self.closed is None and now - self.heard <= silent_seconds
        return lately and (self.host != socket.gethostname() or _lives(self.pid))


Slot = tuple[str, str, int]
"""Adapter, version, and the minute (or hour) since 1970."""
ShapeSlot = tuple[str, str, str, int]
"""Adapter, version, feature, hour."""


def tallies_path(lake: Lake) -> Path:
    """Return where the tallies lie."""
    return lake.base_path / "serving" / "tallies.sqlite"


class TallyWriter:
    """One gateway's counts on their way to the disk; used from one thread. `fault` says why the disk has them not."""

    def __init__(self, lake: Lake, gateway: str, source: str, started: float) -> None:
        self.gateway, self.source, self.started = gateway, source, started
        self.fault: str | None = None
        self._database = _database(lake)
        self._connection: sqlite3.Connection | None = None
        self._tallies: dict[Slot, Tally] = defaultdict(Tally)
        self._shapes: dict[ShapeSlot, Counter[str]] = defaultdict(Counter)
        self._changed: set[Slot | ShapeSlot] = set()
        # Slots that hold all there is of them; of any other the disk may hold a part.
        self._whole: set[Slot | ShapeSlot] = set()

    def answered(self, adapter: str, version: str, at: float, milliseconds: float, fallback: bool) -> None:
        """Count an answered call."""
        tally = self._tally(adapter, version, at)
        tally.calls += 1
        tally.fallbacks += fallback
        tally.latencies[bucket(milliseconds)] += 1

    def failed(self, adapter: str, version: str, at: float, kind: str, count: int = 1) -> None:
        """Count calls without an answer, of one minute."""
        self._tally(adapter, version, at).failures[kind] += count

    def shape(self, adapter: str, version: str, feature: str, at: float, place: str) -> None:
        """Count what a call looked like: the bucket of one feature that it fell into."""
        slot = (adapter, version, feature, int(at // 3600))
        self._shapes[slot][place] += 1
        self._changed.add(slot)

    def flush(self, now: float, state: Mapping[str, Any] | None = None, *, closed: bool = False) -> bool:
        """Write what changed, and that this gateway is there with this state.

        False where the disk did not take it: `fault` says why; it stays in memory and is written with the next flush.
        """
        try:
            with self._writing() as connection:
                connection.execute(
                    "INSERT INTO gateways VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (gateway) DO UPDATE SET"
                    " heard = excluded.heard, closed = excluded.closed, state = excluded.state",
                    (self.gateway, socket.gethostname(), os.getpid(), self.source, self.started, now,
                     now if closed else None, json.dumps(state or {}, ensure_ascii=False, default=str)),
                )  # fmt: skip
                for slot in self._changed:
                    if len(slot) == 4:
                        self._write_shape(connection, slot)
                    else:
                        self._write_tally(connection, slot)
        except (OSError, sqlite3.Error) as error:
            self.fault = f"{type(error).__name__}: {error}"
            self._drop_connection()
            return False
        self.fault = None
        self._changed.clear()
        # What is over changes no more, unless the clock goes back or a call was counted late.
        self._tallies = defaultdict(Tally, {s: t for s, t in self._tallies.items() if s[2] >= now // 60 - 1})
        self._shapes = defaultdict(Counter, {s: c for s, c in self._shapes.items() if s[3] >= now // 3600 - 1})
        self._whole &= self._tallies.keys() | self._shapes.keys()
        return True

    def keep_reference(self, key: str, content: Mapping[str, Any], now: float) -> None:
        """Store what was computed of training rows. Raises sqlite3.Error and OSError as the disk does."""
        with self._writing() as connection:
            text = json.dumps(content, ensure_ascii=False, sort_keys=True)
            connection.execute("INSERT OR REPLACE INTO reference_shapes VALUES (?, ?, ?)", (key, now, text))

    def fold(self, now: float) -> None:
        """Add old minutes up to hours and let go of what is too old. Raises sqlite3.Error and OSError."""
        oldest = int(now // 60) - KEEP_MINUTES
        oldest -= oldest % 60
        with self._writing() as connection:
            sums: dict[tuple[str, str, str, int], Tally] = defaultdict(Tally)
            for row in connection.execute("SELECT * FROM tallies WHERE minute < ? AND span = 1", (oldest,)):
                sums[row["source"], row["adapter"], row["version"], row["minute"] // 60 * 60].add(_tally_of(row))
            connection.execute("DELETE FROM tallies WHERE minute < ? AND span = 1", (oldest,))
            for (source, adapter, version, hour), tally in sums.items():
                for row in connection.execute(
                    "SELECT * FROM tallies WHERE minute = ? AND adapter = ? AND version = ? AND gateway = ?"
                    " AND source = ?", (hour, adapter, version, FOLDED, source),
                ):  # fmt: skip
                    tally.add(_tally_of(row))
                _insert(connection, FOLDED, source, adapter, version, hour, 60, tally)
            connection.execute("DELETE FROM tallies WHERE minute < ?", (int(now // 60) - KEEP_HOURS * 60,))
            connection.execute("DELETE FROM shapes WHERE hour < ?", (int(now // 3600) - KEEP_SHAPE_HOURS,))
            connection.execute("DELETE FROM gateways WHERE heard < ?", (now - KEEP_GATEWAY_HOURS * 3600,))

    def close(self, now: float, state: Mapping[str, Any] | None = None) -> None:
        """Write what is left, say that this gateway closed, and close the file."""
        self.flush(now, state, closed=True)
        self._drop_connection()

    def _tally(self, adapter: str, version: str, at: float) -> Tally:
        slot = (adapter, version, int(at // 60))
        self._changed.add(slot)
        return self._tallies[slot]

    def _write_tally(self, connection: sqlite3.Connection, slot: Slot) -> None:
        adapter, version, minute = slot
        if slot not in self._whole:
            for row in connection.execute(
                "SELECT * FROM tallies WHERE minute = ? AND adapter = ? AND version = ? AND gateway = ? AND source = ?",
                (minute, adapter, version, self.gateway, self.source),
            ):
                self._tallies[slot].add(_tally_of(row))
            self._whole.add(slot)
        _insert(connection, self.gateway, self.source, adapter, version, minute, 1, self._tallies[slot])

    def _write_shape(self, connection: sqlite3.Connection, slot: ShapeSlot) -> None:
        adapter, version, feature, hour = slot
        if slot not in self._whole:
            for row in connection.execute(
                "SELECT counts FROM shapes"
                " WHERE hour = ? AND adapter = ? AND feature = ? AND version = ? AND gateway = ?",
                (hour, adapter, feature, version, self.gateway),
            ):
                self._shapes[slot].update(json.loads(row["counts"]))
            self._whole.add(slot)
        connection.execute(
            "INSERT OR REPLACE INTO shapes VALUES (?, ?, ?, ?, ?, ?)",
            (self.gateway, adapter, version, feature, hour, json.dumps(self._shapes[slot], ensure_ascii=False)),
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            self._connection = self._database.open()
        with transaction(self._connection):
            yield self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class TallyReader:
    """What lies in the tallies, from all gateways together; empty where no gateway ever wrote. Writes nothing."""

    def __init__(self, lake: Lake) -> None:
        self._database = _database(lake)

    def gateways(self, since: float = 0.0, live: int = 0) -> list[Heard]:
        """Return the gateways heard of `since` (seconds since 1970), the latest last, and the `live` latest anyway."""
        rows = self._rows(
            "SELECT * FROM gateways WHERE heard >= ? OR gateway IN"
            " (SELECT gateway FROM gateways WHERE source = 'live' ORDER BY heard DESC LIMIT ?) ORDER BY heard",
            (since, live),
        )
        return [Heard(**{**dict(row), "state": json.loads(row["state"])}) for row in rows]

    def by_minute(self, since_minute: int, source: str = "live") -> dict[tuple[str, str, int], Tally]:
        """Return tallies by adapter, version and minute (the first of the hour, where minutes were added up)."""
        found: dict[tuple[str, str, int], Tally] = defaultdict(Tally)
        query = "SELECT * FROM tallies WHERE minute >= ? AND source = ?"
        for row in self._rows(query, (since_minute, source)):
            found[row["adapter"], row["version"], row["minute"]].add(_tally_of(row))
        return dict(found)

    def shapes(self, since_hour: int) -> dict[tuple[str, str, str], Counter[str]]:
        """Return what calls looked like: counts by adapter, version and feature."""
        found: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
        for row in self._rows("SELECT * FROM shapes WHERE hour >= ?", (since_hour,)):
            found[row["adapter"], row["version"], row["feature"]].update(json.loads(row["counts"]))
        return dict(found)

    def reference(self, key: str) -> dict[str, Any] | None:
        """Return what was computed of training rows under a key."""
        for row in self._rows("SELECT content FROM reference_shapes WHERE key = ?", (key,)):
            content: dict[str, Any] = json.loads(row["content"])
            return content
        return None

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[sqlite3.Row]:
        with self._database.reading() as connection:
            return connection.execute(query, values).fetchall() if connection else []


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _database(lake: Lake) -> Database:
    return Database(tallies_path(lake), "The file of tallies", _SCHEMA, _TABLES, lake.storage, hint=_HINT,
                    busy_seconds=BUSY_SECONDS)  # fmt: skip


def _insert(
    connection: sqlite3.Connection, gateway: str, source: str, adapter: str, version: str, minute: int, span: int,
    tally: Tally,
) -> None:  # fmt: skip
    connection.execute(
        "INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (gateway, source, adapter, version, minute, span, tally.calls, tally.fallbacks, json.dumps(tally.failures),
         json.dumps(tally.latencies)),
    )  # fmt: skip


def _tally_of(row: sqlite3.Row) -> Tally:
    latencies = {int(place): count for place, count in json.loads(row["latencies"]).items()}
    failures = Counter(json.loads(row["failures"]))
    return Tally(row["calls"], row["fallbacks"], failures, Counter(latencies))
