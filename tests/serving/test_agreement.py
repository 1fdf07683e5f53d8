"""Two answers to one call: how wrong each is by a reference, and how far they lie apart; always in 0..1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_foundry.serving.agreement import COMPARISONS, disagreement_of, loss_of

STT, NLU, TRANSLATION, TTS = "speech-to-text", "text-classification", "text-to-text", "text-to-codes"
TEXT = st.text(st.sampled_from("അആഇഈകി. !?"), max_size=12)


def test_a_transcripts_loss_is_its_character_error_rate_in_the_scoring_form() -> None:
    assert loss_of(STT, "അആഇഈഉഊഎക", "അആഇഈഉഊഎഏ") == 0.125
    assert loss_of(STT, "അആ!", "അആ") == 0.0, "punctuation does not count in the scoring form"
    assert loss_of(STT, "", "അആ") == 1.0
    assert loss_of(STT, "അ" * 50, "അആ") == 1.0, "a transcript that never ends is wholly wrong, not 25 times"


def test_against_silence_everything_that_was_heard_is_wrong() -> None:
    assert loss_of(STT, "", "") == loss_of(STT, "!", "") == disagreement_of(STT, "", "...") == 0.0
    assert loss_of(STT, "അ", "") == disagreement_of(STT, "!", "അ") == 1.0


@pytest.mark.parametrize("task", [NLU, "audio-classification"])
def test_a_label_is_right_or_wrong(task: str) -> None:
    assert (loss_of(task, "billing", "billing"), loss_of(task, "billing", "network")) == (0.0, 1.0)
    assert (disagreement_of(task, "a", "a"), disagreement_of(task, "a", "b")) == (0.0, 1.0)


def test_a_translations_loss_is_what_chrf_leaves_over() -> None:
    assert loss_of(TRANSLATION, "the bill is paid", "the bill is paid") == 0.0
    near = loss_of(TRANSLATION, "the bill was paid", "the bill is paid")
    far = loss_of(TRANSLATION, "hello", "the bill is paid")
    assert near is not None and far is not None and 0 < near < 0.5 < far <= 1


def test_generated_speech_has_no_loss_but_lies_apart_from_another() -> None:
    assert loss_of(TTS, [[1, 2], [3, 4]], [[1, 2], [3, 4]]) is None
    assert disagreement_of(TTS, [[1, 2], [3, 4]], [[1, 2], [3, 4]]) == 0.0
    assert disagreement_of(TTS, [[1, 2], [3, 4]], [[1, 9, 5, 5], [3, 4, 5, 5]]) == 0.75
    assert disagreement_of(TTS, [[]], [[]]) == disagreement_of(TTS, [], [[]]) == 0.0


@given(TEXT, TEXT)
def test_it_is_never_out_of_bounds_and_nothing_for_the_same(one: str, other: str) -> None:
    for task in (STT, TRANSLATION, NLU):
        assert 0.0 <= disagreement_of(task, one, other) <= 1.0
        assert disagreement_of(task, one, one) == loss_of(task, one, one) == 0.0


def test_every_task_has_its_comparison() -> None:
    from data_foundry.finetuning.evaluation.predict import TASKS

    assert COMPARISONS.keys() == TASKS.keys()
