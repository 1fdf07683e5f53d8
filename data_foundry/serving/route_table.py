"""The route table: who answers for each adapter, kept as the registry has it while callers go on being answered.

Who waits for what, so that one model that hangs or is slow to load holds up its own callers alone:

- a caller reads the table and waits for nobody;
- who looks at the registry (`look`), judges or keeps time waits for the disk, and for another one who places a version,
  never for a model: what is not in memory goes on a list, and is placed by a later look;
- a host's own thread alone uses its model, to predict and to lay a version over it or take it away;
- one thread opens bases (`open_bases`), and it alone waits for a model, a quarter of a second at a time. Nobody waits
  for it but who says so (`wait`), and who waits is let go when the table is closed.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from data_foundry.engines.adapters import spec_of
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry
from data_foundry.serving.calls import NotServed, Overloaded, Starting, Unavailable
from data_foundry.serving.hosts import NotOpen
from data_foundry.serving.placement import Placement
from data_foundry.serving.routing import Route, Wish
from data_foundry.serving.trials.trial import BASE

log = logging.getLogger("data_foundry")

NOT_STARTED = "the gateway has not started"
RETRY_SECONDS = 60.0
"""How long after a version could not be loaded it is tried again."""


class RouteTable:
    """One table says who answers for each adapter. It is never changed: another one takes its place.

    `wishes` returns what the registry says; `lacking` is called when `open_bases` has something to do. Safe to use from
    many threads.
    """

    def __init__(
        self,
        registry: Registry,
        placement: Placement,
        wishes: Callable[[], Mapping[str, Wish]],
        lacking: Callable[[], None],
    ) -> None:
        self._registry, self._placement, self._wishes, self._tell_lacking = registry, placement, wishes, lacking
        # Who answers, and what is to be opened: in one, so that who reads both without a lock finds what goes together.
        self._now: tuple[Mapping[str, Route], Mapping[str, NotOpen]] = (MappingProxyType({}), {})
        # Held to look and to swap, never while a base is opened or a model works.
        self._settled = threading.Condition()
        self._closed = False
        self._stopping = threading.Event()
        self._wished: Mapping[str, Wish] = {}
        self._head: str | None = None
        self._look_again = 0.0
        self._fault: str | None = NOT_STARTED

    @property
    def routes(self) -> Mapping[str, Route]:
        """Who answers for each adapter; the mapping never changes."""
        return self._now[0]

    def route(self, adapter: str) -> Route:
        """Return who answers for an adapter now. Raises NotServed, Unavailable and Starting."""
        routes, to_open = self._now
        route, fault = routes.get(adapter), self._fault
        if route is not None and route.answering is not None:
            return route
        if adapter in to_open:
            raise Starting(f"The model of {adapter} is being loaded.", "Come again in a few seconds.")
        if route is None and fault == NOT_STARTED:
            raise Starting(f"{adapter} is not served: {NOT_STARTED}.", "Come again in a few seconds.")
        if route is not None:
            why, lacks = route.why, route.lacks
        else:
            why, lacks = f"{fault or 'no such adapter; served are ' + (', '.join(routes) or 'none')}.", bool(fault)
        error = Unavailable if lacks else NotServed
        raise error(f"{adapter} is not served: {why}", "GET /v1/models names what is.")

    def missing(self) -> list[str]:
        """Return what is missing of what the registry says should be served; empty where nothing is."""
        faults = [self._fault] if self._fault else []
        routes, to_open = self._now
        faults += [f"{name}: {e.weights.version} is being loaded" for name, e in to_open.items() if name not in routes]
        for name, route in routes.items():
            if route.error:
                faults.append(f"{name}: {route.error}")
            elif route.host is not None and not route.host.takes_calls:
                faults.append(f"{name}: {being_loaded_again(name).message}")
        return faults

    def look(self) -> None:
        """Look at the registry, and serve what it says where that is other than what is served; opens no base.

        Adapters are swapped one by one: at once where their version is in memory, the others as theirs come there. What
        can't be loaded leaves in place what answers, and is told by `missing`.
        """
        with self._settled:
            if self._stopping.is_set():
                return
            changed = self._placement.hosts.changed
            try:
                head = self._registry.head()
                if self._head and not head:
                    # A history only grows: one that is gone was moved away, or its disk was.
                    raise FoundryError("its history is gone", "Put registry.sqlite back from a backup.")
                again = head != self._head or time.monotonic() >= self._look_again
                if not again and not changed.is_set():
                    self._fault = None
                    return
                wished = self._wishes()
            except Exception as error:
                # The registry is another program's file, too: what is served goes on being served.
                self._fault = f"the registry can't be read: {_said(error)}"
                log.error("%s", self._fault)
                return
            changed.clear()
            self._wished = wished
            for name in wished:
                if self._stopping.is_set():
                    return
                # What came into memory, or left it, by itself is no reason to try anew what could not be loaded.
                if again or name in self._now[1] or not self._stands(name):
                    self._place(name)
            self._head, self._fault = head, None
            self._settle()
            lacking = bool(self._now[1])
        if lacking:
            self._tell_lacking()

    def open_bases(self) -> None:
        """Bring into memory what a look did not find there, one after the other; for one thread.

        Bases first, of them those in whose place a version answers that may not any more.
        """
        while (lacking := self._next_to_open()) is not None:
            if self._placement.hosts.open(lacking.weights):
                with self._settled:
                    if self._stopping.is_set():
                        return
                    self._place(lacking.weights.adapter)
                    self._settle()

    def wait(self) -> None:
        """Wait until everything is in memory that can be brought there, or the table is closed."""
        with self._settled:
            self._settled.wait_for(lambda: self._closed or not self._now[1])

    def stop(self) -> None:
        """Place and open nothing more, also in a look that is on its way; never waits."""
        self._stopping.set()

    def close(self, drain_seconds: float) -> None:
        """Take no more calls, answer those that came, for at most so many seconds, and end all hosts and processes."""
        self.stop()
        with self._settled:
            self._closed = True
            (routes, _), self._now = self._now, (MappingProxyType({}), {})
            self._fault = "the gateway stops"
            self._settled.notify_all()
        self._placement.close(routes, drain_seconds)

    def _next_to_open(self) -> NotOpen | None:
        with self._settled:
            to_open = {} if self._stopping.is_set() else self._now[1]
            waiting = sorted(to_open, key=lambda name: (to_open[name].beside, self._answers_rightly(name)))
            return to_open[waiting[0]] if waiting else None

    def _answers_rightly(self, adapter: str) -> bool:
        route = self.routes.get(adapter)
        allowed = [BASE, *(version.version for version in self._wished[adapter].answering)]
        return route is None or route.answering is None or route.incumbent in allowed

    def _place(self, adapter: str) -> None:
        """Let those answer for an adapter who should, if they are in memory; else note what is to be opened."""
        wish, (old, to_open) = self._wished.get(adapter), self._now
        if wish is None:
            return
        missing: NotOpen | None
        try:
            route, missing = self._placement.route(wish, old.get(adapter))
        except Exception as error:
            # What answers goes on, and so does the placing of the others.
            fault, known = f"it can't be placed: {_said(error)}", old.get(adapter)
            log.error("%s: %s", adapter, fault)
            route = replace(known, error=fault) if known else _unplaced(wish, fault)
            missing = None
        if route is not None and (was := old.get(adapter)) is not None and route.incumbent != was.incumbent:
            log.info("%s: %s takes over from %s", adapter, _who(route), _who(was))
        found = {**old, adapter: route} if route is not None else old
        lacking = {**to_open, adapter: missing}
        new = MappingProxyType({name: found[name] for name in self._wished if name in found})
        self._now = new, {name: each for name in self._wished if (each := lacking.get(name)) is not None}
        wrong = any(route.error for route in new.values())
        self._look_again = time.monotonic() + RETRY_SECONDS if wrong else math.inf
        self._placement.let_go(old, new)

    def _stands(self, adapter: str) -> bool:
        """Return whether what was placed for an adapter is as it was then."""
        route = self.routes.get(adapter)
        return route is not None and (route.host is None or route.host.takes_calls)

    def _settle(self) -> None:
        """Where nothing is left to open, let go of what was opened and nobody took, and let who waits go on."""
        if not self._now[1]:
            self._placement.hosts.settle()
            self._placement.let_go({}, self.routes)
            self._settled.notify_all()


def being_loaded_again(adapter: str) -> Overloaded:
    """Return what callers are told whose model ended, or was given up."""
    return Overloaded(f"The model of {adapter} has ended and is loaded again.", "Come again in a few seconds.")


def _unplaced(wish: Wish, fault: str) -> Route:
    return Route(wish.adapter, spec_of(wish.adapter).task, wish, why=fault, error=fault)


def _who(route: Route) -> str:
    return "nobody" if route.answering is None else route.incumbent


def _said(error: Exception) -> str:
    return error.message if isinstance(error, FoundryError) else f"{type(error).__name__}: {error}"
