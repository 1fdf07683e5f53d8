"""Training: switches that change what is done, equal runs that leave equal weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning.training.lora import lora_config, with_lora
from data_foundry.finetuning.training.train import train_adapter
from data_foundry.finetuning.training.training_arguments import training_arguments
from data_foundry.lake import Lake, sha256_file
from data_foundry.records import AIEngine
from data_foundry.training_config import Training
from finetuning.evaluation.test_predict import task_for
from finetuning.gold_builders import commit_gold, gold, rows
from finetuning.test_adapt import Build, run

QUIET = Training(gpu_enabled=False, mixed_precision=False)


def arguments(hub: Path, training: Training, **config: Any) -> Any:
    task = task_for(hub, AIEngine.NLU, **config)
    return training_arguments(task, task.config, training, hub / "out", rows=10, validation_rows=2)


def test_turning_mixed_precision_on_trains_in_bfloat16(hub: Path) -> None:
    assert arguments(hub, QUIET).bf16 is False
    assert arguments(hub, QUIET.model_copy(update={"mixed_precision": True})).bf16 is True


def test_the_gpu_is_used_only_if_it_is_there_and_allowed(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_foundry.finetuning.training import training_arguments as train

    assert arguments(hub, QUIET).use_cpu is True
    monkeypatch.setattr(train, "uses_gpu", lambda training: training.gpu_enabled)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: False)
    gpu = Training(gpu_enabled=True, mixed_precision=True)
    assert train.precision_switches(gpu) == {"bf16": False, "fp16": True}
    import torch

    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert train.uses_gpu(Training(gpu_enabled=True)) and not train.uses_gpu(Training(gpu_enabled=False))


@pytest.mark.parametrize("engine", [AIEngine.NLU, AIEngine.STT])
def test_equal_runs_leave_equal_bytes(engine: AIEngine, hub: Path, tmp_path: Path) -> None:
    hashes = []
    for number in range(2):
        task = task_for(hub, engine, epochs=2, batch_size=4, learning_rate=1e-2, lora_dropout=0.1)
        features = [task.encode(one) for one in rows(engine, 8)]
        folder = tmp_path / str(number)
        folder.mkdir()
        record = train_adapter(task, task.config, QUIET, features, features[:4], folder)
        hashes.append([record, *(sha256_file(path) for path in sorted(folder.iterdir()))])
    assert hashes[0] == hashes[1]
    assert [path.name for path in sorted(folder.iterdir())][:2] == ["adapter_config.json", "adapter_model.safetensors"]


def test_the_best_epoch_on_validation_is_kept_not_the_last(hub: Path, tmp_path: Path) -> None:
    """Training on wrong labels: every epoch makes validation worse, so the first must be the one that is kept."""
    task = task_for(hub, AIEngine.NLU, epochs=4, batch_size=4, learning_rate=5e-2)
    wrong = [{**task.encode(one), "labels": (task.encode(one)["labels"] + 1) % 4} for one in rows(AIEngine.NLU, 16)]
    right = [task.encode(one) for one in rows(AIEngine.NLU, 8, "validation")]
    task.selection = ("loss", False)
    record = train_adapter(task, task.config, QUIET, wrong, right, tmp_path)
    losses = {point["epoch"]: point["eval_loss"] for point in record.curve if "eval_loss" in point}
    assert len(losses) == 4
    assert record.best_epoch == min(losses, key=losses.__getitem__) < 4
    assert record.best_value == min(losses.values())


def test_the_head_is_trained_whole_beside_the_lora_layers(hub: Path) -> None:
    task = task_for(hub, AIEngine.DIALECT, labels=("cochin", "malabar", "travancore"))
    trained = {n for n, p in with_lora(task, task.config).named_parameters() if p.requires_grad}
    heads = {name for name in trained if ".modules_to_save." in name}
    assert {name.split(".modules_to_save")[0].rpartition(".")[2] for name in heads} == {"projector", "classifier"}
    assert trained > heads and all("lora_" in name for name in trained - heads)


def test_heads_get_no_lora_layers_of_their_own(hub: Path) -> None:
    task = task_for(hub, AIEngine.SENTIMENT, "tiny/xlm-roberta", labels=("negative", "positive"))
    names = [name for name, _ in with_lora(task, task.config).named_parameters()]
    assert any("lora_A" in name for name in names)
    assert not [name for name in names if "classifier" in name and "lora_" in name]


def test_target_modules_that_the_base_does_not_have_are_answered_with_those_it_has(hub: Path) -> None:
    task = task_for(hub, AIEngine.NLU)
    wrong = task.config.model_copy(update={"target_modules": ("q_proj",)})
    with pytest.raises(FoundryError, match="classifier, dense, key, query, value"):
        with_lora(task, wrong)


def test_saving_an_adapter_asks_no_hub_for_the_base(tiny_settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEFT compares vocabulary sizes with the base's config on the Hub unless it is told not to."""
    import huggingface_hub

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a request")

    for name in ("file_exists", "hf_hub_download"):
        monkeypatch.setattr(huggingface_hub, name, refuse)
    monkeypatch.setattr("peft.utils.save_and_load.file_exists", refuse)
    settings = tiny_settings(AIEngine.TTS)
    commit_gold(Lake(settings), AIEngine.TTS, gold(AIEngine.TTS))
    result = run(settings)
    assert not result.failed, result.reason


def test_what_the_configuration_says_of_length_and_schedule_is_what_is_trained(hub: Path, tmp_path: Path) -> None:
    """Ten rows, four a step: three steps an epoch."""
    assert arguments(hub, QUIET).num_train_epochs == 3 and arguments(hub, QUIET).max_steps == -1
    rates = {}
    for schedule in ("linear", "cosine", "constant"):
        task = task_for(hub, AIEngine.NLU, steps=8, batch_size=4, schedule=schedule, warmup_share=0.25)
        features = [task.encode(one) for one in rows(AIEngine.NLU, 10)]
        record = train_adapter(task, task.config, QUIET, features, features[:4], tmp_path)
        rates[schedule] = [round(p["learning_rate"] / 1e-3, 2) for p in record.curve if "learning_rate" in p]
        assert (record.steps, record.epochs) == (8, 2.6667)
        assert [p["step"] for p in record.curve if "eval_loss" in p] == [3, 6, 8]
        assert not record.stopped_early
    assert rates == {
        "linear": [0, 0.5, 1, 0.83, 0.67, 0.5, 0.33, 0.17],
        "cosine": [0, 0.5, 1, 0.93, 0.75, 0.5, 0.25, 0.07],
        "constant": [0, 0.5, 1, 1, 1, 1, 1, 1],
    }


def test_validation_every_few_steps_stops_a_training_that_no_longer_gets_better(hub: Path, tmp_path: Path) -> None:
    task = task_for(
        hub, AIEngine.NLU, epochs=50, batch_size=4, learning_rate=0.5, validation_steps=2, early_stopping_patience=3
    )
    features = [task.encode(one) for one in rows(AIEngine.NLU, 16)]
    record = train_adapter(task, task.config, QUIET, features, features[:4], tmp_path)
    looks = [(point["step"], point["eval_macro_f1"]) for point in record.curve if "eval_loss" in point]
    assert [step for step, _ in looks] == [2 * number + 2 for number in range(len(looks))]
    best = max(figure for _, figure in looks)
    assert record.best_value == best and record.stopped_early and record.steps == looks[-1][0] < 200
    assert next(place for place, look in enumerate(looks) if look[1] == best) == len(looks) - 4


def test_early_stopping_without_validation_rows_is_refused(hub: Path, tmp_path: Path) -> None:
    task = task_for(hub, AIEngine.NLU, early_stopping_patience=2)
    with pytest.raises(FoundryError, match=r"training\.engines\.nlu\.early_stopping_patience is 2, but there are no"):
        train_adapter(task, task.config, QUIET, [task.encode(rows(AIEngine.NLU, 1)[0])], (), tmp_path)


def test_a_batch_of_eight_and_two_of_four_learn_the_same(hub: Path, tmp_path: Path) -> None:
    """Rows of unequal lengths: the mean of two means would not be the mean over all tokens."""
    curves = []
    for batch_size, accumulation in ((8, 1), (4, 2)):
        settings = {"batch_size": batch_size, "gradient_accumulation": accumulation}
        task = task_for(hub, AIEngine.STT, learning_rate=1e-2, **settings)
        features = [task.encode(one) for one in rows(AIEngine.STT, 20)]
        assert len({task.length(one) for one in features}) > 1
        curves.append(train_adapter(task, task.config, QUIET, features, features[:6], tmp_path).curve)
    assert len(curves[0]) == 9 + 3
    for one, other in zip(*curves, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_frozen_modules_get_no_lora_and_attention_over_them_does(hub: Path) -> None:
    task = task_for(hub, AIEngine.STT)
    task.frozen_modules = ("encoder",)
    names = [name for name, _ in with_lora(task, task.config).named_parameters() if "lora_A" in name]
    assert not [name for name in names if ".encoder." in name]
    assert any(".decoder.layers.0.encoder_attn." in name for name in names)
    assert any(".decoder.layers.0.self_attn." in name for name in names)


def test_heads_and_frozen_modules_are_excluded_together(hub: Path) -> None:
    task = task_for(hub, AIEngine.DIALECT, labels=("a", "b"))
    with_lora(task, task.config)
    task.frozen_modules = ("encoder",)
    excluded = re.compile(str(lora_config(task, task.config).exclude_modules))
    assert excluded.fullmatch("classifier") and excluded.fullmatch("encoder.layers.0.self_attn.q_proj")
    assert not excluded.fullmatch("decoder.encoder_attn.q_proj") and not excluded.fullmatch("classifiers")
