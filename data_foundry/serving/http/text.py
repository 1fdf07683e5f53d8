"""Endpoints that read: intent and topic, sentiment, translation."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from data_foundry.engines.sentiment import IVR_LABELS
from data_foundry.serving.calls import Answer, NotServed
from data_foundry.serving.http import schemas
from data_foundry.serving.http.calling import Caller, checked_text, labelled, meta, reply, served
from data_foundry.serving.http.documents import refusals
from data_foundry.serving.http.errors import Refused, refused_by

INTENT, TOPIC, SENTIMENT, TRANSLATION = "nlu", "nlu.topic", "sentiment", "translation"

router = APIRouter(responses=refusals(400, 404, 429, 500))


@router.post("/v1/understand", response_model=schemas.Understanding)
async def understand(request: Request, given: schemas.TextRequest) -> JSONResponse:
    """Say what a caller wants, and what a text is about: each a label, how sure it is, and the share of all others.

    With `model`, that adapter alone answers: nlu.topic the topic, every other one the intent.
    """
    caller = Caller.of(request)
    text = checked_text(given.text, "text", caller.settings)
    asked = {"intent": INTENT, "topic": TOPIC}
    if given.model is not None:
        adapter = served(caller, given.model, INTENT)
        asked = {"topic" if adapter == TOPIC else "intent": adapter}
    routes = caller.service.gateway.routes()
    served_too = {adapter for adapter in asked.values() if adapter in routes and not routes[adapter].why}
    # What is on trial hears its share of what nobody answers, too.
    heard = {adapter for adapter in asked.values() if adapter in routes and routes[adapter].mirrors}
    found = await asyncio.gather(*(_one(caller, adapter, text, served_too, heard) for adapter in asked.values()))
    answers = [answer for answer in found if isinstance(answer, Answer)]
    said = dict(zip(asked, found, strict=True))
    refused = {name: each for name, each in said.items() if isinstance(each, Refused)}
    if not answers:
        raise next(iter(refused.values()))
    body = {
        "call_id": caller.call_id,
        "request_id": caller.request_id,
        "intent": None,
        "topic": None,
        **{name: labelled(each, caller) if isinstance(each, Answer) else None for name, each in said.items()},
        "not_served": {name: str(each.detail) for name, each in refused.items()},
    }
    return reply(body, *answers)


@router.post("/v1/sentiment", response_model=schemas.Sentiment)
async def sentiment(request: Request, given: schemas.TextRequest) -> JSONResponse:
    """Say how a caller feels: the polarity, and what it means on a phone line."""
    caller = Caller.of(request)
    text = checked_text(given.text, "text", caller.settings)
    answer = await caller.answer(served(caller, given.model, SENTIMENT), lambda: {"text": text})
    return reply({**labelled(answer, caller), "ivr_label": IVR_LABELS.get(answer.output)}, answer)


@router.post("/v1/translate", response_model=schemas.Translated)
async def translate(request: Request, given: schemas.TranslateRequest) -> JSONResponse:
    """Translate Malayalam into English (ml-en), or English into Malayalam (en-ml)."""
    caller = Caller.of(request)
    text = checked_text(given.text, "text", caller.settings)
    # As gold has it: `text` is the Malayalam side, `translation` the English one.
    sides = {"text": text, "translation": None} if given.direction == "ml-en" else {"text": None, "translation": text}
    adapter = served(caller, given.model, TRANSLATION)
    answer = await caller.answer(adapter, lambda: {**sides, "direction": given.direction})
    body = {"text": answer.output, "direction": given.direction, "confidence": answer.confidence}
    return reply({**body, **meta(answer, caller)}, answer)


async def _one(
    caller: Caller, adapter: str, text: str, served_too: Collection[str], heard: Collection[str]
) -> Answer | Refused:
    """Return an adapter's answer, or why it is not served; other failures are the whole call's. Raises Refused.

    Where another of those `served_too` answers, this one is not asked for what it does not serve, unless it is `heard`
    by what is on trial: that is no failure, nor is it one where that can't take the call.
    """
    if served_too and adapter not in served_too and adapter not in heard:
        return refused_by(NotServed(f"{adapter} is not served."))
    try:
        return await caller.answer(adapter, lambda: {"text": text})
    except Refused as refused:
        if refused.code != "not_served" and (not served_too or adapter in served_too):
            raise
        return refused
