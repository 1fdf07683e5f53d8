"""The two classifier bases: a tiny BERT for news topics and one for sentiment, trained on base-side texts only."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sample.base_manglish import manglish
from sample.base_repo import Card, compact_json, parameters_of, repository, write_card, write_rows
from sample.base_training import character_bpe, fit, fix_seeds, shuffled_batches
from sample.corpus import Utterance, utterances

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

POSITIONS = 256
VOCABULARY = 1000
# Enough that the interval of a loss too small to matter lies wholly within the tolerated 0.02 of the score.
CONTROL_ROWS = 400
REPLAY_ROWS = 300
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOPICS = ("business", "entertainment", "sports", "technology")
SENTIMENTS = {
    "Negative": "negative",
    "Positive": "positive",
    "Mixed_feelings": "mixed",
    "unknown_state": "unknown",
    "not-malayalam": "not_malayalam",
}


@dataclass(frozen=True)
class Classifier:
    """One classifier base: its repository, the corpus kind it reads, its labels and its training length."""

    name: str
    kind: str
    labels: tuple[str, ...]
    rows: int
    steps: int
    seed: int
    summary: str
    trained_on: str
    joined_share: float = 0.0
    manglish_share: float = 0.0


TOPIC = Classifier(
    name="tiny-bert-topic-ml",
    kind="headline",
    labels=TOPICS,
    rows=2600,
    steps=260,
    joined_share=0.4,
    seed=21,
    summary="BertForSequenceClassification (2 layers of 128) that names the topic of a Malayalam news text.",
    trained_on="One-line headlines in four topics (corpus kind `headline`, side `base`); in 40 % of the rows several "
    "headlines of one topic are joined, so that the model meets texts of up to 256 tokens.",
)
SENTIMENT = Classifier(
    name="tiny-bert-sentiment-ml",
    kind="review",
    labels=tuple(SENTIMENTS.values()),
    rows=2600,
    steps=400,
    manglish_share=0.15,
    seed=22,
    summary="BertForSequenceClassification (2 layers of 128) that names the sentiment of a Malayalam opinion.",
    trained_on="Opinions on products and services, mostly in Malayalam script (corpus kind `review`, side `base`); "
    "15 % of the rows were transliterated into Latin letters by rule.",
)


def canonical_label(label: str) -> str:
    """Return the label as the silver layer writes it; topics are already so."""
    return SENTIMENTS.get(label, label)


def text_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Train the classifier's lower-casing BPE on `texts` and add BERT's `[CLS] text [SEP]` frame."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = character_bpe(texts, VOCABULARY, SPECIALS, unknown="[UNK]", lowercase=True)
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", SPECIALS.index("[CLS]")), ("[SEP]", SPECIALS.index("[SEP]"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=POSITIONS,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def classifier_model(labels: Sequence[str]) -> BertForSequenceClassification:
    """Make the tiny BERT with random weights: 2 layers of 128, 2 heads, 256 positions."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
        hidden_dropout_prob=0.05,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=POSITIONS,
        type_vocab_size=2,
        pad_token_id=SPECIALS.index("[PAD]"),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    return BertForSequenceClassification(config)


def joined(rows: Sequence[Utterance], share: float, seed: int) -> list[Utterance]:
    """Replace a `share` of the rows by two to ten rows of the same label in one text, so that lengths vary."""
    choose = random.Random(seed)
    by_label: dict[str, list[Utterance]] = {}
    for row in rows:
        by_label.setdefault(row.label, []).append(row)
    out = []
    for row in rows:
        if choose.random() < share:
            parts = [row, *choose.choices(by_label[row.label], k=choose.randint(1, 9))]
            row = Utterance(text=" ".join(part.text.rstrip(". ") + "." for part in parts), label=row.label)
        out.append(row)
    return out


def transliterated(rows: Sequence[Utterance], share: float, seed: int) -> list[Utterance]:
    """Write a `share` of the rows in Latin letters, as people without a Malayalam keyboard do."""
    choose = random.Random(seed)
    return [replace(row, text=manglish(row.text)) if choose.random() < share else row for row in rows]


def thinned(text: str, choose: random.Random) -> str:
    """Leave out up to a third of a text's words, so that a decision does not hang on one phrase of a template."""
    share = choose.random() / 3
    kept = [word for word in text.split() if choose.random() >= share]
    return " ".join(kept) or text


def accuracy(model: Any, tokenizer: Any, rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Return accuracy and macro F1, both in percent, of `model` on rows with `text` and `label`."""
    import torch

    names, truth, guess = model.config.id2label, [], []
    for start in range(0, len(rows), 32):
        part = rows[start : start + 32]
        batch = tokenizer([row["text"] for row in part], padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            guess += [names[int(k)] for k in model(**batch).logits.argmax(-1)]
        truth += [row["label"] for row in part]
    scores = []
    for label in sorted(set(truth)):
        hits = sum(a == b == label for a, b in zip(truth, guess, strict=True))
        scores.append(2 * hits / max(truth.count(label) + guess.count(label), 1))
    right = sum(a == b for a, b in zip(truth, guess, strict=True))
    return {"accuracy": round(100 * right / len(rows), 1), "macro_f1": round(100 * sum(scores) / len(scores), 1)}


def build_classifier(root: Path, spec: Classifier) -> dict[str, float]:
    """Train one classifier base, write its repository below `root`, and return the figures of its card."""
    import torch

    fix_seeds(spec.seed)
    started = time.process_time()
    rows = joined(utterances(spec.kind, "base", spec.rows, spec.seed), spec.joined_share, spec.seed)
    rows = transliterated(rows, spec.manglish_share, spec.seed)
    tokenizer = text_tokenizer([row.text for row in rows])
    model = classifier_model(spec.labels)
    targets = torch.tensor([model.config.label2id[canonical_label(row.label)] for row in rows])
    batches, choose = shuffled_batches(len(rows), 32, spec.seed), random.Random(spec.seed)

    def loss(_: int) -> torch.Tensor:
        chosen = next(batches)
        texts = [thinned(rows[k].text, choose) for k in chosen]
        logits = model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits
        return torch.nn.functional.cross_entropy(logits, targets[chosen], label_smoothing=0.1)

    fit([model], loss, steps=spec.steps, learning_rate=1e-3, warmup=40)
    replay = [{"text": row.text, "label": canonical_label(row.label)} for row in rows[:REPLAY_ROWS]]
    control = [
        {"text": row.text, "label": canonical_label(row.label)}
        for row in utterances(spec.kind, "control", CONTROL_ROWS, spec.seed)
    ]
    figures = {
        **{f"control {name} (%)": value for name, value in accuracy(model, tokenizer, control).items()},
        "control rows": len(control),
        "training rows": len(rows),
        "training CPU seconds": round(time.process_time() - started),
    }
    folder = repository(root, spec.name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    compact_json(folder)
    write_rows(folder, control=control, replay=replay)
    loading = (
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{folder.name}")\n'
        f'model = AutoModelForSequenceClassification.from_pretrained("{folder.name}")'
    )
    card = Card(spec.name, spec.summary, "text-classification", spec.trained_on, loading)
    write_card(folder, card, figures, parameters_of(model))
    return figures
