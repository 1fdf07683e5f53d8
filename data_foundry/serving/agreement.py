"""How far two answers to one call lie apart: an answer from what was right, or a candidate's from the incumbent's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data_foundry.training_config import Task


@dataclass(frozen=True)
class Comparison:
    """A task's own figure of one answer beside a reference (reference, output), in 0..1, and what it means.

    `has_reference` is false where only two answers can be compared, because nothing says which one would be right.
    """

    metric: str
    meaning: str
    measure: Callable[[Any, Any], float]
    lower_is_better: bool = False
    has_reference: bool = True


def loss_of(task: Task, output: Any, truth: Any) -> float | None:
    """Return how wrong an answer to one call is, 0 (right) to 1; None where no reference says it.

    `truth` is the text or the label that would have been right. Of a transcript it is the character error rate of the
    scoring form, at most 1; of a label 0 or 1; of a translation 1 - chrF++.
    """
    return disagreement_of(task, truth, output) if COMPARISONS[task].has_reference else None


def disagreement_of(task: Task, incumbent: Any, candidate: Any) -> float:
    """Return how far two answers to one call lie apart, 0 (equal) to 1, with the incumbent's as the truth.

    Of codec tokens it is the share of frames that differ at the same place.
    """
    if incumbent == candidate:
        return 0.0
    comparison = COMPARISONS[task]
    value = comparison.measure(incumbent, candidate)
    return min(max(value if comparison.lower_is_better else 1 - value, 0.0), 1.0)


def _character_error_rate(reference: str, output: str) -> float:
    from data_foundry.finetuning.evaluation.metrics import error_rate
    from data_foundry.preprocessing.text import scoring_form

    truth, said = scoring_form(reference), scoring_form(output)
    if not truth:
        # Nothing was said that counts: whatever else was heard is wholly wrong.
        return 1.0 if said else 0.0
    return error_rate([truth], [said], "character").overall


def _chrf(reference: str, output: str) -> float:
    from sacrebleu.metrics import CHRF

    from data_foundry.finetuning.evaluation.metrics import corpus_score

    value = corpus_score(CHRF(word_order=2), [reference], [output]).overall
    return 0.0 if math.isnan(value) else value


def _same(reference: Any, output: Any) -> float:
    return float(reference == output)


def _same_frames(reference: Sequence[Sequence[int]], output: Sequence[Sequence[int]]) -> float:
    """Share of frames (all layers) that are equal at the same place, of the longer one's frames."""
    first, second = list(zip(*reference, strict=False)), list(zip(*output, strict=False))
    longest = max(len(first), len(second))
    return sum(a == b for a, b in zip(first, second, strict=False)) / longest if longest else 1.0


_LABELS = Comparison("accuracy", "share of calls with the same label", _same)
COMPARISONS: dict[Task, Comparison] = {
    "speech-to-text": Comparison(
        "cer",
        "character error rate of the Malayalam-safe scoring form, at most 1, mean over calls",
        _character_error_rate,
        lower_is_better=True,
    ),
    "audio-classification": _LABELS,
    "text-classification": _LABELS,
    "text-to-text": Comparison("chrf++", "chrF++ / 100, mean over calls", _chrf),
    "text-to-codes": Comparison(
        "same_frames",
        "share of codec frames equal at the same place, mean over calls",
        _same_frames,
        has_reference=False,
    ),
}
