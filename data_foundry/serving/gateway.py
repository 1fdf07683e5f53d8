"""The gateway: answers callers with what the registry has in production, and lets others hear of it.

A call ends with the version that the route table named when it came. What no person approved never works in this
process: its answers come from a process of its own, and where they don't come the incumbent's do.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from data_foundry.config import Settings
from data_foundry.finetuning.tasks.task import Features
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake
from data_foundry.records import Rejected
from data_foundry.serving.calls import (
    Answer,
    CallObserver,
    Failed,
    NotServed,
    Overloaded,
    Row,
    Starting,
    Unavailable,
    new_request_id,
)
from data_foundry.serving.candidate.key import serving_key
from data_foundry.serving.candidate.selection import call_hash, is_chosen
from data_foundry.serving.dialect_routing import DialectRouting
from data_foundry.serving.duties import Duties
from data_foundry.serving.feedback import Recollection
from data_foundry.serving.host import Call, Gone, Host, where
from data_foundry.serving.placement import Placement
from data_foundry.serving.residents import Resident
from data_foundry.serving.route_state import route_state
from data_foundry.serving.route_table import RouteTable, being_loaded_again
from data_foundry.serving.routing import Route, wishes
from data_foundry.serving.staged import StagedCall, StagedCalls
from data_foundry.serving.standard import Standard
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Source

log = logging.getLogger("data_foundry")

HUNG_TIMEOUTS = 3
"""A model that is at one batch for so many times as long as a call may take hangs."""
STAGING_SHARE_OF_TIMEOUT = 1 / 3
"""Of the time that a call may take, what a version in staging gets from its turn on."""
CLOSING_SECONDS = 1.0
"""How long what the gateway's own threads are at is waited for when it closes; a base that is opened takes longer."""


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
        self._recollection = Recollection(
            settings.rollout.feedback_minutes, self.store.keep, self._call_name, self._labels_on_trial
        )
        self._dialects = DialectRouting(self, settings.serving)
        self._placement = Placement(
            settings,
            self._lake,
            key_of=self._key_of,
            record=self.store.keep,
            paired=self._recollection.paired,
            stand_ins=source == "replay" or settings.serving.stand_in_heads,
        )
        seconds = min(settings.serving.poll_seconds, self._staged.timeout_seconds / 4)
        self._duties = Duties(seconds)
        self._table = RouteTable(
            self.registry,
            self._placement,
            partial(wishes, settings, self.registry, source, self.only),
            lacking=partial(self._duties.wake, "load"),
        )
        self._key = b""

    def start(self) -> None:
        """Look at the registry, from now on, and begin to load what answers, which is not waited for.

        What can't be loaded is told by `ready`. Raises FoundryError where the key that chooses calls can't be used.
        """
        if self.source == "live":
            self._key = serving_key(self.settings)
        self._table.look()
        if self.source == "live":
            self._duties.start(time=self._keep_time, watch=self._table.look)
        self._duties.start(load=self._table.open_bases)

    def wait(self) -> None:
        """Wait until what the registry says is loaded, as far as it can be, or the gateway closes."""
        self._table.wait()

    def stop(self) -> None:
        """Place no more versions, also where `start` has not returned yet; waits for nothing. To be closed after it."""
        self._table.stop()

    def close(self, drain_seconds: float = 10.0) -> None:
        """Take no more calls, answer those that came, for at most so many seconds, and end every thread and process."""
        self._table.close(drain_seconds)
        self._duties.stop(CLOSING_SECONDS)
        self._dialects.close()

    def submit(self, adapter: str, call_id: str, row: Row, *, request_id: str | None = None) -> Future[Answer]:
        """Queue a call and return its answer to come; takes milliseconds of work, so not for an event loop.

        `call_id` decides what hears it, so that a phone call is heard as a whole or not at all; `request_id`, one that
        is made where none is given, is what its pair and feedback go by. A call whose future is cancelled before its
        turn is dropped. Raises NotServed, Overloaded and Rejected; the future holds an Answer, Overloaded, TimedOut or
        Failed. What is on trial hears calls that nobody answers, too.
        """
        arrived, request_id = time.perf_counter(), request_id or new_request_id()
        route: Route | None = None
        kept: dict[str, Any] | None = None
        try:
            while True:
                route = self._table.route(adapter)
                host, resident = route.host, route.answering
                assert host is not None and resident is not None
                host.check_room(adapter)
                kept = self._standard.row(row, route.task)
                features = _encoded(resident, kept)
                call = Call(call_id, adapter, kept, features, resident, partial(self._ended, route))
                call.arrived, call.request_id = arrived, request_id
                call.remember = partial(self._recollection.answered, request_id, task=route.task)
                try:
                    return self._queue(route, host, call)
                except Gone:
                    if self.routes().get(adapter) is route:
                        raise being_loaded_again(adapter) from None
        except Exception as error:
            if isinstance(error, NotServed):
                self._unanswered(adapter, call_id, request_id, row)
            version = error.version if isinstance(error, Failed) else None
            self._tell_failure(adapter, version, _kind(error), kept, arrived)
            if version is not None and kept is not None:
                self._offer_failure(route, version, call_id, request_id, kept, _kind(error))
            raise

    def submit_speech(self, call_id: str, row: Row, *, request_id: str | None = None) -> Future[Answer]:
        """Queue speech to be transcribed, by the adapter of its speaker's dialect where one is in production.

        Raises as `submit` does.
        """
        return self._dialects.submit(call_id, row, request_id)

    def routes(self) -> Mapping[str, Route]:
        """Return who answers for each adapter; the mapping never changes."""
        return self._table.routes

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

        route = self.routes().get(adapter)
        mirror = next((m for t, m in route.mirrors.items() if t.candidate == version), None) if route else None
        if route is None or mirror is None:
            return False, f"{adapter}/{version} is not on trial in this gateway"
        rows = [self._standard.row(row, route.task) for row in probe_rows(self.settings, self._lake, route)]
        return mirror.probe(rows, self.settings.deployment.shadow_timeout_seconds)

    def ready(self) -> list[str]:
        """Return what is missing of what the registry says should be served; empty where nothing is."""
        return [*(f"the thread {name} has ended" for name in self._duties.ended()), *self._table.missing()]

    def state(self) -> dict[str, Any]:
        """Return who answers what, what waits, and how the trials go, JSON-like."""
        missing, share = self.ready(), self.settings.rollout.staging_share
        return {
            "adapters": {name: route_state(route, share) for name, route in self.routes().items()},
            "bases": len([*self._placement.hosts]),
            "ready": not missing,
            "missing": missing,
        }

    def look(self) -> None:
        """Look at the registry now; what is not in memory yet is loaded by and by, see `wait`. Waits for no model."""
        self._table.look()

    def _keep_time(self) -> None:
        """Give up what is overdue and models that hang, and forget answers that nobody may speak of any more."""
        self._staged.give_up_overdue()
        self._dialects.give_up_overdue()
        self._recollection.forget()
        seconds = HUNG_TIMEOUTS * self.settings.serving.request_timeout_seconds
        if hung := self._placement.hosts.abandon_hung(seconds):
            log.error("gave up a model that hangs: %s", ", ".join(hung))
            self._duties.wake("watch")

    def _queue(self, route: Route, host: Host, call: Call) -> Future[Answer]:
        """Hand a call to who is to answer it. Raises Overloaded and Gone."""
        if route.staging is None or self.store.fault or not route.staging[1].ready:
            host.submit(call)
            return call.future
        trial, process = route.staging
        if not is_chosen(call.call_id, self._key, self.settings.rollout.staging_share, "staging"):
            host.submit(call)
            return call.future
        staged = StagedCall(
            call, trial, partial(self._answered, route), partial(self._fall_back, route), partial(self._left, route)
        )
        self._staged.add(staged, process.submit(call.row))
        return call.future

    def _left(self, route: Route, staged: StagedCall) -> None:
        """Tell of a call whose caller left while a version in staging had it: nobody's error.

        It is mirrored as any other. Whether a caller leaves may hang on how slow that version is, so calls that were
        left out of the pairs would be its slow ones.
        """
        call = staged.call
        self._tell_failure(call.adapter, staged.trial.candidate, "timed_out", call.row, call.arrived)
        for mirror in route.mirrors.values():
            mirror.offer(call.call_id, call.request_id, call.row, None)

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
            route = self._table.route(call.adapter)
            assert route.host is not None and route.answering is not None
            call.resident, call.features = route.answering, _encoded(route.answering, call.row)
            route.host.submit(call, admitted=True)
        except Exception as error:
            if call.future.set_running_or_notify_cancel():
                call.future.set_exception(being_loaded_again(call.adapter) if isinstance(error, Gone) else error)
            self._ended(self.routes().get(call.adapter), call, None, _kind(error))

    def _unanswered(self, adapter: str, call_id: str, request_id: str, row: Row) -> None:
        """Let what is on trial hear a call that nobody answers: else it could never come to answer one."""
        route = self.routes().get(adapter)
        if route is None or not route.mirrors:
            return
        try:
            kept = self._standard.row(row, route.task)
        except Rejected:
            return
        except Exception as error:
            # Its caller is told that nobody answers, whatever comes of this. Its words may be a caller's.
            log.error("%s could not be told of a call: %s%s", adapter, type(error).__name__, where(error))
            return
        self._recollection.unanswered(request_id, adapter, call_id, route.task)
        for mirror in route.mirrors.values():
            mirror.offer(call_id, request_id, kept, None)

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
        version = call.resident.weights.version
        self._offer_failure(route, version, call.call_id, call.request_id, call.row, kind)

    def _offer_failure(
        self, route: Route | None, version: str, call_id: str, request_id: str, row: Row, kind: str | None
    ) -> None:
        """Let the trial of a version that answers callers hear that it failed at a call."""
        for trial, mirror in route.mirrors.items() if route else ():
            if trial.candidate == version:
                mirror.offer(call_id, request_id, row, None, kind)

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

    def _labels_on_trial(self, adapter: str) -> Sequence[str]:
        route = self.routes().get(adapter)
        return [label for mirror in route.mirrors.values() for label in mirror.labels] if route else []

    def _call_name(self, adapter: str, request_id: str) -> str:
        return call_hash(request_id, self._key_of(adapter))

    def _key_of(self, adapter: str) -> bytes:
        return self._key or hashlib.sha256(f"replay {adapter}".encode()).digest()


def _encoded(resident: Resident, row: Row) -> Features:
    """Return what a version's model is given of a row. Raises Rejected, and Failed where it breaks on it."""
    try:
        return resident.encode(row)
    except Rejected:
        raise
    except BaseException as error:
        # A tokenizer's panic is no Exception, and this version's failure all the same.
        adapter, version, kind = resident.weights.adapter, resident.weights.version, type(error).__name__
        log.error("%s/%s failed to encode a call: %s%s", adapter, version, kind, where(error))
        raise Failed(adapter, version, kind) from None


_KINDS: Mapping[type[Exception], str] = {
    NotServed: "not_served",
    Unavailable: "unavailable",
    Starting: "starting",
    Overloaded: "overloaded",
    Gone: "overloaded",
}


def _kind(error: Exception) -> str:
    """Return the word for why a call was not answered, see `CallObserver`."""
    if isinstance(error, Rejected):
        return f"rejected:{error.reason}"
    if isinstance(error, Failed):
        return error.kind
    return _KINDS.get(type(error), type(error).__name__)


def _told(tell: Callable[..., None], *what: Any) -> None:
    """Tell an observer; that it fails is no caller's error."""
    try:
        tell(*what)
    except Exception as error:
        log.error("an observer of calls failed: %s", type(error).__name__)
