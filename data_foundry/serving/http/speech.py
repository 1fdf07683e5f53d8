"""Endpoints that hear: transcription as OpenAI has it, and the dialect of a speaker."""

from __future__ import annotations

import asyncio
import json
import math
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import ValidationError

from data_foundry.serving.calls import Answer
from data_foundry.serving.http import schemas
from data_foundry.serving.http.calling import Caller, checked_text, headers, labelled, meta, reply, served
from data_foundry.serving.http.documents import form, refusals
from data_foundry.serving.http.errors import NOT_JSON, Refused
from data_foundry.serving.http.uploads import Form, read_form, speech_row

STT, DIALECT, DIALECT_TEXT = "stt", "dialect", "dialect.text"
LANGUAGES = ("ml", "mal", "malayalam")
FORMATS = ("json", "text", "verbose_json")
# What OpenAI's clients may send, and no model here can do.
_CANNOT = {
    "timestamp_granularities[]": "the models tell no times",
    "include[]": "the models tell no log probabilities",
    "stream": "a transcript comes as a whole",
}
_FIELDS = frozenset({"model", "language", "prompt", "response_format", "temperature", *_CANNOT})

router = APIRouter()

_TRANSCRIPTION = form(
    model={"type": "string", "description": "stt (default), a variant of it, or whisper-1 for the client's sake"},
    language={"type": "string", "enum": ["ml"], "description": "Malayalam is all that is heard"},
    prompt={"type": "string", "description": "taken for the client's sake, without effect"},
    response_format={"type": "string", "enum": list(FORMATS), "default": "json"},
    temperature={"type": "number", "minimum": 0, "maximum": 1, "description": "without effect: decoding is greedy"},
)


@router.post(
    "/v1/audio/transcriptions",
    response_model=schemas.Transcription | schemas.VerboseTranscription,
    responses={
        200: {"description": "What was said.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **refusals(400, 404, 408, 413, 415, 429, 500),
    },
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _TRANSCRIPTION}}}},
)
async def transcriptions(request: Request) -> Response:
    """Transcribe Malayalam speech, phone calls (8 kHz, G.711 in WAV) first of all."""
    caller = Caller.of(request)
    given = await _form(request, _FIELDS)
    adapter = served(caller, given.one("model"), STT, ("whisper-1",))
    shape = _transcription_fields(given)
    answer, seconds = await _heard(caller, given, adapter, routed=adapter == STT)
    if shape == "text":
        return PlainTextResponse(f"{answer.output}\n", headers=headers([answer]))
    body = {"text": answer.output, "confidence": answer.confidence, **meta(answer, caller)}
    if shape == "verbose_json":
        body |= {"task": "transcribe", "language": "malayalam", "duration": seconds}
    return reply(body, answer)


@router.post(
    "/v1/dialect",
    response_model=schemas.Label,
    responses=refusals(400, 404, 408, 413, 415, 429, 500),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form(model={"type": "string"})},
                "application/json": {"schema": {"$ref": "#/components/schemas/TextRequest"}},
            },
        }
    },
)
async def dialect(request: Request) -> JSONResponse:
    """Say which region's Malayalam is spoken (a form with an audio file), or written (JSON with a text)."""
    caller = Caller.of(request)
    if _media_type(request) == "application/json":
        wanted = _text_request(await request.body())
        text = checked_text(wanted.text, "text", caller.settings)
        answer = await caller.answer(served(caller, wanted.model, DIALECT_TEXT), lambda: {"text": text})
        return reply(labelled(answer, caller), answer)
    given = await _form(request, frozenset({"model"}))
    answer, _ = await _heard(caller, given, served(caller, given.one("model"), DIALECT), routed=False)
    return reply(labelled(answer, caller), answer)


async def _form(request: Request, known: frozenset[str]) -> Form:
    body, kind = await request.body(), request.headers.get("content-type", "")
    return await asyncio.to_thread(read_form, body, kind, known)


async def _heard(caller: Caller, given: Form, adapter: str, *, routed: bool) -> tuple[Answer, float]:
    """Return the answer to a form's audio, and the seconds that it lasts. Raises Refused."""
    if given.file is None:
        raise Refused(400, "missing_file", 'The form has no audio: add it as the field "file".', "file")
    rows: list[dict[str, Any]] = []
    make = partial(speech_row, given.file, caller.settings)

    def make_row() -> dict[str, Any]:
        rows.append(make())
        return rows[0]

    answer = await caller.answer(adapter, make_row, routed=routed)
    return answer, round(rows[0]["duration"], 3)


def _transcription_fields(given: Form) -> str:
    """Return the shape of the answer that is wished for. Raises Refused for what can't be done."""
    for name, why in _CANNOT.items():
        values = given.fields.get(name, [])
        if any(value != "false" for value in values):
            raise Refused(400, "unsupported_parameter", f"{name} can't be had: {why}. Leave it out.", name)
    language = given.one("language")
    if language is not None and language.lower() not in LANGUAGES:
        raise Refused(400, "unsupported_language", "language: Malayalam (ml) is all that is heard.", "language")
    temperature = given.one("temperature")
    if temperature is not None and not _is_share(temperature):
        raise Refused(400, "invalid_value", "temperature: it must be a number from 0 to 1.", "temperature")
    given.one("prompt")
    shape = given.one("response_format") or FORMATS[0]
    if shape not in FORMATS:
        text = f"response_format: it must be one of {', '.join(FORMATS)}."
        raise Refused(400, "invalid_value", text, "response_format")
    return shape


def _is_share(text: str) -> bool:
    try:
        return math.isfinite(number := float(text)) and 0 <= number <= 1
    except ValueError:
        return False


def _text_request(body: bytes) -> schemas.TextRequest:
    """Raises Refused, as for the endpoints whose body is always JSON."""
    from fastapi.exceptions import RequestValidationError

    try:
        # Not by pydantic's own parser, so that one endpoint takes what the others take.
        return schemas.TextRequest.model_validate(json.loads(body))
    except ValidationError as error:
        mistakes = [{**mistake, "loc": ("body", *mistake["loc"])} for mistake in error.errors(include_url=False)]
        raise RequestValidationError(mistakes) from None
    except (ValueError, RecursionError):
        raise Refused(400, "invalid_json", NOT_JSON) from None


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
