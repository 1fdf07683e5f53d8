"""Out of memory: batches are halved, what a step learns from stays the same, and it is said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning.training.memory import (
    BatchSize,
    MicroBatch,
    OutOfMemory,
    halve,
    is_out_of_memory,
    micro_batch,
    too_many_rows,
)
from data_foundry.finetuning.training.train import TrainingRecord, train_adapter
from data_foundry.records import AIEngine
from data_foundry.training_config import Training, TrainingConfig
from finetuning.evaluation.test_predict import task_for
from finetuning.gold_builders import rows

QUIET = Training(gpu_enabled=False, mixed_precision=False, checkpoint_steps=1)
PETABYTES = 10**15


def config(**given: Any) -> TrainingConfig:
    return TrainingConfig(base="tiny/bert", **given)


def too_much() -> None:
    """Ask the CPU's allocator for more than any machine has."""
    import torch

    torch.empty(PETABYTES)


def test_the_allocators_own_errors_are_told_from_others() -> None:
    import torch

    with pytest.raises(RuntimeError) as refused:
        too_much()
    assert is_out_of_memory(refused.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."))
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(OutOfMemory("a rank's"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(RuntimeError("two", "arguments"))


@pytest.mark.parametrize(
    ("given", "processes", "expected"),
    [
        ({"batch_size": 16}, 1, [(16, 1), (8, 2), (4, 4), (2, 8), (1, 16)]),
        ({"batch_size": 12, "gradient_accumulation": 3}, 2, [(6, 3), (3, 6), (1, 18)]),
        ({"batch_size": 5, "gradient_accumulation": 2}, 1, [(5, 2), (1, 10)]),
    ],
)
def test_halving_keeps_the_rows_of_a_step(
    given: dict[str, int], processes: int, expected: list[tuple[int, int]]
) -> None:
    found = [micro_batch(config(**given), processes)]
    while len(found) < len(expected):
        found.append(micro_batch(config(**given), processes, found[-1].rows))
    assert found == [MicroBatch(*each, halvings) for halvings, each in enumerate(expected)]
    step = given["batch_size"] * given.get("gradient_accumulation", 1)
    assert all(batch.rows * batch.accumulation * processes == step for batch in found)
    with pytest.raises(FoundryError, match="One row at a time"):
        micro_batch(config(**given), processes, 1)


def test_a_batch_that_processes_can_not_share_is_refused() -> None:
    with pytest.raises(FoundryError, match="batch of 9 can't be shared out among 2"):
        micro_batch(config(batch_size=9), 2)


def test_whoever_starts_several_processes_halves_for_all_of_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = tmp_path / "work"
    assert too_many_rows(work) is None
    with caplog.at_level(logging.WARNING, "data_foundry"):
        assert halve(config(batch_size=4), processes=2, too_many=too_many_rows(work), work=work) == 2
    assert "out of memory with 2 rows at a time; the training goes on with 1, and a step still learns" in caplog.text
    assert too_many_rows(work) == 2
    with pytest.raises(FoundryError, match="One row at a time"):
        halve(config(batch_size=4), processes=2, too_many=2, work=work)
    assert too_many_rows(work) == 2


def test_another_number_of_processes_takes_what_is_known_to_fit_and_tries_its_own_share() -> None:
    """Eight rows at a time were too many for one process, and four were not tried."""
    found = [micro_batch(config(batch_size=8), processes, 8) for processes in (1, 2, 4, 8)]
    assert found == [MicroBatch(4, 2, 1), MicroBatch(4, 1), MicroBatch(2, 1), MicroBatch(1, 1)]
    assert micro_batch(config(batch_size=8), 4, 2) == MicroBatch(1, 2, 1)


def test_a_batch_through_a_model_is_halved_for_good_and_nothing_is_lost_or_done_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[list[int]] = []

    def run(items: Sequence[int]) -> list[int]:
        if len(items) > 3:
            too_much()
        seen.append(list(items))
        return [item * 10 for item in items]

    size = BatchSize(8)
    with caplog.at_level(logging.WARNING, "data_foundry"):
        found = [value for part in size.batches(range(11), run) for value in part]
    assert found == [number * 10 for number in range(11)]
    assert [len(items) for items in seen] == [2, 2, 2, 2, 2, 1]
    assert size.rows == 2 and caplog.text.count("out of memory") == 2


def test_one_row_that_is_too_much_ends_with_a_way_out_and_other_errors_pass() -> None:
    with pytest.raises(FoundryError, match="One row at a time is more than memory holds") as told:
        list(BatchSize(4).batches(range(4), lambda items: too_much()))
    assert "gradient_checkpointing" in told.value.hint
    with pytest.raises(ZeroDivisionError):
        list(BatchSize(4).batches([0], lambda items: 1 // items[0]))


Fit = Callable[..., tuple[TrainingRecord, dict[str, Any]]]


@pytest.fixture
def fit(hub: Path, tmp_path: Path) -> Fit:
    """Train on speech, eight rows a step; `full_over` rows at a time are too many from `from_step` on."""

    def build(
        full_over: int = 8, from_step: int = 0, where: str = "training_step", **given: Any
    ) -> tuple[TrainingRecord, dict[str, Any]]:
        from safetensors.torch import load_file
        from transformers import Trainer

        task = task_for(hub, AIEngine.STT, epochs=2, batch_size=8, learning_rate=1e-2)
        features = [task.encode(one) for one in rows(AIEngine.STT, 20)]
        folder = tmp_path / f"adapter{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        original = getattr(Trainer, where)

        def limited(self: Any, *values: Any, **named: Any) -> Any:
            inputs = next(value for value in values if isinstance(value, dict))
            looked_at = where == "training_step" or not self.model.training
            if looked_at and len(inputs["labels"]) > full_over and self.state.global_step >= from_step:
                too_much()
            return original(self, *values, **named)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Trainer, where, limited)
            record = train_adapter(task, task.config, QUIET, features, features[:6], folder, **given)
        return record, load_file(folder / "adapter_model.safetensors")

    return build


def test_a_training_without_memory_goes_on_from_its_checkpoint_with_half_the_batch_and_ends_the_same(
    fit: Fit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    whole, weights = fit()
    with caplog.at_level(logging.INFO, "data_foundry"):
        record, others = fit(full_over=2, from_step=3, work=tmp_path / "work")
    assert caplog.text.count("out of memory") == 2
    assert record.resumed_from_steps == (3, 3)
    assert record.arguments["halved_for_memory"] == 2
    assert (record.arguments["rows_at_a_time"], record.arguments["gradient_accumulation"]) == (2, 4)
    assert record.steps == whole.steps
    for point, other in zip(whole.curve, record.curve, strict=True):
        assert point == pytest.approx(other, rel=1e-4)
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=1e-3, atol=1e-6)
    assert too_many_rows(tmp_path / "work") == 4


def test_a_training_whose_single_rows_are_too_much_gives_up_clearly(fit: Fit) -> None:
    with pytest.raises(FoundryError, match="One row at a time is more than memory holds"):
        fit(full_over=0)


def test_a_validation_without_memory_halves_its_own_batch_and_gives_the_same_figures(
    fit: Fit, caplog: pytest.LogCaptureFixture
) -> None:
    whole, _ = fit()
    with caplog.at_level(logging.WARNING, "data_foundry"):
        record, _ = fit(full_over=3, where="_prepare_inputs")
    assert caplog.text.count("out of memory with 6 rows at a time; going on with 3") == 1
    assert record.arguments["halved_for_memory"] == 0
    for point, other in zip(whole.curve, record.curve, strict=True):
        assert point == pytest.approx(other, rel=1e-6)
