"""What stands in for a gateway in its process: it takes its order, answers /ready, and loads nothing.

Run as a program with a folder, it starts one and writes that one's process id there: for tests that kill it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from data_foundry.config import load_settings
from data_foundry.serving import gateway_process


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {ORDER['key']}"
        self.send_response(200 if known and self.path == "/ready" else 401)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


ORDER: dict[str, Any] = {}


def main() -> int:
    answers = gateway_process.own_answers()
    ORDER.update(json.loads(sys.stdin.readline()))
    does = ORDER["only"][0]
    if does == "fail":
        print("FoundryError: the base is gone", file=sys.stderr)
        return 1
    print("a library greets")
    os.system("echo a program greets")
    gateway_process.end_with(ORDER["parent"])
    server = HTTPServer(("127.0.0.1", 0), Handler)
    if does == "never listen":
        time.sleep(1000)
    print(json.dumps({"port": server.server_port}), file=answers, flush=True)
    if does == "fail late":
        print("FoundryError: no memory", file=sys.stderr)
        return 1
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for _ in sys.stdin:
        print("a library goes on")
        if does == "never tell":
            time.sleep(1000)
        told = {"key_in_arguments": ORDER["key"] in Path("/proc/self/cmdline").read_text()}
        print(json.dumps(told), file=answers, flush=True)
    if does == "stay":
        time.sleep(1000)
    return 0


def parent(folder: Path) -> None:
    settings = load_settings(flags={"base_path": str(folder)}, environ={})
    with gateway_process.gateway_process(settings, folder / "log", only=["serve"], module="light_gateway") as gateway:
        (folder / "ready").write_text(str(gateway.process.pid))
        time.sleep(1000)


if __name__ == "__main__":
    sys.exit(parent(Path(sys.argv[1])) if len(sys.argv) > 1 else main())
