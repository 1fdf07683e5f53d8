"""The verdict on a version: judged from stored figures, so that it can be judged again without training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.finetuning.card import model_card
from data_foundry.finetuning.gates import judge, overall
from data_foundry.finetuning.metrics import Comparison, Interval
from data_foundry.finetuning.version_files import write_json
from data_foundry.lake import Commit
from data_foundry.training_config import TrainingConfig


def judged(settings: Settings, config: TrainingConfig, details: dict[str, Any]) -> dict[str, Any]:
    """Return a version's details with the verdicts of its gates, from the figures in them."""
    control = details["control"]
    verdicts = judge(
        _comparison(details["measures"]["score"]),
        details["evaluation"]["rows"],
        _comparison(control["measures"]["score"]) if control else None,
        details["control_note"],
        config,
        settings.gates,
    )
    return {**details, "verdict": overall(verdicts), "gates": [verdict.model_dump() for verdict in verdicts]}


def write_verdict(commit: Commit, spec: EngineSpec, details: Mapping[str, Any]) -> None:
    """Write evaluation.json and the model card."""
    shown = ("version", "verdict", "gates", "rows", "refused", "base_kind", "control_note", "control")
    content = {name: details[name] for name in shown} | details["evaluation"]
    write_json(commit.path("evaluation.json"), content)
    labels = len(details["evaluation"]["base"].get("per_class", {}))
    commit.path("README.md").write_text(model_card(spec, details, labels), encoding="utf-8")


def _comparison(measures: Mapping[str, Mapping[str, float]]) -> Comparison:
    return Comparison(**{which: Interval(**interval) for which, interval in measures.items()})
