"""Endpoints beside the calls: is it alive, is it ready, what is served, and feedback on what was answered."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from data_foundry.errors import FoundryError
from data_foundry.figures import counted
from data_foundry.serving.agreement import COMPARISONS
from data_foundry.serving.calls import Starting
from data_foundry.serving.feedback import NotALabel, SeveralRequests
from data_foundry.serving.http import schemas
from data_foundry.serving.http.calling import Caller, CallService, adapters_of, checked_text
from data_foundry.serving.http.documents import refusals
from data_foundry.serving.http.errors import ASKED_FOR, RETRY_AFTER, Refused, refused_by
from data_foundry.serving.route_table import NOT_STARTED

log = logging.getLogger("data_foundry")

router = APIRouter()

# The adapters whose answers a task's truth is about.
TASKS = {
    "transcription": "stt",
    "intent": "nlu",
    "topic": "nlu.topic",
    "sentiment": "sentiment",
    "dialect": "dialect",
    "translation": "translation",
}
_ROUTED = ("stt", "dialect")
"""Of these the gateway chooses the variant: by the speaker's dialect, or by whether speech or text came."""
NOT_REMEMBERED = (
    "No such answer is remembered: it was not given to this key, or too long ago, or by a gateway that has ended since."
)
T = TypeVar("T")

WAITING_FEEDBACK = 64
"""So much feedback may wait to be kept; more is turned away."""


class FeedbackThread:
    """The thread that scores feedback: keeping it waits for a file that may be locked, and no call waits with it.

    What looks for other gateways, which are on such a file too, works here as well.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "feedback")
        self._room = threading.BoundedSemaphore(WAITING_FEEDBACK)

    async def run(self, score: Callable[[], T]) -> T:
        """Return what a function returns once its turn has come. Raises Refused where too many wait."""
        if not self._room.acquire(blocking=False):
            text = "Too much feedback waits to be kept. Come again shortly."
            raise Refused(429, "overloaded", text, headers=RETRY_AFTER)
        scored = self._thread.submit(score)
        scored.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(scored)


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=schemas.Health)
async def health() -> JSONResponse:
    """Say that the gateway lives; whether it can answer is for /ready to say."""
    return JSONResponse({"status": "alive"})


@router.get(
    "/ready",
    response_model=schemas.Readiness,
    responses={503: {"model": schemas.Readiness, "description": "Nothing answers, or it starts."}},
)
async def ready(request: Request) -> JSONResponse:
    """Say whether calls are answered, and name the adapters that are missing; why they are, /v1/status tells.

    A gateway that starts is ready when all has been loaded that can be. What is added to one that was ready is loaded
    while it answers.
    """
    service, state = request.app.state.service, request.app.state
    # Asked without a key, and the reasons name folders. What is loaded between the two looks is not awaited any more.
    lacking = service.gateway.ready()
    missing, routes = adapters_of(lacking), service.gateway.routes()
    awaited = NOT_STARTED in lacking or any(name not in routes for name in missing)
    # A host whose threads died answers nobody until it is replaced.
    answers = any(route.host is None or route.host.takes_calls for route in answering(service))
    state.started = state.started or (answers and not awaited)
    is_ready = answers and state.started
    return JSONResponse({"ready": is_ready, "missing": missing}, 200 if is_ready else 503)


@router.get("/v1/models", response_model=schemas.Models)
async def models(request: Request) -> JSONResponse:
    """List what answers, in OpenAI's shape."""
    service: CallService = request.app.state.service
    return JSONResponse({"object": "list", "data": [_model(route) for route in answering(service)]})


@router.get("/v1/models/{name}", response_model=schemas.Model, responses=refusals(404))
async def model(request: Request, name: str) -> JSONResponse:
    """Tell of one model that answers."""
    service: CallService = request.app.state.service
    for route in answering(service):
        if route.adapter == name:
            return JSONResponse(_model(route))
    raise Refused(404, "model_not_found", "No such model is served. GET /v1/models lists those that are.", "name")


@router.post("/v1/feedback", response_model=schemas.Scored, responses=refusals(400, 404, 429))
async def feedback(request: Request, given: schemas.FeedbackRequest) -> JSONResponse:
    """Take what was true of a request, so that versions on trial are judged by it.

    One that nobody answered (404, not_served) is no other: what is on trial heard its share of them.
    Of requests made with the same key. Only the gateway that answered can score its answer: where that was another one
    on the same base path, it is asked, by the request's id. A call's id alone finds what this gateway answered: of one
    call others may have answered more, and no truth is about all of them. Where one that may have answered says nothing
    in time, or what is asked about is being loaded, it is 429: come again. A request's feedback counts once, the first
    time.
    """
    caller = Caller.of(request)
    if (given.adapter is None) == (given.task is None):
        raise Refused(400, "invalid_value", "Give either adapter or task.", "adapter")
    if given.request_id is None and given.call_id is None:
        raise Refused(400, "invalid_value", "Give the request_id of the answer.", "request_id")
    truth = checked_text(given.truth, "truth", caller.settings)
    routes = caller.service.gateway.routes()
    name = TASKS[given.task] if given.task is not None else str(given.adapter)
    names = [name, *(each for each in routes if name in _ROUTED and each.startswith(f"{name}."))]
    known = [each for each in names if each in routes]
    if known and not COMPARISONS[routes[known[0]].task].has_reference:
        text = "No feedback can be scored for this model: nothing says which tokens would have been right."
        raise Refused(400, "not_scorable", text, "adapter")
    ids = {name: getattr(given, name) for name in ("request_id", "call_id")}
    scoped = {name: caller.scoped(each) if each is not None else None for name, each in ids.items()}
    gateway, waiting = caller.service.gateway, request.app.state.feedback
    param = "call_id" if given.request_id is None else "request_id"
    asked_for = request.headers.get(ASKED_FOR)
    if asked_for not in (None, caller.name):
        # A key that two gateways know under two names would find the calls of somebody else.
        raise Refused(404, "call_not_found", NOT_REMEMBERED, param)
    scored, unasked = None, ""
    try:
        if known:
            scored = await waiting.run(lambda: gateway.feedback(known, truth, **scoped))
    except SeveralRequests:
        text = "Several requests were answered under this call_id. Give the request_id of the answer that is meant."
        raise Refused(400, "several_requests", text, "request_id") from None
    except NotALabel as error:
        # Of the model that answered: another one of the same task may know other labels.
        text = f"truth: it must be one of the model's labels: {', '.join(error.labels)}."
        raise Refused(400, "invalid_value", text, "truth") from None
    # What is not loaded here yet, or never is, others may have answered.
    if scored is None and given.request_id is not None and asked_for is None:
        scored, unasked = await _ask_others(caller, given)
    if scored is None and not known:
        lacking = gateway.ready()
        if asked_for is None and (not routes or NOT_STARTED in lacking or name in adapters_of(lacking)):
            raise refused_by(Starting(NOT_STARTED, "Come again in a few seconds."))
        text = "No such model is served. GET /v1/models lists those that are."
        raise Refused(404, "model_not_found", text + unasked, "adapter" if given.adapter else "task")
    if scored is None:
        text = NOT_REMEMBERED
        if given.request_id is None:
            text += " The request_id of the answer is looked for at other gateways, too."
        raise Refused(404, "call_not_found", text + unasked, param)
    return JSONResponse({**ids, "adapter": scored["adapter"], "accepted": True, "repeated": scored["repeated"]})


async def _ask_others(caller: Caller, given: schemas.FeedbackRequest) -> tuple[dict[str, Any] | None, str]:
    """Return what another gateway scored, or None and a sentence on those that could not be asked. Raises Refused."""
    state = caller.request.app.state
    try:
        peers = await state.feedback.run(caller.service.watch.peers)
    except FoundryError as error:
        log.warning("feedback is not passed on: %s", error)
        return None, " Whether other gateways gave it can't be looked up now."
    if not peers.addresses and not peers.beyond:
        return None, ""
    authorization = caller.request.headers.get("authorization", "").encode("latin-1")
    scored, failed = await state.peers.ask(peers, given, caller.name, authorization)
    unasked = f" {counted(failed, 'other gateway')} could not be asked." if failed else ""
    return scored and scored.model_dump(), unasked


def answering(service: CallService) -> Iterator[Any]:
    """Yield the routes that somebody answers."""
    return (route for route in service.gateway.routes().values() if not route.why)


def _model(route: Any) -> dict[str, Any]:
    return {
        "id": route.adapter,
        "object": "model",
        "created": int(datetime.fromisoformat(route.since).timestamp()) if route.since else 0,
        "owned_by": "data-foundry",
        "version": route.incumbent,
        "task": route.task,
        "labels": list(route.labels),
    }
