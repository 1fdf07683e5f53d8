"""The two codec-token repositories: text with four layers of codes, as a speech model's training set has them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from sample.codec import DECLARED_CODEBOOK_SIZE, fitted_codec
from sample.corpus import Utterance
from sample.mess import fresh_repository, legacy_chillus, write_parquet
from sample.pool import Clip, Pool, in_pairs, speak_all
from sample.speech import voices

RASA = "Praha-Labs/rasa-malayalam-nano-codec"
IMASC = "Praha-Labs/imasc_slr_Malayalam-nano-codec"
_LAYERS = [f"nano_layer_{layer}" for layer in range(1, 5)]
_CARD = """
license: cc-by-4.0
language:
- ml
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
"""


def write_imasc_tokens(datasets: Path, pool: Pool) -> list[Utterance]:
    """Write imasc_slr: 300 lines by four voices that the rows do not name, nine broken; returns the texts spoken."""
    clips = pool.speak(300, voices("train")[6:10])
    rows = _rows(clips)
    _break(rows, random.Random("imasc"))
    rows += [dict(rows[place]) for place in (10, 20, 30)]
    rows += [
        dict(rows[40], nano_layer_2=[]),
        dict(rows[41], nano_layer_4=None),
        dict(rows[42], nano_layer_1=[*rows[42]["nano_layer_1"][:3], None, *rows[42]["nano_layer_1"][4:]]),
    ]
    _write(rows, fresh_repository(datasets, IMASC, _CARD))
    return [clip.utterance for clip in clips]


def write_rasa_tokens(datasets: Path, pool: Pool, spoken: list[Utterance]) -> None:
    """Write rasa: 220 lines by one voice, 24 of them texts that imasc_slr also has, six broken."""
    voice = voices("train")[0]
    clips = pool.speak(196, (voice,)) + speak_all([(text, voice) for text in spoken[:24]])
    random.Random("rasa order").shuffle(clips)
    rows = _rows(clips)
    for row in rows[5::17]:
        row["text"] = legacy_chillus(row["text"])
    _break(rows, random.Random("rasa"))
    _write(rows, fresh_repository(datasets, RASA, _CARD))


def _rows(clips: list[Clip]) -> list[dict[str, Any]]:
    codec = fitted_codec()
    rows = []
    for clip, codes in zip(clips, in_pairs(lambda clip: codec.encode(clip.samples), clips), strict=True):
        row: dict[str, Any] = {"text": clip.utterance.text}
        row |= {name: layer.tolist() for name, layer in zip(_LAYERS, codes, strict=True)}
        rows.append(row | {"encoded_len": codes.shape[1]})
    return rows


def _break(rows: list[dict[str, Any]], rng: random.Random) -> None:
    """Spoil six rows: two unequal layers, two codes past the codebook, one wrong length, one empty text."""
    places = rng.sample(range(40, len(rows)), 6)
    for place in places[:2]:
        rows[place]["nano_layer_3"] = rows[place]["nano_layer_3"][:-4]
    rows[places[2]]["nano_layer_1"][5] = DECLARED_CODEBOOK_SIZE
    rows[places[3]]["nano_layer_4"][0] = 4095
    rows[places[4]]["encoded_len"] += 7
    rows[places[5]]["text"] = ""


def _write(rows: list[dict[str, Any]], folder: Path) -> None:
    import pyarrow as pa

    codes = pa.list_(pa.int64())
    fields = [("text", pa.string()), *((name, codes) for name in _LAYERS), ("encoded_len", pa.int64())]
    features: dict[str, Any] = {"text": {"dtype": "string", "_type": "Value"}}
    features |= {name: {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"} for name in _LAYERS}
    features["encoded_len"] = {"dtype": "int64", "_type": "Value"}
    write_parquet(rows, pa.schema(fields), folder / "data" / "train-00000-of-00001.parquet", features)
