"""Speech to text: transcribed audio.

Rows carry the region of their speaker where it is known, so that an adapter for one dialect is trained from the same
gold, where it has enough of them.
"""

from data_foundry.engines.heard import CHANNEL_COLUMNS, HEARD_COLUMNS, HEARD_SOURCES, as_heard
from data_foundry.engines.regions import REGION_COLUMNS, REGIONS
from data_foundry.engines.spec import HAS_AUDIO, HAS_TEXT, SAYS_WHAT_IT_SAYS, SPEECH_LINKS, EngineSpec, Variant
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

# Of fewer rows than these (half an hour of speech, at 6 s a row) an adapter learns the speakers, not their dialect.
MIN_DIALECT_ROWS = 300

STT = EngineSpec(
    engine=AIEngine.STT,
    title="speech to text",
    task="speech-to-text",
    requirements=(HAS_AUDIO, HAS_TEXT, SAYS_WHAT_IT_SAYS),
    columns=(
        "audio",
        "text",
        "text_raw",
        "duration",
        "speaker",
        "gender",
        "district",
        *REGION_COLUMNS,
        "malayalam_ratio",
        *CHANNEL_COLUMNS,
    ),
    label="text",
    identity=("audio", "text"),
    links=SPEECH_LINKS,
    derive=as_heard,
    derived=HEARD_COLUMNS,
    derived_from=HEARD_SOURCES,
    primary_metric="cer",
    score="1 - CER of the Malayalam-safe scoring form over the whole test set, not below 0",
    training=TrainingConfig(
        base="openai/whisper-small",
        licence="apache-2.0",
        why="multilingual with a Malayalam token, 244 M parameters fit one small GPU, licence allows business use",
        lora_rank=32,
        lora_alpha=64,
        target_modules=("q_proj", "v_proj", "k_proj", "out_proj", "fc1", "fc2"),
        learning_rate=1e-3,
        epochs=3,
        batch_size=16,
        max_length=448,
    ),
    uses_audio=True,
    variants={
        region: Variant(
            title=f"speech of {region.title()} to text",
            training={"only": {"dialect": region}, "min_train_rows": MIN_DIALECT_ROWS},
        )
        for region in REGIONS
    },
)
