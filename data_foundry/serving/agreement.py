"""How two answers to one call compare: an answer with its reference, or the candidate's answer with the incumbent's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.serving.gateway import Row


@dataclass(frozen=True)
class Comparison:
    """A figure over pairs of texts, labels or codes (references, answers), and what it means; None: not defined."""

    metric: str
    meaning: str
    measure: Callable[[Sequence[Any], Sequence[Any]], float]
    reference: Callable[[EngineSpec, Row], Any] | None


def quality_of(spec: EngineSpec, answers: Sequence[tuple[Row, Any]]) -> dict[str, Any]:
    """Measure answers (gold row, output) against the rows' references; `value` None comes with a reason."""
    comparison = COMPARISONS[spec.task]
    if comparison.reference is None:
        return {**_absent(comparison, len(answers)), "reason": "generated speech has no reference, token by token"}
    references = [comparison.reference(spec, row) for row, _ in answers]
    return _measured(comparison, references, [output for _, output in answers])


def agreement_of(spec: EngineSpec, answers: Sequence[tuple[Row, Any, Any]]) -> dict[str, Any]:
    """Measure the candidate's outputs against the incumbent's (row, incumbent, candidate) on the same calls."""
    comparison = COMPARISONS[spec.task]
    found = _measured(comparison, [heard for _, heard, _ in answers], [unheard for _, _, unheard in answers])
    same = sum(heard == unheard for _, heard, unheard in answers)
    return {**found, "identical": same}


def _measured(comparison: Comparison, references: Sequence[Any], outputs: Sequence[Any]) -> dict[str, Any]:
    if not outputs:
        return {**_absent(comparison, 0), "reason": "no mirrored call was answered"}
    value = comparison.measure(references, outputs)
    if math.isnan(value):
        return {**_absent(comparison, len(outputs)), "reason": "nothing to compare with: every reference is empty"}
    return {**_absent(comparison, len(outputs)), "value": round(value, 4)}


def _absent(comparison: Comparison, calls: int) -> dict[str, Any]:
    return {"metric": comparison.metric, "meaning": comparison.meaning, "value": None, "calls": calls}


def _character_error_rate(references: Sequence[str], outputs: Sequence[str]) -> float:
    from data_foundry.finetuning.evaluation.metrics import error_rate
    from data_foundry.preprocessing.text import scoring_form

    truth, said = ([scoring_form(text) for text in texts] for texts in (references, outputs))
    return error_rate(truth, said, "character").overall


def _chrf(references: Sequence[str], outputs: Sequence[str]) -> float:
    from sacrebleu.metrics import CHRF

    from data_foundry.finetuning.evaluation.metrics import corpus_score

    return corpus_score(CHRF(word_order=2), references, outputs).overall


def _same_share(references: Sequence[Any], outputs: Sequence[Any]) -> float:
    return sum(a == b for a, b in zip(references, outputs, strict=True)) / len(outputs)


def _same_frames(references: Sequence[Sequence[Sequence[int]]], outputs: Sequence[Sequence[Sequence[int]]]) -> float:
    """Share of frames (all layers) that are equal at the same place, of the longer one's frames."""
    same = longest = 0
    for reference, output in zip(references, outputs, strict=True):
        first, second = list(zip(*reference, strict=False)), list(zip(*output, strict=False))
        same += sum(a == b for a, b in zip(first, second, strict=False))
        longest += max(len(first), len(second))
    return same / longest if longest else math.nan


def _label(spec: EngineSpec, row: Row) -> Any:
    return row[spec.label]


def _target_side(spec: EngineSpec, row: Row) -> str:
    return row["text"] if row["direction"] == "en-ml" else row["translation"]


_LABELS = Comparison("accuracy", "share of calls with the same label", _same_share, _label)
COMPARISONS: dict[str, Comparison] = {
    "speech-to-text": Comparison(
        "cer", "character error rate of the Malayalam-safe scoring form over all calls", _character_error_rate, _label
    ),
    "audio-classification": _LABELS,
    "text-classification": _LABELS,
    "text-to-text": Comparison("chrf++", "chrF++ / 100 over all calls", _chrf, _target_side),
    "text-to-codes": Comparison("same_frames", "share of codec frames equal at the same place", _same_frames, None),
}
