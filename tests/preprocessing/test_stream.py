"""Rows worked on by several threads come out in order, and what must be worked on alone is never held as a whole."""

from __future__ import annotations

import time

import pytest

from data_foundry.preprocessing.stream import in_order
from data_foundry.records import Rejected


def no(_item) -> bool:
    return False


def yes(_item) -> bool:
    return True


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items_whoever_ends_first(threads):
    def work(item):
        time.sleep(0.01 * (item % 3))
        yield item * 10
        yield item * 10 + 1

    found = [(item, list(results)) for item, results in in_order(work, range(20), threads, no, lambda i: i % 4 != 0)]
    assert found == [(item, [item * 10, item * 10 + 1]) for item in range(20)]


@pytest.mark.parametrize("threads", [1, 3])
def test_what_an_item_raises_comes_out_of_its_own_results_and_spares_the_others(threads):
    def work(item):
        if item == 1:
            raise Rejected("audio_corrupt")
        yield item

    found = []
    for item, results in in_order(work, range(3), threads, no, yes):
        try:
            found.append((item, list(results)))
        except Rejected as refusal:
            found.append((item, refusal.reason))
    assert found == [(0, [0]), (1, "audio_corrupt"), (2, [2])]


def test_an_item_worked_on_alone_is_worked_on_as_its_results_are_asked_for():
    made = []

    def work(item):
        for piece in range(3):
            made.append((item, piece))
            yield piece

    for _, results in in_order(work, ["long"], 4, yes, yes):
        assert made == []
        assert next(results) == 0
        assert made == [("long", 0)]


def test_items_are_not_read_far_ahead():
    read = []

    def items():
        for item in range(100):
            read.append(item)
            yield item

    stream = in_order(lambda item: iter([item]), items(), 2, no, yes)
    next(stream)
    assert len(read) <= 6
    stream.close()
