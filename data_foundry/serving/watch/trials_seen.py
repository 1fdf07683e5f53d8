"""Trials as they are shown: one shape for the page, the terminal and the metrics, whoever judged them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from data_foundry.serving.trials.trial import Trial

NO_JUDGEMENT = "no gateway has judged it yet"


def trials_seen(standing: Iterable[Trial], states: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the trials that stand, by adapter, each with the latest judgement that a gateway's state holds.

    `states` are states of rollout controllers, the latest last. A trial without a judgement holds, and says so.
    """
    judged: dict[str, Mapping[str, Any]] = {}
    for state in states:
        for trial in state.get("trials") or ():
            judged[trial["trial"]] = trial
    found: dict[str, list[dict[str, Any]]] = {}
    for trial in standing:
        found.setdefault(trial.adapter, []).append(_seen(trial, judged.get(trial.id, {})))
    return found


def seen_in(evidence: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the trial that a move rested on, by the evidence that the history holds of it; None where it was none."""
    if not evidence or not evidence.get("judgement"):
        return None
    trial = Trial(**{field.name: evidence[field.name] for field in fields(Trial) if field.name in evidence})
    return _seen(trial, {"judgement": evidence["judgement"]})


def _seen(trial: Trial, told: Mapping[str, Any]) -> dict[str, Any]:
    judgement = told.get("judgement") or {}
    shown = (judgement.get("shown") or {}).get("disagreement") or {}
    return {
        "trial": trial.id,
        "candidate": trial.candidate,
        "incumbent": trial.incumbent,
        "stage": str(trial.stage),
        "since": trial.since,
        "pairs": judgement.get("calls"),
        "alpha": judgement.get("alpha"),
        "verdict": judgement.get("verdict") or "hold",
        "reason": judgement.get("reason") or NO_JUDGEMENT,
        "act": told.get("act"),
        "decision": told.get("decision"),
        "waits_for": told.get("waits_for"),
        "error": told.get("error"),
        "disagreement": shown.get("mean"),
        "metrics": [_metric(name, metric) for name, metric in (judgement.get("metrics") or {}).items()],
    }


def _metric(name: str, metric: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metric": name,
        **{key: metric.get(key) for key in ("calls", "mean", "lower", "upper", "margin", "unit", "verdict", "reason")},
        "harm": _evidence(metric.get("harm")),
        "safety": _evidence(metric.get("safety")),
    }


def _evidence(question: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return how far the evidence on one question has come: e-value and threshold as powers of ten."""
    if not question or question.get("log_e_value") is None:
        return None
    return {
        "log10_e_value": round(question["log_e_value"] / math.log(10), 4),
        "log10_threshold": round(math.log10(question["threshold"]), 4),
        "failed_after": question.get("failed_after"),
    }
