"""A Hub on 127.0.0.1 that speaks the protocol of the real one to the real client, with faults on request.

In tests: `with LoopbackHub() as hub: sha = hub.add("datasets", "owner/name", {"a.csv": b"..."})`, then give the client
`hub.url`. By hand: `python tests/loopback_hub.py FOLDER [PORT]` serves a folder of datasets/ and models/.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from data_foundry.dataset_registry import DATASET_REGISTRY

LFS_BYTES = 64 * 1024
LFS_SUFFIXES = (".parquet", ".wav", ".flac", ".safetensors")
_API = re.compile(
    r"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|auth-check|refs|paths-info)(?:/([^/]+)(/.*)?)?)?$"
)
_RESOLVE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")


@dataclass
class Repository:
    """One repository: its commits by sha, where `main` stands, and who may read it."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    main: str = ""
    gated: bool = False
    private: bool = False


@dataclass
class Fault:
    """Spoil up to `times` requests whose method and path match.

    `act` is a status code, or: "corrupt" (right length, one byte flipped), "reset" (connection reset in the middle),
    "short" (the stated length is that of the cut body), "html" (a page instead of the file).
    """

    path: str
    act: int | str
    times: int = 1
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackHub:
    """The server; each answer takes `delay` seconds. It lists requests in `requests` as "METHOD /path"
    and the Authorization headers in `seen_tokens`."""

    def __init__(self, port: int = 0) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.seen_tokens: set[str] = set()
        self.tokens: dict[str, set[str]] = {}
        self.delay = 0.0
        self._lock = threading.Lock()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LoopbackHub:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, kind: str, repo_id: str, files: Mapping[str, bytes], sha: str = "", **access: bool) -> str:
        """Commit files as the new state of a repository's main; return the commit's sha, invented where not given."""
        repository = self.repositories.setdefault((kind, repo_id), Repository())
        sha = sha or hashlib.sha1(repr((repo_id, repository.main, sorted(files.items()))).encode()).hexdigest()
        repository.commits[sha] = dict(files)
        repository.main = sha
        for name, value in access.items():
            setattr(repository, name, value)
        return sha

    def allow(self, token: str, *repo_ids: str) -> None:
        """Make a token valid, and let it read these gated or private repositories."""
        self.tokens.setdefault(token, set()).update(repo_ids)

    def file_requests(self) -> list[str]:
        """Return the requests for files, as against those of the API."""
        return [request for request in self.requests if "/resolve/" in request]

    def fault_for(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes a request, and use it up by one."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and fault.path in path:
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    # Without it every answer waits 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._handle()

    def log_message(self, *_: Any) -> None:
        pass

    def _handle(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        with self.hub._lock:
            self.hub.requests.append(f"{self.command} {path}")
            self.hub.seen_tokens.add(self.headers.get("Authorization", ""))
        time.sleep(self.hub.delay)
        fault = self.hub.fault_for(self.command, path)
        if fault is not None and isinstance(fault.act, int):
            return self._answer(fault.act, b"the server stumbled", {**fault.headers})
        if self._token() not in {None, *self.hub.tokens}:
            message = "Invalid credentials in Authorization header"
            return self._answer(401, b'{"error":"%s"}' % message.encode(), {"X-Error-Message": message})
        if api := _API.match(path):
            return self._api(*api.groups(), parse_qs(url.query))
        if resolved := _RESOLVE.match(path):
            kind = "datasets" if resolved.group(1) else "models"
            return self._file(kind, *resolved.groups()[1:], fault)
        return self._answer(404, b"{}")

    def _token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ").strip() or None

    def _may_read(self, repo_id: str) -> bool:
        return repo_id in self.hub.tokens.get(self._token() or "", set())

    def _repository(self, kind: str, repo_id: str) -> Repository | None:
        repository = self.hub.repositories.get((kind, repo_id))
        if repository is None or (repository.private and not self._may_read(repo_id)):
            self._refuse(404 if self._token() else 401, "RepoNotFound", "Repository not found")
            return None
        return repository

    def _gate(self, repository: Repository, repo_id: str) -> bool:
        if repository.gated and not self._may_read(repo_id):
            self._refuse(403 if self._token() else 401, "GatedRepo", f"Access to {repo_id} is restricted.")
            return False
        return True

    def _commit(self, repository: Repository, revision: str | None) -> str | None:
        sha = repository.main if revision in (None, "main") else revision
        if sha in repository.commits:
            return sha
        self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return None

    def _api(
        self,
        kind: str,
        repo_id: str,
        verb: str | None,
        revision: str | None,
        _: str | None,
        query: dict[str, list[str]],
    ) -> None:
        repository = self._repository(kind, repo_id)
        if repository is None:
            return None
        if verb == "auth-check":
            return self._answer(200, b"{}") if self._gate(repository, repo_id) else None
        sha = self._commit(repository, revision)
        if sha is None:
            return None
        files = repository.commits[sha]
        if verb == "tree":
            entries = [
                {"type": "file", "path": name, **_entry(name, data, "oid")} for name, data in sorted(files.items())
            ]
            return self._json(entries)
        with_blobs = query.get("blobs", [""])[0].lower() == "true"
        siblings = [
            {"rfilename": name, **(_entry(name, data, "blobId") if with_blobs else {})}
            for name, data in sorted(files.items())
        ]
        card = re.search(rb"^license: (.+)$", files.get("README.md", b""), re.MULTILINE)
        return self._json(
            {
                "_id": sha[:24],
                "id": repo_id,
                "sha": sha,
                "private": repository.private,
                "gated": "auto" if repository.gated else False,
                "disabled": False,
                "tags": [f"license:{card.group(1).decode().strip()}"] if card else [],
                "siblings": siblings,
            }
        )

    def _file(self, kind: str, repo_id: str, revision: str, name: str, fault: Fault | None) -> None:
        repository = self._repository(kind, repo_id)
        if repository is None or not self._gate(repository, repo_id):
            return None
        sha = self._commit(repository, revision)
        if sha is None:
            return None
        data = repository.commits[sha].get(name)
        if data is None:
            return self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": sha})
        entry = _entry(name, data, "oid")
        large = entry.get("lfs")
        headers = {
            "X-Repo-Commit": sha,
            "ETag": f'"{large["oid"] if large else entry["oid"]}"',
            "Accept-Ranges": "bytes",
        }
        if large:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(data))}
        act = fault.act if fault else None
        if act == "html":
            return self._answer(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
        if act == "corrupt":
            data = data[:-1] + bytes([data[-1] ^ 0x55])
        if act == "short":
            data = data[: len(data) // 2]
        if act == "reset":
            return self._reset(headers, data)
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.command == "GET":
            first, last = int(wanted.group(1)), int(wanted.group(2) or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return self._answer(206, data[first : last + 1], headers)
        return self._answer(200, data, headers)

    def _reset(self, headers: Mapping[str, str], data: bytes) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _refuse(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps({"error": message}).encode()
        self._answer(status, body, {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})})

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(name: str, data: bytes, blob: str) -> dict[str, Any]:
    """Describe a file as the Hub's API does; of a large one, `blob` is the id of its Git LFS pointer."""
    if len(data) < LFS_BYTES and not name.endswith(LFS_SUFFIXES):
        return {"size": len(data), blob: hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    sha256 = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
    pointer_id = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
    lfs = {"oid": sha256, "sha256": sha256, "size": len(data), "pointerSize": len(pointer)}
    return {"size": len(data), blob: pointer_id, "lfs": lfs}


def serve(folder: Path, port: int) -> None:
    """Serve a folder until interrupted."""
    with LoopbackHub(port) as hub:
        for kind in ("datasets", "models"):
            for repository in sorted((folder / kind).glob("*/*")):
                files = {
                    p.relative_to(repository).as_posix(): p.read_bytes() for p in repository.rglob("*") if p.is_file()
                }
                repo_id = f"{repository.parent.name}/{repository.name}"
                entry = DATASET_REGISTRY.get(repo_id)
                hub.add(kind, repo_id, files, sha=(entry.revision if entry else None) or "")
        print(f"HF_ENDPOINT={hub.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
