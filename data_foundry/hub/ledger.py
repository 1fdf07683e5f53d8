"""What all workers of a run share about a Hub: the retries spent, and until when it asked to be left alone."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Set once by the run's first process and inherited by its workers, so that a run never counts on an earlier one's
# retries: neither after kill -9 nor with a process id that came round again.
RUN_VARIABLE = "FOUNDRY_HUB_RUN"
ENTRY_BYTES = 160


def run_id() -> str:
    """Return what names this run in all its processes."""
    return os.environ.setdefault(RUN_VARIABLE, uuid.uuid4().hex)


class Ledger:
    """Counts retries and keeps the cool-down of one run, across processes through a locked file of a few bytes.

    Without a `file`, or where none can be written, the counts are this process's own.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.run = run_id()
        self._own = {"run": self.run, "spent": 0, "cool_until": 0.0}
        self._lock = threading.Lock()

    def spend(self, budget: int) -> bool:
        """Take one retry from the run's budget; return False when none is left."""
        with self._entry() as entry:
            if entry["spent"] >= budget:
                return False
            entry["spent"] += 1
            return True

    def spent(self) -> int:
        """Return how many retries the run has spent."""
        return int(self._read()["spent"])

    def cool_down(self, until: float) -> None:
        """Have every worker of the run wait until a time (seconds since 1970)."""
        with self._entry() as entry:
            entry["cool_until"] = max(entry["cool_until"], until)

    def cool_until(self) -> float:
        """Return until when the run's workers are to wait; in the past when they need not."""
        return float(self._read()["cool_until"])

    def _read(self) -> dict[str, Any]:
        if self.file is None or not self.file.exists():
            return self._own
        with self._entry() as entry:
            return dict(entry)

    @contextmanager
    def _entry(self) -> Iterator[dict[str, Any]]:
        """Hold the run's entry: what is changed in it is kept."""
        with self._lock:
            handle = self._open()
            if handle is None:
                yield self._own
                return
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                entry = self._parsed(os.pread(handle, 4096, 0))
                before = dict(entry)
                yield entry
                if entry != before:
                    self._write(handle, entry)
            finally:
                os.close(handle)

    def _open(self) -> int | None:
        if self.file is None:
            return None
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            # A ledger is no reason to fail: a disk that can't be written to shows itself where data is written.
            self.file = None
            return None

    def _write(self, handle: int, entry: dict[str, Any]) -> None:
        """Write the entry over the old one, which is of the same length; on a full disk this process keeps it."""
        try:
            os.pwrite(handle, json.dumps(entry).encode().ljust(ENTRY_BYTES), 0)
            os.ftruncate(handle, ENTRY_BYTES)
        except OSError:
            self.file, self._own = None, entry

    def _parsed(self, text: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(text)
            if entry["run"] == self.run:
                return {"run": self.run, "spent": int(entry["spent"]), "cool_until": float(entry["cool_until"])}
        except (ValueError, KeyError, TypeError):
            pass
        return {"run": self.run, "spent": 0, "cool_until": 0.0}
