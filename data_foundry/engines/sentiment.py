"""Sentiment: text, code-mixed as callers write and speak, with a polarity.

`label` is the polarity as found. `ivr_label` is what a phone line makes of it, by the table below: this project's own
reading of a corpus of film comments, not the corpus's, and to be checked against calls when there are any.
"""

from data_foundry.engines.spec import HAS_TEXT, EngineSpec, Requirement, Row
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

# What each polarity means for a call. Mixed feelings call for no reaction of the line, so they are neutral; a polarity
# that the annotators could not tell, and what is not Malayalam, say nothing of how a caller feels.
IVR_LABELS: dict[str, str | None] = {
    "negative": "frustration",
    "positive": "satisfaction",
    "mixed": "neutral",
    "unknown": None,
    "not_malayalam": None,
}
# Flags of a text in which Malayalam and English share the words or the letters.
CODE_MIXED_FLAGS = frozenset({"code_mixed", "romanised"})


def derive(row: Row) -> Row:
    """Return the label of the phone line, and whether a text mixes languages or scripts as callers do."""
    return {"ivr_label": IVR_LABELS.get(row["label"]), "code_mixed": not CODE_MIXED_FLAGS.isdisjoint(row["flags"])}


SENTIMENT = EngineSpec(
    engine=AIEngine.SENTIMENT,
    title="sentiment of a text",
    task="text-classification",
    requirements=(HAS_TEXT, Requirement("no_sentiment_label", lambda row: row["label"] in IVR_LABELS)),
    columns=("text", "label", "ivr_label", "malayalam_ratio", "code_mixed"),
    label="label",
    identity=("text", "label"),
    stratum="label",
    derive=derive,
    derived={"ivr_label": "string", "code_mixed": "bool"},
    derived_from=("label", "flags"),
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
