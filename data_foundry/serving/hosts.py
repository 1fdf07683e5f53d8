"""The bases in memory: one host each, shared by the versions that can share a base."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.serving.host import Host
from data_foundry.serving.residents import Resident, open_base, place_of
from data_foundry.serving.weights import Weights

MOST_HUNG = 2
"""Models that may hang, each in a thread of its own and with its memory, before no other takes their place."""


class NotOpen(FoundryError):
    """No host has the base of these weights in memory: `Hosts.open` opens it, which takes its time."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(f"its base {weights.config.base} is being loaded", "Come again in a few seconds.")
        self.weights = weights


class Hosts:
    """The bases in memory, one host each; safe to use from many threads, of which one at a time opens bases."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._hosts: dict[tuple[Any, ...], Host] = {}
        self._retiring: list[Host] = []
        self._hung: list[Host] = []
        self._failed: dict[tuple[Any, ...], Exception] = {}
        self._fresh: Host | None = None

    def resident(self, weights: Weights) -> tuple[Resident, Host]:
        """Return a version in memory and who answers with it, beside others where they share a base.

        Raises NotOpen where its base is not in memory, what `open` met there last, and FoundryError.
        """
        place = place_of(weights)
        with self._lock:
            host, failed = self._hosts.get(place), self._failed.get(place)
        if host is not None and host.takes_calls:
            return host.admit(weights), host
        raise failed or NotOpen(weights)

    def open(self, weights: Weights) -> None:
        """Open the base of a version, unless it is in memory, and keep it until `settle`.

        What goes wrong is raised by `resident`: FoundryError, for models that hang too, and what opening one raises.
        """
        place = place_of(weights)
        with self._lock:
            host = self._hosts.get(place)
            self._hung = [host for host in self._hung if host.lives]
            hung = len(self._hung)
        if host is not None and host.takes_calls:
            return
        serving = self._settings.serving
        try:
            if hung >= MOST_HUNG:
                raise FoundryError(
                    f"{hung} models hang already and keep their memory, so no other is loaded.",
                    "Start the gateway anew, and look at what its log says of them.",
                )
            resident = Resident(weights, open_base(self._settings, weights))
        except Exception as error:
            with self._lock:
                self._failed[place] = error
            return
        host = Host(resident, max_batch=serving.max_batch, max_waiting=serving.max_waiting_calls)
        with self._lock:
            self._hosts[place] = self._fresh = host

    def settle(self) -> None:
        """Keep for nobody what was opened last, and try again what could not be opened."""
        with self._lock:
            self._fresh = None
            self._failed.clear()

    def retire_others(self, wanted: Collection[Resident]) -> None:
        """Let go of every version but these, each when its last call was answered."""
        with self._lock:
            for host in self._hosts.values():
                for resident in host.residents.difference(wanted) if host is not self._fresh else ():
                    host.retire(resident)
            self._retiring = [host for host in self._retiring if host.lives]
            self._retiring += [host for host in self._hosts.values() if host.lives and not host.takes_calls]
            self._hosts = {place: host for place, host in self._hosts.items() if host.takes_calls}

    def abandon_hung(self, seconds: float) -> list[str]:
        """Give up hosts that ended, and those at one batch for longer than so many seconds; return what they held."""
        with self._lock:
            hung = [host for host in self._hosts.values() if host.busy_seconds() > seconds or not host.takes_calls]
            names = [f"{r.weights.adapter}/{r.weights.version}" for host in hung for r in host.residents]
            hung += [host for host in self._retiring if host.busy_seconds() > seconds]
            self._hosts = {place: host for place, host in self._hosts.items() if host not in hung}
            self._retiring = [host for host in self._retiring if host not in hung]
            self._hung += hung
        for host in hung:
            host.abandon()
        return names

    def worked_seconds(self) -> float:
        """Return for how long the models in memory have been at work so far, all together."""
        return sum(host.worked_seconds() for host in self)

    def close(self, seconds: float) -> None:
        """Answer what waits, for at most so many seconds in all, and end."""
        until = time.monotonic() + seconds
        with self._lock:
            hosts = [*self._hosts.values(), *self._retiring]
            self._hosts, self._retiring = {}, []
        for host in hosts:
            host.close(max(0.0, until - time.monotonic()))

    def __iter__(self) -> Iterator[Host]:
        with self._lock:
            return iter([*self._hosts.values()])
