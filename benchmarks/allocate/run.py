"""How long phase 3 takes and how much memory: a million text rows, 100,000 rows of speech, all engines.

    python -m benchmarks.allocate.run [--texts N] [--clips N] [--engine ENGINE ...] [--workers N] [--folder DIR]

Makes silver (once per folder), runs phase 3 on it, prints JSON: wall and CPU seconds and the largest process in MB.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import resource
import shutil
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.allocation import allocate
from data_foundry.compute import run_steps
from data_foundry.config import load_settings
from data_foundry.lake import Lake, Layer
from data_foundry.records import SilverRow, arrow_schema, row_id
from data_foundry.report import Action

TEXTS, SPEECH = "Sakshamrzt/IndicNLP-Malayalam", "CXDuncan/Malayalam-IndicVoices"
TOPICS = ("business", "entertainment", "sports", "technology")
DISTRICTS = ("Kollam", "Thrissur", "Kannur", "Kottayam")
# Made of syllables by us: no language, and nothing that a native speaker checked.
SYLLABLES = ("ക", "മ", "ല", "ത", "പ", "ര", "ന", "വ", "ച", "സ", "കി", "മാ", "തു", "പോ", "രി", "നീ", "വെ", "ചൂ", "ട", "ണ")
SAME: dict[str, Any] = {
    "revision": "0" * 40, "source_file": "train.parquet", "source_split": "train", "licence": "cc-by-4.0",
    "malayalam_ratio": 1.0, "flags": [], "content": [],
}  # fmt: skip
ROWS_PER_PART = 50_000
REPEATED = 0.02
NEARLY_REPEATED = 0.02
FINGERPRINT_WORDS = 120
CLIPS_PER_SPEAKER = 50


def texts(count: int, seed: int) -> Iterator[str]:
    """Yield texts of 6 to 14 words of a skewed vocabulary; some say what another said, or that but for one word."""
    rng = np.random.default_rng(seed)
    vocabulary = ["".join(rng.choice(SYLLABLES, rng.integers(2, 6))) for _ in range(60_000)]
    lengths = rng.integers(6, 15, count)
    numbers = (len(vocabulary) * rng.random(int(lengths.sum())) ** 2).astype(int)
    chance, places = rng.random(count), np.r_[0, np.cumsum(lengths)]
    before: list[str] = []
    for at in range(count):
        words = [vocabulary[number] for number in numbers[places[at] : places[at + 1]]]
        if before and chance[at] < REPEATED + NEARLY_REPEATED:
            text = before[int(rng.integers(len(before)))]
            if chance[at] < NEARLY_REPEATED:
                text += " " + words[0]
        else:
            text = " ".join(words)
        before.append(text)
        yield text


def wav(rng: np.random.Generator) -> bytes:
    """Return a twentieth of a second of noise: phase 3 copies sounds, it does not listen to them."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(rng.bytes(1600))
    return sink.getvalue()


def spoken(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the columns of rows of speech: who, where, a clip, its group and a fingerprint; some are near another's."""
    rng = np.random.default_rng(seed)
    before: list[np.ndarray] = []
    for at in range(count):
        prints = rng.integers(1, 1 << 32, FINGERPRINT_WORDS, dtype=np.uint32)
        if before and rng.random() < NEARLY_REPEATED:
            prints = before[int(rng.integers(len(before)))] ^ (
                np.uint32(1) << rng.integers(0, 32, len(prints), np.uint32)
            )
        before.append(prints)
        content, speaker = wav(rng), at // CLIPS_PER_SPEAKER
        yield {
            "audio": {"bytes": content, "path": f"{at}.wav"},
            "duration": 3.0,
            "audio_group": hashlib.sha256(content).hexdigest()[:16],
            "audio_fingerprint": prints.astype("<u4").tobytes(),
            "speaker": f"s{speaker}",
            "gender": ("female", "male")[speaker % 2],
            "district": DISTRICTS[speaker % len(DISTRICTS)],
        }


def publish(lake: Lake, dataset: str, count: int, columns: Iterator[dict[str, Any]], group: int) -> None:
    """Write silver of a dataset in parts."""
    schema, rows = arrow_schema(SilverRow), {}
    with lake.commit(Layer.SILVER, dataset, str(count)) as commit:
        for part, start in enumerate(range(0, count, ROWS_PER_PART)):
            numbers = range(start, min(start + ROWS_PER_PART, count))
            own = [next(columns) for _ in numbers]
            values: dict[str, list[Any]] = {
                "row_id": [row_id(dataset, "train.parquet", at) for at in numbers],
                "source_row": list(numbers),
                **{name: [each[name] for each in own] for name in own[0]},
                **{name: [value] * len(own) for name, value in SAME.items()},
                "dataset": [dataset] * len(own),
            }
            arrays = [
                pa.array(values[field.name], field.type) if field.name in values else pa.nulls(len(own), field.type)
                for field in schema
            ]
            path = f"train/part-{part:05d}.parquet"
            table = pa.Table.from_arrays(arrays, schema=schema)
            pq.write_table(table, commit.path(path), row_group_size=group)
            rows[path] = len(own)
        commit.publish(rows=rows, rows_in=count, rows_out=count)


def make_silver(lake: Lake, text_rows: int, clips: int) -> None:
    """Make what is not there yet; 1,000 of the spoken sentences stand among the texts, too."""
    if text_rows and not lake.manifest(Layer.SILVER, TEXTS):
        labelled = ({"text": text, "label": TOPICS[at % 4]} for at, text in enumerate(texts(text_rows, 1)))
        publish(lake, TEXTS, text_rows, labelled, 2048)
    if clips and not lake.manifest(Layer.SILVER, SPEECH):
        said = zip(texts(clips, 2), spoken(clips, 3), strict=True)
        publish(lake, SPEECH, clips, ({"text": text, **heard} for text, heard in said), 64)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--engine", action="append", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="allocate-"))
    settings = load_settings(
        flags={
            "base_path": str(folder), "workers": arguments.workers, "engines": arguments.engine,
            "licensing": {"commercial_use": False}, "telephony": {"splits": []},
        },
        environ={},
    )  # fmt: skip
    lake = Lake(settings)
    make_silver(lake, arguments.texts, arguments.clips)
    shutil.rmtree(folder / "storage" / "gold", ignore_errors=True)
    # Whatever making silver took is no part of it: with workers the steps run in processes of their own.
    children = resource.RUSAGE_CHILDREN if arguments.workers else resource.RUSAGE_SELF
    started, before = time.perf_counter(), resource.getrusage(children)
    steps = [step for step in allocate.plan(settings, lake) if step.action is Action.RUN]
    results = list(run_steps(allocate.run_step, settings, steps))
    after = resource.getrusage(children)
    print(
        json.dumps(
            {
                "texts": arguments.texts,
                "clips": arguments.clips,
                "workers": arguments.workers,
                "wall_s": round(time.perf_counter() - started, 1),
                "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
                "largest_process_mb": round(after.ru_maxrss / 1024),
                "engines": {
                    result.subject: {
                        "seconds": result.seconds, "rows_in": result.rows_in, "rows_out": result.rows_out,
                        "rejected": result.rejected, "outcome": result.outcome, "reason": result.reason,
                    }
                    for result in results
                },
            },
            indent=1,
        )
    )  # fmt: skip
    if not arguments.folder:
        shutil.rmtree(folder)
    return 1 if any(result.outcome == "failed" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
