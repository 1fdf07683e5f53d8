"""A training that was killed ends with the same curve and the same bytes as one that was not.

Trap 5 of PEFT on Whisper (transformers issues 24252, 24274, 28531) is that a resumed training starts, and differs.
The killed trainings are processes of their own, ended by SIGKILL.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning.training import checkpoints, training_arguments
from data_foundry.finetuning.training import train as train_module
from data_foundry.finetuning.training.checkpoints import Checkpoints
from data_foundry.finetuning.training.train import TrainingRecord, _OneTraining, train_adapter
from data_foundry.lake import sha256_file
from data_foundry.records import AIEngine
from data_foundry.training_config import Training
from finetuning.evaluation.test_predict import task_for
from finetuning.gold_builders import rows

OFTEN = Training(gpu_enabled=False, mixed_precision=False, checkpoint_steps=2)
LIMIT_SECONDS = 120
Train = Callable[..., tuple[TrainingRecord, list[str]]]


@pytest.fixture(scope="module")
def train(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Train]:
    """Train a small adapter: train(engine, work=..., at_step=f) calls f(step) after every step; record and hashes.

    Twelve rows, four a step, two at a time: three steps an epoch, six in all. Every point of the curve is of two steps,
    so that checkpoints lie between points.
    """
    from transformers import TrainerCallback

    def build(
        engine: AIEngine = AIEngine.NLU,
        *,
        work: Path | None = None,
        at_step: Callable[[int], None] = lambda step: None,
        training: Training = OFTEN,
        count: int = 10,
        **config: Any,
    ) -> tuple[TrainingRecord, list[str]]:
        class AtStep(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                at_step(state.global_step)

        labels = ("cochin", "malabar", "travancore") if engine is AIEngine.DIALECT else ()
        given = {"epochs": 2, "batch_size": 2, "gradient_accumulation": 2, "learning_rate": 1e-2, "lora_dropout": 0.1}
        task = task_for(hub, engine, labels=labels, **{**given, **config})
        features = [task.encode(one) for one in rows(engine, count + 6)]
        folder = tmp_path_factory.mktemp("adapter")
        record = train_adapter(
            task, task.config, training, features[:count], features[count + 2 :], folder,
            replay=features[count : count + 2], callbacks=[AtStep()], work=work,
        )  # fmt: skip
        return record, [sha256_file(path) for path in sorted(folder.iterdir())]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training_arguments, "CURVE_POINTS", 3)
        yield build


@pytest.fixture(scope="module")
def whole(train: Train) -> tuple[TrainingRecord, list[str]]:
    """A training of topics that nothing disturbed."""
    return train()


def killed(run: Callable[[], Any]) -> None:
    """Run it in a process of its own, which must end by SIGKILL."""
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT_SECONDS)
        try:
            run()
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def kill_at(wanted: int) -> Callable[[int], None]:
    def after(step: int) -> None:
        if step == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return after


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def while_the_first_file_is_written() -> None:
    import torch

    torch.save = die


def while_it_is_sealed() -> None:
    checkpoints.sha256_file = die  # type: ignore[assignment]


def before_it_gets_its_name() -> None:
    Path.rename = die  # type: ignore[method-assign,assignment]


def before_the_older_ones_go() -> None:
    rename = Path.rename
    Path.rename = lambda *given: die(rename(*given))  # type: ignore[method-assign,assignment,return-value]


def test_a_training_killed_again_and_again_ends_as_one_that_was_not(
    train: Train, whole: tuple[TrainingRecord, list[str]], tmp_path: Path
) -> None:
    """Killed after steps without a checkpoint of their own, and at four moments of writing one."""
    work = tmp_path / "work"
    for step, moment, left in (
        (1, die, []),
        (3, while_the_first_file_is_written, [2]),
        (3, while_it_is_sealed, [2]),
        (4, before_it_gets_its_name, [2, 3]),
        (4, before_the_older_ones_go, [2, 3, 4]),
        (5, die, [2, 3, 4]),
    ):
        killed(lambda step=step, moment=moment: train(work=work, at_step=lambda now: moment() if now == step else None))
        assert sorted(int(path.name[5:]) for path in work.glob("*/step-*")) == left, moment
    record, hashes = train(work=work)
    assert record.curve == whole[0].curve
    assert (record.as_json(), hashes) == (whole[0].as_json(), whole[1])
    assert record.resumed_from_steps == (4,) and whole[0].resumed_from_steps == ()
    assert sorted(path.name for path in work.glob("*/*")) == ["step-00000004", "step-00000006"]


def test_a_whisper_training_that_was_killed_ends_with_the_same_curve_and_the_same_adapter(
    train: Train, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    killed(lambda: train(AIEngine.STT, work=work, at_step=lambda step: die() if step == 5 else None))
    record, hashes = train(AIEngine.STT, work=work)
    assert record.resumed_from_steps == (4,)
    assert (record, hashes) == train(AIEngine.STT)


def test_a_full_disk_is_said_and_a_damaged_checkpoint_is_left_for_the_one_before(
    train: Train,
    whole: tuple[TrainingRecord, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = tmp_path / "work"

    def full(path: Path) -> None:
        if path.parent.name == "writing-00000006":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "fsync", full)
        with pytest.raises(FoundryError, match="No space left") as told:
            train(work=work)
    assert "Free space" in told.value.hint
    assert [path.name for path in sorted(work.glob("*/*"))] == ["step-00000003", "step-00000004"]
    (weights,) = work.glob("*/step-00000004/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    with caplog.at_level(logging.WARNING, "data_foundry"):
        record, hashes = train(work=work)
    assert "its weights.safetensors is damaged" in caplog.text
    assert record.resumed_from_steps == (3,)
    assert (record, hashes) == whole


def test_a_checkpoint_of_other_rows_is_never_taken_up(
    train: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = tmp_path / "work"
    killed(lambda: train(work=work, at_step=lambda step: die() if step == 3 else None))
    with caplog.at_level(logging.WARNING, "data_foundry"):
        record, hashes = train(work=work, count=8)
    assert "it belongs to a training of other rows" in caplog.text
    assert record.resumed_from_steps == ()
    assert (record, hashes) == train(count=8)
    assert len(list(work.iterdir())) == 2, "the checkpoints of the first are kept for whoever comes back to it"


def test_what_changes_a_training_changes_the_key_of_its_checkpoints(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(training: Training = OFTEN, count: int = 4, **config: Any) -> str:
        task = task_for(hub, AIEngine.NLU, **config)
        features = [task.encode(one) for one in rows(AIEngine.NLU, count)]
        return _OneTraining(task, task.config, training, features, (), (), (), None).key("1a2b")

    keys = [
        key(),
        key(count=5),
        key(learning_rate=0.5),
        key(schedule="cosine"),
        key(seed=1),
        key(OFTEN.model_copy(update={"mixed_precision": True})),
        key(OFTEN.model_copy(update={"threads": 2})),
    ]
    monkeypatch.setattr(train_module, "library_versions", lambda names: dict.fromkeys(names, "another"))
    assert len({*keys, key()}) == 8
    monkeypatch.undo()
    assert key(OFTEN.model_copy(update={"checkpoint_steps": 7, "use_wandb": True})) == keys[0]
    judged_otherwise: dict[str, Any] = {
        "licence": "mit", "why": "another", "min_test_rows": 9, "gradient_checkpointing": True, "control": "x.parquet",
        "speech_rows": 5, "max_phone_regression": 0.5,
    }  # fmt: skip
    assert key(**judged_otherwise) == keys[0]
    assert key(steps=5, epochs=3) == key(steps=5, epochs=4) != key(epochs=4)


def test_a_training_whose_loss_is_no_number_ends_with_what_to_do(train: Train, tmp_path: Path) -> None:
    with pytest.raises(FoundryError, match=r"diverged at step \d+: (eval_|train_)?loss is nan") as told:
        train(learning_rate=1e30, target_modules=("query", "value", "dense"), work=tmp_path / "work")
    assert "lower than 1e+30" in told.value.hint


def test_a_training_that_stopped_early_stays_stopped_when_it_is_taken_up(train: Train, tmp_path: Path) -> None:
    """The Trainer of transformers would go on for an epoch after the checkpoint that it stopped at."""
    work, config = tmp_path / "work", {"epochs": 9, "early_stopping_patience": 1, "learning_rate": 0.5}
    stopped = train(**config)
    assert stopped[0].stopped_early and stopped[0].epochs < 9 and stopped[0].best_epoch < stopped[0].epochs
    killed(lambda: train(work=work, at_step=lambda step: die() if step == 4 else None, **config))
    for start in (3, stopped[0].steps):
        again = train(work=work, **config)
        assert again == stopped
        assert again[0].resumed_from_steps == (start,)


def test_a_finished_part_is_read_and_not_trained_again(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the adapter of a version that was killed while its linear probe was fitted, or while it was measured."""
    work = tmp_path / "work"
    adapter = train(AIEngine.DIALECT, work=work)
    monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("trained again"))
    assert train(AIEngine.DIALECT, work=work) == adapter


def test_how_often_a_training_is_written_down_changes_nothing(
    train: Train, whole: tuple[TrainingRecord, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = Checkpoints.writing
    monkeypatch.setattr(Checkpoints, "writing", lambda self, step: written.append(step) or write(self, step))
    always = OFTEN.model_copy(update={"checkpoint_steps": None, "checkpoint_minutes": 1e-9})
    assert train(training=always, work=tmp_path / "always") == whole
    assert written == [1, 2, 3, 4, 5, 6]
    seldom = always.model_copy(update={"checkpoint_minutes": 60.0})
    assert train(training=seldom, work=tmp_path / "seldom") == whole
    assert written[6:] == [3, 6]
