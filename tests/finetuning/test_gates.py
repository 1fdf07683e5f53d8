"""Gates: each verdict at its bound, and how they add up."""

from __future__ import annotations

import pytest

from data_foundry.config import Gates
from data_foundry.finetuning.gates import judge, overall
from data_foundry.finetuning.metrics import Comparison, Interval
from data_foundry.report import GateVerdict
from data_foundry.training_config import TrainingConfig


def score(base: float, adapted: float, spread: float = 0.02) -> Comparison:
    def interval(value: float) -> Interval:
        return Interval(value, value - spread, value + spread)

    return Comparison(interval(base), interval(adapted), interval(adapted - base))


def verdicts(
    found: Comparison, rows: int = 100, control: Comparison | None = None, **config: float
) -> dict[str, GateVerdict]:
    given = TrainingConfig.model_validate({"base": "a/b", **config})
    return {gate.gate: gate for gate in judge(found, rows, control, "20 control rows", given, Gates(min_score=0.85))}


@pytest.mark.parametrize("value, verdict", [(0.85, "pass"), (0.8499, "fail"), (1.0, "pass")])
def test_the_score_must_reach_the_bound(value: float, verdict: str) -> None:
    assert verdicts(score(0.1, value))["minimum_score"].verdict == verdict


def test_an_engine_may_set_its_own_bound() -> None:
    gate = verdicts(score(0.1, 0.5), min_score=0.4)["minimum_score"]
    assert (gate.verdict, gate.bound) == ("pass", 0.4)
    assert verdicts(score(0.1, 0.5), min_score=0.0)["minimum_score"].bound == 0.0


@pytest.mark.parametrize(
    "base, adapted, verdict",
    [(0.5, 0.6, "pass"), (0.5, 0.51, "inconclusive"), (0.5, 0.5, "fail"), (0.6, 0.5, "fail")],
)
def test_an_improvement_counts_only_beyond_chance(base: float, adapted: float, verdict: str) -> None:
    assert verdicts(score(base, adapted))["improvement"].verdict == verdict


@pytest.mark.parametrize(
    "control, verdict",
    [(score(0.9, 0.89), "pass"), (score(0.9, 0.95), "pass"), (score(0.9, 0.87), "fail"), (None, "inconclusive")],
)
def test_the_loss_on_the_bases_own_domain_is_bounded_and_unknown_without_control(
    control: Comparison | None, verdict: str
) -> None:
    gate = verdicts(score(0.5, 0.9), control=control)["base_domain"]
    assert gate.verdict == verdict
    assert (gate.value is None) == (control is None)


def test_too_few_rows_are_inconclusive_and_never_a_pass() -> None:
    good = score(0.5, 0.95)
    few = verdicts(good, rows=29, control=score(0.9, 0.9))
    assert few["enough_test_rows"].verdict == "inconclusive"
    assert overall(list(few.values())) == "inconclusive"
    assert overall(list(verdicts(good, rows=30, control=score(0.9, 0.9)).values())) == "pass"


def test_one_failure_outweighs_what_is_inconclusive() -> None:
    found = verdicts(score(0.9, 0.5), rows=3)
    assert {gate.verdict for gate in found.values()} == {"fail", "inconclusive"}
    assert overall(list(found.values())) == "fail"
