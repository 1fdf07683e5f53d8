"""Figures: a unit that fits, and the singular for one."""

import pytest

from data_foundry.figures import counted, readable_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (99_949, "99.9 kB"),
        (99_950, "100 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"), (67_108_864, "67.1 MB"),
        (1_456_513_300, "1.46 GB"), (70 * 10**9, "70.0 GB"), (5 * 10**15, "5000 TB"),
    ],
)  # fmt: skip
def test_a_size_has_three_digits_and_the_unit_that_fits(size, text):
    assert readable_size(size) == text


def test_one_thing_is_not_told_in_the_plural():
    assert [counted(count, "row") for count in (0, 1, 2, 12_000)] == ["0 rows", "1 row", "2 rows", "12,000 rows"]
