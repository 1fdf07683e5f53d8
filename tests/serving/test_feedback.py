"""Feedback: what was right of a request counts once, the first time it is told."""

from __future__ import annotations

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.calls import Answer
from data_foundry.serving.feedback import Recollection
from data_foundry.serving.trials.trial import Losses, Trial

TRIAL = Trial("nlu", "new", "old", Stage.SHADOW, "2026-01-01T00:00:00Z")


def test_feedback_that_is_repeated_says_so_and_the_first_truth_counts() -> None:
    kept: list[Losses] = []
    recollection = Recollection(30, kept.append, lambda adapter, request_id: request_id)
    recollection.answered("r1", Answer("c1", "nlu", "old", "balance", 0.9, 1.0), "text-classification")
    recollection.paired(TRIAL, "r1", "balance", "complaint")
    first = recollection.feedback(["nlu"], "balance", request_id="r1")
    again = recollection.feedback(["nlu"], "complaint", request_id="r1")
    assert first and again and (first["repeated"], again["repeated"]) == (False, True)
    assert first["loss"] == again["loss"] == 0
    assert {(each.incumbent, each.candidate) for each in kept} == {(0.0, 1.0)}


def test_codes_which_nothing_scores_are_not_held() -> None:
    recollection = Recollection(30, lambda losses: None, lambda adapter, request_id: request_id)
    recollection.answered("r1", Answer("c1", "tts", "old", [[1, 2]], None, 1.0), "text-to-codes")
    recollection.paired(Trial("tts", "new", "old", Stage.SHADOW, "2026-01-01T00:00:00Z"), "r1", [[1]], [[2]])
    (known,) = recollection._requests.values()
    assert known.output is None and known.pairs == []
    found = recollection.feedback(["tts"], "text", request_id="r1")
    assert found and (found["version"], found["loss"]) == ("old", None)
