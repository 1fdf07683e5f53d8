"""Metrics: equal to the libraries' own figures, and intervals that mean what they say."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
import sacrebleu
from sklearn.metrics import accuracy_score, f1_score

from data_foundry.finetuning import metrics
from data_foundry.finetuning.metrics import Measure, bootstrap_groups, compare, error_rate, ratio

REFERENCES = ["നല്ല ദിവസം ആണ്", "ക്ഷമിക്കണം", "ബാലൻസ് എത്ര", "ശരി"]
HYPOTHESES = ["നല്ല ദിവസം", "ക്ഷമിക്കാം", "ബാലൻസ് എത്ര ആണ് ഇത്", ""]


def test_error_rates_are_corpus_level_and_equal_to_jiwer() -> None:
    assert error_rate(REFERENCES, HYPOTHESES, "word").overall == pytest.approx(jiwer.wer(REFERENCES, HYPOTHESES))
    assert error_rate(REFERENCES, HYPOTHESES, "character").overall == pytest.approx(jiwer.cer(REFERENCES, HYPOTHESES))
    mean_of_rows = np.mean([jiwer.wer(r, h) for r, h in zip(REFERENCES, HYPOTHESES, strict=True)])
    assert error_rate(REFERENCES, HYPOTHESES, "word").overall != pytest.approx(mean_of_rows)


def test_an_akshara_is_one_unit_whatever_it_is_written_with() -> None:
    """One conjunct with its sign is one akshara (ക്ഷ, four code points with the sign): one wrong of four."""
    assert error_rate(["ക്ഷമിക്കണം"], ["മമിക്കണം"], "akshara").overall == pytest.approx(1 / 4)


def test_classification_figures_are_scikit_learns() -> None:
    truth = ["a", "a", "b", "b", "b", "c"]
    said = ["a", "b", "b", "b", "c", "c"]
    sums = metrics.class_counts(truth, said, ["a", "b", "c", "d"]).sum(0)
    assert float(metrics.macro_f1(sums)) == pytest.approx(f1_score(truth, said, average="macro"))
    assert float(metrics.weighted_f1(sums)) == pytest.approx(f1_score(truth, said, average="weighted"))
    assert float(metrics.accuracy(sums)) == pytest.approx(accuracy_score(truth, said))


def test_a_label_that_the_truth_lacks_does_not_dilute_macro_f1() -> None:
    sums = metrics.class_counts(["a", "b"], ["a", "c"], ["a", "b", "c"]).sum(0)
    assert float(metrics.macro_f1(sums)) == pytest.approx(0.5)


def test_sacrebleu_figures_are_its_own() -> None:
    chrf, bleu = sacrebleu.CHRF(word_order=2), sacrebleu.BLEU()
    for metric in (chrf, bleu):
        own = metric.corpus_score(HYPOTHESES, [REFERENCES]).score / 100
        assert metrics.corpus_score(metric, REFERENCES, HYPOTHESES).overall == pytest.approx(own)


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    draws = np.random.default_rng(1)
    base, adapted = draws.random(200), draws.random(200) + 0.1
    ones = np.ones(200)
    found = compare(ratio(base, ones), ratio(adapted, ones), [str(n) for n in range(200)])
    picks = draws.integers(0, 200, size=(4000, 200))
    plain = np.quantile((adapted - base)[picks].mean(1), [0.025, 0.975])
    assert found.difference.value == pytest.approx((adapted - base).mean())
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(plain), abs=0.01)


def test_resampling_speakers_is_wider_than_rows_when_rows_of_a_speaker_agree() -> None:
    speakers = [f"s{n // 20}" for n in range(200)]
    values = np.repeat(np.random.default_rng(0).random(10), 20)
    measure, ones = ratio(values, np.ones(200)), ratio(np.zeros(200), np.ones(200))
    over_rows = compare(ones, measure, [str(n) for n in range(200)]).difference
    over_speakers = compare(ones, measure, speakers).difference
    assert over_speakers.high - over_speakers.low > 3 * (over_rows.high - over_rows.low)


def test_equal_models_differ_by_nothing_and_equal_seeds_give_equal_intervals() -> None:
    measure = error_rate(REFERENCES, HYPOTHESES, "word")
    groups = ["a", "b", "c", "d"]
    found = compare(measure, measure, groups)
    assert (found.difference.low, found.difference.value, found.difference.high) == (0, 0, 0)
    assert found == compare(measure, measure, groups)
    assert found.base.low <= found.base.value <= found.base.high


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


def test_a_ratio_over_nothing_is_not_a_number_rather_than_a_score() -> None:
    empty = Measure(np.array([[0.0, 0.0]]), metrics._ratio)
    assert np.isnan(empty.overall)
