"""Evaluation: base and adapted on the same held-out rows, decoded the same way, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.bootstrap import RESAMPLES, Bootstrap, relative_reduction, speakers_of
from data_foundry.finetuning.evaluation.calibration import (
    Temperature,
    brier,
    calibration_error,
    reliability,
    with_temperature,
)
from data_foundry.finetuning.evaluation.metrics import Comparison
from data_foundry.finetuning.evaluation.predict import Predictor
from data_foundry.finetuning.evaluation.scorers import SCORERS, Scored, rounded
from data_foundry.finetuning.evaluation.slices import interval_json, slices
from data_foundry.finetuning.tasks.task import Row
from data_foundry.lake import fingerprint

EXAMPLES = 5


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one set of rows; every figure of base and adapted is on exactly these rows.

    `base` and `adapted` are the two models' scores row by row, `measures` value and interval of both and of their
    difference for each metric; `score` is the engine's primary score in 0..1.
    """

    row_ids: tuple[str, ...]
    base_kind: str
    bootstrap: Bootstrap
    base: Scored
    adapted: Scored
    measures: dict[str, Comparison]
    slices: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    examples: list[dict[str, Any]] = field(default_factory=list)
    speakers: int | None = None

    @property
    def score(self) -> Comparison:
        return self.measures["score"]

    def figures(self, which: str) -> dict[str, Any]:
        """Return the flat figures of "base" or "adapted" for the report, with their intervals beside them."""
        found = {name: getattr(comparison, which) for name, comparison in self.measures.items()}
        scored: Scored = getattr(self, which)
        return {
            **{name: rounded(interval.value) for name, interval in found.items()},
            "intervals": {name: [rounded(i.low), rounded(i.high)] for name, i in found.items()},
            "rows": len(self.row_ids),
            **scored.details,
            **({"kind": self.base_kind} if which == "base" else {}),
            **({"not_measured": scored.not_measured} if scored.not_measured else {}),
        }

    def differences(self) -> dict[str, Any]:
        """Return adapted - base of every metric with its interval."""
        found = {name: comparison.difference for name, comparison in self.measures.items()}
        return {
            name: {"value": rounded(i.value), "interval": [rounded(i.low), rounded(i.high)]}
            for name, i in found.items()
        }

    def relative_error_reduction(self) -> dict[str, Any]:
        """Return the share of the base's error that is gone, with its interval, or why there is none."""
        found = relative_reduction(self.base.primary_error, self.adapted.primary_error, self.bootstrap)
        error = self.base.error or "1 - score"
        if found is None:
            why = "the base makes no error here, or none on some resamples"
            return {"error": error, "value": None, "low": None, "high": None, "not_measured": why}
        return {"error": error, **interval_json(found), "not_measured": None}

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": len(self.row_ids),
            "row_ids_hash": fingerprint(sorted(self.row_ids)),
            "scorer": self.base.scorer,
            "decoding": self.base.decoding,
            "intervals": f"95 % paired bootstrap, {RESAMPLES} resamples over {self.bootstrap.over}",
            "units": self.bootstrap.units,
            "speakers": self.speakers,
            "base": self.figures("base"),
            "adapted": self.figures("adapted"),
            "difference": self.differences(),
            "relative_error_reduction": self.relative_error_reduction(),
            "slices": self.slices,
            **({"calibration": self.calibration} if self.calibration else {}),
            "examples": self.examples,
        }


def evaluate(
    predictor: Predictor,
    rows: Sequence[Row],
    adapter: str,
    *,
    base_adapter: str | None = None,
    temperature: Temperature | None = None,
) -> Evaluation:
    """Measure the base and an adapter on the same rows; `base_adapter` is the linear probe of a base without a head.

    `temperature` is what validation rows gave for the adapter, for a classifier. Raises FoundryError for no rows, or a
    row that the base can't take.
    """
    spec = predictor.task.spec
    if not rows:
        raise FoundryError(f"{spec.engine} has no held-out rows to be measured on.", "Give its gold a test split.")
    bootstrap = Bootstrap.of_rows(rows)
    scorer = SCORERS[spec.task]
    base, adapted = scorer(predictor, rows, base_adapter), scorer(predictor, rows, adapter)
    for scored in (base, adapted):
        for label, measure in scored.classes.items():
            interval = bootstrap(measure).interval
            scored.details["per_class"][label]["f1_interval"] = [rounded(interval.low), rounded(interval.high)]
    return Evaluation(
        row_ids=tuple(str(row.get("row_id", place)) for place, row in enumerate(rows)),
        base_kind=predictor.task.base_kind,
        bootstrap=bootstrap,
        base=base,
        adapted=adapted,
        measures={name: bootstrap.compare(measure, adapted.measures[name]) for name, measure in base.measures.items()},
        slices=_slices(predictor, rows, base, adapted, bootstrap),
        calibration=_calibration(base, adapted, predictor.task.labels, bootstrap, temperature),
        examples=_examples(rows, base, adapted),
        speakers=len({speaker for speaker in speakers_of(rows) if speaker}) or None,
    )


def _slices(
    predictor: Predictor, rows: Sequence[Row], base: Scored, adapted: Scored, bootstrap: Bootstrap
) -> dict[str, Any]:
    """Return the slices by the score; those of a classifier by accuracy, for macro-F1 depends on a group's labels."""
    spec, config = predictor.task.spec, predictor.task.config
    figure = "accuracy" if "accuracy" in base.measures else "score"
    hears = spec.task in ("speech-to-text", "audio-classification")
    return slices(
        rows,
        base.measures[figure],
        adapted.measures[figure],
        bootstrap,
        label=spec.label,
        figure=figure,
        length=_seconds if hears else _characters,
        unit="s" if hears else "characters",
        least=config.min_slice_rows,
        least_speakers=config.min_test_speakers,
    )


def _seconds(row: Row) -> float | None:
    return None if row.get("duration") is None else round(row["duration"], 1)


def _characters(row: Row) -> float | None:
    """Return how long the text is that the engine reads."""
    text = row.get("translation" if row.get("direction") == "en-ml" else "text")
    return None if text is None else len(text)


def _calibration(
    base: Scored, adapted: Scored, labels: Sequence[str], bootstrap: Bootstrap, temperature: Temperature | None
) -> dict[str, Any] | None:
    """Return ECE, Brier score and reliability bins of both models, and of the adapted one with its temperature."""
    if base.probabilities is None or adapted.probabilities is None:
        return None
    truth = adapted.references

    def measured(probabilities: Any) -> dict[str, Any]:
        return {
            "ece": interval_json(bootstrap(calibration_error(probabilities, truth, labels)).interval),
            "brier": interval_json(bootstrap(brier(probabilities, truth, labels)).interval),
            "reliability": reliability(probabilities, truth, labels),
        }

    value = temperature.value if temperature else None
    found = {"base": measured(base.probabilities), "adapted": measured(adapted.probabilities)}
    return {
        "bins": len(found["adapted"]["reliability"]),
        **found,
        "adapted_with_temperature": measured(with_temperature(adapted.probabilities, value)) if value else None,
        "temperature": value,
        "temperature_note": temperature.note if temperature else "no validation rows were given to fit it on",
    }


def _examples(rows: Sequence[Row], base: Scored, adapted: Scored) -> list[dict[str, Any]]:
    outputs = list(zip(rows, base.references, base.outputs, adapted.outputs, strict=False))[:EXAMPLES]
    return [
        {"row_id": row.get("row_id"), "reference": reference, "base": before, "adapted": after}
        for row, reference, before, after in outputs
    ]
