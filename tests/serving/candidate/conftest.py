"""Candidate processes that a test starts; none may be left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from misbehaving import loading

from data_foundry.serving.candidate.process import CandidateProcess


@pytest.fixture(autouse=True)
def found_by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let candidates' processes import this folder's modules."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def candidate() -> Iterator[Callable[..., CandidateProcess]]:
    """Start a process whose version "new" does what the act says, and "old" beside it; closed when the test is over."""
    started: list[CandidateProcess] = []

    def start(
        act: str = "good", *, task: str = "speech-to-text", labels: tuple[str, ...] = (), old: str = "", **given: object
    ):
        options = {"idle": True, "timeout_seconds": 30.0, "memory_mib": 1024, "backoff": (0.01, 0.05), **given}
        acts = {"old": old, "new": act} if old else {"new": act}
        process = CandidateProcess("stt/new", loading(**acts, task=task, labels=labels), **options)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.close()
