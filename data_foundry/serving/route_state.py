"""How a route stands, JSON-like: who answers what share, what waits, and how its trials go."""

from __future__ import annotations

from typing import Any

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.routing import Route
from data_foundry.serving.trials.trial import BASE


def route_state(route: Route, staging_share: float) -> dict[str, Any]:
    """Return the state of one adapter's route; quick, and from memory alone."""
    weights = route.answering.weights if route.answering else None
    return {
        "task": route.task,
        "version": weights.version if weights else None,
        "artefact_hash": weights.artefact_hash if weights else None,
        "since": route.since,
        "why": route.why,
        "error": route.error,
        "waiting": route.host.waiting(route.adapter) if route.host else 0,
        "in_flight": route.host.running(route.adapter) if route.host else 0,
        "answers": _answers(route, staging_share if route.staging else 0.0),
        "shadow": {trial.candidate: mirror.counts() for trial, mirror in route.mirrors.items()},
        "trials": [
            {"stage": t.stage.value, "candidate": t.candidate, "incumbent": t.incumbent, **mirror.state()}
            for t, mirror in route.mirrors.items()
        ],
        "staging": route.staging[1].state() if route.staging else None,
    }


def _answers(route: Route, share: float) -> list[dict[str, Any]]:
    """Return the versions with the share of callers that each answers; one in shadow answers none."""
    found = []
    if route.answering is not None:
        role = "base" if route.incumbent == BASE else "production"
        found.append({"version": route.incumbent, "role": role, "share": 1.0 - share})
    for trial in route.trials:
        if trial.stage is not Stage.PRODUCTION:
            part = share if trial.stage is Stage.STAGING else 0.0
            found.append({"version": trial.candidate, "role": trial.stage.value, "share": part})
    return found
