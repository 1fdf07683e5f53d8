"""What gold depends on: rule versions, settings, the engines' contracts and the registry's judgements, as step keys."""

from __future__ import annotations

from typing import Any

from data_foundry.config import Settings, training_config
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.lake import fingerprint

RULE_SETS = {"routing": "routing-1", "links": "links-1", "splits": "splits-1", "gold": "gold-1"}
TRAINING_CONFIG = "training_config.json"


def row_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that change gold's rows, by their names in a config file."""
    values = {"licensing.commercial_use": settings.licensing.commercial_use}
    return {**values, **{f"splits.{name}": value for name, value in settings.splits.model_dump().items()}}


def resolved_training(settings: Settings, engine: AIEngine) -> dict[str, Any]:
    """Return an engine's training configuration as JSON-like values."""
    return training_config(settings, engine, ENGINES[engine].training).model_dump(mode="json")


def rows_key(settings: Settings, engine: AIEngine, inputs: dict[str, str]) -> str:
    """Return the key of an engine's gold rows; `inputs` are the content hashes of silver by dataset."""
    registry = {
        dataset: [entry.declared_engine, entry.non_commercial, entry.share_alike, entry.licence, entry.licence_note]
        for dataset in inputs
        if (entry := DATASET_REGISTRY.get(dataset))
    }
    contracts = [
        [spec.engine, [need.reason for need in spec.requirements], spec.gold_columns, spec.identity, spec.links]
        for spec in ENGINES.values()
    ]
    return fingerprint([engine, inputs, RULE_SETS, row_settings(settings), registry, contracts])


def step_key(settings: Settings, engine: AIEngine, inputs: dict[str, str]) -> str:
    """Return the key of everything in an engine's gold folder: its rows and its training configuration."""
    return fingerprint([rows_key(settings, engine, inputs), resolved_training(settings, engine)])
