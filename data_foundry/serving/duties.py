"""Duties: what a gateway does again and again, each in a thread of its own, so that none waits for another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("data_foundry")


class Duties:
    """Threads that each do one thing every so many seconds until they are stopped, whatever goes wrong with it."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._stopping = seconds, threading.Event()
        self._threads: list[threading.Thread] = []
        self._due: dict[str, threading.Event] = {}

    def start(self, **duties: Callable[[], None]) -> None:
        """Do these duties from now on, in threads that are called gateway-<name>."""
        for name, duty in duties.items():
            due = self._due[name] = threading.Event()
            thread = threading.Thread(target=self._repeat, args=(duty, due), name=f"gateway-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def ended(self) -> list[str]:
        """Return the names of the threads that ended and should not have."""
        return [] if self._stopping.is_set() else [each.name for each in self._threads if not each.is_alive()]

    def wake(self, name: str) -> None:
        """Let a duty be done as soon as it can, if it was begun with."""
        if (due := self._due.get(name)) is not None:
            due.set()

    def stop(self, seconds: float) -> None:
        """End every thread, and wait until what they are at is done, for at most so many seconds in all.

        One that is at it for longer ends when it is done with it, or with the process.
        """
        until = time.monotonic() + seconds
        self._stopping.set()
        for due in self._due.values():
            due.set()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _repeat(self, duty: Callable[[], None], due: threading.Event) -> None:
        while True:
            due.clear()
            if self._stopping.is_set():
                return
            try:
                duty()
            except Exception as error:
                # Its words may be a caller's.
                log.error("%s failed: %s", threading.current_thread().name, type(error).__name__)
            due.wait(self._seconds)
