"""Translation: a Malayalam text with its English side and a direction.

`synthetic_reference` says whether the target side (the English of ml-en, the Malayalam of en-ml) is a machine's, as the
registry knows it of the dataset: a score against such a reference measures agreement with that machine. None: nobody
states it.
"""

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines.spec import HAS_TEXT, TEXT_LINKS, EngineSpec, Requirement, Row
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

DIRECTIONS = frozenset({"ml-en", "en-ml"})


def derive(row: Row) -> Row:
    """Return whether a row's reference is a machine's translation."""
    entry = DATASET_REGISTRY.get(row["dataset"])
    return {"synthetic_reference": entry.synthetic_reference if entry else None}


TRANSLATION = EngineSpec(
    engine=AIEngine.TRANSLATION,
    title="translation between Malayalam and English",
    task="text-to-text",
    requirements=(
        HAS_TEXT,
        Requirement("no_translation", lambda row: bool(row["translation"])),
        Requirement("no_direction", lambda row: row["direction"] in DIRECTIONS),
    ),
    columns=("text", "translation", "direction", "malayalam_ratio", "synthetic_reference"),
    label="translation",
    identity=("text", "translation", "direction"),
    links=(*TEXT_LINKS, "translation"),
    stratum="direction",
    derive=derive,
    derived={"synthetic_reference": "bool"},
    derived_from=("dataset",),
    primary_metric="chrf++",
    score="mean over the directions (ml-en, en-ml) in the test set of chrF++ / 100, each over all its rows",
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
