"""A phone line's side of the gateway: three async services, each a few lines to use.

>>> async def answer_a_caller(gateway: str, key: str, call_id: str, utterance: bytes) -> dict:
...     # One client for all calls of a phone line: it keeps its connections.
...     async with (
...         MalayalamSpeechToTextService(gateway, key) as ears,
...         MalayalamNLPService(gateway, key) as mind,
...         MalayalamTextToSpeechService(gateway, key) as voice,
...     ):
...         heard = await ears.transcribe(utterance, call_id=call_id)       # 8 kHz G.711 in WAV is fine
...         meant = await mind.understand(heard.text, call_id=call_id)
...         if meant.intent is None or (meant.intent.confidence or 0) < 0.6:
...             return {"ask_again": True, "heard": heard.text}
...         felt = await mind.sentiment(heard.text, call_id=call_id)
...         if felt.ivr_label == "frustration":
...             return {"transfer": "a person", "intent": meant.intent.label}
...         spoken = await voice.tokens("നന്ദി, ഒരു നിമിഷം", call_id=call_id)
...         return {"intent": meant.intent.label, "version": heard.version, "codes": spoken.codes}

Whatever goes wrong is a GatewayError: its `status` and `code` say what (0: the call could not be sent, or the gateway
can't be reached or answers too late), its message what to do. A call that the gateway turned away because it is
overloaded or starting is tried again when the gateway said to, at most `retries` times; nothing else is tried again.
The Malayalam was written for this project and not checked by a native speaker.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import httpx

__all__ = [
    "GatewayError",
    "MalayalamNLPService",
    "MalayalamSpeechToTextService",
    "MalayalamTextToSpeechService",
]

Direction = Literal["ml-en", "en-ml"]
Sound = bytes | bytearray | memoryview
T = TypeVar("T")
_LONGEST_WAIT = 30.0
_CALL_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRIED_AGAIN = ("overloaded", "starting")


class GatewayError(Exception):
    """A call without an answer. `status` is HTTP's, or 0; `code` is a word for programs.

    `call_id` is the call's, given or made; of feedback the request's that it is about; empty where there is none yet.
    `request_id` is the request's own: by it `feedback` finds a call that nobody answers (code not_served), for what is
    on trial heard it. After `feedback` it is that of the feedback, which nothing is found by.
    """

    def __init__(self, message: str, status: int, code: str, call_id: str, request_id: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.call_id, self.request_id = status, code, call_id, request_id


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What every answer tells: its ids, the adapter and version that answered, and its model's milliseconds.

    `call_id` is the phone call's; `request_id` this answer's own, by which `feedback` finds it.
    """

    call_id: str
    request_id: str
    adapter: str
    version: str
    milliseconds: float
    fallback: str | None = None

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        """Return what this version of the client knows of an answer: a newer gateway may tell more."""
        return cls(**{name: body[name] for name in cls.__dataclass_fields__ if name in body})


@dataclass(frozen=True, kw_only=True)
class Transcript(Answered):
    text: str
    confidence: float | None


@dataclass(frozen=True, kw_only=True)
class Label(Answered):
    """A label, how sure the model is of it (0..1), and of every label there is."""

    label: str
    confidence: float | None
    confidences: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sentiment(Label):
    """`ivr_label`: frustration, satisfaction or neutral; None where the polarity says nothing of a caller."""

    ivr_label: str | None


@dataclass(frozen=True)
class Understanding:
    """What a caller wants, and what a text is about; None where the gateway serves no such model."""

    call_id: str
    request_id: str
    intent: Label | None
    topic: Label | None

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        found = {name: Label.of(body[name]) if body[name] else None for name in ("intent", "topic")}
        return cls(body["call_id"], body["request_id"], **found)


@dataclass(frozen=True, kw_only=True)
class Translation(Answered):
    text: str
    direction: Direction
    confidence: float | None


@dataclass(frozen=True, kw_only=True)
class Tokens(Answered):
    """`codes` has one list a layer, all of `frames` numbers."""

    codes: list[list[int]]
    layers: int
    frames: int


class _Service:
    """A connection to a gateway; `timeout` in seconds is for one try of a call. Use as an async context manager."""

    def __init__(
        self,
        gateway: str,
        api_key: str | None = None,
        *,
        timeout: float = 35.0,
        retries: int = 2,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # As it is read from a file, with the line's end.
        key = (api_key or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise GatewayError("The API key holds characters that no key has.", 0, "invalid_api_key", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx.AsyncClient(base_url=gateway, headers=headers, timeout=timeout, transport=transport)
        except (ValueError, httpx.InvalidURL):
            raise GatewayError("The gateway's address is no URL.", 0, "unreachable", "") from None
        self._retries = retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def feedback(self, request_id: str, adapter: str, truth: str) -> None:
        """Tell what was true, a label's name or the text that was said, where an adapter answered.

        Raises GatewayError, of status 404 where no gateway that can be asked gave that answer, or it is forgotten.
        """
        given = {"request_id": request_id, "adapter": adapter, "truth": truth}
        await self._json("/v1/feedback", request_id, lambda body: body["adapter"], json=given)

    async def _json(self, path: str, call_id: str | None, read: Callable[[Any], T], **content: Any) -> T:
        """Return what `read` makes of the JSON of an answer. Raises GatewayError."""
        response = await self._post(path, call_id, **content)
        try:
            return read(response.json())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _no_gateway(response, response.request.headers["X-Call-Id"]) from None

    async def _post(self, path: str, call_id: str | None, **content: Any) -> httpx.Response:
        name = str(uuid.uuid4()) if call_id is None else call_id
        if not _CALL_ID.fullmatch(name):
            text = "An id must be 1 to 128 ASCII letters, digits, dots, dashes, colons and underscores."
            raise GatewayError(text, 0, "invalid_call_id", name)
        for left in range(self._retries, -1, -1):
            try:
                response = await self._client.post(path, headers={"X-Call-Id": name}, **content)
            except httpx.TimeoutException as error:
                raise GatewayError(
                    f"The gateway did not answer in time ({_named(error)}).", 0, "timed_out", name
                ) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise GatewayError(f"The gateway can't be reached ({_named(error)}).", 0, "unreachable", name) from None
            except (ValueError, TypeError) as error:
                text = f"What is sent must be text in Unicode, or bytes ({_named(error)})."
                raise GatewayError(text, 0, "invalid_value", name) from None
            if response.is_success:
                return response
            refused = _error(response, name)
            if response.status_code != 429 or refused.code not in _TRIED_AGAIN or not left:
                break
            await asyncio.sleep(_retry_after(response))
        raise refused


class MalayalamSpeechToTextService(_Service):
    """Speech to text."""

    async def transcribe(
        self, audio: Sound | str | Path, *, call_id: str | None = None, model: str | None = None
    ) -> Transcript:
        """Return what is said in an audio file: its bytes, or its path. WAV (PCM, G.711), FLAC, OGG or MP3.

        `model` names a variant (stt.malabar). Raises GatewayError.
        """
        files = {"file": ("call.wav", await _read(audio, call_id))}
        fields = {"model": model} if model else {}
        return await self._json("/v1/audio/transcriptions", call_id, Transcript.of, files=files, data=fields)


class MalayalamNLPService(_Service):
    """What texts, and voices, mean."""

    async def understand(self, text: str, *, call_id: str | None = None) -> Understanding:
        """Return intent and topic. Raises GatewayError."""
        return await self._json("/v1/understand", call_id, Understanding.of, json={"text": text})

    async def sentiment(self, text: str, *, call_id: str | None = None) -> Sentiment:
        """Return how a caller feels. Raises GatewayError."""
        return await self._json("/v1/sentiment", call_id, Sentiment.of, json={"text": text})

    async def dialect(self, said: str | Sound | Path, *, call_id: str | None = None) -> Label:
        """Return whose Malayalam it is: of speech, as bytes or a Path, or of a text, as str. Raises GatewayError."""
        if isinstance(said, str):
            return await self._json("/v1/dialect", call_id, Label.of, json={"text": said})
        files = {"file": ("call.wav", await _read(said, call_id))}
        return await self._json("/v1/dialect", call_id, Label.of, files=files)

    async def translate(self, text: str, direction: Direction = "ml-en", *, call_id: str | None = None) -> Translation:
        """Return a text in the other language. Raises GatewayError."""
        body = {"text": text, "direction": direction}
        return await self._json("/v1/translate", call_id, Translation.of, json=body)


class MalayalamTextToSpeechService(_Service):
    """Text to speech."""

    async def synthesize(self, text: str, *, shape: str = "wav", call_id: str | None = None) -> bytes:
        """Return a text as an audio file: wav, flac, mp3, opus, or pcm (24 kHz). Raises GatewayError.

        One of code no_codec where the gateway makes tokens alone.
        """
        body = {"input": text, "response_format": shape}
        response = await self._post("/v1/audio/speech", call_id, json=body)
        if not response.headers.get("content-type", "").startswith("audio/"):
            raise _no_gateway(response, response.request.headers["X-Call-Id"])
        return response.content

    async def tokens(self, text: str, *, call_id: str | None = None) -> Tokens:
        """Return a text as codec tokens. Raises GatewayError."""
        return await self._json("/v1/audio/tokens", call_id, Tokens.of, json={"input": text})


async def _read(audio: Sound | str | Path, call_id: str | None) -> bytes:
    if isinstance(audio, Sound):
        return bytes(audio)
    try:
        return await asyncio.to_thread(Path(audio).read_bytes)
    except (OSError, ValueError, TypeError) as error:
        raise GatewayError(f"The audio file can't be read ({_named(error)}).", 0, "no_file", call_id or "") from None


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(max(float(response.headers.get("retry-after", "1")), 0.0), _LONGEST_WAIT)
    except ValueError:
        return 1.0


def _error(response: httpx.Response, call_id: str) -> GatewayError:
    try:
        error = response.json()["error"]
        said = str(error["message"]), response.status_code, str(error["code"])
        # Some servers before a gateway add an id of their own to the header; the gateway's stands first.
        own = response.headers.get("x-request-id", "").partition(",")[0].strip()
        return GatewayError(*said, call_id, str(error.get("request_id") or own))
    except (ValueError, KeyError, TypeError):
        return _no_gateway(response, call_id)


def _no_gateway(response: httpx.Response, call_id: str) -> GatewayError:
    text = f"Something that is no gateway answered with {response.status_code}."
    return GatewayError(text, response.status_code, "no_gateway", call_id)


def _named(error: Exception) -> str:
    return type(error).__name__
