"""Builders of silver for tests. The Malayalam is ours, made of syllables; no native speaker checked it."""

from __future__ import annotations

import hashlib
import io
import itertools
import random
import wave
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr

from data_foundry.lake import Lake, Layer
from data_foundry.lake import fingerprint as hashed
from data_foundry.preprocessing.fingerprint import fingerprint
from data_foundry.records import SilverRow, arrow_schema, row_id

SPEECH = "CXDuncan/Malayalam-IndicVoices"
SPEECH_WITH_SPLITS = "ayush-shunyalabs/malayalam-speech-dataset"
TEXT_PAIRS = "Be-win/IndicST-malayalam-only"
TOPICS = "Sakshamrzt/IndicNLP-Malayalam"
COMMENTS = "wlkla/Malayalam_first_ready_for_sentiment"
INTENTS = "data-foundry/malayalam-ivr-intents"
NINE_ROWS = "Aby003/Malayalam_Dialects"
CODEC_TOKENS = "Praha-Labs/rasa-malayalam-nano-codec"

_SYLLABLES = ["ക", "മ", "ല", "ത", "പ", "ര", "ന", "വ", "ച", "സ", "കി", "മാ", "തു", "പോ", "രി", "നീ", "വെ", "ചൂ"]


def words(number: int, count: int = 4) -> str:
    """Return a text of Malayalam syllables that is another one for every number."""
    rng = random.Random(number)
    return " ".join("".join(rng.choices(_SYLLABLES, k=4)) for _ in range(count))


def wav(number: int, seconds: float = 0.05) -> bytes:
    """Return a 16 kHz mono PCM16 WAV file of noise that is another one for every number."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(random.Random(number).randbytes(2 * round(seconds * 16_000)))
    return sink.getvalue()


def silver_row(dataset: str, number: int, split: str = "train", **values: Any) -> dict[str, Any]:
    """Return a silver row; `sound` gives it audio, `text` defaults to one of its own."""
    source = values.get("source_file", f"data/{split}.parquet")
    sound = values.pop("sound", None)
    audio: dict[str, Any] = {}
    if sound is not None:
        content = wav(sound)
        group = hashlib.sha256(content).hexdigest()[:16]
        audio = {"audio": {"bytes": content, "path": f"{sound}.wav"}, "duration": 0.05, "audio_group": group}
    row = SilverRow(
        **{
            "row_id": row_id(dataset, source, number),
            "dataset": dataset,
            "revision": "0" * 40,
            "source_file": source,
            "source_row": number,
            "source_split": split,
            "text": words(number),
            "licence": "cc-by-4.0",
            **audio,
            **values,
        }
    )
    return row.model_dump()


def publish_silver(lake: Lake, rows: Iterable[dict[str, Any]], files: int = 1) -> None:
    """Commit silver of each dataset among the rows, in their order, in `files` parts per split."""
    schema = arrow_schema(SilverRow)
    for dataset, of_dataset in itertools.groupby(
        sorted(rows, key=lambda row: row["dataset"]), lambda row: row["dataset"]
    ):
        listed = list(of_dataset)
        with lake.commit(Layer.SILVER, dataset, hashed([row["row_id"] for row in listed])) as commit:
            counts = {}
            for split in {row["source_split"] for row in listed}:
                mine = [row for row in listed if row["source_split"] == split]
                for part in range(files):
                    path = f"{split}/part-{part:05d}.parquet"
                    table = pa.Table.from_pylist(mine[part::files], schema=schema)
                    pq.write_table(table, commit.path(path), row_group_size=50)
                    counts[path] = table.num_rows
            commit.publish(rows=counts, rows_in=len(listed), rows_out=len(listed))


def labelled_texts(count: int, labels: Iterable[str] = ("business", "sports"), start: int = 0) -> list[dict[str, Any]]:
    """Return text rows with a topic, unpublished splits."""
    names = itertools.cycle(labels)
    return [silver_row(TOPICS, start + number, label=next(names)) for number in range(count)]


def spoken_rows(speakers: dict[str, str], each: int = 4, start: int = 0, **values: Any) -> list[dict[str, Any]]:
    """Return spoken rows: `each` per speaker, whose district is given."""
    numbers = itertools.count(start)
    return [
        silver_row(SPEECH, number := next(numbers), sound=number, speaker=speaker, district=district, **values)
        for speaker, district in speakers.items()
        for _ in range(each)
    ]


def voice(number: int, seconds: float = 3.0) -> np.ndarray:
    """Return 16 kHz float samples that change as speech does, another one for every number: tones through formants."""
    rng = np.random.default_rng(number)
    pieces = []
    for _ in range(round(seconds / 0.1)):
        time = np.arange(1600) / 16_000
        pitch = rng.uniform(90, 250)
        formants = rng.uniform((300, 900, 2000), (900, 2000, 3400))
        harmonics = pitch * np.arange(1, int(3600 / pitch))
        strength = sum(np.exp(-(((harmonics - formant) / 150) ** 2)) for formant in formants) + 0.01
        piece = (strength[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time)).sum(axis=0)
        pieces.append(piece * np.hanning(1600) * rng.uniform(0.3, 1.0))
    samples = np.concatenate(pieces)
    return samples / np.abs(samples).max() * 0.5


def by_telephone(samples: np.ndarray) -> np.ndarray:
    """Return the same recording as it comes back from an 8 kHz mu-law file."""
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(samples, 16_000, 8_000), 8_000, format="WAV", subtype="ULAW")
    file.seek(0)
    return soxr.resample(soundfile.read(file)[0], 8_000, 16_000)


def heard(samples: np.ndarray) -> dict[str, Any]:
    """Return the silver columns of a clip, as phase 2 makes them."""
    pcm = np.rint(samples * 32767).astype("<i2")
    file = io.BytesIO()
    soundfile.write(file, pcm, 16_000, format="WAV", subtype="PCM_16")
    content = file.getvalue()
    return {
        "audio": {"bytes": content, "path": "clip.wav"},
        "duration": len(pcm) / 16_000,
        "audio_group": hashlib.sha256(content).hexdigest()[:16],
        "audio_fingerprint": fingerprint(pcm),
    }


# Eighteen speakers of three regions.
DISTRICTS = {f"s{n}": ["Kollam", "Thrissur", "Kannur"][n % 3] for n in range(18)}


def corpus() -> list[dict]:
    """Six engines' worth of rows, unpublished splits but for one dataset, with duplicates, leaks and useless rows."""
    rows = labelled_texts(60) + spoken_rows(DISTRICTS)
    rows += [silver_row(COMMENTS, n, label=["positive", "negative"][n % 2], text=f"kollam poli {n}") for n in range(40)]
    rows += [
        silver_row(TEXT_PAIRS, n, split, translation=f"line {n}", direction="ml-en")
        for n, split in enumerate(["train"] * 20 + ["test"] * 5 + ["validation"] * 5 + ["kathbath"] * 5)
    ]
    rows += [
        silver_row(CODEC_TOKENS, n, codes=[[n, 1], [n, 2]], codec="c", licence="cc-by-sa-4.0", text=words(5000 + n))
        for n in range(30)
    ]
    rows += [silver_row(NINE_ROWS, n) for n in range(9)]
    return rows
