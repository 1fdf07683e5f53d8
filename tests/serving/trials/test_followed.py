"""A trial that is followed: the same judgement in one go or in rounds, and no observation counted twice or left out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from trial_builders import Line, simulated

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.trials.followed import FollowedTrial
from data_foundry.serving.trials.judgement import Judge
from data_foundry.serving.trials.store import Observation, TrialStore
from data_foundry.serving.trials.trial import Pair

CALLS = 60


@pytest.fixture
def line(settings: Settings) -> Line:
    return Line(settings)


def followed(line: Line) -> FollowedTrial:
    """A trial of whose calls a few fail and some are slower, with feedback on each."""
    trial = line.trial(line.version("second", Stage.SHADOW))
    given = simulated(trial.id, CALLS, failing=0.1, slower=1.3, worse=0.05)
    assert line.store.keep(*(each for both in given for each in both))
    return FollowedTrial(trial, line.settings.rollout)


@pytest.mark.parametrize("most", [1, 7, CALLS, 2 * CALLS, 1000])
def test_a_judgement_is_the_same_made_in_one_go_or_in_rounds(line: Line, most: int) -> None:
    at_once = followed(line)
    whole = at_once.as_json(at_once.read(line.store))
    assert whole["pairs"] == whole["losses"] == CALLS and not at_once.behind
    in_rounds, counted = FollowedTrial(at_once.trial, line.settings.rollout), []
    while not counted or in_rounds.behind:
        judgement = in_rounds.read(line.store, most)
        counted.append(in_rounds.pairs + in_rounds.losses)
    assert in_rounds.as_json(judgement) == whole and in_rounds.after == at_once.after
    assert counted == [*range(most, 2 * CALLS + 1, most), 2 * CALLS], "a round counts no more than it may"


def test_a_reading_that_fails_goes_on_where_it_ended(line: Line) -> None:
    trial = followed(line)
    whole = FollowedTrial(trial.trial, line.settings.rollout)
    wanted = whole.as_json(whole.read(line.store))

    class Failing(TrialStore):
        def observations(self, trial: str, after: int = 0) -> Iterator[tuple[int, Observation]]:
            for number, each in enumerate(super().observations(trial, after)):
                if number == 10:
                    raise FoundryError("The disk is gone.")
                yield each

    failing, counted = Failing(line.lake), []
    while not counted or counted[-1] < 2 * CALLS - 10:
        with pytest.raises(FoundryError, match="disk is gone"):
            trial.read(failing)
        counted.append(trial.pairs + trial.losses)
    assert counted == list(range(10, 2 * CALLS, 10))
    assert trial.as_json(trial.read(line.store)) == wanted


def test_a_judge_that_stopped_inside_an_observation_begins_with_the_first_one(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = followed(line)
    wanted = FollowedTrial(trial.trial, line.settings.rollout)
    whole = wanted.as_json(wanted.read(line.store))
    pair = Judge.pair

    def half(judge: Judge, given: Pair) -> None:
        pair(judge, given)
        if judge.calls == 30:
            raise MemoryError("no more of it")

    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(Judge, "pair", half)
        trial.read(line.store)
    assert (trial.after, trial.pairs, trial.losses) == (0, 0, 0)
    assert trial.as_json(trial.read(line.store)) == whole
