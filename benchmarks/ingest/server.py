"""A Hub on 127.0.0.1 that serves one dataset from a folder as fast as the kernel can send it; every request is counted.

python server.py FOLDER REPO_ID PORT_FILE. It prints nothing; GET /count answers {"requests": n, "files": n}.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = 100_000
SHA = "c0ffee" + "0" * 34


def listing(folder: Path) -> dict[str, tuple[Path, int, str, str | None]]:
    """Return {path: (file, bytes, git blob sha1, sha256 for large files)}; hashes are kept beside the folder."""
    cache = folder.with_suffix(".hashes.json")
    known = json.loads(cache.read_text()) if cache.exists() else {}
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, size = file.relative_to(folder).as_posix(), file.stat().st_size
        if name not in known or known[name][0] != size:
            blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
            sha256 = hashlib.sha256()
            with file.open("rb") as handle:
                while block := handle.read(1 << 20):
                    blob.update(block)
                    sha256.update(block)
            known[name] = [size, blob.hexdigest(), sha256.hexdigest() if size >= LARGE else None]
        found[name] = (file, size, known[name][1], known[name][2])
    cache.write_text(json.dumps(known))
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    files: dict[str, tuple[Path, int, str, str | None]]
    repo_id: str
    requests = 0
    file_requests = 0

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/count":
            self.send({"requests": Handler.requests, "files": Handler.file_requests})
            return
        Handler.requests += 1
        api, files = f"/api/datasets/{self.repo_id}", f"/datasets/{self.repo_id}/resolve/"
        if path.startswith(f"{api}/tree/"):
            self.send([self.entry(name) for name in self.files])
        elif path == api or path.startswith(f"{api}/revision/"):
            siblings = [{"rfilename": name, **self.entry(name)} for name in self.files]
            self.send({"id": self.repo_id, "sha": SHA, "private": False, "gated": False, "siblings": siblings})
        elif path.startswith(files) and (name := path.removeprefix(files).partition("/")[2]) in self.files:
            Handler.file_requests += 1
            self.send_file(name, body)
        else:
            self.send({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": SHA})

    def entry(self, name: str) -> dict[str, object]:
        _, size, blob, sha256 = self.files[name]
        entry: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": blob, "blobId": blob}
        if sha256:
            entry["lfs"] = {"oid": sha256, "sha256": sha256, "size": size, "pointerSize": 134}
        return entry

    def send(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, name: str, body: bool) -> None:
        file, size, blob, sha256 = self.files[name]
        start, end = 0, size - 1
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            start, end = int(wanted[1]), int(wanted[2] or end)
        self.send_response(206 if wanted else 200)
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("ETag", f'"{sha256 or blob}"')
        self.send_header("X-Linked-Size", str(size))
        self.send_header("Content-Length", str(end + 1 - start))
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.end_headers()
        if not body:
            return
        self.wfile.flush()
        with file.open("rb") as handle:
            while start <= end:
                sent = os.sendfile(self.connection.fileno(), handle.fileno(), start, end + 1 - start)
                if not sent:
                    break
                start += sent

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    folder, repo_id, port_file = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    Handler.files, Handler.repo_id = listing(folder), repo_id
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    beside = port_file.with_suffix(".part")
    beside.write_text(str(server.server_address[1]))
    beside.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
