"""Speech synthesis: text with the codec tokens of its speech."""

from data_foundry.engines.spec import HAS_TEXT, SAYS_WHAT_IT_SAYS, TEXT_LINKS, EngineSpec, Requirement
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

TTS = EngineSpec(
    engine=AIEngine.TTS,
    title="text to codec tokens of speech",
    task="text-to-codes",
    requirements=(
        HAS_TEXT,
        Requirement("no_codec_tokens", lambda row: bool(row["codec"])),
        SAYS_WHAT_IT_SAYS,
    ),
    columns=("text", "codes", "codec", "speaker"),
    label="codes",
    identity=("text", "codes", "codec"),
    # No speaker link: a voice to be spoken with is meant to be heard in training.
    links=("codes", *TEXT_LINKS),
    stratum="codec",
    primary_metric="token_accuracy",
    score="share of codec tokens predicted right, each given all true tokens before it",
    training=TrainingConfig(
        base="nineninesix/kani-tts-450m-0.2-pt",
        licence="lfm1.0 (not verified)",
        why="the published base whose codec (NanoCodec, 4 layers, 12.5 frames/s) these tokens were made with",
        lora_rank=16,
        lora_alpha=16,
        use_rslora=True,
        lora_dropout=0.1,
        target_modules=("q_proj", "v_proj", "w1", "w2", "w3"),
        learning_rate=5e-5,
        epochs=2,
        batch_size=4,
        max_length=1024,
    ),
)
