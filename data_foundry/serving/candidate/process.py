"""A candidate's process kept alive: started, loaded, asked, timed, ended when it misbehaves, and started again.

One thread owns the process; whoever asks it something gets a future at once. Whatever the process does, every future
ends: with an answer that was looked at, or with CandidateFailed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from data_foundry.serving.calls import InvalidAnswer, Row
from data_foundry.serving.candidate.loading import Loading
from data_foundry.serving.candidate.said import CandidateFailed, Said, said_in
from data_foundry.serving.candidate.spawned import Ended, Spawned
from data_foundry.training_config import Task

log = logging.getLogger("data_foundry")

TICK = 0.05
IDLE_TICK = 0.25
LOAD_SECONDS = 600.0
DOUBTFUL_LOADS = 3
"""A process that dies while it loads may not be to blame; one that dies so many times on end is."""
STEADY_CALLS = 100
"""So many calls answered on end, and an end after them counts as the first again."""
MAX_DOUBLINGS = 16
RENEWED = "renewed"
"""Why a process ended that heard another version than the one that is to be asked alone."""


@dataclass(frozen=True)
class LoadFailure:
    """Why the versions can't be loaded; `version` is the one to blame, None where none is."""

    version: str | None
    reason: str


class Asked(Future[Said]):
    """What a version is to say. Cancelled while the call waits in the queue, it is never asked.

    `own_seconds`: for how long the version has had the call, without the time in which others had its processor; None
    while it waits.
    """

    own_seconds: float | None = None


@dataclass(frozen=True)
class _Job:
    version: str
    row: Row
    alone: bool
    future: Asked


class _Unheard(Exception):
    """The process ended by nothing that the version asked did."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(str(ended))
        self.ended = ended


class CandidateProcess:
    """Answers of versions that no person approved, from a process of their own.

    `idle` gives way to everything else on the machine. `timeout_seconds` are of the process's own: those in which
    others had its processor don't count. At most `queue_size` calls wait; `memory_mib` is what it may hold. After an
    end it starts again in `backoff` seconds (first, most), doubled with each end that follows soon; at once where a
    call is to be asked in a fresh process and the last one had answered many.
    """

    def __init__(
        self,
        name: str,
        loading: Loading,
        *,
        idle: bool,
        timeout_seconds: float,
        memory_mib: int,
        queue_size: int = 64,
        threads: int = 1,
        load_seconds: float = LOAD_SECONDS,
        backoff: tuple[float, float] = (1.0, 60.0),
    ) -> None:
        self.name, self._loading, self._idle, self._threads = name, loading, idle, threads
        self._timeout, self._load_seconds = timeout_seconds, load_seconds
        self._memory_mib, self._queue_size, self._backoff = memory_mib, queue_size, backoff
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = self._ready = False
        self._spawned: Spawned | None = None
        self._task: Task = "text-classification"
        self._labels: Mapping[str, Sequence[str]] = {}
        self._failure: LoadFailure | None = None
        self._reason, self._waiting = "it has not started", False
        self._deaths: Counter[str] = Counter()
        self._heard: set[str] = set()
        self._starts = self._on_end = self._doubtful = self._answered = 0
        self._loaded_seconds: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"candidate {name}", daemon=True)

    def start(self) -> None:
        """Begin to start the process; returns at once."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it can be asked now."""
        return self._ready

    @property
    def failure(self) -> LoadFailure | None:
        """Why it can't be loaded, until it is."""
        return self._failure

    @property
    def task(self) -> Task:
        """What the loaded versions do; known once it was ready."""
        return self._task

    def labels(self, version: str) -> tuple[str, ...]:
        """Return those that a loaded version chooses from, if it does; known once it was ready."""
        return tuple(self._labels.get(version, ()))

    def wait_ready(self, seconds: float) -> bool:
        """Wait until it can be asked, or is known to be unable to load, or closed; return whether it can be asked."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed or self._failure is not None, seconds)
            return self._ready

    def submit(self, version: str, row: Row, *, alone: bool = False) -> Asked:
        """Ask a version for a call's answer; never waits. The future's only exception is CandidateFailed.

        `alone`: in a process that has heard no other version since its start, for which it is started anew if need be.
        """
        future = Asked()
        with self._changed:
            kind = self._why_not(version)
            if kind is None:
                self._jobs.append(_Job(version, dict(row), alone, future))
                self._changed.notify_all()
        if kind is not None:
            future.set_exception(CandidateFailed(kind))
        return future

    def state(self) -> dict[str, Any]:
        """Return how it stands, JSON-like: state, pid, restarts, deaths by reason, memory held, seconds to load."""
        with self._changed:
            spawned = self._spawned
            stands = "closed" if self._closed else "ready" if self._ready else "waiting" if self._waiting else "loading"
            failure = self._failure
            found = {
                "state": stands,
                "reason": "" if self._ready else failure.reason if failure else self._reason,
                "pid": spawned.pid if spawned else None,
                "restarts": max(self._starts - 1, 0),
                "deaths": dict(sorted(self._deaths.items())),
                "loaded_seconds": self._loaded_seconds,
            }
        held = spawned.held_mib if spawned else None
        return {**found, "memory_mib": None if held is None else round(held, 1)}

    def close(self) -> None:
        """End the process for good; what waits fails with "closed"."""
        with self._changed:
            self._closed, self._ready = True, False
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self._fail_waiting("closed")

    def _why_not(self, version: str) -> str | None:
        if self._closed:
            return "closed"
        if not self._ready:
            return "not_loaded" if self._failure and self._failure.version == version else "not_ready"
        return "queue_full" if len(self._jobs) >= self._queue_size else None

    def _run(self) -> None:
        while not self._closed:
            kind, reason = self._live()
            # Who waits for a process that is started anew is asked there.
            if kind != RENEWED:
                self._fail_waiting("closed" if self._closed else "not_ready")
            if not self._closed:
                self._back_off(kind, reason)
        self._fail_waiting("closed")

    def _live(self) -> tuple[str, str]:
        """Start a process and serve it until it ends; return why it did."""
        self._starts, self._answered = self._starts + 1, 0
        self._heard.clear()
        try:
            spawned = Spawned(idle=self._idle, threads=self._threads, memory_mib=self._memory_mib)
        except Exception as error:
            return "not_started", f"no process can be started: {error}"
        self._spawned = spawned
        try:
            self._load(spawned)
            while True:
                self._answer(spawned, self._next(spawned))
        except Ended as ended:
            return ended.kind, str(ended)
        except Exception as error:
            # What is wrong here must not end the thread, on which every future rests; its words may be a caller's.
            return type(error).__name__, type(error).__name__
        finally:
            with self._changed:
                self._ready, self._spawned = False, None
            spawned.end()

    def _load(self, spawned: Spawned) -> None:
        spawned.send(self._loading)
        version, own = None, 0.0
        try:
            while own < self._load_seconds:
                message = self._receive(spawned)
                own += spawned.own_seconds()
                if message is None:
                    continue
                if "failed" in message:
                    self._doubtful = DOUBTFUL_LOADS
                    raise Ended("not_loaded", str(message["failed"]))
                if "ready" in message:
                    self._loaded(message)
                    return
                version = str(message.get("loading"))
            self._doubtful = DOUBTFUL_LOADS
            raise Ended("not_loaded", f"loading took over {self._load_seconds:g} s")
        except Ended as ended:
            self._doubtful += 1
            if self._doubtful >= DOUBTFUL_LOADS and ended.kind != "closed":
                with self._changed:
                    self._failure = LoadFailure(version, str(ended))
                    self._changed.notify_all()
            raise

    def _loaded(self, message: Mapping[str, Any]) -> None:
        with self._changed:
            self._task, self._labels = message["ready"], message["labels"]
            self._loaded_seconds = round(message["seconds"], 3)
            self._failure, self._doubtful, self._ready = None, 0, True
            self._changed.notify_all()

    def _receive(self, spawned: Spawned) -> dict[str, Any] | None:
        message = spawned.receive(TICK)
        if self._closed:
            raise Ended("closed")
        return message

    def _next(self, spawned: Spawned) -> _Job:
        """Wait for a call, and look whether the process is still alive: one that died before is not to blame."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed, IDLE_TICK)
            if self._closed:
                raise Ended("closed")
            if spawned.receive(0) is not None:
                raise Ended("InvalidAnswer", "it spoke without being asked")
            with self._changed:
                if self._jobs and self._jobs[0].alone and self._heard - {self._jobs[0].version}:
                    raise Ended(RENEWED)
                if self._jobs and (job := self._jobs.popleft()).future.set_running_or_notify_cancel():
                    return job

    def _answer(self, spawned: Spawned, job: _Job) -> None:
        try:
            said = self._ask(spawned, job)
        except CandidateFailed as failed:
            failed.doubtful = failed.spreading and self._in_company(job)
            job.future.set_exception(failed)
        except _Unheard as unheard:
            job.future.set_exception(CandidateFailed("closed" if self._closed else "not_ready"))
            raise unheard.ended from None
        except Ended as ended:
            job.future.set_exception(CandidateFailed(ended.kind, doubtful=self._in_company(job)))
            raise
        except Exception:
            job.future.set_exception(CandidateFailed("lost"))
            raise
        else:
            self._answered += 1
            job.future.set_result(said)

    def _in_company(self, job: _Job) -> bool:
        return bool(self._heard - {job.version})

    def _ask(self, spawned: Spawned, job: _Job) -> Said:
        self._heard.add(job.version)
        spawned.send((job.version, job.row))
        spawned.own_seconds()
        begun, own = False, 0.0
        job.future.own_seconds = own
        while True:
            try:
                message = self._receive(spawned)
            except Ended as ended:
                # A process that is gone before it took the call up, or that the gateway ended, is no version's fault.
                if not begun or ended.kind == "closed":
                    raise _Unheard(ended) from None
                raise
            if message is not None and "begun" not in message:
                break
            begun = begun or message is not None
            own += spawned.own_seconds()
            job.future.own_seconds = own
            if own > self._timeout:
                raise Ended("timed_out", f"no answer in {self._timeout:g} s")
        try:
            return said_in(message, self._task, self._labels.get(job.version, ()))
        except InvalidAnswer:
            raise CandidateFailed(InvalidAnswer.__name__) from None

    def _fail_waiting(self, kind: str) -> None:
        with self._changed:
            jobs = list(self._jobs)
            self._jobs.clear()
        for job in jobs:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(CandidateFailed(kind))

    def _back_off(self, kind: str, reason: str) -> None:
        steady = self._answered >= STEADY_CALLS
        self._on_end = 1 if steady else self._on_end + 1
        first, most = self._backoff
        seconds = min(most, first * 2 ** min(self._on_end - 1, MAX_DOUBLINGS))
        if kind == RENEWED and steady:
            seconds = 0.0
        log.warning("The process of candidate %s ended (%s); it starts again in %.1f s.", self.name, reason, seconds)
        until = time.monotonic() + seconds
        with self._changed:
            self._deaths[kind] += 1
            self._reason, self._waiting = reason, True
            self._changed.wait_for(lambda: self._closed, until - time.monotonic())
            self._waiting = False
