"""Dialect routing: speech goes to the transcription adapter of its speaker's dialect, where one is in production."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Protocol

from data_foundry.records import AIEngine, Rejected
from data_foundry.serving.calls import Answer, Failed, NotServed, Overloaded, Row, give_up
from data_foundry.serving.routing import Route
from data_foundry.serving.trials.trial import BASE
from data_foundry.serving_settings import Serving

DIALECT, STT = AIEngine.DIALECT.value, AIEngine.STT.value
DIALECT_SHARE_OF_TIMEOUT = 1 / 4
"""Of the time that a call may take, what the question for the dialect gets; the rest is the transcription's."""
THREADS = 2
"""They hand speech on whose dialect is known."""


class Submitter(Protocol):
    """What takes calls."""

    def submit(self, adapter: str, call_id: str, row: Row, *, request_id: str | None = None) -> Future[Answer]: ...

    def routes(self) -> Mapping[str, Route]: ...


class Routed:
    """Speech on its way: the dialect engine is asked first, then one adapter transcribes.

    `answer` is to come; a caller who cancels it gives up what he waits for: that is taken out of the queue, or comes
    too late. `apart` runs what makes the features of a transcription: work for no model's own thread.
    """

    def __init__(
        self,
        submit: Callable[[str], Future[Answer]],
        fit: Mapping[str, str],
        at_least: float,
        apart: Callable[..., None],
    ) -> None:
        self.answer: Future[Answer] = Future()
        self.since = time.monotonic()
        self._submit, self._fit, self._at_least, self._apart = submit, fit, at_least, apart
        self._lock, self._routed = threading.Lock(), False
        self._transcribed = False
        self._asked = submit(DIALECT)

    def start(self) -> None:
        """Go on when the dialect is known, or its question failed."""
        self.answer.add_done_callback(self._given_up)
        self._asked.add_done_callback(self.transcribe)

    def transcribe(self, heard: Future[Answer] | None = None) -> None:
        """Hand the speech on, once: to the adapter of the dialect that was `heard`, None where nobody waits for it."""
        with self._lock:
            if self._routed:
                return
            self._routed = True
        if heard is None:
            give_up(self._asked)
        self._apart(self._transcribe, heard)

    def stop(self) -> None:
        """Turn its caller away, where nobody has answered yet."""
        with suppress(InvalidStateError):
            self.answer.set_exception(Overloaded("The gateway stops.", "Ask another one, or later."))

    def _transcribe(self, heard: Future[Answer] | None) -> None:
        # An executor that can't start a thread for it keeps what it refused, and may come to run it after all.
        with self._lock:
            if self._transcribed:
                return
            self._transcribed = True
        if self.answer.done():
            return
        try:
            self._asked = self._submitted(STT if heard is None else _adapter(heard, self._fit, self._at_least))
        except Exception as error:
            if not self.answer.done() and self.answer.set_running_or_notify_cancel():
                self.answer.set_exception(error)
            return
        if self.answer.cancelled():
            give_up(self._asked)
        self._asked.add_done_callback(self._hand_on)

    def _submitted(self, adapter: str) -> Future[Answer]:
        try:
            return self._submit(adapter)
        except (Rejected, NotServed, Overloaded, Failed):
            if adapter == STT:
                raise
            return self._submit(STT)

    def _given_up(self, answer: Future[Answer]) -> None:
        if answer.cancelled():
            give_up(self._asked)

    def _hand_on(self, inner: Future[Answer]) -> None:
        if inner.cancelled():
            self.answer.cancel()
        elif self.answer.done() or not self.answer.set_running_or_notify_cancel():
            return
        elif (error := inner.exception()) is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(inner.result())


class DialectRouting:
    """Routes speech; a question for its dialect that takes longer than `timeout_seconds` is not waited for."""

    def __init__(self, gateway: Submitter, serving: Serving) -> None:
        self._gateway, self._serving = gateway, serving
        self.timeout_seconds = serving.request_timeout_seconds * DIALECT_SHARE_OF_TIMEOUT
        self._open: set[Routed] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-dialects")

    def submit(self, call_id: str, row: Row, request_id: str | None = None) -> Future[Answer]:
        """Queue speech to be transcribed, and return its answer to come.

        The dialect engine is asked first where a dialect's adapter could answer; that it can't say, or says it too
        late, changes nothing, nor does an adapter that takes no more calls or breaks on this one. Raises as `submit` of
        a gateway does.
        """
        table = self._gateway.routes()
        submit = partial(self._gateway.submit, call_id=call_id, row=row, request_id=request_id)
        wanted = self._serving.dialect_adapters
        fit = {dialect: name for dialect, name in wanted.items() if name in table and table[name].incumbent != BASE}
        if not fit or DIALECT not in table or table[DIALECT].answering is None:
            return submit(STT)
        try:
            routed = Routed(submit, fit, self._serving.min_dialect_confidence, self._apart)
        except (Rejected, NotServed, Overloaded, Failed):
            return submit(STT)
        with self._lock:
            self._open.add(routed)
        routed.answer.add_done_callback(lambda answer: self._close(routed))
        routed.start()
        return routed.answer

    def give_up_overdue(self) -> None:
        """Let the transcription engine hear what has waited for its dialect for too long."""
        late = time.monotonic() - self.timeout_seconds
        with self._lock:
            overdue = [routed for routed in self._open if routed.since < late]
        for routed in overdue:
            routed.transcribe()

    def close(self) -> None:
        """End its threads, when what they are at is done, which is not waited for, and turn away who still waits."""
        self._threads.shutdown(wait=False)
        with self._lock:
            waiting = [*self._open]
        for routed in waiting:
            routed.stop()

    def _apart(self, work: Callable[..., None], heard: Future[Answer] | None) -> None:
        try:
            self._threads.submit(work, heard)
        except RuntimeError:
            # The gateway has closed, and refuses at once what is handed on; or the machine has no thread to give.
            work(heard)

    def _close(self, routed: Routed) -> None:
        with self._lock:
            self._open.discard(routed)


def _adapter(heard: Future[Answer], fit: Mapping[str, str], at_least: float) -> str:
    """Return the adapter of the dialect that was heard, the engine's own where none is sure enough."""
    if heard.cancelled() or heard.exception() is not None:
        return STT
    said = heard.result()
    return fit.get(said.output, STT) if (said.confidence or 0.0) >= at_least else STT
