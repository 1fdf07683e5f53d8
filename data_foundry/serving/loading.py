"""What a gateway is loaded with: predictors holding registered versions, and held-out rows to call with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_foundry.adapter_name import engine_of
from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import Predictor, load_predictor
from data_foundry.finetuning.features.gold_rows import chosen, read_rows
from data_foundry.finetuning.versions.registry import Version
from data_foundry.finetuning.versions.version_files import ADAPTER, PROBE
from data_foundry.hub import model_folder
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.training_config import TrainingConfig


def adapter_folder(lake: Lake, version: Version, folder: str = ADAPTER) -> Path:
    """Return where a version's weights lie, after checking that every file is there. Raises FoundryError."""
    lake.files(Layer.MODELS, f"{version.engine}/{version.version}", under=folder, hashed=True)
    return lake.folder(Layer.MODELS, f"{version.engine}/{version.version}") / folder


def candidate_predictor(settings: Settings, lake: Lake, spec: EngineSpec, version: Version) -> Predictor:
    """Load a version on its base; its adapter has the version's name."""
    return _load(settings, lake, spec, version, {version.version: adapter_folder(lake, version)})


def incumbent_predictor(
    settings: Settings, lake: Lake, spec: EngineSpec, candidate: Version, incumbent: Version | None
) -> tuple[Predictor, str | None]:
    """Load what answers callers now; return it with the adapter's name, None for the bare base.

    Without a version in production that is the candidate's base; where a base has no head for the task, the head that
    training fitted on the frozen base stands in for it.
    """
    if incumbent is not None:
        return candidate_predictor(settings, lake, spec, incumbent), incumbent.version
    if any(file.path.startswith(f"{PROBE}/") for file in _manifest(lake, candidate).files):
        return _load(settings, lake, spec, candidate, {PROBE: adapter_folder(lake, candidate, PROBE)}), PROBE
    return _load(settings, lake, spec, candidate, {}), None


def held_out_calls(
    lake: Lake, name: str, limit: int, only: Mapping[str, str | bool] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield test rows of an adapter's gold as (call id, row), at most `limit`, by a hash of their ids, in file order.

    `only` names columns and the value that a call must have there: what the candidate was trained for.
    """
    import pyarrow.parquet as pq

    wanted = only or {}
    files = lake.files(Layer.GOLD, engine_of(name), under="test")
    rows = [row for file in files for row in pq.read_table(file, columns=["row_id", *wanted]).to_pylist()]
    ids = [row["row_id"] for row in rows if chosen(row, wanted)]
    taken = set(sorted(ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:limit])
    for row in read_rows(files):
        if row["row_id"] in taken:
            yield row["row_id"], row


def trained_on(lake: Lake, version: Version) -> Mapping[str, str | bool]:
    """Return the columns and values that a version's rows had to have (`only` of its configuration)."""
    only: Mapping[str, str | bool] = _manifest(lake, version).details["config"].get("only", {})
    return only


def _load(
    settings: Settings, lake: Lake, spec: EngineSpec, version: Version, adapters: Mapping[str, Path]
) -> Predictor:
    import torch

    torch.set_num_threads(settings.training.threads)
    gpu = settings.training.gpu_enabled and torch.cuda.is_available()
    # As it was trained: the base and the limits that the settings name today may be others.
    config = TrainingConfig.model_validate(_manifest(lake, version).details["config"])
    folder = model_folder(settings, version.base, version.base_revision)
    return load_predictor(spec, config, folder, adapters, device="cuda" if gpu else "cpu")


def _manifest(lake: Lake, version: Version) -> Manifest:
    manifest = lake.manifest(Layer.MODELS, f"{version.engine}/{version.version}")
    if manifest is None:
        raise FoundryError(
            f"{version.engine}/{version.version} is registered in {version.stage}, but its files are gone.",
            "Put them back from a backup, or run phase 4 with the settings that it was trained with.",
        )
    return manifest
