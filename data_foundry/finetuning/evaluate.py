"""Evaluation: base and adapted on the same held-out rows, decoded the same way, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.metrics import (
    RESAMPLES,
    Comparison,
    Measure,
    accuracy,
    bootstrap_groups,
    class_counts,
    compare,
    corpus_score,
    error_rate,
    macro_f1,
    ratio,
    weighted_f1,
)
from data_foundry.finetuning.predict import Predictor
from data_foundry.finetuning.task import Row
from data_foundry.lake import fingerprint

BOOTSTRAP_SEED = 0
EXAMPLES = 5
DECIMALS = 6
GREEDY = "greedy"


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one set of rows; every figure of base and adapted is on exactly these rows.

    `measures` holds value and interval of base, adapted and difference for each metric; `score` is the engine's
    primary score in 0..1. `base_details` and `adapted_details` hold what has no single value (per class, confusion).
    """

    rows: int
    row_ids_hash: str
    base_kind: str
    resampled_over: str
    scorer: str
    decoding: str
    measures: dict[str, Comparison]
    base_details: dict[str, Any] = field(default_factory=dict)
    adapted_details: dict[str, Any] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def score(self) -> Comparison:
        return self.measures["score"]

    def figures(self, which: str) -> dict[str, Any]:
        """Return the flat figures of "base" or "adapted" for the report, with their intervals beside them."""
        found = {name: getattr(comparison, which) for name, comparison in self.measures.items()}
        return {
            **{name: _rounded(interval.value) for name, interval in found.items()},
            "intervals": {name: [_rounded(i.low), _rounded(i.high)] for name, i in found.items()},
            "rows": self.rows,
            **getattr(self, f"{which}_details"),
            **({"kind": self.base_kind} if which == "base" else {}),
            **({"not_measured": self.not_measured} if self.not_measured else {}),
        }

    def differences(self) -> dict[str, Any]:
        """Return adapted - base of every metric with its interval."""
        found = {name: comparison.difference for name, comparison in self.measures.items()}
        return {
            name: {"value": _rounded(i.value), "interval": [_rounded(i.low), _rounded(i.high)]}
            for name, i in found.items()
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "row_ids_hash": self.row_ids_hash,
            "scorer": self.scorer,
            "decoding": self.decoding,
            "intervals": f"95 % paired bootstrap, {RESAMPLES} resamples over {self.resampled_over}",
            "base": self.figures("base"),
            "adapted": self.figures("adapted"),
            "difference": self.differences(),
            "examples": self.examples,
        }


def evaluate(predictor: Predictor, rows: Sequence[Row], adapter: str, *, base_adapter: str | None = None) -> Evaluation:
    """Measure the base and an adapter on the same rows; `base_adapter` is the linear probe of a base without a head.

    Raises FoundryError for no rows, or a row that the base can't take.
    """
    spec = predictor.task.spec
    if not rows:
        raise FoundryError(f"{spec.engine} has no held-out rows to be measured on.", "Give its gold a test split.")
    groups, over = bootstrap_groups(rows)
    scorer = SCORERS[spec.task]
    found = {"base": scorer(predictor, rows, base_adapter), "adapted": scorer(predictor, rows, adapter)}
    measures = {
        name: compare(measure, found["adapted"].measures[name], groups, seed=BOOTSTRAP_SEED)
        for name, measure in found["base"].measures.items()
    }
    return Evaluation(
        rows=len(rows),
        row_ids_hash=fingerprint(sorted(str(row.get("row_id", place)) for place, row in enumerate(rows))),
        base_kind=predictor.task.base_kind,
        resampled_over=over,
        scorer=found["base"].scorer,
        decoding=found["base"].decoding,
        measures=measures,
        base_details=found["base"].details,
        adapted_details=found["adapted"].details,
        not_measured=found["base"].not_measured,
        examples=_examples(rows, found["base"], found["adapted"]),
    )


@dataclass(frozen=True)
class Scored:
    """One model's measures on some rows, `score` among them; `decoding` is how its outputs came about."""

    measures: dict[str, Measure]
    scorer: str
    decoding: str
    references: Sequence[Any] = ()
    outputs: Sequence[Any] = ()
    details: dict[str, Any] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)


def score_transcripts(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score speech to text by CER, WER and akshara error rate, in the scoring form and raw.

    The score is 1 - CER of the scoring form, not below 0.
    """
    import jiwer
    import numpy as np

    from data_foundry.preprocessing.text import TEXT_RULES, scoring_form

    references = [row["text"] for row in rows]
    outputs = [str(prediction.output) for prediction in predictor.predict(rows, adapter)]
    forms = [scoring_form(text) for text in references], [scoring_form(text) for text in outputs]
    units = {"cer": "character", "wer": "word", "aer": "akshara"}
    measures = {name: error_rate(*forms, unit) for name, unit in units.items()}
    measures |= {f"{name}_raw": error_rate(references, outputs, unit) for name, unit in units.items()}
    measures["score"] = measures["cer"].then(lambda cer: np.maximum(0.0, 1.0 - cer))
    # The scoring form must never split words: more words would make the same errors look fewer.
    words = {"raw": sum(len(t.split()) for t in references), "scoring_form": sum(len(t.split()) for t in forms[0])}
    scorer = f"jiwer {_version(jiwer)}, scoring form {TEXT_RULES}"
    return Scored(measures, scorer, GREEDY, references, outputs, {"reference_words": words})


def score_labels(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score classification: macro-F1 (the score), weighted F1, accuracy, figures per class, confusion matrix."""
    import sklearn
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    truth = [row[predictor.task.spec.label] for row in rows]
    outputs = [str(prediction.output) for prediction in predictor.predict(rows, adapter)]
    labels = list(predictor.task.labels)
    counts = class_counts(truth, outputs, labels)
    values = {"macro_f1": macro_f1, "weighted_f1": weighted_f1, "accuracy": accuracy, "score": macro_f1}
    measures = {name: Measure(counts, value) for name, value in values.items()}
    table = precision_recall_fscore_support(truth, outputs, labels=labels, zero_division=0)
    per_class = {
        label: {"precision": _rounded(p), "recall": _rounded(r), "f1": _rounded(f), "rows": int(n)}
        for label, p, r, f, n in zip(labels, *table, strict=True)
    }
    matrix = confusion_matrix(truth, outputs, labels=labels).tolist()
    details = {"per_class": per_class, "confusion": {"labels": labels, "truth_by_prediction": matrix}}
    return Scored(measures, f"scikit-learn {_version(sklearn)}", "none: the likeliest label", truth, outputs, details)


def score_translations(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score translation by sacrebleu: chrF++ (the score) and BLEU, both / 100, over the whole set."""
    from sacrebleu import BLEU, CHRF

    targets = {"ml-en": "translation", "en-ml": "text"}
    references = [row[targets[row["direction"]]] for row in rows]
    outputs = [str(prediction.output) for prediction in predictor.predict(rows, adapter)]
    chrf, bleu = CHRF(word_order=2), BLEU()
    measures = {
        "chrf++": corpus_score(chrf, references, outputs),
        "bleu": corpus_score(bleu, references, outputs),
        "score": corpus_score(chrf, references, outputs),
    }
    chrf.corpus_score(outputs, [references])
    bleu.corpus_score(outputs, [references])
    scorer = f"sacrebleu chrF++ {chrf.get_signature()}; BLEU {bleu.get_signature()}; divided by 100"
    return Scored(measures, scorer, GREEDY, references, outputs)


def score_codes(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score codec tokens, each given all true tokens before it: accuracy (the score), loss in nats, perplexity."""
    import numpy as np
    import torch

    found = predictor.teacher_forced(rows, adapter)
    tokens = [score.tokens for score in found]
    right = ratio([score.right for score in found], tokens)
    loss = ratio([score.loss for score in found], tokens)
    measures = {"token_accuracy": right, "token_loss": loss, "perplexity": loss.then(np.exp), "score": right}
    speech = "no decoder of this codec is part of the pipeline, so the speech was neither heard nor transcribed"
    scorer = f"torch {_version(torch)} cross-entropy"
    decoding = "none: each token is foreseen from the true tokens before it"
    return Scored(measures, scorer, decoding, not_measured={"cer_of_speech": speech})


SCORERS: dict[str, Callable[[Predictor, Sequence[Row], str | None], Scored]] = {
    "speech-to-text": score_transcripts,
    "audio-classification": score_labels,
    "text-classification": score_labels,
    "text-to-text": score_translations,
    "text-to-codes": score_codes,
}


def _examples(rows: Sequence[Row], base: Scored, adapted: Scored) -> list[dict[str, Any]]:
    outputs = list(zip(rows, base.references, base.outputs, adapted.outputs, strict=False))[:EXAMPLES]
    return [
        {"row_id": row.get("row_id"), "reference": reference, "base": before, "adapted": after}
        for row, reference, before, after in outputs
    ]


def _rounded(value: float) -> float | None:
    return None if value != value else round(float(value), DECIMALS)


def _version(module: Any) -> str:
    from importlib.metadata import version

    name = {"sklearn": "scikit-learn"}.get(module.__name__, module.__name__)
    return version(name)
