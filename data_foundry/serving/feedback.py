"""Feedback: what was right, told after a call, against what its versions answered.

Answers are held in memory alone, for as long as feedback is awaited; what is kept of them is how far off they were. Of
a request that nobody answered, those of what is on trial are held, which heard it all the same. So
only the gateway, or the replica, that answered a request can score it; any other asks it to: see
`http/peer_feedback.py`. A request has an id of its own, which names its pair and its losses: one phone call under one
call id is many requests.
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


class NotALabel(Exception):
    """A truth that what answered, or is on trial, could not have said; `labels` are those that it could."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = labels


@dataclass
class _Remembered:
    """A request whose feedback is awaited; `truth` waits for a candidate that answers later than its caller tells.

    `version` None: nobody answered it. `labels`: those that its version chose from, if any. `alone`: no other request
    of its call was remembered when it came.
    """

    until: float
    task: Task
    call_id: str
    version: str | None
    output: Any
    labels: tuple[str, ...]
    alone: bool
    pairs: list[tuple[Trial, Any, Any]] = field(default_factory=list)
    truth: str | None = None


class Recollection:
    """What was asked lately, by adapter and request, and what was answered; safe from many threads.

    `record` keeps the losses of a request that both versions of a trial answered, and says whether it did; `call_name`
    hides its id. `labels_on_trial` tells which labels an adapter's versions on trial choose from, those that are known.
    """

    def __init__(
        self,
        minutes: float,
        record: Callable[[Losses], bool],
        call_name: Callable[[str, str], str],
        labels_on_trial: Callable[[str], Sequence[str]] = lambda adapter: (),
    ) -> None:
        self._seconds, self._record, self._call_name = minutes * 60, record, call_name
        self._labels_on_trial = labels_on_trial
        self._requests: OrderedDict[tuple[str, str], _Remembered] = OrderedDict()
        self._latest: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def answered(self, request_id: str, answer: Answer, task: Task) -> None:
        """Remember what a caller was answered."""
        # Codes are great, and nothing scores them.
        output = answer.output if COMPARISONS[task].has_reference else None
        said = answer.version, output, tuple(answer.classes)
        self._remember(answer.adapter, request_id, answer.call_id, task, *said)

    def unanswered(self, request_id: str, adapter: str, call_id: str, task: Task) -> None:
        """Remember a request that nobody answered, and what is on trial hears."""
        self._remember(adapter, request_id, call_id, task, None, None, ())

    def _remember(
        self,
        adapter: str,
        request_id: str,
        call_id: str,
        task: Task,
        version: str | None,
        output: Any,
        labels: tuple[str, ...],
    ) -> None:
        until = time.monotonic() + self._seconds
        with self._lock:
            alone = (adapter, call_id) not in self._latest
            known = _Remembered(until, task, call_id, version, output, labels, alone)
            self._requests[adapter, request_id] = known
            self._latest[adapter, call_id] = request_id
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

        {"adapter", "version" (None where nobody answered), "loss" (0..1, None where the task has none, or nobody
        answered), "trials": ids of the trials that it counts in, "repeated": whether feedback came before, which is
        what counts}. Found by `request_id`; without it by `call_id`, which raises SeveralRequests where more than one
        was made under it. Raises NotALabel for what neither the version that answered nor any on trial could have said.
        """
        on_trial = {name: self._labels_on_trial(name) for name in adapters}
        with self._lock:
            self._forget()
            names = [(name, request_id or self._latest.get((name, call_id or ""), "")) for name in adapters]
            found = [(*name, self._requests[name]) for name in names if name in self._requests]
            if request_id is None and (len(found) > 1 or not all(known.alone for *_, known in found)):
                raise SeveralRequests
            if not found:
                return None
            adapter, request, known = found[0]
            # A candidate may have learnt labels that what answers does not know.
            chooses = known.version is None or known.labels
            labels = tuple(dict.fromkeys([*known.labels, *on_trial[adapter]])) if chooses else ()
            if labels and truth not in labels:
                raise NotALabel(labels)
            repeated = known.truth is not None
            known.truth = truth = truth if known.truth is None else known.truth
            pairs = [*known.pairs]
        scored = [trial.id for trial, old, new in pairs if self._score(trial, known.task, request, old, new, truth)]
        loss = None if known.version is None else loss_of(known.task, known.output, truth)
        return {"adapter": adapter, "version": known.version, "loss": loss, "trials": scored, "repeated": repeated}

    def _score(self, trial: Trial, task: Task, request_id: str, incumbent: Any, candidate: Any, truth: str) -> bool:
        old, new = loss_of(task, incumbent, truth), loss_of(task, candidate, truth)
        if old is None or new is None:
            return False
        return self._record(Losses(trial.id, self._call_name(trial.adapter, request_id), time.time(), old, new))

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
