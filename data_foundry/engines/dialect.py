"""Dialect: speech with the region of its speaker (Travancore, Cochin, Malabar).

Where a source names only the speaker's district, the district's historical region stands for the dialect. That is a
proxy: a district says where a person lives, not how they speak, so gold marks such labels in `label_source`.
"""

from data_foundry.config import TrainingConfig
from data_foundry.engines.spec import HAS_AUDIO, SPEECH_LINKS, EngineSpec, Requirement, Row
from data_foundry.records import AIEngine

DECLARED = "declared"
DISTRICT_PROXY = "district proxy"

# The fourteen districts of Kerala by the princely state or district of Madras they mostly belonged to before 1956,
# with older and English spellings.
REGIONS: dict[str, tuple[str, ...]] = {
    "travancore": (
        "thiruvananthapuram", "trivandrum", "kollam", "quilon", "pathanamthitta", "alappuzha", "alleppey", "kottayam",
        "idukki",
    ),
    "cochin": ("ernakulam", "kochi", "thrissur", "trichur"),
    "malabar": (
        "palakkad", "palghat", "malappuram", "kozhikode", "calicut", "wayanad", "wynad", "kannur", "cannanore",
        "kasaragod", "kasargod",
    ),
}  # fmt: skip
_REGION_OF = {name: region for region, names in REGIONS.items() for name in (region, *names)}


def region_of(district: str | None) -> str | None:
    """Return the region (travancore, cochin or malabar) of a district of Kerala or of a region's own name, or None.

    Case, spaces at the ends and a trailing "district" do not matter.
    """
    return _REGION_OF.get((district or "").strip().casefold().removesuffix("district").strip())


def with_region(row: Row) -> Row:
    """Return `dialect` and `label_source` of a silver row: as declared, or else the region of the district."""
    if row["dialect"]:
        region, source = region_of(row["dialect"]), DECLARED
    else:
        region, source = region_of(row["district"]), DISTRICT_PROXY
    return {"dialect": region, "label_source": source if region else None}


DIALECT = EngineSpec(
    engine=AIEngine.DIALECT,
    title="dialect of a caller's speech",
    task="audio-classification",
    requirements=(HAS_AUDIO, Requirement("no_dialect_label", lambda row: bool(row["dialect"]))),
    columns=("audio", "text", "duration", "speaker", "gender", "district", "dialect", "label_source"),
    label="dialect",
    identity=("audio", "dialect"),
    links=SPEECH_LINKS,
    stratum="dialect",
    derive=with_region,
    derived=("dialect", "label_source"),
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
