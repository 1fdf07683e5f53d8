"""Feedback: what was right, told after a call, against what its versions answered.

Answers are held in memory alone, for as long as feedback is awaited; what is kept of them is how far off they were.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from data_foundry.engines.spec import Task
from data_foundry.serving.agreement import loss_of
from data_foundry.serving.calls import Answer
from data_foundry.serving.trials.trial import Losses, Trial

MOST = 20_000
"""Calls that are remembered at most; the oldest are forgotten first."""


@dataclass
class _Remembered:
    """A call whose feedback is awaited; `truth` waits for a candidate that answers later than its caller tells."""

    until: float
    task: Task
    version: str
    output: Any
    pairs: list[tuple[Trial, Any, Any]] = field(default_factory=list)
    truth: str | None = None


class Recollection:
    """What was answered lately, by adapter and call; safe from many threads.

    `record` keeps the losses of a call that both versions of a trial answered; `call_name` hides its id.
    """

    def __init__(
        self, minutes: float, record: Callable[[Losses], object], call_name: Callable[[str, str], str]
    ) -> None:
        self._seconds, self._record, self._call_name = minutes * 60, record, call_name
        self._calls: OrderedDict[tuple[str, str], _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def answered(self, answer: Answer, task: Task) -> None:
        """Remember what a caller was answered."""
        until = time.monotonic() + self._seconds
        with self._lock:
            key = answer.adapter, answer.call_id
            self._calls.pop(key, None)
            self._calls[key] = _Remembered(until, task, answer.version, answer.output)
            self._forget()

    def paired(self, trial: Trial, call_id: str, incumbent: Any, candidate: Any) -> None:
        """Remember what both versions of a trial answered, and score it where its truth is known already."""
        with self._lock:
            known = self._calls.get((trial.adapter, call_id))
            if known is None:
                return
            known.pairs.append((trial, incumbent, candidate))
            truth, task = known.truth, known.task
        if truth is not None:
            self._score(trial, task, call_id, incumbent, candidate, truth)

    def feedback(self, adapter: str, call_id: str, truth: str) -> dict[str, Any] | None:
        """Return how the answers to a call compare with what was right; None for a call that is not remembered.

        {"version", "loss" (0..1, None where the task has none), "trials": ids of the trials that it counts in}.
        """
        with self._lock:
            self._forget()
            known = self._calls.get((adapter, call_id))
            if known is None:
                return None
            known.truth = truth
            pairs = [*known.pairs]
        scored = [trial.id for trial, old, new in pairs if self._score(trial, known.task, call_id, old, new, truth)]
        return {"version": known.version, "loss": loss_of(known.task, known.output, truth), "trials": scored}

    def _score(self, trial: Trial, task: Task, call_id: str, incumbent: Any, candidate: Any, truth: str) -> bool:
        old, new = loss_of(task, incumbent, truth), loss_of(task, candidate, truth)
        if old is None or new is None:
            return False
        self._record(Losses(trial.id, self._call_name(trial.adapter, call_id), time.time(), old, new))
        return True

    def _forget(self) -> None:
        now = time.monotonic()
        while self._calls and (len(self._calls) > MOST or next(iter(self._calls.values())).until < now):
            self._calls.popitem(last=False)
