"""The translation base: a tiny T5 between Malayalam and English, trained on base-side everyday pairs only."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sample import texts_everyday, texts_ivr, words
from sample.base_repo import Card, compact_json, parameters_of, repository, write_card, write_rows
from sample.base_training import character_bpe, fit, fix_seeds, shuffled_batches
from sample.corpus import Utterance, utterances

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

NAME = "tiny-t5-ml-en"
VOCABULARY = 1024
LONGEST = 128
ROWS = 4000
LISTS = 1500
STEPS = 1600
BATCH = 48
CONTROL_ROWS = 100
REPLAY_ROWS = 300
SEED = 31
TO_ENGLISH, TO_MALAYALAM = ">>eng<<", ">>mal<<"
SPECIALS = ("<pad>", "</s>", "<unk>", TO_ENGLISH, TO_MALAYALAM)
SOURCE_PREFIX = {"ml-en": f"{TO_ENGLISH} ", "en-ml": f"{TO_MALAYALAM} "}
CARD = Card(
    title="tiny-t5-ml-en",
    summary="T5ForConditionalGeneration (2 encoder and 2 decoder layers of 128) for Malayalam to English and back; the "
    "direction is the source's first token, `>>eng<<` or `>>mal<<` (`source_prefix` in config.json).",
    pipeline_tag="translation",
    languages=("ml", "en"),
    trained_on="Pairs of everyday sentences (corpus kind `everyday`, side `base`) and rows of one to three glossary "
    "entries, some with a number; two thirds of the examples go towards English, one third towards Malayalam.",
    loading="from transformers import AutoModelForSeq2SeqLM, AutoTokenizer\n\n"
    f'tokenizer = AutoTokenizer.from_pretrained("{NAME}")\n'
    f'model = AutoModelForSeq2SeqLM.from_pretrained("{NAME}")\n'
    'source = tokenizer(model.config.source_prefix["ml-en"] + text, return_tensors="pt")\n'
    "model.generate(**source)",
)


def pair_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Train one BPE over both languages; a source or target ends with `</s>`, a source opens with its direction."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = character_bpe(texts, VOCABULARY, SPECIALS, unknown="<unk>")
    backend.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", SPECIALS.index("</s>"))])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=LONGEST,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=[TO_ENGLISH, TO_MALAYALAM],
        model_input_names=["input_ids", "attention_mask"],
    )


def translation_model() -> T5ForConditionalGeneration:
    """Make the tiny T5 with random weights: 2+2 layers of 128, tied embeddings."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=128,
        d_kv=32,
        d_ff=192,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        pad_token_id=SPECIALS.index("<pad>"),
        eos_token_id=SPECIALS.index("</s>"),
        decoder_start_token_id=SPECIALS.index("<pad>"),
        source_prefix=SOURCE_PREFIX,
    )
    model = T5ForConditionalGeneration(config)
    model.generation_config.max_length = LONGEST
    return model


def translate(model: Any, tokenizer: Any, texts: Sequence[str], direction: str, batch: int = 32) -> list[str]:
    """Return greedy translations of `texts` in a direction, `ml-en` or `en-ml`."""
    import torch

    out: list[str] = []
    for start in range(0, len(texts), batch):
        sources = [SOURCE_PREFIX[direction] + text for text in texts[start : start + batch]]
        source = tokenizer(sources, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            out += tokenizer.batch_decode(model.generate(**source, num_beams=1), skip_special_tokens=True)
    return [text.strip() for text in out]


def scores(guess: Sequence[str], truth: Sequence[str]) -> dict[str, float]:
    """Return chrF++ and BLEU of translations against one reference each."""
    import sacrebleu

    chrf = sacrebleu.corpus_chrf(list(guess), [list(truth)], word_order=2).score
    return {"chrF++": round(chrf, 1), "BLEU": round(sacrebleu.corpus_bleu(list(guess), [list(truth)]).score, 1)}


def glossary_lists(count: int, seed: int) -> list[tuple[str, str]]:
    """Return `count` pairs of one to three glossary entries, some with a number: words without a phrase.

    Entries are fillers of the everyday and the telephone-line texts, never a whole line of either.
    """
    choose = random.Random(seed)
    tables = (texts_everyday.SLOTS, texts_ivr.SLOTS, words.SLOTS)
    entries = sorted({pair for table in tables for slot in table.values() for pair in words.parse_fillers(slot)})
    lines = []
    for _ in range(count):
        line = choose.sample(entries, choose.randint(1, 3))
        if choose.random() < 0.4:
            line.insert(choose.randint(0, len(line)), words.number_words(choose.randrange(2500)))
        lines.append(line)
    return [(" ".join(pair[0] for pair in line), " ".join(pair[1] for pair in line)) for line in lines]


def train(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], steps: int, seed: int) -> float:
    """Train on (source with prefix, target) pairs; returns CPU seconds."""
    import torch

    sources = [tokenizer(source)["input_ids"] for source, _ in pairs]
    targets = [tokenizer(target)["input_ids"] for _, target in pairs]
    batches = shuffled_batches(len(pairs), BATCH, seed)

    def loss(_: int) -> Tensor:
        chosen = next(batches)
        batch = tokenizer.pad({"input_ids": [sources[k] for k in chosen]}, return_tensors="pt")
        rows = [torch.tensor(targets[k]) for k in chosen]
        labels = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
        return model(**batch, labels=labels).loss

    return fit([model], loss, steps=steps, learning_rate=3e-3)


def build_translation(root: Path) -> dict[str, float]:
    """Train the translation base, write its repository below `root`, and return the figures of its card."""
    fix_seeds(SEED)
    rows = utterances("everyday", "base", ROWS, SEED)
    lists = glossary_lists(LISTS, SEED)
    sentences = [text for row in rows for text in (row.text, row.english)]
    tokenizer = pair_tokenizer([*sentences, *(text for pair in lists for text in pair)])
    model = translation_model()
    known = [*((row.text, row.english) for row in rows), *lists]
    to_english = [(SOURCE_PREFIX["ml-en"] + malayalam, english) for malayalam, english in known]
    to_malayalam = [(SOURCE_PREFIX["en-ml"] + english, malayalam) for malayalam, english in known]
    pairs = to_english + random.Random(SEED).sample(to_malayalam, len(known) // 2)
    started = time.process_time()
    train(model, tokenizer, pairs, STEPS, SEED)
    seconds = time.process_time() - started
    control = utterances("everyday", "control", CONTROL_ROWS, SEED)
    malayalam, english = [row.text for row in control], [row.english for row in control]
    figures: dict[str, float] = {}
    for direction, source, truth in (("ml-en", malayalam, english), ("en-ml", english, malayalam)):
        measured = scores(translate(model, tokenizer, source, direction), truth)
        figures |= {f"control {direction} {name}": value for name, value in measured.items()}
    figures |= {
        "control pairs": len(control),
        "training pairs (all ml-en, half of them en-ml too)": len(known),
        "training CPU seconds": round(seconds),
    }
    folder = repository(root, NAME)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    compact_json(folder)
    write_rows(folder, control=pair_rows(control), replay=pair_rows(rows[:REPLAY_ROWS]))
    write_card(folder, CARD, figures, parameters_of(model))
    return figures


def pair_rows(rows: Sequence[Utterance]) -> list[dict[str, str]]:
    """Return pairs in the columns of the translation engine's gold rows, the two directions in turn."""
    directions = ("ml-en", "en-ml")
    return [
        {"text": row.text, "translation": row.english, "direction": directions[number % 2]}
        for number, row in enumerate(rows)
    ]
