"""Builders of random checkpoints, a few kilobytes each, of the architectures that the engines are trained on."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
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


def whisper(folder: Path) -> Path:
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
    features = WhisperFeatureExtractor(feature_size=80, sampling_rate=16_000, chunk_length=CHUNK_SECONDS)
    number = tokenizer.convert_tokens_to_ids
    end, start = number("<|endoftext|>"), number("<|startoftranscript|>")
    set_seed(0)
    ids = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": start}
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer),
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            classifier_proj_size=16,
            max_source_positions=CHUNK_SECONDS * 50,
            max_target_positions=LABEL_POSITIONS,
            suppress_tokens=None,
            begin_suppress_tokens=None,
            **ids,
        )
    )
    model.generation_config = GenerationConfig(
        max_length=LABEL_POSITIONS,
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
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    if not labels:
        return save(BertModel(config), tokenizer, folder=folder)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    return save(BertForSequenceClassification(config), tokenizer, folder=folder)


def xlm_roberta(folder: Path) -> Path:
    """An XLM-R encoder, whose positions count from the padding id on, without a classifier."""
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel, set_seed

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_pieces(("<s>", "<pad>", "</s>", "<unk>"), 160, unknown="<unk>"),
        pad_token="<pad>",
        unk_token="<unk>",
    )
    set_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
        pad_token_id=1,
    )
    return save(XLMRobertaModel(config), tokenizer, folder=folder)


def t5(folder: Path, prefixes: dict[str, str] | None = None) -> Path:
    """A T5; with `prefixes`, its config names how each direction is asked for."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration, set_seed

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
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        **({"source_prefix": prefixes} if prefixes else {}),
    )
    return save(T5ForConditionalGeneration(config), tokenizer, folder=folder)


def nllb(folder: Path) -> Path:
    """An M2M-100 model with an NLLB tokenizer, which names languages by FLORES codes."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer, set_seed

    trained = word_pieces(("<s>", "<pad>", "</s>", "<unk>"), 160, unknown="<unk>")
    import json

    model = json.loads(trained.to_str())["model"]
    tokenizer = NllbTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    return save(_m2m(len(tokenizer), M2M100Config, M2M100ForConditionalGeneration, set_seed), tokenizer, folder=folder)


def m2m100(folder: Path) -> Path:
    """An M2M-100 with its own tokenizer, which names languages by two letters."""
    import json

    import sentencepiece
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer, set_seed

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        prefix = f"{place}/spm"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*SENTENCES, "thanks hello yes no"] * 4),
            model_prefix=prefix,
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
        names = ["<s>", "<pad>", "</s>", "<unk>", *(pieces.id_to_piece(n) for n in range(3, pieces.get_piece_size()))]
        vocabulary = Path(place) / "vocab.json"
        vocabulary.write_text(json.dumps({name: number for number, name in enumerate(names)}), encoding="utf-8")
        tokenizer = M2M100Tokenizer(
            vocab_file=str(vocabulary), spm_file=f"{prefix}.model", src_lang="en", tgt_lang="ml"
        )
        # Language tokens follow the pieces and are not counted in len(tokenizer).
        size = max(tokenizer.get_lang_id(language) for language in tokenizer.lang_code_to_id) + 1
        return save(_m2m(size, M2M100Config, M2M100ForConditionalGeneration, set_seed), tokenizer, folder=folder)


def _m2m(size: int, config_class: Any, model_class: Any, set_seed: Any) -> Any:
    set_seed(0)
    return model_class(
        config_class(
            vocab_size=size,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            max_position_embeddings=64,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=2,
        )
    )


def codec_llama(folder: Path) -> Path:
    """A Llama over 200 text ids and 4 x 16 codec tokens, which says so in its config."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

    specials = ["<|pad|>", "<|start_of_text|>", *(f"<|{number}|>" for number in range(2, 9))]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_pieces(specials, 200, unknown="<|pad|>"), pad_token="<|pad|>"
    )
    set_seed(0)
    config = LlamaConfig(
        vocab_size=CODEC["audio_start"] + CODEC["layers"] * CODEC["codebook_size"],
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=4,
        codec=CODEC,
    )
    return save(LlamaForCausalLM(config), tokenizer, folder=folder)


def tone(seconds: float, hertz: float = 300.0, rate: int = 16_000) -> dict[str, Any]:
    """A tone as gold holds audio: PCM16 WAV bytes and a file name."""
    import numpy as np
    import soundfile

    time = np.arange(round(seconds * rate)) / rate
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * hertz * time), rate, format="WAV", subtype="PCM_16")
    return {"bytes": buffer.getvalue(), "path": "tone.wav"}
