"""One call from the request to the model's answer, and from there to what its caller reads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request
from fastapi.responses import JSONResponse

from data_foundry.config import Settings
from data_foundry.records import AIEngine
from data_foundry.serving.calls import Answer, Row, Starting, TimedOut, give_up
from data_foundry.serving.http.errors import Refused, refused_by
from data_foundry.serving.route_table import NOT_STARTED

_ENGINES = frozenset(AIEngine)


class CallGateway(Protocol):
    """What the endpoints need of the gateway."""

    def submit(self, adapter: str, call_id: str, row: Row, *, request_id: str | None = None) -> Future[Answer]: ...

    def submit_speech(self, call_id: str, row: Row, *, request_id: str | None = None) -> Future[Answer]: ...

    def routes(self) -> Mapping[str, Any]: ...

    def ready(self) -> list[str]: ...

    def feedback(
        self, adapters: Sequence[str], truth: str, *, request_id: str | None = None, call_id: str | None = None
    ) -> dict[str, Any] | None: ...


class CallService(Protocol):
    """What the application is made for: a gateway with its settings, and who watches it."""

    @property
    def settings(self) -> Settings: ...

    @property
    def gateway(self) -> CallGateway: ...

    @property
    def watch(self) -> Any: ...


@dataclass(frozen=True)
class Caller:
    """Whose call it is, the id that the caller knows it by, and that of this request, of which a call may have many."""

    name: str
    call_id: str
    request_id: str
    service: CallService
    request: Request

    @classmethod
    def of(cls, request: Request) -> Caller:
        state = request.state
        return cls(state.caller, state.call_id, state.request_id, request.app.state.service, request)

    @property
    def settings(self) -> Settings:
        return self.service.settings

    def scoped(self, named: str) -> str:
        """Return a call's or request's id as the gateway knows it: no caller can name those of another one."""
        return f"{self.name}/{named}"

    async def answer(self, adapter: str, make_row: Callable[[], Row], *, routed: bool = False) -> Answer:
        """Return the gateway's answer to a row, which is made off the event loop, as the gateway's features are.

        `routed`: the gateway may choose the adapter of the speaker's dialect. A call whose caller goes away, or whose
        time is up, is taken out of the gateway's queue. Raises Refused.
        """
        gateway = self.service.gateway
        seconds = self.settings.serving.request_timeout_seconds
        started = time.monotonic()
        asked = _Asked()

        def submit() -> Future[Answer]:
            row = make_row()
            call_id, request_id = self.scoped(self.call_id), self.scoped(self.request_id)
            if routed:
                return asked.by(lambda: gateway.submit_speech(call_id, row, request_id=request_id))
            return asked.by(lambda: gateway.submit(adapter, call_id, row, request_id=request_id))

        try:
            async with asyncio.timeout(seconds):
                return await self._while_waited_for(asyncio.wrap_future(await asyncio.to_thread(submit)))
        except Exception as error:
            late = isinstance(error, TimeoutError)
            known = asked.given_up() if late else asked.known
            refused = refused_by(TimedOut("The call was not answered in time.") if late else error)
            if not known:
                # The gateway tells its observers of what it refuses or answers late; it never saw this call.
                kind = f"rejected:{refused.code}" if refused.status_code < 429 else refused.code
                self.service.watch.failed(adapter, None, kind, None, time.monotonic() - started)
            if refused.code == "not_served" and not gateway.routes():
                text = "The gateway is starting. Come again shortly."
                refused = Refused(429, "starting", text, headers={"Retry-After": "2"})
            raise refused from None

    async def _while_waited_for(self, answer: asyncio.Future[Answer]) -> Answer:
        leaving = asyncio.ensure_future(self._left())
        either: set[asyncio.Future[Any]] = {answer, leaving}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise Refused(400, "caller_gone", "The caller went away before the answer.")
            return answer.result()
        finally:
            leaving.cancel()
            answer.cancel()

    async def _left(self) -> None:
        """Return when the caller closes the connection."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass


class _Asked:
    """Whether the gateway knows of a call, which may be given up before a thread hands it over, while, or after."""

    def __init__(self) -> None:
        self.known = False
        self._late = False
        self._answer: Future[Answer] | None = None
        self._lock = threading.Lock()

    def by(self, submit: Callable[[], Future[Answer]]) -> Future[Answer]:
        """Hand the call over. Raises TimedOut where it was given up before, and what `submit` raises."""
        with self._lock:
            if self._late:
                raise TimedOut("The call waited too long.")
            self.known = True
        answer = submit()
        with self._lock:
            self._answer = answer
            late = self._late
        if late:
            give_up(answer)
        return answer

    def given_up(self) -> bool:
        """Give the call up; return whether the gateway knows of it, and so tells of its end."""
        with self._lock:
            self._late = True
            known, answer = self.known, self._answer
        if answer is not None:
            give_up(answer)
        return known


def meta(answer: Answer, caller: Caller) -> dict[str, Any]:
    """Return what every answer tells of itself: ids, adapter, version, milliseconds of its model, and its stand-in."""
    return {
        "call_id": caller.call_id,
        "request_id": caller.request_id,
        "adapter": answer.adapter,
        "version": answer.version,
        "milliseconds": round(answer.milliseconds, 3),
        "fallback": answer.fallback,
    }


def labelled(answer: Answer, caller: Caller) -> dict[str, Any]:
    """Return a classifier's answer: the label, how sure it is, and the share of every other label."""
    found = {"label": answer.output, "confidence": answer.confidence, "confidences": dict(answer.classes)}
    return {**found, **meta(answer, caller)}


def headers(answers: Sequence[Answer]) -> dict[str, str]:
    """Return the headers that name the versions and the milliseconds of answers."""
    return {
        "X-Model-Version": ", ".join(f"{answer.adapter}/{answer.version}" for answer in answers),
        "X-Model-Milliseconds": f"{sum(answer.milliseconds for answer in answers):.3f}",
    }


def reply(body: Mapping[str, Any], *answers: Answer) -> JSONResponse:
    """Return a JSON answer with its headers."""
    return JSONResponse(dict(body), headers=headers(answers))


def checked_text(text: str, param: str, settings: Settings) -> str:
    """Return a caller's text. Raises Refused where it is empty, too long, or no text."""
    most = settings.serving.max_text_characters
    if len(text) > most:
        message = f"{param}: it has over {most} characters. Send it in shorter pieces."
        raise Refused(400, "text_too_long", message, param)
    if not text.strip():
        raise Refused(400, "empty_text", f"{param}: it is empty. Send at least one word.", param)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(400, "invalid_text", f"{param}: it holds characters that are no text.", param)
    return text


def adapters_of(lacking: Sequence[str]) -> list[str]:
    """Return the adapters among what a gateway lacks, see its `ready`; what else is wrong with it is left out."""
    named = dict.fromkeys(reason.partition(":")[0] for reason in lacking)
    return [name for name in named if name.partition(".")[0] in _ENGINES]


def served(caller: Caller, model: str | None, engine: str, aliases: Sequence[str] = ()) -> str:
    """Return the adapter that a request means by `model`. Raises Refused for one that is not of the engine."""
    if model is None or model in aliases:
        return engine
    gateway = caller.service.gateway
    if model == engine:
        return model
    if model.startswith(f"{engine}."):
        # What is being loaded is the gateway's to turn away; which variants there are it knows once it has looked.
        lacking, routes = gateway.ready(), gateway.routes()
        if model in routes or model in adapters_of(lacking):
            return model
        if NOT_STARTED in lacking or not routes:
            raise refused_by(Starting(NOT_STARTED, "Come again in a few seconds."))
    text = f"No such model for this endpoint. {engine} is the default; GET /v1/models lists what is served."
    raise Refused(404, "model_not_found", text, "model")
