"""Slices: every group counted and measured, the gap between best and worst, and what chance alone would show."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from data_foundry.finetuning.evaluation.bootstrap import Bootstrap
from data_foundry.finetuning.evaluation.metrics import Measure, ratio
from data_foundry.finetuning.evaluation.slices import slices, thirds


def score(values: Any) -> Measure:
    """A score whose value on some rows is their mean."""
    return ratio(list(values), np.ones(len(values)))


def voices(count: int, per_voice: int = 5, **columns: Any) -> list[dict[str, Any]]:
    """Rows of `count` speakers; a column is a value, or a function of the speaker's number."""
    return [
        {
            "row_id": f"{number}-{take}",
            "dataset": "owner/name",
            "speaker": f"s{number}",
            **{name: value(number) if callable(value) else value for name, value in columns.items()},
        }
        for number in range(count)
        for take in range(per_voice)
    ]


def test_groups_are_counted_and_the_gap_is_between_the_best_and_the_worst() -> None:
    rows = voices(30, gender=lambda n: ("female", "male")[n % 2])
    random = np.random.default_rng(0)
    base = np.array([0.6 if row["gender"] == "male" else 0.5 for row in rows]) + random.normal(0, 0.05, 150)
    adapted = np.array([0.9 if row["gender"] == "male" else 0.6 for row in rows]) + random.normal(0, 0.05, 150)
    found = slices(rows, score(base), score(adapted), Bootstrap.of_rows(rows))["gender"]
    female, gap = found["groups"]["female"], found["gap"]
    assert (female["rows"], female["speakers"], female["units"], female["resampled_over"]) == (75, 15, 15, "speakers")
    mask = np.array([row["gender"] == "female" for row in rows])
    assert female["adapted"]["value"] == pytest.approx(adapted[mask].mean(), abs=1e-6)
    assert female["difference"]["value"] == pytest.approx((adapted - base)[mask].mean(), abs=1e-6)
    assert (gap["best"], gap["worst"]) == ("male", "female")
    assert gap["adapted"]["value"] == pytest.approx(0.3, abs=0.03) and gap["base"]["value"] == pytest.approx(
        0.1, abs=0.03
    )
    assert gap["adapted"]["low"] < gap["adapted"]["value"] < gap["adapted"]["high"]
    assert gap["by_chance"] < gap["adapted"]["low"]


def test_groups_that_are_alike_show_a_gap_that_chance_explains() -> None:
    rows = voices(40, per_voice=3, district=lambda n: f"d{n % 8}")
    values = np.repeat(np.random.default_rng(1).random(40), 3)
    gap = slices(rows, score(values), score(values), Bootstrap.of_rows(rows))["district"]["gap"]
    assert gap is None  # fifteen rows each are too few
    rows = voices(80, per_voice=3, district=lambda n: f"d{n % 8}")
    values = np.repeat(np.random.default_rng(1).random(80), 3)
    gap = slices(rows, score(values), score(values), Bootstrap.of_rows(rows))["district"]["gap"]
    assert 0 < gap["adapted"]["value"] < gap["by_chance"]


def test_a_gap_between_groups_of_one_voice_each_is_what_chance_gives() -> None:
    """Two voices always differ: with one voice a group nothing tells the group from its voice."""
    rows = voices(2, per_voice=40, gender=lambda n: ("female", "male")[n])
    values = [0.9 if row["gender"] == "male" else 0.3 for row in rows]
    found = slices(rows, score(values), score(values), Bootstrap.of_rows(rows))["gender"]
    assert found["gap"]["by_chance"] >= found["gap"]["adapted"]["value"]
    assert found["groups"]["male"]["resampled_over"] == "rows"


def test_unknown_and_small_groups_are_listed_and_not_ranked() -> None:
    rows = voices(24, dialect=lambda n: None if n < 8 else ("malabar", "cochin")[n % 2] if n < 22 else "travancore")
    values = [
        0.0 if row["dialect"] in (None, "travancore") else 0.8 + 0.1 * (row["dialect"] == "cochin") for row in rows
    ]
    found = slices(rows, score(values), score(values), Bootstrap.of_rows(rows))["dialect"]
    assert {name: group["ranked"] for name, group in found["groups"].items()} == {
        "cochin": True, "malabar": True, "travancore": False, "unknown": False,
    }  # fmt: skip
    assert list(found["groups"])[-1] == "unknown" and found["groups"]["unknown"]["rows"] == 40
    assert (found["gap"]["best"], found["gap"]["worst"]) == ("cochin", "malabar")


def test_a_dimension_without_two_groups_says_why_it_has_no_gap() -> None:
    rows = voices(20, gender=None, dialect="malabar", district=lambda n: f"d{n}", flags=[])
    found = slices(rows, score(np.ones(100)), score(np.ones(100)), Bootstrap.of_rows(rows))
    reasons = {name: dimension["not_measured"] for name, dimension in found.items()}
    assert reasons == {
        "dialect": "all rows that say are of one group",
        "gender": "no row says",
        "district": "fewer than two groups have 20 rows",
        "dataset": "all rows that say are of one group",
        "code_mixed": "all rows that say are of one group",
    }
    assert all(dimension["gap"] is None for dimension in found.values())


def test_what_an_engine_predicts_is_no_dimension_of_its_slices() -> None:
    rows = voices(20, dialect=lambda n: ("malabar", "cochin")[n % 2], gender="female")
    found = slices(rows, score(np.ones(100)), score(np.ones(100)), Bootstrap.of_rows(rows), label="dialect")
    assert "dialect" not in found and "gender" in found


@pytest.mark.parametrize(
    "row, group",
    [
        ({"flags": ["romanised"]}, "code-mixed"),
        ({"flags": ["code_mixed", "narrowband"]}, "code-mixed"),
        ({"flags": ["narrowband"]}, "not code-mixed"),
        ({"flags": ["narrowband"], "code_mixed": True}, "code-mixed"),
    ],
)
def test_code_mixed_text_is_told_by_its_flags(row: dict[str, Any], group: str) -> None:
    found = slices([{**row, "row_id": "1"}], score([1.0]), score([1.0]), Bootstrap(["1"]))
    assert list(found["code_mixed"]["groups"]) == [group]


def test_phone_rows_are_sliced_by_their_line() -> None:
    def line(codec: str, noise: str, snr: float | None, lost: int) -> str:
        applied = {"snr_db": snr, "frames": 100, "lost_frames": lost}
        return json.dumps({"channel": {"codec": codec, "noise": noise}, "applied": applied})

    lines = [line("alaw", "none", None, 0), line("gsm", "babble", 12.0, 1), line("gsm", "line", 21.0, 4)]
    rows = [{"row_id": str(n), "channel": "phone", "channel_parameters": text} for n, text in enumerate(lines)]
    found = slices(rows, score([1.0, 0.5, 0.0]), score([1.0, 0.5, 0.0]), Bootstrap(["1", "2", "3"]))
    groups = {name: list(dimension["groups"]) for name, dimension in found.items()}
    assert groups == {
        "channel": ["phone"],
        "codec": ["alaw", "gsm", "others (2 groups)"],
        "noise": ["babble", "line", "none", "others (3 groups)"],
        "snr": ["from 20 dB", "no noise", "under 15 dB", "others (3 groups)"],
        "packet_loss": ["from 2 %", "none", "under 2 %", "others (3 groups)"],
    }
    assert found["codec"]["groups"]["gsm"]["adapted"]["value"] == 0.25


def test_small_groups_are_judged_together_and_stay_listed() -> None:
    rows = voices(30, district=lambda n: "ernakulam" if n < 20 else f"d{n % 5}")
    values = np.where([row["district"] == "ernakulam" for row in rows], 0.9, 0.5)
    found = slices(rows, score(values), score(values), Bootstrap.of_rows(rows))["district"]
    groups = found["groups"]
    assert {name for name, group in groups.items() if group["pooled"]} == {"d0", "d1", "d2", "d3", "d4"}
    pool = groups["others (5 groups)"]
    assert (pool["rows"], pool["speakers"], pool["adapted"]["value"], pool["ranked"]) == (50, 10, 0.5, False)
    assert pool["pool_of"] == ["d0", "d1", "d2", "d3", "d4"]


def test_groups_of_few_voices_are_pooled_however_many_rows_they_have() -> None:
    rows = voices(12, per_voice=30, dialect=lambda n: "malabar" if n < 6 else ("cochin", "idukki")[n % 2])
    groups = slices(rows, score(np.ones(360)), score(np.ones(360)), Bootstrap.of_rows(rows))["dialect"]["groups"]
    assert (groups["others (2 groups)"]["rows"], groups["others (2 groups)"]["speakers"]) == (180, 6)
    assert groups["cochin"]["pooled"] and not groups["malabar"]["pooled"]


def test_a_single_small_group_is_its_own_rest() -> None:
    rows = voices(24, per_voice=5, gender=lambda n: "female" if n < 22 else "male")
    groups = slices(rows, score(np.ones(120)), score(np.ones(120)), Bootstrap.of_rows(rows))["gender"]["groups"]
    assert list(groups) == ["female", "male"] and not groups["male"]["pooled"]


def test_the_length_of_the_input_is_a_dimension_that_every_text_has() -> None:
    rows = [{"row_id": str(n), "text": "a" * (n + 1)} for n in range(90)]
    bootstrap = Bootstrap.of_rows(rows)
    found = slices(rows, score(np.ones(90)), score(np.ones(90)), bootstrap, length=lambda row: len(row["text"]))
    groups = {name: group["rows"] for name, group in found["length"]["groups"].items()}
    assert groups == {
        "short (up to 30 characters)": 30,
        "medium (up to 60 characters)": 30,
        "long (over 60 characters)": 30,
    }


def test_equal_lengths_stay_in_one_third() -> None:
    assert thirds([1.5] * 5 + [2.0, None], "s") == ["short (up to 1.5 s)"] * 5 + ["long (over 1.5 s)", None]
    assert set(thirds([3.0] * 9, "s")) == {"short (up to 3 s)"}
    assert thirds([None, None], "s") == [None, None]
