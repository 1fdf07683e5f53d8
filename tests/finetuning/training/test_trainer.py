"""The one exact loss: however a step's rows are cut up, loss, gradients and validation figures are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_foundry.finetuning.tasks.task import IGNORED, Task
from data_foundry.finetuning.training.batch_order import BatchOrder
from data_foundry.finetuning.training.lora import with_lora
from data_foundry.finetuning.training.memory import MicroBatch
from data_foundry.finetuning.training.train import training_arguments
from data_foundry.finetuning.training.trainer import PADDING, FilledUp, adapter_trainer, targets_of, without_targets
from data_foundry.records import AIEngine
from data_foundry.training_config import Training
from finetuning.evaluation.test_predict import task_for
from finetuning.gold_builders import rows

QUIET = Training(gpu_enabled=False, mixed_precision=False)
ENGINES = (AIEngine.STT, AIEngine.NLU, AIEngine.TTS, AIEngine.TRANSLATION)


def encoded(task: Task, count: int) -> list[Any]:
    return [task.encode(one) for one in rows(task.spec.engine, count)]


def trainer_of(task: Task, folder: Path, batch: MicroBatch, features: list[Any]) -> Any:
    """A Trainer whose model never drops anything out, so that only the cutting up differs."""
    arguments = training_arguments(
        task, task.config, QUIET, folder, rows=len(features), validation_rows=len(features), batch=batch
    )
    model: Any = with_lora(task, task.config).eval()
    model.train = lambda mode=True: model
    return adapter_trainer(task, model=model, args=arguments, train_dataset=features, eval_dataset=features)


def gradients(trainer: Any, batches: list[list[Any]]) -> tuple[float, list[Any]]:
    """Loss and gradients of one step over micro-batches."""
    collated = [trainer.data_collator(batch) for batch in batches]
    micro, targets = trainer.get_batch_samples(iter(collated), len(collated), trainer.args.device)
    trainer.current_gradient_accumulation_steps = len(micro)
    loss = sum(float(trainer.training_step(trainer.model, batch, targets)) for batch in micro)
    return loss, [parameter.grad for parameter in trainer.model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_has_one_loss_and_one_gradient_however_it_is_cut_up(engine: AIEngine, hub: Path, tmp_path: Path) -> None:
    import torch

    task = task_for(hub, engine, batch_size=5)
    features = encoded(task, 5)
    assert len({len(row["labels"]) if hasattr(row["labels"], "__len__") else 1 for row in features}) > 1 or task.labels
    whole, expected = gradients(trainer_of(task, tmp_path, MicroBatch(5, 1), features), [features])
    uneven = [features[:1], features[1:3], features[3:], [without_targets(features[0])] * 2]
    loss, found = gradients(trainer_of(task, tmp_path, MicroBatch(2, 4), features), uneven)
    assert loss == pytest.approx(whole, rel=1e-5)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("engine", (AIEngine.STT, AIEngine.NLU))
def test_validation_figures_do_not_depend_on_the_batches(engine: AIEngine, hub: Path, tmp_path: Path) -> None:
    task = task_for(hub, engine, batch_size=4)
    features = encoded(task, 7)
    one, other = (trainer_of(task, tmp_path, MicroBatch(size, 1), features).evaluate() for size in (7, 2))
    assert set(one) == set(other) and "eval_loss" in one
    assert other == pytest.approx(one, rel=1e-5)


def test_the_validation_loss_is_the_mean_over_tokens_not_over_rows(hub: Path, tmp_path: Path) -> None:
    import torch

    task = task_for(hub, AIEngine.STT, batch_size=4)
    features = encoded(task, 5)
    trainer = trainer_of(task, tmp_path, MicroBatch(2, 1), features)
    batch = task.collate(features)
    with torch.no_grad():
        logits = trainer.model.eval()(**batch).logits
    mean = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(mean), rel=1e-5)


def test_the_last_batch_is_filled_up_with_rows_that_teach_nothing(hub: Path) -> None:
    assert list(BatchOrder(rows=3, batch_size=2, seed=0, filled_up_to=2))[3:] == [PADDING]
    for engine in ENGINES:
        task = task_for(hub, engine)
        examples = FilledUp(encoded(task, 2))
        assert len(examples) == 2
        batch = task.collate([examples[PADDING], examples[PADDING]])
        assert int(targets_of(batch, shifted=False)) == 0
        assert batch.keys() == task.collate([examples[0]]).keys()
