"""How an adapter is trained: its engine's defaults, and what a variant and the settings lay over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from data_foundry.adapter_name import VariantName
from data_foundry.records import AIEngine
from data_foundry.section import Section, Share

Task = Literal["speech-to-text", "audio-classification", "text-classification", "text-to-text", "text-to-codes"]

Schedule = Literal["linear", "cosine", "constant"]

# What these change is the verdict or the card, not the weights or the figures.
JUDGING = (
    "min_score", "max_base_regression", "min_test_rows", "min_test_speakers", "max_slice_regression", "min_slice_rows",
    "max_phone_regression", "licence", "why",
)  # fmt: skip
# These say how a training runs, or whether it does, not what comes out of it.
OPERATING = ("gradient_checkpointing", "min_train_rows")
# And these change what an adapter is measured on, not its weights.
EVALUATING = ("control", "speech_codec", "speech_rows")
# So these may change while a training is interrupted.
NOT_OF_THE_WEIGHTS = (*JUDGING, *OPERATING, *EVALUATING)
# Settings of the linear probe that it has no use for any more; versions registered before have them recorded.
GONE = ("probe_epochs", "probe_learning_rate")
# What is said of a base, and of no other one.
OF_THE_BASE = ("revision", "licence", "why", "control", "speech_codec")


class TrainingConfig(Section):
    """How one engine's adapter is trained.

    `base` is a model repo id on the Hub, `licence` its licence and `why` the reason for the choice. `target_modules`
    are names of linear layers (PEFT matches suffixes). `replay_share`: rows of the base's own domain mixed into
    training, as a share of the training rows (needs replay.parquet in the base's repo). `control`: a Parquet file of
    held-out rows of the base's own domain (default: control.parquet in the base's repo), relative to the project.
    `only` names gold columns and the value that a row must have there to be trained on or measured, such as
    {"label_kind": "intent"} or {"dialect": "malabar"}; given in a config file it replaces the engine's own.
    `freeze_encoder` (speech-to-text alone): no adapter in the encoder, whose output is then computed once for every row
    and kept on disk, 1.5 to 4 MB a row; the decoder learns from that, at a small part of the time.
    Of fewer training rows than `min_train_rows` nothing is trained, and the report says so; of more than
    `max_train_rows` that many are drawn.
    A step learns from `batch_size` * `gradient_accumulation` rows, whatever the number of processes. `steps`, where
    given, takes the place of `epochs`. The learning rate rises over `warmup_share` of the steps, then follows
    `schedule`. Validation rows are looked at after every epoch, or every `validation_steps` steps; the training ends
    early after `early_stopping_patience` looks in a row without a new best. `group_by_length` puts rows of about one
    length into a batch. `gradient_checkpointing` computes activations twice instead of keeping them. `load_in_8bit`
    keeps the base in 8 bits while it is trained on (needs a GPU and bitsandbytes).
    A base that has no head for the labels is measured by a linear probe: a head fitted to its end on it, frozen.
    `max_base_regression`: how much of the primary score (0..1) the adapter may lose on the base's own domain;
    `max_phone_regression` through the phone channel; `max_slice_regression` on any slice of the test rows (a dialect, a
    district, a dataset ...); groups of fewer rows than `min_slice_rows` are judged together. Of fewer than
    `min_test_rows` test rows, or, where speakers are known, of rows by fewer than `min_test_speakers`, nothing is
    concluded.
    `speech_codec` (text-to-codes alone): the repo id of the codec that turns a base's tokens into sound; the speech of
    the first `speech_rows` test rows is then decoded and transcribed by the base of speech to text.
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
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] = 16
    gradient_accumulation: Annotated[int, Field(ge=1)] = 1
    schedule: Schedule = "linear"
    warmup_share: Share = 0.1
    validation_steps: Annotated[int, Field(ge=1)] | None = None
    early_stopping_patience: Annotated[int, Field(ge=1)] | None = None
    group_by_length: bool = True
    gradient_checkpointing: bool = False
    load_in_8bit: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_length: Annotated[int, Field(ge=8)] = 256
    freeze_encoder: bool = False
    only: dict[str, str | bool] = {}
    min_train_rows: Annotated[int, Field(ge=1)] = 1
    max_train_rows: Annotated[int, Field(ge=1)] | None = None
    replay_share: Share = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    min_score: Share | None = None
    max_base_regression: Share = 0.02
    max_phone_regression: Share = 0.02
    max_slice_regression: Share = 0.05
    min_slice_rows: Annotated[int, Field(ge=1)] = 20
    min_test_rows: Annotated[int, Field(ge=1)] = 30
    min_test_speakers: Annotated[int, Field(ge=1)] = 5
    control: str | None = None
    speech_codec: str | None = None
    speech_rows: Annotated[int, Field(ge=0)] = 32


def _optional(field: FieldInfo) -> Any:
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return kind | None


# The same fields, each optional: what a config file may set for an engine over that engine's own defaults.
_OVERRIDES: dict[str, Any] = {name: (_optional(field), None) for name, field in TrainingConfig.model_fields.items()}
TrainingOverrides = create_model("TrainingOverrides", __base__=Section, **_OVERRIDES)
# And for a variant of an engine: another task than its engine's, and whether it is made at all.
VariantOverrides = create_model(
    "VariantOverrides", __base__=TrainingOverrides, task=(Task | None, None), enabled=(bool, True)
)


class Training(Section):
    """Switches for every engine's training.

    `gpu_enabled` false trains on the CPU even where a GPU is present. `mixed_precision` trains in bfloat16 (float16
    on GPUs without it). `use_wandb` sends curves to Weights & Biases when WANDB_API_KEY is set and does nothing
    without; with `wandb_mode` "offline" they are recorded under logs/wandb and never sent. One adapter is trained by
    `processes` processes, on as many GPUs where those are used; each batch is shared out evenly among them, so that
    the result does not depend on their number. `threads` is the number of CPU threads of one of them. `variants` are
    further adapters of an engine, such as "stt.malabar", each laid over its engine's configuration. A training is
    written down after every epoch, every `checkpoint_minutes`, and every `checkpoint_steps` steps where given: a killed
    one goes on from there.
    """

    use_wandb: bool = False
    wandb_mode: Literal["online", "offline"] = "online"
    gpu_enabled: bool = True
    mixed_precision: bool = True
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    threads: Annotated[int, Field(ge=1)] = 1
    feature_cache_gib: Annotated[float, Field(ge=0)] = 50.0
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 10.0
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    engines: dict[AIEngine, TrainingOverrides] = {}  # type: ignore[valid-type]
    variants: dict[VariantName, VariantOverrides] = {}  # type: ignore[valid-type]


def training_config(training: Training, engine: AIEngine, default: TrainingConfig) -> TrainingConfig:
    """Return an engine's training configuration: its own default with the settings' overrides laid over it."""
    return laid_over(default.model_dump(), given(training.engines.get(engine)))


def recorded_config(values: Mapping[str, Any]) -> TrainingConfig:
    """Return the configuration that a version's manifest records, without settings that have gone since."""
    return TrainingConfig.model_validate({name: value for name, value in values.items() if name not in GONE})


def deciding(config: TrainingConfig, without: Collection[str]) -> dict[str, Any]:
    """Return a configuration's values by name, `without` some and the epochs that `steps` take the place of."""
    return config.model_dump(mode="json", exclude={*without, *(["epochs"] if config.steps else [])})


def given(overrides: Section | None) -> dict[str, Any]:
    """Return what overrides say, without what they leave as it is."""
    return overrides.model_dump(exclude_none=True) if overrides else {}


def laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> TrainingConfig:
    """Return a configuration with other values laid over it.

    Another base brings its own licence, revision, control rows and reason, or none. Raises pydantic's ValidationError.
    """
    another = "base" in over and over["base"] != under.get("base")
    kept = {name: value for name, value in under.items() if not (another and name in OF_THE_BASE)}
    return TrainingConfig.model_validate({**kept, **over})
