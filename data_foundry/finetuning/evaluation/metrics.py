"""Metrics as sums over rows, so that one bootstrap gives every one of them an interval.

A corpus-level metric is a function of counts summed over rows: edits and reference length, hits per class, n-gram
matches, token losses. `Measure` keeps the counts of every row; the value of the whole set and of every resample of it
is the same function of their sums. The counts come from jiwer and sacrebleu.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SHARE = (0.0, 1.0)
"""The bounds of what is a share of something, such as a score."""


@dataclass(frozen=True)
class Measure:
    """One metric: counts per row (rows x counts) and the function from summed counts (..., counts) to values (...).

    `bounds` are the lowest and highest value that it can have: its interval ends there.
    """

    counts: np.ndarray
    value: Callable[[np.ndarray], np.ndarray]
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def overall(self) -> float:
        """The metric over all rows."""
        return float(self.value(self.counts.sum(0)))

    def then(
        self, function: Callable[[np.ndarray], np.ndarray], bounds: tuple[float, float] = (-math.inf, math.inf)
    ) -> Measure:
        """Return the measure whose value is `function` of this one's."""
        value = self.value
        return Measure(self.counts, lambda sums: function(value(sums)), bounds)


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its 95 % bootstrap interval (expanded percentiles)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Base and adapted on the same rows, and adapted - base, all from the same resamples."""

    base: Interval
    adapted: Interval
    difference: Interval


def error_rate(references: Sequence[str], hypotheses: Sequence[str], unit: str) -> Measure:
    """Return the corpus-level error rate: edits over the length of all references.

    `unit` is "word", "character" (spaces count) or "akshara" (spaces do not). Counted by jiwer.
    """
    import jiwer
    import numpy as np

    from data_foundry.preprocessing.text import aksharas

    counts = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        if unit == "akshara":
            reference, hypothesis = " ".join(aksharas(reference)), " ".join(aksharas(hypothesis))
        count = jiwer.process_characters if unit == "character" else jiwer.process_words
        found = count(reference, hypothesis)
        edits = found.substitutions + found.deletions + found.insertions
        counts.append((edits, found.hits + found.substitutions + found.deletions))
    return Measure(np.array(counts, dtype=float), _ratio, (0.0, math.inf))


def class_counts(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Return counts per row, rows x (3 x labels): true positives, false positives, false negatives of each label."""
    import numpy as np

    true = np.array([[name == label for label in labels] for name in truth])
    said = np.array([[name == label for label in labels] for name in predicted])
    return np.concatenate([true & said, ~true & said, true & ~said], axis=1).astype(float)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the labels that occur in the truth, from sums of `class_counts`."""
    f1, support = _f1_and_support(sums)
    occurs = support > 0
    return (f1 * occurs).sum(-1) / occurs.sum(-1).clip(1)


def weighted_f1(sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the labels, weighted by how often each occurs in the truth."""
    f1, support = _f1_and_support(sums)
    return (f1 * support).sum(-1) / support.sum(-1).clip(1)


def class_f1(place: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from sums of `class_counts` to the F1 of the label at a place among the labels."""
    return lambda sums: _f1_and_support(sums)[0][..., place]


def accuracy(sums: np.ndarray) -> np.ndarray:
    """Return the share of rows whose label was right, from sums of `class_counts`."""
    import numpy as np

    right, _, missed = np.split(sums, 3, axis=-1)
    return _ratio(np.stack([right.sum(-1), (right + missed).sum(-1)], axis=-1))


def corpus_score(metric: Any, references: Sequence[str], hypotheses: Sequence[str]) -> Measure:
    """Return a sacrebleu metric (BLEU, CHRF) in 0..1 as a measure over its sentence statistics."""
    import numpy as np

    statistics = metric._extract_corpus_statistics(list(hypotheses), [list(references)])

    def value(sums: np.ndarray) -> np.ndarray:
        flat = sums.reshape(-1, sums.shape[-1])
        scores = [metric._compute_score_from_stats([int(count) for count in row]).score / 100 for row in flat]
        return np.array(scores).reshape(sums.shape[:-1])

    return Measure(np.array(statistics, dtype=float), value, SHARE)


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Measure:
    """Return the measure sum(numerators) / sum(denominators)."""
    import numpy as np

    return Measure(np.stack([np.array(numerators, float), np.array(denominators, float)], axis=1), _ratio)


def _ratio(sums: np.ndarray) -> np.ndarray:
    import numpy as np

    top, bottom = sums[..., 0], sums[..., 1]
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def _f1_and_support(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    right, wrong, missed = np.split(sums, 3, axis=-1)
    whole = 2 * right + wrong + missed
    return np.divide(2 * right, whole, out=np.zeros_like(whole), where=whole > 0), right + missed
