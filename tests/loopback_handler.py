"""How the loopback Hub answers: the endpoints that the real client calls, and the faults of `tests.loopback_hub`."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

if TYPE_CHECKING:
    from tests.loopback_hub import LoopbackHub

LFS_BYTES = 64 * 1024
LFS_SUFFIXES = (".parquet", ".wav", ".flac", ".safetensors")
_API = re.compile(r"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|auth-check|xet-read-token)(?:/([^/]+))?)?$")
_RESOLVE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")


@dataclass(frozen=True)
class Item:
    """One file of a commit, with the hashes that the API lists."""

    data: bytes | Path
    size: int
    oid: str
    sha256: str | None

    @classmethod
    def of(cls, name: str, data: bytes | Path) -> Item:
        content = data if isinstance(data, bytes) else data.read_bytes()
        size = len(content)
        if size < LFS_BYTES and not name.endswith(LFS_SUFFIXES):
            return cls(data, size, hashlib.sha1(b"blob %d\0" % size + content).hexdigest(), None)
        sha256 = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        return cls(data, size, hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest(), sha256)

    @property
    def content(self) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


@dataclass
class Repository:
    """One repository: its commits by sha, where `main` stands, and who may read it.

    `refuse` is the (status, code, message) that those get who may not read a gated one.
    """

    commits: dict[str, dict[str, Item]] = field(default_factory=dict)
    main: str = ""
    gated: bool = False
    private: bool = False
    refuse: tuple[int, str, str] | None = None


class Handler(BaseHTTPRequestHandler):
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

    def handle(self) -> None:
        # The client went away, or this side cut the connection on purpose.
        with suppress(ConnectionError, ValueError):
            super().handle()

    def _handle(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        own_port = urlsplit(self.hub.url).port == self.server.server_address[1]  # type: ignore[index]
        fault = self.hub.note(self.command, path, self.headers, cdn=not own_port)  # type: ignore[arg-type]
        time.sleep(self.hub.delay)
        act = fault.act if fault else None
        if fault is not None and isinstance(act, int):
            return self._answer(act, b"the server stumbled", {**fault.headers})
        if callable(act):
            act()
        if act == "drop":
            return self._cut(reset=True)
        if act == "silent":
            self.hub.closing.wait(60)
            return self._cut(reset=True)
        if act == "echo":
            return self._refuse(403, "", f"not with {self.headers.get('Authorization')}")
        if act == "html" and not _RESOLVE.match(path):
            return self._answer(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
        if path.startswith("/cdn/"):
            kind, owner, repo, sha, name = path.removeprefix("/cdn/").split("/", 4)
            return self._content(kind, f"{owner}/{repo}", sha, name, act)
        if self._token() not in {None, *self.hub.tokens}:
            message = "Invalid credentials in Authorization header"
            return self._answer(401, b'{"error":"%s"}' % message.encode(), {"X-Error-Message": message})
        if path == "/api/whoami-v2":
            return self._whoami()
        if api := _API.match(path):
            kind, repo_id, verb, revision = api.groups()
            return self._api(kind, repo_id, verb, revision, parse_qs(url.query), act)
        if resolved := _RESOLVE.match(path):
            is_dataset, repo_id, revision, name = resolved.groups()
            return self._file("datasets" if is_dataset else "models", repo_id, revision, name, act)
        return self._json([]) if path == "/api/datasets" else self._answer(404, b"{}")

    def _token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ").strip() or None

    def _whoami(self) -> None:
        token = self._token()
        if token is None:
            return self._refuse(401, "", "Invalid username or password.")
        return self._json({"type": "user", "name": "tester", "auth": {"accessToken": self.hub.auth[token]}})

    def _may_read(self, repo_id: str) -> bool:
        return repo_id in self.hub.tokens.get(self._token() or "", set())

    def _repository(self, kind: str, repo_id: str) -> Repository | None:
        if repo_id in self.hub.renamed:
            self._answer(307, b"", {"Location": self.path.replace(repo_id, self.hub.renamed[repo_id])})
            return None
        repository = self.hub.repositories.get((kind, repo_id))
        if repository is None or (repository.private and not self._may_read(repo_id)):
            self._refuse(404 if self._token() else 401, "RepoNotFound", "Repository not found")
            return None
        return repository

    def _gate(self, repository: Repository, repo_id: str) -> bool:
        if (repository.gated or repository.refuse) and not self._may_read(repo_id):
            asked = repository.refuse or (403, "GatedRepo", f"Access to dataset {repo_id} is restricted.")
            self._refuse(*asked if self._token() else (401, "GatedRepo", "Access is restricted. Please log in."))
            return False
        return True

    def _commit(self, repository: Repository, revision: str | None) -> str | None:
        sha = repository.main if revision in (None, "main") else revision
        if sha in repository.commits:
            return sha
        self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return None

    def _api(
        self, kind: str, repo_id: str, verb: str | None, revision: str | None, query: dict[str, list[str]], act: Any
    ) -> None:
        repository = self._repository(kind, repo_id)
        if repository is None:
            return None
        if verb == "auth-check":
            return self._answer(200, b"{}") if self._gate(repository, repo_id) else None
        if verb == "xet-read-token":
            return self._answer(404, b"{}")
        sha = self._commit(repository, revision)
        if sha is None:
            return None
        files = repository.commits[sha]
        if verb == "tree":
            return self._tree(files, int(query.get("cursor", ["0"])[0]), act)
        with_blobs = query.get("blobs", [""])[0].lower() == "true"
        siblings = [
            {"rfilename": name, **(_entry(item, "blobId") if with_blobs else {})}
            for name, item in sorted(files.items())
        ]
        card = files["README.md"].content if "README.md" in files else b""
        licence = re.search(rb"^license: (.+)$", card, re.MULTILINE)
        info = {
            "_id": sha[:24],
            "id": repo_id,
            "sha": sha,
            "private": repository.private,
            "gated": "auto" if repository.gated else False,
            "disabled": False,
            "tags": [f"license:{licence.group(1).decode().strip()}"] if licence else [],
            "siblings": siblings,
        }
        named = {"_id", "id", *query["expand"]} if "expand" in query else set(info)
        return self._json({name: value for name, value in info.items() if name in named})

    def _tree(self, files: Mapping[str, Item], start: int, act: Any) -> None:
        folders = sorted({str(parent) for name in files for parent in Path(name).parents if str(parent) != "."})
        entries: list[dict[str, Any]] = [{"type": "directory", "path": path, "size": 0, "oid": "0"} for path in folders]
        for name, item in sorted(files.items()):
            xet = {"xetHash": _xet_hash(item)} if self.hub.xet and item.sha256 else {}
            entries.append({"type": "file", "path": name, **_entry(item, "oid"), **xet})
        end = start + self.hub.page_size
        if act in ("again", "around"):
            end, start = end if act == "again" else 0, 0
        # Where the request came to, which may be the second port.
        more = f"http://{self.headers['Host']}{urlsplit(self.path).path}?recursive=true&cursor={end}"
        page = entries[start : start + self.hub.page_size]
        self._json(page, {"Link": f'<{more}>; rel="next"'} if end < len(entries) or act in ("again", "around") else {})

    def _file(self, kind: str, repo_id: str, revision: str, name: str, act: Any) -> None:
        repository = self._repository(kind, repo_id)
        if repository is None or not self._gate(repository, repo_id):
            return None
        sha = self._commit(repository, revision)
        if sha is None:
            return None
        item = repository.commits[sha].get(name)
        if item is None:
            return self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": sha})
        if self.hub.cdn and item.sha256:
            place = f"{self.hub.cdn_url}/cdn/{quote(f'{kind}/{repo_id}/{sha}/{name}')}"
            headers = self._headers_of(item, sha, act) | {"Location": place}
            return self._answer(302, b"", headers)
        return self._content(kind, repo_id, sha, name, act)

    def _headers_of(self, item: Item, sha: str, act: Any) -> dict[str, str]:
        etag = f'"{item.sha256 or item.oid}"' if act != "etag" else f'"{"0" * 64}"'
        headers = {"X-Repo-Commit": "f" * 40 if act == "commit" else sha, "ETag": etag, "Accept-Ranges": "bytes"}
        if item.sha256:
            headers |= {"X-Linked-Etag": etag, "X-Linked-Size": str(item.size)}
            if self.hub.xet:
                kind, owner, name = ("datasets", *self.path.split("/")[2:4])
                token = f"{self.hub.url}/api/{kind}/{owner}/{name}/xet-read-token/{sha}"
                headers |= {"X-Xet-Hash": _xet_hash(item), "Link": f'<{token}>; rel="xet-auth"'}
        return {} if act == "bare" else headers

    def _content(self, kind: str, repo_id: str, sha: str, name: str, act: Any) -> None:
        item = self.hub.repositories[kind, repo_id].commits[sha][name]
        headers = self._headers_of(item, sha, act)
        if act == "html":
            return self._answer(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
        if isinstance(item.data, Path) and act is None and not self.headers.get("Range"):
            return self._answer(200, item.data, headers)
        data = item.content
        if act == "corrupt" and data:
            data = data[:-1] + bytes([data[-1] ^ 0x55])
        if act == "short":
            data = data[: len(data) // 2]
        if act == "long":
            data = data * 2
        status = 200
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.command == "GET" and act != "norange":
            first, last = int(wanted.group(1)), int(wanted.group(2) or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            status, data = 206, data[first : last + 1]
        if act in ("reset", "hangup", "stall", "trickle"):
            return self._broken_off(status, headers, data, act)
        return self._answer(status, data, headers)

    def _broken_off(self, status: int, headers: Mapping[str, str], data: bytes, act: str) -> None:
        """Send half of a body, and then what the fault says."""
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        if act == "stall":
            self.hub.closing.wait(60)
        if act == "trickle":
            for at in range(len(data) // 2, len(data)):
                self.wfile.write(data[at : at + 1])
                if self.hub.closing.wait(0.05):
                    break
        self._cut(reset=act == "reset")

    def _cut(self, reset: bool) -> None:
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        self.close_connection = True

    def _refuse(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps({"error": message}).encode()
        codes = {"X-Error-Code": code} if code else {}
        self._answer(status, body, {**codes, "X-Error-Message": message, **(headers or {})})

    def _json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _answer(self, status: int, body: bytes | Path, headers: Mapping[str, str] | None = None) -> None:
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        self.send_response(status)
        for key, value in {"Content-Length": str(size), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(body, bytes):
            self.wfile.write(body)
            return
        self.wfile.flush()
        with body.open("rb") as file:
            self.connection.sendfile(file)


def _entry(item: Item, blob: str) -> dict[str, Any]:
    """Describe a file as the Hub's API does; of a large one, `blob` is the id of its Git LFS pointer."""
    if item.sha256 is None:
        return {"size": item.size, blob: item.oid}
    lfs = {"oid": item.sha256, "sha256": item.sha256, "size": item.size, "pointerSize": 130}
    return {"size": item.size, blob: item.oid, "lfs": lfs}


def _xet_hash(item: Item) -> str:
    return hashlib.sha256(f"xet {item.sha256}".encode()).hexdigest()
