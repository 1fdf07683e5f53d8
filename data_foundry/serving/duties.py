"""Duties: what a gateway does again and again, each in a thread of its own, so that none waits for another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("data_foundry")


class Duties:
    """Threads that each do one thing every so many seconds until they are stopped, whatever goes wrong with it."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._stopping = seconds, threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, **duties: Callable[[], None]) -> None:
        """Begin with these duties, in threads that are called gateway-<name>."""
        for name, duty in duties.items():
            thread = threading.Thread(target=self._repeat, args=(duty,), name=f"gateway-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def ended(self) -> list[str]:
        """Return the names of the threads that ended and should not have."""
        return [] if self._stopping.is_set() else [each.name for each in self._threads if not each.is_alive()]

    def stop(self) -> None:
        """End every thread, and wait until what they are at is done."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, duty: Callable[[], None]) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                duty()
            except Exception as error:
                # Its words may be a caller's.
                log.error("%s failed: %s", threading.current_thread().name, type(error).__name__)
