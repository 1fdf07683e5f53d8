"""All that a version is measured by, at the one look at held-out rows: clean, on the phone, in its base's domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_foundry.config import Settings
from data_foundry.finetuning.evaluation.calibration import Temperature
from data_foundry.finetuning.evaluation.evaluate import Evaluation, evaluate
from data_foundry.finetuning.evaluation.heard_speech import hear_speech
from data_foundry.finetuning.evaluation.held_out import earlier_versions_on
from data_foundry.finetuning.evaluation.phone import clean_to_phone
from data_foundry.finetuning.evaluation.predict import Predictor
from data_foundry.finetuning.features.feature_store import FeatureStore
from data_foundry.finetuning.features.gold_rows import Encoded, control_rows, encode_rows
from data_foundry.finetuning.versions.version_files import ADAPTER, PHONE
from data_foundry.lake import Lake


def measure(
    settings: Settings,
    lake: Lake,
    predictor: Predictor,
    base_folder: Path,
    test: Encoded,
    opened: Mapping[str, Sequence[Path]],
    store: FeatureStore,
    *,
    name: str,
    base_adapter: str | None = None,
    temperature: Temperature | None = None,
) -> dict[str, Any]:
    """Return what a manifest's details hold of the measurements of one version.

    `test` holds the test rows that the base takes, with their features; `opened` the files of the held-out splits;
    `name` is the version's in the lake. "evaluation" and "measures" (the same, unrounded: what gates judge, now and
    later) are on test; "phone" and "control" are None where they were not measured, and "phone_note" and
    "control_note" say what they are on, or why not.
    """
    spec = predictor.task.spec
    with predictor.encode_once(test.rows, test.features):
        evaluation = evaluate(predictor, test.rows, ADAPTER, base_adapter=base_adapter, temperature=temperature)
    stored = evaluation.as_json()
    stored["earlier_versions_on_these_rows"] = earlier_versions_on(lake, stored["row_ids_hash"], name)
    if spec.task == "text-to-codes":
        heard, why_not = hear_speech(settings, predictor, test.rows, ADAPTER)
        if heard is None:
            for which in ("base", "adapted"):
                stored[which].setdefault("not_measured", {})["cer_of_speech"] = why_not
        else:
            stored["speech"] = heard
    found = {"evaluation": stored, "measures": _measures(evaluation)}
    found |= _on_the_phone(predictor, evaluation, opened[PHONE], store, base_adapter, temperature)
    control, note = control_rows(predictor.task, base_folder)
    if not control:
        return {**found, "control": None, "control_note": note}
    with predictor.encode_once(control):
        return {**found, "control": _stored(evaluate(predictor, control, ADAPTER)), "control_note": note}


def _on_the_phone(
    predictor: Predictor,
    clean: Evaluation,
    files: Sequence[Path],
    store: FeatureStore,
    base_adapter: str | None,
    temperature: Temperature | None,
) -> dict[str, Any]:
    spec = predictor.task.spec
    if "channel" not in spec.gold_columns or spec.task == "text-classification":
        return {"phone": None, "phone_note": f"{spec.name} reads text: a phone line changes nothing of it"}
    heard = encode_rows(predictor.task, files, keep_rows=True, store=store, what=PHONE, frozen=False)
    if not heard.rows:
        return {"phone": None, "phone_note": f"the gold of {spec.engine} has no phone version of its test rows"}
    with predictor.encode_once(heard.rows, heard.features):
        phone = evaluate(predictor, heard.rows, ADAPTER, base_adapter=base_adapter, temperature=temperature)
    loss = clean_to_phone(clean, phone)
    note = f"{loss['rows']} of the {len(clean.row_ids)} test rows, as they sound through a phone line"
    return {"phone": {**_stored(phone), "clean_to_phone": loss}, "phone_note": note}


def _stored(evaluation: Evaluation) -> dict[str, Any]:
    return {**evaluation.as_json(), "measures": _measures(evaluation)}


def _measures(evaluation: Evaluation) -> dict[str, Any]:
    return {name: asdict(comparison) for name, comparison in evaluation.measures.items()}
