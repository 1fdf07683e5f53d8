import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.serving.canary_rules import z_test
from benchmarks.serving.rollouts import limits_of, most_calls
from benchmarks.serving.streams import Scenario
from benchmarks.serving.wealths import Crossings, Wealths
from data_foundry.errors import FoundryError
from data_foundry.serving.trials.sequential import FRACTIONS, EProcess, LimitTest, Sample
from data_foundry.serving_settings import Rollout

ALPHA = 0.05
BOTH = pytest.mark.parametrize("restarts", [True, False])


def wealth_after(gains, *, restarts):
    process = EProcess(restarts=restarts)
    for gain in gains:
        process.bet(gain)
    return math.exp(process.log_e)


def wealth_by_definition(gains, *, restarts):
    """The mixture written out: of each start and each fraction the product of what it returned."""
    kept = [1.0] + [0.5 / math.log2(call + 1) if restarts else 0.0 for call in range(1, len(gains) + 1)]
    total = Fraction(kept[-1])
    for start, share in itertools.product(range(len(gains)), FRACTIONS):
        stake = (Fraction(kept[start]) - Fraction(kept[start + 1])) / len(FRACTIONS)
        total += stake * math.prod(1 + Fraction(share) * Fraction(gain) for gain in gains[start:])
    return float(total)


@pytest.fixture(scope="module")
def at_the_limit():
    """1,000 candidates with exactly 2 points more failed calls than their incumbents; the others come in bursts."""
    scenario = Scenario("at the limit", error=0.02, added_error=0.02, bursts="shared")
    blocks = scenario.blocks(np.random.default_rng(5), 1000, 1000)
    return np.concatenate([block.values(np.inf)["errors"] for block in blocks], axis=1)


def alarms(test, values):
    """The share of rollouts that a test called harmful at any of its looks, one after every call."""
    test.add(values)
    return np.mean(test.failed_after > 0)


def crossings(limit=0.02, harm=None):
    return Crossings(1000, (-1.0, limit, 1.0), (1 / ALPHA, 1 / ALPHA), harm)


@BOTH
def test_wealth_is_the_mixture_over_starts_and_fractions(restarts):
    draw = random.Random(1)
    gains = [draw.choice([-1.0, -0.02, 0.96, draw.uniform(-1, 3)]) for _ in range(25)]
    expected = wealth_by_definition(gains, restarts=restarts)
    assert wealth_after(gains, restarts=restarts) == pytest.approx(expected, rel=1e-12)


@BOTH
def test_in_a_fair_game_the_mean_wealth_over_all_that_can_happen_is_one(restarts):
    chances = {-1.0: 0.2, 0.0: 0.4, 0.5: 0.4}
    mean = sum(
        math.prod(chances[gain] for gain in gains) * wealth_after(gains, restarts=restarts)
        for gains in itertools.product(chances, repeat=6)
    )
    assert mean == pytest.approx(1.0, rel=1e-12)


@BOTH
def test_many_streams_at_once_have_the_wealth_of_each_alone(restarts):
    gains = np.random.default_rng(2).choice([-1.0, -0.02, 0.96, 2.5], (400, 3), p=[0.2, 0.5, 0.2, 0.1])
    together = Wealths(3, restarts=restarts)
    alone = [EProcess(restarts=restarts) for _ in range(3)]
    for row in gains:
        wealths = together.bet(row)
        for process, gain in zip(alone, row, strict=True):
            process.bet(gain)
        assert np.log(wealths) == pytest.approx([process.log_e for process in alone], abs=1e-9)


def test_of_a_thousand_rollouts_at_the_limit_at_most_alpha_are_taken_back_or_let_on_at_any_of_1000_looks(at_the_limit):
    test = crossings()
    assert 0 < alarms(test, at_the_limit) <= ALPHA
    assert 0 < np.mean(test.passed_after > 0) <= ALPHA


def test_the_simulation_would_find_a_limit_that_is_not_the_stated_one(at_the_limit):
    assert alarms(crossings(limit=0.01), at_the_limit) > 2 * ALPHA


def test_the_simulation_would_find_a_bet_that_knows_the_value_it_is_laid_on(at_the_limit):
    class Knowing(Wealths):
        def bet(self, gains):
            return super().bet(np.where(gains < -0.5, 0.0, gains))

    test = crossings(harm=Knowing(1000, restarts=True))
    assert alarms(test, at_the_limit) > 2 * ALPHA


def test_the_simulation_would_find_stakes_that_are_not_paid_for(at_the_limit):
    class Borrowing(Wealths):
        def bet(self, gains):
            self._kept = 1.0
            return super().bet(gains)

    test = crossings(harm=Borrowing(1000, restarts=True))
    assert alarms(test, at_the_limit) > 2 * ALPHA


def test_the_simulation_would_find_a_test_of_a_fixed_horizon_that_is_peeked_at(at_the_limit):
    assert np.mean(z_test(at_the_limit - 0.02, 1) > 0) > 2 * ALPHA


@pytest.mark.parametrize("gain", [-1.0, 0.98])
@BOTH
def test_wealth_neither_overflows_nor_vanishes(gain, restarts):
    process = EProcess(restarts=restarts)
    for _ in range(5000):
        process.bet(gain)
    assert math.isfinite(process.log_e)
    best = math.log1p(max(FRACTIONS) * gain) if gain > 0 else math.log1p(-min(FRACTIONS))
    least = math.log(0.5 / math.log2(5001)) if restarts and gain < 0 else 5000 * best - math.log(16)
    assert least <= process.log_e <= max(5000 * best, 0.0)


@pytest.mark.parametrize("gain", [math.nan, math.inf, -1.001])
def test_a_bet_that_could_lose_more_than_its_stake_is_refused(gain):
    with pytest.raises(FoundryError, match="can't gain"):
        EProcess(restarts=False).bet(gain)


@pytest.mark.parametrize(("metric", "cycle"), [("errors", [1.0]), ("errors", [0.0, 1.0]), ("latency", [math.log(3)])])
@pytest.mark.parametrize("before", [0, 3000])
def test_harm_is_found_within_the_computed_number_of_calls_whatever_was_before(metric, cycle, before):
    low, limit, high = limits_of(Rollout())[metric]
    test = LimitTest(low, high, limit, 180.0)
    for _ in range(before):
        test.add(low)
    most = most_calls([(value - limit) / (limit - low) for value in cycle], 180.0, before)
    assert most < 100
    for call in range(most - 1):
        test.add(cycle[call % len(cycle)])
    # From the start on the bound is exact; later a little may be left of what was laid out before.
    assert test.failed_after is None or before
    test.add(cycle[(most - 1) % len(cycle)])
    assert test.failed_after - before in range(most - 2 if before else most, most + 1)


def test_harm_that_was_found_stays_found():
    test = LimitTest(-1, 1, 0.02, 180.0)
    for value in [1.0] * 20 + [-1.0] * 50:
        test.add(value)
    assert test.failed_after == 12
    assert test.harm.log_e < math.log(180)


def test_a_better_candidate_is_safe_and_never_harmful_and_a_worse_one_the_other_way_round():
    better, worse = LimitTest(-1, 1, 0.02, 180.0), LimitTest(-1, 1, 0.02, 180.0)
    for _ in range(100):
        better.add(-1.0)
        worse.add(1.0)
    assert better.safety.log_e > 20 > 0 > better.harm.log_e
    assert worse.harm.log_e > 20 > 0 > worse.safety.log_e


def test_the_confidence_sequence_ends_where_the_bets_have_won_just_enough():
    draw = random.Random(4)
    values = [draw.choices([-1.0, 0.0, 1.0], [0.05, 0.8, 0.15])[0] for _ in range(300)]
    sample = Sample(-1, 1)
    for value in values:
        sample.add(value)
    lower, upper = sample.confidence_sequence(ALPHA)
    assert lower < sample.mean < upper
    for limit, test in ((upper, "safety"), (lower, "over")):
        gains = [(limit - x) / (1 - limit) if test == "safety" else (x - limit) / (limit + 1) for x in values]
        assert wealth_after(gains, restarts=False) == pytest.approx(2 / ALPHA, rel=1e-6)


def test_values_between_two_cells_only_widen_the_confidence_sequence():
    exact, between = Sample(-1, 1), Sample(-1, 1)
    for value in [0.1, -0.2, 0.3] * 100:
        exact.add(value)
        between.add(value + 0.001)
    assert between.confidence_sequence(ALPHA)[0] <= exact.confidence_sequence(ALPHA)[0] + 0.001
    assert between.confidence_sequence(ALPHA)[1] >= exact.confidence_sequence(ALPHA)[1] + 0.001


def test_confidence_sequences_hold_the_mean_at_all_looks_together():
    draw = random.Random(6)
    missed = 0
    for _ in range(60):
        sample = Sample(-1, 1)
        outside = False
        for call in range(1, 101):
            sample.add(draw.choices([-1.0, 0.0, 1.0], [0.1, 0.7, 0.2])[0])
            if call in (10, 20, 40, 70, 100):
                lower, upper = sample.confidence_sequence(0.2)
                outside = outside or not lower <= 0.1 <= upper
        missed += outside
    assert missed <= 12


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.01, 1.01])
def test_a_value_that_is_no_number_within_the_bounds_is_refused(value):
    sample = Sample(-1, 1)
    with pytest.raises(FoundryError, match=r"is not within -1\.\.1"):
        sample.add(value)
    assert (sample.count, sample.mean) == (0, None)


@pytest.mark.parametrize("limit", [-1.0, 1.0, math.nan])
def test_a_limit_at_the_edge_of_what_can_be_is_refused(limit):
    with pytest.raises(FoundryError, match="lies not between"):
        LimitTest(-1, 1, limit, 180.0)
