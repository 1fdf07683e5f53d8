"""Endpoints that speak: codec tokens, and their sound where a codec is configured."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.records import SAMPLE_RATE, Hertz
from data_foundry.serving.calls import Answer
from data_foundry.serving.http import schemas
from data_foundry.serving.http.calling import Caller, checked_text, headers, meta, reply, served
from data_foundry.serving.http.documents import refusals
from data_foundry.serving.http.errors import Refused

log = logging.getLogger("data_foundry")

TTS = "tts"
_ALIASES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
# Media type, libsndfile's format and subtype, and the rate that the format takes, if not any.
_FORMATS: dict[str, tuple[str, str, str, Hertz]] = {
    "wav": ("audio/wav", "WAV", "PCM_16", SAMPLE_RATE),
    "flac": ("audio/flac", "FLAC", "PCM_16", SAMPLE_RATE),
    "mp3": ("audio/mpeg", "MP3", "MPEG_LAYER_III", SAMPLE_RATE),
    "opus": ("audio/ogg", "OGG", "OPUS", SAMPLE_RATE),
    # OpenAI's: 24 kHz, 16 bits, mono, no header.
    "pcm": ("audio/pcm", "RAW", "PCM_16", 24_000),
}

router = APIRouter(responses=refusals(400, 404, 429, 500))


def check_codec(settings: Settings) -> None:
    """Look whether the model that `serving.codec` names is there, and in a folder Hub whether it is a codec.

    Nothing is downloaded, and little waited for: whatever else a Hub says, or does not, keeps nothing but speech from
    being served, and is logged. Raises FoundryError.
    """
    from data_foundry.finetuning.evaluation.heard_speech import DECODERS
    from data_foundry.finetuning.tasks.task import read_base_config
    from data_foundry.hub import Withheld, check_repo_id, open_hub

    if settings.serving.codec is None:
        return
    name = check_repo_id(settings.serving.codec)
    hint = f"Name the codec that the tokens were made with (kinds known here: {', '.join(DECODERS)}), or none."
    # Nothing is asked for twice: a Hub may ask for minutes in between, and nobody is served yet.
    once = settings.model_copy(update={"hub": settings.hub.model_copy(update={"retries": 0})})
    hub = open_hub(once, patient=False)
    try:
        hub.access("models", name)
    except Withheld as error:
        raise FoundryError(f"serving.codec names {name}: {error.message}", hint) from None
    except FoundryError as error:
        log.warning("whether serving.codec names a codec can't be looked up now: %s", error.message)
        return
    if settings.hub.source is not None:
        try:
            kind = read_base_config(hub.model_folder(name, None)).model_type
        except Exception as error:
            # A configuration that is none has many names.
            raise FoundryError(f"serving.codec names {name}, whose config.json can't be read: {error}", hint) from None
        if kind not in DECODERS:
            raise FoundryError(f"serving.codec names {name}, which is a {kind} model, no codec known here.", hint)


class Codec:
    """The codec that `serving.codec` names, opened when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._decode: Callable[[list[list[int]]], Any] | None = None

    def sound(self, codes: list[list[int]], codebook_size: int, shape: str) -> bytes:
        """Return codes (layers x frames) as an audio file. Raises Refused where there is no codec that fits them."""
        import soundfile
        import soxr

        from data_foundry.finetuning.evaluation.heard_speech import open_codec
        from data_foundry.hub import model_folder

        name = self._settings.serving.codec
        if name is None:
            raise no_codec("no codec is configured (serving.codec)")
        if not codes or not codes[0]:
            raise Refused(400, "no_speech", "The model found nothing to say for this text. Send another.", "input")
        with self._lock:
            try:
                if self._decode is None:
                    self._decode = open_codec(model_folder(self._settings, name), len(codes), codebook_size)
            except FoundryError as error:
                log.error("the codec of serving.codec can't be opened: %s", error)
                raise no_codec("its codec can't be opened; the operator's log says why") from None
            samples = self._decode(codes)
        _, kind, subtype, rate = _FORMATS[shape]
        file = io.BytesIO()
        if rate != SAMPLE_RATE:
            samples = soxr.resample(samples, SAMPLE_RATE, rate)
        soundfile.write(
            file, samples.clip(-1, 1), rate, format=kind, subtype=subtype, endian="FILE" if kind != "RAW" else "LITTLE"
        )
        return file.getvalue()


@router.post(
    "/v1/audio/speech",
    response_class=Response,
    responses={200: {"description": "The speech.", "content": {kind: {} for kind, *_ in _FORMATS.values()}}},
)
async def speech(request: Request, given: schemas.SpeechRequest) -> Response:
    """Speak a text, as OpenAI has it; where the gateway has no codec, 404 points to the tokens."""
    caller = Caller.of(request)
    if caller.settings.serving.codec is None:
        raise no_codec("no codec is configured (serving.codec)")
    answer = await _spoken(caller, given.input, given.model)
    codec: Codec = request.app.state.codec
    size = caller.service.gateway.routes()[answer.adapter].answering.predictor.task.codec["codebook_size"]
    file = await asyncio.to_thread(codec.sound, answer.output, size, given.response_format)
    return Response(file, media_type=_FORMATS[given.response_format][0], headers=headers([answer]))


@router.post("/v1/audio/tokens", response_model=schemas.Tokens)
async def tokens(request: Request, given: schemas.TokensRequest) -> JSONResponse:
    """Speak a text as codec tokens, for a codec of the caller's own: one list of codes a layer."""
    caller = Caller.of(request)
    answer = await _spoken(caller, given.input, given.model)
    codes = answer.output
    body = {"codes": codes, "layers": len(codes), "frames": len(codes[0]) if codes else 0}
    return reply({**body, **meta(answer, caller)}, answer)


async def _spoken(caller: Caller, text: str, model: str | None) -> Answer:
    adapter = served(caller, model, TTS, _ALIASES)
    checked = checked_text(text, "input", caller.settings)
    return await caller.answer(adapter, lambda: {"text": checked})


def no_codec(why: str) -> Refused:
    """Return what a caller is told who wants sound of a gateway that makes tokens alone."""
    return Refused(404, "no_codec", f"This gateway makes no sound: {why}. POST /v1/audio/tokens gives the tokens.")
