"""Metrics: equal to the libraries' own figures, and intervals that mean what they say."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
import sacrebleu
from sklearn.metrics import accuracy_score, f1_score

from data_foundry.finetuning.evaluation import metrics
from data_foundry.finetuning.evaluation.metrics import Measure, error_rate

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


def test_a_ratio_over_nothing_is_not_a_number_rather_than_a_score() -> None:
    empty = Measure(np.array([[0.0, 0.0]]), metrics._ratio)
    assert np.isnan(empty.overall)
