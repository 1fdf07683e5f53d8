"""The order of rows: every row once an epoch, the same for everybody, with little padding."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from data_foundry.finetuning.training.batch_order import BatchOrder, padding_share

LENGTHS = [random.Random(number).randint(4, 120) for number in range(1000)]


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 250, 1000])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_an_epoch_holds_every_row_once_and_its_batches_are_whole_but_the_last(
    rows: int, lengths: list[int] | None
) -> None:
    order = BatchOrder(rows, 8, 3, lengths[:rows] if lengths else None)
    assert sorted(order) == list(range(rows)) and len(order) == rows


def test_every_epoch_has_another_order_and_the_same_seed_the_same_one() -> None:
    order, again = BatchOrder(1000, 16, 0, LENGTHS), BatchOrder(1000, 16, 0, LENGTHS)
    random.seed(5)
    assert order.of_epoch(0) == again.of_epoch(0) != order.of_epoch(1)
    again.epoch = 1
    assert list(again) == order.of_epoch(1) != BatchOrder(1000, 16, 1, LENGTHS).of_epoch(1)


def test_rows_of_one_length_share_a_batch_and_padding_falls_below_a_fifth_of_what_it_was() -> None:
    plain, grouped = BatchOrder(1000, 16, 0), BatchOrder(1000, 16, 0, LENGTHS)
    before = padding_share(LENGTHS, plain.of_epoch(0), 16)
    after = padding_share(LENGTHS, grouped.of_epoch(0), 16)
    assert before > 0.4 and after < before / 5
    assert padding_share(LENGTHS, grouped.of_epoch(0), 4) < after


def test_batches_are_not_seen_in_the_order_of_their_lengths() -> None:
    order = BatchOrder(1000, 8, 0, LENGTHS).of_epoch(1)
    means = [sum(LENGTHS[row] for row in order[start : start + 8]) / 8 for start in range(0, 1000, 8)]
    rising = sum(one < other for one, other in pairwise(means))
    assert 45 < rising < 79


def test_the_longest_batch_comes_first_so_that_too_little_memory_shows_at_once() -> None:
    order = BatchOrder(1000, 8, 0, LENGTHS)
    first = order.of_epoch(0)[:8]
    assert max(LENGTHS[row] for row in first) == max(LENGTHS[row] for row in order.of_epoch(0)[:1000])


def test_an_order_for_several_processes_is_the_same_order_filled_up_to_whole_batches() -> None:
    alone, shared = BatchOrder(21, 8, 0, LENGTHS[:21]), BatchOrder(21, 8, 0, LENGTHS[:21], filled_up_to=8)
    assert list(shared) == [*alone, -1, -1, -1] and len(shared) == 24


def test_rows_without_lengths_or_of_one_length_are_drawn_at_random() -> None:
    assert BatchOrder(50, 8, 0, [0] * 50).of_epoch(2) == BatchOrder(50, 8, 0).of_epoch(2)
    assert padding_share([0] * 50, range(50), 8) == 0.0
