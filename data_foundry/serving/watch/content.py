"""What callers said and what was answered, kept for a while, only where the settings ask for it.

Texts alone, with personal data behind placeholders (preprocessing/content): numbers of telephones, cards, accounts and
identity papers, addresses of mail and payment; names of people and places are not found and stay. Audio is never kept:
what a recording says can't be masked. A text that can't be masked is not kept.

What is older than `rollout.content_days` is deleted at the gateway's start and every hour, and where the setting is
false all of it is, at the start. Deleting overwrites: SQLite zeroes what it frees (secure_delete) and the file is
written anew without it (VACUUM), so the bytes are in the file no more. What a file system, a disk or a backup keeps of
blocks that a file no longer has is beyond this program.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_foundry.config import Settings
from data_foundry.lake import Lake

DAY_SECONDS = 86_400.0
SWEEP_SECONDS = 3600.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS content (
  at REAL NOT NULL, source TEXT NOT NULL, adapter TEXT NOT NULL, version TEXT NOT NULL, said TEXT, answered TEXT);
CREATE INDEX IF NOT EXISTS content_by_time ON content (at);
"""


class Kept(NamedTuple):
    """One call's texts: `said` None where the caller spoke and no text was given, `answered` None for no text."""

    at: float
    source: str
    adapter: str
    version: str
    said: str | None
    answered: str | None


def content_path(lake: Lake) -> Path:
    """Return where kept content lies."""
    return lake.base_path / "serving" / "content.sqlite"


class KeptContent:
    """The kept texts under one base path; used from one thread. Methods raise sqlite3.Error and OSError."""

    def __init__(self, settings: Settings) -> None:
        self.path = content_path(Lake(settings))
        self.keeps = settings.rollout.keep_content
        self.days = settings.rollout.content_days
        # Masked whatever phase 2 is told to do with texts of public datasets.
        self._checks = settings.content.model_copy(update={"mask_personal_data": True})
        self._mask = None if not self.keeps else self._masker()
        self._connection: sqlite3.Connection | None = None

    def keep(self, calls: Sequence[Kept]) -> None:
        """Store calls, masked; nothing where the settings don't ask for it."""
        if not self.keeps or not calls:
            return
        rows = [call._replace(said=self.masked(call.said), answered=self.masked(call.answered)) for call in calls]
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT INTO content VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def masked(self, text: str | None) -> str | None:
        """Return a text with its personal data masked."""
        return text if text is None or self._mask is None else self._mask(text)

    def sweep(self, now: float) -> int:
        """Delete what expired, or everything where nothing is to be kept; return how many calls went."""
        if not self.path.exists():
            return 0
        before = now - self.days * DAY_SECONDS if self.keeps else float("inf")
        connection = self._open()
        gone = connection.execute("DELETE FROM content WHERE at < ?", (before,)).rowcount
        # Pages that are free without a deletion now are of a sweep that was cut off before it wrote the file anew.
        if gone or connection.execute("PRAGMA freelist_count").fetchone()[0]:
            connection.execute("VACUUM")
        return gone

    def read(self) -> list[Kept]:
        """Return what is kept, oldest first."""
        if not self.path.exists():
            return []
        return [Kept(*row) for row in self._open().execute("SELECT * FROM content ORDER BY at, rowid")]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _masker(self):  # type: ignore[no-untyped-def]
        from data_foundry.preprocessing.content.reviewer import Reviewer

        return Reviewer(self._checks).masked_raw

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # For this user alone, from its first byte on.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(self.path, timeout=5.0, isolation_level=None)
            # A write-ahead log would hold what was deleted; the rollback journal goes with each transaction.
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("PRAGMA temp_store = MEMORY")
            self._connection.executescript(_SCHEMA)
        return self._connection
