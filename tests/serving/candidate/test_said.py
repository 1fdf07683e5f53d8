"""What a candidate's process sends is believed only if it can be an answer of its task."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_foundry.serving.calls import InvalidAnswer
from data_foundry.serving.candidate.frames import MAX_ANSWER, Frames, TooLong, frame
from data_foundry.serving.candidate.said import CandidateFailed, Said, said_in

STT, NLU, TTS = "speech-to-text", "text-classification", "text-to-codes"
TEXT = {"output": "നമസ്കാരം", "confidence": 0.5, "classes": {}, "milliseconds": 3.5}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_an_answer_is_taken_as_it_is() -> None:
    assert said_in(TEXT, STT) == Said("നമസ്കാരം", 0.5, 3.5, {})
    assert said_in({**TEXT, "output": "", "confidence": None}, STT) == Said("", None, 3.5, {})
    assert said_in({**TEXT, "output": [[1, 2], [3, 4]]}, TTS).output == [[1, 2], [3, 4]]


def test_a_probability_over_one_by_rounding_is_one() -> None:
    found = said_in({**TEXT, "output": "a", "confidence": 1.0000001, "classes": {"a": 1.0000001}}, NLU)
    assert (found.confidence, found.classes) == (1.0, {"a": 1.0})


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        (STT, {"output": None}),
        (STT, {"output": [[1]]}),
        (STT, {"output": "\udc00"}),
        (STT, {"output": "a" * 100_001}),
        (STT, {"confidence": 1.01}),
        (STT, {"confidence": -0.1}),
        (STT, {"confidence": "0.5"}),
        (STT, {"confidence": True}),
        (STT, {"confidence": float("nan")}),
        (STT, {"confidence": 10**400}),
        (STT, {"classes": None}),
        (STT, {"classes": {"a": float("inf")}}),
        (STT, {"milliseconds": -1.0}),
        (STT, {"milliseconds": None}),
        (STT, {"milliseconds": float("inf")}),
        (NLU, {"output": ""}),
        (NLU, {"output": "c", "classes": {"a": 0.5, "b": 0.5}}),
        (NLU, {"output": "c"}),
        (TTS, {"output": "text"}),
        (TTS, {"output": []}),
        (TTS, {"output": [[1, 2], [3]]}),
        (TTS, {"output": [[1, 2], [3, -1]]}),
        (TTS, {"output": [[1, 2], [3, 1.5]]}),
        (TTS, {"output": [[True, False]]}),
        (TTS, {"output": [[10**30]]}),
        (TTS, {"output": [[1]] * 65}),
        (TTS, {"output": [[1] * 20_001]}),
        (STT, {"classes": {str(n): 0.0 for n in range(1_001)}}),
    ],
)
def test_what_can_not_be_an_answer_is_refused(task: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswer):
        said_in({**TEXT, **changes}, task, ("a", "b"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*TEXT, "error", "where"]), JSON))
def test_whatever_is_sent_there_is_an_answer_or_one_of_two_refusals(message: dict[str, Any]) -> None:
    for task in (STT, NLU, TTS):
        try:
            said_in(message, task)
        except (InvalidAnswer, CandidateFailed):
            continue


def test_the_name_of_an_error_is_a_name_and_no_text_of_a_caller() -> None:
    for name, told in (
        ("RuntimeError", "RuntimeError"),
        ("my card is 4111", "InvalidAnswer"),
        ("E" * 61, "InvalidAnswer"),
    ):
        with pytest.raises(CandidateFailed) as caught:
            said_in({"error": name, "where": "model.py:7"}, STT)
        assert (caught.value.kind, caught.value.dropped) == (told, False)


def test_a_message_that_is_longer_than_an_answer_may_be_is_not_read() -> None:
    frames = Frames(MAX_ANSWER)
    frames.feed(frame(b"x" * MAX_ANSWER))
    assert frames.message() == b"x" * MAX_ANSWER
    frames.feed(frame(b"x" * (MAX_ANSWER + 1)))
    with pytest.raises(TooLong):
        frames.message()
