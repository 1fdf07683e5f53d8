"""Gates: one rule on intervals, each verdict at its bound, and how they add up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from data_foundry.config import Gates
from data_foundry.finetuning.evaluation.metrics import Comparison, Interval
from data_foundry.finetuning.versions.gates import Figures, Measured, believable, judge, overall, side, widened
from data_foundry.report import GateVerdict
from data_foundry.training_config import TrainingConfig

NAN = math.nan


def change(base: float, adapted: float, spread: float = 0.01) -> Comparison:
    def interval(value: float) -> Interval:
        return Interval(value, value - spread, value + spread)

    return Comparison(interval(base), interval(adapted), interval(adapted - base))


def measured(base: float, adapted: float, spread: float = 0.01, rows: int = 100) -> Measured:
    return Measured(change(base, adapted, spread), rows, rows)


FINE = {
    "dialect": {"malabar": measured(0.5, 0.9), "cochin": measured(0.5, 0.9)},
    "gender": {"female": measured(0.5, 0.9), "male": measured(0.5, 0.9)},
    "district": {},
}
Slices = Mapping[str, Mapping[str, Measured]]


def verdicts(
    test: Measured,
    control: Measured | None = None,
    slices: Slices | None = FINE,
    phone: Measured | None = None,
    **config: float,
) -> dict[str, GateVerdict]:
    given = TrainingConfig.model_validate({"base": "a/b", **config})
    figures = Figures("macro-F1", test, control, "20 control rows", phone, slices)
    return {gate.gate: gate for gate in judge(figures, given, Gates(min_score=0.85))}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.85, 0.9, "pass"),
        (0.849, 0.9, "inconclusive"),
        (0.8, 0.85, "inconclusive"),
        (0.8, 0.8499, "fail"),
        (NAN, 0.9, "inconclusive"),
        (0.9, NAN, "inconclusive"),
        (0.9, math.inf, "inconclusive"),
    ],
)
def test_an_interval_passes_on_the_good_side_fails_on_the_bad_one_and_else_says_nothing(
    low: float, high: float, verdict: str
) -> None:
    assert side(Interval(0.85, low, high), 0.85) == verdict


def test_a_figure_that_is_not_defined_is_inconclusive_and_not_in_the_json() -> None:
    undefined = Interval(NAN, NAN, NAN)
    nothing = Measured(Comparison(undefined, undefined, undefined), 100, 100)
    found = verdicts(nothing, nothing, {"dialect": {"malabar": nothing, "cochin": nothing}}, nothing)
    assert {name: gate.verdict for name, gate in found.items() if name != "enough_test_rows"} == dict.fromkeys(
        ["minimum_score", "improvement", "base_domain", "slice_regression", "phone_regression"], "inconclusive"
    )
    assert all(found[name].value is None and found[name].interval is None for name in ("minimum_score", "base_domain"))


def test_rows_that_show_no_spread_are_held_to_the_rule_of_three() -> None:
    assert believable(Interval(1.0, 1.0, 1.0), 3 / 20) == Interval(1.0, 0.85, 1.0)
    assert believable(Interval(0.0, 0.0, 0.0), 3 / 100) == Interval(0.0, -0.03, 0.03)
    assert believable(Interval(-0.5, -0.75, -0.5), 3 / 6) == Interval(-0.5, -0.75, 0.0)
    assert believable(Interval(0.0, 0.0, 0.0), 3 / 2, floor=0.0) == Interval(0.0, 0.0, 1.0)
    all_right = Measured(Comparison(*(Interval(value, value, value) for value in (0.2, 1.0, 0.8))), 30, 19)
    assert verdicts(all_right)["minimum_score"].verdict == "inconclusive"
    spread_over_speakers = Measured(all_right.score, rows=400, units=10)
    assert verdicts(spread_over_speakers)["minimum_score"].verdict == "inconclusive", "10 speakers are 10, not 400"
    assert verdicts(Measured(all_right.score, 30, 30))["minimum_score"].verdict == "pass"


def test_what_no_row_showed_of_macro_f1_may_lie_in_the_rarest_class() -> None:
    """Classes of 8, 8, 8, 7, 7 and 1 rows, all right: with that one row wrong, macro-F1 would be about 0.83."""
    sure = Comparison(*(Interval(value, value, value) for value in (0.2, 1.0, 0.8)))
    found = Measured(sure, 39, 39, classes=(8, 8, 8, 7, 7, 1))
    assert found.unseen == pytest.approx((1 + 2 / 7) / 6)
    assert verdicts(found)["minimum_score"].verdict == "inconclusive"
    # Of classes of one size it is the rule of three of all rows; a class without rows is none of the mean.
    assert Measured(sure, 400, 400, classes=(100, 100, 100, 100, 0)).unseen == pytest.approx(3 / 400)
    assert Measured(sure, 400, 10, classes=(200, 200)).unseen == pytest.approx(3 / 10)


@pytest.mark.parametrize(("value", "verdict"), [(0.861, "pass"), (0.85, "inconclusive"), (0.839, "fail")])
def test_the_score_must_reach_the_bound_with_all_of_its_interval(value: float, verdict: str) -> None:
    gate = verdicts(measured(0.1, value))["minimum_score"]
    assert (gate.verdict, gate.measure) == (verdict, "macro-F1")
    assert gate.interval == [round(value - 0.01, 6), round(value + 0.01, 6)]


def test_an_engine_may_set_its_own_bound() -> None:
    gate = verdicts(measured(0.1, 0.5), min_score=0.4)["minimum_score"]
    assert (gate.verdict, gate.bound) == ("pass", 0.4)
    assert verdicts(measured(0.1, 0.5), min_score=0.0)["minimum_score"].bound == 0.0


@pytest.mark.parametrize(
    ("base", "adapted", "verdict"),
    [(0.5, 0.6, "pass"), (0.5, 0.51, "inconclusive"), (0.5, 0.5, "inconclusive"), (0.6, 0.5, "fail")],
)
def test_an_improvement_counts_only_beyond_chance(base: float, adapted: float, verdict: str) -> None:
    assert verdicts(measured(base, adapted, 0.02))["improvement"].verdict == verdict


def test_no_change_beyond_chance_is_no_improvement() -> None:
    never_better = Interval(-0.05, -0.1, 0.0)
    score = Comparison(Interval(0.5, 0.4, 0.6), Interval(0.45, 0.4, 0.5), never_better)
    assert verdicts(Measured(score, 100, 100))["improvement"].verdict == "fail"


@pytest.mark.parametrize("gate", ["base_domain", "phone_regression"])
@pytest.mark.parametrize(
    ("adapted", "verdict"), [(0.95, "pass"), (0.895, "pass"), (0.885, "inconclusive"), (0.86, "fail")]
)
def test_a_loss_elsewhere_is_bounded(gate: str, adapted: float, verdict: str) -> None:
    given = {"control": measured(0.9, adapted)} if gate == "base_domain" else {"phone": measured(0.9, adapted)}
    assert verdicts(measured(0.5, 0.9), **given)[gate].verdict == verdict


def test_what_was_not_measured_elsewhere_is_inconclusive_for_control_and_no_gate_for_the_phone() -> None:
    found = verdicts(measured(0.5, 0.9))
    assert (found["base_domain"].verdict, found["base_domain"].value) == ("inconclusive", None)
    assert "phone_regression" not in found


def sliced(slices: Slices | None, **config: float) -> GateVerdict:
    return verdicts(measured(0.5, 0.9), slices=slices, **config)["slice_regression"]


def test_every_slice_must_hold_and_the_worst_is_named() -> None:
    found = sliced(FINE)
    assert (found.verdict, found.bound) == ("pass", -0.05)
    assert found.reason.startswith("no loss of score beyond the tolerated 0.05 in 4 slices by dialect, gender; ")
    assert found.reason.endswith("; unknown of all rows: district")
    idukki = measured(0.9, 0.87, spread=0.04, rows=60)
    found = sliced({**FINE, "district": {"idukki": idukki, "kollam": measured(0.5, 0.9)}})
    assert found.verdict == "inconclusive"
    assert found.reason == (
        "1 of 6 slices may have lost more than the tolerated 0.05 by dialect, gender, district; "
        "the worst is district idukki, -0.030 [-0.070, +0.010] on 60 rows"
    )
    found = sliced({**FINE, "district": {"idukki": measured(0.9, 0.7, 0.04), "kollam": measured(0.5, 0.9)}})
    assert (found.verdict, found.value) == ("fail", -0.2)


def test_one_slice_among_many_fails_only_beyond_what_so_many_show_by_chance() -> None:
    two = {"idukki": measured(0.9, 0.76, spread=0.05), "d": measured(0.5, 0.9)}
    assert sliced({"district": two}).verdict == "fail"
    many = two | {f"d{number}": measured(0.5, 0.9) for number in range(200)}
    assert sliced({"district": many}).verdict == "inconclusive"
    assert sliced({"district": many}, min_slice_rows=101).verdict == "inconclusive"


def test_the_widened_interval_is_bonferronis() -> None:
    found = widened(Interval(0.0, -1.96, 1.96), 10)
    assert found.high == pytest.approx(2.807, abs=1e-3) and found.low == -found.high
    assert widened(Interval(0.1, 0.0, 0.3), 1) == Interval(0.1, pytest.approx(0.0), pytest.approx(0.3))


def test_a_dimension_of_one_group_tells_nobody_apart() -> None:
    lost = measured(0.9, 0.5)
    found = sliced({"channel": {"clean": lost}, "dataset": {"a/b": measured(0.5, 0.9)}})
    assert (found.verdict, found.value) == ("inconclusive", None)
    assert found.reason.endswith("; unknown of all rows: dialect, gender, district")
    assert sliced({**FINE, "channel": {"clean": measured(0.5, 0.9)}}).verdict == "pass"


def test_a_group_of_too_few_rows_or_voices_leaves_the_gate_open_unless_it_is_judged_in_a_pool() -> None:
    good = measured(0.5, 0.9)
    few, one_voice = replace(good, rows=19), replace(good, speakers=1)
    found = sliced({**FINE, "channel": {"clean": good, "phone": few}})
    assert found.verdict == "inconclusive" and "; too few rows to judge: channel phone (19 rows)" in found.reason
    found = sliced({**FINE, "district": {"idukki": good, "kollam": one_voice}})
    assert found.verdict == "inconclusive" and "district kollam (1 speaker)" in found.reason
    pooled = {"idukki": good, "a": replace(few, pooled=True), "b": replace(one_voice, pooled=True)}
    assert sliced({**FINE, "district": {**pooled, "others (2 groups)": good}}).verdict == "pass"
    found = sliced({**FINE, "district": {**pooled, "others (2 groups)": few}})
    assert found.verdict == "inconclusive" and "district others (2 groups) (19 rows)" in found.reason
    assert sliced({**FINE, "district": {**pooled, "others (2 groups)": measured(0.9, 0.5)}}).verdict == "fail"


def test_groups_that_were_only_judged_together_are_compared_with_nobody() -> None:
    together = {"a": replace(measured(0.5, 0.9, rows=9), pooled=True), "others (2 groups)": measured(0.5, 0.9)}
    found = sliced({"district": together})
    assert found.verdict == "inconclusive" and "none of them beside another" in found.reason


def test_the_first_of_many_small_groups_are_named() -> None:
    found = sliced({**FINE, "district": {f"d{number}": measured(0.9, 0.1, rows=19) for number in range(7)}})
    assert found.verdict == "inconclusive"
    assert found.reason.endswith(
        "; too few rows to judge: district d0 (19 rows), district d1 (19 rows), district d2 (19 rows), "
        "district d3 (19 rows), district d4 (19 rows) and 2 more"
    )


@pytest.mark.parametrize("slices", [None, {}, {"gender": {"f": measured(0.5, 0.9, rows=9), "m": measured(0.5, 0.9)}}])
def test_without_two_slices_to_compare_the_gate_is_inconclusive(slices: Slices | None) -> None:
    assert sliced(slices).verdict == "inconclusive"


@pytest.mark.parametrize("gate", ["base_domain", "phone_regression"])
@pytest.mark.parametrize(("rows", "speakers"), [(2, None), (100, 4)])
def test_rows_elsewhere_that_are_too_few_decide_nothing(gate: str, rows: int, speakers: int | None) -> None:
    for adapted in (0.95, 0.5):
        few = replace(measured(0.9, adapted, rows=rows), speakers=speakers)
        given = {"control": few} if gate == "base_domain" else {"phone": few}
        found = verdicts(measured(0.5, 0.9), **given)[gate]
        assert found.verdict == "inconclusive" and "too few to tell" in found.reason


def test_too_few_test_rows_refuse_no_version_either() -> None:
    lost = {"dialect": {"malabar": measured(0.9, 0.2), "cochin": measured(0.9, 0.2)}}
    found = verdicts(measured(0.9, 0.2, rows=29), measured(0.9, 0.9), lost)
    assert {name: gate.verdict for name, gate in found.items() if gate.verdict != "inconclusive"} == {
        "base_domain": "pass"
    }
    assert found["minimum_score"].reason.endswith("is below 0.85; but 29 held-out rows, fewer than 30 rows")


def test_too_few_rows_are_inconclusive_and_never_a_pass() -> None:
    control = measured(0.9, 0.91)
    few = verdicts(measured(0.5, 0.95, rows=29), control)
    assert few["enough_test_rows"].verdict == "inconclusive"
    assert overall(list(few.values())) == "inconclusive"
    assert overall(list(verdicts(measured(0.5, 0.95, rows=30), control).values())) == "pass"


@pytest.mark.parametrize(
    ("rows", "speakers", "verdict", "reason"),
    [
        (100, None, "pass", "100 held-out rows, at least 30"),
        (1, None, "inconclusive", "1 held-out row, fewer than 30 rows"),
        (100, 5, "pass", "100 held-out rows of 5 speakers, at least 30 of 5"),
        (100, 4, "inconclusive", "100 held-out rows of 4 speakers, fewer than 5 speakers"),
        (10, 1, "inconclusive", "10 held-out rows of 1 speaker, fewer than 30 rows and fewer than 5 speakers"),
    ],
)
def test_rows_of_too_few_known_speakers_say_nothing_of_others(
    rows: int, speakers: int | None, verdict: str, reason: str
) -> None:
    gate = verdicts(Measured(change(0.5, 0.95), rows, rows, speakers))["enough_test_rows"]
    assert (gate.verdict, gate.reason) == (verdict, reason)


def test_one_failure_outweighs_what_is_inconclusive() -> None:
    found = verdicts(measured(0.9, 0.5))
    assert {gate.verdict for gate in found.values()} >= {"fail", "inconclusive"}
    assert overall(list(found.values())) == "fail"


def test_no_gate_at_all_is_no_pass() -> None:
    assert overall([]) == "inconclusive"


def test_the_samples_small_control_set_could_not_decide_what_a_larger_one_did() -> None:
    def control(value: float, low: float, rows: int) -> Any:
        score = Comparison(Interval(1, 1, 1), Interval(1 + value, 1 + low, 1), Interval(value, low, 0.0))
        return verdicts(measured(0.2, 0.92), Measured(score, rows, rows))["base_domain"].verdict

    assert control(-0.010, -0.034, 100) == "inconclusive"
    assert control(-0.0025, -0.0079, 400) == "pass"
    assert control(0.0, 0.0, 100) == "inconclusive" and control(0.0, 0.0, 150) == "pass"
