"""Dialect: speech with the region of its speaker (Travancore, Cochin, Malabar)."""

from data_foundry.config import TrainingConfig
from data_foundry.engines.spec import HAS_AUDIO, EngineSpec, Requirement
from data_foundry.records import AIEngine

DIALECT = EngineSpec(
    engine=AIEngine.DIALECT,
    title="dialect of a caller's speech",
    task="audio-classification",
    requirements=(HAS_AUDIO, Requirement("no_dialect_label", lambda row: bool(row["dialect"]))),
    columns=("audio", "text", "duration", "speaker", "gender", "district", "dialect"),
    label="dialect",
    primary_metric="macro_f1",
    score="macro-averaged F1 over the dialects",
    training=TrainingConfig(
        base="openai/whisper-small",
        licence="apache-2.0",
        why="its encoder hears Malayalam already and is in memory for speech to text",
        lora_rank=16,
        lora_alpha=32,
        target_modules=("q_proj", "v_proj"),
        learning_rate=1e-3,
        epochs=6,
        batch_size=16,
    ),
    uses_audio=True,
)
