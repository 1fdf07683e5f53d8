"""Metrics as sums over rows, so that one bootstrap gives every one of them an interval.

A corpus-level metric is a function of counts summed over rows: edits and reference length, hits per class, n-gram
matches, token losses. `Measure` keeps the counts of every row; the value of the whole set and of every resample of it
is the same function of their sums. The counts come from jiwer and sacrebleu.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 1000
LEVEL = 0.95
FEWEST_SPEAKERS = 5
"""With fewer known speakers, resampling them says nothing; rows are resampled instead, and the report says so."""


@dataclass(frozen=True)
class Measure:
    """One metric: counts per row (rows x counts) and the function from summed counts (..., counts) to values (...)."""

    counts: np.ndarray
    value: Callable[[np.ndarray], np.ndarray]

    @property
    def overall(self) -> float:
        """The metric over all rows."""
        return float(self.value(self.counts.sum(0)))

    def then(self, function: Callable[[np.ndarray], np.ndarray]) -> Measure:
        """Return the measure whose value is `function` of this one's."""
        value = self.value
        return Measure(self.counts, lambda sums: function(value(sums)))


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its 95 % bootstrap interval (percentile method)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Base and adapted on the same rows, and adapted - base, all from the same resamples."""

    base: Interval
    adapted: Interval
    difference: Interval


def compare(base: Measure, adapted: Measure, groups: Sequence[str], *, seed: int = 0) -> Comparison:
    """Return both values and their difference with paired bootstrap intervals over `groups` (one name a row).

    Every resample draws as many groups as there are, with replacement, and takes the same ones for both models.
    """
    import numpy as np

    names, number = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)

    def resampled(measure: Measure) -> np.ndarray:
        sums = np.zeros((len(names), measure.counts.shape[1]))
        np.add.at(sums, number, measure.counts)
        return measure.value(draws @ sums)

    first, second = resampled(base), resampled(adapted)
    return Comparison(
        _interval(base.overall, first),
        _interval(adapted.overall, second),
        _interval(adapted.overall - base.overall, second - first),
    )


def bootstrap_groups(rows: Sequence[Any]) -> tuple[list[str], str]:
    """Return the group of every row for the bootstrap, and what the groups are: speakers where known, else rows."""
    # The same id in two datasets is two persons.
    speakers = [row.get("speaker") and f"{row.get('dataset')} {row['speaker']}" for row in rows]
    own = [str(row.get("row_id") or place) for place, row in enumerate(rows)]
    known = {speaker for speaker in speakers if speaker}
    if not known:
        return own, "rows"
    if len(known) < FEWEST_SPEAKERS:
        return own, f"rows (only {len(known)} speakers are known)"
    unknown = sum(not speaker for speaker in speakers)
    groups = [f"speaker {speaker}" if speaker else f"row {name}" for speaker, name in zip(speakers, own, strict=True)]
    return groups, f"{len(known)} speakers" + (f" and {unknown} rows of unknown speakers" if unknown else "")


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
    return Measure(np.array(counts, dtype=float), _ratio)


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

    return Measure(np.array(statistics, dtype=float), value)


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


def _interval(value: float, resampled: np.ndarray) -> Interval:
    import numpy as np

    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
