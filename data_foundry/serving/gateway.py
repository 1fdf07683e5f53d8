"""The gateway: answers callers with the incumbent and lets a candidate answer a share of the same calls unheard.

The caller's answer is complete before the candidate is told of the call. The candidate works in threads of its own,
behind a bounded queue and a time-out, on a predictor of its own: an adapter is switched on in the model itself, so a
model that serves two adapters at once could answer a caller with the candidate's weights, and a lock around the switch
would let a candidate that hangs hold up callers.
"""

from __future__ import annotations

import hashlib
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_foundry.records import Rejected

Row = Mapping[str, Any]
Milliseconds = float

BASE = "base"
EXAMPLES = 3


class Prediction(Protocol):
    """What a model says of one row: `output` is a text, a label or codes; `confidence` is in 0..1 or None."""

    @property
    def output(self) -> Any: ...

    @property
    def confidence(self) -> float | None: ...


class Predictor(Protocol):
    """A loaded base with its adapters; `adapter` None is the bare base. Not safe to call from two threads at once."""

    def predict(self, rows: Sequence[Row], adapter: str | None = None) -> Sequence[Prediction]: ...

    def why_not(self, row: Row) -> Rejected | None: ...


@dataclass(frozen=True)
class Answer:
    """What a caller gets: the incumbent's output, which version made it, and how long the model took."""

    call_id: str
    version: str
    output: Any
    confidence: float | None
    milliseconds: Milliseconds
    mirrored: bool = False


@dataclass(frozen=True)
class MirroredCall:
    """One call that both heard. Exactly one of `candidate` and `error` is set; "timed_out" is an error like others."""

    call_id: str
    incumbent: Answer
    candidate: Answer | None = None
    error: str | None = None


@dataclass
class ShadowCounts:
    """Where every call went: chosen = mirrored + dropped + waiting, mirrored = answered + timed out + errors."""

    calls: int = 0
    chosen: int = 0
    answered: int = 0
    timed_out: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Mirrored calls that the candidate did not answer."""
        return self.timed_out + self.errors.total()

    @property
    def mirrored(self) -> int:
        """Calls that reached the candidate."""
        return self.answered + self.failed

    @property
    def waiting(self) -> int:
        """Calls that were chosen and stand in the queue or before the candidate."""
        return self.chosen - self.mirrored - self.dropped.total()


def is_mirrored(call_id: str, key: bytes, share: float) -> bool:
    """Say whether a call belongs to the mirrored share (0..1): a keyed hash of its id, the same answer every time.

    `key` (at most 64 bytes) is the operator's: who does not know it can't place a call in or out of the share.
    """
    digest = hashlib.blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
    return int.from_bytes(digest) < share * 2**64


class Gateway:
    """Answers calls of one engine, and mirrors a share of them to a candidate.

    `incumbent` and `candidate` are adapter names, None as incumbent is the bare base, None as candidate mirrors
    nothing. A candidate needs `shadow_predictor`, another object than `predictor`. `observe` is called in the shadow's
    thread with every mirrored call; the gateway itself keeps counts, never content. Use as a context manager, or call
    `close`.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        incumbent: str | None = None,
        candidate: str | None = None,
        shadow_predictor: Predictor | None = None,
        shadow_share: float = 0.1,
        key: bytes = b"",
        queue_size: int = 64,
        timeout_seconds: float = 10.0,
        observe: Callable[[MirroredCall], None] | None = None,
    ) -> None:
        if candidate is not None and (shadow_predictor is None or shadow_predictor is predictor):
            raise ValueError("a candidate needs a predictor of its own: adapters are switched in the model itself")
        self._predictor, self._incumbent = predictor, incumbent
        self._share, self._key = shadow_share, key
        is_mirrored("", key, shadow_share)  # a key that can't be used is found now, not at the first call
        self._callers = threading.Lock()
        self._count = threading.Lock()
        self.counts = ShadowCounts()
        self._shadow: _Shadow | None = None
        if candidate is not None and shadow_predictor is not None:
            self._shadow = _Shadow(
                shadow_predictor, candidate, queue_size, timeout_seconds, self.counts, self._count, observe
            )

    def answer(self, call_id: str, row: Row) -> Answer:
        """Answer a call with the incumbent; safe from many threads. Raises what the incumbent raises."""
        with self._callers:
            started = time.perf_counter()
            prediction = self._predictor.predict([row], adapter=self._incumbent)[0]
            milliseconds = (time.perf_counter() - started) * 1000
        mirrored = self._shadow is not None and is_mirrored(call_id, self._key, self._share)
        version = self._incumbent or BASE
        answer = Answer(call_id, version, prediction.output, prediction.confidence, milliseconds, mirrored)
        with self._count:
            self.counts.calls += 1
            self.counts.chosen += mirrored
        if mirrored and self._shadow is not None:
            self._shadow.offer(answer, dict(row))
        return answer

    def drain(self, seconds: float) -> bool:
        """Wait until no chosen call is waiting any more; return False when `seconds` were not enough."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._count:
                if not self.counts.waiting:
                    return True
            time.sleep(0.002)
        return False

    def close(self) -> None:
        """Stop mirroring; calls still queued are dropped and counted. A candidate that hangs is left behind."""
        if self._shadow is not None:
            self._shadow.close()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Call:
    """A mirrored call on its way; `ended` is set when the candidate answered or failed."""

    def __init__(self, incumbent: Answer, row: Row) -> None:
        self.incumbent, self.row = incumbent, row
        self.ended = threading.Event()
        self.candidate: Answer | None = None
        self.error: str | None = None
        self.example = ""


class _Shadow:
    """Two threads: one asks the candidate, one holds the time. Python can't stop a thread that hangs, so while a call
    is overdue the calls behind it are dropped, not sent to a second thread: a dead candidate costs one thread."""

    def __init__(
        self,
        predictor: Predictor,
        adapter: str,
        queue_size: int,
        timeout_seconds: float,
        counts: ShadowCounts,
        lock: threading.Lock,
        observe: Callable[[MirroredCall], None] | None,
    ) -> None:
        self._predictor, self._adapter, self._timeout = predictor, adapter, timeout_seconds
        self._counts, self._lock, self._observe = counts, lock, observe
        self._queue: queue.Queue[_Call] = queue.Queue(queue_size)
        self._to_candidate: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._closed, self._gate = threading.Event(), threading.Lock()
        self._overdue: _Call | None = None
        self._threads = [
            threading.Thread(target=target, name=f"shadow-{adapter}-{target.__name__}", daemon=True)
            for target in (self._keep_time, self._ask)
        ]
        for thread in self._threads:
            thread.start()

    def offer(self, incumbent: Answer, row: Row) -> None:
        """Queue a call, or drop and count it; never waits."""
        with self._gate:
            if self._closed.is_set():
                self._drop("closed")
                return
            try:
                self._queue.put_nowait(_Call(incumbent, row))
            except queue.Full:
                self._drop("queue_full")

    def close(self) -> None:
        with self._gate:
            self._closed.set()
        self._threads[0].join(self._timeout + 1)
        if self._overdue is None:
            self._threads[1].join(1)

    def _keep_time(self) -> None:
        while not self._closed.is_set():
            try:
                call = self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
            if self._overdue is not None and not self._overdue.ended.is_set():
                self._drop("candidate_overdue")
                continue
            self._overdue = None
            self._to_candidate.put(call)
            if not call.ended.wait(self._timeout):
                self._overdue = call
            self._record(call)
        self._to_candidate.put(None)
        while not self._queue.empty():
            self._queue.get_nowait()
            self._drop("closed")

    def _ask(self) -> None:
        while (call := self._to_candidate.get()) is not None:
            try:
                started = time.perf_counter()
                predictions = self._predictor.predict([call.row], adapter=self._adapter)
                milliseconds = (time.perf_counter() - started) * 1000
                call.candidate = _checked(call.incumbent, predictions, self._adapter, milliseconds)
            except BaseException as error:
                # Whatever a candidate does, SystemExit too, stays here and is counted.
                call.error = type(error).__name__
                call.example = f"{type(error).__name__}: {error}"[:200]
            call.ended.set()

    def _record(self, call: _Call) -> None:
        overdue = self._overdue is call
        candidate = None if overdue else call.candidate
        error = "timed_out" if overdue else call.error
        example = "" if overdue else call.example
        if self._observe is not None:
            try:
                self._observe(MirroredCall(call.incumbent.call_id, call.incumbent, candidate, error))
            except Exception as failure:
                example = f"observer: {type(failure).__name__}: {failure}"[:200]
        with self._lock:
            if overdue:
                self._counts.timed_out += 1
            elif error is not None:
                self._counts.errors[error] += 1
            else:
                self._counts.answered += 1
            if example and len(self._counts.examples) < EXAMPLES and example not in self._counts.examples:
                self._counts.examples.append(example)

    def _drop(self, reason: str) -> None:
        with self._lock:
            self._counts.dropped[reason] += 1


class InvalidAnswer(Exception):
    """What a candidate returned can't be an answer."""


def _checked(incumbent: Answer, predictions: Any, version: str, milliseconds: Milliseconds) -> Answer:
    """Return the candidate's answer. Raises InvalidAnswer when it is not one output of the incumbent's type."""
    if not isinstance(predictions, Sequence) or len(predictions) != 1:
        raise InvalidAnswer(f"not one prediction but {type(predictions).__name__}")
    output, confidence = predictions[0].output, predictions[0].confidence
    if not isinstance(output, type(incumbent.output)):
        raise InvalidAnswer(f"{type(output).__name__} instead of {type(incumbent.output).__name__}")
    if confidence is not None and not (math.isfinite(confidence) and 0 <= confidence <= 1):
        raise InvalidAnswer(f"confidence {confidence}")
    return Answer(incumbent.call_id, version, output, confidence, milliseconds, mirrored=True)
