"""The speech base: a tiny Whisper that hears espeak-ng Malayalam, trained on base-side texts and base voices only."""

from __future__ import annotations

import hashlib
import io
import random
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sample.base_channels import mild_channel, other_vocal_tracts
from sample.base_lines import varied, wide_lines, word_salad
from sample.base_repo import Card, compact_json, parameters_of, repository, write_card, write_rows
from sample.base_training import fit, fix_seeds, shuffled_batches
from sample.corpus import Utterance, utterances
from sample.speech import SPEAKING_RATE_HZ, Voice, encode, resample, speak, voices

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    Samples = np.ndarray

NAME = "tiny-whisper-ml"
RATE = 16_000
CHUNK_SECONDS = 4
LABELS = 96
BYTE_PIECES = 480
ROWS = 3600
SALAD_ROWS = 600
STEPS = 1800
WIDE_ROWS = 3200
WIDE_STEPS = 1000
BATCH = 16
CONTROL_ROWS = 80
REPLAY_ROWS = 58
SEED = 11
CARD = Card(
    title="tiny-whisper-ml",
    summary="WhisperForConditionalGeneration (3 encoder and 2 decoder layers of 128) for clips of up to 4 seconds.",
    pipeline_tag="automatic-speech-recognition",
    trained_on="Everyday sentences (corpus kind `everyday`, side `base`) spoken by 12 espeak-ng base voices at 16 kHz; "
    "then lines of known and invented words by the same voices at other pitches and rates, the last of them "
    "with warped frequencies. Later on half of the clips pass through a mild channel (gain, 12 to 35 dB of noise, some "
    "low-pass). An auxiliary CTC head on the encoder helped the training and is not part of the checkpoint.",
    loading="from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor\n\n"
    f'processor = AutoProcessor.from_pretrained("{NAME}", language="ml", task="transcribe")\n'
    f'model = AutoModelForSpeechSeq2Seq.from_pretrained("{NAME}")\n'
    'model.generate(input_features, language="ml", task="transcribe")',
)


@dataclass(frozen=True)
class Clip:
    """One spoken sentence: its text and its samples as int16."""

    text: str
    samples: Samples

    @property
    def wave(self) -> Samples:
        """The samples as float32 in -1..1."""
        return self.samples.astype("float32") / 32768


def spoken(rows: Sequence[Utterance], speakers: Sequence[Voice], rate: int = RATE) -> list[Clip]:
    """Return the rows spoken by the speakers in turn at `rate` Hz, kept in the temporary folder for next time.

    Clips longer than the model's 4 seconds are left out, so fewer clips than rows may come back.
    """
    import numpy as np

    key = hashlib.sha256(repr(([row.text for row in rows], list(speakers), rate)).encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / "data-foundry-sample" / f"speech-{key}.npz"
    if not cache.exists():
        clips = []
        for number, row in enumerate(rows):
            samples = resample(speak(row.text, speakers[number % len(speakers)]), SPEAKING_RATE_HZ, rate)
            clips.append((np.clip(samples, -1, 1) * 32767).astype(np.int16))
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, samples=np.concatenate(clips), ends=np.cumsum([len(clip) for clip in clips]))
    stored = np.load(cache)
    pieces = np.split(stored["samples"], stored["ends"][:-1])
    longest = CHUNK_SECONDS * rate
    return [Clip(row.text, piece) for row, piece in zip(rows, pieces, strict=True) if len(piece) <= longest]


def whisper_processor(texts: Sequence[str]) -> WhisperProcessor:
    """Train the byte-level BPE on `texts` and return a processor with Whisper's special and language tokens in order.

    The tokenizer finds a language's id by its place after `<|startoftranscript|>`, so every language token is there.
    """
    from tokenizers import AddedToken, ByteLevelBPETokenizer
    from transformers import WhisperFeatureExtractor, WhisperProcessor, WhisperTokenizer
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(texts, vocab_size=BYTE_PIECES, min_frequency=1, show_progress=False)
    with tempfile.TemporaryDirectory() as folder:
        trained.save_model(folder)
        lines = (Path(folder) / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [tuple(line.split(" ")) for line in lines if not line.startswith("#version")]
    tokenizer = WhisperTokenizer(vocab=trained.get_vocab(), merges=merges)
    specials = ["<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES), "<|translate|>", "<|transcribe|>"]
    specials += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in specials], special_tokens=True)
    tokenizer.add_special_tokens({"pad_token": "<|endoftext|>"})
    tokenizer.model_max_length = LABELS
    tokenizer.set_prefix_tokens(language="ml", task="transcribe", predict_timestamps=False)
    features = WhisperFeatureExtractor(feature_size=80, sampling_rate=RATE, chunk_length=CHUNK_SECONDS)
    return WhisperProcessor(features, tokenizer)


def whisper_model(processor: WhisperProcessor) -> WhisperForConditionalGeneration:
    """Make the tiny Whisper with random weights and a generation config that knows Malayalam and the two tasks."""
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    tokenizer = processor.tokenizer
    number = tokenizer.convert_tokens_to_ids
    end, start = number("<|endoftext|>"), number("<|startoftranscript|>")
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        d_model=128,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=448,
        decoder_ffn_dim=256,
        max_source_positions=CHUNK_SECONDS * 50,
        max_target_positions=LABELS,
        dropout=0.0,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        max_length=LABELS,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": number(f"<|{code}|>") for code in LANGUAGES},
        task_to_id={task: number(f"<|{task}|>") for task in ("transcribe", "translate")},
        no_timestamps_token_id=number("<|notimestamps|>"),
        prev_sot_token_id=number("<|startofprev|>"),
        language="ml",
        task="transcribe",
        return_timestamps=False,
    )
    return model


def features_of(processor: WhisperProcessor, waves: Sequence[Samples]) -> Tensor:
    """Return log-mel features, float32 (clips, 80, 400), of float32 waves at 16 kHz."""
    return processor.feature_extractor(list(waves), sampling_rate=RATE, return_tensors="pt").input_features


def transcribe(model: Any, processor: WhisperProcessor, waves: Sequence[Samples], batch: int = 16) -> list[str]:
    """Return the greedy transcripts of float32 waves at 16 kHz."""
    import torch

    out: list[str] = []
    for start in range(0, len(waves), batch):
        features = features_of(processor, waves[start : start + batch])
        with torch.inference_mode():
            tokens = model.generate(features, language="ml", task="transcribe")
        out += [text.strip() for text in processor.batch_decode(tokens, skip_special_tokens=True)]
    return out


def error_rates(truth: Sequence[str], guess: Sequence[str]) -> dict[str, float]:
    """Return word and character error rates in percent."""
    import jiwer

    texts = list(truth), list(guess)
    return {"WER": round(100 * jiwer.wer(*texts), 1), "CER": round(100 * jiwer.cer(*texts), 1)}


def log_mels(processor: WhisperProcessor, waves: Iterable[Samples], block: int = 64) -> Tensor:
    """Return the log-mel features of many waves as float16 (clips, 80, 400), made block by block."""
    import torch

    pending, done = [], []
    for wave in waves:
        pending.append(wave)
        if len(pending) == block:
            done.append(features_of(processor, pending).half())
            pending = []
    if pending:
        done.append(features_of(processor, pending).half())
    return torch.cat(done)


def train(
    model: Any,
    processor: WhisperProcessor,
    clips: Sequence[Clip],
    *,
    steps: int,
    rate: float,
    mild_from: float,
    seed: int,
    warped: bool = False,
) -> None:
    """Train attention and an auxiliary CTC head together, at the learning rate `rate`.

    The CTC weight falls from 0.5 to 0.1 over the first 60 % of the steps; from the share `mild_from` of the steps on,
    each clip is heard through its mild channel in half of the cases. With `warped` every clip's frequencies are
    stretched at random, as if by another vocal tract, and a band of some clips is silenced.
    """
    import numpy as np
    import torch

    rng, choose = np.random.default_rng(seed), random.Random(seed)
    clean = log_mels(processor, (clip.wave for clip in clips))
    mild = log_mels(processor, (mild_channel(clip.wave, RATE, rng) for clip in clips))
    head = torch.nn.Linear(model.config.d_model, BYTE_PIECES + 1)
    labels = [torch.tensor(processor.tokenizer(clip.text)["input_ids"][1:]) for clip in clips]
    frames = [min(len(clip.samples) // 320 + 1, CHUNK_SECONDS * 50) for clip in clips]
    batches = shuffled_batches(len(clips), BATCH, seed)

    def loss(step: int) -> Tensor:
        chosen = next(batches)
        through = [mild if step > mild_from * steps and choose.random() < 0.5 else clean for _ in chosen]
        features = torch.stack([table[k] for table, k in zip(through, chosen, strict=True)]).float()
        features = other_vocal_tracts(features, RATE, rng) if warped else features
        rows = [labels[k] for k in chosen]
        target = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
        out = model(input_features=features, labels=target)
        states = head(out.encoder_last_hidden_state).log_softmax(-1).transpose(0, 1)
        pieces = [row[row < BYTE_PIECES] for row in rows]
        lengths = torch.tensor([frames[k] for k in chosen]), torch.tensor([len(piece) for piece in pieces])
        ctc = torch.nn.functional.ctc_loss(states, torch.cat(pieces), *lengths, blank=BYTE_PIECES, zero_infinity=True)
        weight = max(0.5 - 0.4 * step / (0.6 * steps), 0.1)
        return (1 - weight) * out.loss + weight * ctc

    fit([model, head], loss, steps=steps, learning_rate=rate, warmup=150)


def build_stt(root: Path) -> dict[str, float]:
    """Train the speech base, write its repository below `root`, and return the figures of its card.

    The control figures are of the control rows as they are written, Opus included.
    """
    import soundfile as sf

    fix_seeds(SEED)
    rows = utterances("everyday", "base", ROWS, SEED)
    clips = spoken([*rows, *word_salad(rows, SALAD_ROWS, SEED)], voices("base"))
    processor = whisper_processor([clip.text for clip in clips])
    model = whisper_model(processor)
    started = time.process_time()
    # First the lines of templates and a clean channel, until speech and text are aligned; then words without lines at
    # other pitches and rates; last, more of these as if spoken by other vocal tracts.
    train(model, processor, clips, steps=STEPS, rate=1.5e-3, mild_from=0.4, seed=SEED)
    heard, known = [*clips], clips[: len(clips) // 3]
    for stage, warped in ((1, False), (2, True)):
        wide = spoken(wide_lines(WIDE_ROWS, SEED + stage - 1), varied(voices("base"), 120, SEED + stage - 1))
        heard += wide
        fix_seeds(SEED + stage)
        settings = {"steps": WIDE_STEPS, "rate": 1.2e-3, "mild_from": 0.0, "seed": SEED + stage, "warped": warped}
        train(model, processor, [*wide, *known], **settings)
    seconds = time.process_time() - started
    control = spoken(utterances("everyday", "control", CONTROL_ROWS, SEED), voices("control"))
    held_out = clip_rows(control, "control")
    guess = transcribe(model, processor, [sf.read(io.BytesIO(row["audio"]["bytes"]))[0] for row in held_out])
    figures = {
        **{f"control {name} (%)": value for name, value in error_rates([c.text for c in control], guess).items()},
        "control clips": len(control),
        "training clips": len(heard),
        "training speech (minutes)": round(sum(len(clip.samples) for clip in heard) / RATE / 60, 1),
        "training CPU seconds": round(seconds),
    }
    folder = repository(root, NAME)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    compact_json(folder)
    replay = clips[: len(rows) : len(rows) // REPLAY_ROWS][:REPLAY_ROWS]
    write_rows(folder, control=held_out, replay=clip_rows(replay, "replay"))
    write_card(folder, CARD, figures, parameters_of(model))
    return figures


def clip_rows(clips: Sequence[Clip], name: str) -> list[dict[str, Any]]:
    """Return rows of text, Opus audio of 16 kHz mono as `{bytes, path}`, and duration in seconds."""
    return [
        {
            "text": clip.text,
            "audio": {"bytes": encode(clip.wave, RATE, "opus", RATE, 1), "path": f"{name}-{number:03d}.opus"},
            "duration": round(len(clip.samples) / RATE, 3),
        }
        for number, clip in enumerate(clips)
    ]
