"""Feedback on what another gateway answered: what was answered is in that one's memory alone, so the others are asked.

All at once, over connections of a moment, with the caller's own key, which each of them checks as it does any. Where
one is slow or breaks off, and none remembers the request, its caller is to come again: that one may. Who is gone, or
answers in HTTP what no gateway says, is left out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from data_foundry.serving.http import schemas
from data_foundry.serving.http.errors import ASKED_FOR, FEEDBACK, RETRY_AFTER, Refused
from data_foundry.serving.peers import Peers

log = logging.getLogger("data_foundry")

CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 5.0
MOST_BYTES = 1 << 16
MOST_AT_ONCE = 32
"""So much feedback may wait for other gateways, half of it one caller's; more is turned away."""
_BUSY = 429, "overloaded"
_NO_TRUTH = {(400, "invalid_value"): "truth", (400, "not_scorable"): "adapter"}
"""It remembers the request, and the truth can't be of it, or it knows that no truth can be of such a model; with what
is at fault. All else was looked at before others were asked."""
_TOLD = (404, "call_not_found"), (404, "model_not_found"), _BUSY
"""How a gateway says that it did not give the answer, or has no time to look."""
_GONE, _STALLED = (0, "gone"), (0, "stalled")
"""Nothing listens there any more, and what it remembered is lost; or something does, and said nothing."""


class PeerFeedback:
    """Asks other gateways to score what one of them answered. Used on one event loop."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._tls = _tls()
        self._faults: dict[str, str] = {}

    async def ask(
        self, peers: Peers, given: schemas.FeedbackRequest, caller: str, authorization: bytes
    ) -> tuple[schemas.Scored | None, int]:
        """Ask all at once, and return what the first says that remembers the request, and how many could not be asked.

        `authorization`: the caller's header as it came, empty for none. Raises Refused.
        """
        # As much as there is room left for all others: nobody's made-up ids shut them out.
        if self._waiting[caller] >= MOST_AT_ONCE - self._waiting.total():
            text = "Too much feedback waits for other gateways. Come again shortly."
            raise Refused(429, "overloaded", text, headers=RETRY_AFTER)
        body = given.model_dump_json(exclude_none=True).encode()
        headers = {b"Content-Type": b"application/json", b"Accept-Encoding": b"identity"}
        headers |= {ASKED_FOR.encode(): caller.encode()} | ({b"Authorization": authorization} if authorization else {})
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        failed, later = peers.beyond, set()
        self._waiting[caller] += 1
        try:
            # What the environment says of proxies is not meant for neighbours.
            async with httpx.AsyncClient(timeout=timeout, trust_env=False, verify=self._tls) as client:
                asking = [asyncio.create_task(self._said(client, url, headers, body)) for url in peers.addresses]
                try:
                    for answered in asyncio.as_completed(asking):
                        said = await answered
                        if isinstance(said, Refused):
                            raise said
                        if isinstance(said, schemas.Scored):
                            return said, failed
                        failed += said is None
                        later |= {said} & {_BUSY, _STALLED}
                finally:
                    for task in asking:
                        task.cancel()
                    await asyncio.gather(*asking, return_exceptions=True)
        finally:
            self._waiting[caller] -= 1
            if not self._waiting[caller]:
                del self._waiting[caller]
        if later:
            text = "Another gateway, which may have given the answer, has no time to say so. Come again shortly."
            raise Refused(429, "overloaded", text, headers=RETRY_AFTER)
        return None, failed

    async def _said(
        self, client: httpx.AsyncClient, url: str, headers: Mapping[bytes, bytes], body: bytes
    ) -> schemas.Scored | Refused | tuple[int, str] | None:
        """Return what one scored or refuses to, or how it says that it did not; None where it says nothing of these.

        _GONE or _STALLED where it says nothing at all.
        """
        silent: tuple[int, str] | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, answer = await _exchange(client, url, headers, body)
            said = schemas.Scored.model_validate(answer) if status == 200 else (status, answer["error"]["code"])
            if isinstance(said, schemas.Scored) or said in (*_TOLD, *_NO_TRUTH):
                self._faults.pop(url, None)
                if isinstance(said, schemas.Scored) or said in _TOLD:
                    return said
                return Refused(*said, str(answer["error"]["message"]), _NO_TRUTH[said])
            fault = f"it answers {status}"
        except Exception as error:
            # Its words may repeat what a caller said.
            fault = type(error).__name__
            silent = _silence(error)
        if self._faults.get(url) != fault:
            self._faults[url] = fault
            log.warning("the gateway at %s could not be asked for feedback: %s", url, fault)
        return silent


def _silence(error: BaseException) -> tuple[int, str] | None:
    """Return what it means that one did not answer; None where it can't be asked, now or later."""
    if isinstance(error, httpx.ConnectError):
        why: BaseException | None = error
        while why is not None and not isinstance(why, ConnectionRefusedError):
            why = why.__cause__ or why.__context__
        return None if why is None else _GONE
    return _STALLED if isinstance(error, TimeoutError | httpx.TransportError) else None


async def _exchange(
    client: httpx.AsyncClient, url: str, headers: Mapping[bytes, bytes], body: bytes
) -> tuple[int, Any]:
    """Return status and JSON of an answer. Raises ValueError where it is too long or no JSON, and what httpx raises."""
    request = client.build_request("POST", f"{url}{FEEDBACK}", content=body, headers=[*headers.items()])
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        said = bytearray()
        # As it came: what is packed may unpack to anything.
        async for part in response.aiter_raw():
            said += part
            if len(said) > MOST_BYTES:
                raise ValueError("the answer is too long")
        return response.status_code, json.loads(said)
    finally:
        await response.aclose()


@cache
def _tls() -> ssl.SSLContext:
    """Return what https is checked by. Made once, at the start: it reads all authorities that this machine trusts."""
    return ssl.create_default_context()
