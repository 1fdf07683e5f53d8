"""Builders of small repositories. The Malayalam was written for these tests; no native speaker checked it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SENTENCES = (
    "എന്റെ ബാലൻസ് എത്രയാണ്",
    "ബിൽ അടയ്ക്കാൻ സഹായിക്കണം",
    "നാളെ രാവിലെ പത്തു മണിക്ക് വിളിക്കൂ",
    "പുതിയ പ്ലാൻ ഏതൊക്കെയാണ്",
    "റീചാർജ് ചെയ്യണം",
    "ഇന്റർനെറ്റ് കിട്ടുന്നില്ല",
)
NEWS = "Sakshamrzt/IndicNLP-Malayalam"
COMMENTS = "wlkla/Malayalam_first_ready_for_sentiment"
DIALECTS = "Aby003/Malayalam_Dialects"
SPEECH = "Be-win/malayalam-speech-with-english-translation"
FOLDER_SPEECH = "CXDuncan/Malayalam-IndicVoices"
PAIRS = "Be-win/IndicST-malayalam-only"
TOKENS = "Praha-Labs/rasa-malayalam-nano-codec"

Files = dict[str, bytes]


def json_lines(rows: Sequence[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet(columns: Mapping[str, Sequence[Any]], **types: Any) -> bytes:
    """Return a Parquet file; `types` gives an Arrow type to columns whose cells do not tell it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: pa.array(list(cells), type=types.get(name)) for name, cells in columns.items()}
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays), sink)
    return sink.getvalue()


def tone(seconds: float, rate: int, form: str = "WAV", subtype: str | None = None) -> bytes:
    import numpy as np
    import soundfile

    samples = 0.2 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)
    sink = io.BytesIO()
    soundfile.write(sink, samples.astype("float32"), rate, format=form, subtype=subtype)
    return sink.getvalue()


def news(train: int = 5, test: int = 3) -> Files:
    def rows(count: int, offset: int) -> bytes:
        return json_lines([{"news": f"{SENTENCES[i % 6]} {offset + i}", "class": i % 4} for i in range(count)])

    card = b"---\nlicense: cc-by-nc-4.0\n---\n# News\n"
    return {"README.md": card, "malayalam-train.jsonl": rows(train, 0), "malayalam-test.jsonl": rows(test, 1000)}


def comments() -> Files:
    body = "label\tquery\nPositive\tpadam super aanu\nNegative \tkollilla machane\nMixed_feelings\tചില സീൻ നന്നായി\n"
    return {"Malayalam_first_ready_for_sentiment.tsv": body.encode()}


def write_hub(root: Path, datasets: Mapping[str, Mapping[str, bytes]], kind: str = "datasets") -> Path:
    for repo_id, files in datasets.items():
        for name, data in files.items():
            path = root / kind / repo_id / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return root
