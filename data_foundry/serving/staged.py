"""Calls that a version in staging answers for callers: in time, or the incumbent answers them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from data_foundry.serving.calls import Answer
from data_foundry.serving.candidate.said import CandidateFailed
from data_foundry.serving.host import Call
from data_foundry.serving.trials.trial import Trial


@dataclass(eq=False)
class StagedCall:
    """A call that a version in staging is asked; exactly one of the two is called, once.

    `answered` with the call and the answer that its caller has; `fall_back` with the kind of failure, and whether that
    was the version's own doing.
    """

    call: Call
    trial: Trial
    answered: Callable[[Call, Answer], None]
    fall_back: Callable[[StagedCall, str, bool], None]
    since: float = field(default_factory=time.monotonic)


class StagedCalls:
    """The staged calls on their way; one that takes longer than `timeout_seconds` goes to the incumbent."""

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._open: set[StagedCall] = set()
        self._lock = threading.Lock()

    def add(self, staged: StagedCall, answer: Future[Answer]) -> None:
        """Wait for an answer to come, without holding a thread."""
        with self._lock:
            self._open.add(staged)
        answer.add_done_callback(partial(self._done, staged))

    def give_up_overdue(self) -> None:
        """Let the incumbent answer what has waited for too long."""
        late = time.monotonic() - self.timeout_seconds
        with self._lock:
            overdue = [staged for staged in self._open if staged.since < late]
        for staged in overdue:
            if self._claimed(staged):
                staged.fall_back(staged, "timed_out", True)

    def _done(self, staged: StagedCall, answer: Future[Answer]) -> None:
        if not self._claimed(staged):
            return
        error = None if answer.cancelled() else answer.exception()
        if answer.cancelled() or error is not None:
            dropped = not isinstance(error, CandidateFailed) or error.dropped
            kind = error.kind if isinstance(error, CandidateFailed) else type(error).__name__
            staged.fall_back(staged, kind, not dropped)
        elif staged.call.future.set_running_or_notify_cancel():
            staged.call.remember(answer.result())
            staged.call.future.set_result(answer.result())
            staged.answered(staged.call, answer.result())
        else:
            staged.call.ended(staged.call, None, "timed_out")

    def _claimed(self, staged: StagedCall) -> bool:
        """Return whether a call was still open, and close it."""
        with self._lock:
            there = staged in self._open
            self._open.discard(staged)
            return there
