"""verify --splits: whoever edits gold is found out, by what the files hold and not by what was remembered of them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from allocation.silver_builders import (
    TEXT_PAIRS,
    by_telephone,
    heard,
    labelled_texts,
    publish_silver,
    silver_row,
    spoken_rows,
    voice,
    words,
)

from data_foundry import __main__ as command
from data_foundry.allocation import allocate
from data_foundry.commands.split_check import KEYS, _Rows
from data_foundry.compute import run_steps
from data_foundry.config import Settings
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action

REGIONS = ["Kollam", "Thrissur", "Kannur"]


@pytest.fixture
def research(with_settings) -> Settings:
    return with_settings(licensing={"commercial_use": False}, engines=["stt", "dialect", "nlu"])


@pytest.fixture
def gold(research):
    """Make gold of speech and of texts, nothing of it linked but by speaker; returns each engine's folder."""
    rows = spoken_rows({f"s{n}": REGIONS[n % 3] for n in range(12)}, each=2)
    rows = [{**row, **heard(voice(number, 1.5)), "text": words(number, 7)} for number, row in enumerate(rows)]
    rows += labelled_texts(60) + [
        silver_row(TEXT_PAIRS, n, malayalam_ratio=1.0, text=words(3000 + n, 6)) for n in range(9)
    ]
    lake = Lake(research)
    publish_silver(lake, rows)
    steps = [step for step in allocate.plan(research, lake) if step.action is Action.RUN]
    assert all(result.outcome != "failed" for result in run_steps(allocate.run_step, research, steps))
    return {engine: lake.folder(Layer.GOLD, engine) for engine in ("stt", "dialect", "nlu")}


@pytest.fixture
def verify(research, capfd):
    def run(*engines: str) -> tuple[int, dict]:
        code = command.main(["verify", "--splits", "--json", "--base-path", str(research.base_path), *engines])
        return code, json.loads(capfd.readouterr().out)

    return run


def kinds(found: dict) -> set[str]:
    return {fault["kind"] for fault in found["faults"]}


def rows_of(folder, split: str) -> pa.Table:
    return pq.read_table(folder / split / "part-00000.parquet")


def put(folder, split: str, rows: pa.Table) -> None:
    pq.write_table(pa.concat_tables([rows_of(folder, split), rows]), folder / split / "part-00000.parquet")


def with_values(rows: pa.Table, **values) -> pa.Table:
    """The first row with other values, and an origin of its own."""
    row = rows.slice(0, 1).to_pylist()[0] | {"row_id": "e" * 16, "source_row": 99_999, "group": "d" * 16} | values
    return pa.Table.from_pylist([row], schema=rows.schema)


def test_what_phase_3_made_has_no_fault(gold, verify):
    code, found = verify()
    assert code == 0 and found["faults"] == [] and set(found["rows"]) >= {"stt", "dialect", "nlu"}
    assert found["rows"]["nlu"]["domain"] == 9 and found["rows"]["stt"]["test_phone"] == found["rows"]["stt"]["test"]


def test_a_test_row_copied_into_train_is_named(gold, verify):
    copied = rows_of(gold["stt"], "test").slice(0, 1)
    put(gold["stt"], "train", copied)
    code, found = verify("stt")
    assert code == 1 and {"row_id", "group", "recording", "speaker", "text", "audio", "certificate"} <= kinds(found)
    row_id = copied["row_id"][0].as_py()
    fault = next(fault for fault in found["faults"] if fault["kind"] == "row_id")
    assert fault["rows"] == [f"test/{row_id}", f"train/{row_id}"] and fault["engine"] == "stt"


@pytest.mark.parametrize(
    ("kind", "take"),
    [
        ("speaker", lambda row: {"speaker": row["speaker"], "dataset": row["dataset"]}),
        ("text", lambda row: {"text": row["text"] + "!"}),
        ("near_text", lambda row: {"text": row["text"] + " മഴ"}),
        ("audio", lambda row: {"audio": row["audio"]}),
    ],
)
def test_one_value_of_a_test_row_in_train_is_found_by_its_method(gold, verify, kind, take):
    test = rows_of(gold["stt"], "test").to_pylist()[0]
    alone = {"speaker": None, "text": words(7_777, 6), "audio": heard(voice(7_777, 1.5))["audio"]}
    put(gold["stt"], "train", with_values(rows_of(gold["stt"], "train"), **{**alone, **take(test)}))
    _, found = verify("stt")
    equal = {"text": {"near_text"}, "audio": {"near_audio"}}
    assert kinds(found) - {"certificate"} - equal.get(kind, set()) == {kind}
    fault = next(fault for fault in found["faults"] if fault["kind"] == kind)
    assert "train/" + "e" * 16 in fault["rows"] and f"test/{test['row_id']}" in fault["rows"]


def test_a_test_clip_that_came_back_by_telephone_is_found(research, gold, verify):
    test = rows_of(gold["stt"], "test").to_pylist()[0]
    number = test["source_row"]
    edited = with_values(
        rows_of(gold["stt"], "train"),
        speaker=None,
        text=words(7_778, 6),
        audio=heard(by_telephone(voice(number, 1.5)))["audio"],
    )
    put(gold["stt"], "train", edited)
    assert kinds(verify("stt")[1]) - {"certificate"} == {"near_audio"}


def test_an_engine_that_shares_audio_is_checked_against_the_other(gold, verify):
    sound = heard(voice(7_779, 1.5))["audio"]
    for engine, split, text in (("stt", "test", words(7_779, 6)), ("dialect", "train", words(7_780, 6))):
        edited = with_values(
            rows_of(gold[engine], split), row_id=f"{engine:x>16}", speaker=None, text=text, audio=sound
        )
        put(gold[engine], split, edited)
    found = verify("stt", "dialect")[1]
    told = {fault["kind"]: fault for fault in found["faults"] if fault["engine"] == "dialect and stt"}
    assert told["audio"]["rows"] == ["test/" + f"{'stt':x>16}", "train/" + f"{'dialect':x>16}"]
    for engine in ("stt", "dialect"):
        found = verify(engine)[1]
        assert told["audio"] in [fault for fault in found["faults"] if fault["kind"] == "audio"]
        assert {fault["engine"] for fault in found["faults"]} == {engine, "dialect and stt"}
        assert list(found["rows"]) == [engine]


@pytest.mark.parametrize("more", [["--repair"], ["--layer", "silver"]])
def test_what_does_not_go_with_the_splits_is_refused(gold, research, capfd, more):
    base = ["--base-path", str(research.base_path)]
    assert command.main(["verify", "--splits", *more, *base]) == 2
    assert f"{more[0]} does not go with it" in capfd.readouterr().err


def test_every_kind_of_link_is_checked_again():
    from data_foundry.allocation.candidates import NEAR
    from data_foundry.allocation.links import LINKS

    assert set(LINKS) - set(NEAR) <= set(KEYS) and set(NEAR) == {kind for kind, _ in _Rows().checks()} - set(KEYS)
    for kind in set(LINKS) & set(KEYS):
        assert set(KEYS[kind][0]) == set(LINKS[kind].columns), kind


def test_a_held_out_text_among_the_unlabelled_is_found_and_a_train_text_is_none(gold, verify):
    rows = rows_of(gold["nlu"], "domain")
    put(gold["nlu"], "domain", with_values(rows, text=rows_of(gold["nlu"], "train")["text"][0].as_py()))
    assert kinds(verify("nlu")[1]) == {"certificate"}
    put(
        gold["nlu"],
        "domain",
        with_values(rows, row_id="c" * 16, source_row=8, text=rows_of(gold["nlu"], "test")["text"][0].as_py()),
    )
    found = verify("nlu")[1]
    assert "text" in kinds(found)


def test_a_published_evaluation_row_in_train_is_found(gold, verify):
    rows = rows_of(gold["nlu"], "train")
    put(gold["nlu"], "train", with_values(rows, text=words(5_555, 6), source_split="kathbath"))
    assert kinds(verify("nlu")[1]) == {"certificate", "published"}


def test_a_phone_row_whose_own_row_stands_elsewhere_is_found(gold, verify):
    heard_rows = rows_of(gold["stt"], "test_phone")
    put(gold["stt"], "test_phone", with_values(heard_rows, speaker=None, text=words(5_556, 6)))
    assert kinds(verify("stt")[1]) == {"phone"}


def test_a_person_reads_which_rows_leak(gold, research, capfd):
    put(gold["nlu"], "train", rows_of(gold["nlu"], "test").slice(0, 1))
    assert command.main(["verify", "--splits", "nlu", "--base-path", str(research.base_path)]) == 1
    out = capfd.readouterr().out
    row_id = rows_of(gold["nlu"], "test")["row_id"][0].as_py()
    assert f"  test/{row_id}\n  train/{row_id}\n" in out and "nlu: text: the same on two sides (train and test)" in out


def test_a_file_that_can_not_be_read_is_named(gold, verify, research, capfd):
    (gold["nlu"] / "train" / "part-00000.parquet").write_bytes(b"PAR1")
    assert command.main(["verify", "--splits", "nlu", "--base-path", str(research.base_path)]) == 2
    assert "part-00000.parquet can't be read" in capfd.readouterr().err
