"""Makes one version: encodes gold once, trains, evaluates what was written, judges, publishes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluate import Evaluation, evaluate
from data_foundry.finetuning.gold_rows import (
    LEFT_OUT,
    Encoded,
    check_columns,
    control_rows,
    encode_rows,
    labels_of,
    replay_features,
)
from data_foundry.finetuning.predict import Predictor, load_predictor, load_task
from data_foundry.finetuning.task import Task
from data_foundry.finetuning.tracking import tracking_callbacks
from data_foundry.finetuning.train import TrainingRecord, train_adapter, uses_gpu
from data_foundry.finetuning.verdict import judged, write_verdict
from data_foundry.finetuning.version_files import ADAPTER, PROBE, SPLITS, write_json
from data_foundry.hub import model_folder, model_revision
from data_foundry.lake import Commit, Lake, Layer, Manifest
from data_foundry.training_config import TrainingConfig

log = logging.getLogger("data_foundry")


def make_adapter(
    settings: Settings,
    lake: Lake,
    spec: EngineSpec,
    config: TrainingConfig,
    key: str,
    *,
    inputs: Mapping[str, str],
    rule_sets: Mapping[str, str],
    published: Mapping[str, Any],
) -> Manifest:
    """Train, evaluate and publish the version that `key` names; return its manifest.

    It holds adapter/ (and linear_probe/ for a base without a head), evaluation.json, training_log.json and README.md.
    Raises FoundryError when the base can't be had or can't learn this, or when it can take no row.
    """
    import torch

    torch.set_num_threads(settings.training.threads)
    base_folder = model_folder(settings, config.base, config.revision)
    revision = model_revision(settings, config.base, config.revision, resolve=True)
    files = {split: lake.files(Layer.GOLD, spec.engine, under=split, hashed=True) for split in SPLITS}
    check_columns(spec, config.only)
    labels: tuple[str, ...] = ()
    if "classification" in spec.task:
        labels = labels_of(files["train"], spec.label, config.only, heard=spec.task == "audio-classification")
        _require(spec, config, "train", labels, Counter())
    task = load_task(spec, config, base_folder, labels)
    encoded = {
        "train": encode_rows(task, files["train"], at_most=config.max_train_rows),
        "validation": encode_rows(task, files["validation"]),
        "test": encode_rows(task, files["test"], keep_rows=True),
    }
    refused = sum((split.refused for split in encoded.values()), Counter[str]())
    for split in ("train", "test"):
        _require(spec, config, split, encoded[split].features, encoded[split].refused)
    _say_what_is_left_out(spec, config, refused)
    version = key[:12]
    with lake.commit(Layer.MODELS, f"{spec.engine}/{version}", key) as commit:
        records = _train(settings, task, config, encoded, commit, base_folder, revision, f"{spec.engine}-{version}")
        write_json(commit.path("training_log.json"), {name: record.as_json() for name, record in records.items()})
        predictor = _predictor(settings, spec, config, base_folder, commit, set(records))
        probe = PROBE if PROBE in records else None
        log.info("%s: trained, now measured on %d held-out rows", spec.engine, len(encoded["test"].rows))
        evaluation = evaluate(predictor, encoded["test"].rows, ADAPTER, base_adapter=probe)
        control, control_note = _control(predictor, base_folder)
        record = records[ADAPTER].as_json()
        details = {
            "engine": spec.engine.value,
            "version": version,
            "config": config.model_dump(mode="json"),
            "base": config.base,
            "base_revision": revision,
            "base_kind": task.base_kind,
            "rows": {split: len(encoded[split].features) for split in SPLITS},
            "refused": dict(sorted(refused.items())),
            "refused_examples": {split: encoded[split].examples for split in SPLITS if encoded[split].examples},
            "sources": _sources(encoded),
            "training": {name: value for name, value in record.items() if name != "curve"},
            "evaluation": evaluation.as_json(),
            "measures": _measures(evaluation),
            "control": {**control.as_json(), "measures": _measures(control)} if control else None,
            "control_note": control_note,
        }
        details = judged(settings, config, details)
        write_verdict(commit, spec, details)
        used = sum(len(encoded[split].features) for split in SPLITS)
        return commit.publish(
            inputs=inputs,
            rule_sets=rule_sets,
            settings=published,
            rows_in=used + sum(refused.values()),
            rows_out=used,
            rejected=refused,
            details=details,
        )


def _require(
    spec: EngineSpec, config: TrainingConfig, split: str, rows: Sequence[Any], refused: Mapping[str, int]
) -> None:
    """Raise FoundryError where no row of a split is left to use."""
    if rows:
        return
    if not set(refused) - {LEFT_OUT}:
        wanted = " and ".join(f"{column} {value}" for column, value in config.only.items()) or spec.label
        raise FoundryError(
            f"The gold of {spec.engine} has no {split} row with {wanted}.",
            f"Change training.engines.{spec.engine}.only ({{}} takes every row), or add such data.",
        )
    raise FoundryError(
        f"{config.base} can take none of the {split} rows of {spec.engine}: {dict(refused)}.",
        "Choose another base, or data that it can take.",
    )


def _say_what_is_left_out(spec: EngineSpec, config: TrainingConfig, refused: Mapping[str, int]) -> None:
    if refused.get(LEFT_OUT):
        wanted = " and ".join(f"{column} {value}" for column, value in config.only.items())
        log.info("%s: only gold rows with %s; %d others left out", spec.engine, wanted, refused[LEFT_OUT])
    if refused.get("no_audio"):
        log.info("%s: %d gold rows of text alone left out: the base hears", spec.engine, refused["no_audio"])


def _train(
    settings: Settings,
    task: Task,
    config: TrainingConfig,
    encoded: Mapping[str, Encoded],
    commit: Commit,
    base_folder: Path,
    revision: str,
    name: str,
) -> dict[str, TrainingRecord]:
    """Train the adapter, and the linear probe that is the figure to beat where the base has no head."""
    rows, validation = encoded["train"].features, encoded["validation"].features
    replay, replay_refused = replay_features(task, base_folder, config.replay_share, len(rows))
    if replay_refused:
        log.warning("%s: replay rows that the base can't take: %s", task.spec.engine, dict(replay_refused))
    wanted = [ADAPTER] + [PROBE] * (task.base_kind == "linear_probe")
    records = {}
    for part in wanted:
        records[part] = train_adapter(
            task,
            config,
            settings.training,
            rows,
            validation,
            commit.path(f"{part}/adapter_config.json").parent,
            replay=replay,
            revision=revision,
            head_only=part == PROBE,
            callbacks=tracking_callbacks(settings.training, f"{name}-{part}", settings.base_path / "logs" / "wandb"),
        )
    return records


def _predictor(
    settings: Settings, spec: EngineSpec, config: TrainingConfig, base_folder: Path, commit: Commit, parts: set[str]
) -> Predictor:
    """Load what was written, so that what is measured is what is published."""
    folders = {part: commit.path(f"{part}/adapter_config.json").parent for part in sorted(parts)}
    device = "cuda" if uses_gpu(settings.training) else "cpu"
    return load_predictor(spec, config, base_folder, folders, device=device)


def _control(predictor: Predictor, base_folder: Path) -> tuple[Evaluation | None, str]:
    rows, note = control_rows(predictor.task, base_folder)
    return (evaluate(predictor, rows, ADAPTER) if rows else None), note


def _measures(evaluation: Evaluation) -> dict[str, Any]:
    """Return every measure unrounded: what the gates judge, now and later."""
    return {name: asdict(comparison) for name, comparison in evaluation.measures.items()}


def _sources(encoded: Mapping[str, Encoded]) -> list[dict[str, Any]]:
    counts = sum((split.sources for split in encoded.values()), Counter[tuple[str, str, str]]())
    return [
        {"dataset": dataset, "revision": revision, "licence": licence, "rows": rows}
        for (dataset, revision, licence), rows in sorted(counts.items())
    ]
