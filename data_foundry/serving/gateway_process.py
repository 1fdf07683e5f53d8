"""A gateway in a process of its own, for who needs one for a while: phase 4, which replays calls, and benchmarks.

It listens on a free port of the loopback interface and ends with the process that started it, however that ends. What
it needs, an API key made for it among it, goes through a pipe, never through its arguments or environment.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.errors import FoundryError
from data_foundry.serving.trials.trial import Source

if TYPE_CHECKING:
    import httpx

    from data_foundry.serving.service import Service

log = logging.getLogger("data_foundry")

MODULE = "data_foundry.serving.gateway_process"
STARTUP_SECONDS = 600.0
"""How long a gateway may take to load what it serves."""
STATE_SECONDS = 60.0
"""How long it may take to tell its state."""
END_SECONDS = 20.0
LINES = 5
_SET_PARENT_DEATH_SIGNAL = 1


@dataclass(frozen=True)
class GatewayProcess:
    """A gateway that answers: `client` calls it with its key; `process` is it."""

    client: httpx.Client
    process: subprocess.Popen[str]
    address: str
    key: str
    log_file: Path

    def state(self) -> dict[str, Any]:
        """Return the state of its gateway, asked through the pipe. Raises FoundryError where it is gone, or hangs."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write("state\n")
            self.process.stdin.flush()
            try:
                if (state := _said(self.process, STATE_SECONDS)) is not None:
                    return state
            except TimeoutError:
                text = f"The gateway did not tell its state in {STATE_SECONDS:g} s."
                raise FoundryError(text, f"Its log says more: {self.log_file}") from None
        raise FoundryError("The gateway ended while it was needed.", f"Its log says more: {self.log_file}")


@contextmanager
def gateway_process(
    settings: Settings,
    log_file: Path,
    *,
    source: Source = "live",
    only: Sequence[str] = (),
    store: Path | None = None,
    module: str = MODULE,
    startup_seconds: float = STARTUP_SECONDS,
) -> Iterator[GatewayProcess]:
    """Start a gateway, yield it once it is ready, and end it.

    `only` names adapters, none means all; `store` is the file of its trial store where it is not the usual one. What it
    logs is appended to `log_file`. Raises FoundryError when it does not start.
    """
    import httpx

    key = secrets.token_urlsafe(32)
    order = {
        "settings": settings.model_dump_json(),
        "source": source,
        "only": list(only),
        "store": str(store) if store else None,
        "key": key,
        "parent": os.getpid(),
    }
    log_file.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": _import_path(), "OMP_NUM_THREADS": str(settings.serving.threads)}
    with log_file.open("a", encoding="utf-8") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=lines,
            env=environment,
            text=True,
            encoding="utf-8",
        )
    try:
        assert process.stdin is not None
        until = time.monotonic() + startup_seconds
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        try:
            said = _said(process, startup_seconds)
        except TimeoutError:
            raise _not_started(process, log_file, f"it did not listen after {startup_seconds:g} s") from None
        if said is None:
            raise _not_started(process, log_file, "it ended")
        address = f"http://127.0.0.1:{said['port']}"
        timeout = settings.serving.request_timeout_seconds + 30
        headers = {"Authorization": f"Bearer {key}"}
        # What the environment says of proxies is not meant for a neighbour.
        with httpx.Client(base_url=address, headers=headers, timeout=timeout, trust_env=False) as client:
            _wait_until_ready(client, process, log_file, until)
            yield GatewayProcess(client, process, address, key, log_file)
    finally:
        _end(process)


def main() -> int:
    """Serve what standard input orders until it is closed."""
    answers = own_answers()
    order = json.loads(sys.stdin.readline())
    end_with(order["parent"])
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )

    from data_foundry.lake import Lake
    from data_foundry.serving.http.api_keys import OneKey
    from data_foundry.serving.http.server import listening_socket, serve
    from data_foundry.serving.service import Service
    from data_foundry.serving.trials.store import TrialStore

    settings = Settings.model_validate_json(order["settings"])
    store = TrialStore(Lake(settings), Path(order["store"])) if order["store"] else None
    service = Service(settings, source=order["source"], only=tuple(order["only"]), store=store)
    listening = listening_socket("127.0.0.1", 0)
    print(json.dumps({"port": listening.getsockname()[1]}), file=answers, flush=True)
    threading.Thread(target=_obey, args=(sys.stdin, answers, service), daemon=True).start()
    try:
        serve(service, OneKey(order["key"], name=order["source"]), listening)
    except FoundryError as error:
        log.error("%s", error)
        return 1
    return 0


def own_answers() -> IO[str]:
    """Return what leads to who started this process, and let whatever else is printed here go into the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def _obey(orders: IO[str], answers: IO[str], service: Service) -> None:
    """Tell the gateway's state at every line, and end it at the end."""
    for _ in orders:
        print(json.dumps(service.gateway.state()), file=answers, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def end_with(parent: int) -> None:
    """Let the kernel end this process when the one that started it is gone, and leave Ctrl-C to that one."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _import_path() -> str:
    return os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")]))


def _said(process: subprocess.Popen[str], seconds: float) -> dict[str, Any] | None:
    """Return the next line that a gateway says, None where it ended. Raises TimeoutError."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise TimeoutError
    line = process.stdout.readline()
    said: dict[str, Any] | None = json.loads(line) if line else None
    return said


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[str], log_file: Path, until: float) -> None:
    import httpx

    begun = time.monotonic()
    said = "it did not answer"
    while time.monotonic() < until:
        if process.poll() is not None:
            raise _not_started(process, log_file, f"it ended with {process.returncode}")
        with suppress(httpx.TransportError):
            answer = client.get("/ready")
            if answer.status_code == httpx.codes.OK:
                return
            said = f"/ready said {answer.status_code}: {answer.text[:500]}"
        time.sleep(0.1)
    waited = time.monotonic() - begun
    raise _not_started(process, log_file, f"it listened, and was not ready {waited:.0f} s later ({said})")


def _not_started(process: subprocess.Popen[str], log_file: Path, what: str) -> FoundryError:
    lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LINES:]
    said = f" Its log ends: {' | '.join(lines)}" if lines else ""
    return FoundryError(f"The gateway did not start: {what}.{said}", f"All of its log: {log_file}")


def _end(process: subprocess.Popen[str]) -> None:
    """Close its orders, which ends it in good order, and kill it if it stays."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except BaseException as error:
        process.kill()
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
    finally:
        process.stdout.close()


if __name__ == "__main__":
    sys.exit(main())
