"""The model card of an adapter, in the Hub's format, with nothing in it that was not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_foundry.engines import EngineSpec

LOADING = {
    "speech-to-text": ("AutoModelForSpeechSeq2Seq", ""),
    "audio-classification": ("AutoModelForAudioClassification", ", num_labels={labels}"),
    "text-classification": ("AutoModelForSequenceClassification", ", num_labels={labels}"),
    "text-to-text": ("AutoModelForSeq2SeqLM", ""),
    "text-to-codes": ("AutoModelForCausalLM", ""),
}
PIPELINE_TAGS = {
    "speech-to-text": "automatic-speech-recognition",
    "audio-classification": "audio-classification",
    "text-classification": "text-classification",
    "text-to-text": "translation",
    "text-to-codes": "text-to-speech",
}
CARD = """---
language:
- ml
base_model: {base}
library_name: peft
pipeline_tag: {tag}
tags:
- lora
- malayalam
datasets:
{dataset_tags}
---

# {title}

A LoRA adapter for `{base}` (revision `{revision}`, licence {licence}; chosen because {why}).

**Verdict of its gates: {verdict}.**

| gate | verdict | reason |
|---|---|---|
{gates}

## Measured

On {rows} held-out rows; both models on the same rows. Decoding: {decoding}. Brackets: {intervals}.
Scorer: {scorer}. The base's figures are {base_kind}. `score` is: {score}.

| metric | base | adapted | change |
|---|---|---|---|
{figures}
{not_measured}
## Data

| dataset | revision | licence | rows |
|---|---|---|---|
{datasets}

{only}{used} Rows refused: {refused}.

## Training

{training}

## Load

```python
from peft import PeftModel
from transformers import {model_class}

base = {model_class}.from_pretrained("{base}", revision="{revision}"{arguments})
model = PeftModel.from_pretrained(base, "adapter")
```

## Limits

Measured on the data above and on nothing else. {limits}
"""
KINDS = {
    "as_published": "of the model as published",
    "linear_probe": "of a linear probe: a head trained on the frozen base with the same rows, because the base was "
    "published without one",
}


def model_card(spec: EngineSpec, details: Mapping[str, Any], labels: int) -> str:
    """Return README.md of a version from its manifest's details; `labels` is the number of classes, 0 without any."""
    evaluation, config = details["evaluation"], details["config"]
    base, adapted, change = (evaluation[which] for which in ("base", "adapted", "difference"))
    figures = [
        f"| {name} | {_with_interval(base[name], base['intervals'][name])} "
        f"| {_with_interval(adapted[name], adapted['intervals'][name])} "
        f"| {_with_interval(values['value'], values['interval'], '+.4f')} |"
        for name, values in change.items()
    ]
    model_class, arguments = LOADING[spec.task]
    sources = details["sources"]
    control = details.get("control")
    limits = (
        "Its loss on the base's own domain was measured on control rows."
        if control
        else ("What it lost on the base's own domain was not measured.")
    )
    return CARD.format(
        base=config["base"],
        revision=details["base_revision"],
        licence=config["licence"],
        why=config["why"] or "the configuration names it",
        tag=PIPELINE_TAGS[spec.task],
        title=f"{spec.title}: {details['version']}",
        verdict=details["verdict"],
        gates="\n".join(f"| {gate['gate']} | {gate['verdict']} | {gate['reason']} |" for gate in details["gates"]),
        rows=evaluation["rows"],
        intervals=evaluation["intervals"],
        decoding=evaluation["decoding"],
        scorer=evaluation["scorer"],
        base_kind=KINDS[details["base_kind"]],
        score=spec.score,
        figures="\n".join(figures),
        not_measured="".join(f"\n{n} was not measured: {why}.\n" for n, why in base.get("not_measured", {}).items()),
        dataset_tags="\n".join(f"- {name}" for name in sorted({source["dataset"] for source in sources})),
        datasets="\n".join(f"| {s['dataset']} | `{s['revision']}` | {s['licence']} | {s['rows']} |" for s in sources),
        only=_only(config.get("only", {})),
        used="Rows used: " + ", ".join(f"{count} {split}" for split, count in details["rows"].items()) + ".",
        refused=", ".join(f"{reason} {count}" for reason, count in details["refused"].items()) or "none",
        training=_training(details["training"], config),
        model_class=model_class,
        arguments=arguments.format(labels=labels),
        limits=limits,
    )


def _only(wanted: Mapping[str, Any]) -> str:
    """Return the sentence on rows that were not to be used, empty where all were."""
    if not wanted:
        return ""
    values = " and ".join(f"`{column}` {value}" for column, value in wanted.items())
    return f"Only gold rows with {values} were trained on and measured. "


def _training(record: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    share = 100 * record["trainable_parameters"] / record["parameters"]
    best = (
        f"epoch {record['best_epoch']:g} was chosen by {record['selected_by']} {record['best_value']:.4f}"
        if record["best_epoch"] is not None
        else f"the last epoch was kept (chosen by {record['selected_by']})"
    )
    return (
        f"LoRA rank {config['lora_rank']}, alpha {config['lora_alpha']}, on {', '.join(config['target_modules'])}: "
        f"{record['trainable_parameters']:,} of {record['parameters']:,} parameters ({share:.2f} %). "
        f"{record['rows']} rows and {record['replay_rows']} of the base's own domain, {record['steps']} steps, "
        f"learning rate {config['learning_rate']:g}, seed {config['seed']}; {best}."
    )


def _with_interval(value: float | None, interval: list[float | None], form: str = ".4f") -> str:
    if value is None or None in interval:
        return "not defined"
    return f"{value:{form}} [{interval[0]:{form}}, {interval[1]:{form}}]"
