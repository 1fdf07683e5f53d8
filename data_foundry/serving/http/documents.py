"""The OpenAPI document: what the code says of itself, held to what the endpoints really do."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from data_foundry.serving.http import schemas
from data_foundry.serving.http.entrance import CALL_ID, OPEN

_MEANINGS = {
    400: "The request, its text or its audio can't be used; the code says why.",
    401: "The API key is missing, unknown or revoked.",
    404: "Nothing is served under that name, or nothing is known of it. What is on trial under it hears a call all the "
    "same; feedback on that goes by the error's request_id.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of another kind than this endpoint takes.",
    429: "Too many calls wait, or this one waited too long; Retry-After says when to come again.",
    431: "The request line and the headers are too large.",
    500: "A model failed on the call.",
}
_HEADERS = {
    "X-Call-Id": "the call's id, given or made",
    "X-Request-Id": "the request's own id, also in the body, which feedback goes by; on Ray another one may follow it, "
    "after a comma",
    "X-Model-Version": "adapter/version of each model that answered",
    "X-Model-Milliseconds": "how long the models worked on the call",
}
_WORDS = r"^[^\u0000]*[^\u0000\s][^\u0000]*$"
_NOT_FOR_MODELS = ("/health", "/ready", "/metrics", "/v1/status", "/v1/models", "/v1/models/{name}", "/v1/feedback")


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documented error answers of an endpoint."""
    return {status: {"model": schemas.Error, "description": _MEANINGS[status]} for status in statuses}


def form(**fields: Any) -> dict[str, Any]:
    """Return the schema of a form with an audio file and other fields."""
    file = {"type": "string", "format": "binary", "description": "WAV (PCM, mu-law or A-law), FLAC, OGG or MP3"}
    return {
        "type": "object",
        "required": ["file"],
        "properties": {"file": file, **fields},
        "additionalProperties": False,
    }


def describe(app: FastAPI, max_text_characters: int) -> dict[str, Any]:
    """Return the document of an application, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    known = document["components"]["schemas"]
    texts = [(schemas.TextRequest, "text"), (schemas.TranslateRequest, "text"), (schemas.SpeechRequest, "input"),
             (schemas.TokensRequest, "input"), (schemas.FeedbackRequest, "truth")]  # fmt: skip
    known.setdefault("TextRequest", schemas.TextRequest.model_json_schema())
    for model, name in texts:
        known[model.__name__]["properties"][name] |= {"maxLength": max_text_characters, "pattern": _WORDS}
    for name in ("HTTPValidationError", "ValidationError"):
        known.pop(name, None)
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic", "description": "the key is the password"},
    }
    for path, methods in document["paths"].items():
        for method in methods.values():
            _complete(path, method)
    app.openapi_schema = document
    return document


def _complete(path: str, method: dict[str, Any]) -> None:
    """Document what holds for every endpoint: call ids, keys, and mistakes of 400 where FastAPI would say 422."""
    answers = method["responses"]
    answers.pop("422", None)
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    wanted = {"400", "408", "413", "429", "431"} | ({"401"} if path not in OPEN else set())
    if path not in OPEN:
        method["security"] = [{"bearer": []}, {"basic": []}]
    for status in sorted(wanted - set(answers)):
        answers[status] = {"description": _MEANINGS[int(status)], "content": error}
    call_id = {"type": "string", "pattern": f"^{CALL_ID.pattern}$"}
    header = {"name": "X-Call-Id", "in": "header", "required": False, "schema": call_id}
    method.setdefault("parameters", []).append({**header, "description": "the call's id; one is made where none is"})
    for status, answer in answers.items():
        told = [*_HEADERS] if status == "200" and path not in _NOT_FOR_MODELS else ["X-Call-Id", "X-Request-Id"]
        answer["headers"] = {
            name: {"description": _HEADERS[name], "schema": {"type": "string"}, "required": True} for name in told
        }
