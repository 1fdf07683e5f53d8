"""Makes one version: encodes gold once, trains, evaluates what was written, judges, publishes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.calibration import temperature_json, validation_temperature
from data_foundry.finetuning.evaluation.held_out import HeldOut
from data_foundry.finetuning.evaluation.measurement import measure
from data_foundry.finetuning.evaluation.predict import load_predictor, load_task
from data_foundry.finetuning.features.feature_store import FeatureStore
from data_foundry.finetuning.features.gold_rows import (
    LEFT_OUT,
    Encoded,
    check_columns,
    encode_rows,
    labels_of,
    replay_features,
    replay_file,
)
from data_foundry.finetuning.tasks.classification import UNKNOWN_LABEL, ClassifierTask
from data_foundry.finetuning.tasks.task import Features, Task
from data_foundry.finetuning.training.checkpoints import clear_work, sweep_work, work_folder
from data_foundry.finetuning.training.journal import Journal, journal_of
from data_foundry.finetuning.training.launch import TrainingJob, check_processes, train_part
from data_foundry.finetuning.training.linear_probe import ProbeRecord, fit_linear_probe
from data_foundry.finetuning.training.lora import check_lora
from data_foundry.finetuning.training.tracking import record
from data_foundry.finetuning.training.train import TrainingRecord, uses_gpu
from data_foundry.finetuning.versions.verdict import judged, write_verdict
from data_foundry.finetuning.versions.version_files import ADAPTER, CALIBRATION, PROBE, SPLITS, write_json
from data_foundry.finetuning.versions.version_lineage import lineage_of
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

    It holds adapter/ (and linear_probe/ for a base without a head), evaluation.json, training_log.json, README.md, and
    calibration.json for a classifier. Test rows are opened once the adapter is written, and never before. Raises
    FoundryError when the base can't be had or can't learn this, or when it can take no row.
    """
    import torch

    check_processes(settings.training, config)
    torch.set_num_threads(settings.training.threads)
    # The commit of the key, wherever the ref stands by now.
    revision = model_revision(settings, config.base, config.revision, resolve=True)
    base_folder = model_folder(settings, config.base, revision)
    gold = lake.manifest(Layer.GOLD, spec.engine)
    if gold is None:
        raise FoundryError(f"The gold of {spec.engine} is gone.", "Run phase 3 again.")
    files = {split: lake.files(Layer.GOLD, spec.engine, under=split, hashed=True) for split in ("train", "validation")}
    check_columns(spec, config.only)
    labels: tuple[str, ...] = ()
    if "classification" in spec.task:
        labels = labels_of(files["train"], spec.label, config.only, heard=spec.task == "audio-classification")
        _require(spec, config, "train", labels, Counter())
        if len(labels) < 2:
            raise FoundryError(
                f"The training rows of {spec.name} have one {spec.label} alone: {labels[0]}.",
                f"There is nothing to tell apart: add rows with another {spec.label}, or change "
                f"{spec.configured_at}.only.",
            )
    task = load_task(spec, config, base_folder, labels)
    _check_before_encoding(task, base_folder, gold)
    version = key[:12]
    name = f"{spec.name}-{version}"
    journal = journal_of(settings.base_path, name)
    store = FeatureStore(settings, spec.engine, f"{config.base}@{revision}")
    with journal.wall("features"):
        encoded = {
            "train": encode_rows(task, files["train"], at_most=config.max_train_rows, store=store),
            "validation": encode_rows(
                task, files["validation"], keep_rows=bool(labels), store=store, what="validation"
            ),
        }
        replay, replay_refused = replay_features(
            task, base_folder, config.replay_share, len(encoded["train"].features), store
        )
    _require(spec, config, "train", encoded["train"].features, encoded["train"].refused)
    if replay_refused:
        log.warning("%s: replay rows that the base can't take: %s", spec.name, dict(replay_refused))
    sweep_work(settings.base_path, spec.name, keep=name)
    with lake.commit(Layer.MODELS, f"{spec.name}/{version}", key) as commit:
        with journal.wall("training"):
            trained = _train(settings, task, encoded, replay, commit, revision, name, journal)
            records: dict[str, TrainingRecord | ProbeRecord] = {ADAPTER: trained}
            if isinstance(task, ClassifierTask) and task.base_kind == "linear_probe":
                records[PROBE] = _fit_probe(settings, task, encoded, commit, revision)
        write_json(commit.path("training_log.json"), {part: done.as_json() for part, done in records.items()})
        folders = {part: _folder(commit, part) for part in records}
        # What was written is loaded, so that what is measured is what is published.
        device = "cuda" if uses_gpu(settings.training) else "cpu"
        predictor = load_predictor(spec, config, base_folder, folders, device=device)
        temperature = validation_temperature(predictor, encoded["validation"], ADAPTER) if labels else None
        if temperature is not None:
            write_json(commit.path(CALIBRATION), temperature_json(temperature))
        # From here on nothing is chosen any more.
        held_out = HeldOut(lake, spec.engine)
        opened = held_out.open(folders[ADAPTER])
        encoded["test"] = encode_rows(task, opened["test"], keep_rows=True, store=store, what="test", frozen=False)
        _require(spec, config, "test", encoded["test"].features, encoded["test"].refused)
        refused = sum((split.refused for split in encoded.values()), Counter[str]())
        _say_what_is_left_out(spec, config, refused)
        log.info("%s: trained, now measured on %d held-out rows", spec.name, len(encoded["test"].rows))
        with journal.wall("evaluation"):
            measured = measure(
                settings,
                lake,
                predictor,
                base_folder,
                encoded["test"],
                opened,
                store,
                name=commit.name,
                base_adapter=PROBE if PROBE in records else None,
                temperature=temperature,
            )
        details = {
            "engine": spec.name,
            "task": spec.task,
            "version": version,
            "config": config.model_dump(mode="json"),
            "base": config.base,
            "base_revision": revision,
            "base_kind": task.base_kind,
            "rows": {split: len(encoded[split].features) for split in SPLITS},
            "refused": dict(sorted(refused.items())),
            "unseen_label_rows": _unseen(spec, encoded["test"]),
            "refused_examples": {split: encoded[split].examples for split in SPLITS if encoded[split].examples},
            "sources": _sources(encoded),
            "training": {name: value for name, value in trained.as_json().items() if name != "curve"},
            **measured,
            "test_opened_after": held_out.opened_after,
            "lineage": lineage_of(config, gold, base_folder, revision),
        }
        details = judged(settings, spec, config, details)
        write_verdict(commit, spec, details)
        held_out.check_unchanged()
        used = sum(len(encoded[split].features) for split in SPLITS)
        manifest = commit.publish(
            inputs=inputs,
            rule_sets=rule_sets,
            settings=published,
            rows_in=used + sum(refused.values()),
            rows_out=used,
            rejected=refused,
            details=details,
        )
    clear_work(settings.base_path, name)
    record(settings.training, journal, name)
    return manifest


def _check_before_encoding(task: Task, base_folder: Path, gold: Manifest) -> None:
    """Raise FoundryError for a configuration that can't be trained, before hours go into features."""
    spec, config = task.spec, task.config
    validated = any(file.rows for file in gold.files if file.path.startswith("validation/"))
    if config.early_stopping_patience and not validated:
        raise FoundryError(
            f"{spec.configured_at}.early_stopping_patience is {config.early_stopping_patience}, but the gold of "
            f"{spec.engine} has no validation rows to stop by.",
            "Leave it out, or give the gold a validation split.",
        )
    if config.replay_share:
        replay_file(spec, config, base_folder)
    check_lora(task, config)


def _unseen(spec: EngineSpec, test: Encoded) -> int:
    """Return how many test rows have a label that no training row has: neither base nor adapter can be scored."""
    rows = test.refused.get(UNKNOWN_LABEL, 0)
    if rows:
        log.warning(
            "%s: %d test rows have a %s that no training row has; they are in none of the figures",
            spec.name, rows, spec.label,
        )  # fmt: skip
    return rows


def _folder(commit: Commit, part: str) -> Path:
    """Return the folder that one part of a version, the adapter or the linear probe, is written to."""
    return commit.path(f"{part}/adapter_config.json").parent


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
            f"Change {spec.configured_at}.only ({{}} takes every row), or add such data.",
        )
    raise FoundryError(
        f"{config.base} can take none of the {split} rows of {spec.name}: {dict(refused)}.",
        "Choose another base, or data that it can take.",
    )


def _say_what_is_left_out(spec: EngineSpec, config: TrainingConfig, refused: Mapping[str, int]) -> None:
    if refused.get(LEFT_OUT):
        wanted = " and ".join(f"{column} {value}" for column, value in config.only.items())
        log.info("%s: only gold rows with %s; %d others left out", spec.name, wanted, refused[LEFT_OUT])
    if refused.get("no_audio"):
        log.info("%s: %d gold rows of text alone left out: the base hears", spec.name, refused["no_audio"])


def _train(
    settings: Settings,
    task: Task,
    encoded: Mapping[str, Encoded],
    replay: Sequence[Features],
    commit: Commit,
    revision: str,
    name: str,
    journal: Journal,
) -> TrainingRecord:
    """Train the adapter."""
    return train_part(
        TrainingJob(
            part=ADAPTER,
            task=task,
            config=task.config,
            training=settings.training,
            rows=encoded["train"].features,
            validation=encoded["validation"].features,
            folder=_folder(commit, ADAPTER),
            journal=journal,
            work=work_folder(settings.base_path, name) / ADAPTER,
            replay=replay,
            revision=revision,
        )
    )


def _fit_probe(
    settings: Settings, task: ClassifierTask, encoded: Mapping[str, Encoded], commit: Commit, revision: str
) -> ProbeRecord:
    """Fit the linear probe: the figure to beat where the base has no head."""
    return fit_linear_probe(
        task,
        task.config,
        settings.training,
        encoded["train"].features,
        encoded["validation"].features,
        _folder(commit, PROBE),
        revision=revision,
    )


def _sources(encoded: Mapping[str, Encoded]) -> list[dict[str, Any]]:
    counts = sum((split.sources for split in encoded.values()), Counter[tuple[str, str, str]]())
    return [
        {"dataset": dataset, "revision": revision, "licence": licence, "rows": rows}
        for (dataset, revision, licence), rows in sorted(counts.items())
    ]
