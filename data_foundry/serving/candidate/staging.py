"""The version in staging, which answers a small share of the callers from a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from data_foundry.config import Settings
from data_foundry.serving.calls import Answer, Row
from data_foundry.serving.candidate.loading import Loading
from data_foundry.serving.candidate.probe import probe
from data_foundry.serving.candidate.process import CandidateProcess
from data_foundry.serving.candidate.said import Said
from data_foundry.serving.candidate.versions import loading_of
from data_foundry.serving.trials.trial import Trial

WAITING = 4
"""Calls that may wait for it; more are answered by the incumbent at once."""


class StagingProcess:
    """Answers callers with a trial's candidate, at normal priority. Start it, and close it.

    A call that it does not answer is for the incumbent: who asks holds the time, and falls back.
    """

    def __init__(self, settings: Settings, trial: Trial, *, loading: Loading | None = None, **options: Any) -> None:
        self.trial = trial
        threads = settings.serving.threads
        self._process = CandidateProcess(
            f"{trial.adapter}/{trial.candidate} (staging)",
            loading or loading_of(settings, trial.adapter, (trial.candidate,), threads=threads),
            idle=False,
            threads=threads,
            # A version that keeps a caller waiting so long answers nobody: half of his patience is the incumbent's.
            timeout_seconds=min(
                settings.deployment.shadow_timeout_seconds, settings.serving.request_timeout_seconds / 2
            ),
            memory_mib=settings.rollout.worker_memory_mib,
            queue_size=WAITING,
            **options,
        )

    def start(self) -> None:
        """Begin to load it; returns at once."""
        self._process.start()

    @property
    def ready(self) -> bool:
        """Whether it can answer now."""
        return self._process.ready

    def submit(self, call_id: str, row: Row) -> Future[Answer]:
        """Ask for a call's answer; never waits. The future's only exception is CandidateFailed."""
        answered: Future[Answer] = Future()
        self._process.submit(self.trial.candidate, row).add_done_callback(
            lambda asked: self._hand_over(call_id, asked, answered)
        )
        return answered

    def probe(self, rows: Sequence[Row], timeout_seconds: float) -> tuple[bool, str]:
        """Return whether it answers these rows now, and why not; waits for it."""
        return probe(self._process, self.trial.candidate, rows, timeout_seconds)

    def state(self) -> dict[str, Any]:
        """Return how its process stands, JSON-like."""
        return self._process.state()

    def close(self) -> None:
        """End it; calls that wait fail."""
        self._process.close()

    def _hand_over(self, call_id: str, asked: Future[Said], answered: Future[Answer]) -> None:
        if not answered.set_running_or_notify_cancel():
            return
        failed = asked.exception()
        if failed is not None:
            answered.set_exception(failed)
            return
        said, trial = asked.result(), self.trial
        answered.set_result(
            Answer(
                call_id, trial.adapter, trial.candidate, said.output, said.confidence, said.milliseconds, said.classes
            )
        )
