"""The application: all endpoints behind one entrance, over one service."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.serving.http import documents, operations, speech, text, voice, watching
from data_foundry.serving.http.api_keys import ApiKeys, Everybody, Keys, is_loopback
from data_foundry.serving.http.calling import CallService
from data_foundry.serving.http.entrance import Entrance
from data_foundry.serving.http.errors import on_invalid, on_refused
from data_foundry.serving.http.peer_feedback import PeerFeedback
from data_foundry.serving.shell_command import shell_command

TITLE = "Data Foundry gateway"
ABOUT = (
    "Malayalam speech and language models for a phone line. Transcription and speech are as OpenAI's clients call them."
)


def create_app(service: CallService, keys: Keys | None = None) -> FastAPI:
    """Return the ASGI application over a service, which its owner starts and closes.

    `keys` says who may call; without it that is as the settings say: see `keys_of`.
    """
    settings = service.settings
    app = FastAPI(title=TITLE, version="1", description=ABOUT, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service, app.state.codec = service, voice.Codec(settings)
    app.state.feedback, app.state.peers = operations.FeedbackThread(), PeerFeedback()
    app.state.started = False
    for router in (speech.router, text.router, voice.router, operations.router, watching.router(service.watch)):
        app.include_router(router)
    app.add_exception_handler(HTTPException, on_refused)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_middleware(Entrance, settings=settings, keys=keys or keys_of(settings), told=service.watch.answered_error)
    app.openapi = lambda: documents.describe(app, settings.serving.max_text_characters)  # type: ignore[method-assign]
    return app


def keys_of(settings: Settings) -> Keys:
    """Return who may call. Raises FoundryError where nobody could, or everybody from everywhere."""
    serving = settings.serving
    if not serving.require_api_key:
        if not is_loopback(serving.host):
            raise FoundryError(
                f"serving.require_api_key is false, and {serving.host} can be reached from other machines.",
                "Set serving.require_api_key to true, or serving.host to 127.0.0.1.",
            )
        return Everybody()
    keys = ApiKeys.of(settings)
    if not keys.active():
        create = shell_command(settings, "keys create NAME")
        raise FoundryError("There is no API key yet, so nobody could call.", f"Make one: {create}")
    return keys
