"""Bootstrap: intervals that mean what they say, over the voices that were drawn and not over their sentences."""

from __future__ import annotations

from dataclasses import replace

import jiwer
import numpy as np
import pytest

from data_foundry.finetuning.evaluation.bootstrap import Bootstrap, bootstrap_groups, relative_reduction
from data_foundry.finetuning.evaluation.metrics import SHARE, Interval, error_rate, ratio

REFERENCES = ["നല്ല ദിവസം ആണ്", "ക്ഷമിക്കണം", "ബാലൻസ് എത്ര", "ശരി"]
HYPOTHESES = ["നല്ല ദിവസം", "ക്ഷമിക്കാം", "ബാലൻസ് എത്ര ആണ് ഇത്", ""]
ONES = np.ones(200)


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    draws = np.random.default_rng(1)
    base, adapted = draws.random(200), draws.random(200) + 0.1
    found = Bootstrap([str(n) for n in range(200)]).compare(ratio(base, ONES), ratio(adapted, ONES))
    picks = draws.integers(0, 200, size=(4000, 200))
    plain = np.quantile((adapted - base)[picks].mean(1), [0.025, 0.975])
    assert found.difference.value == pytest.approx((adapted - base).mean())
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(plain), abs=0.01)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 samples of 60 coins, about 95 of 100 intervals hold the coin's true share."""
    coins = np.random.default_rng(2).random((200, 60)) < 0.4
    bootstrap = Bootstrap([str(n) for n in range(60)])
    intervals = [bootstrap(ratio(coin, np.ones(60))).interval for coin in coins]
    assert 180 <= sum(interval.low <= 0.4 <= interval.high for interval in intervals) <= 199


@pytest.mark.parametrize("units", [5, 10, 20])
def test_intervals_over_few_speakers_hold_the_truth_too(units: int) -> None:
    """Of 2,000 samples of so few normal units about 95 of 100 intervals hold their mean; plain percentiles 84 to 93."""
    bootstrap, random = Bootstrap([str(n) for n in range(units)]), np.random.default_rng(5)
    intervals = [bootstrap(ratio(random.normal(0, 1, units), np.ones(units))).interval for _ in range(2000)]
    assert 0.932 <= np.mean([interval.low <= 0 <= interval.high for interval in intervals]) <= 0.968


def test_an_interval_ends_where_its_figure_does() -> None:
    right = replace(ratio(np.arange(6) > 0, np.ones(6)), bounds=SHARE)
    assert Bootstrap([str(n) for n in range(6)])(right).interval.high == 1.0


def test_resampling_speakers_is_wider_than_rows_when_rows_of_a_speaker_agree() -> None:
    speakers = [f"s{n // 20}" for n in range(200)]
    values = np.repeat(np.random.default_rng(0).random(10), 20)
    measure, nothing = ratio(values, ONES), ratio(np.zeros(200), ONES)
    over_rows = Bootstrap([str(n) for n in range(200)]).compare(nothing, measure).difference
    over_speakers = Bootstrap(speakers).compare(nothing, measure).difference
    assert over_speakers.high - over_speakers.low > 3 * (over_rows.high - over_rows.low)


def test_equal_models_differ_by_nothing_and_equal_seeds_give_equal_intervals() -> None:
    measure = error_rate(REFERENCES, HYPOTHESES, "word")
    groups = ["a", "b", "c", "d"]
    found = Bootstrap(groups).compare(measure, measure)
    assert (found.difference.low, found.difference.value, found.difference.high) == (0, 0, 0)
    assert found == Bootstrap(groups).compare(measure, measure)
    assert found.base.low <= found.base.value <= found.base.high
    assert found.base.value == pytest.approx(jiwer.wer(REFERENCES, HYPOTHESES))


def test_the_draws_are_those_of_large_sets_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    measure, groups = ratio(np.arange(200.0), ONES), [str(n // 2) for n in range(200)]
    whole = Bootstrap(groups)(measure).draws
    monkeypatch.setattr("data_foundry.finetuning.evaluation.bootstrap._AT_ONCE", 500)
    assert np.array_equal(whole, Bootstrap(groups)(measure).draws)


def test_a_slice_is_resampled_with_the_draws_of_the_whole() -> None:
    """What is taken over a slice is what the whole would give if the other rows counted nothing."""
    values, among = np.random.default_rng(3).random(200), np.arange(200) % 4 == 0
    bootstrap = Bootstrap([str(n // 5) for n in range(200)])
    alone = bootstrap(ratio(values * among, among))
    assert np.array_equal(bootstrap(ratio(values, ONES), among).draws, alone.draws)


def test_speakers_are_resampled_where_they_are_known_and_the_report_says_what_was() -> None:
    rows = [{"row_id": str(n), "speaker": f"s{n % 6}" if n else None} for n in range(13)]
    groups, over = bootstrap_groups(rows)
    assert over == "6 speakers and 1 rows of unknown speakers" and len(set(groups)) == 7
    assert bootstrap_groups([{"row_id": "1"}, {"row_id": "2"}]) == (["1", "2"], "rows")
    few = [{"row_id": str(n), "speaker": f"s{n % 2}"} for n in range(6)]
    assert bootstrap_groups(few) == ([str(n) for n in range(6)], "rows (only 2 speakers are known)")
    # A speaker's id means one person within its dataset only.
    two = [{"row_id": str(n), "dataset": f"owner/{n % 2}", "speaker": f"s{n // 2}"} for n in range(6)]
    assert bootstrap_groups(two)[1] == "6 speakers"


def test_the_relative_error_reduction_is_the_share_of_the_bases_error_that_is_gone() -> None:
    random = np.random.default_rng(4)
    errors = random.random(200) < 0.4
    fewer = errors & (random.random(200) < 0.7)
    found = relative_reduction(ratio(errors, ONES), ratio(fewer, ONES), Bootstrap([str(n) for n in range(200)]))
    assert found is not None
    assert found.value == pytest.approx(1 - fewer.sum() / errors.sum())
    assert 0 < found.low < found.value < found.high < 1


def test_a_base_without_errors_has_no_relative_error_reduction() -> None:
    groups = [str(n) for n in range(200)]
    one_error = ratio(np.arange(200) == 0, ONES)
    assert relative_reduction(ratio(np.zeros(200), ONES), one_error, Bootstrap(groups)) is None
    # One error in 200 rows is none at all on a third of the resamples, where another error is worse beyond any bound.
    other_error = ratio(np.arange(200) == 1, ONES)
    assert relative_reduction(one_error, other_error, Bootstrap(groups)) is None
    assert relative_reduction(one_error, one_error, Bootstrap(groups)) == Interval(0.0, 0.0, 0.0)


def test_few_resamples_without_base_errors_count_as_the_worst() -> None:
    errors, others = ratio(np.arange(200) < 5, ONES), ratio(np.arange(200) < 15, ONES)
    found = relative_reduction(errors, others, Bootstrap([str(n) for n in range(200)]))
    assert found is not None and found.value == pytest.approx(-2.0) and np.isfinite(found.low)
    # About 6 of 1,000 resamples have no base error; without them the lower bound would be nearer.
    assert found.low < -8
