"""The verdict on a version: judged from stored figures, so that it can be judged again without training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_foundry.config import Settings, TrainingConfig
from data_foundry.engines import EngineSpec
from data_foundry.finetuning.card import model_card
from data_foundry.finetuning.gates import judge, overall
from data_foundry.finetuning.metrics import Comparison, Interval
from data_foundry.lake import Commit


def summary(details: Mapping[str, Any]) -> str:
    """Return one line on a version: primary score before and after, and what its gates say."""
    score = details["measures"]["score"]
    change = (
        f"score {score['base']['value']:.3f} -> {score['adapted']['value']:.3f} on {details['rows']['test']} test rows"
    )
    against = [gate["gate"] for gate in details["gates"] if gate["verdict"] != "pass"]
    verdicts = {
        "pass": "passed its gates",
        "fail": f"refused by {', '.join(g['gate'] for g in details['gates'] if g['verdict'] == 'fail')}",
        "inconclusive": f"for a person to decide: {', '.join(against)} inconclusive",
    }
    return f"{verdicts[details['verdict']]}; {change}"


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


def write_json(path: Path, content: Any) -> None:
    """Write JSON that is the same for the same content."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _comparison(measures: Mapping[str, Mapping[str, float]]) -> Comparison:
    return Comparison(**{which: Interval(**interval) for which, interval in measures.items()})
