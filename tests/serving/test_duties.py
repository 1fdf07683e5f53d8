"""Duties go on whatever goes wrong with them, and a thread that ended is told of."""

from __future__ import annotations

import threading

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
    duties.stop(20)
    assert "gateway-time failed: RuntimeError" in caplog.text and "words" not in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_is_named_until_all_are_stopped() -> None:
    def end() -> None:
        raise SystemExit

    duties = Duties(0.001)
    duties.start(time=end, watch=lambda: None)
    eventually(lambda: duties.ended() == ["gateway-time"], "the thread ended")
    duties.stop(20)
    assert duties.ended() == []


def test_a_duty_that_is_woken_is_done_at_once_and_one_that_was_not_begun_is_none() -> None:
    times: list[int] = []
    duties = Duties(3600.0)
    duties.wake("load")
    duties.start(load=lambda: times.append(1))
    eventually(lambda: len(times) == 1, "it is done when it begins")
    duties.wake("load")
    eventually(lambda: len(times) == 2, "it was woken")
    duties.stop(20)


def test_who_stops_the_duties_waits_for_none_that_takes_too_long() -> None:
    begun, go = threading.Event(), threading.Event()

    def take_long() -> None:
        begun.set()
        assert go.wait(20)

    duties = Duties(0.001)
    duties.start(load=take_long)
    assert begun.wait(20)
    duties.stop(0.01)
    assert not go.is_set()
    go.set()
    duties.stop(20)
