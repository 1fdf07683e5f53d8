"""Builders of gold to be exported. The Malayalam is ours, made of syllables; no native speaker checked it."""

from __future__ import annotations

import io
import random
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry.engines import AIEngine
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.records import row_id

# Marks of tests that open exports with the real readers, which leave files to the garbage collector; `collected_here`
# closes them while their warnings are ignored, not in a later test.
READERS_LEAVE_FILES_OPEN = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected_here"),
]
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TERMS = {"owner/one": "cc-by-4.0", "owner/two": "cc-by-sa-4.0"}
# What JSON lines, tar members and readers that split lines in their own way could trip over.
HARD_TEXTS = ("മഴ\nവെയിൽ", "മല\u2028പുഴ\u2029കാട്\u0085", 'കട "ക്" \\ {a}', "ക്\u200dഷ 😀", "\r\x1c\x0b മതി", " അറ്റം ")
_SYLLABLES = ("ക", "മ", "ല", "ത", "പ", "ര", "കി", "മാ", "തു", "പോ")


def wav(number: int, samples: int | None = None) -> bytes:
    """Return a 16 kHz mono PCM16 WAV file of noise that is another one for every number."""
    sink, rng = io.BytesIO(), random.Random(number)
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(rng.randbytes(2 * (samples if samples is not None else 800 + number)))
    return sink.getvalue()


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Return a speech row of gold; the same number gives the same row."""
    rng, dataset = random.Random(number), sorted(TERMS)[number % 2]
    text = HARD_TEXTS[number] if number < len(HARD_TEXTS) else "".join(rng.choices(_SYLLABLES, k=9))
    return {
        "row_id": row_id(dataset, "data/train.parquet", number),
        "dataset": dataset,
        "revision": "a" * 40,
        "source_file": "data/../കഥ train.parquet",
        "source_row": number,
        "source_split": "train",
        "licence": TERMS[dataset],
        "flags": ["code_mixed"] if number % 3 else [],
        "group": f"{number // 2:016x}",
        "sampling_weight": 1 / (1 + number % 7),
        "audio": {"bytes": wav(number), "path": f"{number}.wav"},
        "text": text,
        "duration": (800 + number) / 16_000,
        "speaker": None if number % 5 == 0 else f"voice {number % 4}",
        "gender": "female" if number % 2 else None,
        "dialect": ("travancore", "cochin", "malabar")[number % 3],
        "channel": "clean",
        "channel_parameters": None,
        **changes,
    }


def text_row(number: int, **changes: Any) -> dict[str, Any]:
    """Return a row of gold without audio, with codec tokens."""
    made = row(number, codes=[[number, 2, 3], [4, 5, 6]], codec="test", **changes)
    return {name: value for name, value in made.items() if name not in ("audio", "duration", "channel")}


def splits(train: int = 9, validation: int = 3, test: int = 4) -> dict[str, list[dict[str, Any]]]:
    """Return rows of the usual splits, none of them twice, with the test rows once more over a phone line."""
    held = [row(number) for number in range(100, 100 + test)]
    over_phone = {"duration": 900 / 16_000, "channel": "phone", "channel_parameters": '{"codec": "a-law"}'}
    phone = [
        {**each, "audio": {"bytes": wav(1000 + number, 900), "path": "phone.wav"}, **over_phone}
        for number, each in enumerate(held)
    ]
    return {
        "train": [row(number) for number in range(train)],
        "validation": [row(number) for number in range(50, 50 + validation)],
        "test": held,
        "test_phone": phone,
    }


def publish_gold(
    lake: Lake,
    content: Mapping[str, Sequence[dict[str, Any]]],
    engine: AIEngine = AIEngine.STT,
    key: str = "gold 1",
    rows_a_part: int = 6,
) -> Manifest:
    """Publish gold with these rows in small parts, refused rows beside them, and the files that phase 3 adds."""
    with lake.commit(Layer.GOLD, engine, key) as commit:
        counts = {}
        for split, rows in content.items():
            for part, start in enumerate(range(0, len(rows), rows_a_part)):
                table = pa.Table.from_pylist(list(rows[start : start + rows_a_part]))
                if "audio" in table.column_names:
                    at = table.column_names.index("audio")
                    table = table.set_column(at, "audio", table["audio"].cast(AUDIO))
                path = f"{split}/part-{part:05d}.parquet"
                pq.write_table(table, commit.path(path), row_group_size=4)
                counts[path] = table.num_rows
        total = sum(counts.values())
        refused = pa.table({"row_id": ["0" * 16], "dataset": ["owner/one"], "reason": ["duplicate"]})
        pq.write_table(refused, commit.path("rejected/part-00000.parquet"))
        pq.write_table(refused, commit.path("assignments.parquet"))
        commit.path("README.md").write_text("# Gold\n", encoding="utf-8")
        commit.path("splits.json").write_text('{"certificate": "of these rows"}\n', encoding="utf-8")
        licences = [
            {"dataset": dataset, "licence": licence, "rows": total, "obligations": ["attribution"], "note": "as found"}
            for dataset, licence in TERMS.items()
        ]
        return commit.publish(
            rows={**counts, "rejected/part-00000.parquet": 1, "assignments.parquet": 1},
            rows_in=total + 1,
            rows_out=total,
            rejected={"duplicate": 1},
            details={"licences": licences},
        )


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its path, with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
