"""A call as the gateway sees it: the answer a caller gets, why there is none, and who is told of both."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_foundry.errors import FoundryError

Row = Mapping[str, Any]
"""What a model reads of a call, by the columns of its engine's gold: "text", "audio" {"bytes"}, "direction", ..."""


def new_request_id() -> str:
    """Return an id for a request that no other request has: a phone call's id may stand for many."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Answer:
    """What a caller gets: one version's output, and how long the model worked on it.

    `version` is the adapter's version, or "base". `milliseconds` are those of the batch that the call was answered in.
    `fallback` names the version that should have answered and did not.
    """

    call_id: str
    adapter: str
    version: str
    output: Any
    confidence: float | None
    milliseconds: float
    classes: Mapping[str, float] = field(default_factory=dict)
    fallback: str | None = None


class CallObserver(Protocol):
    """Is told of every call, in the thread that answered it, so it must never block.

    `seconds` are from the call's arrival to its answer. `kind` is a word for why there is none, never a caller's text:
    "rejected:<reason>", "not_served", "unavailable", "starting", "overloaded", "timed_out" (its caller gave up), or the
    name of the error's type.
    """

    def answered(self, answer: Answer, row: Row, seconds: float) -> None: ...

    def failed(self, adapter: str, version: str | None, kind: str, row: Row | None, seconds: float) -> None: ...


class NotServed(FoundryError):
    """No version answers for an adapter, and why."""


class Unavailable(NotServed):
    """One should answer for an adapter, and can't: a failure in every figure, where what is not served is none."""


class Overloaded(FoundryError):
    """More calls wait than may; the caller should come again."""


class Starting(Overloaded):
    """What answers for an adapter is still being loaded."""


class TimedOut(FoundryError):
    """A call was not answered in time."""


class Failed(FoundryError):
    """A model failed at a call. The kind is a name alone: the message of a model's error may hold a caller's words."""

    def __init__(self, adapter: str, version: str, kind: str) -> None:
        super().__init__(f"{adapter}/{version} failed at this call: {kind}.", "Ask again; the log says where.")
        self.version, self.kind = version, kind


def give_up(answer: Future[Answer]) -> None:
    """Wait no longer for an answer: a call that is still queued is dropped, and what a model says of it later is late.

    Where the answer came just before, it stays.
    """
    if not answer.cancel():
        with suppress(InvalidStateError):
            answer.set_exception(TimedOut("The call was not answered in time."))


class InvalidAnswer(Exception):
    """What a model returned can't be an answer."""
