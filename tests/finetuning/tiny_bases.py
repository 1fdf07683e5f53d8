"""Builders of random checkpoints, a few kilobytes each, of the architectures that the engines are trained on."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHUNK_SECONDS = 2
LABEL_POSITIONS = 48
CODEC = {
    "layers": 4,
    "codebook_size": 16,
    "frames_per_second": 12.5,
    "audio_start": 200,
    "pad": 0,
    "start_of_text": 1,
    "end_of_text": 2,
    "start_of_speech": 3,
    "end_of_speech": 4,
    "start_of_human": 5,
    "end_of_human": 6,
    "start_of_ai": 7,
    "end_of_ai": 8,
}
TOPICS = ("business", "entertainment", "sports", "technology")
SMALL_ENCODER: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
SMALL_SEQ2SEQ: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}
# Made-up sentences of plain words; no native speaker checked them.
WORDS = {
    "business": "വിപണി",
    "entertainment": "സിനിമ",
    "sports": "കളി",
    "technology": "ഫോൺ",
}
SENTENCES = tuple(f"{word} ഇന്ന് നല്ല {other} ആണ്" for word in WORDS.values() for other in WORDS.values())


def word_pieces(specials: Sequence[str], size: int, *, unknown: str, texts: Sequence[str] = SENTENCES) -> Any:
    """Train a character BPE of at most `size` entries with `specials` first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    letters = sorted({letter for text in [*texts, "thanks hello yes no >>"] for letter in text} | {"▁"})
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(specials), initial_alphabet=letters, show_progress=False
    )
    tokenizer.train_from_iterator([*texts, "thanks hello yes no"], trainer)
    return tokenizer


def save(model: Any, *others: Any, folder: Path) -> Path:
    """Write a checkpoint as from_pretrained reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in (model, *others):
        part.save_pretrained(folder)
    return folder


def whisper(folder: Path, *, seconds: int = CHUNK_SECONDS, positions: int = LABEL_POSITIONS) -> Path:
    """A Whisper of one layer that hears 2 s, with every language token in place."""
    from tokenizers import AddedToken, ByteLevelBPETokenizer
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
        set_seed,
    )
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SENTENCES, vocab_size=300, min_frequency=1, show_progress=False)
    with tempfile.TemporaryDirectory() as place:
        trained.save_model(place)
        lines = (Path(place) / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [tuple(line.split(" ")) for line in lines if not line.startswith("#version")]
    tokenizer = WhisperTokenizer(vocab=trained.get_vocab(), merges=merges)
    specials = ["<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES), "<|translate|>", "<|transcribe|>"]
    specials += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in specials], special_tokens=True)
    tokenizer.add_special_tokens({"pad_token": "<|endoftext|>"})
    tokenizer.set_prefix_tokens(language="ml", task="transcribe", predict_timestamps=False)
    features = WhisperFeatureExtractor(feature_size=80, sampling_rate=16_000, chunk_length=seconds)
    number = tokenizer.convert_tokens_to_ids
    end, start = number("<|endoftext|>"), number("<|startoftranscript|>")
    set_seed(0)
    ids = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": start}
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer),
            classifier_proj_size=16,
            max_source_positions=seconds * 50,
            max_target_positions=positions,
            suppress_tokens=None,
            begin_suppress_tokens=None,
            **SMALL_SEQ2SEQ,
            **ids,
        )
    )
    model.generation_config = GenerationConfig(
        max_length=positions,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": number(f"<|{code}|>") for code in LANGUAGES},
        task_to_id={task: number(f"<|{task}|>") for task in ("transcribe", "translate")},
        no_timestamps_token_id=number("<|notimestamps|>"),
        prev_sot_token_id=number("<|startofprev|>"),
        return_timestamps=False,
        **ids,
    )
    return save(model, WhisperProcessor(features, tokenizer), folder=folder)


def bert(folder: Path, labels: Sequence[str] = TOPICS) -> Path:
    """A BERT classifier of 64 positions; without labels, the bare encoder."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast, set_seed

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_pieces(("[PAD]", "[UNK]", "[CLS]", "[SEP]"), 160, unknown="[UNK]"),
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )
    set_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **SMALL_ENCODER)
    if not labels:
        return save(BertModel(config), tokenizer, folder=folder)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    return save(BertForSequenceClassification(config), tokenizer, folder=folder)


def encoder(folder: Path, name: str = "XLMRoberta", **config: Any) -> Path:
    """A bare encoder of any class, by the name that transformers gives its classes (default: XLM-R).

    The padding id is 1: XLM-R counts its positions from there on, so that 34 positions take 32 tokens.
    """
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_pieces(("<s>", "<pad>", "</s>", "<unk>"), 160, unknown="<unk>"),
        pad_token="<pad>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )
    transformers.set_seed(0)
    given = {"vocab_size": len(tokenizer), "max_position_embeddings": 34, "pad_token_id": 1, **SMALL_ENCODER, **config}
    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**given))
    return save(model, tokenizer, folder=folder)


def t5(folder: Path, prefixes: dict[str, str] | None = None, name: str = "T5") -> Path:
    """A T5, or an mT5 by its `name`; with `prefixes`, its config names how each direction is asked for."""
    import transformers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, set_seed

    pieces = word_pieces(("<pad>", "</s>", "<unk>", ">>eng<<", ">>mal<<"), 200, unknown="<unk>")
    pieces.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )
    set_seed(0)
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        **({"source_prefix": prefixes} if prefixes else {}),
    )
    return save(getattr(transformers, f"{name}ForConditionalGeneration")(config), tokenizer, folder=folder)


def nllb(folder: Path) -> Path:
    """An M2M-100 model with an NLLB tokenizer, which names languages by FLORES codes."""
    from transformers import NllbTokenizer

    model = json.loads(word_pieces(("<s>", "<pad>", "</s>", "<unk>"), 160, unknown="<unk>").to_str())["model"]
    tokenizer = NllbTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    return save(_translator("M2M100", len(tokenizer)), tokenizer, folder=folder)


def m2m100(folder: Path) -> Path:
    """An M2M-100 with its own tokenizer, which names languages by two letters."""
    from transformers import M2M100Tokenizer

    with sentence_pieces() as (model, pieces):
        vocabulary = model.with_name("vocab.json")
        _write_vocabulary(vocabulary, ["<s>", "<pad>", "</s>", "<unk>", *pieces])
        tokenizer = M2M100Tokenizer(vocab_file=str(vocabulary), spm_file=str(model), src_lang="en", tgt_lang="ml")
        # Language tokens follow the pieces and are not counted in len(tokenizer).
        size = max(tokenizer.get_lang_id(language) for language in tokenizer.lang_code_to_id) + 1
        return save(_translator("M2M100", size), tokenizer, folder=folder)


def mbart50(folder: Path) -> Path:
    """An mBART with the tokenizer of its 50 languages, Malayalam among them."""
    from transformers import MBart50Tokenizer

    with sentence_pieces() as (_, pieces):
        tokenizer = MBart50Tokenizer(vocab=[(piece, -1.0) for piece in ("<unk>", "<s>", "</s>", *pieces)])
        return save(_translator("MBart", len(tokenizer)), tokenizer, folder=folder)


def marian(folder: Path, targets: Sequence[str] = (">>eng<<", ">>mal<<")) -> Path:
    """A Marian; without `targets` one that translates in a single direction, which nothing tells it."""
    from transformers import MarianTokenizer

    with sentence_pieces() as (model, pieces):
        vocabulary = model.with_name("vocab.json")
        names = ["</s>", "<unk>", *pieces, *targets, "<pad>"]
        _write_vocabulary(vocabulary, names)
        tokenizer = MarianTokenizer(source_spm=str(model), target_spm=str(model), vocab=str(vocabulary))
        last = len(names) - 1
        ids = {"pad_token_id": last, "decoder_start_token_id": last, "eos_token_id": 0, "bos_token_id": None}
        return save(_translator("Marian", len(names), "MTModel", **ids), tokenizer, folder=folder)


@contextmanager
def sentence_pieces() -> Iterator[tuple[Path, list[str]]]:
    """Yield a SentencePiece model's file and its pieces after <unk>, <s> and </s>."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as place:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*SENTENCES, "thanks hello yes no"] * 4),
            model_prefix=f"{place}/spm",
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        model = Path(place) / "spm.model"
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
        yield model, [pieces.id_to_piece(number) for number in range(3, pieces.get_piece_size())]


def _write_vocabulary(file: Path, names: Sequence[str]) -> None:
    file.write_text(json.dumps({name: number for number, name in enumerate(names)}), encoding="utf-8")


def _translator(name: str, size: int, kind: str = "ForConditionalGeneration", **ids: Any) -> Any:
    """An encoder-decoder of one layer each, of a class that takes M2M-100's settings."""
    import transformers

    transformers.set_seed(0)
    own = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2, **ids}
    # Dropping the only layer would leave nothing to learn.
    whole = {"dropout": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
    config = getattr(transformers, f"{name}Config")(
        vocab_size=size, max_position_embeddings=64, forced_eos_token_id=None, **whole, **SMALL_SEQ2SEQ, **own
    )
    return getattr(transformers, f"{name}{kind}")(config)


def codec_llama(folder: Path) -> Path:
    """A Llama over 200 text ids and 4 x 16 codec tokens, which says so in its config."""
    return codec_lm(folder, "Llama")


def codec_lm(folder: Path, name: str, **config: Any) -> Path:
    """The same in a causal language model of any class, by the name that transformers gives its classes."""
    import transformers

    specials = ["<|pad|>", "<|start_of_text|>", *(f"<|{number}|>" for number in range(2, 9))]
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_pieces(specials, 200, unknown="<|pad|>"), pad_token="<|pad|>"
    )
    transformers.set_seed(0)
    given = {
        "vocab_size": CODEC["audio_start"] + CODEC["layers"] * CODEC["codebook_size"],
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 4,
        "codec": CODEC,
        **SMALL_ENCODER,
        **config,
    }
    model = getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**given))
    return save(model, tokenizer, folder=folder)


def tone(seconds: float, hertz: float = 300.0, rate: int = 16_000) -> dict[str, Any]:
    """A tone as gold holds audio: PCM16 WAV bytes and a file name."""
    import numpy as np
    import soundfile

    time = np.arange(round(seconds * rate)) / rate
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * hertz * time), rate, format="WAV", subtype="PCM_16")
    return {"bytes": buffer.getvalue(), "path": "tone.wav"}
