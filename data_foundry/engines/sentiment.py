"""Sentiment: text, code-mixed as callers write and speak, with a polarity."""

from data_foundry.config import TrainingConfig
from data_foundry.engines.spec import HAS_TEXT, EngineSpec, Requirement
from data_foundry.records import AIEngine

SENTIMENTS = frozenset({"positive", "negative", "mixed", "unknown", "not_malayalam"})

SENTIMENT = EngineSpec(
    engine=AIEngine.SENTIMENT,
    title="sentiment of a text",
    task="text-classification",
    requirements=(HAS_TEXT, Requirement("no_sentiment_label", lambda row: row["label"] in SENTIMENTS)),
    columns=("text", "label", "malayalam_ratio"),
    label="label",
    identity=("text", "label"),
    stratum="label",
    primary_metric="macro_f1",
    score="macro-averaged F1 over the labels",
    training=TrainingConfig(
        base="google/muril-base-cased",
        licence="apache-2.0",
        why="pretrained on transliterated Malayalam too, and most of the data is romanised",
        lora_rank=16,
        lora_alpha=32,
        target_modules=("query", "key", "value", "dense"),
        learning_rate=5e-4,
        epochs=4,
        batch_size=32,
    ),
)
