"""The version in staging, which answers a small share of the callers from a process of its own."""

from __future__ import annotations

from typing import Any

from data_foundry.config import Settings
from data_foundry.serving.calls import Row
from data_foundry.serving.candidate.loading import Loading
from data_foundry.serving.candidate.process import Asked, CandidateProcess
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

    def submit(self, row: Row) -> Asked:
        """Ask for a call's answer; never waits. The future's only exception is CandidateFailed."""
        return self._process.submit(self.trial.candidate, row)

    def state(self) -> dict[str, Any]:
        """Return how its process stands, JSON-like."""
        return self._process.state()

    def close(self) -> None:
        """End it; calls that wait fail."""
        self._process.close()
