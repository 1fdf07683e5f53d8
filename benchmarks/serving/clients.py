"""Clients that call gateways as fast as they are answered, and what they saw."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

BOUNDARY = "f1e2d3c4b5a697887766554433221100"


class Request(NamedTuple):
    """What a client sends; `kind` is "text" or "speech"."""

    kind: str
    path: str
    content_type: str
    body: bytes


class Target(NamedTuple):
    """A gateway, and the key that opens it."""

    address: str
    key: str


@dataclass
class Seen:
    """What one client saw: (kind, seconds) of answered calls, failures by what they were, versions in their order."""

    answered: list[tuple[str, float]] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    versions: list[str] = field(default_factory=list)


def text_request(text: str, model: str) -> Request:
    body = json.dumps({"text": text, "model": model}).encode()
    return Request("text", "/v1/understand", "application/json", body)


def speech_request(wav: bytes) -> Request:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="call.wav"\r\n'
    body = f"{head}Content-Type: audio/wav\r\n\r\n".encode() + wav + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Request("speech", "/v1/audio/transcriptions", f"multipart/form-data; boundary={BOUNDARY}", body)


class Clients:
    """So many clients, each in a thread with connections of its own; they all work through the same requests.

    `every`: the seconds from the start of one call of a client to the start of its next; 0: at once.
    """

    def __init__(self, requests: Sequence[Sequence[Request]], every: float = 0.0, timeout: float = 120.0) -> None:
        self.requests, self.every, self.timeout = requests, every, timeout
        self._connections: list[dict[str, http.client.HTTPConnection]] = [{} for _ in requests]
        self._next = [17 * number for number in range(len(requests))]

    def run(self, target: Target, seconds: float, stop: threading.Event | None = None) -> list[Seen]:
        """Call one gateway for so many seconds, or until `stop`, and return what each client saw."""
        seen = [Seen() for _ in self.requests]
        until = time.monotonic() + seconds
        ended = stop or threading.Event()
        threads = [
            threading.Thread(target=self._call, args=(number, target, until, ended, seen[number]))
            for number in range(len(seen))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._close()
        return seen

    def _close(self) -> None:
        """Leave no connection behind that the gateway closes while others are called."""
        for each in self._connections:
            for connection in each.values():
                connection.close()
            each.clear()

    def _call(self, number: int, target: Target, until: float, ended: threading.Event, seen: Seen) -> None:
        due = time.monotonic() + self.every * number / len(self.requests)
        while (now := time.monotonic()) < until and not ended.is_set():
            if self.every and due > now:
                time.sleep(min(due - now, until - now))
                if time.monotonic() >= until:
                    return
            due += self.every
            requests = self.requests[number]
            request = requests[self._next[number] % len(requests)]
            self._next[number] += 1
            started = time.perf_counter()
            try:
                status, headers = self._send(number, target, request)
            except (OSError, http.client.HTTPException) as error:
                seen.failed[type(error).__name__] += 1
                self._connections[number].pop(target.address).close()
                continue
            if status == 200:
                seen.answered.append((request.kind, time.perf_counter() - started))
                seen.versions.append(headers.get("x-model-version", ""))
            else:
                seen.failed[str(status)] += 1

    def _send(self, number: int, target: Target, request: Request) -> tuple[int, Mapping[str, str]]:
        connection = self._connections[number].get(target.address)
        if connection is None:
            place = urlsplit(target.address)
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=self.timeout)
            self._connections[number][target.address] = connection
        headers = {"Authorization": f"Bearer {target.key}", "Content-Type": request.content_type}
        connection.request("POST", request.path, request.body, headers)
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}
