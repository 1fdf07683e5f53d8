"""Training of a LoRA adapter by transformers' Trainer, the best weights chosen on validation.

A training that was killed, or that ran out of memory, goes on from its last checkpoint and ends with the same curve
and the same weights (on one machine, with the same libraries and threads).
"""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.rules import TRAINING
from data_foundry.finetuning.tasks.task import Features, Task
from data_foundry.finetuning.training.batch_order import BatchOrder, padding_share
from data_foundry.finetuning.training.checkpoints import Checkpoints
from data_foundry.finetuning.training.lora import save_adapter, with_lora
from data_foundry.finetuning.training.memory import (
    MicroBatch,
    OutOfMemory,
    free_memory,
    halve,
    is_out_of_memory,
    micro_batch,
    too_many_rows,
)
from data_foundry.finetuning.training.resumption import best_validation, lay_over, progress_callback
from data_foundry.finetuning.training.trainer import FilledUp, adapter_trainer
from data_foundry.finetuning.training.training_arguments import (
    precision_switches,
    total_steps,
    training_arguments,
    updates_per_epoch,
    uses_gpu,
)
from data_foundry.finetuning.training.training_record import TrainingRecord, curve_point
from data_foundry.finetuning.versions.version_lineage import library_versions
from data_foundry.lake import fingerprint
from data_foundry.training_config import NOT_OF_THE_WEIGHTS, Training, TrainingConfig, deciding

if TYPE_CHECKING:
    from transformers import TrainerCallback

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "safetensors", "numpy")
log = logging.getLogger("data_foundry")


def train_adapter(
    task: Task,
    config: TrainingConfig,
    training: Training,
    rows: Sequence[Features],
    validation: Sequence[Features],
    folder: Path,
    *,
    replay: Sequence[Features] = (),
    revision: str | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    work: Path | None = None,
) -> TrainingRecord:
    """Train an adapter on encoded rows and write it to `folder`; return what happened.

    `work` is where its checkpoints are kept, for a run that takes it up again; whoever publishes the adapter removes
    it. Every process of a distributed training calls this; the first one writes. Equal inputs leave equal weights on
    the same machine with the same libraries and threads.
    Raises FoundryError for a configuration that can't be trained, a full disk, and when memory holds not even one row;
    OutOfMemory where one of several processes has too little, for whoever started them to `halve`.
    """
    import torch

    if config.early_stopping_patience and not validation:
        raise FoundryError(
            f"{task.spec.configured_at}.early_stopping_patience is {config.early_stopping_patience}, but there are no "
            "validation rows to stop by.",
            "Leave it out, or give the gold a validation split.",
        )
    torch.set_num_threads(training.threads)
    one = _OneTraining(task, config, training, rows, validation, replay, callbacks, work)
    too_many = too_many_rows(work)
    resumed: list[int] = []
    while True:
        full = ""
        try:
            return one.run(folder, revision, too_many, resumed)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            full = str(error)
        # Outside of the handler: the error holds on to the model and to all that the batch had made.
        if one.processes > 1:
            raise OutOfMemory(full)
        free_memory()
        too_many = halve(config, too_many=too_many, work=work)


@dataclass
class _OneTraining:
    """One adapter's training: what is the same for every attempt at it."""

    task: Task
    config: TrainingConfig
    training: Training
    rows: Sequence[Features]
    validation: Sequence[Features]
    replay: Sequence[Features]
    callbacks: Sequence[TrainerCallback]
    work: Path | None

    def __post_init__(self) -> None:
        from accelerate import PartialState

        self.processes = PartialState(cpu=not uses_gpu(self.training)).num_processes
        self.lengths = [*lengths_of(self.task, self.rows), *lengths_of(self.task, self.replay)]

    def run(self, folder: Path, revision: str | None, too_many: int | None, resumed: list[int]) -> TrainingRecord:
        """Train from the last checkpoint on, or from the start, and write the adapter."""
        config, batch = self.config, micro_batch(self.config, self.processes, too_many)
        checkpoints = Checkpoints(self.work, self.key(revision)) if self.work else None
        with TemporaryDirectory(prefix="data_foundry_trainer_") as unused:
            trainer = self.trainer(batch, Path(unused))
            trainer.checkpoints = checkpoints
            start = self.latest(trainer, checkpoints)
            if start is not None:
                resumed.append(int(start.name.rpartition("-")[2]))
            if start is None or not trainer.load_finished(start):
                updates = updates_per_epoch(config, len(self.lengths))
                trainer.add_callback(progress_callback(trainer, config, self.training, updates, start))
                if start is not None:
                    log.info("%s: the training goes on after step %d", self.task.spec.name, resumed[-1])
                trainer.train(resume_from_checkpoint=str(start) if start else None)
        if trainer.best is not None:
            lay_over(trainer.model, trainer.best)
        if trainer.is_world_process_zero():
            save_adapter(trainer.model, folder, base=config.base, revision=revision, labels=self.task.labels)
        trainer.accelerator.wait_for_everyone()
        return self.record(trainer, batch, resumed)

    def trainer(self, batch: MicroBatch, folder: Path) -> Any:
        """Return the Trainer of a freshly read base with a new adapter."""
        from torch.utils.data import ConcatDataset, Subset
        from transformers import PrinterCallback

        config, several = self.config, self.processes > 1
        # Index by index: the features of a split may be more than memory holds.
        parts: Any = [part for part in (self.rows, self.replay) if len(part)]
        examples: Any = ConcatDataset(parts)
        by_length = sorted(range(len(self.validation)), key=lengths_of(self.task, self.validation).__getitem__)
        arguments = training_arguments(
            self.task, config, self.training, folder,
            rows=len(examples), validation_rows=len(self.validation), batch=batch,
        )  # fmt: skip
        trainer: Any = adapter_trainer(
            self.task,
            model=with_lora(self.task, config),
            args=arguments,
            train_dataset=FilledUp(examples) if several else examples,
            eval_dataset=Subset(self.validation, by_length) if by_length else None,  # type: ignore[arg-type]
            callbacks=list(self.callbacks),
        )
        # It would print every point of the curve on the terminal.
        trainer.remove_callback(PrinterCallback)
        trainer.order = BatchOrder(
            rows=len(examples),
            batch_size=config.batch_size * config.gradient_accumulation,
            seed=config.seed,
            lengths=self.lengths if config.group_by_length else None,
            filled_up_to=config.batch_size if several else 1,
        )
        return trainer

    def latest(self, trainer: Any, checkpoints: Checkpoints | None) -> Path | None:
        """Return the checkpoint to start from: the first process looks, and removes what can't be used."""
        from accelerate.utils import broadcast_object_list

        if checkpoints is None:
            return None
        found: list[Path | None] = [checkpoints.latest() if trainer.is_world_process_zero() else None]
        return broadcast_object_list(found)[0] if self.processes > 1 else found[0]

    def key(self, revision: str | None) -> str:
        """Return what names this training: a checkpoint of another one is never taken up."""
        return fingerprint(
            {
                "rows": [rows_hash(part) for part in (self.rows, self.replay, self.validation)],
                "task": [type(self.task).__name__, self.task.spec.label, *self.task.labels],
                "config": deciding(self.config, without=NOT_OF_THE_WEIGHTS),
                "revision": revision,
                "machine": [uses_gpu(self.training), precision_switches(self.training), self.training.threads],
                "processes": self.processes,
                "rules": TRAINING,
                "libraries": library_versions(LIBRARIES),
            }
        )

    def record(self, trainer: Any, batch: MicroBatch, resumed: Sequence[int]) -> TrainingRecord:
        """Return what happened."""
        state, arguments, config = trainer.state, trainer.args, self.config
        metric = arguments.metric_for_best_model
        best = best_validation(state.log_history, metric, arguments.greater_is_better) or {}
        trainable, total = trainer.model.get_nb_trainable_parameters()
        order, updates = trainer.order.of_epoch(0), updates_per_epoch(config, len(self.lengths))
        return TrainingRecord(
            curve=[curve_point(entry, updates) for entry in state.log_history if "train_runtime" not in entry],
            selected_by=metric if self.validation else "nothing: there are no validation rows",
            best_epoch=best["step"] / updates if best else None,
            best_value=best.get(metric),
            steps=state.global_step,
            epochs=round(state.global_step / updates, 4),
            stopped_early=state.global_step < total_steps(config, len(order)),
            rows=len(self.rows),
            replay_rows=len(self.replay),
            trainable_parameters=trainable,
            parameters=total,
            arguments={
                "bf16": arguments.bf16,
                "fp16": arguments.fp16,
                "gpu": uses_gpu(self.training),
                "threads": self.training.threads,
                "processes": self.processes,
                "rows_at_a_time": batch.rows,
                "gradient_accumulation": batch.accumulation,
                "halved_for_memory": batch.halvings,
                "padding_share": round(padding_share(self.lengths, order, batch.rows), 4),
            },
            resumed_from_steps=tuple(resumed),
        )


def lengths_of(task: Task, rows: Sequence[Features]) -> list[int]:
    """Return the length of every row, by which batches are made."""
    known = getattr(rows, "lengths", None)
    return list(known) if known is not None else [task.length(row) for row in rows]


def rows_hash(rows: Sequence[Features]) -> str:
    """Return what tells encoded rows from others: what they were encoded from and how and their places, or all of them.

    Not which of several sets they are read from: a larger one that was made meanwhile serves them too.
    """
    folder = getattr(rows, "folder", None)
    if folder is not None:
        return fingerprint([folder.parent.name, list(rows.places)])  # type: ignore[attr-defined]
    found = hashlib.sha256()
    for row in rows:
        found.update(pickle.dumps(sorted(row.items()), protocol=5))
    return found.hexdigest()
