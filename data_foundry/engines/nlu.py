"""Understanding: Malayalam text with what its caller wants, or with a topic.

What the public data offers is a news topic; intents of callers come from the set that was written for this project.
Both serve, told apart by `label_kind`. Other Malayalam text has no target and serves to adapt a base to the language.
"""

from data_foundry.config import TextGates
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines.spec import HAS_TEXT, EngineSpec, Requirement, Row
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

TOPIC, INTENT, DOMAIN = "topic", "intent", "domain"

# The labels of each kind are those that the registry knows of these datasets.
_LABELLED = {TOPIC: "Sakshamrzt/IndicNLP-Malayalam", INTENT: "data-foundry/malayalam-ivr-intents"}
LABELS = {kind: frozenset(DATASET_REGISTRY[dataset].labels.values()) for kind, dataset in _LABELLED.items()}
_KIND_OF = {label: kind for kind, labels in LABELS.items() for label in labels}

# Phase 2 lets less Malayalam than this pass where a corpus is code-mixed; the language is not to be learned from that.
MIN_MALAYALAM_RATIO: float = TextGates.model_fields["min_malayalam_ratio"].default


def derive(row: Row) -> Row:
    """Return a row's topic or intent and which of them it is; no label, for the domain, with any other label."""
    kind = _KIND_OF.get(row["label"], DOMAIN)
    return {"label": None if kind == DOMAIN else row["label"], "label_kind": kind}


NLU = EngineSpec(
    engine=AIEngine.NLU,
    title="understanding: intent or topic of a text",
    task="text-classification",
    requirements=(HAS_TEXT, Requirement("no_intent_or_topic", lambda row: bool(row["label"]))),
    columns=("text", "label", "label_kind", "malayalam_ratio"),
    label="label",
    identity=("text", "label"),
    stratum="label",
    derive=derive,
    derived={"label": "string", "label_kind": "string"},
    derived_from=("label",),
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
)
