"""The mirror: a trial's candidate and its incumbent answer the same share of the calls, after and apart from callers.

A call is offered when its caller has the answer. What is chosen waits in a bounded queue; one thread has both versions
answer it, in a process that gives way to everything else, in an order drawn by lot, and hands on the pair. What
overload, a candidate that is down, or closing keeps from being heard is dropped and counted.

The queue takes calls that end one after the other, from empty until it is full, and then none until it is empty again
and as many more calls have passed as it holds. Were each place given to the next call to end, a time would be drawn and
not a call: those that end after a pause, or apart from their batch because one of it failed, would be heard too often.

In the shadow, where no caller depends on what is found, a pair is followed by a rest while callers keep their models
busy: processors that give way still share caches and memory. What answers callers is watched at full speed, and the
first calls after a promotion are all mirrored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.records import Rejected
from data_foundry.serving.agreement import disagreement_of
from data_foundry.serving.calls import Answer, Row
from data_foundry.serving.candidate.loading import Loading
from data_foundry.serving.candidate.probe import probe
from data_foundry.serving.candidate.process import CandidateProcess
from data_foundry.serving.candidate.said import CandidateFailed, Said
from data_foundry.serving.candidate.selection import call_hash, candidate_first, is_chosen
from data_foundry.serving.candidate.versions import loading_of
from data_foundry.serving.trials.trial import Pair, Side, Trial

log = logging.getLogger("data_foundry")

EXAMPLES = 3
LOOK_SECONDS = 0.25
TRIES = 3
REST = 10.0
"""A pair's time is rested for so many times where callers' models never pause, and for none where they are idle."""
MOST_REST_SECONDS = 5.0

Paired = Callable[[Trial, str, Any, Any], None]
"""Told of a trial, a request's id, and what the incumbent and the candidate said."""


@dataclass
class Counts:
    """Where every call went: chosen = mirrored + dropped + waiting, mirrored = answered + timed out + errors.

    What the candidate did is counted; a pair whose incumbent failed is an answered one. Of the calls that are mirrored
    only because they are the first after a promotion, those that found no room are not among the chosen.
    """

    calls: int = 0
    chosen: int = 0
    answered: int = 0
    timed_out: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def mirrored(self) -> int:
        """Calls of which it is known how the candidate did."""
        return self.answered + self.timed_out + self.errors.total()

    @property
    def waiting(self) -> int:
        """Calls that were chosen and stand in the queue or before a version."""
        return self.chosen - self.mirrored - self.dropped.total()

    def as_json(self) -> dict[str, Any]:
        """Return everything by name; errors by kind, and drops by reason."""
        plain = {name: getattr(self, name) for name in ("calls", "chosen", "mirrored", "answered", "timed_out")}
        by_name = {"errors": dict(sorted(self.errors.items())), "dropped": dict(sorted(self.dropped.items()))}
        return {**plain, **by_name, "waiting": self.waiting, "examples": list(self.examples)}


@dataclass(frozen=True)
class _Call:
    request_id: str
    row: Row
    answered_by: str | None
    error: str | None

    @property
    def unanswered(self) -> bool:
        """Whether nobody answers callers of its adapter."""
        return self.answered_by is None and self.error is None


class _Dropped(Exception):
    """A call that makes no pair, and why."""


class Mirror:
    """One trial's mirrored calls. `record` keeps a pair and says whether it did; `paired` hears of both answers.

    Both are called in the mirror's own thread. `key` chooses and names the calls. `worked` tells for how many seconds
    callers' models have been at work so far. Start it, and close it.
    """

    def __init__(
        self,
        settings: Settings,
        trial: Trial,
        *,
        key: bytes,
        record: Callable[[Pair], bool],
        paired: Paired | None = None,
        worked: Callable[[], float] = lambda: 0.0,
        loading: Loading | None = None,
        **options: Any,
    ) -> None:
        self.trial = trial
        self._key, self._record, self._paired, self._worked = key, record, paired, worked
        self._looked = self._look()
        self._rests = trial.stage is Stage.SHADOW and trial.source == "live"
        self._watched_calls = settings.rollout.watched_calls if trial.stage is Stage.PRODUCTION else 0
        self._shadow_share = settings.deployment.shadow_share
        self._staging_share = settings.rollout.staging_share if trial.stage is Stage.STAGING else 0.0
        self._queue_size = settings.deployment.shadow_queue_size
        self._process = CandidateProcess(
            f"{trial.adapter}/{trial.candidate}",
            loading or loading_of(settings, trial.adapter, (trial.incumbent, trial.candidate), threads=1),
            idle=True,
            timeout_seconds=settings.deployment.shadow_timeout_seconds,
            memory_mib=settings.rollout.worker_memory_mib,
            **options,
        )
        self._queue: deque[_Call] = deque()
        self._to_pass = 0
        self._changed = threading.Condition()
        self._counts = Counts()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"mirror {self._process.name}", daemon=True)

    def start(self) -> None:
        """Begin to load both versions; returns at once. Calls may be offered from now on."""
        self._process.start()
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether both versions are loaded."""
        return self._process.ready

    @property
    def labels(self) -> tuple[str, ...]:
        """Those that the candidate chooses from; empty where it chooses from none, or is not loaded yet."""
        return self._process.labels(self.trial.candidate)

    def offer(self, call_id: str, request_id: str, row: Row, answer: Answer | None, error: str | None = None) -> bool:
        """Mirror a request, if its call is chosen, and say whether it is; never waits.

        To be told of every request to the adapter, those that failed too: which of them are chosen is the affair of
        their call's hash, and of how many pairs and calls in the queue there were before. `error` is the kind of
        failure where the candidate should have answered the caller and did not.
        """
        chosen = is_chosen(call_id, self._key, self._shadow_share, "shadow") or is_chosen(
            call_id, self._key, self._staging_share, "staging"
        )
        with self._changed:
            self._counts.calls += 1
            if len(self._queue) >= self._queue_size:
                self._to_pass = self._queue_size + 1
            elif self._to_pass and not self._queue:
                self._to_pass -= 1
            # Neither depends on how this call went, so the pairs are a fair sample all the same.
            if not chosen and (self._to_pass or self._counts.mirrored >= self._watched_calls):
                return False
            self._counts.chosen += 1
            if self._closed:
                self._counts.dropped["closed"] += 1
            elif self._to_pass:
                self._counts.dropped["queue_full" if self._process.ready else "candidate_down"] += 1
            else:
                self._queue.append(_Call(request_id, dict(row), answer.version if answer else None, error))
                self._changed.notify_all()
        return True

    def counts(self) -> dict[str, Any]:
        """Return what became of the calls, JSON-like; see `Counts`."""
        with self._changed:
            return self._counts.as_json()

    def state(self) -> dict[str, Any]:
        """Return the trial's id, the counts and how the process stands, JSON-like."""
        process = self._process.state()
        return {"trial": self.trial.id, **self.counts(), "restarts": process["restarts"], "process": process}

    def probe(self, rows: Sequence[Row], timeout_seconds: float) -> tuple[bool, str]:
        """Return whether the candidate answers these rows now, and why not; waits for it."""
        return probe(self._process, self.trial.candidate, rows, timeout_seconds)

    def close(self) -> None:
        """Stop mirroring and end the process; calls that wait are dropped and counted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._process.close()
        if self._thread.ident is not None:
            self._thread.join()
        with self._changed:
            self._counts.dropped["closed"] += len(self._queue)
            self._queue.clear()
            # A reason that never happened is no reason.
            self._counts.dropped += Counter()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            began = time.monotonic()
            self._hear(call)
            if self._rests:
                self._rest(time.monotonic() - began)

    def _hear(self, call: _Call) -> None:
        try:
            pair, said = self._pair(call)
            if not self._record(pair):
                raise _Dropped("not_stored")
        except _Dropped as dropped:
            with self._changed:
                self._counts.dropped[str(dropped)] += 1
            return
        except Exception as error:
            # Whatever is wrong here, the next call may be heard; an error's words may be a caller's.
            log.error("A mirrored call of %s was lost: %s.", self._process.name, type(error).__name__)
            with self._changed:
                self._counts.dropped[type(error).__name__] += 1
            return
        self._count(pair)
        if len(said) == 2 and self._paired is not None:
            self._tell(self._paired, call.request_id, said)

    def _rest(self, took: float) -> None:
        """Leave the machine to callers for a while, the longer the busier their models were since the last rest."""
        elapsed, worked = (after - before for after, before in zip(self._look(), self._looked, strict=True))
        share = min(max(worked / elapsed, 0.0), 1.0) if elapsed > 0 else 0.0
        with self._changed:
            self._changed.wait_for(lambda: self._closed, min(REST * share * took, MOST_REST_SECONDS))
        self._looked = self._look()

    def _look(self) -> tuple[float, float]:
        return time.monotonic(), self._worked()

    def _next(self) -> _Call | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            return None if self._closed else self._queue.popleft()

    def _pair(self, call: _Call) -> tuple[Pair, Mapping[str, Said]]:
        """Ask both versions and return how they did, and what they said. Raises _Dropped where that makes no pair.

        Both are in one process, so where it ends, or is short of memory, while the incumbent is asked, either may have
        caused that. The incumbent is then asked once more, in a fresh process that has not heard the candidate. What it
        fails there is its own error. Where it answers, the first failure is the candidate's error; so it is where no
        fresh process can be had, or a candidate that lets nothing be loaded would go unpunished. In a process that has
        not heard the candidate, a failure is the incumbent's own at once.

        The candidate is not asked again: a failure of its own stands. So an end that neither of them caused counts
        against it, and none ever for it: of two versions alike that end their process at random, in a share p of the
        calls, the candidate's errors are about 2p more. What a version raises by itself is charged alike, but for a
        RuntimeError or an OSError while the calls have taken half of the memory that the process may have.
        """
        trial = self.trial
        versions = (trial.incumbent, trial.candidate)
        sides: dict[str, Side] = {}
        said: dict[str, Said] = {}
        harmed: str | None = None
        for version in reversed(versions) if candidate_first(call.request_id, self._key) else versions:
            try:
                if version == trial.incumbent:
                    heard, harmed = self._ask_incumbent(call.row)
                elif (known := call.error or harmed) is not None:
                    raise CandidateFailed(known)
                else:
                    heard = self._ask(version, call.row)
            except CandidateFailed as failed:
                sides[version] = self._failed(call, version, failed)
                continue
            sides[version] = Side(None) if heard is None else Side(heard.milliseconds, None, heard.confidence)
            if heard is not None:
                said[version] = heard
        if harmed is not None and sides[trial.candidate].error is None:
            # It was asked first, and answered.
            said.pop(trial.candidate, None)
            sides[trial.candidate] = self._failed(call, trial.candidate, CandidateFailed(harmed))
        incumbent, candidate = (said.get(version) for version in versions)
        apart = None
        if incumbent is not None and candidate is not None:
            apart = disagreement_of(self._process.task, incumbent.output, candidate.output)
        name = call_hash(call.request_id, self._key)
        return Pair(trial.id, name, time.time(), sides[trial.incumbent], sides[trial.candidate], apart), said

    def _failed(self, call: _Call, version: str, failed: CandidateFailed) -> Side:
        """Return how a version did that did not answer here. Raises _Dropped where that is not known."""
        trial = self.trial
        if version == trial.incumbent and failed.kind == Rejected.__name__ and call.unanswered:
            # Nobody's error: what is answered, what answers has looked at before.
            raise _Dropped("rejected")
        if failed.kind == "closed":
            raise _Dropped("closed")
        if failed.dropped or failed.kind == "not_loaded":
            # It can't be asked here, but its caller has its answer.
            if version == call.answered_by:
                return Side(None)
            # How the candidate did with its own caller counts, whatever became of the files of what it replaced: its
            # answers as well as its errors, which alone would make it look worse than it is.
            if version == trial.incumbent and (call.error is not None or call.answered_by == trial.candidate):
                return Side(None)
            if failed.dropped:
                raise _Dropped("candidate_down")
            # An incumbent that is not there makes no candidate look good.
            if version == trial.incumbent:
                raise _Dropped("incumbent_not_loaded")
        if version == trial.candidate:
            self._remember(failed)
        return Side(None, failed.kind)

    def _ask_incumbent(self, row: Row) -> tuple[Said | None, str | None]:
        """Return what the incumbent says, and how the candidate kept it from saying so at once, if it did.

        None where it can't be asked once more. Raises CandidateFailed for what it failed by itself.
        """
        version = self.trial.incumbent
        try:
            return self._ask(version, row), None
        except CandidateFailed as failed:
            if not failed.doubtful:
                raise
            harmed = failed.kind
        try:
            return self._ask(version, row, alone=True), harmed
        except CandidateFailed as failed:
            if failed.kind != "closed" and (failed.dropped or failed.kind == "not_loaded"):
                return None, harmed
            raise

    def _ask(self, version: str, row: Row, *, alone: bool = False) -> Said:
        """Wait for the process and ask. Raises CandidateFailed; "not_ready" where it can't be loaded."""
        tries = 0
        while True:
            if not self._process.wait_ready(LOOK_SECONDS) and not self._closed and self._process.failure is None:
                continue
            tries += 1
            try:
                return self._process.submit(version, row, alone=alone).result()
            except CandidateFailed as failed:
                # It ended between the look and the question.
                if failed.kind != "not_ready" or self._process.failure is not None or tries == TRIES:
                    raise

    def _tell(self, paired: Paired, request_id: str, said: Mapping[str, Said]) -> None:
        try:
            paired(self.trial, request_id, said[self.trial.incumbent].output, said[self.trial.candidate].output)
        except Exception as error:
            log.error("Who listens to %s failed: %s.", self._process.name, type(error).__name__)

    def _count(self, pair: Pair) -> None:
        with self._changed:
            if pair.candidate.error is None:
                self._counts.answered += 1
            elif pair.candidate.error == "timed_out":
                self._counts.timed_out += 1
            else:
                self._counts.errors[pair.candidate.error] += 1

    def _remember(self, failed: CandidateFailed) -> None:
        with self._changed:
            if len(self._counts.examples) < EXAMPLES and str(failed) not in self._counts.examples:
                self._counts.examples.append(str(failed))
