"""Calls that a version in staging answers for callers: in time, or the incumbent answers them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from data_foundry.serving.calls import Answer
from data_foundry.serving.candidate.process import Asked
from data_foundry.serving.candidate.said import CandidateFailed, Said
from data_foundry.serving.host import Call
from data_foundry.serving.trials.trial import Trial

QUEUE_SHARE = 1 / 2
"""Of the time that a version has for a call, how long the call may wait for its turn besides."""
STARVED_SHARE = 2.0
"""After so many times that time in all, a version that others kept from working is not waited for."""


@dataclass(eq=False)
class StagedCall:
    """A call that a version in staging is asked; exactly one of the three is called, once.

    `answered` with the call and the answer that its caller has; `fall_back` with the kind of failure, and whether that
    was the version's own doing; `left` with the call, where its caller waits no longer.
    """

    call: Call
    trial: Trial
    answered: Callable[[Call, Answer], None]
    fall_back: Callable[[StagedCall, str, bool], None]
    left: Callable[[StagedCall], None]
    since: float = field(default_factory=time.monotonic)


class StagedCalls:
    """The staged calls on their way; one that takes too long goes to the incumbent.

    A version has `timeout_seconds` for each call, from its turn on and without the time in which others had its
    processor: only a call that it had for so long is one that it failed. A call whose turn does not come in half that
    time is taken out of the queue, and says nothing of the version; no more does one that the machine had no time for,
    or whose caller has left.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._open: dict[StagedCall, Asked] = {}
        self._lock = threading.Lock()

    def add(self, staged: StagedCall, asked: Asked) -> None:
        """Wait for an answer to come, without holding a thread."""
        with self._lock:
            self._open[staged] = asked
        asked.add_done_callback(partial(self._done, staged))

    def give_up_overdue(self) -> None:
        """Let the incumbent answer what has waited for too long."""
        now = time.monotonic()
        with self._lock:
            waiting = [*self._open.items()]
        for staged, asked in waiting:
            waited = now - staged.since
            if staged.call.future.cancelled():
                asked.cancel()
            if asked.own_seconds is None and waited > QUEUE_SHARE * self.timeout_seconds:
                # Its end, told at once, is what follows; where its turn has just come it is not cancelled.
                asked.cancel()
                continue
            own = (asked.own_seconds or 0.0) > self.timeout_seconds
            if (own or waited > STARVED_SHARE * self.timeout_seconds) and self._claimed(staged):
                if staged.call.future.cancelled():
                    staged.left(staged)
                else:
                    staged.fall_back(staged, "timed_out", own)

    def _done(self, staged: StagedCall, asked: Future[Said]) -> None:
        if not self._claimed(staged):
            return
        error = CandidateFailed("queue_full") if asked.cancelled() else asked.exception()
        if staged.call.future.cancelled():
            staged.left(staged)
        elif error is not None:
            dropped = not isinstance(error, CandidateFailed) or error.dropped
            kind = error.kind if isinstance(error, CandidateFailed) else type(error).__name__
            staged.fall_back(staged, kind, not dropped)
        elif staged.call.future.set_running_or_notify_cancel():
            answer = _answer(staged, asked.result())
            staged.call.remember(answer)
            with suppress(InvalidStateError):
                staged.call.future.set_result(answer)
            staged.answered(staged.call, answer)
        else:
            staged.left(staged)

    def _claimed(self, staged: StagedCall) -> bool:
        """Return whether a call was still open, and close it."""
        with self._lock:
            return self._open.pop(staged, None) is not None


def _answer(staged: StagedCall, said: Said) -> Answer:
    call, version = staged.call, staged.trial.candidate
    return Answer(call.call_id, call.adapter, version, said.output, said.confidence, said.milliseconds, said.classes)
