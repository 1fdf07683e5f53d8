"""What a caller is told when there is no answer: OpenAI's shape, why, and the way out; never what the caller sent."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from data_foundry.mistakes import in_words
from data_foundry.records import Rejected
from data_foundry.serving.calls import NotServed, Overloaded, Starting, TimedOut

log = logging.getLogger("data_foundry")

RETRY_AFTER = {"Retry-After": "1"}
FEEDBACK = "/v1/feedback"
ASKED_FOR = "X-Asked-For"
"""Stands in what one gateway asks another: whose feedback it is. It is never passed on from there.

A caller who sends it harms nobody: what it asks for is less, and under another's name it is nothing."""
_PASSED_ON = frozenset({"call_not_found", "invalid_value", "model_not_found", "not_scorable", "overloaded"})
"""What the gateway that asked for a caller's feedback makes its own answer of: it counts what the caller is told."""
_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
# A body that FastAPI gives up to read is of no other kind: forms are read by `uploads`.
_CODES = {400: "invalid_json", 404: "not_found", 405: "method_not_allowed"}
NOT_JSON = "The body can't be read as JSON. Send it in UTF-8, not packed."

# What is wrong with a call that a model, or the decoder before it, refuses, and what would help.
_REFUSALS: dict[str, tuple[str, str]] = {
    "audio_empty": ("The audio holds no sound.", "Send a file with samples in it."),
    "audio_corrupt": ("The file can't be decoded as audio.", "Send WAV (PCM, mu-law or A-law), FLAC, OGG or MP3."),
    "audio_truncated": ("The audio file declares more than it holds.", "Send the whole file."),
    "audio_unsupported": ("The audio can't be read here", "Send WAV (PCM, mu-law or A-law), FLAC, OGG or MP3."),
    "audio_too_long": ("The audio is too long", "Send it in shorter pieces."),
    "too_short": ("The audio is too short", "Send a whole utterance."),
    "audio_silent": ("The audio is silent", "Check the line and the recorder."),
    "no_audio": ("The audio holds no sound.", "Send a file with samples in it."),
    "longer_than_base_window": ("The audio is longer than the model hears at once", "Send it in shorter pieces."),
    "empty_text": ("The text is empty.", "Send at least one word."),
    "other_direction": ("The model translates the other direction alone.", "Send a text in the other language."),
    "too_many_tokens": ("The text is too long for the model", "Send it in shorter pieces."),
}
CODES = frozenset(
    {
        *_REFUSALS, *_CODES.values(), "bad_request", "call_not_found", "caller_gone", "head_too_large",
        "internal_error", "invalid_api_key", "invalid_body", "invalid_call_id", "invalid_form", "invalid_host",
        "invalid_http", "invalid_text", "invalid_value", "missing_file", "model_error", "model_not_found", "no_codec",
        "no_speech", "no_text", "not_scorable", "not_served", "overloaded", "request_timeout", "several_requests",
        "starting", "text_too_long", "timed_out", "too_large", "undecodable_audio", "unknown_parameter",
        "unreadable", "unsupported_language", "unsupported_media_type", "unsupported_parameter",
    }
)  # fmt: skip
"""What errors are counted by; any other, which a model may come to have, is counted as "other"."""
# The details that are figures, or names of formats, alone.
_TOLD = ("audio_unsupported", "audio_too_long", "too_short", "audio_silent", "longer_than_base_window")


class Refused(HTTPException):
    """A call that gets no answer. `message` says why and what helps, without a word of the caller's."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code, self.param = code, param


def refused_by(error: Exception) -> Refused:
    """Return what a caller is told of an error on the way to an answer; what nobody foresaw is the model's failure."""
    match error:
        case Refused():
            return error
        case Rejected():
            return _rejected(error)
        case Starting():
            text = "The gateway is starting. Come again shortly."
            return Refused(429, "starting", text, headers={"Retry-After": "2"})
        case NotServed():
            # Why is for the operator, who finds it in the status: it may name folders.
            return Refused(404, "not_served", "Nothing answers for this here. GET /v1/models lists what is served.")
        case Overloaded():
            return Refused(429, "overloaded", "Too many calls wait. Come again shortly.", headers=RETRY_AFTER)
        case TimedOut():
            message = "The call was not answered in time. Come again shortly."
            return Refused(429, "timed_out", message, headers=RETRY_AFTER)
    log.error("a call was not answered: %s", where(error))
    return Refused(500, "model_error", "The model failed on this call. The operator's log says where.")


def _rejected(refusal: Rejected) -> Refused:
    what, help_ = _REFUSALS.get(refusal.reason, (f"The model can't take this call ({refusal.reason}).", ""))
    if not what.endswith("."):
        what += f": {refusal.detail}." if refusal.detail and refusal.reason in _TOLD else "."
    status = 415 if refusal.reason == "audio_unsupported" else 400
    return Refused(status, refusal.reason, f"{what} {help_}".strip())


def where(error: BaseException) -> str:
    """Return an error's type and the places it came through, not its message: that may repeat what a caller said."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames[-4:]))
    return f"{type(error).__name__} at {places}"


def code_of(refused: HTTPException) -> str:
    """Return the code by which a caller, and who counts, knows why there is no answer."""
    return refused.code if isinstance(refused, Refused) else _CODES.get(refused.status_code, "bad_request")


def counted_as(refused: HTTPException) -> str:
    """Return the code that an error is counted by: one of CODES, or "other"."""
    code = code_of(refused)
    return code if code in CODES else "other"


def error_response(refused: HTTPException, request_id: str | None) -> JSONResponse:
    """Return the answer for a refused call, or for what the router itself refuses, in OpenAI's shape.

    The request's id is added, None where there is no request: a proxy may add one of its own to the header.
    """
    status = refused.status_code
    code = code_of(refused)
    param = refused.param if isinstance(refused, Refused) else None
    message = str(refused.detail) if isinstance(refused, Refused) else _ROUTER.get(status, "The request is not valid.")
    kind = _TYPES.get(status, "invalid_request_error")
    error = {"message": message, "type": kind, "param": param, "code": code, "request_id": request_id}
    return JSONResponse({"error": error}, status, headers=dict(refused.headers or {}))


_ROUTER = {
    400: NOT_JSON,
    404: "There is nothing at this address. GET /openapi.json lists what there is.",
    405: "This address does not take this method. GET /openapi.json lists those that it takes.",
}


async def on_refused(request: Request, error: Exception) -> JSONResponse:
    """Handle Refused and the router's own exceptions."""
    assert isinstance(error, HTTPException)
    return _told_of(error, request)


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """Handle a body that does not fit its model; keys that the caller made up are not repeated."""
    assert isinstance(error, RequestValidationError)
    return _told_of(_refused_for(error), request)


def _told_of(refused: HTTPException, request: Request) -> JSONResponse:
    code = counted_as(refused)
    if not (request.url.path == FEEDBACK and ASKED_FOR in request.headers and code in _PASSED_ON):
        request.app.state.service.watch.answered_error(code)
    return error_response(refused, request.state.request_id)


def _refused_for(error: RequestValidationError) -> Refused:
    mistakes = error.errors()
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return Refused(400, "invalid_json", NOT_JSON)
    if any(mistake["loc"] == ("body",) for mistake in mistakes):
        text = "The body must be a JSON object, sent as Content-Type: application/json."
        return Refused(400, "invalid_body", text)
    told = "; ".join(dict.fromkeys(_told(mistake) for mistake in mistakes))
    known = [name for mistake in mistakes if (name := _param(mistake)) is not None]
    return Refused(400, "invalid_value", f"{told}.", known[0] if known else None)


def _param(mistake: Mapping[str, Any]) -> str | None:
    """Return the field of a mistake; None where its name is the caller's own."""
    place: Sequence[Any] = mistake["loc"][1:]
    return None if mistake["type"] == "extra_forbidden" or not place else str(place[0])


def _told(mistake: Mapping[str, Any]) -> str:
    param = _param(mistake)
    if param is None:
        return "A field is not known here: GET /openapi.json lists those that are"
    if mistake["type"] == "string_unicode":
        return f"{param}: it must be text in Unicode"
    return f"{param}: {in_words(mistake)}"
