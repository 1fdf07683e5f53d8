"""Feedback: what was right of a request counts once, the first time it is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.calls import Answer
from data_foundry.serving.feedback import NotALabel, Recollection
from data_foundry.serving.trials.trial import Losses, Trial

TRIAL = Trial("nlu", "new", "old", Stage.SHADOW, "2026-01-01T00:00:00Z")


def keeping(kept: list[Losses]) -> Callable[[Losses], bool]:
    """A store that keeps losses in a list."""
    return lambda losses: kept.append(losses) is None


def test_losses_that_the_store_did_not_keep_count_in_no_trial() -> None:
    recollection = Recollection(30, lambda losses: False, lambda adapter, request_id: request_id)
    recollection.answered("r1", Answer("c1", "nlu", "old", "balance", 0.9, 1.0), "text-classification")
    recollection.paired(TRIAL, "r1", "balance", "complaint")
    found = recollection.feedback(["nlu"], "balance", request_id="r1")
    assert found and (found["trials"], found["loss"]) == ([], 0.0)


def test_feedback_that_is_repeated_says_so_and_the_first_truth_counts() -> None:
    kept: list[Losses] = []
    recollection = Recollection(30, keeping(kept), lambda adapter, request_id: request_id)
    recollection.answered("r1", Answer("c1", "nlu", "old", "balance", 0.9, 1.0), "text-classification")
    recollection.paired(TRIAL, "r1", "balance", "complaint")
    first = recollection.feedback(["nlu"], "balance", request_id="r1")
    again = recollection.feedback(["nlu"], "complaint", request_id="r1")
    assert first and again and (first["repeated"], again["repeated"]) == (False, True)
    assert first["loss"] == again["loss"] == 0
    assert {(each.incumbent, each.candidate) for each in kept} == {(0.0, 1.0)}


def test_a_truth_that_the_version_which_answered_could_not_say_is_refused_and_leaves_room_for_one_that_it_could() -> (
    None
):
    recollection = Recollection(30, keeping([]), lambda adapter, request_id: request_id)
    said = {"malabar": 0.9, "kochi": 0.1}
    answer = Answer("c1", "dialect.text", "old", "malabar", 0.9, 1.0, said)
    recollection.answered("r1", answer, "text-classification")
    with pytest.raises(NotALabel) as refused:
        recollection.feedback(["dialect", "dialect.text"], "kocchi", request_id="r1")
    assert refused.value.labels == ("malabar", "kochi")
    found = recollection.feedback(["dialect", "dialect.text"], "kochi", request_id="r1")
    assert found and (found["adapter"], found["loss"], found["repeated"]) == ("dialect.text", 1.0, False)


def test_a_label_that_a_version_on_trial_has_learnt_is_a_truth_though_what_answered_does_not_know_it() -> None:
    kept: list[Losses] = []
    recollection = Recollection(
        30, keeping(kept), lambda adapter, request_id: request_id, lambda adapter: ["balance", "roaming"]
    )
    said = {"balance": 0.9, "complaint": 0.1}
    recollection.answered("r1", Answer("c1", "nlu", "old", "balance", 0.9, 1.0, said), "text-classification")
    recollection.paired(TRIAL, "r1", "balance", "roaming")
    with pytest.raises(NotALabel) as refused:
        recollection.feedback(["nlu"], "weather", request_id="r1")
    assert refused.value.labels == ("balance", "complaint", "roaming")
    found = recollection.feedback(["nlu"], "roaming", request_id="r1")
    assert found and found["trials"] == [TRIAL.id]
    assert [(each.incumbent, each.candidate) for each in kept] == [(1.0, 0.0)]


def test_codes_which_nothing_scores_are_not_held() -> None:
    recollection = Recollection(30, keeping([]), lambda adapter, request_id: request_id)
    recollection.answered("r1", Answer("c1", "tts", "old", [[1, 2]], None, 1.0), "text-to-codes")
    recollection.paired(Trial("tts", "new", "old", Stage.SHADOW, "2026-01-01T00:00:00Z"), "r1", [[1]], [[2]])
    (known,) = recollection._requests.values()
    assert known.output is None and known.pairs == []
    found = recollection.feedback(["tts"], "text", request_id="r1")
    assert found and (found["version"], found["loss"]) == ("old", None)


@pytest.mark.parametrize("by", ["request_id", "call_id"])
@pytest.mark.parametrize("early", [True, False])
def test_feedback_on_what_nobody_answered_scores_what_is_on_trial_and_has_no_loss_of_its_own(
    by: str, early: bool
) -> None:
    kept: list[Losses] = []
    labels = {"nlu": ["balance", "complaint"]}
    recollection = Recollection(30, keeping(kept), lambda adapter, request_id: request_id, labels.__getitem__)
    recollection.unanswered("r1", "nlu", "c1", "text-classification")
    given = {by: {"request_id": "r1", "call_id": "c1"}[by]}
    if not early:
        recollection.paired(TRIAL, "r1", "complaint", "balance")
    with pytest.raises(NotALabel):
        recollection.feedback(["nlu"], "weather", **given)
    found = recollection.feedback(["nlu"], "balance", **given)
    trials = [] if early else [TRIAL.id]
    assert found == {"adapter": "nlu", "version": None, "loss": None, "trials": trials, "repeated": False}
    if early:
        recollection.paired(TRIAL, "r1", "complaint", "balance")
    assert [(each.call, each.incumbent, each.candidate) for each in kept] == [("r1", 1.0, 0.0)]
