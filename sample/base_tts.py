"""The voice base: a tiny Llama that continues a Malayalam text with codec tokens, in KaniTTS's order of sequence."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sample.base_lines import varied
from sample.base_repo import Card, compact_json, parameters_of, repository, write_card, write_rows
from sample.base_stt import Clip, spoken
from sample.base_training import character_bpe, fit, fix_seeds, shuffled_batches
from sample.corpus import utterances
from sample.speech import SPEAKING_RATE_HZ, fitted_codec, voices

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

NAME = "tiny-llama-codec-ml"
SPECIALS = (
    "<|pad|>",
    "<|start_of_text|>",
    "<|end_of_text|>",
    "<|start_of_speech|>",
    "<|end_of_speech|>",
    "<|start_of_human|>",
    "<|end_of_human|>",
    "<|start_of_ai|>",
    "<|end_of_ai|>",
)
AUDIO_START = 640
LAYERS, CODEBOOK, FRAMES_PER_SECOND = 4, 128, 12.5
LONGEST = 320
ROWS = 4400
STEPS = 1500
BATCH = 16
CONTROL_ROWS = 40
REPLAY_ROWS = 120
SEED = 41
CODEC: dict[str, Any] = {
    "name": "data-foundry/mel-rvq-4x128-12.5fps",
    "layers": LAYERS,
    "codebook_size": CODEBOOK,
    "frames_per_second": FRAMES_PER_SECOND,
    "audio_start": AUDIO_START,
    **{name.strip("<|>"): number for number, name in enumerate(SPECIALS)},
}
CARD = Card(
    title="tiny-llama-codec-ml",
    summary="LlamaForCausalLM (3 layers of 128) over text pieces and 4 x 128 codec tokens at 12.5 frames a second. "
    "Sequence: start_of_human, start_of_text, text, end_of_text, end_of_human, start_of_ai, start_of_speech, codes "
    "frame by frame (layer i offset by 128 i from audio_start), end_of_speech, end_of_ai; a frame equal to the one "
    "before it is left out. The ids are under `codec` in config.json. The codec is a small residual quantizer of mel "
    "frames, not a neural codec, and the model's voice was never judged by ear.",
    pipeline_tag="text-to-speech",
    trained_on="Everyday sentences (corpus kind `everyday`, side `base`) as tokens: half spoken by the "
    "12 base voices, half by the same voices at other pitches and rates.",
    loading="from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
    f'tokenizer = AutoTokenizer.from_pretrained("{NAME}")\n'
    f'model = AutoModelForCausalLM.from_pretrained("{NAME}")\n'
    'model.config.codec["audio_start"]',
)


def codec_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Train the text BPE below `AUDIO_START`; a text opens with start_of_text, codec tokens have no strings."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = character_bpe(texts, AUDIO_START, SPECIALS, unknown="<|pad|>")
    opening = "<|start_of_text|>"
    backend.post_processor = TemplateProcessing(
        single=f"{opening} $A", special_tokens=[(opening, SPECIALS.index(opening))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=LONGEST,
        pad_token="<|pad|>",
        bos_token=opening,
        eos_token="<|end_of_speech|>",
        extra_special_tokens=[name for name in SPECIALS[2:] if name != "<|end_of_speech|>"],
        model_input_names=["input_ids", "attention_mask"],
    )


def codec_model() -> LlamaForCausalLM:
    """Make the tiny Llama with random weights; its config carries the codec's numbers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=AUDIO_START + LAYERS * CODEBOOK,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=CODEC["pad"],
        bos_token_id=CODEC["start_of_text"],
        eos_token_id=CODEC["end_of_speech"],
        codec=CODEC,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.max_length = LONGEST
    return model


def interleaved(codes: Sequence[Sequence[int]], contract: Mapping[str, Any]) -> list[int]:
    """Flatten codes (layers x frames) frame by frame into token ids, leaving out a frame equal to the one before."""
    frames = list(zip(*codes, strict=True))
    kept = [frame for number, frame in enumerate(frames) if number == 0 or frame != frames[number - 1]]
    start, size = contract["audio_start"], contract["codebook_size"]
    return [start + layer * size + int(code) for frame in kept for layer, code in enumerate(frame)]


def sequence(tokenizer: Any, text: str, codes: Sequence[Sequence[int]], contract: Mapping[str, Any]) -> list[int]:
    """Return the training sequence of one row: the text's frame, then the speech's frame."""
    human = [contract["start_of_human"], *tokenizer(text)["input_ids"], contract["end_of_text"]]
    speech = [contract["start_of_speech"], *interleaved(codes, contract), contract["end_of_speech"]]
    return [*human, contract["end_of_human"], contract["start_of_ai"], *speech, contract["end_of_ai"]]


def padded(rows: Sequence[Sequence[int]], pad: int) -> dict[str, Tensor]:
    """Return a batch of sequences with labels, -100 where it is padding."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def codec_loss(model: Any, rows: Sequence[Sequence[int]], batch: int = 16) -> dict[str, float]:
    """Return the mean cross-entropy in nats of the codec tokens alone, and its perplexity."""
    import torch

    total, count = 0.0, 0
    for start in range(0, len(rows), batch):
        part = padded(rows[start : start + batch], CODEC["pad"])
        with torch.inference_mode():
            logits = model(input_ids=part["input_ids"], attention_mask=part["attention_mask"]).logits[:, :-1]
        target = part["labels"][:, 1:].masked_fill(part["labels"][:, 1:] < AUDIO_START, -100)
        kept = int((target != -100).sum())
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum")
        total, count = total + float(loss), count + kept
    return {"codec loss (nats a token)": round(total / count, 3), "codec perplexity": round(math.exp(total / count), 1)}


def coded(clips: Sequence[Clip]) -> list[list[list[int]]]:
    """Return the codes, layers x frames, of clips at espeak-ng's own rate, from the sample's fitted codec."""
    codec = fitted_codec()
    return [codec.encode(clip.wave).tolist() for clip in clips]


def build_tts(root: Path) -> dict[str, float]:
    """Train the voice base, write its repository below `root`, and return the figures of its card."""
    fix_seeds(SEED)
    rows, known = utterances("everyday", "base", ROWS, SEED), voices("base")
    clips = spoken(rows[: ROWS // 2], known, SPEAKING_RATE_HZ)
    clips += spoken(rows[ROWS // 2 :], varied(known, 240, SEED), SPEAKING_RATE_HZ)
    codes = coded(clips)
    tokenizer = codec_tokenizer([clip.text for clip in clips])
    model = codec_model()
    sequences = [sequence(tokenizer, clip.text, code, CODEC) for clip, code in zip(clips, codes, strict=True)]
    batches = shuffled_batches(len(sequences), BATCH, SEED)
    started = time.process_time()
    fit(
        [model],
        lambda _: model(**padded([sequences[k] for k in next(batches)], CODEC["pad"])).loss,
        steps=STEPS,
        learning_rate=3e-3,
    )
    seconds = time.process_time() - started
    control = spoken(utterances("everyday", "control", CONTROL_ROWS, SEED), voices("control"), SPEAKING_RATE_HZ)
    unseen = coded(control)
    held_out = [sequence(tokenizer, clip.text, code, CODEC) for clip, code in zip(control, unseen, strict=True)]
    figures = {
        **{f"control {name}": value for name, value in codec_loss(model, held_out).items()},
        "control rows": len(control),
        "training rows": len(sequences),
        "training CPU seconds": round(seconds),
    }
    folder = repository(root, NAME)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    compact_json(folder)
    stride = -(-len(clips) // REPLAY_ROWS)
    write_rows(folder, control=codec_rows(control, unseen), replay=codec_rows(clips[::stride], codes[::stride]))
    write_card(folder, CARD, figures, parameters_of(model))
    return figures


def codec_rows(clips: Sequence[Clip], codes: Sequence[list[list[int]]]) -> list[dict[str, Any]]:
    """Return rows of text, codes (layers x frames) and the codec's name."""
    pairs = zip(clips, codes, strict=True)
    return [{"text": clip.text, "codes": code, "codec": CODEC["name"]} for clip, code in pairs]
