"""Slices: every group counted and measured, the gap between best and worst, and what chance alone would show."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from data_foundry.finetuning.evaluation.bootstrap import Bootstrap
from data_foundry.finetuning.evaluation.metrics import Measure, ratio
from data_foundry.finetuning.evaluation.slices import slices


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
        "codec": ["alaw", "gsm"],
        "noise": ["babble", "line", "none"],
        "snr": ["from 20 dB", "no noise", "under 15 dB"],
        "packet_loss": ["from 2 %", "none", "under 2 %"],
    }
    assert found["codec"]["groups"]["gsm"]["adapted"]["value"] == 0.25
