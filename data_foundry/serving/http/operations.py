"""Endpoints beside the calls: is it alive, is it ready, what is served, and feedback on what was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from data_foundry.serving.http import schemas
from data_foundry.serving.http.calling import Caller, CallService, checked_text
from data_foundry.serving.http.documents import refusals
from data_foundry.serving.http.errors import Refused

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


@router.get("/health", response_model=schemas.Health)
async def health() -> JSONResponse:
    """Say that the gateway lives; whether it can answer is for /ready to say."""
    return JSONResponse({"status": "alive"})


@router.get(
    "/ready",
    response_model=schemas.Readiness,
    responses={503: {"model": schemas.Readiness, "description": "Nothing answers yet, and why."}},
)
async def ready(request: Request) -> JSONResponse:
    """Say whether calls are answered, and what is missing of what the registry names."""
    service: CallService = request.app.state.service
    missing = service.gateway.ready()
    answers = any(True for _ in answering(service))
    if not answers and not missing:
        missing = ["no adapter answers: nothing is registered, and no base can answer alone"]
    return JSONResponse({"ready": answers, "missing": missing}, 200 if answers else 503)


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


@router.post("/v1/feedback", response_model=schemas.Scored, responses=refusals(400, 404))
async def feedback(request: Request, given: schemas.FeedbackRequest) -> JSONResponse:
    """Take what was true of a call, so that versions on trial are judged by it. Of calls made with the same key."""
    caller = Caller.of(request)
    if (given.adapter is None) == (given.task is None):
        raise Refused(400, "invalid_value", "Give either adapter or task.", "adapter")
    truth = checked_text(given.truth, "truth", caller.settings)
    routes = caller.service.gateway.routes()
    name = TASKS[given.task] if given.task is not None else str(given.adapter)
    names = [name, *(each for each in routes if name in _ROUTED and each.startswith(f"{name}."))]
    known = [each for each in names if each in routes]
    if not known:
        text = "No such model is served. GET /v1/models lists those that are."
        raise Refused(404, "model_not_found", text, "adapter" if given.adapter else "task")
    labels = routes[known[0]].labels
    if labels and truth not in labels:
        text = f"truth: it must be one of the model's labels: {', '.join(labels)}."
        raise Refused(400, "invalid_value", text, "truth")
    gateway = caller.service.gateway
    for each in known:
        scored = await asyncio.to_thread(gateway.feedback, caller.scoped(given.call_id), each, truth)
        if scored is not None:
            return JSONResponse({"call_id": given.call_id, "adapter": each, "accepted": True})
    text = "No answer to this call is remembered: it was not made with this key, or too long ago."
    raise Refused(404, "call_not_found", text, "call_id")


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
