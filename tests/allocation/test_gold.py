"""Gold rows and their card: what is derived, codecs of any layers, licences, and what the client of the Hub opens."""

import json
import random
import re

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from allocation.silver_builders import (
    CODEC_TOKENS,
    COMMENTS,
    NINE_ROWS,
    SPEECH,
    TEXT_PAIRS,
    labelled_texts,
    publish_silver,
    silver_row,
    spoken_rows,
    words,
)
from data_foundry.allocation import gold
from data_foundry.allocation.licences import obligations
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.lake import Lake, Layer
from data_foundry.licence_terms import refusal
from data_foundry.records import SilverRow, arrow_schema

INTENTS = "data-foundry/malayalam-ivr-intents"
SPEAKERS = {f"s{n}": ["Kollam", "Thrissur", "Kannur"][n % 3] for n in range(18)}


@pytest.fixture
def research(with_settings):
    return with_settings(licensing={"commercial_use": False})


def projected(engine: str, rows: list[dict], **made: list) -> list[dict]:
    """Return the gold rows that silver rows become."""
    silver = pa.Table.from_pylist(rows, schema=arrow_schema(SilverRow))
    split = {"group": ["0" * 16] * len(rows), "sampling_weight": [1.0] * len(rows)}
    return gold._process_for_target_engine(AIEngine(engine), silver, {**split, **made}).to_pylist()


def card_of(settings, engine: str) -> tuple[dict, str]:
    """Return the YAML head of a gold set's card, and the card."""
    text = (Lake(settings).folder(Layer.GOLD, engine) / "README.md").read_text(encoding="utf-8")
    return yaml.safe_load(text.split("---")[1]), text


def intents(count: int = 64) -> list[dict]:
    """Return rows as the bundled intents become in silver: an intent, a template, its licence."""
    names = sorted({*DATASET_REGISTRY[INTENTS].labels.values()})
    licence = DATASET_REGISTRY[INTENTS].licence
    return [
        silver_row(
            INTENTS, n, label=names[n % len(names)], prompt=f"t{n // 2}", text=words(9000 + n, 6), licence=licence
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("layers", [1, 4, 8])
def test_codec_tokens_of_any_number_of_layers_come_through_gold_unchanged(layers, research, run_phase3, read_gold):
    draw = random.Random(layers)
    codes = [[[draw.randrange(4032) for _ in range(3 + n % 5)] for _ in range(layers)] for n in range(40)]
    rows = [silver_row(CODEC_TOKENS, n, codes=tokens, codec=f"{layers} layers") for n, tokens in enumerate(codes)]
    publish_silver(Lake(research), rows)
    assert run_phase3(research)["tts"].rows_out == 40
    found = read_gold(research, "tts")
    read = {row["row_id"]: row for split in ("train", "validation", "test") for row in found[split]}
    assert {row["row_id"]: row["codes"] for row in rows} == {name: row["codes"] for name, row in read.items()}
    assert {row["codec"] for row in read.values()} == {f"{layers} layers"}


def test_codecs_of_different_layers_stand_in_one_gold_set_and_their_card_tells_them_apart(
    research, run_phase3, read_gold
):
    other = "Praha-Labs/imasc_slr_Malayalam-nano-codec"
    rows = [silver_row(CODEC_TOKENS, n, codes=[[n]] * 4, codec="four") for n in range(20)]
    rows += [silver_row(other, 50 + n, codes=[[n, 7]] * 8, codec="eight") for n in range(20)]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    found = read_gold(research, "tts")
    for split in ("train", "validation", "test"):
        assert {(row["codec"], len(row["codes"])) for row in found[split]} == {("four", 4), ("eight", 8)}
    _, card = card_of(research, "tts")
    codec = DATASET_REGISTRY[other].codec
    assert f"| {other} | {codec.name} | 4 | 4032 | 12.5 | 22050 |" in card


def test_values_that_the_allocation_makes_come_before_derived_ones_and_those_before_silvers():
    rows = [silver_row(SPEECH, n, sound=n, district="Kollam") for n in (1, 2)]
    first, second = projected("stt", rows, channel=["phone", "clean"], sampling_weight=[0.5, 2.0])
    assert (first["channel"], first["dialect"], first["label_source"]) == ("phone", "travancore", "district proxy")
    assert (second["channel"], second["sampling_weight"], second["text"]) == ("clean", 2.0, rows[1]["text"])


@pytest.mark.parametrize("spec", ENGINES.values(), ids=ENGINES)
def test_a_gold_schema_has_the_kind_of_every_derived_column(spec):
    schema = gold.gold_schema(spec)
    assert schema.names == list(spec.gold_columns) and schema.field("sampling_weight").type == pa.float64()
    kinds = {"string": pa.string(), "bool": pa.bool_(), "float64": pa.float64()}
    assert {name: schema.field(name).type for name in spec.derived} == {n: kinds[k] for n, k in spec.derived.items()}


def test_sentiment_gold_keeps_the_polarity_as_found_beside_what_the_line_makes_of_it():
    rows = [
        silver_row(COMMENTS, 1, label="negative", flags=["romanised"], text="mosham padam"),
        silver_row(COMMENTS, 2, label="not_malayalam"),
    ]
    found = projected("sentiment", rows)
    assert [(r["label"], r["ivr_label"], r["code_mixed"]) for r in found] == [
        ("negative", "frustration", True),
        ("not_malayalam", None, False),
    ]


def test_speech_to_text_gold_keeps_the_text_as_found_beside_the_one_to_learn():
    found = silver_row(SPEECH, 1, sound=1, text="അവൻ വന്നു", text_raw="അവന്\u200d വന്നു !")
    [row] = projected("stt", [found], channel=["clean"], channel_parameters=[None])
    assert (row["text"], row["text_raw"]) == ("അവൻ വന്നു", "അവന്\u200d വന്നു !")
    assert not [engine for engine, spec in ENGINES.items() if "text_raw" in spec.columns and engine != "stt"]


def test_translation_gold_says_in_which_direction_and_whether_a_machine_wrote_the_reference():
    (row,) = projected("translation", [silver_row(TEXT_PAIRS, 1, translation="It rains.", direction="ml-en")])
    assert (row["direction"], row["synthetic_reference"]) == ("ml-en", True)


def test_text_for_the_domain_says_whether_a_machine_wrote_its_malayalam(research, run_phase3, read_gold):
    rows = [
        silver_row(TEXT_PAIRS, n, translation=f"Rain {n}.", direction=direction, malayalam_ratio=1.0, text=words(n, 9))
        for n, direction in enumerate(["en-ml", "ml-en"] * 3)
    ]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    directions = {row["row_id"]: row["direction"] for row in rows}
    found = read_gold(research, "nlu")["domain"]
    assert len(found) == 6
    assert {(directions[r["row_id"]], r["machine_translated"]) for r in found} == {("en-ml", True), ("ml-en", False)}
    assert "- `machine_translated`: whether the Malayalam is a machine's" in card_of(research, "nlu")[1]
    assert "(the English of ml-en, the Malayalam of en-ml)" in card_of(research, "translation")[1]


def test_speech_to_text_gold_and_its_certificate_count_the_dialects(research, run_phase3, read_gold):
    publish_silver(Lake(research), spoken_rows(SPEAKERS))
    run_phase3(research)
    rows = [row for split in ("train", "validation", "test") for row in read_gold(research, "stt")[split]]
    assert {row["dialect"] for row in rows} == {"travancore", "cochin", "malabar"}
    assert {row["label_source"] for row in rows} == {"district proxy"}
    counts = json.loads((Lake(research).folder(Layer.GOLD, "stt") / "splits.json").read_text())["balance"]["dialect"]
    assert {name: sum(sides.values()) for name, sides in counts.items()} == dict.fromkeys(counts, 24)
    _, card = card_of(research, "stt")
    assert re.search(r"\| malabar \| \d+ \| \d+ \| \d+ \|", card) and "district proxy" in card
    # What a dialect gold is stratified by is its dialects: they are counted once.
    assert card_of(research, "dialect")[1].count("| malabar |") == 1


def test_for_commercial_use_the_bundled_intents_alone_train_understanding(with_settings, run_phase3, read_gold):
    settings = with_settings(licensing={"commercial_use": True})
    unknown = [silver_row(CODEC_TOKENS, n, label="recharge", licence="unknown") for n in range(72)]
    publish_silver(Lake(settings), [*intents(), *labelled_texts(30), *unknown])
    result = run_phase3(settings)["nlu"]
    assert result.rejected == {"licence_non_commercial": 30, "licence_unknown": 72} and result.rows_out == 64
    found = read_gold(settings, "nlu")
    rows = [row for split in ("train", "validation", "test") for row in found[split]]
    assert {row["label_kind"] for row in rows} == {"intent"} and {row["dataset"] for row in rows} == {INTENTS}
    head, card = card_of(settings, "nlu")
    entry = DATASET_REGISTRY[INTENTS]
    assert refusal(INTENTS, entry.licence) is None and head["license"] == [entry.licence.lower()]
    owed = ", ".join(obligations(INTENTS, entry.licence)) or "none"
    assert f"| {INTENTS} | {entry.licence} | 64 | {owed} |" in card
    assert "The run was for commercial use" in card


@pytest.mark.parametrize("commercial_use", [True, False])
def test_every_gold_row_stands_under_a_licence_that_its_card_and_manifest_list(
    commercial_use, with_settings, run_phase3, read_gold
):
    settings = with_settings(licensing={"commercial_use": commercial_use})
    rows = intents(32) + [dict(row, licence="cc-by-nc-sa-4.0") for row in labelled_texts(30)]
    rows += [silver_row(CODEC_TOKENS, n, codes=[[n]] * 4, codec="c") for n in range(20)]
    rows += [silver_row(NINE_ROWS, n, text=words(n, 9), malayalam_ratio=1.0, licence="unknown") for n in range(9)]
    publish_silver(Lake(settings), rows)
    run_phase3(settings)
    for engine in ("nlu", "tts"):
        manifest = Lake(settings).manifest(Layer.GOLD, engine)
        held = [f for f in manifest.files if f.path.split("/")[0] in ("train", "validation", "test", "domain")]
        folder = Lake(settings).folder(Layer.GOLD, engine)
        rows = [row for f in held for row in pq.read_table(folder / f.path, columns=["dataset", "licence"]).to_pylist()]
        listed = {(line["dataset"], line["licence"]): line["rows"] for line in manifest.details["licences"]}
        assert listed == {pair: sum((r["dataset"], r["licence"]) == pair for r in rows) for pair in listed}
        assert len(rows) == sum(listed.values()) == manifest.rows_out > 0
        for dataset, licence in listed:
            assert not commercial_use or refusal(dataset, licence) is None
        assert all(
            line["obligations"] == obligations(line["dataset"], line["licence"])
            for line in manifest.details["licences"]
        )


def test_load_dataset_opens_every_split_with_the_same_columns(research, run_phase3, tmp_path):
    rows = intents() + [silver_row(NINE_ROWS, n, text=words(n, 9), malayalam_ratio=1.0) for n in range(9)]
    publish_silver(Lake(research), [*rows, *spoken_rows(SPEAKERS)])
    run_phase3(research)
    for engine, extra in (("nlu", "domain"), ("stt", "test_phone")):
        folder = Lake(research).folder(Layer.GOLD, engine)
        opened = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
        head, card = card_of(research, engine)
        named = [file["split"] for file in head["configs"][0]["data_files"]]
        assert list(opened) == named == ["train", "validation", "test", extra]
        assert {tuple(split.column_names) for split in opened.values()} == {ENGINES[engine].gold_columns}
        assert f"`{extra}` " in card and "- `sampling_weight`: how much a row should count" in card
    phone = opened["test_phone"].cast_column("audio", datasets.Audio(decode=False))
    assert phone["row_id"] == opened["test"]["row_id"] and set(phone["channel"]) == {"phone"}
    assert set(opened["test"]["channel"]) == {"clean"} and set(opened["test"]["channel_parameters"]) == {None}
    assert all(json.loads(said)["channel"]["codec"] for said in phone["channel_parameters"])
    assert "- `channel`: `clean`, or `phone`" in card and "same `row_id`" in card


def test_the_card_holds_the_whole_routing_matrix(research, run_phase3):
    rows = [*spoken_rows(SPEAKERS), *labelled_texts(30)]
    rows += [silver_row(NINE_ROWS, n, text=words(n, 9), malayalam_ratio=1.0) for n in range(9)]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    for engine in ("stt", "nlu"):
        _, card = card_of(research, engine)
        assert f"| dataset | silver rows | {' | '.join(ENGINES)} |" in card
        assert f"| {NINE_ROWS} | 9 | 0 | **0** | 0 + 9 | 0 | 0 | 0 |" in card
        assert f"| {SPEECH} | 72 | **72** | 72 | 0 | 0 | 0 | 0 |" in card
        assert f"- {NINE_ROWS}: stt no_audio 9; dialect no_dialect_label 9; nlu no_intent_or_topic 9; " in card
    assert f"| {NINE_ROWS} | dialect | 9 | 0 | 0 | 9 | - | no_intent_or_topic 9 |" in card
