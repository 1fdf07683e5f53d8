"""The trial store: every pair and loss of every trial, on the disk when it is said to be kept, in one order for all.

One SQLite file under the base path, written by every gateway. What is kept has a sequence, and sequences grow in the
order of commits: who reads up to one has seen all that came before, so every gateway that judges a trial judges the
same observations in the same order. What a disk refuses is lost and said to be; callers get their answers all the same.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.lake import Database, Lake
from data_foundry.lake.database import transaction
from data_foundry.serving.trials.trial import Losses, Pair, Side

log = logging.getLogger("data_foundry")

FILE = Path("serving", "trials.sqlite")
BUSY_SECONDS = 5.0
CHUNK = 5000
HINT = (
    "Nothing is kept meanwhile, so nothing is judged; callers are answered. Free the disk or end what holds the file; "
    "one that is damaged is moved away while no gateway runs, and the trials begin again."
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS observations (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, trial TEXT NOT NULL, call TEXT NOT NULL, at REAL NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('pair', 'losses')),
  incumbent_ms REAL, incumbent_error TEXT, incumbent_confidence REAL,
  candidate_ms REAL, candidate_error TEXT, candidate_confidence REAL,
  disagreement REAL CHECK (disagreement BETWEEN 0 AND 1),
  incumbent_loss REAL CHECK (incumbent_loss BETWEEN 0 AND 1),
  candidate_loss REAL CHECK (candidate_loss BETWEEN 0 AND 1),
  CHECK (kind = 'pair' OR (incumbent_loss IS NOT NULL AND candidate_loss IS NOT NULL)),
  UNIQUE (trial, call, kind));
CREATE INDEX IF NOT EXISTS observations_of_a_trial ON observations (trial, sequence);
"""

Observation = Pair | Losses


class TrialStore:
    """The observations under one base path, or in the file `path`. Opening it writes nothing; the first one makes it.

    Safe from many threads and processes. Keeping one waits for the disk, at most some seconds for another writer: never
    call it where a caller waits.
    """

    def __init__(self, lake: Lake, path: Path | None = None) -> None:
        self.path = path or lake.base_path / FILE
        self._database = Database(
            self.path, "The trial store", SCHEMA, ("observations",), lake.storage, hint=HINT, busy_seconds=BUSY_SECONDS
        )
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self.fault: str | None = None
        """Why the latest observation was not kept; None where it was."""
        self.unkept = 0
        """How many observations were lost since this store was opened."""

    def keep(self, *observations: Observation) -> bool:
        """Keep observations, all or none: True when they lie on the disk. The first of a (trial, call) counts.

        False, with `fault`, where the disk refuses. Raises nothing that a disk can cause.
        """
        with self._lock:
            try:
                with self._database.clear_errors():
                    writer = self._open_writer()
                    with transaction(writer):
                        for observation in observations:
                            writer.execute(*_insertion(observation))
            except (FoundryError, OSError) as error:
                self._let_go()
                self.unkept += len(observations)
                fault = error.message if isinstance(error, FoundryError) else f"{self.path}: {error}"
                if fault != self.fault:
                    log.error("trials are not kept: %s", fault)
                self.fault = fault
                return False
            if self.fault is not None:
                log.warning("trials are kept again, after %d observations were lost", self.unkept)
                self.fault = None
            return True

    def observations(self, trial: str, after: int = 0) -> Iterator[tuple[int, Observation]]:
        """Yield (sequence, pair or losses) of a trial, in their order. Raises FoundryError for a damaged file."""
        while True:
            with self._database.reading() as connection:
                query = "SELECT * FROM observations WHERE trial = ? AND sequence > ? ORDER BY sequence LIMIT ?"
                rows = connection.execute(query, (trial, after, CHUNK)).fetchall() if connection else []
            yield from ((row["sequence"], _observation(row)) for row in rows)
            if len(rows) < CHUNK:
                return
            after = rows[-1]["sequence"]

    def file(self) -> tuple[int, int] | None:
        """Return which file lies there now, None for none: in another one sequences begin again."""
        return _identity(self.path)

    def counts(self) -> dict[str, dict[str, float]]:
        """Return, for every trial, how many pairs and losses are kept, and when the last one was made (Unix time)."""
        with self._database.reading() as connection:
            query = (
                "SELECT trial, sum(kind = 'pair') pairs, sum(kind = 'losses') losses, max(at) last"
                " FROM observations GROUP BY trial"
            )
            rows = connection.execute(query).fetchall() if connection else []
            return {row["trial"]: {name: row[name] for name in ("pairs", "losses", "last")} for row in rows}

    def prune(self, standing: Collection[str], before: float) -> int:
        """Delete the trials that do not stand and whose last observation is of before a Unix time; return how many
        observations went. Writes nothing where there are none. Raises FoundryError."""
        gone = [trial for trial, kept in self.counts().items() if trial not in standing and kept["last"] < before]
        deleted = 0
        for trial in gone:
            # In small transactions: other gateways want to write meanwhile.
            while True:
                with self._database.writing() as connection:
                    some = "SELECT sequence FROM observations WHERE trial = ? LIMIT ?"
                    delete = f"DELETE FROM observations WHERE sequence IN ({some})"
                    found = connection.execute(delete, (trial, CHUNK)).rowcount
                deleted += found
                if found < CHUNK:
                    break
        return deleted

    def close(self) -> None:
        """Let the file go; the next observation opens it again."""
        with self._lock:
            self._let_go()

    def _open_writer(self) -> sqlite3.Connection:
        """Return the connection that is held open, to the file that lies there now: it may have been moved away."""
        if self._writer is not None and self._file != _identity(self.path):
            self._let_go()
        if self._writer is None:
            self._writer = self._database.open()
            self._file = _identity(self.path)
        return self._writer

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _insertion(observation: Observation) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {"trial": observation.trial, "call": observation.call, "at": observation.at}
    if isinstance(observation, Losses):
        losses = {"incumbent_loss": observation.incumbent, "candidate_loss": observation.candidate}
        values |= {"kind": "losses", **losses}
    else:
        values |= {"kind": "pair", "disagreement": observation.disagreement}
        for name, side in (("incumbent", observation.incumbent), ("candidate", observation.candidate)):
            figures = {"ms": side.milliseconds, "error": side.error, "confidence": side.confidence}
            values |= {f"{name}_{figure}": value for figure, value in figures.items()}
    columns, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    insert = f"INSERT INTO observations ({columns}) VALUES ({places}) ON CONFLICT (trial, call, kind) DO NOTHING"
    return insert, values


def _observation(row: sqlite3.Row) -> Observation:
    if row["kind"] == "losses":
        return Losses(row["trial"], row["call"], row["at"], row["incumbent_loss"], row["candidate_loss"])
    incumbent, candidate = (
        Side(row[f"{name}_ms"], row[f"{name}_error"], row[f"{name}_confidence"]) for name in ("incumbent", "candidate")
    )
    return Pair(row["trial"], row["call"], row["at"], incumbent, candidate, row["disagreement"])
