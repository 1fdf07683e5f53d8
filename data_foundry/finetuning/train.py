"""Training of a LoRA adapter by transformers' Trainer, best epoch chosen on validation."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.predict import LABELS
from data_foundry.finetuning.task import Features, Task
from data_foundry.finetuning.version_files import write_json
from data_foundry.training_config import Training, TrainingConfig

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import TrainerCallback, TrainingArguments

CURVE_POINTS = 50
# What the Trainer logs of time and machine, which would make equal runs leave unequal files.
TIMINGS = ("runtime", "per_second", "flos")


@dataclass(frozen=True)
class TrainingRecord:
    """What a training did: the loss curve, the epoch that validation chose, and how much of the model was trained."""

    curve: list[dict[str, float]]
    selected_by: str
    best_epoch: float | None
    best_value: float | None
    steps: int
    rows: int
    replay_rows: int
    trainable_parameters: int
    parameters: int
    arguments: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


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
    task: Task, config: TrainingConfig, training: Training, folder: Path, *, rows: int, validation_rows: int
) -> TrainingArguments:
    """Return the Trainer's arguments; checkpoints go to `folder`, one an epoch, the best and the last kept."""
    from transformers import TrainingArguments

    gpu = uses_gpu(training)
    metric, more_is_better = task.selection
    steps = -(-rows // (config.batch_size * config.gradient_accumulation)) * config.epochs
    when = "epoch" if validation_rows else "no"
    precision: dict[str, Any] = dict(precision_switches(training))
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_share,
        lr_scheduler_type="linear",
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=not gpu,
        **precision,
        eval_strategy=when,
        save_strategy=when,
        save_total_limit=1,
        load_best_model_at_end=bool(validation_rows),
        metric_for_best_model=f"eval_{metric}",
        greater_is_better=more_is_better,
        prediction_loss_only=not task.labels,
        # Features are made by the task: nothing in them is for the Trainer to drop or to guess.
        remove_unused_columns=False,
        label_names=["labels"],
        logging_strategy="steps",
        logging_steps=max(1, round(steps / CURVE_POINTS)),
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to="none",
    )


def lora_config(task: Task, config: TrainingConfig, *, rank: int | None = None) -> LoraConfig:
    """Return the LoRA configuration; heads are trained whole, and never given LoRA layers as well."""
    from peft import LoraConfig

    heads = list(task.head_modules)
    return LoraConfig(
        r=rank or config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        use_rslora=config.use_rslora,
        target_modules=list(config.target_modules),
        exclude_modules=rf"({'|'.join(heads)})(\..*)?" if heads else None,
        modules_to_save=heads or None,
        task_type=task.peft_type,
        bias="none",
    )


def with_lora(task: Task, config: TrainingConfig, *, head_only: bool = False) -> PeftModel:
    """Return the base with a new adapter on it, seeded.

    With `head_only` the LoRA layers keep their initial zero and only the head learns: a linear probe of the base.
    Raises FoundryError when the base has no module of a configured name.
    """
    import torch
    from peft import get_peft_model
    from transformers import set_seed

    set_seed(config.seed)
    model = task.load_model(torch.float32)
    try:
        adapted = get_peft_model(model, lora_config(task, config, rank=1 if head_only else None))
    except ValueError as error:
        linear = sorted(
            {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        )
        raise FoundryError(
            f"LoRA does not fit {config.base}: {error}",
            f"Linear layers of this base for target_modules: {', '.join(linear)}.",
        ) from None
    if head_only:
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.requires_grad = False
    return adapted


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
    head_only: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainingRecord:
    """Train an adapter on encoded rows and write it to `folder`; return what happened.

    Equal inputs leave equal weights on the same machine with the same libraries and threads.
    """
    import torch
    from transformers import PrinterCallback, Trainer

    torch.set_num_threads(training.threads)
    model = with_lora(task, config, head_only=head_only)
    examples = [*rows, *replay]
    random.Random(config.seed).shuffle(examples)
    with TemporaryDirectory(prefix="data_foundry_checkpoints_") as checkpoints:
        arguments = training_arguments(
            task, config, training, Path(checkpoints), rows=len(examples), validation_rows=len(validation)
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            data_collator=task.collate,
            train_dataset=examples,
            eval_dataset=list(validation) or None,
            compute_metrics=(lambda seen: task.validation_figures(seen.predictions, seen.label_ids))
            if task.labels
            else None,
            callbacks=list(callbacks),
        )
        # It would print every point of the curve on the terminal.
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        save_adapter(model, folder, base=config.base, revision=revision, labels=task.labels)
        state = trainer.state
    metric = str(arguments.metric_for_best_model) if validation else "nothing: there are no validation rows"
    best = (
        next((entry for entry in state.log_history if entry.get(metric) == state.best_metric), {}) if validation else {}
    )
    trainable, total = model.get_nb_trainable_parameters()
    return TrainingRecord(
        curve=[_without_timings(entry) for entry in state.log_history if "train_runtime" not in entry],
        selected_by=metric,
        best_epoch=best.get("epoch"),
        best_value=best.get(metric),
        steps=state.global_step,
        rows=len(rows),
        replay_rows=len(replay),
        trainable_parameters=trainable,
        parameters=total,
        arguments={
            "bf16": arguments.bf16,
            "fp16": arguments.fp16,
            "gpu": uses_gpu(training),
            "threads": training.threads,
        },
    )


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


def _without_timings(entry: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in entry.items() if not key.endswith(TIMINGS)}
