"""What lineage tests share: a lake with a dataset of every layout, standardized and allocated by the phases' code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry.allocation import allocate
from data_foundry.config import Settings, load_settings
from data_foundry.lake import Lake, Layer, Manifest, sha256_file
from data_foundry.preprocessing import standardize
from data_foundry.report import Action
from tests.preprocessing.audio_builders import bursts, encoded, tone
from tests.preprocessing.raw_builders import (
    AUDIO_TYPE,
    COMMENTS,
    DIALECTS,
    INDICVOICES,
    NEWS,
    SPEECH_WITH_ENGLISH,
    STT,
    TOKEN_ROW,
    TOKEN_TYPES,
    TOKENS,
    clip,
    ingest,
    mixed_rows,
    parquet_bytes,
    speech,
    wav,
)

WORDS = ("ഇന്ന്", "നല്ല", "മഴ", "പെയ്തു", "നാളെ", "ബസ്", "എപ്പോൾ", "വരും", "കറണ്ട്", "പോയി", "ബിൽ", "അടച്ചു")
NUMBER = "90000 12045"
BROKEN = "not a line of JSON"


def sentence(number: int) -> str:
    """One of many sentences, none like another."""
    return " ".join(WORDS[(number // 12**place + 5 * place) % 12] for place in range(5)) + f" {number}"


def _speech() -> dict[str, bytes]:
    rows = mixed_rows(14)
    rows += [
        clip(wav(tone(2.0)), f"എന്റെ നമ്പർ {NUMBER} ആണ്"),
        clip(wav(bursts(1.2, 0.3, 9)), sentence(700)),
        clip(wav(tone(1.5, frequency=300)), f"അവൻ {sentence(701)}"),
        clip(wav(tone(1.5, frequency=300)), f"അവൻ {sentence(701)}"),
        clip(wav(tone(1.4, frequency=350)), f"അവന്\u200d {sentence(701)}"),
    ]
    tests = [clip(encoded(tone(1.5, 8_000, 250 + 40 * at), 8_000, "alaw"), sentence(720 + at)) for at in range(3)]
    return {**speech(*rows), **speech(*tests, split="test")}


def _folder() -> dict[str, bytes | str]:
    chunked = np.concatenate([tone(2.0, frequency=200 * at) for at in (1, 2, 3, 4)])
    chunks = [
        {"start": 0.5, "end": 2.0, "text": sentence(740)},
        {"start": 2.5, "end": 4.0, "text": "all of this is English", "speaker_id": "S9"},
        {"start": 5.0, "end": 7.0, "text": sentence(741)},
    ]
    records = [
        {"file_name": "Data/Train/a.wav", "sentence": sentence(742), "verbatim": chunks, "district": "Kannur"},
        {"file_name": "Data/Train/b.wav", "sentence": sentence(743), "speaker_id": "S2", "district": "Kollam"},
        {"file_name": "Data/Valid/c.wav", "sentence": sentence(744), "speaker_id": "S3", "district": "Ernakulam"},
        {"file_name": "Data/Train/gone.wav", "sentence": sentence(745)},
    ]
    lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in records)
    sounds = {"Train/a.wav": chunked, "Train/b.wav": tone(2.0, 48_000, 500), "Valid/c.wav": tone(2.2, 16_000, 600)}
    rates = {"Train/b.wav": 48_000}
    payloads = {f"Data/{name}": wav(samples, rates.get(name, 16_000)) for name, samples in sounds.items()}
    return {"metadata.jsonl": lines, **payloads, "Data/Train/stray.wav": wav(tone(1.0))}


def _pairs() -> dict[str, bytes]:
    rows = [
        {**clip(wav(tone(1.5, frequency=700 + 30 * at))), "translation": f"It rains on day {at}."} for at in range(6)
    ]
    for at, row in enumerate(rows):
        row["text"] = sentence(760 + at)
        del row["transcript"]
    types = {"audio": AUDIO_TYPE, "text": pa.string(), "translation": pa.string()}
    return {"data/train-00000-of-00001.parquet": parquet_bytes(rows, types)}


def _news(first: int) -> str:
    rows = [json.dumps({"news": sentence(first + at), "class": at % 4}, ensure_ascii=False) for at in range(40)]
    return "\n".join([*rows[:20], BROKEN, *rows[20:], rows[3], rows[7]])


RAW = {
    STT: _speech,
    INDICVOICES: _folder,
    SPEECH_WITH_ENGLISH: _pairs,
    TOKENS: lambda: {
        "data/train-0.parquet": parquet_bytes(
            [{**TOKEN_ROW, "text": sentence(800 + at), "nano_layer_1": [at] * 25} for at in range(8)], TOKEN_TYPES
        )
    },
    NEWS: lambda: {"malayalam-train.jsonl": _news(0), "malayalam-test.jsonl": _news(900)},
    COMMENTS: lambda: {
        "a.tsv": "".join(f"{('Positive', 'Negative')[at % 2]}\tpadam kollam {sentence(at)}\n" for at in range(30))
    },
    DIALECTS: lambda: {
        "Dialects - Sheet1.csv": 'id, translation ,dialect,\n1,"ഒന്ന്, രണ്ട്",malabar,\n2,"വരി\nമാറി",cochin,\n'
    },
}


def phase(module, settings: Settings) -> None:
    """Run a phase in place, but for what its manifests say is done."""
    for step in module.plan(settings, Lake(settings)):
        if step.action is Action.RUN:
            module.run_step(settings, step)


def settings_for(base: Path, **flags: object) -> Settings:
    """Settings under which every layout of row reaches gold: short segments, and datasets of any licence."""
    given = {"audio": {"max_segment_seconds": 5.0}, "licensing": {"commercial_use": False}, "datasets": [*RAW]}
    return load_settings(flags={"base_path": str(base), "workers": 0, **given, **flags}, environ={})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Every dataset of RAW in raw, silver and gold; nobody writes there."""
    settings = settings_for(tmp_path_factory.mktemp("lineage") / "base")
    for name, files in RAW.items():
        ingest(Lake(settings), name, files())
    phase(standardize, settings)
    phase(allocate, settings)
    return settings


@pytest.fixture
def copied(made: Settings, tmp_path: Path) -> Settings:
    """A copy of that lake, for a test to damage."""
    shutil.copytree(made.base_path, tmp_path / "base")
    return made.model_copy(update={"base_path": tmp_path / "base"})


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Change a file of the lake and let its manifest vouch for it: rewrite(lake, layer, name, path, change)."""

    def change_file(lake: Lake, layer: Layer, name: str, path: str, change: Callable[[Path], None]) -> None:
        manifest = lake.manifest(layer, name)
        assert manifest is not None
        target = lake.folder(layer, name) / path
        change(target)
        files = [
            file.model_copy(update={"sha256": sha256_file(target), "bytes": target.stat().st_size})
            if file.path == path
            else file
            for file in manifest.files
        ]
        altered: Manifest = manifest.model_copy(update={"files": tuple(files)})
        (lake.folder(layer, name) / "manifest.json").write_text(altered.text, encoding="utf-8")

    return change_file


def change_cell(column: str, row: int, value: object) -> Callable[[Path], None]:
    """Return what gives one cell of a Parquet file another value and leaves all others."""

    def change(path: Path) -> None:
        table = pq.read_table(path)
        cells = table[column].to_pylist()
        cells[row] = value(cells[row]) if callable(value) else value
        at = table.schema.get_field_index(column)
        pq.write_table(table.set_column(at, table.schema.field(at), pa.array(cells, table.schema.field(at).type)), path)

    return change
