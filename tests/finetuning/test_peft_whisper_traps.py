"""Six traps of PEFT on Whisper that others fell into, each with the thread that tells of it, and two of Whisper alone.

The fifth, a training taken up again that ends elsewhere than it would have (transformers #24252, #24274, #28531), has a
file of its own: test_resume.py.
"""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.evaluate import evaluate
from data_foundry.finetuning.evaluation.predict import load_predictor
from data_foundry.finetuning.training.lora import lora_config, with_lora
from data_foundry.finetuning.training.train import train_adapter
from data_foundry.records import AIEngine
from data_foundry.training_config import Training
from finetuning.evaluation.test_predict import adapter_with, task_for
from finetuning.gold_builders import rows

QUIET = Training(gpu_enabled=False, mixed_precision=False)


def trained(hub: Path, folder: Path, **config: Any) -> tuple[dict[str, Any], Any]:
    """The weights and the record of a Whisper trained on eight rows."""
    from safetensors.torch import load_file

    task = task_for(hub, AIEngine.STT, **{"epochs": 1, "batch_size": 4, "learning_rate": 1e-2, **config})
    folder.mkdir()
    record = train_adapter(task, task.config, QUIET, [task.encode(one) for one in rows(AIEngine.STT, 8)], (), folder)
    return load_file(folder / "adapter_model.safetensors"), record


def test_trap_1_whisper_gets_no_peft_task_type_because_its_wrapper_would_send_input_ids(hub: Path) -> None:
    """huggingface/peft#1988: the wrapper for SEQ_2_SEQ_LM calls the model with input_ids, which Whisper refuses."""
    import torch
    from peft import get_peft_model

    task = task_for(hub, AIEngine.STT)
    batch = task.collate([task.encode(one) for one in rows(AIEngine.STT, 2)])
    ours = lora_config(task, task.config)
    assert ours.task_type is None
    assert torch.isfinite(with_lora(task, task.config)(**batch).loss)
    ours.task_type = "SEQ_2_SEQ_LM"
    with pytest.raises(TypeError, match="input_ids"):
        get_peft_model(task.load_model(torch.float32), ours)(**batch)
    hears = task_for(hub, AIEngine.DIALECT, labels=("a", "b"))
    assert lora_config(hears, hears.config).task_type is None
    text = task_for(hub, AIEngine.TRANSLATION)
    assert lora_config(text, text.config).task_type == "SEQ_2_SEQ_LM"


def test_trap_2_gradient_checkpointing_reaches_the_encoder_over_a_frozen_base(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """peft#617 and #269: reentrant checkpoints of layers whose input needs no gradient silently drop theirs."""
    import torch
    from transformers.models.whisper import modeling_whisper

    calls: list[str] = []
    forward = modeling_whisper.WhisperAttention.forward

    def counted(self: Any, *given: Any, **named: Any) -> Any:
        calls.append("attention")
        return forward(self, *given, **named)

    # Not the layer's own forward: transformers leaves a layer whose forward was replaced as it is.
    monkeypatch.setattr(modeling_whisper.WhisperAttention, "forward", counted)
    plain, plain_record = trained(hub, tmp_path / "plain")
    once = len(calls)
    saving, record = trained(hub, tmp_path / "saving", gradient_checkpointing=True)
    assert len(calls) == 3 * once > 0, "every layer is computed again in the backward pass, or nothing was saved"
    learned = [name for name in saving if ".encoder.layers." in name and "lora_B" in name]
    assert learned and all(saving[name].abs().max() > 0 for name in learned)
    assert all(torch.allclose(saving[name], plain[name], atol=1e-6) for name in plain)
    for point, other in zip(record.curve, plain_record.curve, strict=True):
        assert point == pytest.approx(other, rel=1e-4)


def test_trap_3_a_large_whisper_is_not_trained_in_eight_bits(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """peft#1223: large-v3 diverged in 8 bits and converged in 16. Its size counts, not its name."""
    folder = tmp_path / "models" / "tiny" / "whisper"
    shutil.copytree(hub / "models" / "tiny" / "whisper", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "encoder_layers": 32}), encoding="utf-8")
    task = task_for(tmp_path, AIEngine.STT, load_in_8bit=True)
    monkeypatch.setattr(task, "load_model", lambda dtype: pytest.fail("the base was read"))
    with pytest.raises(FoundryError, match=r"32 layers was reported to diverge in 8 bits.*\n.*Leave load_in_8bit off"):
        with_lora(task, task.config)


def test_trap_4_whisper_is_never_told_the_number_of_targets_and_accumulation_changes_nothing(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whisper-Finetune#17: the Trainer hands num_items_in_batch to a wrapped forward that does not know it."""
    import torch
    from transformers import WhisperForConditionalGeneration

    heard: set[str] = set()
    forward = WhisperForConditionalGeneration.forward

    def listen(self: Any, *given: Any, **named: Any) -> Any:
        heard.update(named)
        return forward(self, *given, **named)

    monkeypatch.setattr(WhisperForConditionalGeneration, "forward", listen)
    whole, record = trained(hub, tmp_path / "whole", batch_size=4)
    parts, other = trained(hub, tmp_path / "parts", batch_size=1, gradient_accumulation=4)
    assert heard == {"input_features", "labels"}
    assert (record.steps, other.steps) == (2, 2)
    assert [point["loss"] for point in other.curve] == pytest.approx(
        [point["loss"] for point in record.curve], rel=1e-4
    )
    assert all(torch.allclose(parts[name], whole[name], atol=1e-4) for name in whole)


# What transformers calls the normalisers of Whisper's English paper, and the ways to ask for them.
WHISPERS_NORMALISER = ("BasicTextNormalizer", "EnglishTextNormalizer", "basic_normalize", "whisper_normalizer")


def test_trap_6_no_figure_passes_through_whispers_own_normaliser(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers#20703: it deletes Malayalam vowel signs, and error rates fall to a third."""
    from transformers import WhisperTokenizer
    from transformers.models.whisper import english_normalizer

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("Whisper's normaliser was called")

    for owner in (english_normalizer.BasicTextNormalizer, english_normalizer.EnglishTextNormalizer):
        monkeypatch.setattr(owner, "__call__", refuse)
    for method in ("normalize", "basic_normalize", "_normalize", "_basic_normalize"):
        if hasattr(WhisperTokenizer, method):
            monkeypatch.setattr(WhisperTokenizer, method, refuse)
    task = task_for(hub, AIEngine.STT)
    folders = {"adapter": adapter_with(task, tmp_path / "adapter", 2.0)}
    predictor = load_predictor(ENGINES[AIEngine.STT], task.config, task.folder, folders)
    measured = evaluate(predictor, rows(AIEngine.STT, 4, "test"), "adapter")
    assert measured.measures["cer"].base.value is not None


def test_trap_6_no_code_names_whispers_own_normaliser() -> None:
    found = []
    for path in sorted((PROJECT_ROOT / "data_foundry").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if any(name in text for name in WHISPERS_NORMALISER) else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.attr] if isinstance(node, ast.Attribute) else []
            names += [node.arg] if isinstance(node, ast.keyword) and node.arg else []
            found += [f"{path.name}: {name}" for name in names if name.endswith(WHISPERS_NORMALISER)]
    assert not found


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
