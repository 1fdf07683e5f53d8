"""The server: one process that listens, loads what it serves, answers, and drains when it is told to end."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from data_foundry.errors import FoundryError
from data_foundry.serving.http.api_keys import Keys
from data_foundry.serving.http.app import create_app
from data_foundry.serving.http.calling import CallService
from data_foundry.serving.http.entrance import HEAD_BYTES, head_too_large
from data_foundry.serving.http.errors import Refused, counted_as, error_response

HEAD_SECONDS = 10.0
"""How long a request line and its headers may take to arrive."""


class RunningService(CallService, Protocol):
    """A service as the server runs it."""

    def start(self) -> None: ...

    def close(self, drain_seconds: float = ...) -> None: ...


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, 0 for any free port. Raises FoundryError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: only then does asyncio turn off Nagle, which holds each answer back for 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host.strip("[]"), port))
    except (OSError, UnicodeError) as error:
        found.close()
        if isinstance(error, (socket.gaierror, UnicodeError)) or error.errno == errno.EADDRNOTAVAIL:
            way_out = "Give --host one of its addresses: 127.0.0.1 for this machine alone, 0.0.0.0 for all."
            raise FoundryError(f"Can't listen on {host}: that is no address of this machine.", way_out) from None
        way_out = "Choose another with --port N (0: any that is free), or end what listens there."
        raise FoundryError(f"Can't listen on {host}:{port}: {error.strerror or error}.", way_out) from None
    return found


def address_of(listening: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    service: RunningService, keys: Keys, listening: socket.socket, started: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was taken and return.

    It listens before the service has loaded, so that /health is answered and /ready says what is awaited; `started` is
    called once it has. Raises FoundryError where the service can't start. Runs in the main thread.
    """
    asyncio.run(_serve(service, keys, listening, started))


async def _serve(service: RunningService, keys: Keys, listening: socket.socket, started: Callable[[], None]) -> None:
    server = server_of(service, keys)
    loading = asyncio.create_task(asyncio.to_thread(service.start))
    loading.add_done_callback(lambda task: _loaded(task, server, started))
    try:
        await server.serve([listening])
    finally:
        await asyncio.to_thread(service.close, service.settings.serving.request_timeout_seconds)
    # After `close`: that is what a service still loading waits for. What went wrong as it started is raised here.
    await loading


def server_of(service: CallService, keys: Keys | None = None) -> uvicorn.Server:
    """Return uvicorn over a service, not yet running, with what it must not take for granted of who connects."""
    # It would log every broken form, with bytes of it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    config = uvicorn.Config(
        create_app(service, keys),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=65,  # longer than what load balancers keep a connection for
        timeout_graceful_shutdown=int(service.settings.serving.request_timeout_seconds) + 1,
    )
    return _Server(config)


def _loaded(task: asyncio.Task[None], server: uvicorn.Server, started: Callable[[], None]) -> None:
    if task.cancelled() or task.exception() is not None:
        server.should_exit = True
    elif not server.should_exit:
        started()


class _Protocol(H11Protocol):
    """HTTP by the strictest parser; a connection whose request does not arrive is closed, which uvicorn leaves open.

    What that parser lets pass all the same, the entrance refuses.
    """

    _waiting: asyncio.TimerHandle | None = None

    def _told(self, code: str) -> None:
        app: Any = self.app
        app.state.service.watch.answered_error(code)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._waiting = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._end_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def send_400_response(self, msg: str) -> None:
        """Refuse what can't be read as a request, in the shape that every refusal has, and close the connection."""
        refused = Refused(400, "invalid_http", "This is no request in HTTP/1.1.")
        if self.conn.our_state is h11.IDLE and len(self.conn.trailing_data[0]) > HEAD_BYTES:
            refused = head_too_large()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = error_response(refused, None)
            self._told(counted_as(refused))
            head = h11.Response(
                status_code=answer.status_code, headers=[*answer.raw_headers, (b"connection", b"close")]
            )
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_waiting()
        super().connection_lost(exc)

    def _end_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class _Server(uvicorn.Server):
    """Ends well on SIGTERM and SIGINT: uvicorn's own raises the signal again once it has drained."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: Any) -> None:
        # A second Ctrl-C does not wait for callers.
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True
