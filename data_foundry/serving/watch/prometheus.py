"""Metrics for Prometheus, in a registry of their own: counters of calls, and gauges read at each scrape.

Labels come from the program alone: names of adapters and versions, kinds of failures, stages. Nothing that a caller
sends (an id, a text, a key, a name that no adapter has) becomes a label; what is not known to be one of ours is
counted as "other".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric

OTHER = "other"
MOST_VALUES = {"version": 500, "kind": 64, "code": 64}
"""Of one label; what comes after these is "other"."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STAGES = ("none", "shadow", "staging", "production", "retired", "rolled_back")
OUTCOMES = ("answered", "timed_out", "errors", "dropped")
VERDICTS = ("pass", "fail", "hold")
DRIFT_VERDICTS = ("steady", "drifting", "shifted", "not_judged")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9_.\-]{1,32}")
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "data_foundry_calls_in_flight": ("calls that a model works on or that wait for it", ("adapter",)),
    "data_foundry_calls_waiting": ("calls that wait for a model", ("adapter",)),
    "data_foundry_shadow_waiting": ("calls that wait for a shadow", ("adapter", "version", "stage")),
    "data_foundry_stage": ("1 for the stage that a version stands at", ("adapter", "version", "stage")),
    "data_foundry_traffic_share": ("share of callers that a version answers", ("adapter", "version")),
    "data_foundry_trial_pairs": ("calls that both versions of a trial heard", ("adapter", "version", "stage")),
    "data_foundry_trial_disagreement": ("mean disagreement of both answers, 0..1", ("adapter", "version", "stage")),
    "data_foundry_trial_log10_e_value": (
        "evidence on one question of a trial; from log10(1 / alpha) on it is decided",
        ("adapter", "version", "stage", "metric", "question"),
    ),
    "data_foundry_trial_difference": (
        "candidate against incumbent: mean and both bounds of its confidence sequence",
        ("adapter", "version", "stage", "metric", "figure"),
    ),
    "data_foundry_trial_verdict": ("1 for a trial's verdict", ("adapter", "version", "stage", "verdict")),
    "data_foundry_drift_psi": ("population stability index of live calls against training", ("adapter", "feature")),
    "data_foundry_drift_p_value": ("chance of a difference as large where there is none", ("adapter", "feature")),
    "data_foundry_drift_calls": ("calls that a drift figure rests on", ("adapter", "feature")),
    "data_foundry_drift_verdict": ("1 for a feature's verdict", ("adapter", "feature", "verdict")),
}
_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "data_foundry_shadow_calls": (
        "calls chosen for the shadow, by what became of them", ("adapter", "version", "stage", "outcome"),
    ),
    "data_foundry_watch_dropped": ("calls that the watching let go, because it was behind or went wrong", ("what",)),
    "data_foundry_candidate_restarts": ("starts anew of a candidate's process", ("adapter", "version", "stage")),
}  # fmt: skip
Reading = tuple[str, tuple[str, ...], float]
"""A metric's name, its label values, and the value."""


class Metrics:
    """The metrics of one gateway; `readings` is asked at each scrape, in the scraper's thread.

    `adapters` are the names that become labels; who made the metrics may add to them.
    """

    def __init__(self, adapters: Set[str], readings: Callable[[], Iterator[Reading]]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        self._adapters, self._readings = adapters, readings
        self._seen: dict[str, set[str]] = {label: set() for label in MOST_VALUES}
        of_version = ("adapter", "version")
        self._calls = Counter(
            "data_foundry_calls", "calls that were answered", of_version, registry=self.registry
        )  # fmt: skip
        self._failures = Counter(
            "data_foundry_failures", "calls without an answer", (*of_version, "kind"), registry=self.registry
        )
        self._fallbacks = Counter(
            "data_foundry_fallbacks", "answers in place of the version named", of_version, registry=self.registry
        )
        self._errors = Counter(
            "data_foundry_error_answers", "requests that were answered with an error", ("code",), registry=self.registry
        )
        self._seconds = Histogram(
            "data_foundry_call_seconds", "from a call's arrival to its answer", of_version, buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._model = Histogram(
            "data_foundry_model_seconds", "what the model worked on a call", of_version, buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.registry.register(self)  # type: ignore[arg-type]

    def answered(self, adapter: str, version: str, seconds: float, model_seconds: float, fallback: str | None) -> None:
        """Count an answered call; `fallback` names the version whose place another took."""
        labels = self.adapter(adapter), self.version(version)
        self._calls.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)
        self._model.labels(*labels).observe(model_seconds)
        if fallback:
            self._fallbacks.labels(labels[0], self.version(fallback)).inc()

    def failed(self, adapter: str, version: str, kind: str) -> None:
        """Count a call without an answer."""
        self._failures.labels(self.adapter(adapter), self.version(version), self.kind(kind)).inc()

    def answered_error(self, code: str, count: int = 1) -> None:
        """Count requests that were answered with an error."""
        self._errors.labels(self.code(code)).inc(count)

    def text(self) -> tuple[bytes, str]:
        """Return the exposition and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def adapter(self, name: str) -> str:
        """Return an adapter's label: its name where there is such an adapter."""
        return name if name in self._adapters else OTHER

    def version(self, name: str) -> str:
        """Return a version's label."""
        return self._of("version", name if _VERSION.fullmatch(name) else OTHER)

    def kind(self, name: str) -> str:
        """Return a failure's label: a short word from the program, never a sentence."""
        return self._of("kind", name if _WORD.fullmatch(name) else OTHER)

    def code(self, name: str) -> str:
        """Return an error's label: a short word from the program, as a failure's is."""
        return self._of("code", name if _WORD.fullmatch(name) else OTHER)

    def collect(self) -> Iterator[Metric]:
        """Yield what is read at a scrape; prometheus_client calls this."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families: dict[str, Any] = {
            **{name: GaugeMetricFamily(name, about, labels=labels) for name, (about, labels) in _GAUGES.items()},
            **{name: CounterMetricFamily(name, about, labels=labels) for name, (about, labels) in _COUNTERS.items()},
        }
        for name, values, value in self._readings():
            families[name].add_metric(values, value)
        yield from families.values()

    def describe(self) -> list[Metric]:
        """Nothing is read when this registers."""
        return []

    def _of(self, label: str, value: str) -> str:
        seen = self._seen[label]
        if value in seen:
            return value
        if len(seen) >= MOST_VALUES[label]:
            return OTHER
        seen.add(value)
        return value


def readings_of(entry: Mapping[str, Any]) -> Iterator[Reading]:
    """Yield the gauges and counters that an adapter's status (health.py) holds; what is not known is not exposed."""
    adapter = entry["adapter"]
    for name, key in (("data_foundry_calls_in_flight", "in_flight"), ("data_foundry_calls_waiting", "waiting")):
        if entry[key] is not None:
            yield name, (adapter,), float(entry[key])
    for version in entry["versions"]:
        for stage in STAGES:
            yield "data_foundry_stage", (adapter, version["version"], stage), float(version["stage"] == stage)
    for share in entry["shares"]:
        yield "data_foundry_traffic_share", (adapter, share["version"]), float(share["share"])
    for mirror in entry["mirrors"]:
        yield from _mirror_readings(adapter, mirror)
    for trial in entry["trials"]:
        yield from _trial_readings(adapter, trial)
    for drifted in entry["drift"]["features"]:
        yield from _drift_readings(adapter, drifted)


def _mirror_readings(adapter: str, mirror: Mapping[str, Any]) -> Iterator[Reading]:
    labels = adapter, mirror["candidate"], mirror["stage"]
    for outcome in OUTCOMES:
        counts = mirror[outcome]
        yield (
            "data_foundry_shadow_calls",
            (*labels, outcome),
            float(sum(counts.values()) if isinstance(counts, Mapping) else counts),
        )
    yield "data_foundry_shadow_waiting", labels, float(mirror["waiting"])
    yield "data_foundry_candidate_restarts", labels, float(mirror["restarts"])


def _trial_readings(adapter: str, trial: Mapping[str, Any]) -> Iterator[Reading]:
    labels = adapter, trial["candidate"], trial["stage"]
    yield "data_foundry_trial_pairs", labels, float(trial["pairs"] or 0)
    if trial.get("disagreement") is not None:
        yield "data_foundry_trial_disagreement", labels, float(trial["disagreement"])
    for verdict in VERDICTS:
        yield "data_foundry_trial_verdict", (*labels, verdict), float(trial["verdict"] == verdict)
    for metric in trial["metrics"]:
        for question in ("harm", "safety"):
            log_e = (metric.get(question) or {}).get("log10_e_value")
            if log_e is not None and math.isfinite(log_e):
                yield "data_foundry_trial_log10_e_value", (*labels, metric["metric"], question), float(log_e)
        for figure in ("mean", "lower", "upper"):
            if metric.get(figure) is not None and math.isfinite(metric[figure]):
                yield "data_foundry_trial_difference", (*labels, metric["metric"], figure), float(metric[figure])


def _drift_readings(adapter: str, drifted: Mapping[str, Any]) -> Iterator[Reading]:
    labels = adapter, drifted["feature"]
    yield "data_foundry_drift_calls", labels, float(drifted["calls"])
    for name, key in (("data_foundry_drift_psi", "psi"), ("data_foundry_drift_p_value", "p_value")):
        if drifted[key] is not None:
            yield name, labels, float(drifted[key])
    for verdict in DRIFT_VERDICTS:
        yield "data_foundry_drift_verdict", (*labels, verdict), float(drifted["verdict"] == verdict)
