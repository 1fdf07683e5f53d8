"""The model card of an adapter, in the Hub's format, with nothing in it that was not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.figures import counted
from data_foundry.finetuning.versions import card_figures as figures
from data_foundry.finetuning.versions.card_metadata import licence_fields, metadata
from data_foundry.finetuning.versions.gates import RULE

MODEL_CLASSES = {
    "speech-to-text": "AutoModelForSpeechSeq2Seq",
    "audio-classification": "AutoModelForAudioClassification",
    "text-classification": "AutoModelForSequenceClassification",
    "text-to-text": "AutoModelForSeq2SeqLM",
    "text-to-codes": "AutoModelForCausalLM",
}
FOLDER_HUB = "folder"
"""details["hub"] of a version whose base and data came from a folder that is laid out like a Hub."""
CARD = """---
{metadata}
---

# {title}: {name} {version}

A LoRA adapter for `{base}` (revision `{revision}`, licence {licence}; chosen because {why}).

**Verdict of its gates: {verdict}.**

{gates}

{rule}

{measured}## Data

{data}

## Training

{training}

## Lineage

{lineage}

## Load

```python
{load}
```

## Limits

{limits}
"""


def model_card(spec: EngineSpec, details: Mapping[str, Any]) -> str:
    """Return README.md of a version from its manifest's details."""
    config = details["config"]
    sections = {
        "Measured": figures.measured(spec, details),
        "Through the phone channel": figures.phone(details),
        "Speech that was heard": figures.speech(details["evaluation"]),
        "Slices": figures.slices(details["evaluation"]),
        "Calibration": figures.calibration(details["evaluation"]),
    }
    return CARD.format(
        metadata=metadata(spec, details).strip(),
        title=spec.title,
        name=details["engine"],
        version=details["version"],
        base=config["base"],
        revision=details["base_revision"],
        licence=config["licence"],
        why=config["why"] or "the configuration names it",
        verdict=details["verdict"],
        gates=figures.table(
            ("gate", "verdict", "reason"), [(g["gate"], g["verdict"], g["reason"]) for g in details["gates"]]
        ),
        rule=RULE,
        measured="".join(f"## {title}\n\n{text}\n\n" for title, text in sections.items() if text),
        data=_data(details),
        training=_training(details["training"], config),
        lineage=_lineage(details),
        load=_load(spec, details),
        limits="\n".join(f"- {limit}" for limit in _limits(details)),
    )


def _data(details: Mapping[str, Any]) -> str:
    rows = [(s["dataset"], f"`{s['revision']}`", s["licence"], s["rows"]) for s in details["sources"]]
    tag = licence_fields(details)
    if tag["license"] == "other":
        terms = "No single licence is known to cover the terms of the base and of all these data: read each one's."
    else:
        terms = f"Of the licences of base and data, {tag['license']} asks for most, so the card carries it."
    wanted = " and ".join(f"`{column}` {value}" for column, value in details["config"].get("only", {}).items())
    only = f"Only gold rows with {wanted} were trained on and measured. " if wanted else ""
    used = "Rows used: " + ", ".join(f"{count} {split}" for split, count in details["rows"].items()) + "."
    refused = ", ".join(f"{reason} {count}" for reason, count in details["refused"].items()) or "none"
    table = figures.table(("dataset", "revision", "licence", "rows"), rows)
    terms += " That is read from their names and is no legal advice."
    unseen = details.get("unseen_label_rows")
    left_out = f" {unseen} test rows have a label that no training row has: no figure counts them." if unseen else ""
    return f"{table}\n\n{terms}\n\n{only}{used} Rows refused: {refused}.{left_out}"


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
        + (" The encoder was left as it is." if config.get("freeze_encoder") else "")
    )


def _lineage(details: Mapping[str, Any]) -> str:
    """Return what the version came from, by hashes; a version of before there was such a record says so."""
    lineage = details.get("lineage")
    if not lineage:
        return "Not recorded."
    code = lineage["code"]
    rows = [
        ("gold", f"`{lineage['gold']}`"),
        ("configuration", f"`{lineage['config']}`"),
        ("base", f"`{lineage['base']['name']}` at `{lineage['base']['revision']}`"),
        ("code", f"{code['version']}, sources `{code['sources']}`"),
        ("seed", lineage["seed"]),
        ("libraries", ", ".join(f"{name} {version}" for name, version in sorted(lineage["libraries"].items()))),
    ]
    return figures.table(("what", "which"), rows)


def _load(spec: EngineSpec, details: Mapping[str, Any]) -> str:
    """Return code that loads base and adapter with nothing but transformers and peft."""
    model_class, config = MODEL_CLASSES[spec.task], details["config"]
    lines = ["from peft import PeftModel", f"from transformers import {model_class}", ""]
    if details.get("hub") == FOLDER_HUB:
        lines += [
            "# The base is no repository on huggingface.co: it lies in the folder that hub.source named.",
            'hub = "path/to/that/folder"',
        ]
        base = f'f"{{hub}}/models/{config["base"]}"'
    else:
        base = f'"{config["base"]}", revision="{details["base_revision"]}"'
    labels = details["evaluation"]["adapted"].get("confusion", {}).get("labels")
    if labels and details["base_kind"] == "linear_probe":
        lines.append(f"labels = {labels!r}")
        base += ", num_labels=len(labels), id2label=dict(enumerate(labels)), ignore_mismatched_sizes=True"
    lines += [
        f"base = {model_class}.from_pretrained({base})",
        'model = PeftModel.from_pretrained(base, "adapter")  # this folder\'s',
    ]
    return "\n".join(lines)


def _limits(details: Mapping[str, Any]) -> list[str]:
    """Return what was not measured or is not known, one sentence each."""
    evaluation = details["evaluation"]
    found = ["Measured on the data above and on nothing else."]
    if details.get("hub") == FOLDER_HUB:
        found.append(
            "Base and data came from a folder laid out like a Hub; what lies there need not be what the Hub has under "
            "the same names."
        )
    earlier = evaluation.get("earlier_versions_on_these_rows")
    if earlier:
        found.append(
            f"{counted(earlier, 'earlier version')} {'was' if earlier == 1 else 'were'} measured on these same rows; a "
            "choice among them by these figures makes the figures too good."
        )
    if not details.get("control"):
        found.append(f"What it lost on the base's own domain was not measured: {details['control_note']}.")
    if not details.get("phone"):
        why = details.get("phone_note")
        found.append("How it does through a phone line was not measured" + (f": {why}." if why else "."))
    unmeasured = evaluation["base"].get("not_measured", {})
    found += [f"{name} was not measured: {why}." for name, why in unmeasured.items()]
    slices = evaluation.get("slices")
    if not slices:
        found.append("Whether it serves all groups of speakers alike was not measured.")
    else:
        missing = [f"{each} ({part['not_measured']})" for each, part in slices.items() if part.get("not_measured")]
        if missing:
            found.append(f"A gap between groups was not measured by: {', '.join(missing)}.")
    undecided = [gate["gate"] for gate in details["gates"] if gate["verdict"] == "inconclusive"]
    if undecided:
        found.append(f"Not decided by its rows: {', '.join(undecided)}.")
    if details["base_kind"] == "linear_probe":
        found.append("The base has no head of its own for this task, so base means a linear probe on it.")
    return found
