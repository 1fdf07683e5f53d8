"""What is to be watched, over HTTP: the live page at `/`, its data at `/v1/status`, and `/metrics` for Prometheus.

The page and its files hold no data and need no key. They load nothing from elsewhere and run no script that stands
in the page, which the browser is told to enforce.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from data_foundry.errors import FoundryError
from data_foundry.serving.http.errors import Refused

PAGE = Path(__file__).with_name("page")
_SCRIPT = "text/javascript; charset=utf-8"
FILES = {
    "live.css": "text/css; charset=utf-8",
    **{f"{name}.js": _SCRIPT for name in ("drawing", "drift", "live")},
}
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Watched(Protocol):
    """Who knows how everything stands: a Watcher. Both are called in a thread that may wait."""

    def status(self) -> dict[str, Any]: ...

    def metrics(self) -> tuple[bytes, str]: ...


def router(watched: Watched, guards: Sequence[Any] = ()) -> APIRouter:
    """Return the routes of the page and its data; `guards` are dependencies that the data asks for."""
    routes = APIRouter(tags=["watching"])

    @routes.head("/", include_in_schema=False)
    @routes.get("/", include_in_schema=False)
    def page() -> Response:
        return Response(_file("index.html"), media_type="text/html; charset=utf-8", headers=SECURITY)

    @routes.get("/page/{name}", include_in_schema=False)
    def part(name: str) -> Response:
        if name not in FILES:
            raise Refused(404, "not_found", "No such file.")
        return Response(_file(name), media_type=FILES[name], headers=SECURITY)

    @routes.get("/v1/status", dependencies=list(guards))
    def status() -> JSONResponse:
        """How all adapters stand: stages, traffic, trials with their bounds, drift, history."""
        try:
            return JSONResponse(watched.status(), headers=_NOT_KEPT)
        except FoundryError as error:
            raise Refused(503, "unreadable", str(error), headers=_NOT_KEPT) from None

    @routes.get("/metrics", dependencies=list(guards), response_class=Response)
    def metrics() -> Response:
        """The metrics in Prometheus' text format."""
        text, kind = watched.metrics()
        return Response(text, headers={**_NOT_KEPT, "Content-Type": kind})

    return routes


@cache
def _file(name: str) -> bytes:
    return (PAGE / name).read_bytes()
