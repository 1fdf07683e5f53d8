"""The certificate of a gold set's splits, and the weights that balance its classes."""

import json

import numpy as np
import pytest

from allocation.silver_builders import SPEECH, TOPICS, labelled_texts, publish_silver, silver_row, spoken_rows, words
from data_foundry.allocation.certificate import sampling_weights
from data_foundry.config import Settings
from data_foundry.lake import Lake, Layer

SPLITS = ("train", "validation", "test")
DISTRICTS = {f"s{n}": ["Kollam", "Thrissur", "Kannur"][n % 3] for n in range(18)}


@pytest.fixture
def research(with_settings) -> Settings:
    return with_settings(licensing={"commercial_use": False}, engines=["stt", "dialect", "nlu"])


def certified(settings: Settings, engine: str) -> dict:
    found = json.loads((Lake(settings).folder(Layer.GOLD, engine) / "splits.json").read_text(encoding="utf-8"))
    assert found == Lake(settings).manifest(Layer.GOLD, engine).details["splits"]
    return found


def test_it_says_what_each_method_tied_and_that_it_adds_up(research, run_phase3):
    rows = spoken_rows(DISTRICTS, each=4)
    rows += [silver_row(SPEECH, 500 + n, sound=n, text=words(600 + n), district="Kollam") for n in range(3)]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    found = certified(research, "stt")
    tied = {kind: check["joins"] for kind, check in found["disjoint_by"].items() if check["joins"]}
    assert tied == {"speaker": 18 * 3, "audio": 3} and sum(found["groups"].values()) == len(rows) - sum(tied.values())
    assert found["disjoint_by"]["speaker"]["pairs"] == 18 * 6 and found["disjoint_by"]["audio"]["linked_rows"] == 6
    assert all(check["rows_on_two_sides"] == 0 for check in found["disjoint_by"].values())


def test_it_says_what_nobody_can_know(research, run_phase3):
    publish_silver(Lake(research), [*spoken_rows(DISTRICTS), silver_row(SPEECH, 900, sound=900, text=words(900))])
    run_phase3(research)
    found = certified(research, "stt")
    assert found["not_verified"]["speaker"] == {SPEECH: 1} and "translation" in found["not_linked"]
    assert found["disjoint_by"]["speaker"]["status"] == "unverified for 1 of 73 rows"
    assert "two datasets" in found["limits"]["speaker"]
    assert found["checked_together_with"] == ["dialect"] and found["shared_rows"] == {"dialect": 72}


def test_it_says_which_texts_are_too_short_to_be_compared(research, run_phase3):
    rows = [
        *labelled_texts(60),
        *(silver_row(TOPICS, 900 + n, label="sports", text=f"അതെ {'കമല'[n]}") for n in range(3)),
    ]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    found = certified(research, "nlu")
    near = found["disjoint_by"]["near_text"]
    assert near["status"] == "not compared for 3 of 63 rows" and near["rows_with_it"] == 60
    assert found["not_verified"]["near_text"] == {TOPICS: 3} and "12 letters" in found["limits"]["near_text"]


def test_every_region_and_gender_has_its_share_of_every_side(research, run_phase3):
    rows = spoken_rows({f"s{n}": ["Kollam", "Thrissur", "Kannur"][n % 3] for n in range(60)}, each=2)
    rows = [{**row, "gender": "female" if int(row["speaker"][1:]) % 5 == 0 else "male"} for row in rows]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    balance = certified(research, "dialect")["balance"]
    for table in (balance["label"], balance["gender"]):
        for counts in table.values():
            assert all(counts[split] for split in SPLITS)
            assert 0.05 < counts["test"] / sum(counts.values()) < 0.25
    assert sum(balance["gender"]["female"].values()) == 24 and set(balance["label"]) == {
        "travancore",
        "cochin",
        "malabar",
    }


def test_weights_make_classes_count_alike_and_repeat_no_row(research, run_phase3, read_gold):
    rows = labelled_texts(90, ("business",)) + labelled_texts(30, ("sports",), start=100)
    publish_silver(Lake(research), rows)
    run_phase3(research)
    gold = read_gold(research, "nlu")
    totals: dict[str, float] = {}
    for row in gold["train"]:
        totals[row["label"]] = totals.get(row["label"], 0) + row["sampling_weight"]
    assert totals["business"] == pytest.approx(totals["sports"])
    assert sum(totals.values()) == pytest.approx(len(gold["train"]))
    assert {row["sampling_weight"] for split in ("validation", "test") for row in gold[split]} == {1.0}
    ids = [row["row_id"] for split in SPLITS for row in gold[split]]
    assert len(ids) == len(set(ids)) == 120
    told = certified(research, "nlu")["weights"]
    assert told["column"] == "label" and told["train"]["sports"] > 1 > told["train"]["business"]


def test_a_weight_is_bounded_however_rare_its_class():
    strata = np.array([0] * 9_990 + [1] * 10)
    weights = sampling_weights(strata, np.ones(len(strata), dtype=bool), cap=10)
    assert weights.mean() == pytest.approx(1) and weights[-1] / weights[0] <= 10 / 0.5
    assert (sampling_weights(strata, np.zeros(len(strata), dtype=bool), cap=10) == 1).all()


def test_a_leak_between_sides_is_told_by_the_method_that_found_it(research, run_phase3):
    text = words(4_000, 8)
    rows = [silver_row(SPEECH, 1, "test", sound=1, text=text), silver_row(SPEECH, 2, sound=2, text=text + " മഴ")]
    publish_silver(Lake(research), [*rows, *spoken_rows(DISTRICTS, start=100)])
    run_phase3(research)
    assert certified(research, "stt")["rejected_by"] == {
        "leaks_into_test": {"near_text": {"rows": 1, "alone": 1}}
    }  # fmt: skip
