"""Where every adapter stands: its furthest version, as the registry and the records of its deployments tell."""

from __future__ import annotations

from typing import Any

from data_foundry.config import Settings
from data_foundry.engines.adapters import adapters
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.serving.shadow import shadow_figures

# The engine's state is told by the version that has come furthest.
FURTHEST_FIRST = (Stage.PRODUCTION, Stage.STAGING, Stage.SHADOW)


def status(settings: Settings) -> list[dict[str, Any]]:
    """Return one entry per adapter: its furthest version, stage, since when and why, score, and the measured shadow.

    Reads the registry and manifests alone; an adapter without a version has stage "none" and a reason. One that the
    settings name no more is told of as long as it is registered.
    """
    lake = Lake(settings)
    versions = Registry(lake).versions()
    found = []
    known = dict.fromkeys([*adapters(settings.training), *sorted({version.engine for version in versions})])
    for engine in known:
        own = [version for version in versions if version.engine == engine]
        furthest = [version for stage in FURTHEST_FIRST for version in reversed(own) if version.stage is stage]
        version = next(iter(furthest + own[-1:]), None)
        if version is None:
            entry = {"engine": engine, "version": None, "stage": "none", "since": None, "score": None}
            found.append({**entry, **shadow_figures(None), "reason": "nothing is registered"})
            continue
        model = lake.readable(Layer.MODELS, f"{engine}/{version.version}")
        record = lake.readable(Layer.MODELS, record_name(engine, version.version))
        found.append(
            {
                "engine": engine,
                "version": version.version,
                "stage": version.stage.value,
                "since": version.stage_since,
                "score": score_of(model),
                **shadow_figures(record.details.get("shadow") if record else None),
                "reason": version.reason,
            }
        )
    return found


def record_name(engine: str, version: str) -> str:
    """Return the name of the record of a version's deployment, beside the version in the lake."""
    return f"{engine}/{version}-deployment"


def score_of(model: Manifest | None) -> float | None:
    """Return the primary score that a version was registered with, None where its files are gone."""
    return round(model.details["measures"]["score"]["adapted"]["value"], 6) if model else None
