"""What transformers' Trainer is told of a training: batch, schedule, precision, validation."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.finetuning.tasks.task import Task
from data_foundry.finetuning.training.memory import MicroBatch, micro_batch
from data_foundry.training_config import Training, TrainingConfig

if TYPE_CHECKING:
    from transformers import TrainingArguments

CURVE_POINTS = 50
# "constant" in transformers knows no warmup.
SCHEDULES = {"constant": "constant_with_warmup"}


def uses_gpu(training: Training) -> bool:
    """Return whether this process will use a GPU: one is present and the settings allow it."""
    import torch

    return training.gpu_enabled and torch.cuda.is_available()


def precision_switches(training: Training) -> dict[str, bool]:
    """Return bf16 and fp16 of TrainingArguments: bfloat16, or float16 on a GPU that has no bfloat16."""
    import torch

    half = training.mixed_precision
    bf16 = half and (not uses_gpu(training) or torch.cuda.is_bf16_supported())
    return {"bf16": bf16, "fp16": half and not bf16}


def training_arguments(
    task: Task,
    config: TrainingConfig,
    training: Training,
    folder: Path,
    *,
    rows: int,
    validation_rows: int,
    batch: MicroBatch | None = None,
) -> TrainingArguments:
    """Return the Trainer's arguments; checkpoints are written by `Resumable`, not by the Trainer's own strategy.

    `batch` is how this process cuts up its part of a step; by default as one process does.
    """
    from transformers import TrainingArguments

    gpu, batch = uses_gpu(training), batch or micro_batch(config)
    metric, more_is_better = task.selection
    steps = total_steps(config, rows)
    validate = "no" if not validation_rows else "steps" if config.validation_steps else "epoch"
    precision: dict[str, Any] = dict(precision_switches(training))
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        max_steps=config.steps or -1,
        per_device_train_batch_size=batch.rows,
        per_device_eval_batch_size=batch.rows,
        gradient_accumulation_steps=batch.accumulation,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=ceil(config.warmup_share * steps),
        lr_scheduler_type=SCHEDULES.get(config.schedule, config.schedule),
        activation_checkpointing=config.gradient_checkpointing,
        # The other kind passes no gradient on where what goes in asks for none, as into a frozen base.
        activation_checkpointing_kwargs={"use_reentrant": False} if config.gradient_checkpointing else None,
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=not gpu,
        **precision,
        eval_strategy=validate,
        eval_steps=config.validation_steps,
        save_strategy="no",
        metric_for_best_model=f"eval_{metric}",
        greater_is_better=more_is_better,
        prediction_loss_only=not task.labels,
        # Features are made by the task: nothing in them is for the Trainer to drop or to guess.
        remove_unused_columns=False,
        label_names=["labels"],
        # Else a loss that is no number is logged as the mean of those before it.
        logging_nan_inf_filter=False,
        logging_strategy="steps",
        logging_steps=max(1, round(steps / CURVE_POINTS)),
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to="none",
    )
    # One process trains on one GPU: on several, the Trainer would multiply the batch by their number.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def updates_per_epoch(config: TrainingConfig, rows: int) -> int:
    """Return how many optimizer steps one pass over the rows takes."""
    return -(-rows // (config.batch_size * config.gradient_accumulation))


def total_steps(config: TrainingConfig, rows: int) -> int:
    """Return how many optimizer steps a training takes, if it does not end early."""
    return config.steps or ceil(updates_per_epoch(config, rows) * config.epochs)
