"""What a repository's card states is read whatever else stands there, and nothing in it costs much."""

from __future__ import annotations

from itertools import pairwise
from string import ascii_lowercase

import pytest

from data_foundry.hub import licence_tag
from data_foundry.hub.files import CARD_CHARACTERS

# Written out, this is a list of 2^26 words.
ALIASES = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise(ascii_lowercase))


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("license: cc-by-4.0\ndate: 2023-02-30", "cc-by-4.0"),
        ("license: mit\nsince: 2024-13-01", "mit"),
        ("license: 4.0", "4.0"),
        ("license:", None),
        ("license: null", None),
        ("license: ~", None),
        ("license: [mit, [apache-2.0], {a: b}]", "mit"),
        ("license: {name: mit}", None),
        ("license: other", "other"),
        ('license: "\\UFFFFFFFF"', None),
        ("license: mit\nx: " + "[" * 5000, None),
        (ALIASES + "license: *z", None),
    ],
)
def test_a_licence_is_read_beside_values_that_no_calendar_or_parser_knows(tmp_path, header, tag):
    card = tmp_path / "README.md"
    card.write_text(f"---\n{header}\n---\n# Card\n", encoding="utf-8")
    assert licence_tag(card) == tag


def test_a_card_is_read_only_so_far_and_in_one_pass(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit\n---\n" + "x" * 3 * CARD_CHARACTERS, encoding="utf-8")
    assert licence_tag(card) == "mit"
    # A search that starts anew at each of these lines would not end.
    card.write_text("---" + "\n" * CARD_CHARACTERS, encoding="utf-8")
    assert licence_tag(card) is None
    card.write_text("---\n" + "#\n" * CARD_CHARACTERS + "license: mit\n---\n", encoding="utf-8")
    assert licence_tag(card) is None
