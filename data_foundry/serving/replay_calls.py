"""Held-out rows as a client of the gateway sends them: a path, a body, and what the right answer would have been.

Speech goes as a WAV file: where gold holds a row as it sounds through a phone, as the line carries it (8 kHz, G.711),
otherwise at 16 kHz.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_foundry.adapter_name import engine_of
from data_foundry.engines import EngineSpec
from data_foundry.finetuning.features.gold_rows import chosen, read_rows
from data_foundry.finetuning.versions.registry import Version
from data_foundry.finetuning.versions.version_files import PHONE
from data_foundry.lake import Lake, Layer
from data_foundry.records import SAMPLE_RATE, AIEngine
from data_foundry.serving.calls import Row

TEST = "test"
TEXT_PATHS = {
    AIEngine.NLU: "/v1/understand",
    AIEngine.SENTIMENT: "/v1/sentiment",
    AIEngine.DIALECT: "/v1/dialect",
    AIEngine.TRANSLATION: "/v1/translate",
    AIEngine.TTS: "/v1/audio/tokens",
}
SPEECH_PATHS = {AIEngine.STT: "/v1/audio/transcriptions", AIEngine.DIALECT: "/v1/dialect"}


@dataclass(frozen=True)
class ReplayCall:
    """A request: `path` and what httpx's `post` takes for its body. `truth` None: no reference tells the right answer.

    `sent_as` says what went over the line: "text", "wav" or "g711".
    """

    call_id: str
    path: str
    body: Mapping[str, Any] = field(repr=False)
    truth: str | None
    sent_as: str


def replay_calls(lake: Lake, spec: EngineSpec, version: Version, limit: int) -> Iterator[ReplayCall]:
    """Yield a version's held-out calls, at most `limit`; the same ones in the same order for the same gold."""
    name = version.engine
    ids = held_out_ids(lake, name, limit, trained_on(lake, version))
    if not spec.task.startswith(("speech", "audio")):
        for row in _rows(lake, name, TEST, ids):
            yield text_call(spec, name, row)
        return
    lines = {row["row_id"]: g711_wav(row) for row in _rows(lake, name, PHONE, ids)}
    for row in _rows(lake, name, TEST, ids):
        yield speech_call(spec, name, row, lines.get(row["row_id"]))


def held_out_ids(lake: Lake, name: str, limit: int, only: Mapping[str, str | bool]) -> frozenset[str]:
    """Return ids of test rows of an adapter's gold, at most `limit`, chosen by their hashes.

    `only` names columns and the value that a row must have there: what the candidate was trained for.
    """
    import pyarrow.parquet as pq

    files = lake.files(Layer.GOLD, engine_of(name), under=TEST)
    rows = [row for file in files for row in pq.read_table(file, columns=["row_id", *only]).to_pylist()]
    ids = [row["row_id"] for row in rows if chosen(row, only)]
    return frozenset(sorted(ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:limit])


def trained_on(lake: Lake, version: Version) -> Mapping[str, str | bool]:
    """Return the columns and values that a version's rows had to have (`only` of its configuration)."""
    model = lake.manifest(Layer.MODELS, f"{version.engine}/{version.version}")
    only: Mapping[str, str | bool] = model.details["config"].get("only", {}) if model else {}
    return only


def text_call(spec: EngineSpec, adapter: str, row: Row) -> ReplayCall:
    """Return the call that a row with a text makes."""
    engine = AIEngine(engine_of(adapter))
    body: dict[str, Any] = {"text": row["text"], "model": adapter}
    truth = row.get(spec.label)
    if engine is AIEngine.TRANSLATION:
        source, target = ("text", "translation") if row["direction"] == "ml-en" else ("translation", "text")
        body, truth = {**body, "text": row[source], "direction": row["direction"]}, row[target]
    elif engine is AIEngine.TTS:
        body, truth = {"input": row["text"], "model": adapter}, None
    return ReplayCall(row["row_id"], TEXT_PATHS[engine], {"json": body}, truth, "text")


def speech_call(spec: EngineSpec, adapter: str, row: Row, line: bytes | None) -> ReplayCall:
    """Return the call that a row with sound makes; `line` is its WAV as a phone line carries it, where there is one."""
    file = ("call.wav", line or row["audio"]["bytes"], "audio/wav")
    body = {"files": {"file": file}, "data": {"model": adapter}}
    path = SPEECH_PATHS[AIEngine(engine_of(adapter))]
    return ReplayCall(row["row_id"], path, body, row[spec.label], "g711" if line else "wav")


def g711_wav(row: Row) -> bytes:
    """Return a row's sound as the line carries it: 8 kHz, in the row's own law, or A-law where its codec is another."""
    import numpy as np
    import soundfile
    import soxr

    from data_foundry.telephony.codecs import PHONE_RATE, encoded

    codec = json.loads(row.get("channel_parameters") or "{}").get("channel", {}).get("codec")
    samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
    assert rate == SAMPLE_RATE, f"gold holds {SAMPLE_RATE} Hz, not {rate}"
    narrow = soxr.resample(samples, SAMPLE_RATE, PHONE_RATE, quality="HQ")
    pcm = np.clip(np.rint(narrow * 32768), -32768, 32767).astype(np.int16)
    return encoded(pcm, codec if codec in ("alaw", "ulaw") else "alaw")


def _rows(lake: Lake, name: str, split: str, ids: Collection[str]) -> Iterator[dict[str, Any]]:
    files = lake.files(Layer.GOLD, engine_of(name), under=split)
    return (row for row in read_rows(files) if row["row_id"] in ids)
