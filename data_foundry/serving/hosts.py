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


LAYING_SECONDS = 0.25
"""How long who opens bases waits for a host to lay a version over its own, before looking what else is to be opened."""


class NotOpen(FoundryError):
    """These weights are not in memory yet: `Hosts.open` opens their base, which takes its time.

    `beside`: the base is in memory, and its host's thread lays them over it as soon as its model is free.
    """

    def __init__(self, weights: Weights, *, beside: bool = False) -> None:
        lacking = "it" if beside else f"its base {weights.config.base}"
        super().__init__(f"{lacking} is being loaded", "Come again in a few seconds.")
        self.weights, self.beside = weights, beside


class Hosts:
    """The bases in memory, one host each; safe to use from many threads, of which one opens bases.

    That one alone waits for a model. `changed` is set when what is in memory became other than it was, by itself: a
    version was laid over its base, or a model was given up.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._hosts: dict[tuple[Any, ...], Host] = {}
        self._retiring: list[Host] = []
        self._hung: list[Host] = []
        self._failed: dict[tuple[Any, ...], Exception] = {}
        self._fresh: set[Host] = set()
        self._closed = False
        self.changed = threading.Event()

    def resident(self, weights: Weights) -> tuple[Resident, Host]:
        """Return a version in memory and who answers with it, beside others where they share a base; never waits.

        Raises NotOpen where it is not in memory, what was met where it should have come there, and FoundryError.
        """
        place = place_of(weights)
        with self._lock:
            host, failed = self._hosts.get(place), self._failed.get((*place, weights.name))
        if host is not None and host.takes_calls:
            if (resident := host.admit(weights)) is None:
                raise NotOpen(weights, beside=True)
            return resident, host
        raise failed or NotOpen(weights)

    def open(self, weights: Weights) -> bool:
        """Open the base of a version and keep it until `settle`; where it is in memory, wait a little for its host.

        Return whether `resident` may say other than before: it raises what goes wrong here, FoundryError for models
        that hang too, and what opening one raises.
        """
        place = place_of(weights)
        with self._lock:
            host = self._hosts.get(place)
            hung = sum(host.lives for host in self._hung)
        if host is not None and host.takes_calls:
            return host.await_laid(weights, LAYING_SECONDS)
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
                # A base is opened with its version on it: that one fails is no word of others on the same base.
                self._failed[(*place, weights.name)] = error
            return True
        with self._lock:
            if self._closed:
                return False
            if host is not None and host.lives:
                self._retiring.append(host)
            self._hosts[place] = opened = Host(
                resident, max_batch=serving.max_batch, max_waiting=serving.max_waiting_calls, laid=self.changed.set
            )
            self._fresh.add(opened)
        return True

    def settle(self) -> None:
        """Keep for nobody what nobody took, and let what could not be opened be tried again.

        To be called when nothing is left to open: sooner, what failed would be opened over and over again.
        """
        with self._lock:
            self._fresh.clear()
            self._failed.clear()
            hosts = [*self._hosts.values()]
        for host in hosts:
            host.settle()

    def retire_others(self, wanted: Collection[Resident]) -> None:
        """Let go of every version but these, each when its last call was answered."""
        with self._lock:
            for host in self._hosts.values():
                for resident in host.residents.difference(wanted) if host not in self._fresh else ():
                    host.retire(resident)
            self._retiring = [host for host in self._retiring if host.lives]
            self._retiring += [host for host in self._hosts.values() if host.lives and not host.takes_calls]
            self._hosts = {place: host for place, host in self._hosts.items() if host.takes_calls}

    def abandon_hung(self, seconds: float) -> list[str]:
        """Give up hosts that ended, and those at one batch for longer than so many seconds; return what they held.

        Those that have answered their last call go, too, and their memory with them.
        """
        with self._lock:
            hung = [host for host in self._hosts.values() if host.busy_seconds() > seconds or not host.takes_calls]
            names = [f"{r.weights.adapter}/{r.weights.version}" for host in hung for r in host.residents]
            hung += [host for host in self._retiring if host.busy_seconds() > seconds]
            self._hosts = {place: host for place, host in self._hosts.items() if host not in hung}
            self._retiring = [host for host in self._retiring if host.lives and host not in hung]
            self._hung = [host for host in (*self._hung, *hung) if host.lives]
            self._fresh.difference_update(hung)
        for host in hung:
            host.abandon()
        if names:
            self.changed.set()
        return names

    def worked_seconds(self) -> float:
        """Return for how long the models in memory have been at work so far, all together."""
        return sum(host.worked_seconds() for host in self)

    def close(self, seconds: float) -> None:
        """Answer what waits, for at most so many seconds in all, and end."""
        until = time.monotonic() + seconds
        with self._lock:
            hosts = [*self._hosts.values(), *self._retiring]
            self._hosts, self._retiring, self._closed = {}, [], True
            self._fresh.clear()
        for host in hosts:
            host.close(max(0.0, until - time.monotonic()))

    def __iter__(self) -> Iterator[Host]:
        with self._lock:
            return iter([*self._hosts.values()])
