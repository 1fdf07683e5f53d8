"""Gates: what an adapter must show before it may hear a call.

Each says pass, fail, or inconclusive, which leaves the decision to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_foundry.config import Gates
from data_foundry.finetuning.metrics import Comparison
from data_foundry.report import GateVerdict
from data_foundry.training_config import TrainingConfig

Verdict = Literal["pass", "fail", "inconclusive"]


def judge(
    score: Comparison,
    rows: int,
    control: Comparison | None,
    control_note: str,
    config: TrainingConfig,
    gates: Gates,
) -> list[GateVerdict]:
    """Return the verdict of every gate.

    `score` compares base and adapted on `rows` held-out rows, `control` on rows of the base's own domain; None where
    there are none, and `control_note` says why (or how many rows there were).
    """
    return [
        minimum_score(score, gates.min_score if config.min_score is None else config.min_score),
        improvement(score),
        base_domain(control, control_note, config.max_base_regression),
        enough_rows(rows, config.min_test_rows),
    ]


def overall(verdicts: Sequence[GateVerdict]) -> Verdict:
    """Return pass when all gates pass, fail when one fails, inconclusive otherwise."""
    found = {verdict.verdict for verdict in verdicts}
    return "fail" if "fail" in found else "pass" if found == {"pass"} else "inconclusive"


def minimum_score(score: Comparison, bound: float) -> GateVerdict:
    """The adapted model's score reaches the bound."""
    value = score.adapted.value
    interval = f"[{score.adapted.low:.3f}, {score.adapted.high:.3f}]"
    return GateVerdict(
        gate="minimum_score",
        verdict="pass" if value >= bound else "fail",
        value=round(value, 6),
        bound=bound,
        reason=f"score {value:.3f} {interval} {'reaches' if value >= bound else 'is below'} {bound:g}",
    )


def improvement(score: Comparison) -> GateVerdict:
    """The adapted model is better than the base beyond chance: the interval of the difference lies above 0."""
    change = score.difference
    interval = f"[{change.low:+.3f}, {change.high:+.3f}]"
    verdict: Verdict
    if change.low > 0:
        verdict, meaning = "pass", "better than the base beyond chance"
    elif change.value > 0:
        verdict, meaning = "inconclusive", "better, but the interval holds 0"
    else:
        verdict, meaning = "fail", "not better than the base"
    return GateVerdict(
        gate="improvement",
        verdict=verdict,
        value=round(change.value, 6),
        bound=0.0,
        reason=f"score {score.base.value:.3f} -> {score.adapted.value:.3f}, "
        f"change {change.value:+.3f} {interval}: {meaning}",
    )


def base_domain(control: Comparison | None, note: str, tolerance: float) -> GateVerdict:
    """The adapted model lost no more than the tolerance of the score on the base's own domain."""
    if control is None:
        return GateVerdict(gate="base_domain", verdict="inconclusive", bound=-tolerance, reason=note)
    change = control.difference
    within = change.value >= -tolerance
    return GateVerdict(
        gate="base_domain",
        verdict="pass" if within else "fail",
        value=round(change.value, 6),
        bound=-tolerance,
        reason=f"score on {note} {control.base.value:.3f} -> {control.adapted.value:.3f}, change {change.value:+.3f} "
        f"[{change.low:+.3f}, {change.high:+.3f}]: {'within' if within else 'beyond'} the tolerated {-tolerance:+g}",
    )


def enough_rows(rows: int, least: int) -> GateVerdict:
    """The figures rest on enough held-out rows."""
    enough = rows >= least
    return GateVerdict(
        gate="enough_test_rows",
        verdict="pass" if enough else "inconclusive",
        value=float(rows),
        bound=float(least),
        reason=f"{rows} held-out rows, {'at least' if enough else 'fewer than'} {least}",
    )
