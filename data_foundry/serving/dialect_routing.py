"""Dialect routing: speech goes to the transcription adapter of its speaker's dialect, where one is in production."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from data_foundry.records import AIEngine, Rejected
from data_foundry.serving.calls import Answer, NotServed, Overloaded, Row
from data_foundry.serving.routing import Route
from data_foundry.serving.trials.trial import BASE
from data_foundry.serving_settings import Serving

DIALECT, STT = AIEngine.DIALECT.value, AIEngine.STT.value


class Submitter(Protocol):
    """What takes calls."""

    def submit(self, adapter: str, call_id: str, row: Row) -> Future[Answer]: ...

    def routes(self) -> Mapping[str, Route]: ...


def submit_by_dialect(gateway: Submitter, serving: Serving, call_id: str, row: Row) -> Future[Answer]:
    """Queue speech to be transcribed, and return its answer to come.

    The dialect engine is asked first where a dialect's adapter could answer; that it can't say changes nothing. Raises
    as `submit` does.
    """
    table = gateway.routes()
    wanted = serving.dialect_adapters
    fit = {dialect: name for dialect, name in wanted.items() if name in table and table[name].incumbent != BASE}
    if not fit or DIALECT not in table or table[DIALECT].answering is None:
        return gateway.submit(STT, call_id, row)
    try:
        heard = gateway.submit(DIALECT, call_id, row)
    except (Rejected, NotServed, Overloaded):
        return gateway.submit(STT, call_id, row)
    outer: Future[Answer] = Future()

    def transcribe(heard: Future[Answer]) -> None:
        if not outer.set_running_or_notify_cancel():
            return
        try:
            adapter = _adapter(heard, fit, serving.min_dialect_confidence)
            gateway.submit(adapter, call_id, row).add_done_callback(partial(_hand_on, outer))
        except Exception as error:
            outer.set_exception(error)

    heard.add_done_callback(transcribe)
    return outer


def _adapter(heard: Future[Answer], fit: Mapping[str, str], at_least: float) -> str:
    """Return the adapter of the dialect that was heard, the engine's own where none is sure enough."""
    if heard.cancelled() or heard.exception() is not None:
        return STT
    said = heard.result()
    return fit.get(said.output, STT) if (said.confidence or 0.0) >= at_least else STT


def _hand_on(outer: Future[Answer], inner: Future[Answer]) -> None:
    error = inner.exception()
    if error is not None:
        outer.set_exception(error)
    else:
        outer.set_result(inner.result())
