"""One spawned process, its socket and what the kernel says of it, as the gateway's thread sees them; never blocks.

The process is a child that ends with the gateway: the kernel kills it when the thread that started it is gone, and it
ends by itself when the socket closes. (So the thread that starts one must live as long as it should.)
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from data_foundry.config import PROJECT_ROOT
from data_foundry.serving.candidate.frames import MAX_ANSWER, Frames, TooLong, frame
from data_foundry.serving.candidate.proc import held_mib, schedule, used
from data_foundry.serving.candidate.said import OUT_OF_MEMORY

WORKER = "data_foundry.serving.candidate.worker"
RECEIVE_BYTES = 2**20
EXIT_SECONDS = 1.0
REAP_SECONDS = 10.0


class Ended(Exception):
    """The process is of no more use. `kind` says why: "died", "timed_out", "out_of_memory", ..., `detail` more."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


class Spawned:
    """A candidate's process. Raises OSError when none can be started."""

    def __init__(self, *, idle: bool, threads: int, memory_mib: int) -> None:
        self._memory_mib = memory_mib
        self._socket, theirs = socket.socketpair()
        arguments = [theirs.fileno(), os.getpid(), int(idle), memory_mib]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    # -P: what lies in the folder where the gateway was started is none of its modules.
                    [sys.executable, "-P", "-m", WORKER, *map(str, arguments)],
                    env=_environment(threads),
                    stdin=subprocess.DEVNULL,
                    # What a library prints of a call must reach no log.
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Of the same session, in which nice counts, but out of reach of a Ctrl-C at the terminal.
                    process_group=0,
                )
            except OSError:
                self._socket.close()
                raise
        self._socket.setblocking(False)
        self._unsent = memoryview(b"")
        self._frames = Frames(MAX_ANSWER)
        self._looked, self._schedule = time.monotonic(), schedule(self.pid)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def held_mib(self) -> float | None:
        """MiB that it holds now; None where nobody tells."""
        return held_mib(self.pid)

    def send(self, message: Any) -> None:
        """Begin to send a message; it goes out while `receive` waits."""
        self._unsent = memoryview(bytes(self._unsent) + frame(pickle.dumps(message)))

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message, or None when there was none for so long.

        Raises Ended when the process is gone, holds more memory than it may, or sends what is no message.
        """
        until = time.monotonic() + seconds
        left = seconds
        while (message := self._message()) is None and left >= 0:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            for _, happened in poll.poll(left * 1000):
                self._move_bytes(happened)
            left = until - time.monotonic()
        if (held := self.held_mib) is not None and held > self._memory_mib:
            raise Ended(OUT_OF_MEMORY, f"it held {held:.0f} MiB of {self._memory_mib}")
        return message

    def own_seconds(self) -> float:
        """Return how many seconds since the last look were the process's own, not those of others on its processor."""
        now, seen = time.monotonic(), schedule(self.pid)
        elapsed, before = now - self._looked, self._schedule
        self._looked, self._schedule = now, seen
        return used(before, seen, elapsed)

    def end(self) -> None:
        """Kill the process and what it started, and wait for it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._socket.close()
        # One that the kernel can't end at once (a disk that hangs) is left to it.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_SECONDS)

    def _move_bytes(self, happened: int) -> None:
        try:
            if happened & select.POLLOUT:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if happened & (select.POLLIN | select.POLLHUP | select.POLLERR):
                some = self._socket.recv(RECEIVE_BYTES)
                if not some:
                    raise self._died()
                self._frames.feed(some)
        except BlockingIOError:
            return
        except OSError:
            raise self._died() from None

    def _message(self) -> dict[str, Any] | None:
        try:
            received = self._frames.message()
            message = None if received is None else json.loads(received)
        except (TooLong, ValueError, RecursionError):
            raise Ended("InvalidAnswer", "it sent what is no message") from None
        if message is not None and not isinstance(message, dict):
            raise Ended("InvalidAnswer", "it sent what is no message")
        return message

    def _died(self) -> Ended:
        """Say how it ended; it is not waited for yet, so that its number stays its own until it is killed."""
        until = time.monotonic() + EXIT_SECONDS
        while (exit := os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is None:
            if time.monotonic() > until:
                return Ended("died", "it closed its connection")
            time.sleep(0.01)
        signalled = exit.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
        return Ended("died", signal.Signals(exit.si_status).name if signalled else f"exit code {exit.si_status}")


def _environment(threads: int) -> dict[str, str]:
    """Return the gateway's environment, with this very package first and its arithmetic in few threads."""
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **count, "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": path}
