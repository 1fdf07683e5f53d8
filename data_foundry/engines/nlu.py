"""Understanding: Malayalam text with what its caller wants, or with a topic.

What the public data offers is a news topic; intents of callers come from the set that was written for this project.
Both serve, told apart by `label_kind`, which the registry states of a dataset. Other Malayalam text has no target and
serves to adapt a base to the language; `machine_translated` marks what no person wrote.
"""

from data_foundry.config import TextGates
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines.spec import HAS_TEXT, EngineSpec, Requirement, Row, Variant
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

INTENT, TOPIC, DOMAIN = "intent", "topic", "domain"

# Phase 2 lets less Malayalam than this pass where a corpus is code-mixed; the language is not to be learned from that.
MIN_MALAYALAM_RATIO: float = TextGates.model_fields["min_malayalam_ratio"].default


def derive(row: Row) -> Row:
    """Return a row's topic or intent and which of them it is, no label, for the domain, where its dataset's labels are
    neither; and whether its Malayalam is a machine's translation, None where nobody states it.
    """
    entry = DATASET_REGISTRY.get(row["dataset"])
    kind = entry.label_kind if entry and row["label"] else None
    # Of a pair, the Malayalam is the translation only where English was its source.
    translated = (entry.synthetic_reference if entry else None) if row["direction"] == "en-ml" else False
    return {
        "label": row["label"] if kind else None,
        "label_kind": kind or DOMAIN,
        "machine_translated": translated,
    }


NLU = EngineSpec(
    engine=AIEngine.NLU,
    title="understanding: intent or topic of a text",
    task="text-classification",
    requirements=(HAS_TEXT, Requirement("no_intent_or_topic", lambda row: bool(row["label"]))),
    columns=("text", "label", "label_kind", "malayalam_ratio", "machine_translated"),
    label="label",
    identity=("text", "label"),
    stratum="label",
    derive=derive,
    derived={"label": "string", "label_kind": "string", "machine_translated": "bool"},
    derived_from=("dataset", "label", "direction"),
    unlabelled=(
        HAS_TEXT,
        Requirement("too_little_malayalam", lambda row: (row["malayalam_ratio"] or 0.0) >= MIN_MALAYALAM_RATIO),
    ),
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
        # A caller wants something; news topics say nothing of that, and their licence keeps them out of a product.
        only={"label_kind": INTENT},
    ),
    variants={"topic": Variant(title="topic of a text", training={"only": {"label_kind": TOPIC}})},
)
