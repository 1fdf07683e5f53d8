"""The inside of a candidate's process: loads versions, then answers one call after the other until the gateway is gone.

Started by `spawned.Spawned` as `python -m data_foundry.serving.candidate.worker`. What comes from the gateway is
pickled; what goes there is JSON, so that nothing that a model does can run there.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import queue
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.serving.candidate.frames import Frames, frame
from data_foundry.serving.candidate.loading import Loaded
from data_foundry.serving.candidate.proc import OwnWaiting, data_bytes

PR_SET_PDEATHSIG = 1
RECEIVE_BYTES = 2**20
SCARCE_SHARE = 1 / 2
"""Memory is scarce where the calls have taken so much of all that the process may have: errors may come of that."""


def main(arguments: list[str]) -> None:
    """Serve the gateway: arguments are the socket's number, the gateway's process, 1 for idle priority, and MiB."""
    handle, parent, idle, memory_mib = (int(argument) for argument in arguments)
    _stand_back(parent, bool(idle), memory_mib)
    connection = socket.socket(fileno=handle)
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, arrived), daemon=True).start()

    def tell(**message: Any) -> None:
        connection.sendall(frame(json.dumps(message).encode()))

    loaded = _loaded(pickle.loads(arrived.get()), tell)
    waiting, memory = OwnWaiting(), _Memory(memory_mib)
    while True:
        call = arrived.get()
        tell(begun=True)
        version, row = pickle.loads(call)
        try:
            answer = _answer(loaded, version, row, waiting)
        except BaseException as error:
            # Whatever a candidate does, SystemExit too, is an answer that it did not give. The message of the error
            # stays here: it may quote the caller.
            answer = {"error": type(error).__name__, "where": _where(error), "scarce": memory.scarce}
        try:
            tell(**answer)
        except (TypeError, ValueError):
            tell(error="InvalidAnswer", where="")


def _stand_back(parent: int, idle: bool, memory_mib: int) -> None:
    """End with the gateway, give way to it, be the first to go when memory runs out, and leave no core behind.

    What a machine does not allow is left: the gateway watches the process besides.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        if not Path("/dev/nvidiactl").exists():
            # A backstop for one great allocation between two looks of the gateway; a checkpoint may be mapped besides.
            # What a graphics card's driver maps says nothing of what it takes.
            _limit(resource.RLIMIT_DATA, 2 * memory_mib * 2**20)
    if os.getppid() != parent:
        os._exit(0)  # The gateway was gone before it could be watched.
    _limit(resource.RLIMIT_CORE, 0)
    if idle:
        with suppress(OSError):
            os.nice(19)
            if hasattr(os, "SCHED_IDLE"):
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class _Memory:
    """What the process has taken since its versions were loaded, which is when this is made."""

    def __init__(self, memory_mib: int) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
        self._most = 2 * memory_mib * 2**20 if limit == resource.RLIM_INFINITY else limit
        self._loaded = data_bytes()

    @property
    def scarce(self) -> bool:
        """Whether that is so much that who asks for more may be refused it; False where nobody tells."""
        now = data_bytes()
        return now is not None and self._loaded is not None and now - self._loaded > SCARCE_SHARE * self._most


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _receive(connection: socket.socket, arrived: queue.SimpleQueue[bytes]) -> None:
    """Take in what the gateway sends at once, so that it never waits; end with it, whatever the model does now."""
    frames = Frames()
    while some := connection.recv(RECEIVE_BYTES):
        frames.feed(some)
        while (message := frames.message()) is not None:
            arrived.put(message)
    os._exit(0)


def _loaded(loading: Any, tell: Any) -> Loaded:
    started = time.perf_counter()
    try:
        loaded: Loaded = loading.load(lambda version: tell(loading=version))
    except BaseException as error:
        # No caller has said anything yet, so the reason may be told in full.
        reason = error.message if isinstance(error, FoundryError) else f"{type(error).__name__}: {error}"
        tell(failed=reason[:500])
        raise SystemExit(1) from None
    tell(ready=loaded.task, labels=dict(loaded.labels), seconds=time.perf_counter() - started)
    return loaded


def _answer(loaded: Loaded, version: str, row: Any, waiting: OwnWaiting) -> dict[str, Any]:
    started, waited = time.perf_counter(), waiting.seconds()
    prediction = loaded.answers[version](row)
    elapsed = time.perf_counter() - started - (waiting.seconds() - waited)
    return {
        "output": prediction.output,
        "confidence": prediction.confidence,
        "classes": dict(prediction.classes),
        "milliseconds": max(elapsed, 0.0) * 1000,
    }


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


if __name__ == "__main__":
    main(sys.argv[1:])
