"""A Hub on 127.0.0.1 that speaks the protocol of the real one to the real client, with faults on request.

    with LoopbackHub() as hub:
        sha = hub.add("datasets", "owner/name", {"a.csv": b"id\\n1\\n"})     # bytes, or a Path to serve from disk
        hub.faults = [Fault("a.csv", "corrupt", times=2), Fault("/api/", 429, headers={"Retry-After": "3"})]
        ... a client with HF_ENDPOINT=hub.url, in this process or a child ...
        assert hub.file_requests() == []

- `add(kind, repo_id, files, sha="", gated=, private=, refuse=)` commits a new state of main and returns its sha;
  `rename(kind, old, new)` has the old name answer with a redirect; `allow(token, *repo_ids, **auth)` makes a token
  valid, lets it read these gated or private repositories, and says what whoami tells of it (role=, fineGrained=).
- `faults` is a table read from the top for each request: path (a part of it), act, times, method ("" for any), headers.
  Acts are described at `Fault`. A fault is used up after `times` strikes; `struck` lists the requests that were struck.
- `requests` lists "METHOD /path", `ranges` the Range headers, `seen_tokens` the Authorization headers;
  `file_requests()` are those for files, as against the API's.
- `delay` holds every answer back; `page_size` splits lists of files into pages; `xet` advertises Xet hashes (behind
  which there is no Xet server); `cdn` sends file requests to a second port, whose Authorization headers are in
  `cdn_tokens`.

By hand: `python -m tests.loopback_hub FOLDER [PORT]` serves a folder of datasets/ and models/.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from data_foundry.dataset_registry import DATASET_REGISTRY
from tests.loopback_handler import Handler, Item, Repository


@dataclass
class Fault:
    """Spoil up to `times` requests whose method and path match.

    `act` is a status code (with `headers`), a function that is called before the request is answered rightly, or:
    of the body: "corrupt" (right length, one byte flipped), "short" (half of it, as the stated length says), "long",
    "html" (a page instead of it), "reset" (RST in the middle), "hangup" (orderly end in the middle), "stall" (nothing
    more after the middle), "trickle" (a byte now and then after the middle), "norange" (parts are not served);
    of the headers: "etag" (a wrong one), "commit" (that of another commit), "bare" (none that a Hub would send);
    of a list of files: "again" (the first page at every cursor), "around" (the same, and the same next cursor);
    of the connection: "drop" (reset before any answer), "silent" (no answer);
    "echo" (403 that repeats the Authorization header in its message and body).
    """

    path: str
    act: int | str | Callable[[], object]
    times: int = 1
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackHub:
    """The server. See the top of the file."""

    def __init__(self, port: int = 0) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.renamed: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.struck: list[str] = []
        self.seen_tokens: set[str] = set()
        self.cdn_tokens: set[str] = set()
        self.tokens: dict[str, set[str]] = {}
        self.auth: dict[str, dict[str, Any]] = {}
        self.delay = 0.0
        self.page_size = 1000
        self.xet = False
        self.cdn = False
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _serving(self, port)
        self._cdn_server = _serving(self, 0)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.cdn_url = f"http://127.0.0.1:{self._cdn_server.server_address[1]}"

    def __enter__(self) -> LoopbackHub:
        for server in (self._server, self._cdn_server):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        for server in (self._server, self._cdn_server):
            server.shutdown()
            server.server_close()

    def add(self, kind: str, repo_id: str, files: Mapping[str, bytes | Path], sha: str = "", **access: Any) -> str:
        """Commit files as the new state of a repository's main; return the commit's sha, invented where not given."""
        repository = self.repositories.setdefault((kind, repo_id), Repository())
        items = {name: Item.of(name, data) for name, data in files.items()}
        told = [(name, item.oid) for name, item in sorted(items.items())]
        sha = sha or hashlib.sha1(repr((repo_id, repository.main, told)).encode()).hexdigest()
        repository.commits[sha] = items
        repository.main = sha
        for name, value in access.items():
            setattr(repository, name, value)
        return sha

    def rename(self, kind: str, old: str, new: str) -> None:
        """Give a repository another name; the old one redirects to it."""
        self.repositories[kind, new] = self.repositories.pop((kind, old))
        self.renamed[old] = new

    def allow(self, token: str, *repo_ids: str, **auth: Any) -> None:
        """Make a token valid, and let it read these gated or private repositories."""
        self.tokens.setdefault(token, set()).update(repo_ids)
        self.auth[token] = {"displayName": "test", "role": "read", **auth}

    def file_requests(self) -> list[str]:
        """Return the requests for files, as against those of the API."""
        return [request for request in self.requests if "/resolve/" in request]

    def note(self, method: str, path: str, headers: Mapping[str, str], cdn: bool) -> Fault | None:
        """Write a request down; return the fault that strikes it, and use it up by one."""
        with self._lock:
            if not path.startswith("/cdn/"):
                self.requests.append(f"{method} {path}")
            if headers.get("Range"):
                self.ranges.append(headers["Range"])
            (self.cdn_tokens if cdn else self.seen_tokens).add(headers.get("Authorization", ""))
            for fault in self.faults:
                if fault.times > 0 and fault.method in ("", method) and fault.path in path:
                    fault.times -= 1
                    self.struck.append(f"{method} {path}")
                    return fault
        return None


def _serving(owner: LoopbackHub, port: int) -> ThreadingHTTPServer:
    class Bound(Handler):
        hub = owner

    server = ThreadingHTTPServer(("127.0.0.1", port), Bound)
    server.daemon_threads = True
    return server


def serve(folder: Path, port: int) -> None:
    """Serve a folder until interrupted."""
    with LoopbackHub(port) as hub:
        for kind in ("datasets", "models"):
            for repository in sorted((folder / kind).glob("*/*")):
                files: dict[str, bytes | Path] = {
                    p.relative_to(repository).as_posix(): p for p in repository.rglob("*") if p.is_file()
                }
                repo_id = f"{repository.parent.name}/{repository.name}"
                entry = DATASET_REGISTRY.get(repo_id)
                hub.add(kind, repo_id, files, sha=(entry.revision if entry else None) or "")
        print(f"HF_ENDPOINT={hub.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
