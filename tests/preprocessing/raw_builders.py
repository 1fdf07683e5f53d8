"""Builders of raw datasets: tiny folders in each layout, committed to the raw layer as phase 1 would."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.lake import Lake, Layer

from .audio_builders import encoded, tone

STT = "ayush-shunyalabs/malayalam-speech-dataset"
INDICVOICES = "CXDuncan/Malayalam-IndicVoices"
INDICST = "Be-win/IndicST-malayalam-only"
SPEECH_WITH_ENGLISH = "Be-win/malayalam-speech-with-english-translation"
DIALECTS = "Aby003/Malayalam_Dialects"
NEWS = "Sakshamrzt/IndicNLP-Malayalam"
COMMENTS = "wlkla/Malayalam_first_ready_for_sentiment"
TOKENS = "Praha-Labs/imasc_slr_Malayalam-nano-codec"

AUDIO_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def entry(name: str) -> DatasetEntry:
    """The registry entry of one of the names above."""
    return DATASET_REGISTRY[name]


def parquet_bytes(rows: list[Mapping[str, Any]], types: Mapping[str, pa.DataType]) -> bytes:
    """A Parquet file of rows with the given column types."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(list(types.items()))), sink)
    return sink.getvalue().to_pybytes()


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> list[str]:
    """Write files below a folder; return their paths."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return list(files)


def ingest(lake: Lake, name: str, files: Mapping[str, bytes | str], revision: str = "0" * 40) -> None:
    """Put a raw dataset into the lake."""
    with lake.commit(Layer.RAW, name, revision) as commit:
        for path, content in files.items():
            commit.path(f"files/{path}").write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        commit.path("metadata.json").write_text("{}", encoding="utf-8")
        commit.publish(details={"revision": revision})


SPEECH = {"audio": AUDIO_TYPE, "transcript": pa.string()}
TEXT = "ഇന്ന് നല്ല മഴ പെയ്തു"


def clip(payload: bytes, text: str | None = TEXT) -> dict[str, Any]:
    """A row of the speech set: encoded audio with its transcript."""
    return {"audio": {"bytes": payload, "path": "a.wav"}, "transcript": text}


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """A PCM16 WAV payload."""
    return encoded(samples, rate)


def speech(*rows: dict, split: str = "train") -> dict[str, bytes]:
    """The files of the speech set with these rows in one split."""
    return {f"data/{split}-00000-of-00001.parquet": parquet_bytes(list(rows), SPEECH)}


def mixed_rows(count: int) -> list[dict]:
    """Clips of many formats with some faults, in an order that a seed decides."""
    rng = random.Random(1)
    forms = [("wav16", 16_000), ("flac", 48_000), ("mp3", 22_050), ("mulaw", 8_000), ("opus", 16_000)]
    rows = []
    for i in range(count):
        codec, rate = rng.choice(forms)
        payload = encoded(tone(rng.uniform(1.0, 2.0), rate, 200 + 5 * i), rate, codec)
        rows.append(clip(payload if i % 7 else payload[:50], f"{TEXT} {i}" if i % 5 else None))
    return rows


_LAYERS = [f"nano_layer_{layer}" for layer in range(1, 5)]
TOKEN_TYPES = {"text": pa.string(), **dict.fromkeys(_LAYERS, pa.list_(pa.int64())), "encoded_len": pa.int64()}
TOKEN_ROW = {"text": TEXT, **{layer: [7] * 25 for layer in _LAYERS}, "encoded_len": 25}


def flags_of(row: dict[str, Any]) -> list[str]:
    """The flags of a row but for what a measure said of its tones, which are no speech."""
    return [flag for flag in row["flags"] if flag not in ("narrowband", "unusual_speaking_rate")]
