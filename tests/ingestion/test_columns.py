"""Columns measured at once give what the definitions give row by row."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from data_foundry.ingestion.columns import digests, filled, malayalam_ratios, strings, trimmed
from data_foundry.preprocessing.text import malayalam_ratio

# What the definition treats in special ways: joiners, marks that compose, addresses, markup, digits, other scripts.
PIECES = (
    "എ", "ന്റെ", "\u0d46", "\u0d3e", "\u0d57", "\u0d47", "ക", "ം", " ", "a", "Z", "w", "W", ".", "www.", "http://x", ":",
    "//", "@", "<b>", "é", "\u200d", "\u200c", "’", "…", "😀", "த", "1", "൦", "൹", "\u0d04", "\0", "\ufffd", "ÿ", "ಠ",
    "\u0d4c", "\u0301",
)  # fmt: skip


def texts(count: int) -> list[str]:
    chance = random.Random(11)
    return ["".join(chance.choice(PIECES) for _ in range(chance.randrange(12))) for _ in range(count)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_the_ratio_of_a_column_is_that_of_each_of_its_texts(kind):
    rows = texts(20_000)
    assert malayalam_ratios(pa.array(rows, kind)).tolist() == [malayalam_ratio(text) for text in rows]


def test_a_slice_of_a_column_is_measured_from_its_own_start():
    rows = texts(500)
    whole = pa.array(rows)
    assert malayalam_ratios(whole.slice(100, 50)).tolist() == [malayalam_ratio(text) for text in rows[100:150]]
    assert digests([whole.slice(100, 50)]).tolist() == digests([pa.array(rows[100:150])]).tolist()


def test_a_text_larger_than_a_span_is_measured_whole():
    rows = ["ക" * 500_000 + "a" * 500_000, "", "ക"]
    assert malayalam_ratios(pa.array(rows)).tolist() == [0.5, 0.0, 1.0]


def test_equal_texts_have_equal_digests_and_an_empty_row_has_none():
    one, other = pa.array(["a", "b", "", "a"]), pa.array(["x", "", "", "x"])
    first, second, empty, again = digests([one, other]).tolist()
    assert first == again != second and empty == 0
    assert digests([pa.array(["ab", "a"]), pa.array(["", "b"])])[0] != digests([pa.array(["a"]), pa.array(["b"])])[0]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", " ", None, ""]),
        pa.array([[1], [], None, []]),
        [7, " ", None, []],
    ],
)
def test_null_blank_and_empty_cells_hold_nothing(column):
    assert filled(column).tolist() == [True, False, False, False]


def test_zero_and_false_are_values():
    assert filled(pa.array([0, 1])).tolist() == [True, True] and filled([0, False]).tolist() == [True, True]


def test_cells_of_any_type_have_a_text():
    assert strings(pa.array([1, None])).to_pylist() == ["1", None]
    assert strings([["a"], {"b": 1}, 2.5]).to_pylist() == ["['a']", "{'b': 1}", "2.5"]
    assert trimmed(pa.array(["\u00a0a ", None])).to_pylist() == ["a", ""]
    assert strings(["a\ud800"]).to_pylist() == ["a?"]


def test_an_empty_column_is_measured_as_nothing():
    assert malayalam_ratios(pa.array([], pa.string())).tolist() == []
    assert digests([pa.array([], pa.string())]).dtype == np.uint64
