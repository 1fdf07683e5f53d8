"""Gates: what an adapter must show before it may hear a call.

Each says pass, fail, or inconclusive, by one rule on the 95 % interval of its figure: pass when the interval lies
wholly on the good side of the bound, fail when wholly on the bad side, inconclusive otherwise and where there is no
interval. What is inconclusive is for a person. A version passes when every gate passes: together they claim no more
than each does alone, so that claim needs no correction for their number.

An interval that touches its value shows no spread on that side (every row right, say), which few rows show easily.
There the bound of the rule of three stands in for it: what none of n rows showed may still be true of 3/n of all (95 %;
Hanley and Lippman-Hand 1983). Of macro-F1, to which every class counts alike, that share of all rows may all lie in the
smallest classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from data_foundry.config import Gates
from data_foundry.figures import counted
from data_foundry.finetuning.evaluation.bootstrap import LEVEL, stretched
from data_foundry.finetuning.evaluation.metrics import Comparison, Interval
from data_foundry.finetuning.evaluation.slices import PERSONS, too_small
from data_foundry.report import GateVerdict
from data_foundry.training_config import TrainingConfig

Verdict = Literal["pass", "fail", "inconclusive"]
RULE = (
    "A gate passes when the 95 % interval of its figure lies wholly on the good side of the bound, fails when it lies "
    "wholly on the bad side, and is inconclusive otherwise: then a person decides. Where the rows showed no spread, "
    "the rule of three gives the bound (3 in the number of rows; of macro-F1 as if those were rows of the smallest "
    "classes). Of too few rows, or speakers where they are known, nothing is concluded. That one of several slices "
    "fails must show in an interval widened for their number (Bonferroni)."
)
LISTED = 5
"""How many slices that were too small to judge a reason names."""


@dataclass(frozen=True)
class Measured:
    """Base and adapted compared by the primary score, on `rows` rows; `units` (speakers or rows) were resampled.

    `speakers` is how many are known, None where none is. `classes` are the rows of each class where the score is their
    mean. `pooled` says of a slice that its rows are in the pool of the small ones.
    """

    score: Comparison
    rows: int
    units: int
    speakers: int | None = None
    classes: Sequence[int] = ()
    pooled: bool = False

    @property
    def unseen(self) -> float:
        """By how much the score may be off for all that no row showed: the rule of three, in the smallest classes."""
        share = 3 / max(self.units, 1)
        classes = sorted(count for count in self.classes if count)
        if not classes:
            return share
        left, off = share * sum(classes), 0.0
        for count in classes:
            off += min(count, left) / count
            left -= min(count, left)
        return off / len(classes)


@dataclass(frozen=True)
class Figures:
    """What is judged. `control` and `phone` are None where nothing was measured, `slices` where none was made.

    `score` defines the primary score, `label` is the column that is predicted. `slices` are the known groups of every
    dimension, compared by `slice_figure`.
    """

    score: str
    test: Measured
    control: Measured | None
    control_note: str
    phone: Measured | None = None
    slices: Mapping[str, Mapping[str, Measured]] | None = None
    slice_figure: str = "score"
    label: str = ""


def judge(figures: Figures, config: TrainingConfig, gates: Gates) -> list[GateVerdict]:
    """Return the verdict of every gate; the one on the phone channel only where that was measured."""
    enough = enough_rows(figures.test, config.min_test_rows, config.min_test_speakers)
    on_test = [
        minimum_score(figures, gates.min_score if config.min_score is None else config.min_score),
        improvement(figures.test),
        slice_regression(figures, config),
    ]
    if enough.verdict != "pass":
        on_test = [_undecided(verdict, enough.reason) for verdict in on_test]
    score, better, sliced = on_test
    found = [score, better, base_domain(figures.control, figures.control_note, config), sliced]
    if figures.phone is not None:
        found.append(phone_regression(figures.phone, config))
    return [*found, enough]


def overall(verdicts: Sequence[GateVerdict]) -> Verdict:
    """Return pass when all gates pass, fail when one fails, inconclusive otherwise."""
    found = {verdict.verdict for verdict in verdicts}
    return "fail" if "fail" in found else "pass" if found == {"pass"} else "inconclusive"


def minimum_score(figures: Figures, bound: float) -> GateVerdict:
    """The adapted model's primary score reaches the bound."""
    interval = believable(figures.test.score.adapted, figures.test.unseen, floor=0.0)
    verdict = side(interval, bound)
    meaning = {"pass": "reaches", "fail": "is below", "inconclusive": "may or may not reach"}[verdict]
    reason = f"score {figure(interval)} on {figures.test.rows} rows {meaning} {bound:g}"
    return _verdict("minimum_score", verdict, interval, bound, reason, measure=figures.score)


def improvement(test: Measured) -> GateVerdict:
    """The adapted model is better than the base beyond chance: the interval of the difference lies above 0."""
    change = believable(test.score.difference, test.unseen)
    # No better is not good enough: 0 itself is on the bad side.
    verdict = side(change, math.nextafter(0.0, 1.0))
    meaning = {
        "pass": "better than the base beyond chance",
        "fail": "not better than the base",
        "inconclusive": "better or not, the rows can't tell",
    }[verdict]
    return _verdict("improvement", verdict, change, 0.0, f"{_change(test.score, change)}: {meaning}")


def base_domain(control: Measured | None, note: str, config: TrainingConfig) -> GateVerdict:
    """The adapted model lost no more than the tolerance of the score on the base's own domain."""
    tolerance = config.max_base_regression
    if control is None:
        return GateVerdict(gate="base_domain", verdict="inconclusive", bound=-tolerance, reason=note)
    return _held("base_domain", control, f"on {note}", tolerance, config)


def phone_regression(phone: Measured, config: TrainingConfig) -> GateVerdict:
    """Through the phone channel the adapted model is no worse than the base beyond the tolerance."""
    where = f"on {phone.rows} rows through the phone channel"
    return _held("phone_regression", phone, where, config.max_phone_regression, config)


def slice_regression(figures: Figures, config: TrainingConfig) -> GateVerdict:
    """No slice of the test rows lost more than the tolerance, and at least two slices of one dimension could be judged.

    It passes only when every known group was judged and held: alone, or in the pool of its dimension where it has too
    few rows or speakers. A dimension of a single group tells nothing apart and is not judged. That every slice holds
    is claimed when each one's interval says so, and needs no correction (an intersection-union test); that some slice
    fails is found the more easily the more there are, so for that each interval is widened to 1 - 0.05 / slices
    (Bonferroni).
    """
    name, tolerance = "slice_regression", config.max_slice_regression
    if figures.slices is None:
        return GateVerdict(gate=name, verdict="inconclusive", bound=-tolerance, reason="slices were not measured")
    judged: dict[str, Measured] = {}
    small: dict[str, str] = {}
    compared: list[str] = []
    for dimension, groups in figures.slices.items():
        if len(groups) < 2:
            continue
        lacks = {group: _too_small(found, config, config.min_slice_rows) for group, found in groups.items()}
        enough = [group for group, lack in lacks.items() if lack is None]
        judged |= {f"{dimension} {group}": groups[group] for group in enough}
        small |= {f"{dimension} {group}": lack for group, lack in lacks.items() if lack and not groups[group].pooled}
        compared += [dimension] if len(enough) > 1 else []
    left = _not_told(figures, small)
    if not judged:
        reason = f"no group has {config.min_slice_rows} rows and another to be compared with{left}"
        return GateVerdict(gate=name, verdict="inconclusive", bound=-tolerance, reason=reason)
    changes = {each: believable(found.score.difference, found.unseen) for each, found in judged.items()}
    failed = [each for each, change in changes.items() if side(widened(change, len(judged)), -tolerance) == "fail"]
    unsure = [each for each, change in changes.items() if side(change, -tolerance) != "pass"]
    concerned = failed or unsure or list(changes)
    # NaN is never the lowest of anything: a slice without a figure comes first.
    worst = min(concerned, key=lambda each: (math.isfinite(changes[each].low), changes[each].low, each))
    verdict: Verdict = "inconclusive" if unsure or small or not compared else "pass"
    many = counted(len(judged), "slice")
    if failed:
        verdict = "fail"
        start = f"{len(failed)} of {many} lost more than the tolerated {tolerance:g} beyond chance"
    elif unsure:
        start = f"{len(unsure)} of {many} may have lost more than the tolerated {tolerance:g}"
    else:
        start = f"no loss of {figures.slice_figure} beyond the tolerated {tolerance:g} in {many}"
    by = f" by {', '.join(compared)}" if compared else ", none of them beside another"
    change = f"{figure(changes[worst], '+.3f')} on {judged[worst].rows} rows"
    return _verdict(name, verdict, changes[worst], -tolerance, f"{start}{by}; the worst is {worst}, {change}{left}")


def _not_told(figures: Figures, small: Mapping[str, str]) -> str:
    """Return which groups could not be judged, and what of the speakers is not known."""
    named = ", ".join(f"{each} ({lack})" for each, lack in sorted(small.items())[:LISTED])
    more = f" and {len(small) - LISTED} more" if len(small) > LISTED else ""
    left = f"; too few rows to judge: {named}{more}" if small else ""
    unknown = [each for each in PERSONS if each != figures.label and not (figures.slices or {}).get(each)]
    return left + (f"; unknown of all rows: {', '.join(unknown)}" if unknown else "")


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


def believable(interval: Interval, unseen: float, floor: float = -1.0) -> Interval:
    """Return an interval that reaches `unseen` far on each side that shows no spread, in `floor`..1."""
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
    return stretched(interval, NormalDist().inv_cdf(tail / comparisons) / NormalDist().inv_cdf(tail))


def figure(interval: Interval, form: str = ".3f") -> str:
    """Return an interval as people read it: 0.923 [0.891, 0.952]."""
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _held(gate: str, found: Measured, where: str, tolerance: float, config: TrainingConfig) -> GateVerdict:
    change = believable(found.score.difference, found.unseen)
    verdict = side(change, -tolerance)
    meaning = {
        "pass": "within the tolerated",
        "fail": "beyond the tolerated",
        "inconclusive": "the rows can't tell whether within the tolerated",
    }[verdict]
    reason = f"{_change(found.score, change, where)}: {meaning} {-tolerance:+g}"
    lack = _too_small(found, config, config.min_test_rows)
    told = _verdict(gate, verdict, change, -tolerance, reason)
    return _undecided(told, f"only {lack}, too few to tell") if lack else told


def _too_small(found: Measured, config: TrainingConfig, least: int) -> str | None:
    return too_small(found.rows, found.speakers, least, config.min_test_speakers)


def _undecided(found: GateVerdict, why: str) -> GateVerdict:
    """Return a verdict that nothing is concluded from, for too few rows."""
    if found.verdict == "inconclusive":
        return found
    return found.model_copy(update={"verdict": "inconclusive", "reason": f"{found.reason}; but {why}"})


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
