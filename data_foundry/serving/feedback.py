"""Feedback: what was right, told after a call, against what its versions answered.

Answers are held in memory alone, for as long as feedback is awaited; what is kept of them is how far off they were. So
only the gateway, or the replica, that answered a request can score it. A request has an id of its own, which names its
pair and its losses: one phone call under one call id is many requests.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_foundry.engines.spec import Task
from data_foundry.serving.agreement import COMPARISONS, loss_of
from data_foundry.serving.calls import Answer
from data_foundry.serving.trials.trial import Losses, Trial

MOST = 20_000
"""Requests that are remembered at most; the oldest are forgotten first."""


class SeveralRequests(Exception):
    """A call id that stands for more than one request: which of them is meant, its request id says."""


@dataclass
class _Remembered:
    """A request whose feedback is awaited; `truth` waits for a candidate that answers later than its caller tells.

    `alone`: no other request of its call was remembered when it came.
    """

    until: float
    task: Task
    call_id: str
    version: str
    output: Any
    alone: bool
    pairs: list[tuple[Trial, Any, Any]] = field(default_factory=list)
    truth: str | None = None


class Recollection:
    """What was answered lately, by adapter and request; safe from many threads.

    `record` keeps the losses of a request that both versions of a trial answered; `call_name` hides its id.
    """

    def __init__(
        self, minutes: float, record: Callable[[Losses], object], call_name: Callable[[str, str], str]
    ) -> None:
        self._seconds, self._record, self._call_name = minutes * 60, record, call_name
        self._requests: OrderedDict[tuple[str, str], _Remembered] = OrderedDict()
        self._latest: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def answered(self, request_id: str, answer: Answer, task: Task) -> None:
        """Remember what a caller was answered."""
        until = time.monotonic() + self._seconds
        with self._lock:
            call = answer.adapter, answer.call_id
            # Codes are great, and nothing scores them.
            output = answer.output if COMPARISONS[task].has_reference else None
            self._requests[answer.adapter, request_id] = _Remembered(
                until, task, answer.call_id, answer.version, output, call not in self._latest
            )
            self._latest[call] = request_id
            self._forget()

    def paired(self, trial: Trial, request_id: str, incumbent: Any, candidate: Any) -> None:
        """Remember what both versions of a trial answered, and score it where its truth is known already."""
        with self._lock:
            known = self._requests.get((trial.adapter, request_id))
            if known is None or not COMPARISONS[known.task].has_reference:
                return
            known.pairs.append((trial, incumbent, candidate))
            truth, task = known.truth, known.task
        if truth is not None:
            self._score(trial, task, request_id, incumbent, candidate, truth)

    def feedback(
        self, adapters: Sequence[str], truth: str, *, request_id: str | None = None, call_id: str | None = None
    ) -> dict[str, Any] | None:
        """Return how what one of some adapters answered compares with what was right; None where none is remembered.

        {"adapter", "version", "loss" (0..1, None where the task has none), "trials": ids of the trials that it counts
        in, "repeated": whether feedback came before, which is what counts}. Found by `request_id`; without it by
        `call_id`, which raises SeveralRequests where more than one was answered under it.
        """
        with self._lock:
            self._forget()
            names = [(name, request_id or self._latest.get((name, call_id or ""), "")) for name in adapters]
            found = [(*name, self._requests[name]) for name in names if name in self._requests]
            if request_id is None and (len(found) > 1 or not all(known.alone for *_, known in found)):
                raise SeveralRequests
            if not found:
                return None
            adapter, request, known = found[0]
            repeated = known.truth is not None
            known.truth = truth = truth if known.truth is None else known.truth
            pairs = [*known.pairs]
        scored = [trial.id for trial, old, new in pairs if self._score(trial, known.task, request, old, new, truth)]
        loss = loss_of(known.task, known.output, truth)
        return {"adapter": adapter, "version": known.version, "loss": loss, "trials": scored, "repeated": repeated}

    def _score(self, trial: Trial, task: Task, request_id: str, incumbent: Any, candidate: Any, truth: str) -> bool:
        old, new = loss_of(task, incumbent, truth), loss_of(task, candidate, truth)
        if old is None or new is None:
            return False
        self._record(Losses(trial.id, self._call_name(trial.adapter, request_id), time.time(), old, new))
        return True

    def forget(self) -> None:
        """Forget what was answered too long ago; to be called now and then, so that a quiet line forgets, too."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        now = time.monotonic()
        while self._requests and (len(self._requests) > MOST or next(iter(self._requests.values())).until < now):
            (adapter, request_id), gone = self._requests.popitem(last=False)
            if self._latest.get((adapter, gone.call_id)) == request_id:
                del self._latest[adapter, gone.call_id]
