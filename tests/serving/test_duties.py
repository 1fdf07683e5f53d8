"""Duties go on whatever goes wrong with them, and a thread that ended is told of."""

from __future__ import annotations

import pytest
from serving.gateway_world import eventually

from data_foundry.serving.duties import Duties


def test_a_duty_that_fails_is_done_again_and_its_words_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    times: list[int] = []

    def fail() -> None:
        times.append(1)
        raise RuntimeError("a caller's words")

    duties = Duties(0.001)
    duties.start(time=fail)
    eventually(lambda: len(times) > 2, "it was done again")
    assert duties.ended() == []
    duties.stop()
    assert "gateway-time failed: RuntimeError" in caplog.text and "words" not in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_is_named_until_all_are_stopped() -> None:
    def end() -> None:
        raise SystemExit

    duties = Duties(0.001)
    duties.start(time=end, watch=lambda: None)
    eventually(lambda: duties.ended() == ["gateway-time"], "the thread ended")
    duties.stop()
    assert duties.ended() == []
