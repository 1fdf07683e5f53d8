"""The verdict on a version: judged from stored figures, so that it can be judged again without training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.finetuning.evaluation.metrics import Comparison, Interval
from data_foundry.finetuning.evaluation.slices import UNKNOWN
from data_foundry.finetuning.versions.card import FOLDER_HUB, model_card
from data_foundry.finetuning.versions.gates import Figures, Measured, judge, overall
from data_foundry.finetuning.versions.version_files import write_json
from data_foundry.lake import Commit
from data_foundry.training_config import TrainingConfig

# What evaluation.json holds of a manifest's details, beside the evaluation itself.
SHOWN = (
    "version",
    "verdict",
    "gates",
    "rows",
    "refused",
    "base_kind",
    "control_note",
    "control",
    "phone",
    "phone_note",
)


def judged(settings: Settings, spec: EngineSpec, config: TrainingConfig, details: dict[str, Any]) -> dict[str, Any]:
    """Return a version's details with the verdicts of its gates, from the figures in them.

    "hub" is where base and data came from; judged again, it stays what it was.
    """
    verdicts = judge(figures(spec, details), config, settings.gates)
    hub = FOLDER_HUB if settings.hub.source else "huggingface.co"
    gates = [verdict.model_dump() for verdict in verdicts]
    return {"hub": hub, **details, "verdict": overall(verdicts), "gates": gates}


def figures(spec: EngineSpec, details: Mapping[str, Any]) -> Figures:
    """Return what the gates judge out of a version's details; what is not in them was not measured."""
    control, phone = details.get("control"), details.get("phone")
    slices = details["evaluation"].get("slices")
    return Figures(
        score=spec.score,
        test=_measured(details["measures"]["score"], details["evaluation"]),
        control=_measured(control["measures"]["score"], control) if control else None,
        control_note=details["control_note"],
        phone=_measured(phone["measures"]["score"], phone) if phone else None,
        slices=None if slices is None else _slices(slices),
        slice_figure=next((found["figure"] for found in (slices or {}).values() if "figure" in found), "score"),
        label=spec.label,
    )


def write_verdict(commit: Commit, spec: EngineSpec, details: Mapping[str, Any]) -> None:
    """Write evaluation.json and the model card."""
    content = {name: details[name] for name in SHOWN if name in details} | details["evaluation"]
    write_json(commit.path("evaluation.json"), content)
    commit.path("README.md").write_text(model_card(spec, details), encoding="utf-8")


def _slices(found: Mapping[str, Any]) -> dict[str, dict[str, Measured]]:
    return {
        dimension: {
            name: replace(_measured(group, group), pooled=bool(group.get("pooled")))
            for name, group in slices["groups"].items()
            if name != UNKNOWN  # of whom nothing is known is no group
        }
        for dimension, slices in found.items()
    }


def _measured(score: Mapping[str, Any], found: Mapping[str, Any]) -> Measured:
    """Return the comparison of one set of rows; it rests on as many independent units as were resampled."""
    per_class = found["base"].get("per_class") or {}
    return Measured(
        _comparison(score),
        found["rows"],
        found.get("units") or found["rows"],
        found.get("speakers"),
        classes=tuple(each["rows"] for each in per_class.values()),
    )


def _comparison(measures: Mapping[str, Any]) -> Comparison:
    return Comparison(**{which: _interval(measures[which]) for which in ("base", "adapted", "difference")})


def _interval(bounds: Mapping[str, float | None]) -> Interval:
    """Return an interval; one without a figure is of NaN, which no gate takes for a pass."""
    found = [bounds.get(name) for name in ("value", "low", "high")]
    return Interval(*(math.nan if each is None else float(each) for each in found))
