"""Calls are chosen by keyed hashes of their ids: evenly, always alike, and for each purpose on its own."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from data_foundry.serving.candidate.selection import call_hash, candidate_first, is_chosen

IDS = [f"call-{number}" for number in range(20_000)]
KEY = b"the operator's key"


def chosen(share: float, purpose: str, key: bytes = KEY) -> list[bool]:
    return [is_chosen(call_id, key, share, purpose) for call_id in IDS]


@pytest.mark.parametrize("purpose", ["shadow", "staging"])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.5])
def test_the_share_that_is_chosen_is_close_to_what_was_asked(share: float, purpose: str) -> None:
    four_sigma = 4 * (share * (1 - share) * len(IDS)) ** 0.5
    assert abs(sum(chosen(share, purpose)) - share * len(IDS)) < four_sigma


def test_every_part_of_the_scale_is_hit_alike() -> None:
    """Chi-square over 100 steps of the share: 99 degrees of freedom, 148 is passed by one hash in a thousand."""
    bounds = [step / 100 for step in range(1, 101)]
    steps = Counter(next(b for b in bounds if is_chosen(call_id, KEY, b, "shadow")) for call_id in IDS[:5000])
    assert sum((steps[bound] - 50) ** 2 / 50 for bound in bounds) < 148


def test_the_choices_for_shadow_and_staging_and_the_order_say_nothing_of_each_other() -> None:
    shadow, staging = chosen(0.5, "shadow"), chosen(0.5, "staging")
    first = [candidate_first(call_id, KEY) for call_id in IDS]
    for one, other in ((shadow, staging), (shadow, first), (staging, first)):
        table = Counter(zip(one, other, strict=True))
        expected = len(IDS) / 4
        # Chi-square of a 2 x 2 table with known shares: 16.3 is passed by one pair in a thousand.
        assert sum((table[cell] - expected) ** 2 / expected for cell in table) < 16.3 and len(table) == 4


def test_what_is_chosen_depends_on_the_call_id_and_the_key_alone() -> None:
    assert chosen(0.1, "shadow") == chosen(0.1, "shadow")
    both = sum(a and b for a, b in zip(chosen(0.1, "shadow"), chosen(0.1, "shadow", b"another"), strict=True))
    assert 140 < both < 260  # 200 expected of two unrelated tenths
    # Computed once and written down: a gateway of next year must choose the same calls.
    found = {
        purpose: [number for number in range(40) if is_chosen(IDS[number], KEY, 0.1, purpose)]
        for purpose in ("shadow", "staging")
    }
    assert found == {
        "shadow": [13, 19, 30],
        "staging": [0, 2, 10, 17, 23, 24, 33, 39],
    }
    assert [candidate_first(call_id, KEY) for call_id in IDS[:5]] == [False, True, False, True, True]
    assert call_hash("call-0", KEY) == "4859da33f7d3e038"


def test_a_greater_share_keeps_the_calls_of_a_smaller_one() -> None:
    small, great = chosen(0.1, "shadow"), chosen(0.2, "shadow")
    assert all(b for a, b in zip(small, great, strict=True) if a) and sum(great) > sum(small)


def test_share_none_chooses_nothing_and_share_all_everything() -> None:
    assert not any(chosen(0.0, "shadow")) and all(chosen(1.0, "shadow"))


def test_the_candidate_is_first_in_half_of_the_pairs() -> None:
    assert abs(sum(candidate_first(call_id, KEY) for call_id in IDS) - 10_000) < 4 * 5000**0.5


def test_a_calls_name_can_not_be_found_without_the_key_and_any_id_has_one() -> None:
    names = {call_hash(call_id, KEY) for call_id in IDS}
    assert len(names) == len(IDS)
    assert call_hash("call-1", KEY) != call_hash("call-1", b"another")
    assert hashlib.blake2b(b"call-1", digest_size=8).hexdigest() not in names
    assert all(len(call_hash(odd, KEY)) == 16 for odd in ("", "\ud800", "വിളി", "x" * 10_000))
