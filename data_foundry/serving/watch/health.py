"""The health of all deployments as one JSON-like whole, from the disk: what the page, the terminal and metrics show.

Stages and history are the registry's, traffic and drift the tallies', routes and trials what the gateways said last,
each with the time. A gateway need not run: then what is told is old, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from data_foundry import __version__
from data_foundry.config import Settings
from data_foundry.engines.adapters import adapters
from data_foundry.engines.spec import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.serving.routing import who_answers, wishes
from data_foundry.serving.shell_command import shell_command
from data_foundry.serving.standings import score_of
from data_foundry.serving.trials.approval import APPROVABLE, approval_of
from data_foundry.serving.trials.trial import BASE, Trial
from data_foundry.serving.watch.drift import WINDOW_HOURS, drift, worst
from data_foundry.serving.watch.mirrors import mirrors_of
from data_foundry.serving.watch.reference import reference_key, why_none
from data_foundry.serving.watch.rules import differing, rules_of, under
from data_foundry.serving.watch.taken_back import taken_back
from data_foundry.serving.watch.tallies import NO_ADAPTER, SILENT_SECONDS, Heard, TallyReader
from data_foundry.serving.watch.traffic import Traffic
from data_foundry.serving.watch.trials_seen import trials_seen
from data_foundry.serving.watch.waiting import waiting

SCHEMA = 1
HISTORY = 60
OTHER_VERSIONS = 5
"""So many versions of an adapter that nobody hears are told of, the latest."""
LATEST_GATEWAYS = 8
"""So many gateways are told of whether they run or not."""
REFERENCE_SECONDS = 5.0
Answering = dict[str, tuple[str | None, str]]
"""By adapter: who is to answer, or None and why nobody does."""
ACTIVE = (Stage.PRODUCTION, Stage.STAGING, Stage.SHADOW)
TRIED = (Stage.STAGING, Stage.SHADOW)
LEFT = (Stage.ROLLED_BACK, Stage.RETIRED)


def health(settings: Settings) -> dict[str, Any]:
    """Return the health of all deployments under one base path. Raises FoundryError for files that can't be read.

    Where no gateway runs, trials are judged here, from what is kept of them.
    """
    from data_foundry.serving.trials.rollout import trials_of

    now, looking = time.time(), Health(settings)
    gateways = looking.gateways(now)
    if any(heard.running(now) for heard in gateways):
        return looking.look(now)
    last = next((heard.state for heard in reversed(gateways)), {})
    own = {**last, "gateway": last.get("gateway"), "rollout": {"trials": trials_of(settings)}}
    return looking.look(now, own, running=False)


class Health:
    """Looks again and again, and reads anew only what changed. Not safe to call from two threads at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # With the rules of the gateways that run in place of its own, see `rules`.
        self.followed = settings
        self.lake = Lake(settings)
        self.registry = Registry(self.lake)
        self.reader = TallyReader(self.lake)
        self.traffic = Traffic(self.reader)
        self._specs = adapters(settings.training)
        self._stages: tuple[Any, list[Version], list[HistoryEntry], list[Trial], Answering] | None = None
        self._models: dict[tuple[str, str], tuple[float, Manifest | None]] = {}
        self._references: dict[str, tuple[float, dict[str, Any] | None, str | None]] = {}

    def look(self, now: float, own: Mapping[str, Any] | None = None, running: bool = True) -> dict[str, Any]:
        """Return the whole; `own` is the state of the gateway that asks, which is newer than what lies on the disk.

        `running` False: nobody answers just now, and what is told of who does is what would be.
        """
        faults = []
        try:
            gateways = self.gateways(now)
            traffic = self.traffic.of(now)
            shapes = self.reader.shapes(int(now // 3600) - WINDOW_HOURS + 1)
        except FoundryError as error:
            # Stages and trials don't depend on counts.
            faults, gateways, traffic, shapes = [f"{error.message} {error.hint}"], [], Traffic.none, {}
        states = [heard.state for heard in _latest(gateways, now)]
        if own is not None:
            states = [state for state in states if state.get("gateway") != own["gateway"]] + [own]
        told_rules = [state["rules"] for state in states if state.get("rules")] if running else []
        rules = {**rules_of(self.settings), **(told_rules[-1] if told_rules else {})}
        self.followed = under(self.settings, rules)
        versions, history, standing, answering = self._registered()
        trials = trials_seen(standing, [state.get("rollout") or {} for state in states])
        names = dict.fromkeys([*self._specs, *sorted({version.engine for version in versions})])
        told = [
            self._adapter(
                name,
                [version for version in versions if version.engine == name],
                [entry for entry in history if entry.engine == name],
                trials.get(name, []),
                [((state.get("gateway_state") or {}).get("adapters") or {}).get(name) or {} for state in states],
                traffic(name),
                {(version, feature): c for (of, version, feature), c in shapes.items() if of == name},
                answering.get(name, (None, "no adapter of this name is in the settings")),
                running,
            )
            for name in names
        ]
        at_the_door = traffic(NO_ADAPTER)
        return {
            "schema": SCHEMA,
            "program": __version__,
            "at": _iso(now),
            "gateways": [_gateway(heard, now) for heard in gateways],
            "last_heard": _iso(max((heard.heard for heard in gateways), default=None)),
            "running": running and (own is not None or any(heard.running(now) for heard in gateways)),
            "deployment": rules,
            "serve": shell_command(self.settings, "serve"),
            "waiting": waiting(self.settings, told),
            "adapters": told,
            "history": [_entry(entry) for entry in reversed(history[-HISTORY:])],
            "error_answers": {span: at_the_door[span]["failures"] for span in ("hour", "day")},
            "errors": faults
            + differing(told_rules)
            + [error for state in states for error in (state.get("rollout") or {}).get("errors") or ()],
        }

    def gateways(self, now: float) -> list[Heard]:
        """Return the gateways that take calls: those that run, and the latest that did."""
        heard = self.reader.gateways(now - SILENT_SECONDS, live=LATEST_GATEWAYS)
        return [each for each in heard if each.source == "live"]

    def answering(self, adapter: str, versions: list[Version]) -> Version | None:
        """Return the version that answers callers of an adapter, None for the base."""
        return next((v for v in versions if v.engine == adapter and v.stage is Stage.PRODUCTION), None)

    def reference_version(self, versions: list[Version]) -> Version | None:
        """Return whose training rows calls are held against: what answers, or is to, or did last; None for nothing."""
        by_stage = {version.stage: version for version in versions}
        answered = {
            (entry.engine, entry.version) for entry in self._registered()[1] if entry.to_stage == Stage.PRODUCTION
        }
        left = [v for v in versions if v.stage in LEFT and (v.engine, v.version) in answered]
        last = max(left, key=lambda version: version.stage_since, default=None)
        return next((by_stage[stage] for stage in ACTIVE if stage in by_stage), last)

    def model(self, version: Version) -> Manifest | None:
        """Return a version's manifest, read again after a minute at the earliest."""
        slot, now = (version.engine, version.version), time.monotonic()
        if slot not in self._models or now - self._models[slot][0] > 60:
            self._models[slot] = (now, self.lake.readable(Layer.MODELS, f"{version.engine}/{version.version}"))
        return self._models[slot][1]

    def versions(self) -> list[Version]:
        """Return every registered version."""
        return self._registered()[0]

    def _registered(self) -> tuple[list[Version], list[HistoryEntry], list[Trial], Answering]:
        stamp = self._stamp(), rules_of(self.followed)
        if self._stages is None or self._stages[0] != stamp:
            wished = wishes(self.followed, self.registry)
            trials = [trial for wish in wished.values() for trial in wish.trials]
            answering = {name: who_answers(self.followed, self.lake, wish) for name, wish in wished.items()}
            self._stages = (stamp, self.registry.versions(), self.registry.history(), trials, answering)
        return self._stages[1:]

    def _stamp(self) -> list[tuple[int, int] | None]:
        path = self.registry.path
        stamps: list[tuple[int, int] | None] = []
        for file in (path, path.with_name(f"{path.name}-wal")):
            try:
                found = file.stat()
                stamps.append((found.st_mtime_ns, found.st_size))
            except FileNotFoundError:
                stamps.append(None)
        return stamps

    def _adapter(
        self,
        name: str,
        versions: list[Version],
        history: list[HistoryEntry],
        trials: list[dict[str, Any]],
        states: list[Mapping[str, Any]],
        traffic: dict[str, Any],
        shapes: Mapping[tuple[str, str], Any],
        would_answer: tuple[str | None, str],
        running: bool,
    ) -> dict[str, Any]:
        active = [version for stage in ACTIVE for version in versions if version.stage is stage]
        others = [version for version in reversed(versions) if version not in active][:OTHER_VERSIONS]
        answering = self.answering(name, versions)
        latest = next(iter([*active, *others]), None)
        spec = self._specs.get(name)
        answers, why = would_answer
        said = next((state["why"] for state in reversed(states) if state.get("why")), None)
        if said and running:
            answers, why = None, said
        return {
            "adapter": name,
            "title": spec.title if spec else None,
            "answering": answers,
            "stage": latest.stage.value if latest else "none",
            "reason": latest.reason if latest else "nothing is registered",
            "since": latest.stage_since if latest else None,
            "not_served": None if answers else self._not_served(why, active),
            "taken_back": taken_back(versions, history),
            "error": next((state["error"] for state in reversed(states) if state.get("error")), None),
            "versions": [
                {"version": v.version, "stage": v.stage.value, "since": v.stage_since, "reason": v.reason,
                 "score": score_of(self.model(v)), "approval": self._approval(v, history)}
                for v in [*active, *others]
            ],
            "shares": self._shares(answers, active, traffic),
            "in_flight": _sum(states, "in_flight"),
            "waiting": _sum(states, "waiting"),
            "mirrors": mirrors_of(states),
            "trials": trials,
            "traffic": traffic,
            "drift": self._drift(name, spec, versions, answering, answers is not None, shapes),
        }  # fmt: skip

    def _approval(self, version: Version, history: list[HistoryEntry]) -> dict[str, Any] | None:
        """Return a person's word on a version that is on its way up, or why there is none; None for any other."""
        if version.stage not in APPROVABLE:
            return None
        given, said = approval_of(history, version, self.followed.rollout)
        found = {name: getattr(given, name, None) for name in ("approver", "at", "until", "reason")}
        return {**found, "told": f"{said}: {given.reason}" if given else said}

    def _not_served(self, why: str, active: list[Version]) -> str:
        """Return why nobody answers, and what hears the calls all the same."""
        stages = TRIED if self.followed.deployment.shadow_testing else (Stage.STAGING,)
        tried = [version.version for version in active if version.stage in stages]
        heard = f"{' and '.join(tried)} {'hears' if len(tried) == 1 else 'hear'} a share of the calls all the same"
        return f"{why.rstrip('.')}; {heard}" if tried else why

    def _shares(self, answers: str | None, active: list[Version], traffic: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return who is asked for which share of callers, and what share a trial hears, as registry and settings say.

        Beside it what was measured: how many calls of the last hour each "answered" of the "calls" that were.
        """
        staging = next((version for version in active if version.stage is Stage.STAGING), None)
        shadow = next((version for version in active if version.stage is Stage.SHADOW), None)
        mirrors = self.followed.deployment.shadow_testing
        share, hears = self.followed.rollout.staging_share, self.followed.deployment.shadow_share
        asked = share if staging and answers else 0.0
        main = {"version": answers or BASE, "share": round(1 - asked, 6) if answers else 0.0, "hears": 1.0}
        found = [{**main, "role": BASE if answers in (None, BASE) else "production"}]
        if staging:
            # What it answers it hears; beside that, as what nobody answers, what the lot of the shadow falls on.
            both = round(1 - (1 - share) * (1 - hears), 6)
            found.append({"version": staging.version, "role": "staging", "share": asked, "hears": both})
        if shadow and mirrors:
            found.append({"version": shadow.version, "role": "shadow", "share": 0.0, "hears": hears})
        whole, calls = traffic["versions"], traffic["hour"]["calls"]
        return [
            {**share, "answered": whole.get(share["version"], {}).get("answered", 0), "calls": calls} for share in found
        ]

    def _drift(
        self, name: str, spec: EngineSpec | None, versions: list[Version], answering: Version | None,
        answers: bool, shapes: Mapping[tuple[str, str], Any],
    ) -> dict[str, Any]:  # fmt: skip
        version, by = self.reference_version(versions), answering.version if answering else BASE
        found: dict[str, Any] = {
            "window_hours": WINDOW_HOURS,
            "reference": None,
            "answered_by": by if answers else None,
            "verdict": "not_judged",
            "features": [],
        }
        if version is None:
            return {**found, "reason": "no reference: no version answers, nor is one to, nor did one"}
        model = self.model(version)
        reference, reason = self._reference(name, model)
        task = (model.details.get("task") if model else None) or (spec.task if spec else None)
        if task is None:
            return {**found, "reason": f"no reference: {reason}"}
        features = drift(task, shapes, by, version.version, reference, reason)
        held: dict[str, Any] | None = None
        if reference:
            held = {"version": version.version, "stage": version.stage.value}
            held |= {"rows": reference["rows"], "clips": reference["clips"]}
        return {
            **found, "reference": held, "verdict": worst(features), "features": features,
            "reason": None if reference else f"no reference: {reason}",
        }  # fmt: skip

    def _reference(self, name: str, model: Manifest | None) -> tuple[dict[str, Any] | None, str | None]:
        key = reference_key(name, model) if model else None
        looked, kept, why = self._references.get(key or "", (0.0, None, None))
        # What is kept stays as it is; whether there is something by now is asked again soon.
        if kept is None and time.monotonic() - looked > REFERENCE_SECONDS:
            kept = self.reader.reference(key) if key else None
            if kept is None:
                why = why_none(self.lake, name, model) or "a gateway computes it from the training rows once it runs"
            if key:
                self._references[key] = (time.monotonic(), kept, None if kept else why)
        return kept, None if kept else why


def _latest(gateways: list[Heard], now: float) -> list[Heard]:
    """Return the gateways that run, or the one that ran last."""
    return [heard for heard in gateways if heard.running(now)] or gateways[-1:]


def _gateway(heard: Heard, now: float) -> dict[str, Any]:
    return {
        "gateway": heard.gateway,
        "host": heard.host,
        "pid": heard.pid,
        "address": heard.state.get("address"),
        "started": _iso(heard.started),
        "heard": _iso(heard.heard),
        "closed": _iso(heard.closed),
        "running": heard.running(now),
        "missing": list((heard.state.get("gateway_state") or {}).get("missing") or ()),
        "watch": heard.state.get("watch") or {},
    }


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "event": entry.event,
        "adapter": entry.engine,
        "version": entry.version,
        "from": entry.from_stage,
        "to": entry.to_stage,
        "actor": entry.actor,
        "reason": entry.reason,
    }


def _sum(states: list[Mapping[str, Any]], name: str) -> int | None:
    known = [state[name] for state in states if state.get(name) is not None]
    return sum(known) if known else None


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
