"""What gold depends on: rule versions, settings, the engines' contracts and the registry's judgements, as step keys."""

from __future__ import annotations

from typing import Any

from data_foundry.allocation.phone_rows import phone_rules, phone_settings
from data_foundry.config import Settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.lake import fingerprint
from data_foundry.training_config import training_config

# Sides are remembered by anchors: of another version they are forgotten.
ANCHORS = "anchors-2"
RULE_SETS = {"routing": "routing-3", "links": "links-3", "anchors": ANCHORS, "splits": "splits-3", "gold": "gold-3"}
TRAINING_CONFIG = "training_config.json"


def rule_sets(settings: Settings, engine: AIEngine) -> dict[str, str]:
    """Return the versions of the rules that an engine's gold is made by."""
    return {**RULE_SETS, **phone_rules(settings, engine)}


def row_settings(settings: Settings, engine: AIEngine) -> dict[str, Any]:
    """Return the settings that change an engine's gold rows, by their names in a config file."""
    return {
        "licensing.commercial_use": settings.licensing.commercial_use,
        "routing.on_mismatch": settings.routing.on_mismatch,
        **split_settings(settings),
        "splits.remember": settings.splits.remember,
        **phone_settings(settings, engine),
    }


def split_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that say how large a side is and who goes there."""
    return {f"splits.{name}": getattr(settings.splits, name) for name in ("validation", "test", "seed")}


def resolved_training(settings: Settings, engine: AIEngine) -> dict[str, Any]:
    """Return an engine's training configuration as JSON-like values."""
    return training_config(settings.training, engine, ENGINES[engine].training).model_dump(mode="json")


def rows_key(settings: Settings, engine: AIEngine, inputs: dict[str, str], memory: str | None = None) -> str:
    """Return the key of an engine's gold rows.

    `inputs` are the content hashes of silver by dataset; `memory` is the hash of the remembered sides (see
    assignments.py), None without any.
    """
    registry = {
        dataset: [
            entry.declared_engine,
            entry.non_commercial,
            entry.share_alike,
            entry.no_derivatives,
            entry.licence,
            entry.licence_note,
            entry.synthetic_reference,
            sorted({*entry.labels.values()}),
            entry.label_kind,
            entry.codec.model_dump() if entry.codec else None,
        ]
        for dataset in inputs
        if (entry := DATASET_REGISTRY.get(dataset))
    }
    contracts = [
        [
            spec.engine,
            [need.reason for need in spec.requirements],
            [need.reason for need in spec.unlabelled],
            spec.gold_columns,
            dict(spec.derived),
            spec.identity,
            spec.links,
        ]
        for spec in ENGINES.values()
    ]
    return fingerprint(
        [engine, inputs, memory, rule_sets(settings, engine), row_settings(settings, engine), registry, contracts]
    )


def step_key(settings: Settings, engine: AIEngine, inputs: dict[str, str], memory: str | None = None) -> str:
    """Return the key of everything in an engine's gold folder: its rows and its training configuration."""
    return fingerprint([rows_key(settings, engine, inputs, memory), resolved_training(settings, engine)])
