"""The entrance: every request gets its ids, shows its key, and brings no more than it may in no longer than it may.

A call id is the phone call's, as the client gives it; a request id is made here for each request.

The body is read here as a whole, into memory alone: nothing of a caller's goes to a disk.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_foundry.config import Settings
from data_foundry.serving.calls import new_request_id
from data_foundry.serving.http.api_keys import CREATE, Everybody, Keys, is_loopback
from data_foundry.serving.http.errors import RETRY_AFTER, Refused, counted_as, error_response, where

log = logging.getLogger("data_foundry")

OPEN = frozenset({"/", "/health", "/ready", "/openapi.json"})
"""Without a key: what a load balancer asks, and what holds no data."""
HEAD_BYTES = 16_384
"""The request line and the headers together."""
CALL_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
CLOSE = {"Connection": "close"}
_MIB = 1 << 20
_BYTES_A_CHARACTER = 12
"""A character beyond the first plane, written as two JSON escapes."""
_REST_OF_A_BODY = 1 << 14
_UPLOADS_AT_ONCE = 16
"""So many of the largest uploads may be in memory at once, half of them one caller's."""


class Entrance:
    """ASGI middleware before all endpoints; it sets `call_id`, `request_id` and `caller` in the request's state.

    `told` hears the code of every error that is answered here.
    """

    def __init__(self, app: ASGIApp, settings: Settings, keys: Keys, told: Callable[[str], None]) -> None:
        serving = settings.serving
        self._app, self._keys, self._told = app, keys, told
        self._seconds = serving.request_timeout_seconds
        # A form has headers and other fields beside its file.
        self._upload = int(serving.max_upload_mib * _MIB) + _REST_OF_A_BODY
        self._text = _BYTES_A_CHARACTER * serving.max_text_characters + _REST_OF_A_BODY
        self._shorter = f"Send texts of at most {serving.max_text_characters} characters."
        self._room = _UPLOADS_AT_ONCE * self._upload
        self._held: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        try:
            visit.check_head()
            visit.admit(self._keys)
            body = await self._body(visit, receive)
        except Refused as refused:
            self._told(counted_as(refused))
            await error_response(refused, visit.request_id)(scope, receive, visit.send)
            return
        if body is None:
            return
        try:
            await self._app(scope, _replayed(body, receive), visit.send)
        except Exception as error:
            log.error("a request failed: %s", where(error))
            if not visit.answering:
                failed = Refused(500, "internal_error", "The gateway failed. The operator's log says where.")
                self._told(counted_as(failed))
                await error_response(failed, visit.request_id)(scope, receive, visit.send)
        finally:
            self._let_go(visit.caller, len(body))

    async def _body(self, visit: _Visit, receive: Receive) -> bytes | None:
        """Return the body, whose bytes count as held from then on; None where the caller went away. Raises Refused.

        A caller may hold as much as there is room left for all others, so that nobody's stalled uploads shut them out;
        a body that is no longer than a text may be always passes.
        """
        form = visit.headers.get("content-type", "").lower().startswith("multipart/")
        limit = self._upload if form else self._text
        way_out = "Send less, in a coding that is smaller, or in pieces." if form else self._shorter
        # Who showed no key brings nothing, and is not listened to for longer.
        limit, patience = (limit, self._upload) if visit.caller else (_REST_OF_A_BODY, 0)
        declared = visit.headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit + patience):
            raise _too_large(limit, way_out)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        self._let_go(visit.caller, size)
                        return None
                    part = message.get("body", b"")
                    more = message.get("more_body", False)
                    if size + len(part) > limit:
                        await _let_pass(receive, more, patience)
                        raise _too_large(limit, way_out)
                    size += len(part)
                    self._held[visit.caller] += len(part)
                    parts.append(part)
                    if size > self._text and self._held[visit.caller] > self._room - self._held.total():
                        text = "Too many uploads at once. Come again shortly."
                        raise Refused(429, "overloaded", text, headers=RETRY_AFTER)
        except TimeoutError:
            self._let_go(visit.caller, size)
            text = f"The body did not arrive within {self._seconds:g} s. Send less, or over a faster line."
            raise Refused(408, "request_timeout", text, headers=CLOSE) from None
        except BaseException:
            self._let_go(visit.caller, size)
            raise
        return b"".join(parts)

    def _let_go(self, caller: str, size: int) -> None:
        self._held[caller] -= size
        if not self._held[caller]:
            del self._held[caller]


class _Visit:
    """One request: its ids, its caller, and whether an answer to it has begun."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.headers = Headers(scope=scope)
        self.answering = False
        self._scope, self._send = scope, send
        # A dictionary of its own: what a server hands over may be one for all requests.
        ids = {"call_id": str(uuid.uuid4()), "request_id": new_request_id()}
        self._state: dict[str, Any] = {**scope.get("state", {}), **ids, "caller": ""}
        scope["state"] = self._state

    @property
    def caller(self) -> str:
        """Who showed a key; empty for nobody."""
        return str(self._state["caller"])

    @property
    def request_id(self) -> str:
        return str(self._state["request_id"])

    def check_head(self) -> None:
        """Refuse what two servers, one behind the other, could read as different requests, and a head that is too long.

        A head that arrives at once, the parser takes at any length.
        """
        if "content-length" in self.headers and "transfer-encoding" in self.headers:
            # RFC 9112, 6.1 and 6.3: an attempt to smuggle a request past whoever goes by the length.
            text = "Content-Length and Transfer-Encoding contradict each other. Send one of them."
            raise Refused(400, "invalid_http", text, headers=CLOSE)
        line = sum(len(self._scope.get(name, b"")) for name in ("method", "raw_path", "query_string"))
        if line + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers.raw) > HEAD_BYTES:
            raise head_too_large()

    def admit(self, keys: Keys) -> None:
        """Take note of who calls. Raises Refused."""
        given = self.headers.get("x-call-id")
        if given is not None:
            if not CALL_ID.fullmatch(given):
                text = "X-Call-Id must be 1 to 128 letters, digits, dots, dashes, colons and underscores."
                raise Refused(400, "invalid_call_id", text, "X-Call-Id")
            self._state["call_id"] = given
        path = self._scope["path"]
        if path in OPEN or path.startswith("/page/"):
            return
        if isinstance(keys, Everybody) and not is_loopback(_hostname(self.headers.get("host", ""))):
            # A page from elsewhere can give its own name this machine's address, and so reach what asks for no key.
            raise Refused(400, "invalid_host", "Without API keys this gateway answers to its loopback address alone.")
        caller = keys.caller(_presented(self.headers.get("authorization", "")))
        if caller is None:
            # A browser asks for a password where it goes to a page, not where a page of ours fetches something.
            page = self.headers.get("sec-fetch-mode", "navigate") == "navigate"
            challenge = 'Basic realm="data foundry, the key is the password"' if page else "Bearer"
            # Who shows no key is told no folder.
            text = "This gateway answers to API keys: Authorization: Bearer KEY."
            text += f" To make one, with the gateway's own flags: {CREATE}"
            raise Refused(401, "invalid_api_key", text, headers={"WWW-Authenticate": challenge})
        self._state["caller"] = caller

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.answering = True
            headers = MutableHeaders(scope=message)
            headers["X-Call-Id"] = self._state["call_id"]
            headers["X-Request-Id"] = self._state["request_id"]
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _presented(authorization: str) -> str | None:
    """Return the key of an Authorization header: a bearer token, or the password of HTTP Basic."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
    return None


async def _let_pass(receive: Receive, more: bool, patience: int) -> None:
    """Read on for so many bytes, keeping nothing: a client that is cut off while it sends reads no answer."""
    passed = 0
    while more and passed <= patience:
        message = await receive()
        passed += len(message.get("body", b""))
        more = message.get("more_body", False)


def _hostname(host: str) -> str:
    """Return the name or address of a Host header, without its port."""
    return host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]


def head_too_large() -> Refused:
    """Return what is said of a request line and headers that are too long."""
    text = f"The request line and the headers are larger than {HEAD_BYTES >> 10} KiB. Send less of them."
    return Refused(431, "head_too_large", text, headers=CLOSE)


def _too_large(limit: int, way_out: str) -> Refused:
    most = f"{limit / _MIB:.3g} MiB" if limit >= _MIB else f"{limit / 1024:.3g} KiB"
    text = f"The body is larger than {most}. {way_out}"
    return Refused(413, "too_large", text, headers=CLOSE)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives the body as one message, and then what the server says."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
