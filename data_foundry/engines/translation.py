"""Translation: a Malayalam text with its English side and a direction."""

from data_foundry.config import TrainingConfig
from data_foundry.engines.spec import HAS_TEXT, EngineSpec, Requirement
from data_foundry.records import AIEngine

DIRECTIONS = frozenset({"ml-en", "en-ml"})

TRANSLATION = EngineSpec(
    engine=AIEngine.TRANSLATION,
    title="translation between Malayalam and English",
    task="text-to-text",
    requirements=(
        HAS_TEXT,
        Requirement("no_translation", lambda row: bool(row["translation"])),
        Requirement("no_direction", lambda row: row["direction"] in DIRECTIONS),
    ),
    columns=("text", "translation", "direction", "malayalam_ratio"),
    label="translation",
    identity=("text", "translation", "direction"),
    links=("recording", "text", "translation"),
    stratum="direction",
    primary_metric="chrf++",
    score="chrF++ / 100 over the whole test set",
    training=TrainingConfig(
        base="facebook/m2m100_418M",
        licence="mit",
        why="translates Malayalam and English both ways, and unlike NLLB-200 its licence allows business use",
        lora_rank=16,
        lora_alpha=32,
        target_modules=("q_proj", "v_proj", "k_proj", "out_proj", "fc1", "fc2"),
        learning_rate=5e-4,
        epochs=3,
        batch_size=16,
        max_length=128,
    ),
)
