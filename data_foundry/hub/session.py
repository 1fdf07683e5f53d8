"""The HTTP session that huggingface_hub uses here: it never waits for ever, and a cut connection can be taken up again.

The client's own session waits without end for answers of the API, takes one byte a minute for progress, and reports a
reset connection as an error that none of its retries knows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
# Less than this much a second, over the time a stall may last, is no progress.
SLOWEST_BYTES_PER_SECOND = 1024


def use_session(stall_seconds: float) -> None:
    """Have huggingface_hub make its sessions here, for the whole process; `stall_seconds` as in the settings."""
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils._http import hf_request_event_hook

    # Each process would ask the Hub for a list of programs, one of which might have started it, to name it to the Hub.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    global _stall_seconds
    if _stall_seconds == stall_seconds:
        return
    _stall_seconds = stall_seconds

    def new_session() -> httpx2.Client:
        return _session_class()(
            stall_seconds, event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=None
        )

    set_client_factory(new_session)


_stall_seconds: float | None = None


@cache
def _session_class() -> Any:
    """Return the session's class; it is made when first used, because its base takes long to import."""
    import httpx2

    class Session(httpx2.Client):
        def __init__(self, stall_seconds: float, **options: Any) -> None:
            super().__init__(**options)
            self.stall_seconds = stall_seconds

        def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
            limits = {"connect": min(CONNECT_SECONDS, self.stall_seconds), "pool": None}
            limits |= dict.fromkeys(("read", "write"), self.stall_seconds)
            request.extensions = {**request.extensions, "timeout": limits}
            try:
                response = super().send(request, stream=True, **options)
            except httpx2.ReadError as error:
                # Before the answer began. As a connection error, it is tried again by the client, too.
                raise httpx2.RemoteProtocolError(f"connection lost: {error}", request=request) from error
            response.stream = Watched(response.stream, request, self.stall_seconds)
            if not stream:
                try:
                    response.read()
                except BaseException:
                    response.close()
                    raise
            return response

    class Watched(httpx2.SyncByteStream):
        """A body that arrives: fails when it is cut, and when too little comes for too long."""

        def __init__(self, body: Any, request: httpx2.Request, stall_seconds: float) -> None:
            self.body, self.request, self.stall_seconds = body, request, stall_seconds

        def __iter__(self) -> Iterator[bytes]:
            since, came = time.monotonic(), 0
            try:
                for block in self.body:
                    yield block
                    came += len(block)
                    waited = time.monotonic() - since
                    if waited > self.stall_seconds:
                        if came < SLOWEST_BYTES_PER_SECOND * waited:
                            text = f"only {came} bytes came in {waited:.0f} s"
                            raise httpx2.ReadTimeout(text, request=self.request)
                        since, came = time.monotonic(), 0
            except httpx2.ReadError as error:
                raise httpx2.RemoteProtocolError(f"connection lost: {error}", request=self.request) from error

        def close(self) -> None:
            self.body.close()

    return Session
