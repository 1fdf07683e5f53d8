"""Calibration: figures that are the libraries' own where they have them, and a temperature that repairs what it can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from data_foundry.finetuning.evaluation.calibration import (
    Temperature,
    brier,
    calibrated,
    calibration_error,
    fit_temperature,
    reliability,
    served_temperature,
    temperature_json,
    with_temperature,
)
from data_foundry.finetuning.tasks.task import Prediction
from data_foundry.finetuning.versions.version_files import CALIBRATION, write_json

LABELS = ["a", "b", "c"]


def sample(rows: int, sharpness: float = 1.0) -> tuple[np.ndarray, list[str]]:
    """Probabilities of a classifier whose logits are `sharpness` times too sure, and the truth."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(rows, 3)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = [LABELS[int(random.choice(3, p=row))] for row in true]
    said = np.exp(sharpness * logits)
    return said / said.sum(1, keepdims=True), truth


def test_the_brier_score_is_scikit_learns() -> None:
    probabilities, truth = sample(50)
    own = brier_score_loss(truth, probabilities, labels=LABELS, scale_by_half=False)
    assert brier(probabilities, truth, LABELS).overall == pytest.approx(own)


def test_the_calibration_error_is_the_mean_gap_of_its_bins() -> None:
    probabilities, truth = sample(200)
    bins = reliability(probabilities, truth, LABELS)
    assert [b["rows"] for b in bins] == [20] * 10
    by_hand = sum(b["rows"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / 200
    assert calibration_error(probabilities, truth, LABELS).overall == pytest.approx(by_hand, abs=1e-5)
    assert [b["confidence"] for b in bins] == sorted(b["confidence"] for b in bins)


def test_few_rows_make_few_bins() -> None:
    assert len(reliability(*sample(9), LABELS)) == 1
    assert [b["rows"] for b in reliability(*sample(25), LABELS)] == [13, 12]


def test_the_temperature_is_what_made_a_classifier_too_sure() -> None:
    probabilities, truth = sample(3000, sharpness=2.5)
    found = fit_temperature(probabilities, truth, LABELS)
    assert found.value == pytest.approx(2.5, rel=0.1)
    assert found.note == "fitted by log loss on 3000 validation rows"
    calm = with_temperature(probabilities, found.value)
    assert (
        calibration_error(calm, truth, LABELS).overall < 0.3 * calibration_error(probabilities, truth, LABELS).overall
    )
    assert (calm.argmax(1) == probabilities.argmax(1)).all()
    around = [log_loss(truth, with_temperature(probabilities, found.value * by), labels=LABELS) for by in (0.9, 1, 1.1)]
    assert around[1] == min(around)


def test_a_temperature_is_softmax_of_the_logits_divided_by_it() -> None:
    logits = np.array([[1.0, 2.0, 4.0]])
    plain = np.exp(logits) / np.exp(logits).sum()
    halved = np.exp(logits / 2) / np.exp(logits / 2).sum()
    assert np.allclose(with_temperature(plain, 2.0), halved)
    assert np.allclose(with_temperature(np.array([[1.0, 0.0]]), 2.0).sum(), 1.0)


def test_a_classifier_that_is_always_right_has_a_temperature_at_the_bound_and_it_says_so() -> None:
    probabilities = np.array([[0.9, 0.05, 0.05]] * 40)
    found = fit_temperature(probabilities, ["a"] * 40, LABELS)
    assert found.value == pytest.approx(0.2, rel=0.02)
    assert "at the bound" in found.note


def test_what_is_served_has_the_label_it_had_and_the_confidence_of_the_temperature() -> None:
    raw = Prediction("b", 0.7, {"a": 0.2, "b": 0.7, "c": 0.1})
    calm = calibrated(raw, 2.0)
    assert calm.output == "b" and calm.confidence == calm.classes["b"] < 0.7
    roots = {name: value**0.5 for name, value in raw.classes.items()}
    assert calm.classes == pytest.approx({name: root / sum(roots.values()) for name, root in roots.items()})
    assert calibrated(raw, 1.0).classes == pytest.approx(raw.classes)


def test_what_has_no_temperature_or_no_classes_is_served_as_it_is() -> None:
    label, transcript = Prediction("a", 0.9, {"a": 0.9, "b": 0.1}), Prediction("മഴ", 0.4)
    assert calibrated(label, None) is label and calibrated(transcript, 2.0) is transcript


def test_a_version_is_served_with_the_temperature_written_for_it(tmp_path: Path) -> None:
    assert served_temperature(tmp_path) is None
    write_json(tmp_path / CALIBRATION, temperature_json(Temperature(1.5, "fitted")))
    assert served_temperature(tmp_path) == 1.5
    write_json(tmp_path / CALIBRATION, temperature_json(Temperature(None, "too few rows")))
    assert served_temperature(tmp_path) is None
