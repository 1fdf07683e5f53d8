"""The adapter itself: which layers of a base get LoRA, in which precision the base waits, and how it is written."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import LABELS
from data_foundry.finetuning.tasks.task import Task, read_base_config
from data_foundry.finetuning.versions.version_files import write_json
from data_foundry.training_config import TrainingConfig

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel

WHISPER_LARGE_LAYERS = 32
"""Encoder layers from which on a Whisper is a large one; medium has 24."""
# What is trained whole, or reads the loss, and so stays as it is where the base is kept in 8 bits.
NOT_IN_8_BITS = ["classifier", "projector", "score", "pre_classifier", "lm_head", "proj_out"]


def lora_config(task: Task, config: TrainingConfig, *, rank: int | None = None) -> LoraConfig:
    """Return the LoRA configuration.

    Heads are trained whole, and never given LoRA layers as well; nor are the modules that the task keeps frozen.
    """
    from peft import LoraConfig

    heads, frozen = list(task.head_modules), list(task.frozen_modules)
    # A head is a module at the top; a frozen one is any whose path has that part: "encoder", but not "encoder_attn".
    excluded = [rf"({'|'.join(heads)})(\..*)?"] * bool(heads) + [rf"(.*\.)?({'|'.join(frozen)})(\..*)?"] * bool(frozen)
    return LoraConfig(
        r=rank or config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        use_rslora=config.use_rslora,
        target_modules=list(config.target_modules),
        exclude_modules="|".join(excluded) or None,
        modules_to_save=heads or None,
        task_type=task.peft_type,
        bias="none",
    )


def with_lora(task: Task, config: TrainingConfig, *, rank: int | None = None) -> PeftModel:
    """Return the base with a new adapter on it, seeded, of the configured rank or another.

    Raises FoundryError when the base has no module of a configured name, or can't be kept in 8 bits.
    """
    import torch
    from peft import prepare_model_for_kbit_training
    from transformers import set_seed

    set_seed(config.seed)
    if config.load_in_8bit:
        task.loading = in_8_bits(task, config)
    model = task.load_model(torch.float32)
    if config.load_in_8bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # the Trainer turns it on
    # Keys and values of past tokens are for generation; in training they would only be kept in memory.
    model.config.use_cache = False
    return _adapted(task, config, model, rank=rank)


def check_lora(task: Task, config: TrainingConfig) -> None:
    """Try the configuration on the base's modules alone, before any weights are read. Raises FoundryError."""
    if config.load_in_8bit:
        in_8_bits(task, config)
    _adapted(task, config, task.skeleton())


def _adapted(task: Task, config: TrainingConfig, model: Any, rank: int | None = None) -> PeftModel:
    import torch
    from peft import get_peft_model

    try:
        return get_peft_model(model, lora_config(task, config, rank=rank))  # type: ignore[return-value]
    except ValueError as error:
        linear = sorted(
            {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        )
        raise FoundryError(
            f"LoRA does not fit {config.base}: {error}",
            f"Linear layers of this base for target_modules: {', '.join(linear)}.",
        ) from None


def in_8_bits(task: Task, config: TrainingConfig) -> dict[str, Any]:
    """Return what from_pretrained needs to keep a base in 8 bits.

    Raises FoundryError where there is no GPU or no bitsandbytes, and for a large Whisper: its training was reported to
    diverge in 8 bits and to converge in 16 (huggingface/peft issue 1223).
    """
    import torch

    base = read_base_config(task.folder)
    if base.model_type == "whisper" and base.encoder_layers >= WHISPER_LARGE_LAYERS:
        raise FoundryError(
            f"load_in_8bit with {config.base}: a Whisper of {base.encoder_layers} layers was reported to diverge in "
            "8 bits where it converges in 16 (huggingface/peft#1223).",
            "Leave load_in_8bit off; mixed_precision and gradient_checkpointing save memory without that.",
        )
    if not torch.cuda.is_available():
        raise FoundryError("load_in_8bit needs a GPU; this machine shows none.", "Leave it off, or train on a GPU.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise FoundryError(
            "load_in_8bit needs bitsandbytes, which is not installed.",
            "Run: pip install bitsandbytes, or leave it off.",
        )
    from transformers import BitsAndBytesConfig

    kept = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=NOT_IN_8_BITS)
    return {"quantization_config": kept, "device_map": {"": torch.cuda.current_device()}}


def save_adapter(model: Any, folder: Path, *, base: str, revision: str | None, labels: Sequence[str] = ()) -> None:
    """Write an adapter as PEFT reads it (safetensors, adapter_config.json), naming its base by repo id and revision."""
    config = model.peft_config["default"]
    config.base_model_name_or_path, config.revision = base, revision
    # "auto" would ask the Hub for the base's config, only to find that no embedding was trained.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    written = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    # PEFT keeps module names in sets, whose order changes from process to process.
    stable = {
        key: sorted(value) if isinstance(value, list) and key.endswith("modules") else value
        for key, value in written.items()
    }
    write_json(folder / "adapter_config.json", stable)
    if labels:
        write_json(folder / LABELS, list(labels))
