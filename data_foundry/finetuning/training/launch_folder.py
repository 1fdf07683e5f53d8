"""What a launched training and its processes tell each other, as files in a folder of theirs."""

from __future__ import annotations

import json
import pickle
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class LaunchPlan:
    """How many processes run where; `logs` is the folder of their logs, `log_file` the run's own log."""

    parent: int
    processes: int
    threads: int
    device: Literal["cpu", "cuda"]
    logs: str
    log_file: str | None


@dataclass(frozen=True)
class LaunchFolder:
    """The folder; what it holds is pickled by and for processes of one run, and gone with it."""

    path: Path

    @property
    def rendezvous(self) -> Path:
        """Where the ranks find each other."""
        return self.path / "rendezvous"

    @property
    def launcher_rendezvous(self) -> Path:
        return self.path / "launcher_rendezvous"

    def begin(self, plan: LaunchPlan, job: object) -> None:
        """Write down what is to be done."""
        (self.path / "plan.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")
        self._write("job.pickle", job)

    def plan(self) -> LaunchPlan:
        return LaunchPlan(**json.loads((self.path / "plan.json").read_text(encoding="utf-8")))

    def job(self) -> Any:
        return pickle.loads((self.path / "job.pickle").read_bytes())

    def finish(self, record: object) -> None:
        self._write("record.pickle", record)

    def record(self) -> Any:
        """Return what the first rank left, None where it left nothing."""
        file = self.path / "record.pickle"
        return pickle.loads(file.read_bytes()) if file.is_file() else None

    def fail(self, rank: int, error: Exception | None) -> None:
        """Say that a rank failed, and now; an `error` is kept for the process that started the ranks to raise."""
        self._write(f"failed-{rank}.pickle", (time.time(), rank, error))

    def set_exit_codes(self, codes: Mapping[int, int]) -> None:
        """Say with which exit codes ranks ended that did not do their work (-N: by signal N)."""
        (self.path / "exit_codes.json").write_text(json.dumps(list(codes.items())), encoding="utf-8")

    def raised(self) -> Exception | None:
        """Return the first error that a rank kept."""
        return next((error for _, _, error in self._failures() if error is not None), None)

    def first_death(self) -> tuple[int, int] | None:
        """Return the rank that failed first, and its exit code: the others only fail for want of it."""
        file = self.path / "exit_codes.json"
        codes: dict[int, int] = dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
        # With SIGTERM the launcher ends the others.
        killed = [rank for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM]
        failed = {rank: 1 for _, rank, _ in self._failures()}
        return next(iter([*((rank, codes[rank]) for rank in killed), *failed.items(), *codes.items()]), None)

    def _failures(self) -> list[tuple[float, int, Exception | None]]:
        found = [pickle.loads(file.read_bytes()) for file in self.path.glob("failed-*.pickle")]
        return sorted(found, key=lambda failure: failure[:2])

    def _write(self, name: str, content: object) -> None:
        """Write a file that is whole or not there: who writes it may be ended by the launcher meanwhile."""
        unfinished = self.path / f"unfinished-{name}"
        unfinished.write_bytes(pickle.dumps(content))
        unfinished.rename(self.path / name)
