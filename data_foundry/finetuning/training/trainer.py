"""The Trainer with one exact loss: the mean over all targets of a step, however its batch is cut up.

transformers' Trainer averages the means of micro-batches and of processes for models that take no count of targets
(Whisper, classifiers), and pads the last batch of every process with rows that were already seen. Here one process,
several, and half batches with twice the accumulation give the same loss, the same gradients and the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from data_foundry.finetuning.tasks.task import IGNORED, Features, Task
from data_foundry.finetuning.training.memory import BatchSize
from data_foundry.finetuning.training.resumption import Resumable

if TYPE_CHECKING:
    import torch
    from transformers import Trainer

PADDING = -1
"""The index of a row that fills up the last batch and teaches nothing."""


class FilledUp(Sequence[Features]):
    """Training rows, and at the index PADDING a row without any target, for processes that would have none."""

    def __init__(self, rows: Sequence[Features]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return without_targets(self.rows[0]) if index == PADDING else self.rows[index]


def without_targets(row: Features) -> Features:
    """Return a row whose labels are all ignored: a label's number, or a sequence of tokens."""
    labels = row["labels"]
    return {**row, "labels": [IGNORED] * len(labels) if hasattr(labels, "__len__") else IGNORED}


def targets_of(batch: Mapping[str, Any], *, shifted: bool) -> torch.Tensor:
    """Return how many labels of a batch the loss is a mean of; `shifted`: the model drops the first of each row."""
    labels = batch["labels"]
    return (labels[..., 1:] if shifted else labels).ne(IGNORED).sum()


def adapter_trainer(task: Task, **given: Any) -> Trainer:
    """Return the Trainer of one adapter; `given` is what transformers' Trainer takes."""
    import torch
    from accelerate.utils import gather_object
    from transformers import Trainer

    # Causal models foresee the next token, so the first label of a row is never compared with anything.
    shifted = task.peft_type == "CAUSAL_LM"

    class AdapterTrainer(Resumable, Trainer):
        # compute_loss divides by the targets of the whole step: the Trainer must not divide again.
        loss_is_scaled_for_ga = True
        eval_size: BatchSize | None = None

        def get_batch_samples(
            self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
        ) -> tuple[list[Any], torch.Tensor]:
            """Return the micro-batches of a step, and the number of its targets over all processes."""
            batches = list(islice(epoch_iterator, num_batches))
            here = sum((targets_of(batch, shifted=shifted) for batch in batches), torch.tensor(0)).to(device)
            return batches, self.accelerator.reduce(here, reduction="sum")

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: torch.Tensor | int | None = None,
        ) -> Any:
            """Return this micro-batch's part of the step's mean; the model is never told how many targets there are."""
            outputs = model(**inputs)
            here = targets_of(inputs, shifted=shifted)
            if here:
                # Gradients are averaged over processes, hence the factor.
                loss = outputs.loss * (here * self.accelerator.num_processes / (num_items_in_batch or here))
            else:
                loss = outputs.logits.sum() * 0.0
            return (loss, outputs) if return_outputs else loss

        def evaluate(
            self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
        ) -> dict[str, float]:
            """Measure the validation rows, each of them once on one process, and log the figures."""
            rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
            size, rank, ranks = self.args.per_device_eval_batch_size, self.args.process_index, self.args.world_size
            starts = range(0, len(rows), size)
            own = [place for start in starts[rank::ranks] for place in range(start, min(start + size, len(rows)))]
            # Not the wrapped model: its processes wait for each other at every batch, and may have unequally many.
            model: Any = self.accelerator.unwrap_model(self.model)
            model.eval()

            def measured(places: Sequence[int]) -> tuple[Sequence[int], float, int, Any]:
                batch = self._prepare_inputs(self.data_collator([rows[place] for place in places]))
                outputs = model(**batch)
                targets = int(targets_of(batch, shifted=shifted))
                seen = (outputs.logits.float().cpu().numpy(), batch["labels"].cpu().numpy()) if task.labels else ()
                return places, float(outputs.loss) * targets, targets, seen

            self.eval_size = self.eval_size or BatchSize(size)
            with torch.no_grad(), self.accelerator.autocast():
                parts = list(self.eval_size.batches(own, measured))
            metrics = _figures(task, gather_object(parts), metric_key_prefix)
            self.log(metrics)
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

    return AdapterTrainer(data_collator=task.collate, **given)


def _figures(task: Task, parts: Sequence[tuple[Sequence[int], float, int, Any]], prefix: str) -> dict[str, float]:
    """Return loss and the task's own figures from the parts of all processes, added up in the order of the rows."""
    import numpy as np

    parts = sorted(parts, key=lambda part: part[0][0])
    figures = {"loss": sum(part[1] for part in parts) / sum(part[2] for part in parts)}
    if task.labels:
        order = np.argsort([place for part in parts for place in part[0]])
        logits, labels = (np.concatenate([part[3][which] for part in parts])[order] for which in (0, 1))
        figures |= task.validation_figures(logits, labels)
    return {f"{prefix}_{name}": value for name, value in figures.items()}
