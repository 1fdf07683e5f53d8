"""The metadata that opens a model card: what the Hub reads of an adapter, in the Hub's own vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.figures import counted
from data_foundry.finetuning.versions.version_files import SPLITS
from data_foundry.licence_terms import strictest

PIPELINE_TAGS = {
    "speech-to-text": "automatic-speech-recognition",
    "audio-classification": "audio-classification",
    "text-classification": "text-classification",
    "text-to-text": "translation",
    "text-to-codes": "text-to-speech",
}
UNNORMALISED = "unnormalised, against the text as its dataset has it"
# The Hub's name of a metric, and what tells it from others of that name.
METRICS = {
    "cer": ("cer", "CER, Malayalam-safe scoring form"),
    "wer": ("wer", "WER, Malayalam-safe scoring form"),
    "aer": ("aer", "akshara error rate, Malayalam-safe scoring form"),
    "cer_raw": ("cer", f"CER, {UNNORMALISED}"),
    "wer_raw": ("wer", f"WER, {UNNORMALISED}"),
    "aer_raw": ("aer", f"akshara error rate, {UNNORMALISED}"),
    "cer_vistaar_compat": ("cer", "CER as Vistaar counts (vistaar_compat)"),
    "wer_vistaar_compat": ("wer", "WER as Vistaar counts (vistaar_compat)"),
    "macro_f1": ("f1", "macro-F1"),
    "weighted_f1": ("f1", "weighted F1"),
    "accuracy": ("accuracy", "accuracy"),
    "chrf++": ("chrf", "chrF++ / 100, mean of the directions"),
    "chrf++_ml_en": ("chrf", "chrF++ / 100, Malayalam to English"),
    "chrf++_en_ml": ("chrf", "chrF++ / 100, English to Malayalam"),
    "bleu": ("bleu", "BLEU / 100, mean of the directions"),
    "bleu_ml_en": ("bleu", "BLEU / 100, Malayalam to English"),
    "bleu_en_ml": ("bleu", "BLEU / 100, English to Malayalam"),
    "perplexity": ("perplexity", "perplexity of codec tokens"),
    "token_accuracy": ("accuracy", "codec tokens right"),
    "token_loss": ("loss", "loss of codec tokens, nats"),
}
# Licences that the Hub knows by these names; every other one is "other" with a name.
HUB_LICENCES = frozenset({
    "apache-2.0", "mit", "isc", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "cc0-1.0", "cc-by-2.0",
    "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0",
    "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "odc-by", "pddl",
})  # fmt: skip
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def metadata(spec: EngineSpec, details: Mapping[str, Any]) -> str:
    """Return the YAML of a version's card, without the lines that fence it; figures only where they were measured."""
    from huggingface_hub import ModelCardData

    datasets = dataset_names(details)
    phone = details.get("phone")
    results = _results(spec, details, details["evaluation"], "clean" if phone else None)
    if phone:
        results += _results(spec, details, phone, "phone")
    fields: dict[str, Any] = {
        "language": ["ml", "en"] if spec.task == "text-to-text" else ["ml"],
        **licence_fields(details),
        "base_model": details["config"]["base"],
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": PIPELINE_TAGS[spec.task],
        "tags": ["lora", "malayalam", "data-foundry"],
        "datasets": [name for name in datasets if REPOSITORY.fullmatch(name)],
        "metrics": sorted({result.metric_type for result in results}),
        "model_name": f"{details['engine']}-{details['version']}",
    }
    if results:
        fields["eval_results"] = results
    else:
        # A name is of no use to the Hub without results, and refused by its client.
        fields.pop("model_name")
    return ModelCardData(**{name: value for name, value in fields.items() if value}).to_yaml()


def dataset_names(details: Mapping[str, Any]) -> list[str]:
    """Return the datasets whose rows a version was trained and measured on."""
    return sorted({source["dataset"] for source in details["sources"]})


def licence_fields(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the card's licence: the strictest of base and data, "other" where no single one covers them all.

    Several that can't be ordered are named together: "other", "cc-by-4.0-and-odc-by".
    """
    found = [details["config"]["licence"], *(source["licence"] for source in details["sources"])]
    strict = strictest(found)
    if strict in HUB_LICENCES:
        return {"license": strict}
    return {"license": "other", "license_name": strict.replace(" ", "-") if strict else "terms-of-base-and-data"}


def _results(
    spec: EngineSpec, details: Mapping[str, Any], evaluation: Mapping[str, Any], channel: str | None
) -> list[Any]:
    """Return the adapted model's figures with their intervals; a figure that is not defined is left out."""
    from huggingface_hub import EvalResult

    names = dataset_names(details)
    adapted, through = evaluation["adapted"], " through the phone channel" if channel == "phone" else ""
    found = []
    for name, value in adapted.items():
        if name not in METRICS or value is None or name not in adapted["intervals"]:
            continue
        kind, label = METRICS[name]
        low, high = adapted["intervals"][name]
        if name.endswith(("_raw", "_vistaar_compat")) and (left_out := adapted.get("raw_rows_left_out")):
            label += f", {counted(left_out, 'row')} left out"
        interval = "" if low is None or high is None else f", 95 % interval {low:.4f} to {high:.4f}"
        found.append(
            EvalResult(
                task_type=PIPELINE_TAGS[spec.task],
                dataset_type=names[0] if len(names) == 1 else "several",
                dataset_name=f"{evaluation['rows']} held-out rows{through} of {', '.join(names)}",
                dataset_config=channel,
                dataset_split=SPLITS[-1],
                metric_type=kind,
                metric_name=f"{label}{interval}",
                metric_value=value,
            )
        )
    return found
