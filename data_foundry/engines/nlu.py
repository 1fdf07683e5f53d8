"""Understanding: Malayalam text with a class (what the public data offers is a news topic, not an intent)."""

from data_foundry.config import TrainingConfig
from data_foundry.engines.spec import HAS_TEXT, EngineSpec, Requirement
from data_foundry.records import AIEngine

TOPICS = frozenset({"business", "entertainment", "sports", "technology"})

NLU = EngineSpec(
    engine=AIEngine.NLU,
    title="understanding: topic of a text",
    task="text-classification",
    requirements=(HAS_TEXT, Requirement("no_topic_label", lambda row: row["label"] in TOPICS)),
    columns=("text", "label", "malayalam_ratio"),
    label="label",
    identity=("text", "label"),
    stratum="label",
    primary_metric="macro_f1",
    score="macro-averaged F1 over the labels",
    training=TrainingConfig(
        base="google/muril-base-cased",
        licence="apache-2.0",
        why="pretrained on Malayalam and on its transliteration, licence allows business use",
        lora_rank=16,
        lora_alpha=32,
        target_modules=("query", "key", "value", "dense"),
        learning_rate=5e-4,
        epochs=4,
        batch_size=32,
    ),
)
