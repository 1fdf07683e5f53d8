"""How an engine's adapter is trained: its own defaults, and what the settings lay over them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from data_foundry.records import AIEngine
from data_foundry.section import Section, Share


class TrainingConfig(Section):
    """How one engine's adapter is trained.

    `base` is a model repo id on the Hub, `licence` its licence and `why` the reason for the choice. `target_modules`
    are names of linear layers (PEFT matches suffixes). `replay_share`: rows of the base's own domain mixed into
    training, as a share of the training rows (needs replay.parquet in the base's repo). `control`: a Parquet file of
    held-out rows of the base's own domain (default: control.parquet in the base's repo).
    `only` names gold columns and the value that a row must have there to be trained on or measured, such as
    {"label_kind": "intent"} or {"dialect": "malabar"}; given in a config file it replaces the engine's own.
    `max_base_regression`: how much of the primary score (0..1) the adapter may lose on the base's own domain.
    """

    base: str
    revision: str | None = None
    licence: str = "unknown"
    why: str = ""
    lora_rank: Annotated[int, Field(ge=1)] = 16
    lora_alpha: Annotated[int, Field(ge=1)] = 32
    lora_dropout: Share = 0.0
    use_rslora: bool = False
    target_modules: tuple[str, ...] = ("q_proj", "v_proj")
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    epochs: Annotated[float, Field(gt=0)] = 3.0
    batch_size: Annotated[int, Field(ge=1)] = 16
    gradient_accumulation: Annotated[int, Field(ge=1)] = 1
    warmup_share: Share = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_length: Annotated[int, Field(ge=8)] = 256
    only: dict[str, str | bool] = {}
    max_train_rows: Annotated[int, Field(ge=1)] | None = None
    replay_share: Share = 0.0
    seed: int = 0
    min_score: Share | None = None
    max_base_regression: Share = 0.02
    min_test_rows: Annotated[int, Field(ge=1)] = 30
    control: str | None = None


def _optional(field: FieldInfo) -> Any:
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return kind | None


# The same fields, each optional: what a config file may set for an engine over that engine's own defaults.
_OVERRIDES: dict[str, Any] = {name: (_optional(field), None) for name, field in TrainingConfig.model_fields.items()}
TrainingOverrides = create_model("TrainingOverrides", __base__=Section, **_OVERRIDES)


class Training(Section):
    """Switches for every engine's training.

    `gpu_enabled` false trains on the CPU even where a GPU is present. `mixed_precision` trains in bfloat16 (float16
    on GPUs without it). `use_wandb` sends curves to Weights & Biases when WANDB_API_KEY is set, and keeps an offline
    run otherwise. `threads` is the number of CPU threads of one training process.
    """

    use_wandb: bool = False
    gpu_enabled: bool = True
    mixed_precision: bool = True
    threads: Annotated[int, Field(ge=1)] = 1
    engines: dict[AIEngine, TrainingOverrides] = {}  # type: ignore[valid-type]


def training_config(training: Training, engine: AIEngine, default: TrainingConfig) -> TrainingConfig:
    """Return an engine's training configuration: its own default with the settings' overrides laid over it."""
    overrides = training.engines.get(engine)
    given: dict[str, Any] = overrides.model_dump(exclude_none=True) if overrides else {}
    return TrainingConfig.model_validate({**default.model_dump(), **given})
