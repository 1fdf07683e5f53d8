"""The watcher: hears of every call a gateway answered or failed, and makes metrics, tallies, drift and content of it.

Hearing never waits: a call is put on a bounded queue and one thread of the watcher's own does the rest, four times a
second. What does not fit is let go and counted. Sound, which costs most to measure, is held of two calls a second.
Requests that were answered with an error take no place there: they are summed up as they come.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from data_foundry.config import Settings
from data_foundry.engines.adapters import adapters, spec_of
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Version
from data_foundry.lake import Lake, Manifest
from data_foundry.serving.calls import Answer, Row
from data_foundry.serving.peers import SILENT_SECONDS, Peers, peers_of
from data_foundry.serving.trials.trial import Source
from data_foundry.serving.watch.content import SWEEP_SECONDS, Kept, KeptContent
from data_foundry.serving.watch.drift import CLIPS_A_SECOND
from data_foundry.serving.watch.features import LABELS, features_of, of_sound, of_text, said
from data_foundry.serving.watch.health import Health
from data_foundry.serving.watch.mirrors import mirrors_of, shown
from data_foundry.serving.watch.prometheus import OTHER, Metrics, Reading, readings_of
from data_foundry.serving.watch.reference import Reference, reference_key, sampled, why_none
from data_foundry.serving.watch.rules import rules_of
from data_foundry.serving.watch.tallies import FLUSH_SECONDS, NO_ADAPTER, TallyReader, TallyWriter

QUEUED_CALLS, QUEUED_CLIPS = 5_000, 8
TICK_SECONDS = 0.25
STATUS_SECONDS = 1.0
"""So long a status that was made is shown to everybody who asks."""
REFERENCE_SECONDS = 0.02
"""What a tick may spend on training rows."""

NOBODY = "none"
"""Stands for the version of a call that failed before one was to answer it."""

State = Callable[[], Mapping[str, Any]]

log = logging.getLogger("data_foundry")


@dataclass(frozen=True, slots=True)
class _Call:
    """What is held of a call until it is counted; `clip` is its sound, of some calls."""

    at: float
    adapter: str
    version: str
    seconds: float
    model_seconds: float = 0.0
    failure: str | None = None
    fallback: str | None = None
    text: str | None = None
    output: str | None = None
    clip: bytes | None = None


class Watcher:
    """Watches one gateway. `start`, then hand it to the gateway as an observer, then `close`; or use as a context.

    `source` "replay": calls are counted apart from callers', and neither drift nor content is made of them. `address`:
    the URL at which other gateways reach this one; without it, it has none beside it.
    """

    def __init__(self, settings: Settings, *, source: Source = "live", address: str | None = None) -> None:
        self.settings, self.source, self.address = settings, source, address
        self.gateway = f"{os.getpid()}-{uuid4().hex[:8]}"
        self.dropped: Counter[str] = Counter()
        self._specs = adapters(settings.training)
        self._lake = Lake(settings)
        self._health, self._gateways = Health(settings), TallyReader(self._lake)
        self._known = set(self._specs)
        self._labels: dict[str, set[str]] = {}
        self._metrics = Metrics(self._known, self._readings)
        self._writer = TallyWriter(self._lake, self.gateway, source, time.time())
        self._content = KeptContent(settings)
        self._calls: deque[_Call] = deque()
        self._clips = threading.BoundedSemaphore(QUEUED_CLIPS)
        self._next_clip = 0.0
        self._codes: Counter[tuple[int, str]] = Counter()
        self._coding, self._dropping = threading.Lock(), threading.Lock()
        self._states: dict[str, State | None] = {"gateway_state": None, "rollout": None}
        self._looking = threading.Lock()
        self._peers = -math.inf, Peers()
        self._status: tuple[float, dict[str, Any]] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._flushed = self._swept = self._folded = 0.0
        self._reference: tuple[str, Iterator[Reference], Reference | None] | None = None
        self._references: dict[str, float] = {}

    def watch(self, *, gateway_state: State | None = None, rollout_state: State | None = None) -> None:
        """Name whom to ask how routes and trials stand; both must answer at once, from any thread."""
        self._states = {"gateway_state": gateway_state, "rollout": rollout_state}

    def start(self) -> None:
        """Begin to count, after expired content is deleted."""
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Count and write what is left, and say on the disk that this gateway closed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answered(self, answer: Answer, row: Row, seconds: float) -> None:
        """Hear of an answered call; `seconds` from its arrival on. Never waits."""
        output = answer.output if isinstance(answer.output, str) else None
        self._hear(
            _Call(
                time.time(), answer.adapter, answer.version, seconds, answer.milliseconds / 1000,
                fallback=answer.fallback, text=said(row), output=output, clip=self._clip(row),
            )
        )  # fmt: skip

    def failed(self, adapter: str, version: str | None, kind: str, row: Row | None, seconds: float) -> None:
        """Hear of a call without an answer, by a kind that the program names. Never waits."""
        self._hear(_Call(time.time(), adapter, version or NOBODY, seconds, failure=kind))

    def answered_error(self, code: str) -> None:
        """Hear of a request that was answered with an error, by a code that the program names. Never waits.

        Who has no key can cause as many as it likes: they are kept as one number a minute and code.
        """
        if self._stop.is_set():
            with self._dropping:
                self.dropped["closed"] += 1
            return
        with self._coding:
            self._codes[int(time.time() // 60), code] += 1

    def status(self) -> dict[str, Any]:
        """Return how everything stands, made at most once a second. Raises FoundryError for unreadable files."""
        with self._looking:
            now = time.time()
            if self._status is None or now - self._status[0] > STATUS_SECONDS:
                self._status = (now, self._health.look(now, self._own_state()))
                self._known |= {entry["adapter"] for entry in self._status[1]["adapters"]}
            return self._status[1]

    def peers(self) -> Peers:
        """Return the other gateways on the base path, looked up at most once a second. Raises FoundryError."""
        if self.address is None:
            return Peers()
        now, looked = time.time(), time.monotonic()
        if looked - self._peers[0] > STATUS_SECONDS:
            heard = self._gateways.gateways(now - SILENT_SECONDS)
            self._peers = looked, peers_of(heard, self.gateway, self.address, now)
        return self._peers[1]

    def metrics(self) -> tuple[bytes, str]:
        """Return the metrics in Prometheus' text format, and its content type."""
        return self._metrics.text()

    def _readings(self) -> Iterator[Reading]:
        try:
            status = self.status()
        except FoundryError as error:
            # A scrape that fails would take the counters with it, which need no file.
            log.warning("metrics of stages and trials are left out: %s", error)
            return
        # What other gateways count, they expose themselves.
        own = self._own_state()["gateway_state"]["adapters"]
        for entry in status["adapters"]:
            state = own.get(entry["adapter"], {})
            counted = {"in_flight": state.get("in_flight"), "waiting": state.get("waiting")}
            yield from readings_of({**entry, **counted, "mirrors": mirrors_of([state])})
        for what, count in dict(self.dropped).items():
            yield "data_foundry_watch_dropped", (what,), float(count)

    def _hear(self, call: _Call) -> None:
        if not self._stop.is_set() and len(self._calls) < QUEUED_CALLS:
            self._calls.append(call)
            return
        with self._dropping:
            self.dropped["closed" if self._stop.is_set() else "calls"] += 1
        if call.clip is not None:
            self._clips.release()

    def _clip(self, row: Row) -> bytes | None:
        """Return a call's sound where it is one of those that are measured."""
        audio = row.get("audio")
        if not audio or self.source != "live":
            return None
        now = time.monotonic()
        payload: bytes | None = audio.get("bytes")
        # Two threads may both take their turn here: one clip more than was meant, and no lock.
        if not payload or now < self._next_clip or not self._clips.acquire(blocking=False):
            return None
        self._next_clip = now + 1 / CLIPS_A_SECOND
        return payload

    def _run(self) -> None:
        self._sweep(time.time())
        while not self._stop.wait(TICK_SECONDS):
            self._tick(time.time())
        now = time.time()
        self._tick(now)
        self._writer.close(now, self._own_state())
        self._content.close()

    def _tick(self, now: float) -> None:
        """Count what was heard, write what is due. What goes wrong in here is logged and costs figures, not calls."""
        try:
            self._count()
            if now - self._flushed >= FLUSH_SECONDS or self._stop.is_set():
                self._flushed = now
                fault = self._writer.fault
                if not self._writer.flush(now, self._own_state()) and fault is None:
                    log.warning("tallies are not written for now: %s", self._writer.fault)
            if self._stop.is_set():
                return
            if now - self._swept >= SWEEP_SECONDS:
                self._sweep(now)
            if now - self._folded >= SWEEP_SECONDS:
                self._folded = now
                self._writer.fold(now)
            self._learn(now)
        except Exception:
            with self._dropping:
                self.dropped["errors"] += 1
            log.exception("the watching went wrong")

    def _count(self) -> None:
        with self._coding:
            codes, self._codes = self._codes, Counter()
        for (minute, code), count in codes.items():
            self._metrics.answered_error(code, count)
            self._writer.failed(NO_ADAPTER, NOBODY, 60 * minute, self._metrics.code(code), count)
        kept: list[Kept] = []
        for _ in range(len(self._calls)):
            call = self._calls.popleft()
            if call.clip is not None:
                self._clips.release()
            if call.failure is not None:
                self._metrics.failed(call.adapter, call.version, call.failure)
                kind = self._metrics.kind(call.failure)
                self._writer.failed(self._adapter(call.adapter), self._metrics.version(call.version), call.at, kind)
                continue
            self._metrics.answered(call.adapter, call.version, call.seconds, call.model_seconds, call.fallback)
            adapter, version = self._adapter(call.adapter), self._metrics.version(call.version)
            self._writer.answered(adapter, version, call.at, call.seconds * 1000, call.fallback is not None)
            if self.source != "live":
                continue
            self._shape(adapter, version, call)
            if self._content.keeps:
                kept.append(Kept(call.at, self.source, adapter, version, call.text, call.output))
        if kept:
            try:
                self._content.keep(kept)
            except Exception as error:
                # A text that can't be masked or stored is not kept.
                with self._dropping:
                    self.dropped["content"] += len(kept)
                log.warning("%d calls' texts were not kept: %s", len(kept), type(error).__name__)

    def _shape(self, adapter: str, version: str, call: _Call) -> None:
        if adapter == OTHER:
            return
        spec = self._specs.get(adapter) or spec_of(adapter)
        wanted = features_of(spec.task)
        found: dict[str, str] = {}
        if "characters" in wanted:
            found |= of_text(call.output if spec.task == "speech-to-text" else call.text)
        if "label" in wanted and call.output is not None:
            found["label"] = self._label(adapter, call.output)
        if call.clip is not None:
            found |= of_sound(call.clip)
        for feature, place in found.items():
            if feature in wanted:
                self._writer.shape(adapter, version, feature, call.at, place)

    def _learn(self, now: float) -> None:
        """Compute the references that drift needs and nobody kept, a little at a time."""
        if self.source != "live":
            return
        if self._reference is None:
            wanted = self._lacking(now)
            if wanted is None:
                return
            version, model, key = wanted
            self._reference = (key, sampled(self._lake, version.engine, model), None)
        key, steps, last = self._reference
        until = time.perf_counter() + REFERENCE_SECONDS
        try:
            while time.perf_counter() < until:
                last = next(steps)
            self._reference = (key, steps, last)
        except StopIteration:
            self._reference = None
            if last is not None:
                self._writer.keep_reference(key, last.as_json(), now)
        except Exception:
            self._reference = None
            raise

    def _lacking(self, now: float) -> tuple[Version, Manifest, str] | None:
        """Return a version whose reference lacks and can be computed; each is looked at once a minute."""
        with self._looking:
            versions = self._health.versions()
            self._known |= {version.engine for version in versions}
            for adapter in sorted({version.engine for version in versions}):
                own = [version for version in versions if version.engine == adapter]
                version = self._health.reference_version(own)
                if version is None or now - self._references.get(slot := f"{adapter}/{version.version}", 0) < 60:
                    continue
                self._references[slot] = now
                model = self._health.model(version)
                key = reference_key(adapter, model) if model else None
                if model is None or key is None or self._health.reader.reference(key) is not None:
                    continue
                if why_none(self._lake, adapter, model) is None:
                    return version, model, key
        return None

    def _own_state(self) -> dict[str, Any]:
        told: dict[str, dict[str, Any]] = {}
        faults = []
        for name, ask in self._states.items():
            try:
                told[name] = dict(ask()) if ask else {}
            except Exception as error:
                # Whoever can't tell how it stands must not keep what was counted from the disk.
                told[name] = {}
                faults.append(f"{name}: {type(error).__name__}")
        return {
            "gateway": self.gateway,
            "address": self.address,
            "rules": rules_of(self.settings),
            "gateway_state": shown(told["gateway_state"]),
            "rollout": told["rollout"],
            "watch": {"dropped": dict(self.dropped), "tallies_fault": self._writer.fault, "faults": faults},
        }

    def _sweep(self, now: float) -> None:
        self._swept = now
        try:
            self._content.sweep(now)
        except Exception as error:
            log.warning("expired content was not deleted, it is tried again within the hour: %s", error)

    def _adapter(self, name: str) -> str:
        return self._metrics.adapter(name)

    def _label(self, adapter: str, answered: str) -> str:
        """Return a label to count, of which an adapter has so many and no more."""
        known = self._labels.setdefault(adapter, set())
        if len(known) < LABELS:
            known.add(answered)
        return answered if answered in known else OTHER
