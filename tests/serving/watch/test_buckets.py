"""Percentiles with their bounds, and two distributions held against each other."""

import random
from collections import Counter

import pytest

from data_foundry.serving.watch.buckets import CHANCE, LATENCY_EDGES, bucket, compare, percentiles

PLACES = tuple(str(place) for place in range(10))


def counted(values):
    return Counter(bucket(value) for value in values)


def drawn(count, seed, shift=0.0):
    lot = random.Random(seed)
    return Counter(str(min(9, max(0, round(lot.gauss(4.5 + shift, 1.5))))) for _ in range(count))


@pytest.mark.parametrize("seed", range(5))
def test_the_measured_percentile_lies_within_the_bounds_that_are_told(seed):
    lot = random.Random(seed)
    values = sorted(lot.lognormvariate(4, 1) for _ in range(997))
    told = percentiles(counted(values))
    for quantile in (50, 95, 99):
        measured = values[-(-quantile * len(values) // 100) - 1]
        bounds = told[f"p{quantile}"]
        assert bounds["above"] < measured <= bounds["at_most"] < 1.27 * max(bounds["above"], 1)


def test_an_edge_belongs_to_the_bucket_below_it_and_nothing_is_beyond_the_last():
    assert bucket(LATENCY_EDGES[3]) == 3 and bucket(LATENCY_EDGES[3] + 0.001) == 4
    assert percentiles(counted([0.2])) == {name: {"above": 0.0, "at_most": 1.0} for name in ("p50", "p95", "p99")}
    beyond = percentiles(counted([90_000.0]))
    assert beyond["p99"] == {"above": LATENCY_EDGES[-1], "at_most": None}
    assert percentiles({}) == {"p50": None, "p95": None, "p99": None}


def test_calls_like_training_are_steady_and_others_are_not():
    reference = drawn(2000, seed=1)
    same, moved = compare(drawn(1000, seed=2), reference, PLACES), compare(drawn(1000, 3, shift=1.5), reference, PLACES)
    assert same["verdict"] == "steady" and same["p_value"] >= CHANCE and same["psi"] < 0.1
    assert moved["verdict"] == "shifted" and moved["p_value"] < CHANCE and moved["psi"] > 0.25


def test_what_chance_does_to_few_calls_is_told_beside_the_index_and_few_calls_are_not_judged():
    reference = drawn(2000, seed=1)
    few = compare(drawn(120, seed=5), reference, PLACES)
    assert few["psi"] <= 6 * few["psi_by_chance"] and few["verdict"] == "steady"
    none = compare(drawn(99, seed=5, shift=3), reference, PLACES)
    assert none["verdict"] == "not_judged" and "99 calls" in none["reason"] and none["psi"] is None
    assert compare(drawn(500, 5), drawn(20, 1), PLACES)["reason"] == "20 training rows, fewer than 50"


def test_a_difference_of_a_large_sample_that_is_small_is_steady():
    found = compare(drawn(60_000, 1, shift=0.1), drawn(60_000, 2), PLACES)
    assert found["p_value"] < CHANCE and found["psi"] < 0.1
    assert found["verdict"] == "steady" and found["reason"] == "a difference, but a small one"


def test_false_alarms_are_as_rare_as_the_test_says():
    reference = drawn(2000, seed=1)
    alarms = sum(compare(drawn(300, seed), reference, PLACES)["verdict"] != "steady" for seed in range(100, 500))
    # 0.4 of 400 are to be expected at 1 in 1,000, if the size of the shift did not ask for more.
    assert alarms <= 3


def test_labels_are_compared_whatever_their_order_and_the_rare_ones_together():
    reference = Counter(billing=500, outage=300, complaint=150, **{f"rare{n}": 1 for n in range(30)})
    same = Counter(complaint=75, outage=150, billing=250, **{f"rare{n}": 1 for n in range(0, 30, 2)})
    assert compare(same, reference, None)["verdict"] == "steady"
    other = Counter(billing=50, outage=50, complaint=400)
    assert compare(other, reference, None)["verdict"] == "shifted"


def test_one_value_on_both_sides_is_no_shift():
    found = compare(Counter({"9": 400}), Counter({"9": 2000}), PLACES)
    assert found["verdict"] == "steady" and found["psi"] == 0
