"""Registered versions whose adapters are real ones, of a tiny random BERT that a folder Hub holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetuning import tiny_bases
from finetuning.version_builders import publish_version

from data_foundry.config import Settings
from data_foundry.engines.adapters import spec_of
from data_foundry.finetuning.evaluation.predict import load_task
from data_foundry.finetuning.training.train import save_adapter, with_lora
from data_foundry.finetuning.versions.registry import Registry, Version
from data_foundry.finetuning.versions.version_files import version_hashes
from data_foundry.hub import model_folder
from data_foundry.lake import Lake
from data_foundry.training_config import TrainingConfig

CONFIG: dict[str, Any] = {
    "base": "tiny/bert-topics", "lora_rank": 4, "max_length": 64, "target_modules": ["query", "value", "dense"]
}  # fmt: skip


def hub_of_topics(folder: Path) -> Path:
    """Return a folder Hub with one base: a BERT classifier of topics."""
    tiny_bases.bert(folder / "models" / CONFIG["base"])
    return folder


def train(settings: Settings, adapter: str, name: str, weight: float, folder: Path) -> Version:
    """Register a version whose adapter's own weights are all the same."""
    lake, config = Lake(settings), TrainingConfig.model_validate(CONFIG)
    task = load_task(spec_of(adapter), config, model_folder(settings, config.base, None), ())
    adapted = with_lora(task, config)
    for parameter, values in adapted.named_parameters():
        if "lora_B" in parameter:
            values.data.fill_(weight)
    made = folder / name
    made.mkdir(parents=True)
    save_adapter(adapted, made, base=config.base, revision=None, labels=task.labels)
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    told = {"config": config.model_dump(mode="json"), "base": config.base, "base_revision": None}
    model = publish_version(lake, adapter, name, weights=files, **told)
    weights, evaluation = version_hashes(model)
    return Registry(lake).register(
        adapter, model.name.partition("/")[2], artefact_hash=weights, evaluation_hash=evaluation, base=config.base,
        base_revision=None, actor="phase4", reason="trained",
    )  # fmt: skip
