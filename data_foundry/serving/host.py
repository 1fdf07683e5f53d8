"""A host: one base in memory, one thread, and the calls that wait for the versions on it.

A host takes what waits, at most so many calls at a time, and answers those of one version together: a call that comes
alone is answered at once, and under load the batches grow by themselves. A batch that fails is asked again call by
call, so that a call fails by its own doing alone. What a version began it ends: its weights go when its last call did.

The host's thread alone uses its model: it predicts, lays other versions over the base, and takes them away. Nobody else
waits for the model, whatever it is at: who wants a version laid over it asks, and looks again when it is.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from data_foundry.errors import FoundryError
from data_foundry.finetuning.tasks.task import Features, Prediction
from data_foundry.serving.calls import Answer, Failed, Overloaded, Row, TimedOut, new_request_id
from data_foundry.serving.residents import Resident, beside
from data_foundry.serving.weights import Weights

log = logging.getLogger("data_foundry")


class Gone(Exception):
    """A version left the host between the look at the routing table and the call: look again."""


@dataclass(eq=False)
class Call:
    """A request on its way: `features` are what its version's model is given; `fallback` is who should have answered.

    `call_id` is the phone call's, which may have many; `request_id` its own. `remember` is told the answer before the
    caller has it, who may have something to say of it at once. `begun`: its version's model was given it. `over`:
    its end was told; with an answer and "timed_out" where that came when its caller waited no longer.
    """

    call_id: str
    adapter: str
    row: Row
    features: Features
    resident: Resident
    ended: Callable[[Call, Answer | None, str | None], None]
    remember: Callable[[Answer], None] = lambda answer: None
    fallback: str | None = None
    request_id: str = field(default_factory=new_request_id)
    begun: bool = False
    over: bool = False
    future: Future[Answer] = field(default_factory=Future)
    arrived: float = field(default_factory=time.perf_counter)


class Host:
    """One base in memory and the thread that predicts with it; safe to use from many threads.

    `laid` is called, in that thread, when a version that was asked for was laid over the base, or can't be.
    """

    def __init__(
        self, resident: Resident, *, max_batch: int, max_waiting: int, laid: Callable[[], None] = lambda: None
    ) -> None:
        self.first = resident
        self._max_batch, self._max_waiting, self._tell_laid = max_batch, max_waiting, laid
        self._queue: deque[Call] = deque()
        self._changed = threading.Condition()
        self._residents: set[Resident] = {resident}
        self._leaving: set[Resident] = set()
        self._asked: dict[str, Weights] = {}
        self._laid: dict[str, Resident | Exception] = {}
        self._open: Counter[Resident] = Counter()
        self._waiting: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._busy_since: float | None = None
        self._worked = 0.0
        self._batch: list[Call] = []
        self._closed = self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=f"host-{resident.weights.adapter}", daemon=True)
        self._thread.start()

    @property
    def residents(self) -> frozenset[Resident]:
        """The versions that take calls here."""
        with self._changed:
            return frozenset(self._residents)

    @property
    def lives(self) -> bool:
        return self._thread.is_alive()

    @property
    def takes_calls(self) -> bool:
        """Whether it lives and has a version to answer with."""
        return self._thread.is_alive() and bool(self._residents) and not self._closed

    def busy_seconds(self) -> float:
        """Return for how long the model has been at what it works on, a batch or a version; 0 where it is idle."""
        since = self._busy_since
        return 0.0 if since is None else time.perf_counter() - since

    def worked_seconds(self) -> float:
        """Return for how long the model has been at work so far."""
        return self._worked + self.busy_seconds()

    def waiting(self, adapter: str) -> int:
        return self._waiting[adapter]

    def running(self, adapter: str) -> int:
        return self._running[adapter]

    def check_room(self, adapter: str) -> None:
        """Raise Overloaded where no more calls of an adapter may wait."""
        if self._waiting[adapter] >= self._max_waiting:
            raise Overloaded(f"{self._waiting[adapter]} calls of {adapter} wait already.", "Come again in a second.")

    def submit(self, call: Call, *, admitted: bool = False) -> None:
        """Queue a call; one that was `admitted` before is not turned away. Raises Overloaded and Gone."""
        with self._changed:
            if self._closed or call.resident not in self._residents:
                raise Gone
            if not admitted:
                self.check_room(call.adapter)
            self._open[call.resident] += 1
            self._waiting[call.adapter] += 1
            self._queue.append(call)
            self._changed.notify_all()

    def admit(self, weights: Weights) -> Resident | None:
        """Let a version on this base take calls, and return it; None where it is not laid over the base yet.

        Then its thread is asked to, and `laid` is called when that is done. Raises what it met.
        """
        with self._changed:
            for known in (*self._residents, *self._leaving):
                if (known.weights.adapter, known.weights.name) == (weights.adapter, weights.name):
                    self._leaving.discard(known)
                    self._residents.add(known)
                    return known
            if weights.name is None:
                # The base alone: nothing is laid over it.
                found: Resident | Exception | None = beside(self.first, weights)
            else:
                found = self._laid.get(weights.name)
            if isinstance(found, Exception):
                raise found
            if found is not None:
                self._laid.pop(weights.name or "", None)
                self._residents.add(found)
            elif weights.name is not None:
                self._asked.setdefault(weights.name, weights)
                self._changed.notify_all()
            return found

    def await_laid(self, weights: Weights, seconds: float) -> bool:
        """Wait until a version that was asked for is laid over the base or can't be, for at most so many seconds.

        Return whether it came to that.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or weights.name not in self._asked, seconds)

    def settle(self) -> None:
        """Forget what was asked for and could not be laid over the base, and let go of what nobody took."""
        with self._changed:
            self._asked.clear()
            self._leaving.update(each for each in self._laid.values() if isinstance(each, Resident))
            self._laid.clear()
            self._changed.notify_all()

    def retire(self, resident: Resident) -> None:
        """Take no more calls for a version; its weights go with its last call, and the host with its last version."""
        with self._changed:
            self._residents.discard(resident)
            self._leaving.add(resident)
            self._closed = self._closed or not self._residents
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Answer what waits, for at most so many seconds, and end; return whether the thread ended.

        What still waits then is turned away, and what its model is at then, too: that counts against no version.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            left = [*self._queue]
            self._queue.clear()
            self._changed.notify_all()
        left = [call for call in left if call.future.set_running_or_notify_cancel()]
        self._thread.join(0.1)
        with self._changed:
            running, self._batch, self._abandoned = self._batch, [], True
        for call in (*left, *running):
            # What its model comes to an end with at this very moment is answered.
            with suppress(InvalidStateError):
                call.future.set_exception(Overloaded("The gateway stops.", "Ask another one, or later."))
                call.begun = False
                self._end(call, None, "overloaded")
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Give up a model that hangs: Python can't stop its thread, so that is left behind with all that it holds.

        Every call here ends as timed out; those that are not `begun` say nothing of the version that they waited for.
        """
        with self._changed:
            self._closed = self._abandoned = True
            self._residents.clear()
            self._asked.clear()
            running, waiting = self._batch, [*self._queue]
            self._batch = []
            self._queue.clear()
            self._changed.notify_all()
        for call in [*running, *(call for call in waiting if call.future.set_running_or_notify_cancel())]:
            self._refuse(call, TimedOut(f"{call.adapter} did not answer in time.", "Ask again."), "timed_out")

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            versions: dict[Resident, list[Call]] = {}
            for call in batch:
                versions.setdefault(call.resident, []).append(call)
            for resident, calls in versions.items():
                if not self._abandoned:
                    self._answered_or_failed(resident, calls)
            with self._changed:
                self._running.clear()
                self._batch = []

    def _take(self) -> list[Call] | None:
        """Wait for calls and return them; None where the host is closed and nothing waits."""
        while True:
            self._unload()
            self._lay()
            with self._changed:
                while not (self._queue or self._closed or self._to_unload() or self._asked):
                    self._changed.wait()
                if not self._closed and (self._to_unload() or self._asked):
                    continue
                if not self._queue:
                    return None
                # From here on they are this batch's, so that `abandon` finds each in the one place or the other.
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]
                self._batch = taken
                self._waiting.subtract(call.adapter for call in taken)
                given_up = [call for call in taken if not call.future.set_running_or_notify_cancel()]
                self._batch = batch = [call for call in taken if call not in given_up]
                self._running.update(call.adapter for call in batch)
            for call in given_up:
                self._end(call, None, "timed_out")
            if batch:
                return batch

    def _to_unload(self) -> list[Resident]:
        return [resident for resident in self._leaving if not self._open[resident]]

    def _unload(self) -> None:
        """Let go of the weights of versions whose last call was answered."""
        with self._changed:
            closed, leaving = self._closed, self._to_unload()
            for resident in leaving:
                self._leaving.discard(resident)
                del self._open[resident]
        for resident in leaving:
            if closed or resident.weights.name is None:
                continue
            try:
                with self._at_work():
                    resident.predictor.remove_adapter(resident.weights.name)
            except Exception as error:
                # They take memory and answer nobody: no reason to end what answers.
                log.error("%s can't be let go of: %s%s", resident.weights.name, type(error).__name__, where(error))

    def _lay(self) -> None:
        """Lay the versions over the base that were asked for."""
        while True:
            with self._changed:
                if self._closed or not self._asked:
                    return
                name, weights = next(iter(self._asked.items()))
            found: Resident | Exception
            try:
                with self._at_work():
                    found = beside(self.first, weights)
            except Exception as error:
                found = error
            except BaseException as error:
                # Whatever a model does, SystemExit too, is its version's error and no thread's end.
                found = FoundryError(f"{name} ended with {type(error).__name__}.", "The log says where.")
                log.error("%s could not be loaded: %s%s", name, type(error).__name__, where(error))
            with self._changed:
                if self._asked.pop(name, None) is not None:
                    self._laid[name] = found
                elif isinstance(found, Resident):
                    self._leaving.add(found)
                self._changed.notify_all()
            self._tell_laid()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Count what the model is at."""
        self._busy_since = started = time.perf_counter()
        try:
            yield
        finally:
            self._busy_since = None
            self._worked += time.perf_counter() - started

    def _answered_or_failed(self, resident: Resident, calls: Sequence[Call]) -> None:
        """Answer calls; whatever goes wrong with that, no caller is left waiting and the thread goes on."""
        try:
            self._answer(resident, calls)
        except Exception as error:
            for call in calls:
                if not call.over:
                    self._fail(call, error)

    def _answer(self, resident: Resident, calls: Sequence[Call]) -> None:
        started = time.perf_counter()
        for call in calls:
            call.begun = True
        try:
            with self._at_work():
                found = resident.predict([call.row for call in calls], [call.features for call in calls])
        except BaseException as error:
            if self._abandoned:
                return
            if len(calls) > 1:
                for call in calls:
                    self._answer(resident, [call])
                return
            # Whatever a model does, SystemExit too, is its call's error and not this thread's end.
            self._fail(calls[0], error)
            return
        if self._abandoned:
            return
        milliseconds = (time.perf_counter() - started) * 1000
        answers = [self._said(call, said, milliseconds) for call, said in zip(calls, found, strict=True)]
        for call, answer in zip(calls, answers, strict=True):
            call.remember(answer)
            with suppress(InvalidStateError):
                call.future.set_result(answer)
        for call, answer in zip(calls, answers, strict=True):
            self._end(call, answer, "timed_out" if _gave_up(call.future) else None)

    def _said(self, call: Call, said: Prediction, milliseconds: float) -> Answer:
        version, classes = call.resident.weights.version, said.classes
        return Answer(
            call.call_id, call.adapter, version, said.output, said.confidence, milliseconds, classes, call.fallback
        )

    def _fail(self, call: Call, error: BaseException) -> None:
        weights, kind = call.resident.weights, type(error).__name__
        log.error("%s/%s failed at a call: %s%s", weights.adapter, weights.version, kind, where(error))
        self._refuse(call, Failed(weights.adapter, weights.version, kind), kind)

    def _refuse(self, call: Call, error: Exception, kind: str) -> None:
        """End a call without an answer, unless its model comes to an end with it at this very moment."""
        try:
            call.future.set_exception(error)
        except InvalidStateError:
            if not _gave_up(call.future):
                return
            kind = "timed_out"
        self._end(call, None, kind)

    def _end(self, call: Call, answer: Answer | None, kind: str | None) -> None:
        """Tell of a call's end, once."""
        with self._changed:
            if call.over:
                return
            call.over = True
            self._open[call.resident] -= 1
        try:
            call.ended(call, answer, kind)
        except Exception as error:
            log.error("what follows a call failed: %s%s", type(error).__name__, where(error))


def where(error: BaseException) -> str:
    """Return the line that raised an error, and no word of its message."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _gave_up(ended: Future[Answer]) -> bool:
    """Return whether its caller, or who gave up its model or closed, waited no longer for an answer that is done."""
    return isinstance(ended.exception(), TimedOut | Overloaded)
