"""Calibration of a classifier: whether it is right as often as it is sure, and a temperature that makes it so.

The expected calibration error (Naeini et al., 2015) is the mean gap between confidence and accuracy over bins that hold
equally many rows. It is never negative, so on few rows it lies above 0 for a perfectly calibrated model too, and so
does its interval: read it beside the Brier score, which has no bins. The temperature (Guo et al., 2017) divides the
logits of a trained classifier; it changes no label. It is fitted on validation rows, never on test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.finetuning.evaluation.metrics import SHARE, Measure, ratio
from data_foundry.finetuning.evaluation.predict import Predictor
from data_foundry.finetuning.features.gold_rows import Encoded
from data_foundry.finetuning.tasks.task import Prediction
from data_foundry.finetuning.versions.version_files import CALIBRATION

if TYPE_CHECKING:
    import numpy as np

BINS = 10
FEWEST_IN_BIN = 10
"""Rows that a bin holds at least; fewer rows make fewer bins."""
FEWEST_ROWS = 20
"""Validation rows that a temperature is fitted on at least."""
LOWEST, HIGHEST = 0.2, 10.0
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by, and how it came about; `value` None where it was not fitted, `note` says why."""

    value: float | None
    note: str


def class_probabilities(predictions: Sequence[Prediction], labels: Sequence[str]) -> np.ndarray | None:
    """Return the probability of every label (rows x labels), or None where the predictions hold none."""
    import numpy as np

    if not all(prediction.classes for prediction in predictions):
        return None
    return np.array([[prediction.classes[label] for label in labels] for prediction in predictions])


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities (rows x labels) of a classifier whose logits are divided by the temperature."""
    import numpy as np

    # The logits differ from the logarithms of the probabilities by one number a row, which softmax takes out again.
    scaled = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, truth: Sequence[str], labels: Sequence[str]) -> Temperature:
    """Return the temperature with the least log loss on these rows, which must not be test rows."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    places = np.arange(len(truth)), np.array([list(labels).index(label) for label in truth])

    def loss(logarithm: float) -> float:
        found = with_temperature(probabilities, float(np.exp(logarithm)))
        return float(-np.log(np.maximum(found[places], _SMALLEST)).mean())

    best = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    value = round(float(np.exp(best.x)), 4)
    at_bound = f", at the bound of what is tried, {LOWEST:g} to {HIGHEST:g}" if _near_bound(value) else ""
    return Temperature(value, f"fitted by log loss on {len(truth)} validation rows{at_bound}")


def validation_temperature(predictor: Predictor, validation: Encoded, adapter: str) -> Temperature:
    """Return the temperature of an adapter from validation rows."""
    rows = validation.rows
    if len(rows) < FEWEST_ROWS:
        return Temperature(None, f"{len(rows)} validation rows are too few to fit it; it takes {FEWEST_ROWS}")
    labels = predictor.task.labels
    with predictor.encode_once(rows, validation.features):
        probabilities = class_probabilities(predictor.predict(rows, adapter), labels)
    if probabilities is None:
        return Temperature(None, "the probabilities of the labels are not known")
    return fit_temperature(probabilities, [row[predictor.task.spec.label] for row in rows], labels)


def brier(probabilities: np.ndarray, truth: Sequence[str], labels: Sequence[str]) -> Measure:
    """Return the Brier score: the squared error of the probabilities, summed over the labels, 0 to 2."""
    import numpy as np

    hits = np.array([[name == label for label in labels] for name in truth], dtype=float)
    return replace(ratio(((probabilities - hits) ** 2).sum(1).tolist(), [1.0] * len(truth)), bounds=(0.0, 2.0))


def calibration_error(probabilities: np.ndarray, truth: Sequence[str], labels: Sequence[str]) -> Measure:
    """Return the expected calibration error over equal-mass bins of the model's own confidences, fixed on all rows."""
    import numpy as np

    confidence, right = _confidence_and_hits(probabilities, truth, labels)
    number = _bins(confidence)
    count = int(number.max()) + 1
    inside = number[:, None] == np.arange(count)
    counts = np.concatenate([inside * (confidence - right)[:, None], inside.sum(1, keepdims=True)], axis=1)

    def value(sums: np.ndarray) -> np.ndarray:
        rows = sums[..., -1]
        gaps = np.abs(sums[..., :-1]).sum(-1)
        return np.divide(gaps, rows, out=np.full(np.shape(gaps), np.nan), where=rows > 0)

    return Measure(counts.astype(float), value, SHARE)


def reliability(probabilities: np.ndarray, truth: Sequence[str], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows, mean confidence and accuracy of each bin, from the least sure to the surest."""
    confidence, right = _confidence_and_hits(probabilities, truth, labels)
    number = _bins(confidence)
    return [
        {
            "rows": int((number == place).sum()),
            "confidence": round(float(confidence[number == place].mean()), 6),
            "accuracy": round(float(right[number == place].mean()), 6),
        }
        for place in range(int(number.max()) + 1)
    ]


def temperature_json(temperature: Temperature) -> Mapping[str, Any]:
    """Return what calibration.json of a version holds, for who serves it."""
    return {
        "temperature": temperature.value,
        "note": temperature.note,
        "use": "divide the logits by it before softmax; the label stays, the confidence changes",
    }


def served_temperature(version_folder: Path) -> float | None:
    """Return the temperature that a version's adapter is served with, None where it has none (see its note)."""
    file = version_folder / CALIBRATION
    found: float | None = json.loads(file.read_text(encoding="utf-8"))["temperature"] if file.is_file() else None
    return found


def calibrated(prediction: Prediction, temperature: float | None) -> Prediction:
    """Return a classifier's prediction with the probabilities that its temperature makes of them, under the same label.

    The same where there is no temperature, and where the prediction holds no probabilities of labels.
    """
    if temperature is None or not prediction.classes:
        return prediction
    import numpy as np

    found = with_temperature(np.array([list(prediction.classes.values())]), temperature)[0].tolist()
    classes = dict(zip(prediction.classes, found, strict=True))
    return replace(prediction, confidence=classes[str(prediction.output)], classes=classes)


def _confidence_and_hits(
    probabilities: np.ndarray, truth: Sequence[str], labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    chosen = probabilities.argmax(1)
    return probabilities.max(1), np.array([labels[c] == name for c, name in zip(chosen, truth, strict=True)], float)


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Return the bin of every row: at most `BINS` of equally many rows, in the order of confidence."""
    import numpy as np

    rows = len(confidence)
    count = max(1, min(BINS, rows // FEWEST_IN_BIN))
    places = np.empty(rows, dtype=int)
    places[np.argsort(confidence, kind="stable")] = np.arange(rows)
    return places * count // rows


def _near_bound(value: float) -> bool:
    return value < LOWEST * 1.01 or value > HIGHEST / 1.01
