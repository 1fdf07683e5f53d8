"""Staged calls: what a version in staging is asked, and whose failure it is that it does not answer in time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from data_foundry.serving.candidate.process import Asked
from data_foundry.serving.candidate.said import CandidateFailed, Said
from data_foundry.serving.host import Call
from data_foundry.serving.staged import StagedCall, StagedCalls

TRIAL = SimpleNamespace(adapter="stt", candidate="new")


class Line:
    """One call that a version has ten seconds for, and what became of it."""

    def __init__(self) -> None:
        self.calls, self.asked, self.became = StagedCalls(10.0), Asked(), []
        call = Call("c", "stt", {}, None, None, lambda call, answer, kind: self.became.append(("ended", answer, kind)))
        self.staged = StagedCall(
            call,
            TRIAL,
            lambda call, answer: self.became.append(("answered", answer.version, answer.output)),
            lambda staged, kind, own: self.became.append(("fell back", kind, own)),
            lambda staged: self.became.append(("left", staged.trial.candidate)),
        )
        self.calls.add(self.staged, self.asked)

    def after(self, seconds: float, had: float | None = None) -> list[tuple[object, ...]]:
        """What became of it so long after it came; the version `had` it for so long, None: it waits for its turn."""
        if had is not None and not self.asked.done():
            self.asked.running() or self.asked.set_running_or_notify_cancel()
            self.asked.own_seconds = had
        self.staged.since -= seconds
        self.calls.give_up_overdue()
        return self.became


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_call_whose_turn_does_not_come_leaves_the_queue_and_says_nothing_of_the_version(line: Line) -> None:
    assert line.after(4.0) == []
    assert line.after(2.0) == [("fell back", "queue_full", False)]
    assert line.asked.cancelled(), "or it would be computed for nobody"


def test_a_version_has_its_whole_time_for_a_call_however_long_that_waited_for_its_turn(line: Line) -> None:
    assert line.after(12.0, had=8.0) == []
    line.asked.set_result(Said("text", 0.9, 8000.0))
    assert line.became == [("answered", "new", "text")]
    assert line.staged.call.future.result(0).adapter == "stt"


def test_a_call_that_a_version_had_for_its_whole_time_is_one_that_it_failed(line: Line) -> None:
    assert line.after(14.5, had=10.1) == [("fell back", "timed_out", True)]
    line.asked.set_result(Said("text", 0.9, 10200.0))
    assert len(line.became) == 1, "what it says later is too late"


def test_a_version_that_others_keep_from_working_is_not_waited_for_and_did_not_fail(line: Line) -> None:
    assert line.after(19.0, had=3.0) == []
    assert line.after(2.0, had=3.5) == [("fell back", "timed_out", False)]


@pytest.mark.parametrize(("kind", "own"), [("died", True), ("MemoryError", True), ("not_ready", False)])
def test_what_a_version_fails_at_is_its_own_and_what_it_was_not_asked_is_not(line: Line, kind: str, own: bool) -> None:
    line.asked.set_exception(CandidateFailed(kind))
    assert line.after(100.0) == [("fell back", kind, own)]


def test_an_answer_that_its_caller_does_not_wait_for_is_told_as_such(line: Line) -> None:
    line.staged.call.future.cancel()
    line.asked.set_result(Said("text", 0.9, 1.0))
    assert line.became == [("left", "new")], "it is no failure of the incumbent's, which never had it"


def test_a_call_whose_caller_left_while_it_waits_for_its_turn_is_not_computed(line: Line) -> None:
    line.staged.call.future.cancel()
    assert line.after(0.1) == [("left", "new")]
    assert line.asked.cancelled()


def test_a_caller_who_left_a_version_that_has_his_call_is_left_and_no_other_version_is_asked(line: Line) -> None:
    line.staged.call.future.cancel()
    assert line.after(9.0, had=8.0) == []
    assert line.after(5.5, had=10.1) == [("left", "new")]
    line.asked.set_exception(CandidateFailed("timed_out"))
    assert len(line.became) == 1
