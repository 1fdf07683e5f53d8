"""The four repositories without sound: speech-translation pairs, nine dialect lines, news topics, comments."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from sample.corpus import Utterance, utterances
from sample.mess import fresh_repository, legacy_chillus, mojibake, write_lines, write_parquet
from sample.pool import Pool

INDICST = "Be-win/IndicST-malayalam-only"
DIALECTS = "Aby003/Malayalam_Dialects"
NEWS = "Sakshamrzt/IndicNLP-Malayalam"
COMMENTS = "wlkla/Malayalam_first_ready_for_sentiment"
NEWS_CLASSES = ("business", "entertainment", "sports", "technology")  # the integers 0 to 3 of the column "class"

_INDICST_COLUMNS = ("path", "text", "task", "source_text", "source_language", "tar_lang")
_INDICST_CARD = """
language:
- ml
- en
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: dev
    path: data/dev-*
  - split: test
    path: data/test-*
  - split: kathbath
    path: data/kathbath-*
"""
_NEWS_CARD = """
license: cc-by-nc-4.0
language:
- ml
task_categories:
- text-classification
configs:
- config_name: train
  data_files:
  - split: train
    path: malayalam-train.jsonl
  - split: test
    path: malayalam-test.jsonl
"""


def write_indicst(datasets: Path, train: Pool, validation: Pool, test: Pool, shared: list[Utterance]) -> None:
    """Write IndicST: text only, 900/80/120/60 rows of transcripts and of both directions of translation.

    ``shared`` are texts of another repository that stand here too. Planted: exact duplicates, null and empty texts,
    English that is Malayalam, legacy chillus, and rows of ``kathbath`` that ``test`` also has.
    """
    folder = fresh_repository(datasets, INDICST, _INDICST_CARD)
    rng = random.Random("indicst")
    rows = _indicst_rows(train.take(430) + shared[:45], "train", 872, rng)
    for place in range(7, len(rows), 19):
        rows[place] |= {key: legacy_chillus(rows[place][key]) for key in ("text", "source_text")}
    rows += [dict(row) for row in rng.sample(rows, 28)]
    rng.shuffle(rows)
    into_english = [row for row in rows if row["tar_lang"] in ("english", "en")]
    for place, row in enumerate(rng.sample(into_english, 14)):
        row["text"] = None if place < 4 else "" if place < 8 else row["source_text"]
    held = _indicst_rows(test.take(140), "test", 180, rng)
    splits = {
        "train": rows,
        "dev": _indicst_rows(validation.take(50), "dev", 80, rng),
        "test": held[:120],
        "kathbath": [row | {"path": row["path"].replace("/test/", "/kathbath/")} for row in held[105:165]],
    }
    _write_indicst(folder, splits)


def _indicst_rows(texts: list[Utterance], split: str, count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Rows of three tasks: a third transcripts, a third each English and Malayalam translations."""
    rows: list[dict[str, Any]] = []
    tasks = ("ast", "asr", "en", "ast", "en", "asr")
    for turn in range(6):
        for place, item in enumerate(texts):
            task = tasks[(place + turn) % 6]
            number = f"{rng.randrange(10**10):010d}"
            corpus = rng.choice(("shrutilipi", "kathbath", "indictts", "commonvoice"))
            short = rng.random() < 0.06  # a few rows say "ml" where the rest say "malayalam"
            malayalam, english = ("ml", "en") if short else ("malayalam", "english")
            if task == "en":
                text, source, spoken, target = item.text, item.english, english, malayalam
            else:
                text = item.text if task == "asr" else item.english
                source, spoken, target = item.text, malayalam, malayalam if task == "asr" else english
            folder = f"/data/speech/indic_st/{'english' if task == 'en' else 'malayalam'}/{corpus}/{split}"
            values = (f"{folder}/{number}.wav", text, "asr" if task == "asr" else "ast", source, spoken, target)
            rows.append(dict(zip(_INDICST_COLUMNS, values, strict=True)))
            if len(rows) == count:
                rng.shuffle(rows)
                return rows
    raise ValueError(f"{len(texts)} texts make fewer than {count} rows")


def _write_indicst(folder: Path, splits: dict[str, list[dict[str, Any]]]) -> None:
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in _INDICST_COLUMNS])
    features = {name: {"dtype": "string", "_type": "Value"} for name in _INDICST_COLUMNS}
    for split, rows in splits.items():
        write_parquet(rows, schema, folder / "data" / f"{split}-00000-of-00001.parquet", features)


def write_dialects(datasets: Path) -> None:
    """Write Malayalam_Dialects: nine romanised or English lines under ``id,translation``, and no more."""
    folder = fresh_repository(datasets, DIALECTS)
    lines = (
        "Entharu veetil current illa annaa",
        '"Ningal evide pokunnu, ivide irikku"',
        "My bill has not come this month",
        "Enthoottaa gadi recharge aayille",
        "Njammale connection eppo sheriyaakum",
        "Please tell me the balance",
        '"Oru agent-inodu samsaarikkanam, vegam"',
        "Inganeyaanu avar parayunnathu",
        "Phone number maattanam ennu paranju",
    )
    write_lines(["id,translation", *(f"{place},{line}" for place, line in enumerate(lines, start=1))],
                folder / "Dialects - Sheet1.csv")  # fmt: skip


def write_news(datasets: Path) -> None:
    """Write IndicNLP-Malayalam: 600 and 300 paragraphs with a topic, in a configuration named ``train``.

    Planted: four duplicates, one English article, one mojibake, one empty.
    """
    folder = fresh_repository(datasets, NEWS, _NEWS_CARD)
    train = _news_rows(utterances("news", "train", 536, seed=21) + utterances("news", "validation", 60, seed=21))
    test = _news_rows(utterances("news", "test", 300, seed=21))
    train += [dict(train[place]) for place in (3, 44, 105, 266)]
    train[50]["news"] = (
        "The company said on Monday that exports rose by ten percent. Traders in Kochi welcomed the report."
    )
    train[50]["class"] = NEWS_CLASSES.index("business")
    train[150]["news"] = mojibake(train[150]["news"])
    test[77]["news"] = ""
    random.Random("news").shuffle(train)
    for name, rows in (("malayalam-train.jsonl", train), ("malayalam-test.jsonl", test)):
        write_lines([json.dumps(row, ensure_ascii=False) for row in rows], folder / name)


def _news_rows(paragraphs: list[Utterance]) -> list[dict[str, Any]]:
    return [{"news": item.text, "class": NEWS_CLASSES.index(item.label)} for item in paragraphs]


def write_comments(datasets: Path) -> None:
    """Write the sentiment TSV: 640-odd code-mixed comments under ``label`` and ``query``, in the published imbalance.

    Planted: trailing blanks on labels, unbalanced quotes, comments that stand twice, one unknown label, one row without
    its second column, one without its first, one with a third.
    """
    folder = fresh_repository(datasets, COMMENTS)
    rng = random.Random("comments")
    items = [*utterances("comment", "train", 420, seed=31), *utterances("comment", "validation", 80, seed=31)]
    items += utterances("comment", "test", 125, seed=31)
    rng.shuffle(items)
    lines = [f"{item.label}{' ' if rng.random() < 0.12 else ''}\t{item.text}" for item in items]
    for place in (60, 190, 333, 480):
        lines[place] = f'{lines[place]} "super'  # a quote that never closes, late in the field
    for place in (120, 123):
        label, _, query = lines[place].partition("\t")
        lines[place] = f'{label}\t"{query}'  # one at its start: a reader that honours quotes swallows the rows between
    lines += [lines[place] for place in rng.sample(range(len(lines)), 12)]
    lines[250:250] = ["Negativ?\tsound paali poyi, 2 minute kandu", "Positive"]
    lines += ["\tveruthe oru comment, label marannu poyi", "Positive\tnalla padam aanu\tveendum kaanum"]
    write_lines(["label\tquery", *lines], folder / "Malayalam_first_ready_for_sentiment.tsv")
