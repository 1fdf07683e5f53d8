"""Builders of gold: rows that each engine can learn from, committed as the allocation phase commits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_foundry.engines import ENGINES
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.records import AIEngine
from finetuning.tiny_bases import CODEC, SENTENCES, TOPICS, WORDS, tone

DIALECTS = {"travancore": 300.0, "cochin": 900.0, "malabar": 2400.0}
ENGLISH = ("thanks", "hello", "yes", "no")


def row(engine: AIEngine, number: int, split: str = "train", **changes: Any) -> dict[str, Any]:
    """One gold row of an engine with its lineage; the same number gives the same row."""
    text = SENTENCES[number % len(SENTENCES)]
    topic = TOPICS[number % len(TOPICS)]
    dialect = sorted(DIALECTS)[number % len(DIALECTS)]
    frames = 3 + number % 4
    content: dict[AIEngine, dict[str, Any]] = {
        AIEngine.STT: {"audio": tone(0.5, 200 + 50 * number), "text": text, "text_raw": text, "duration": 0.5},
        AIEngine.DIALECT: {"audio": tone(0.5, DIALECTS[dialect]), "text": text, "duration": 0.5, "dialect": dialect},
        AIEngine.NLU: {"text": f"{WORDS[topic]} {WORDS[topic]}", "label": topic, "label_kind": "topic"},
        AIEngine.SENTIMENT: {"text": f"{WORDS[topic]} {WORDS[topic]}", "label": ("positive", "negative")[number % 2]},
        AIEngine.TRANSLATION: {
            "text": text,
            "translation": ENGLISH[number % 4],
            "direction": ("ml-en", "en-ml")[number % 2],
        },
        AIEngine.TTS: {
            "text": text,
            "codes": [[(frame + layer) % CODEC["codebook_size"] for frame in range(frames)] for layer in range(4)],
            "codec": "test",
        },
    }
    return {
        "row_id": f"{split}-{engine}-{number:04d}",
        "dataset": "owner/name",
        "revision": "abc",
        "source_file": "a.parquet",
        "source_row": number,
        "source_split": split,
        "licence": "cc-by-4.0",
        "flags": [],
        "group": f"{split}{number}",
        **({"speaker": f"{split} voice {number % 6}"} if "speaker" in ENGINES[engine].gold_columns else {}),
        **content[engine],
        **changes,
    }


def rows(engine: AIEngine, count: int, split: str = "train") -> list[dict[str, Any]]:
    return [row(engine, number, split) for number in range(count)]


def gold(engine: AIEngine, *, train: int = 8, validation: int = 4, test: int = 6) -> dict[str, list[dict[str, Any]]]:
    """Rows of the three splits."""
    return {
        "train": rows(engine, train),
        "validation": rows(engine, validation, "validation"),
        "test": rows(engine, test, "test"),
    }


def commit_gold(
    lake: Lake,
    engine: AIEngine,
    splits: Mapping[str, Sequence[dict[str, Any]]],
    details: Mapping[str, Any] | None = None,
) -> Manifest:
    """Publish gold with these rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with lake.commit(Layer.GOLD, engine, f"gold {engine}") as commit:
        counts = {}
        for split, content in splits.items():
            if content:
                path = f"{split}/part-00000.parquet"
                pq.write_table(pa.Table.from_pylist(list(content)), commit.path(path))
                counts[path] = len(content)
        total = sum(counts.values())
        return commit.publish(rows=counts, rows_in=total, rows_out=total, details=dict(details or {}))
