"""The judgement of a trial: may the candidate go on, must it go back, or is it too early to say?

A candidate fails as soon as one metric shows harm, and passes once every metric is shown to be within its limit. All
else holds: no data, no feedback, a metric that stopped arriving or can't be a measurement is never a pass. The verdict
is a function of the observations in the store's order, not of when it is asked for, so two gateways agree.

Judged are `errors` (the candidate's failed or stalled calls less the incumbent's), `latency` (the ratio of both times
of a call) and `quality` (the difference of both losses, where feedback came). A call stalled that took over four times
`max_latency_ratio` as long as the other version's. So far a single ratio counts for the mean of ratios: rare and huge
ones, which a mean of cut ratios can't see, are counted as what they are to a caller. Disagreement and confidence are
shown and not judged: two answers that differ do not say which is right, and a better candidate has to differ; and a
model's confidence is its own claim, which fine-tuning moves whether or not its answers get better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_foundry.engines.adapters import spec_of
from data_foundry.errors import FoundryError
from data_foundry.serving.agreement import COMPARISONS
from data_foundry.serving.trials.sequential import LimitTest, Sample
from data_foundry.serving.trials.trial import Losses, Pair, Side, Trial
from data_foundry.serving_settings import Rollout

Verdict = Literal["pass", "fail", "hold"]

METRICS = ("errors", "latency", "quality")
STAGES = 3
"""In how many stages one candidate is tried: each may spend its part of alpha on a false alarm."""
LATENCY_SPAN = math.log(4)
"""How far from the limit the logarithm of a ratio of times counts: a quarter and four times the limit are the ends.
Both lie as far, so that noise which strikes both versions alike moves the mean to neither side of the limit."""
MEASURES = {
    "errors": "share of calls more that failed, or took over 4 times the limit of latency as long as the other version",
    "latency": "geometric mean of the ratios of both times, each cut at a quarter of the limit and 4 times the limit",
    "quality": "mean loss more, on calls with feedback",
}
SHORTEST_MILLISECONDS = 1e-3
STUCK = 100
"""So many values on end that are the same to the last digit are no measurement."""
LONGEST_GAP = 86_400.0
"""Seconds, at most, by which one gap counts among the usual ones."""
STALE_GAPS = 10
"""A metric that has not been heard of for this many times its usual gap has stopped arriving."""
LARGEST_E_VALUE = 1e300
_LARGEST_LOG = 700.0


def unscorable(adapter: str) -> str | None:
    """Return why no feedback can say how well an adapter answered, so that it stays in shadow; None where it can."""
    if COMPARISONS[spec_of(adapter).task].has_reference:
        return None
    return "no feedback can be scored for speech: it stays in shadow"


@dataclass
class Arrivals:
    """When values of one kind came (Unix seconds), by the clocks of those who kept them; `last` is the latest kept."""

    count: int = 0
    gaps: float = 0.0
    first: float = math.inf
    last: float = math.inf

    def note(self, at: float) -> None:
        """Count one in."""
        self.gaps += min(max(at - self.last, 0.0), LONGEST_GAP)
        self.count, self.first, self.last = self.count + 1, min(self.first, at), at

    def silent(self, until: float, patience: float) -> bool:
        """Whether none came for `patience` seconds, and for much longer than usual, before `until`.

        One that is so far ahead of `until` is of a wrong clock, and shows no more that values come.
        """
        # A clock that is wrong at times lengthens the whole, two that take turns the sum of the gaps.
        usual = min(self.gaps, self.last - self.first) / (self.count - 1) if self.count > 1 else 0.0
        ahead = self.last - until
        return ahead > patience or -ahead > max(patience, STALE_GAPS * usual)


_MEASURED = ("measure", "calls", "mean", "lower", "upper", "margin", "unit")


@dataclass(frozen=True)
class MetricJudgement:
    """What the observations say of one metric.

    `mean`, the confidence sequence `lower`..`upper` (level 1 - alpha) and `margin` are in `unit`: a "share" of calls
    more, a "loss" more, or the "ratio" of times; of what they are a mean, `measure` says (see MEASURES). The three are
    None before the first observation. e-values stand as natural logarithms.
    """

    measure: str
    calls: int
    mean: float | None
    lower: float | None
    upper: float | None
    margin: float
    unit: str
    log_e_harm: float
    harm_threshold: float
    failed_after: int | None
    log_e_safety: float
    safety_threshold: float
    verdict: Verdict
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return it JSON-like, every number finite; an e-value is cut at 1e300, its logarithm is not."""
        measured = {name: getattr(self, name) for name in _MEASURED}
        harm = {**_e_value(self.log_e_harm, self.harm_threshold), "failed_after": self.failed_after}
        safety = _e_value(self.log_e_safety, self.safety_threshold)
        return {**measured, "harm": harm, "safety": safety, "verdict": self.verdict, "reason": self.reason}


@dataclass
class _Range:
    """The least and the greatest of the values so far, and how many are the same on end."""

    low: float = math.inf
    high: float = -math.inf
    latest: float = math.nan
    run: int = 0

    def note(self, value: float) -> None:
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.run, self.latest = self.run + 1 if value == self.latest else 1, value

    @property
    def one(self) -> bool:
        """Whether all are one and the same, or the last STUCK."""
        return self.low == self.high or self.run >= STUCK


@dataclass(frozen=True)
class Judgement:
    """The verdict on a trial after `calls` pairs, why, and what each metric says; `shown` is not judged."""

    verdict: Verdict
    reason: str
    calls: int
    alpha: float
    metrics: Mapping[str, MetricJudgement]
    shown: Mapping[str, Mapping[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Return it JSON-like, every number finite."""
        metrics = {name: metric.as_json() for name, metric in self.metrics.items()}
        head = {"verdict": self.verdict, "reason": self.reason, "calls": self.calls, "alpha": self.alpha}
        return {**head, "metrics": metrics, "shown": {name: dict(figures) for name, figures in self.shown.items()}}


@dataclass
class _Metric:
    """One metric's test with what it takes to tell a measurement from a dead meter."""

    test: LimitTest
    unit: str
    arrivals: Arrivals = field(default_factory=Arrivals)

    def add(self, value: float, at: float) -> None:
        self.test.add(value)
        self.arrivals.note(at)


class Judge:
    """Judges one trial from its pairs and losses, which are to come in the store's order, each once.

    Harm needs an e-value of 9 / alpha: three metrics of one trial share alpha / 3, the chance that it ever takes back a
    harmless version; three trials, one a stage, make `alpha`. One more trial at a stage, because the incumbent became
    another, adds alpha / 3. A pass needs 1 / alpha in each metric, which no split can weaken: a version worse than a
    limit would have to get past the test of just that metric. That bound, too, is one trial's. A call costs the same,
    be it the first or the ten millionth.
    """

    def __init__(self, rollout: Rollout, trial: Trial) -> None:
        self.trial = trial
        self.rollout = rollout
        self._trial_id = trial.id
        ratio = math.log(rollout.max_latency_ratio)
        threshold = STAGES * len(METRICS) / rollout.alpha
        self._metrics = {
            "errors": _Metric(LimitTest(-1, 1, rollout.max_error_increase, threshold), "share"),
            "latency": _Metric(LimitTest(ratio - LATENCY_SPAN, ratio + LATENCY_SPAN, ratio, threshold), "ratio"),
            "quality": _Metric(LimitTest(-1, 1, rollout.max_quality_loss, threshold), "loss"),
        }
        self._disagreement = Sample(0, 1)
        self._confidence = Sample(-1, 1)
        self._stalls = Sample(-1, 1)
        self._log_ratios = 0.0
        self._last_pair = -math.inf
        self._times = {"incumbent": _Range(), "candidate": _Range()}
        self._losses = _Range()
        self._latest: Judgement | None = None

    @property
    def calls(self) -> int:
        """How many pairs were counted in."""
        return self._metrics["errors"].test.sample.count

    def observe(self, observation: Pair | Losses) -> None:
        """Count in a pair or the losses of a call; FoundryError for another trial's."""
        if isinstance(observation, Pair):
            self.pair(observation)
        else:
            self.losses(observation)

    def pair(self, pair: Pair) -> None:
        """Count in one call that both versions heard."""
        self._own(pair)
        failed, before = pair.candidate.error is not None, pair.incumbent.error is not None
        self._last_pair = pair.at
        took, took_before = _milliseconds(pair.candidate), _milliseconds(pair.incumbent)
        stalled = 0
        if took is not None and took_before is not None:
            self._times["candidate"].note(took)
            self._times["incumbent"].note(took_before)
            sample = self._metrics["latency"].test.sample
            ratio = math.log(took) - math.log(took_before)
            stalled = (ratio > sample.high) - (-ratio > sample.high)
            self._log_ratios += ratio
            self._stalls.add(stalled)
            self._metrics["latency"].add(min(max(ratio, sample.low), sample.high), pair.at)
        # Only where both answered can one have stalled, so the sum stays within -1..1.
        self._metrics["errors"].add(failed - before + stalled, pair.at)
        if pair.disagreement is not None:
            self._disagreement.add(pair.disagreement)
        if pair.candidate.confidence is not None and pair.incumbent.confidence is not None:
            self._confidence.add(pair.candidate.confidence - pair.incumbent.confidence)

    def losses(self, losses: Losses) -> None:
        """Count in what feedback on one call says of both answers."""
        self._own(losses)
        self._losses.note(losses.incumbent)
        self._losses.note(losses.candidate)
        self._metrics["quality"].add(losses.candidate - losses.incumbent, losses.at)

    def judgement(self) -> Judgement:
        """Return what the observations so far say; asked again with nothing new, it costs nothing."""
        if self._latest is None:
            self._latest = self._judgement()
        return self._latest

    def _judgement(self) -> Judgement:
        metrics = {name: self._judged(name) for name in METRICS}
        verdict, reason = self._verdict(metrics)
        samples = {"disagreement": self._disagreement, "confidence": self._confidence, "stalls": self._stalls}
        shown = {name: self._shown(sample) for name, sample in samples.items()}
        timed = self._metrics["latency"].test.sample.count
        # Of ratios that are not cut no bound can be given: a single one may be as large as it likes.
        whole = math.exp(min(self._log_ratios / timed, _LARGEST_LOG)) if timed else None
        shown["times"] = {"measure": "geometric mean of the ratios of both times", "calls": timed, "mean": whole}
        return Judgement(verdict, reason, self.calls, self.rollout.alpha, metrics, shown)

    def _verdict(self, metrics: Mapping[str, MetricJudgement]) -> tuple[Verdict, str]:
        harmful = [f"{name}: {metric.reason}" for name, metric in metrics.items() if metric.verdict == "fail"]
        if harmful:
            return "fail", "; ".join(harmful)
        if not self.calls:
            return "hold", "no call was heard by both versions"
        if self.calls < self.rollout.min_calls:
            return "hold", f"{self.calls} of at least {self.rollout.min_calls} calls"
        held = [f"{name}: {metric.reason}" for name, metric in metrics.items() if metric.verdict == "hold"]
        if held:
            return "hold", "; ".join(held)
        return "pass", f"every metric is within its limit after {self.calls} calls"

    def _judged(self, name: str) -> MetricJudgement:
        metric = self._metrics[name]
        test, sample = metric.test, metric.test.sample
        in_unit = math.exp if metric.unit == "ratio" else float
        mean = lower = upper = None
        if sample.mean is not None:
            mean = in_unit(sample.mean)
            lower, upper = (in_unit(bound) for bound in sample.confidence_sequence(self.rollout.alpha))
        safety_threshold = 1 / self.rollout.alpha
        log_e_harm, log_e_safety = test.harm.log_e, test.safety.log_e
        margin = in_unit(test.limit)
        unmeasured = self._unmeasured(name)
        verdict: Verdict = "hold"
        if test.failed_after is not None:
            verdict = "fail"
            reason = f"over the limit of {margin:g} ({metric.unit}), as {test.failed_after} calls showed"
        elif unmeasured:
            reason = unmeasured
        elif log_e_safety >= math.log(safety_threshold):
            verdict, reason = "pass", f"under the limit of {margin:g} ({metric.unit})"
        else:
            reason = f"not yet known to be under the limit of {margin:g} ({metric.unit})"
        return MetricJudgement(
            MEASURES[name],
            sample.count,
            mean,
            lower,
            upper,
            margin,
            metric.unit,
            log_e_harm,
            test.harm_threshold,
            test.failed_after,
            log_e_safety,
            safety_threshold,
            verdict,
            reason,
        )

    def _unmeasured(self, name: str) -> str | None:
        """Return why a metric's values can't be what they should be, if so."""
        metric = self._metrics[name]
        if not metric.arrivals.count:
            no_feedback = unscorable(self.trial.adapter) or "no feedback"
            return {"errors": "no call", "latency": "no call that both answered in time", "quality": no_feedback}[name]
        if metric.arrivals.silent(self._last_pair, 2 * 60 * self.rollout.feedback_minutes):
            return f"stopped arriving: calls go on, the last of {metric.arrivals.count} values is old"
        if name == "latency":
            still = [
                f"the last {times.run} times of the {side} are all {times.latest:g} ms"
                for side, times in self._times.items()
                if times.one
            ]
            return f"a dead meter: {' and '.join(still)}" if still else None
        if name == "quality" and self._losses.one and self._losses.latest > 0:
            if self._losses.latest == 1:
                wrong = f"feedback calls the last {self._losses.run} answers of both versions wrong"
                return f"{wrong}: it may not be about these calls"
            return f"a dead meter: the last {self._losses.run} losses of both versions are all {self._losses.latest:g}"
        return None

    def _shown(self, sample: Sample) -> dict[str, Any]:
        lower, upper = sample.confidence_sequence(self.rollout.alpha) if sample.count else (None, None)
        return {"calls": sample.count, "mean": sample.mean, "lower": lower, "upper": upper}

    def _own(self, observation: Pair | Losses) -> None:
        """Let in what is this trial's, after which the judgement is to be made anew."""
        if observation.trial != self._trial_id:
            raise FoundryError(
                f"An observation of trial {observation.trial} is none of trial {self._trial_id}.",
                "Give each judge its own trial's pairs and losses.",
            )
        self._latest = None


def _milliseconds(side: Side) -> float | None:
    """Return how long a side took for its answer, at least what a clock can tell; None where there is no answer."""
    if side.error is not None or side.milliseconds is None:
        return None
    return max(side.milliseconds, SHORTEST_MILLISECONDS)


def _e_value(log_e: float, threshold: float) -> dict[str, Any]:
    e_value = min(math.exp(min(log_e, _LARGEST_LOG)), LARGEST_E_VALUE)
    return {"log_e_value": log_e, "e_value": e_value, "threshold": threshold}
