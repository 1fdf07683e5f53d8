"""Training: switches that change what is done, equal runs that leave equal weights, traps of PEFT on Whisper."""

from __future__ import annotations

import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning.tracking import tracking_callbacks
from data_foundry.finetuning.train import lora_config, train_adapter, training_arguments, with_lora
from data_foundry.lake import Lake, Layer, sha256_file
from data_foundry.records import AIEngine
from data_foundry.training_config import Training
from finetuning.gold_builders import commit_gold, gold, rows
from finetuning.test_adapt import Build, run, version
from finetuning.test_predict import task_for

QUIET = Training(gpu_enabled=False, mixed_precision=False)


def arguments(hub: Path, training: Training, **config: Any) -> Any:
    task = task_for(hub, AIEngine.NLU, **config)
    return training_arguments(task, task.config, training, hub / "out", rows=10, validation_rows=2)


def test_turning_mixed_precision_on_trains_in_bfloat16(hub: Path) -> None:
    assert arguments(hub, QUIET).bf16 is False
    assert arguments(hub, QUIET.model_copy(update={"mixed_precision": True})).bf16 is True


def test_the_gpu_is_used_only_if_it_is_there_and_allowed(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_foundry.finetuning import train

    assert arguments(hub, QUIET).use_cpu is True
    monkeypatch.setattr(train, "uses_gpu", lambda training: training.gpu_enabled)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: False)
    gpu = Training(gpu_enabled=True, mixed_precision=True)
    assert train.precision_switches(gpu) == {"bf16": False, "fp16": True}
    import torch

    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert train.uses_gpu(Training(gpu_enabled=True)) and not train.uses_gpu(Training(gpu_enabled=False))


def test_wandb_is_off_by_default_and_a_callback_of_its_own_when_on() -> None:
    assert tracking_callbacks(QUIET, "nlu-1", Path("unused")) == []
    assert len(tracking_callbacks(QUIET.model_copy(update={"use_wandb": True}), "nlu-1", Path("unused"))) == 1


def test_a_run_is_recorded_offline_and_nothing_is_sent_without_a_key(
    tiny_settings: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr("data_foundry.finetuning.tracking._send", lambda recorded: pytest.fail("sent"))
    logged: list[dict[str, Any]] = []
    started: list[dict[str, Any]] = []

    class Run:
        dir = "unused/files"

        def log(self, values: dict[str, Any], step: int) -> None:
            logged.append(values)

        def finish(self) -> None:
            logged.append({"finished": True})

    fake: Any = types.ModuleType("wandb")
    fake.Settings = lambda **given: given
    fake.init = lambda **given: started.append(given) or Run()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    settings = tiny_settings(AIEngine.NLU, training={"use_wandb": True})
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    with caplog.at_level(logging.INFO, "data_foundry"):
        assert not run(settings).failed
    assert started[0]["settings"]["mode"] == "offline"
    assert any("eval_loss" in values for values in logged) and logged[-1] == {"finished": True}
    assert "it was not sent" in caplog.text


def test_wandb_that_fails_is_a_warning_and_the_training_ends_well(
    tiny_settings: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken: Any = types.ModuleType("wandb")
    broken.Settings = lambda **given: given

    def refuse(**given: Any) -> None:
        raise OSError("no space left")

    broken.init = refuse
    monkeypatch.setitem(sys.modules, "wandb", broken)
    settings = tiny_settings(AIEngine.NLU, training={"use_wandb": True})
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    with caplog.at_level(logging.WARNING, "data_foundry"):
        result = run(settings)
    assert not result.failed, result.reason
    assert "no space left" in caplog.text


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


def test_a_linear_probe_trains_the_head_and_nothing_else(hub: Path) -> None:
    task = task_for(hub, AIEngine.DIALECT, labels=("cochin", "malabar", "travancore"))
    trained = {n for n, p in with_lora(task, task.config, head_only=True).named_parameters() if p.requires_grad}
    assert trained and all(".modules_to_save." in name for name in trained)
    assert {name.split(".modules_to_save")[0].rpartition(".")[2] for name in trained} == {"projector", "classifier"}
    adapted = {n for n, p in with_lora(task, task.config).named_parameters() if p.requires_grad}
    assert any("lora_A" in name for name in adapted) and any(".modules_to_save." in name for name in adapted)


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


# The traps of PEFT on Whisper.


def test_whisper_gets_no_peft_task_type_and_text_models_get_theirs(hub: Path) -> None:
    """PEFT's seq2seq wrapper calls the model with input_ids, which Whisper's forward refuses."""
    kinds = {
        engine: lora_config(task_for(hub, engine, labels=labels), task_for(hub, engine, labels=labels).config).task_type
        for engine, labels in ((AIEngine.STT, ()), (AIEngine.DIALECT, ("a", "b")), (AIEngine.TRANSLATION, ()))
    }
    assert kinds == {AIEngine.STT: None, AIEngine.DIALECT: None, AIEngine.TRANSLATION: "SEQ_2_SEQ_LM"}


def test_whisper_labels_do_not_open_with_the_token_that_the_model_puts_there(hub: Path) -> None:
    task: Any = task_for(hub, AIEngine.STT)
    labels = task.encode(rows(AIEngine.STT, 1)[0])["labels"]
    opening = task.tokenizer.convert_ids_to_tokens(labels[:3])
    assert opening == ["<|ml|>", "<|transcribe|>", "<|notimestamps|>"]
    assert task.tokenizer.convert_ids_to_tokens(labels[-1:]) == ["<|endoftext|>"]
    import torch
    from transformers.models.whisper.modeling_whisper import shift_tokens_right

    config = task.load_model(torch.float32).config
    shifted = shift_tokens_right(torch.tensor([labels]), config.pad_token_id, config.decoder_start_token_id)[0].tolist()
    assert task.tokenizer.convert_ids_to_tokens(shifted[:2]) == ["<|startoftranscript|>", "<|ml|>"]


def test_whisper_is_decoded_as_malayalam_transcription_whatever_its_generation_config_says(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    task: Any = task_for(hub, AIEngine.STT)
    model = task.load_model(torch.float32)
    model.generation_config.language, model.generation_config.task = "en", "translate"
    seen: list[torch.Tensor] = []
    forward = model.model.decoder.forward
    monkeypatch.setattr(
        model.model.decoder,
        "forward",
        lambda input_ids=None, **rest: seen.append(input_ids) or forward(input_ids, **rest),
    )
    task.predict(model, [task.encode(rows(AIEngine.STT, 1)[0], with_target=False)])
    prompt = next(ids for ids in seen if ids.shape[1] == 4)[0].tolist()
    expected = ["<|startoftranscript|>", "<|ml|>", "<|transcribe|>", "<|notimestamps|>"]
    assert task.tokenizer.convert_ids_to_tokens(prompt) == expected


def test_gradient_accumulation_passes_whisper_no_argument_it_does_not_know(hub: Path, tmp_path: Path) -> None:
    """The Trainer hands `num_items_in_batch` to models that take keyword arguments, as a PEFT wrapper seems to."""
    task = task_for(hub, AIEngine.STT, batch_size=2, gradient_accumulation=2)
    features = [task.encode(one) for one in rows(AIEngine.STT, 8)]
    record = train_adapter(task, task.config, QUIET, features, features[:2], tmp_path)
    assert record.steps == 6


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


def test_plain_user_code_opens_an_adapter_and_gets_the_measured_answers(tiny_settings: Build, hub: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

    settings = tiny_settings(AIEngine.STT, epochs=3, learning_rate=1e-2)
    commit_gold(Lake(settings), AIEngine.STT, gold(AIEngine.STT))
    run(settings)
    manifest = version(settings)
    folder = Lake(settings).folder(Layer.MODELS, manifest.name) / "adapter"
    from finetuning.gold_builders import row

    base = AutoModelForSpeechSeq2Seq.from_pretrained(hub / "models" / "tiny" / "whisper", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(folder)).eval()
    processor = AutoProcessor.from_pretrained(hub / "models" / "tiny" / "whisper")
    import io

    import soundfile

    examples = manifest.details["evaluation"]["examples"]
    for example in examples:
        one = row(AIEngine.STT, int(example["row_id"][-4:]), "test")
        samples, _ = soundfile.read(io.BytesIO(one["audio"]["bytes"]), dtype="float32")
        features = processor.feature_extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        tokens = model.generate(input_features=features, language="ml", task="transcribe", max_new_tokens=44)
        assert processor.batch_decode(tokens, skip_special_tokens=True)[0].strip() == example["adapted"]
    assert len(examples) == 5


def test_plain_user_code_opens_a_classifier_with_its_head(tiny_settings: Build, hub: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    settings = tiny_settings(AIEngine.SENTIMENT, epochs=6, learning_rate=2e-2)
    commit_gold(Lake(settings), AIEngine.SENTIMENT, gold(AIEngine.SENTIMENT))
    run(settings)
    manifest = version(settings)
    folder = Lake(settings).folder(Layer.MODELS, manifest.name) / "adapter"
    place = hub / "models" / "tiny" / "bert"
    base = AutoModelForSequenceClassification.from_pretrained(place, num_labels=2)
    model = PeftModel.from_pretrained(base, str(folder)).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    labels = ["negative", "positive"]
    for example in manifest.details["evaluation"]["examples"]:
        from finetuning.gold_builders import row

        text = row(AIEngine.SENTIMENT, int(example["row_id"][-4:]), "test")["text"]
        with torch.inference_mode():
            chosen = int(model(**tokenizer(text, return_tensors="pt")).logits.argmax())
        assert labels[chosen] == example["adapted"]
