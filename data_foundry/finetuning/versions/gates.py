"""Gates: what an adapter must show before it may hear a call.

Each says pass, fail, or inconclusive, by one rule on the 95 % interval of its figure: pass when the interval lies
wholly on the good side of the bound, fail when wholly on the bad side, inconclusive otherwise and where there is no
interval. What is inconclusive is for a person. A version passes when every gate passes: together they claim no more
than each does alone, so that claim needs no correction for their number.

An interval that touches its value shows no spread on that side (every row right, say), which few rows show easily.
There the bound of the rule of three stands in for it: what none of n rows showed may still be true of 3/n of all (95 %;
Hanley and Lippman-Hand 1983).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from data_foundry.config import Gates
from data_foundry.figures import counted
from data_foundry.finetuning.evaluation.bootstrap import LEVEL
from data_foundry.finetuning.evaluation.metrics import Comparison, Interval
from data_foundry.report import GateVerdict
from data_foundry.training_config import TrainingConfig

Verdict = Literal["pass", "fail", "inconclusive"]
RULE = (
    "A gate passes when the 95 % interval of its figure lies wholly on the good side of the bound, fails when it lies "
    "wholly on the bad side, and is inconclusive otherwise: then a person decides. Where the rows showed no spread, "
    "the rule of three gives the bound (3 in the number of rows). That one of several slices fails must show in an "
    "interval widened for their number (Bonferroni)."
)
LISTED = 5
"""How many slices that were too small to judge a reason names."""


@dataclass(frozen=True)
class Measured:
    """Base and adapted compared by the primary score, on `rows` rows; `units` (speakers or rows) were resampled.

    `speakers` is how many are known, None where none is.
    """

    score: Comparison
    rows: int
    units: int
    speakers: int | None = None


@dataclass(frozen=True)
class Figures:
    """What is judged. `control` and `phone` are None where nothing was measured, `slices` where none was made.

    `score` defines the primary score. Slices are named by dimension and value: "dialect malabar".
    """

    score: str
    test: Measured
    control: Measured | None
    control_note: str
    phone: Measured | None = None
    slices: Mapping[str, Measured] | None = None


def judge(figures: Figures, config: TrainingConfig, gates: Gates) -> list[GateVerdict]:
    """Return the verdict of every gate; the one on the phone channel only where that was measured."""
    found = [
        minimum_score(figures, gates.min_score if config.min_score is None else config.min_score),
        improvement(figures.test),
        base_domain(figures.control, figures.control_note, config.max_base_regression),
        slice_regression(figures, config.max_slice_regression, config.min_slice_rows),
        enough_rows(figures.test, config.min_test_rows, config.min_test_speakers),
    ]
    if figures.phone is not None:
        found.insert(4, phone_regression(figures.phone, config.max_phone_regression))
    return found


def overall(verdicts: Sequence[GateVerdict]) -> Verdict:
    """Return pass when all gates pass, fail when one fails, inconclusive otherwise."""
    found = {verdict.verdict for verdict in verdicts}
    return "fail" if "fail" in found else "pass" if found == {"pass"} else "inconclusive"


def minimum_score(figures: Figures, bound: float) -> GateVerdict:
    """The adapted model's primary score reaches the bound."""
    interval = believable(figures.test.score.adapted, figures.test.units, floor=0.0)
    verdict = side(interval, bound)
    meaning = {"pass": "reaches", "fail": "is below", "inconclusive": "may or may not reach"}[verdict]
    reason = f"score {figure(interval)} on {figures.test.rows} rows {meaning} {bound:g}"
    return _verdict("minimum_score", verdict, interval, bound, reason, measure=figures.score)


def improvement(test: Measured) -> GateVerdict:
    """The adapted model is better than the base beyond chance: the interval of the difference lies above 0."""
    change = believable(test.score.difference, test.units)
    # No better is not good enough: 0 itself is on the bad side.
    verdict = side(change, math.nextafter(0.0, 1.0))
    meaning = {
        "pass": "better than the base beyond chance",
        "fail": "not better than the base",
        "inconclusive": "better or not, the rows can't tell",
    }[verdict]
    return _verdict("improvement", verdict, change, 0.0, f"{_change(test.score, change)}: {meaning}")


def base_domain(control: Measured | None, note: str, tolerance: float) -> GateVerdict:
    """The adapted model lost no more than the tolerance of the score on the base's own domain."""
    if control is None:
        return GateVerdict(gate="base_domain", verdict="inconclusive", bound=-tolerance, reason=note)
    return _held("base_domain", control, f"on {note}", tolerance)


def phone_regression(phone: Measured, tolerance: float) -> GateVerdict:
    """Through the phone channel the adapted model is no worse than the base beyond the tolerance."""
    return _held("phone_regression", phone, f"on {phone.rows} rows through the phone channel", tolerance)


def slice_regression(figures: Figures, tolerance: float, least: int) -> GateVerdict:
    """No slice of the test rows lost more than the tolerance of the score; slices of fewer than `least` are not judged.

    That every slice holds is claimed when each one's interval says so, and needs no correction (an intersection-union
    test); that some slice fails is found the more easily the more there are, so for that each interval is widened to
    1 - 0.05 / slices (Bonferroni).
    """
    name, bound, slices = "slice_regression", -tolerance, figures.slices
    if slices is None:
        return GateVerdict(gate=name, verdict="inconclusive", bound=bound, reason="slices were not measured")
    small = {each: found.rows for each, found in slices.items() if found.rows < least}
    judged = {
        each: believable(found.score.difference, found.units) for each, found in slices.items() if each not in small
    }
    named = ", ".join(f"{each} ({rows})" for each, rows in sorted(small.items())[:LISTED])
    more = f" and {len(small) - LISTED} more" if len(small) > LISTED else ""
    left = f"; too few rows to judge: {named}{more}" if small else ""
    if not judged:
        reason = f"no slice has {least} rows{left}"
        return GateVerdict(gate=name, verdict="inconclusive", bound=bound, reason=reason)
    failed = [each for each, change in judged.items() if side(widened(change, len(judged)), bound) == "fail"]
    held = [each for each, change in judged.items() if side(change, bound) == "pass"]
    verdict: Verdict = "fail" if failed else "pass" if len(held) == len(judged) else "inconclusive"
    concerned = failed or [each for each in judged if each not in held] or list(judged)
    # NaN is never the lowest of anything: a slice without a figure comes first.
    worst = min(concerned, key=lambda each: (math.isfinite(judged[each].low), judged[each].low, each))
    if verdict == "fail":
        start = f"{len(failed)} of {len(judged)} slices lost more than the tolerated {tolerance:g} beyond chance"
    elif verdict == "pass":
        start = f"no loss beyond the tolerated {tolerance:g} in {len(judged)} slices"
    else:
        start = f"{len(concerned)} of {len(judged)} slices may have lost more than the tolerated {tolerance:g}"
    if all(slices[each].rows == figures.test.rows for each in judged):
        left = f", and each is all of the rows: they tell no groups apart{left}"
    rows = slices[worst].rows
    reason = f"{start}; the worst is {worst}, {figure(judged[worst], '+.3f')} on {rows} rows{left}"
    return _verdict(name, verdict, judged[worst], bound, reason)


def enough_rows(test: Measured, least: int, least_speakers: int) -> GateVerdict:
    """The figures rest on enough held-out rows, and on enough speakers where these are known."""
    lacks = [f"fewer than {least} rows"] if test.rows < least else []
    found, enough = counted(test.rows, "held-out row"), f"at least {least}"
    if test.speakers is not None:
        found, enough = f"{found} of {counted(test.speakers, 'speaker')}", f"{enough} of {least_speakers}"
        lacks += [f"fewer than {least_speakers} speakers"] if test.speakers < least_speakers else []
    return GateVerdict(
        gate="enough_test_rows",
        verdict="inconclusive" if lacks else "pass",
        value=float(test.rows),
        bound=float(least),
        reason=f"{found}, {' and '.join(lacks) or enough}",
    )


def side(interval: Interval, bound: float) -> Verdict:
    """Return on which side of a bound an interval lies, the good one being above it; the bound itself is good."""
    if not all(map(math.isfinite, (interval.value, interval.low, interval.high))):
        return "inconclusive"
    return "pass" if interval.low >= bound else "fail" if interval.high < bound else "inconclusive"


def believable(interval: Interval, units: int, floor: float = -1.0) -> Interval:
    """Return an interval with the rule of three for `units` on each side that shows no spread, in `floor`..1."""
    unseen = 3 / max(units, 1)
    none = {"abs_tol": 1e-9, "rel_tol": 0.0}
    low = interval.value - unseen if math.isclose(interval.low, interval.value, **none) else interval.low
    high = interval.value + unseen if math.isclose(interval.high, interval.value, **none) else interval.high
    return Interval(interval.value, max(low, floor), min(high, 1.0))


def widened(interval: Interval, comparisons: int) -> Interval:
    """Return a 95 % interval as wide as one of several must be for all to hold at 95 % together (Bonferroni).

    Each side is stretched by the ratio of the normal quantiles, for a bootstrap of 1,000 has too few resamples that
    far out.
    """
    tail = (1 - LEVEL) / 2
    stretch = NormalDist().inv_cdf(tail / comparisons) / NormalDist().inv_cdf(tail)
    value = interval.value
    low, high = value - stretch * (value - interval.low), value + stretch * (interval.high - value)
    return Interval(value, min(low, interval.low), max(high, interval.high))


def figure(interval: Interval, form: str = ".3f") -> str:
    """Return an interval as people read it: 0.923 [0.891, 0.952]."""
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _held(gate: str, found: Measured, where: str, tolerance: float) -> GateVerdict:
    change = believable(found.score.difference, found.units)
    verdict = side(change, -tolerance)
    meaning = {
        "pass": "within the tolerated",
        "fail": "beyond the tolerated",
        "inconclusive": "the rows can't tell whether within the tolerated",
    }[verdict]
    reason = f"{_change(found.score, change, where)}: {meaning} {-tolerance:+g}"
    return _verdict(gate, verdict, change, -tolerance, reason)


def _change(score: Comparison, change: Interval, where: str = "") -> str:
    before = f"score {where} " if where else "score "
    return f"{before}{score.base.value:.3f} -> {score.adapted.value:.3f}, change {figure(change, '+.3f')}"


def _verdict(
    gate: str, verdict: Verdict, found: Interval, bound: float, reason: str, measure: str | None = None
) -> GateVerdict:
    """Return a gate's verdict; a figure that is not defined is None, as JSON has no NaN."""
    low, value, high = (
        round(each, 6) if math.isfinite(each) else None for each in (found.low, found.value, found.high)
    )
    interval = [low, high] if low is not None and high is not None else None
    return GateVerdict(
        gate=gate, verdict=verdict, value=value, interval=interval, bound=bound, measure=measure, reason=reason
    )
