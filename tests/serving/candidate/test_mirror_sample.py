"""Which calls a mirror takes that can't take all: runs of consecutive ones, or some kinds would be heard too often."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from misbehaving import loading

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.candidate.mirror import Mirror
from data_foundry.serving.trials.trial import Trial

Build = Callable[..., Mirror]


@pytest.fixture
def resting(with_settings: Callable[..., Settings]) -> Iterator[Build]:
    """Build a mirror in production of which no thread runs: `_next` takes a call out of its queue."""
    made: list[Mirror] = []

    def build(size: int, share: float, watched: int) -> Mirror:
        settings = with_settings(
            deployment={"shadow_share": share, "shadow_queue_size": size}, rollout={"watched_calls": watched}
        )
        trial = Trial("stt", "new", "old", Stage.PRODUCTION, "2026-01-01T00:00:00Z")
        made.append(Mirror(settings, trial, key=b"key", record=lambda pair: True, loading=loading()))
        return made[-1]

    yield build
    for mirror in made:
        mirror.close()


def offer(mirror: Mirror, *names: str) -> list[bool]:
    return [mirror.offer(name, name, {}, None) for name in names]


def heard(mirror: Mirror) -> str:
    call = mirror._next()
    assert call is not None
    return call.request_id


@pytest.mark.parametrize(("share", "watched"), [(1.0, 0), (0.0, 500)])
def test_the_queue_takes_consecutive_calls_until_it_is_full_and_then_none_until_it_is_empty_and_more_have_passed(
    resting: Build, share: float, watched: int
) -> None:
    mirror = resting(3, share, watched)
    offer(mirror, *"abcd")
    assert heard(mirror) == "a"
    offer(mirror, *"ef")
    assert [heard(mirror), heard(mirror)] == ["b", "c"]
    offer(mirror, *"ghijklm")
    assert [heard(mirror) for _ in range(3)] == ["j", "k", "l"]
    counts = mirror.counts()
    chosen = counts["calls"] if share else 6
    assert (counts["calls"], counts["chosen"], sum(counts["dropped"].values())) == (13, chosen, chosen - 6)


def test_a_call_is_chosen_by_its_hash_whether_there_is_room_for_it_or_not(resting: Build) -> None:
    alone, watching = resting(1, 0.5, 0), resting(1, 0.5, 500)
    names = [f"call-{number}" for number in range(200)]
    by_hash = offer(alone, *names)
    assert 60 < sum(by_hash) < 140
    assert offer(watching, *names) == [True, *by_hash[1:]]
    assert watching.counts()["dropped"] == {"candidate_down": sum(by_hash[1:])}


@pytest.mark.parametrize(("share", "watched"), [(1.0, 0), (0.0, 10**9)])
def test_calls_that_end_apart_are_heard_no_more_often_than_those_that_end_together(
    resting: Build, share: float, watched: int
) -> None:
    """Eight calls end at once, as a batch does, and eight one by one, as do those of a batch that failed."""
    mirror, taken = resting(64, share, watched), []

    def hear_one() -> None:
        if mirror.counts()["waiting"] > len(taken):
            taken.append(heard(mirror))

    for number in range(1000):
        offer(mirror, *(f"together {number} {place}" for place in range(8)))
        for place in range(8):
            hear_one()
            offer(mirror, f"apart {number} {place}")
        hear_one()
    apart = sum(name.startswith("apart") for name in taken) / len(taken)
    assert len(taken) > 4000 and abs(apart - 1 / 2) < 0.03, "8 in 9 where each place went to the next call"
