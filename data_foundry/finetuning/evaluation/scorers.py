"""How the outputs of one model on some rows are scored, by what the engine does; the scorer is named with its version.

Whisper's own normaliser is not among the forms that transcripts are compared in: it turns every vowel sign and virama
of Malayalam into a space and so counts a fraction of the errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from data_foundry.finetuning.evaluation.calibration import brier, calibration_error, class_probabilities
from data_foundry.finetuning.evaluation.metrics import (
    SHARE,
    Measure,
    accuracy,
    class_counts,
    class_f1,
    corpus_score,
    error_rate,
    macro_f1,
    ratio,
    weighted_f1,
)
from data_foundry.finetuning.evaluation.predict import Predictor
from data_foundry.finetuning.tasks.task import Row

GREEDY = "greedy"
TARGETS = {"ml-en": "translation", "en-ml": "text"}
REWRITTEN = "raw_text_rewritten"
"""The flag of a row whose raw text had to be written anew to mask personal data: its dataset writes it otherwise."""


@dataclass(frozen=True)
class Scored:
    """One model's measures on some rows, `score` among them; `decoding` is how its outputs came about.

    `error` names the measure that is the primary error, "" where that is 1 - score. `classes` holds the F1 of each
    class, `probabilities` those of a classifier (rows x labels). `details` is what has no single value.
    """

    measures: dict[str, Measure]
    scorer: str
    decoding: str
    error: str = ""
    references: Sequence[Any] = ()
    outputs: Sequence[Any] = ()
    classes: dict[str, Measure] = field(default_factory=dict)
    probabilities: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)

    @property
    def primary_error(self) -> Measure:
        """The measure whose relative reduction is what an adapter gained."""
        return (
            self.measures[self.error] if self.error else self.measures["score"].then(lambda score: 1.0 - score, SHARE)
        )


def score_transcripts(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score speech to text by CER, akshara error rate and WER, over the whole set.

    Each in the Malayalam-safe scoring form and in none (`_raw`), and CER and WER in the form of Vistaar's evaluation,
    named so. Those two are against the text as its dataset has it (`text_raw`; personal data is masked), over the rows
    that have it so: those flagged REWRITTEN are left out and counted, and where any other row lacks it, or none is
    left, nothing is measured. The score is 1 - CER of the scoring form, not below 0.
    """
    import numpy as np

    from data_foundry.preprocessing.text import TEXT_RULES, scoring_form, vistaar_compat

    references = [row["text"] for row in rows]
    outputs = [str(prediction.output) for prediction in predictor.predict(rows, adapter)]
    forms: dict[str, tuple[list[str], list[str]]] = {
        "": ([scoring_form(text) for text in references], [scoring_form(text) for text in outputs]),
    }
    own = [place for place, row in enumerate(rows) if REWRITTEN not in (row.get("flags") or ())]
    left_out = len(rows) - len(own)
    lacking = sum(not rows[place].get("text_raw") for place in own)
    why = None
    if lacking:
        why = f"{lacking} of {len(rows)} rows do not say how their dataset writes the text (text_raw)"
    elif not own:
        why = f"the raw text of all {len(rows)} rows was rewritten, to mask personal data"
    else:
        as_found, heard = [rows[place]["text_raw"] for place in own], [outputs[place] for place in own]
        forms["_raw"] = as_found, heard
        forms["_vistaar_compat"] = [vistaar_compat(t) for t in as_found], [vistaar_compat(text) for text in heard]
    measures = {
        f"{name}{form}": spread(error_rate(*pair, unit), own, len(rows)) if form else error_rate(*pair, unit)
        for form, pair in forms.items()
        for name, unit in (("cer", "character"), ("aer", "akshara"), ("wer", "word"))
        if (name, form) != ("aer", "_vistaar_compat")  # Vistaar counts no aksharas
    }
    measures["score"] = measures["cer"].then(lambda cer: np.maximum(0.0, 1.0 - cer), SHARE)
    # The scoring form must never split words: more words would make the same errors look fewer.
    words = {name: sum(len(text.split()) for text in pair[0]) for name, pair in forms.items()}
    details = {
        "reference_words": {name.strip("_") or "scoring_form": count for name, count in words.items()},
        **({"raw_rows_left_out": left_out} if left_out and why is None else {}),
    }
    scorer = (
        f"jiwer {version('jiwer')}, scoring form {TEXT_RULES}; *_raw unnormalised, against the text as its dataset has "
        "it, personal data masked, without rows rewritten for that; *_vistaar_compat after Vistaar's evaluation.py "
        f"with indic-nlp-library {version('indic-nlp-library')}, against the same"
    )
    not_measured = dict.fromkeys(("raw", "vistaar_compat"), why) if why else {}
    return Scored(measures, scorer, GREEDY, "cer", references, outputs, details=details, not_measured=not_measured)


def score_labels(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score classification: macro-F1 (the score), weighted F1, accuracy, ECE, Brier, per class, confusion matrix."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    truth = [row[predictor.task.spec.label] for row in rows]
    predictions = predictor.predict(rows, adapter)
    outputs = [str(prediction.output) for prediction in predictions]
    labels = list(predictor.task.labels)
    counts = class_counts(truth, outputs, labels)
    values = {"macro_f1": macro_f1, "weighted_f1": weighted_f1, "accuracy": accuracy, "score": macro_f1}
    measures = {name: Measure(counts, value, SHARE) for name, value in values.items()}
    probabilities = class_probabilities(predictions, labels)
    if probabilities is not None:
        measures["ece"] = calibration_error(probabilities, truth, labels)
        measures["brier"] = brier(probabilities, truth, labels)
    table = precision_recall_fscore_support(truth, outputs, labels=labels, zero_division=0)
    per_class = {
        label: {"precision": rounded(p), "recall": rounded(r), "f1": rounded(f), "rows": int(n)}
        for label, p, r, f, n in zip(labels, *table, strict=True)
    }
    matrix = confusion_matrix(truth, outputs, labels=labels).tolist()
    return Scored(
        measures,
        f"scikit-learn {version('scikit-learn')}; macro-F1 over the labels that occur in the truth",
        "none: the likeliest label",
        references=truth,
        outputs=outputs,
        classes={label: Measure(counts, class_f1(place), SHARE) for place, label in enumerate(labels)},
        probabilities=probabilities,
        details={"per_class": per_class, "confusion": {"labels": labels, "truth_by_prediction": matrix}},
        not_measured={} if probabilities is not None else {"calibration": "no probabilities of the classes are known"},
    )


def score_translations(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score translation by sacrebleu: chrF++ and BLEU, both / 100, over all rows of each direction.

    "chrf++_ml_en" is that of one direction, "chrf++" (the score) the mean of the directions that the rows have: texts
    of two languages are no corpus, and the direction of more rows is not the more important one.
    """
    from sacrebleu import BLEU, CHRF

    references = [row[TARGETS[row["direction"]]] for row in rows]
    outputs = [str(prediction.output) for prediction in predictor.predict(rows, adapter)]
    metrics = {"chrf++": CHRF(word_order=2), "bleu": BLEU()}
    directions = [row["direction"] for row in rows]
    means: dict[str, Measure] = {}
    measures: dict[str, Measure] = {}
    for name, metric in metrics.items():
        found = by_group(corpus_score(metric, references, outputs), directions)
        means[name] = mean_of(list(found.values()))
        measures |= {f"{name}_{direction.replace('-', '_')}": measure for direction, measure in found.items()}
    measures = {**means, **measures, "score": means["chrf++"]}
    signatures = []
    for name, metric in metrics.items():
        # A signature counts the references, which the metric learns by scoring.
        metric.corpus_score(outputs[:1], [references[:1]])
        signatures.append(f"{name} {metric.get_signature()}")
    scorer = f"sacrebleu {'; '.join(signatures)}; divided by 100; the mean of the directions present"
    return Scored(measures, scorer, GREEDY, references=references, outputs=outputs)


def score_codes(predictor: Predictor, rows: Sequence[Row], adapter: str | None) -> Scored:
    """Score codec tokens, each given all true tokens before it: accuracy (the score), loss in nats, perplexity."""
    import numpy as np

    found = predictor.teacher_forced(rows, adapter)
    tokens = [score.tokens for score in found]
    right = replace(ratio([score.right for score in found], tokens), bounds=SHARE)
    loss = replace(ratio([score.loss for score in found], tokens), bounds=(0.0, math.inf))
    measures = {
        "token_accuracy": right,
        "token_loss": loss,
        "perplexity": loss.then(np.exp, (1.0, math.inf)),
        "score": right,
    }
    decoding = "none: each token is foreseen from the true tokens before it"
    return Scored(measures, f"torch {version('torch')} cross-entropy", decoding)


SCORERS: dict[str, Callable[[Predictor, Sequence[Row], str | None], Scored]] = {
    "speech-to-text": score_transcripts,
    "audio-classification": score_labels,
    "text-classification": score_labels,
    "text-to-text": score_translations,
    "text-to-codes": score_codes,
}


def by_group(measure: Measure, names: Sequence[str]) -> dict[str, Measure]:
    """Return a measure over the rows of each group (one name a row); not defined where none of its rows are."""
    import numpy as np

    def value(sums: Any) -> Any:
        return np.where(sums[..., -1] > 0, measure.value(sums[..., :-1]), np.nan)

    groups = {name: np.array([one == name for one in names], dtype=float)[:, None] for name in sorted(set(names))}
    return {
        name: Measure(np.concatenate([measure.counts * mask, mask], axis=1), value, measure.bounds)
        for name, mask in groups.items()
    }


def spread(measure: Measure, places: Sequence[int], rows: int) -> Measure:
    """Return a measure of the rows at some places as one of so many rows, of which the others count nothing."""
    import numpy as np

    counts = np.zeros((rows, measure.counts.shape[1]))
    counts[places] = measure.counts
    return replace(measure, counts=counts)


def mean_of(measures: Sequence[Measure]) -> Measure:
    """Return the mean of those measures of the same rows that are defined."""
    import numpy as np

    ends = np.cumsum([measure.counts.shape[1] for measure in measures])[:-1]

    def value(sums: Any) -> Any:
        parts = np.split(sums, ends, axis=-1)
        values = np.stack([measure.value(part) for measure, part in zip(measures, parts, strict=True)])
        defined = np.isfinite(values)
        total, count = np.where(defined, values, 0.0).sum(0), defined.sum(0)
        return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)

    return Measure(np.concatenate([measure.counts for measure in measures], axis=1), value, measures[0].bounds)


def rounded(value: float) -> float | None:
    """Return a figure as it is stored: six decimals, None for what is not defined."""
    return None if value != value else round(float(value), 6)
