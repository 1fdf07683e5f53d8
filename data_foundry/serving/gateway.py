"""The gateway: answers callers with what the registry has in production, and lets others hear of it.

One table says who answers for each adapter. It is never changed: another one takes its place when the registry has
changed, and a call ends with the version that the table named when it came. What no person approved never works in
this process: its answers come from a process of its own, and where they don't come the incumbent's do.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import MappingProxyType
from typing import Any

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake
from data_foundry.records import Rejected
from data_foundry.serving.calls import Answer, CallObserver, NotServed, Overloaded, Row, Starting
from data_foundry.serving.candidate.key import serving_key
from data_foundry.serving.candidate.selection import call_hash, is_chosen
from data_foundry.serving.dialect_routing import DialectRouting
from data_foundry.serving.duties import Duties
from data_foundry.serving.feedback import Recollection
from data_foundry.serving.host import Call, Gone, Host
from data_foundry.serving.placement import Placement
from data_foundry.serving.route_state import route_state
from data_foundry.serving.routing import Route, Wish, wishes
from data_foundry.serving.staged import StagedCall, StagedCalls
from data_foundry.serving.standard import Standard
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import BASE, Source
from data_foundry.serving.weights import Weights

log = logging.getLogger("data_foundry")

NOT_STARTED = "the gateway has not started"
RETRY_SECONDS = 60.0
"""How long after a version could not be loaded it is tried again."""
HUNG_TIMEOUTS = 3
"""A model that is at one batch for so many times as long as a call may take hangs."""
STAGING_SHARE_OF_TIMEOUT = 1 / 3
"""Of the time that a call may take, what a version in staging gets; the rest is the incumbent's."""


class Gateway:
    """Answers calls of all adapters, or of those in `only`, and mirrors a share of them to what is on trial.

    `source` "replay": the calls are not callers'; the same ones are mirrored in every run, and the registry is looked
    at once. `observers` are told of every call. Safe to use from many threads.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: Source = "live",
        only: Collection[str] = (),
        observers: Sequence[CallObserver] = (),
        store: TrialStore | None = None,
    ) -> None:
        self.settings, self.source, self.only = settings, source, frozenset(only)
        self._lake = Lake(settings)
        self.registry = Registry(self._lake)
        self.store = store or TrialStore(self._lake)
        self._observers = tuple(observers)
        self._standard = Standard(settings)
        self._staged = StagedCalls(settings.serving.request_timeout_seconds * STAGING_SHARE_OF_TIMEOUT)
        self._recollection = Recollection(settings.rollout.feedback_minutes, self.store.add_losses, self._call_name)
        self._dialects = DialectRouting(self, settings.serving)
        self._placement = Placement(
            settings,
            self._lake,
            key_of=self._key_of,
            record=self.store.add,
            paired=self._recollection.paired,
            stand_ins=source == "replay" or settings.serving.stand_in_heads,
        )
        self._table: Mapping[str, Route] = MappingProxyType({})
        # Who loads a base holds `_loading` for as long as that takes; `_refreshing` is held to look and to swap.
        self._refreshing, self._loading = threading.Lock(), threading.Lock()
        self._stopping, self._look_anew = threading.Event(), threading.Event()
        self._wished: Mapping[str, Wish] = {}
        self._to_open: dict[str, Weights] = {}
        self._key = b""
        self._head: str | None = None
        self._look_again = 0.0
        self._fault: str | None = NOT_STARTED
        seconds = min(settings.serving.poll_seconds, self._staged.timeout_seconds / 4)
        self._duties = Duties(seconds)

    def start(self) -> None:
        """Load what answers, and look at the registry from now on. What can't be loaded is told by `ready`.

        Raises FoundryError where the key that chooses calls can't be used.
        """
        if self.source == "live":
            self._key = serving_key(self.settings)
        self.refresh()
        if self.source == "live":
            self._duties.start(time=self._keep_time, watch=self._look, load=self._load)

    def close(self, drain_seconds: float = 10.0) -> None:
        """Take no more calls, answer those that came, for at most so many seconds, and end every thread and process."""
        self._stopping.set()
        self._duties.stop()
        with self._refreshing:
            table, self._table = self._table, MappingProxyType({})
            self._fault = "the gateway stops"
            self._placement.close(table, drain_seconds)

    def submit(self, adapter: str, call_id: str, row: Row, *, request_id: str | None = None) -> Future[Answer]:
        """Queue a call and return its answer to come; takes milliseconds of work, so not for an event loop.

        `call_id` decides what hears it, so that a phone call is heard as a whole or not at all; `request_id`, one that
        is made where none is given, is what its pair and feedback go by. A call whose future is cancelled before its
        turn is dropped. Raises NotServed, Overloaded and Rejected; the future holds an Answer, Overloaded, TimedOut or
        Failed.
        """
        arrived = time.perf_counter()
        kept: dict[str, Any] | None = None
        try:
            while True:
                route = self._route(adapter)
                host, resident = route.host, route.answering
                assert host is not None and resident is not None
                host.check_room(adapter)
                kept = self._standard.row(row, route.task)
                call = Call(call_id, adapter, kept, resident.encode(kept), resident, partial(self._ended, route))
                call.arrived = arrived
                call.request_id = request_id or call.request_id
                call.remember = partial(self._recollection.answered, call.request_id, task=route.task)
                try:
                    return self._queue(route, host, call)
                except Gone:
                    if self._table.get(adapter) is route:
                        raise _loading(adapter) from None
        except Rejected as refusal:
            self._tell_failure(adapter, None, f"rejected:{refusal.reason}", kept, arrived)
            raise
        except (NotServed, Overloaded) as error:
            kind = {NotServed: "not_served", Starting: "starting"}.get(type(error), "overloaded")
            self._tell_failure(adapter, None, kind, kept, arrived)
            raise

    def answer(self, adapter: str, call_id: str, row: Row) -> Answer:
        """Answer a call and wait for it. Raises what `submit` raises and what its future holds, and TimeoutError."""
        return self.submit(adapter, call_id, row).result(self.settings.serving.request_timeout_seconds)

    def submit_speech(self, call_id: str, row: Row, *, request_id: str | None = None) -> Future[Answer]:
        """Queue speech to be transcribed, by the adapter of its speaker's dialect where one is in production.

        Raises as `submit` does.
        """
        return self._dialects.submit(call_id, row, request_id)

    def refusal(self, adapter: str, row: Row) -> Rejected | None:
        """Return why a row can't be answered, None where it can. Raises NotServed."""
        route = self._route(adapter)
        assert route.answering is not None
        try:
            route.answering.encode(self._standard.row(row, route.task))
        except Rejected as refusal:
            return refusal
        return None

    def routes(self) -> Mapping[str, Route]:
        """Return who answers for each adapter; the mapping never changes."""
        return self._table

    def feedback(
        self, adapters: Sequence[str], truth: str, *, request_id: str | None = None, call_id: str | None = None
    ) -> dict[str, Any] | None:
        """Score what one of some adapters answered by what was right; see `Recollection.feedback`.

        None for what is not remembered (any more), or was answered by another gateway. Raises SeveralRequests.
        """
        truth = self._standard.text(truth)
        return self._recollection.feedback(adapters, truth, request_id=request_id, call_id=call_id)

    def probe(self, adapter: str, version: str) -> tuple[bool, str]:
        """Say whether a version on trial answers `rollout.probe_calls` calls now, and what happened."""
        from data_foundry.serving.probes import probe_rows

        route = self._table.get(adapter)
        mirror = next((m for t, m in route.mirrors.items() if t.candidate == version), None) if route else None
        if route is None or mirror is None:
            return False, f"{adapter}/{version} is not on trial in this gateway"
        rows = [self._standard.row(row, route.task) for row in probe_rows(self.settings, self._lake, route)]
        return mirror.probe(rows, self.settings.deployment.shadow_timeout_seconds)

    def ready(self) -> list[str]:
        """Return what is missing of what the registry says should be served; empty where nothing is."""
        faults = [self._fault] if self._fault else []
        faults += [f"the thread {name} has ended" for name in self._duties.ended()]
        table, to_open = self._table, self._to_open
        faults += [f"{name}: {w.version} is being loaded" for name, w in to_open.items() if name not in table]
        return [*faults, *(f"{name}: {route.error}" for name, route in table.items() if route.error)]

    def state(self) -> dict[str, Any]:
        """Return who answers what, what waits, and how the trials go, JSON-like."""
        missing, share = self.ready(), self.settings.rollout.staging_share
        return {
            "adapters": {name: route_state(route, share) for name, route in self._table.items()},
            "bases": len([*self._placement.hosts]),
            "ready": not missing,
            "missing": missing,
        }

    def refresh(self) -> None:
        """Look at the registry, and serve what it says where that is other than what is served.

        Adapters are swapped one by one: at once where their base is in memory, the others as theirs are opened, what
        takes the place of a version that may not answer any more first. What can't be loaded leaves in place what
        answers, and is told by `ready`.
        """
        self._look()
        self._load()

    def _look(self) -> None:
        """Serve what the registry says as far as that opens no base."""
        with self._refreshing:
            if self._stopping.is_set():
                return
            try:
                head, anew = self.registry.head(), self._look_anew.is_set()
                if head == self._head and not anew and time.monotonic() < self._look_again:
                    self._fault = None
                    return
                wished = wishes(self.settings, self.registry, self.source, self.only)
            except Exception as error:
                # The registry is another program's file, too: what is served goes on being served.
                self._fault = f"the registry can't be read: {_said(error)}"
                log.error("%s", self._fault)
                return
            self._look_anew.clear()
            self._wished, self._to_open = wished, {}
            for name in wished:
                self._place(name)
            self._head, self._fault = head, None

    def _load(self) -> None:
        """Open the bases that are missing, one by one, unless another thread is at it."""
        if not self._loading.acquire(blocking=False):
            return
        try:
            while not self._stopping.is_set() and (weights := self._next_to_open()):
                self._placement.hosts.open(weights)
                with self._refreshing:
                    if not self._stopping.is_set():
                        self._place(weights.adapter)
                        self._placement.hosts.settle()
                        self._placement.let_go({}, self._table)
        finally:
            self._loading.release()

    def _next_to_open(self) -> Weights | None:
        """Return whose base is to be opened next: that of an adapter whose version may not answer any more first."""
        with self._refreshing:
            waiting = sorted(self._to_open, key=self._answers_rightly)
            return self._to_open[waiting[0]] if waiting else None

    def _answers_rightly(self, adapter: str) -> bool:
        route = self._table.get(adapter)
        allowed = [BASE, *(version.version for version in self._wished[adapter].answering)]
        return route is None or route.answering is None or route.incumbent in allowed

    def _place(self, adapter: str) -> None:
        """Let those answer for an adapter who should, if they are in memory; else note what is to be opened."""
        wish, old = self._wished.get(adapter), self._table
        if wish is None:
            return
        route, missing = self._placement.route(wish, old.get(adapter))
        self._to_open = {name: weights for name, weights in self._to_open.items() if name != adapter}
        if missing is not None:
            self._to_open = {**self._to_open, adapter: missing}
        new = {**old, adapter: route} if route is not None else old
        self._table = MappingProxyType({name: new[name] for name in self._wished if name in new})
        wrong = any(route.error for route in self._table.values())
        self._look_again = time.monotonic() + RETRY_SECONDS if wrong else math.inf
        self._placement.let_go(old, self._table)

    def _keep_time(self) -> None:
        """Give up what is overdue and models that hang, and forget answers that nobody may speak of any more."""
        self._staged.give_up_overdue()
        self._dialects.give_up_overdue()
        self._recollection.forget()
        seconds = HUNG_TIMEOUTS * self.settings.serving.request_timeout_seconds
        if hung := self._placement.hosts.abandon_hung(seconds):
            log.error("gave up a model that hangs: %s", ", ".join(hung))
            self._look_anew.set()

    def _route(self, adapter: str) -> Route:
        route = self._table.get(adapter)
        if adapter in self._to_open and (route is None or route.answering is None):
            raise Starting(f"The model of {adapter} is being loaded.", "Come again in a few seconds.")
        if route is None:
            if self._fault == NOT_STARTED:
                raise Starting(f"{adapter} is not served: {NOT_STARTED}.", "Come again in a few seconds.")
            missing = self._fault or f"no such adapter; served are {', '.join(self._table) or 'none'}"
            raise NotServed(f"{adapter} is not served: {missing}.", "GET /v1/models names what is.")
        if route.answering is None:
            raise NotServed(f"{adapter} is not served: {route.why}", "GET /v1/models names what is.")
        return route

    def _queue(self, route: Route, host: Host, call: Call) -> Future[Answer]:
        """Hand a call to who is to answer it. Raises Overloaded and Gone."""
        if route.staging is None or self.store.fault or not route.staging[1].ready:
            host.submit(call)
            return call.future
        trial, process = route.staging
        if not is_chosen(call.call_id, self._key, self.settings.rollout.staging_share, "staging"):
            host.submit(call)
            return call.future
        staged = StagedCall(call, trial, partial(self._answered, route), partial(self._fall_back, route))
        self._staged.add(staged, process.submit(call.call_id, call.row))
        return call.future

    def _fall_back(self, route: Route, staged: StagedCall, kind: str, own: bool) -> None:
        """Let the incumbent answer a call that a version in staging did not; `own`: that was the version's doing."""
        call = staged.call
        call.fallback = staged.trial.candidate
        call.ended = partial(self._ended, route, staged=kind if own else None)
        try:
            assert route.host is not None
            route.host.submit(call, admitted=True)
        except Gone:
            self._once_more(call)

    def _once_more(self, call: Call) -> None:
        """Queue a call again whose version has left meanwhile."""
        try:
            route = self._route(call.adapter)
            assert route.host is not None and route.answering is not None
            call.resident, call.features = route.answering, route.answering.encode(call.row)
            route.host.submit(call, admitted=True)
        except Exception as error:
            if call.future.set_running_or_notify_cancel():
                call.future.set_exception(_loading(call.adapter) if isinstance(error, Gone) else error)
            self._ended(self._table.get(call.adapter), call, None, type(error).__name__)

    def _ended(
        self, route: Route | None, call: Call, answer: Answer | None, kind: str | None, staged: str | None = None
    ) -> None:
        """What follows a call that a host answered, or did not; `staged`: how a version in staging failed it before."""
        if answer is not None and route is not None:
            self._answered(route, call, answer, staged, late=kind is not None)
            return
        self._tell_failure(call.adapter, call.resident.weights.version, kind or "failed", call.row, call.arrived)
        # Its caller gave up before its turn, or it waited for a model that hung at another's call: nobody's error.
        if call.future.cancelled() or not call.begun:
            return
        for trial, mirror in route.mirrors.items() if route else ():
            if trial.candidate == call.resident.weights.version:
                mirror.offer(call.call_id, call.request_id, call.row, None, kind)

    def _answered(
        self, route: Route, call: Call, answer: Answer, staged: str | None = None, late: bool = False
    ) -> None:
        # An answer that was too late for its caller makes a pair all the same: it may have waited for others.
        if late:
            self._tell_failure(call.adapter, answer.version, "timed_out", call.row, call.arrived)
        for observer in () if late else self._observers:
            _told(observer.answered, answer, call.row, time.perf_counter() - call.arrived)
        for trial, mirror in route.mirrors.items():
            failed = staged if trial.stage is Stage.STAGING else None
            mirror.offer(call.call_id, call.request_id, call.row, answer, failed)

    def _tell_failure(self, adapter: str, version: str | None, kind: str, row: Row | None, arrived: float) -> None:
        for observer in self._observers:
            _told(observer.failed, adapter, version, kind, row, time.perf_counter() - arrived)

    def _call_name(self, adapter: str, request_id: str) -> str:
        return call_hash(request_id, self._key_of(adapter))

    def _key_of(self, adapter: str) -> bytes:
        return self._key or hashlib.sha256(f"replay {adapter}".encode()).digest()


def _loading(adapter: str) -> Overloaded:
    return Overloaded(f"The model of {adapter} has ended and is loaded again.", "Come again in a few seconds.")


def _told(tell: Callable[..., None], *what: Any) -> None:
    """Tell an observer; that it fails is no caller's error."""
    try:
        tell(*what)
    except Exception as error:
        log.error("an observer of calls failed: %s", type(error).__name__)


def _said(error: Exception) -> str:
    return error.message if isinstance(error, FoundryError) else f"{type(error).__name__}: {error}"
