"""Dialect: speech, or text, with the region of its speaker (Travancore, Cochin, Malabar).

Where a source names only the speaker's district, the district's historical region stands for the dialect: a proxy,
marked as such in `label_source`. A row of text alone serves the variant that reads; the engine itself hears, and leaves
it out.
"""

from data_foundry.engines.heard import CHANNEL_COLUMNS, HEARD_COLUMNS, HEARD_SOURCES, as_heard
from data_foundry.engines.regions import REGION_COLUMNS
from data_foundry.engines.spec import SPEECH_LINKS, EngineSpec, Requirement, Variant
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

DIALECT = EngineSpec(
    engine=AIEngine.DIALECT,
    title="dialect of a caller's speech",
    task="audio-classification",
    requirements=(
        Requirement("no_audio_and_no_text", lambda row: row["duration"] is not None or bool(row["text"])),
        Requirement("no_dialect_label", lambda row: bool(row["dialect"])),
    ),
    columns=("audio", "text", "duration", "speaker", "gender", "district", *REGION_COLUMNS, *CHANNEL_COLUMNS),
    label="dialect",
    identity=("audio", "dialect"),
    links=SPEECH_LINKS,
    stratum="dialect",
    derive=as_heard,
    derived=HEARD_COLUMNS,
    derived_from=HEARD_SOURCES,
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
    variants={
        "text": Variant(
            title="dialect of a caller's words",
            task="text-classification",
            training={
                "base": "google/muril-base-cased",
                "licence": "apache-2.0",
                "why": "pretrained on Malayalam and on its transliteration, licence allows business use",
                "lora_rank": 16,
                "lora_alpha": 32,
                "target_modules": ("query", "key", "value", "dense"),
                "learning_rate": 5e-4,
                "epochs": 6,
                "batch_size": 32,
                "min_train_rows": 100,
            },
        )
    },
)
