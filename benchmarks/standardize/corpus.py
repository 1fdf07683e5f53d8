"""The corpus of the benchmark: espeak-ng reads Malayalam in clips of 3 to 12 s, in five codecs, in Parquet shards."""

from __future__ import annotations

import json
import random
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sample.corpus import utterances
from sample.speech import SPEAKING_RATE_HZ, PayloadCodec, encode, speak, voices

# Codec, sampling rate and channels: studio, web, phone.
FORMS: tuple[tuple[PayloadCodec, int, int], ...] = (
    ("flac", 48_000, 1), ("mp3", 44_100, 1), ("wav16", 22_050, 1), ("opus", 16_000, 1), ("mulaw", 8_000, 1),
)  # fmt: skip
ROWS_PER_SHARD, ROWS_PER_GROUP = 200, 100
_SUFFIX = {"flac": "flac", "mp3": "mp3", "wav16": "wav", "opus": "opus", "mulaw": "wav"}


def build(folder: Path, hours: float) -> dict[str, Any]:
    """Write `train-*.parquet` (audio, transcript), `clips.pack` (payloads behind their lengths) and `about.json`.

    The codecs take turns, so each has a fifth of the clips. A corpus that is there already is used again.
    """
    about = folder / "about.json"
    if about.exists() and json.loads(about.read_text())["wanted_hours"] == hours:
        return json.loads(about.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    lines = [item.text for item in utterances("everyday", "base", 4000, seed=7)]
    speakers = voices("train")

    def clip(place: int) -> tuple[dict[str, Any], float]:
        text = ". ".join(texts[place])
        samples = speak(text, speakers[place % len(speakers)])
        codec, rate, channels = FORMS[place % len(FORMS)]
        payload = encode(samples, SPEAKING_RATE_HZ, codec, rate, channels)
        audio = {"bytes": payload, "path": f"{place:06d}.{_SUFFIX[codec]}"}
        return {"audio": audio, "transcript": text}, len(samples) / SPEAKING_RATE_HZ

    texts = [rng.sample(lines, rng.choice((1, 2, 3, 4))) for _ in range(int(hours * 3600 / 4))]
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(texts), 50):
            for row, length in pool.map(clip, range(start, min(start + 50, len(texts)))):
                if 3 <= length <= 12:
                    rows.append(row)
                    seconds += length
            if seconds >= hours * 3600:
                break
    _write(folder, rows)
    told = {"wanted_hours": hours, "seconds": seconds, "clips": len(rows), "forms": FORMS}
    about.write_text(json.dumps(told), encoding="utf-8")
    return told


def _write(folder: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("transcript", pa.string())]
    shards = range(0, len(rows), ROWS_PER_SHARD)
    for number, start in enumerate(shards):
        table = pa.Table.from_pylist(rows[start : start + ROWS_PER_SHARD], schema=pa.schema(kinds))
        path = folder / f"train-{number:05d}-of-{len(shards):05d}.parquet"
        pq.write_table(table, path, row_group_size=ROWS_PER_GROUP)
    with (folder / "clips.pack").open("wb") as pack:
        for row in rows:
            payload = row["audio"]["bytes"]
            pack.write(struct.pack("<I", len(payload)) + payload)
