"""Hosts: batches under load, errors that stay with their call, and weights that go with their last call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from serving.gateway_world import Model, eventually, resident

from data_foundry.errors import FoundryError
from data_foundry.serving.calls import Answer, Failed, Overloaded, TimedOut, give_up
from data_foundry.serving.host import Call, Gone, Host
from data_foundry.serving.residents import Resident

Ended = tuple[str, str | None, str | None]


class Line:
    """A host over one model, and what became of its calls."""

    def __init__(self, base: Path, **given: Any) -> None:
        self.model = Model()
        self.base, self.ended = base, list[Ended]()
        self.first = resident("nlu.topic", "v1", self.model, base)
        self.host = Host(self.first, **{"max_batch": 8, "max_waiting": 64, **given})

    def call(self, text: str, version: Resident | None = None, **given: Any) -> Future[Answer]:
        version = version or self.first
        call = Call(text, version.weights.adapter, {"text": text}, {"text": text}, version, self._end)
        self.host.submit(call, **given)
        return call.future

    def held_up(self) -> Future[Answer]:
        """Return a call that the model is at until `go` is set."""
        self.model.working.clear()
        slow = self.call("slow")
        assert self.model.working.wait(20)
        return slow

    def beside(self, adapter: str, name: str) -> Resident:
        """Return another version on the host's base, laid over it by the host's own thread."""
        weights = resident(adapter, name, Model(), self.base).weights
        assert self.host.admit(weights) is None
        self.host.await_laid(weights, 20)
        found = self.host.admit(weights)
        assert found is not None
        return found

    def _end(self, call: Call, answer: Answer | None, kind: str | None) -> None:
        self.ended.append((call.call_id, answer.version if answer else None, kind))


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def build(**given: Any) -> Line:
        made.append(Line(tmp_path, **given))
        return made[-1]

    yield build
    for each in made:
        each.model.go.set()
        assert each.host.close(20)


def test_a_call_that_comes_alone_is_answered_alone_by_its_version(line: Callable[..., Line]) -> None:
    one = line()
    answer = one.call("hello").result(20)
    assert (answer.version, answer.output, answer.confidence, answer.fallback) == (
        "v1",
        f"{one.first.weights.name}: hello",
        0.9,
        None,
    )
    eventually(lambda: one.ended == [("hello", "v1", None)], "what follows a call")


@pytest.mark.parametrize("text", ["slow", "slow, then raise"])
def test_an_answer_that_nobody_waits_for_any_more_counts_as_timed_out_once(
    line: Callable[..., Line], text: str
) -> None:
    one = line()
    one.model.working.clear()
    late = one.call(text)
    assert one.model.working.wait(20)
    queued = one.call("queued")
    for call in (late, queued):
        give_up(call)
    one.model.go.set()
    done = one.call("done")
    answered = done.result(20)
    give_up(done)
    assert done.result() is answered, "it came in time"
    eventually(lambda: len(one.ended) == 3, "the calls' ends")
    version = None if "raise" in text else "v1"
    assert one.ended == [(text, version, "timed_out"), ("queued", None, "timed_out"), ("done", "v1", None)]


def test_a_call_given_up_before_its_model_was_ends_once_too(line: Callable[..., Line]) -> None:
    one = line()
    give_up(one.held_up())
    one.host.abandon()
    assert one.ended == [("slow", None, "timed_out")]
    one.model.go.set()
    eventually(lambda: not one.host.lives, "the thread's end")
    assert one.ended == [("slow", None, "timed_out")]


def test_calls_that_wait_are_answered_in_one_batch_for_each_version(line: Callable[..., Line]) -> None:
    one = line(max_batch=5)
    other = one.beside("nlu.topic", "v2")
    slow = one.held_up()
    futures = [one.call(text, other if text in "bd" else None) for text in "abcdef"]
    one.model.go.set()
    assert [future.result(20).version for future in [slow, *futures]] == ["v1", "v1", "v2", "v1", "v2", "v1", "v1"]
    names = one.first.weights.name, other.weights.name
    assert one.model.batches == [
        (names[0], ["slow"]), (names[0], ["a", "c", "e"]), (names[1], ["b", "d"]), (names[0], ["f"])
    ]  # fmt: skip


@pytest.mark.parametrize("bad", ["raise", "exit", "nan"])
def test_a_call_that_its_model_fails_at_fails_alone_and_its_words_are_not_told(
    line: Callable[..., Line], bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = line()
    one.held_up()
    futures = [one.call(text) for text in ("a", f"{bad} secret", "b")]
    one.model.go.set()
    assert [futures[place].result(20).output[-1] for place in (0, 2)] == ["a", "b"]
    with pytest.raises(Failed) as failed:
        futures[1].result(20)
    assert failed.value.kind == {"raise": "RuntimeError", "exit": "SystemExit", "nan": "InvalidAnswer"}[bad]
    assert "secret" not in f"{failed.value}{caplog.text}" and failed.value.kind in caplog.text
    eventually(lambda: (f"{bad} secret", None, failed.value.kind) in one.ended, "the error was told")
    assert one.call("c").result(20).output.endswith("c")


def test_a_call_whose_caller_gave_up_is_dropped_unanswered(line: Callable[..., Line]) -> None:
    one = line()
    slow = one.held_up()
    given_up = one.call("given up")
    assert given_up.cancel() and not slow.cancel()
    one.model.go.set()
    assert one.call("next").result(20)
    assert ("given up", None, "timed_out") in one.ended
    assert all("given up" not in texts for _, texts in one.model.batches)


def test_more_calls_of_an_adapter_than_may_wait_are_turned_away_and_those_of_others_are_not(
    line: Callable[..., Line],
) -> None:
    one = line(max_waiting=2)
    other = one.beside("nlu", "v1")
    one.held_up()
    waiting = [one.call("a"), one.call("b")]
    with pytest.raises(Overloaded):
        one.call("c")
    assert one.host.waiting("nlu.topic") == 2 and one.host.running("nlu.topic") == 1
    waiting += [one.call("d", other), one.call("e", admitted=True)]
    one.model.go.set()
    assert [future.result(20).adapter for future in waiting] == ["nlu.topic", "nlu.topic", "nlu", "nlu.topic"]
    assert one.host.waiting("nlu.topic") == 0


def test_a_version_that_leaves_ends_what_it_began_and_then_its_weights_go(
    line: Callable[..., Line],
) -> None:
    one = line()
    other = one.beside("nlu.topic", "v2")
    old = one.first.weights.name
    futures = [one.held_up(), one.call("a")]
    one.host.retire(one.first)
    with pytest.raises(Gone):
        one.call("b")
    assert old in one.model.loaded
    one.model.go.set()
    assert [future.result(20).version for future in futures] == ["v1", "v1"]
    assert one.call("c", other).result(20).version == "v2"
    eventually(lambda: one.model.loaded == [other.weights.name], "the old weights went")


def test_a_version_that_comes_back_before_its_weights_went_is_not_loaded_again(
    line: Callable[..., Line],
) -> None:
    one = line()
    one.beside("nlu.topic", "v2")
    slow = one.held_up()
    one.host.retire(one.first)
    assert one.host.admit(one.first.weights) is one.first
    one.model.go.set()
    assert slow.result(20).version == one.call("a").result(20).version == "v1"
    assert one.model.loaded.count(one.first.weights.name or "") == 1


def test_a_host_ends_with_its_last_version_when_that_ended_its_calls(line: Callable[..., Line]) -> None:
    one = line()
    slow, waits = one.held_up(), one.call("a")
    one.host.retire(one.first)
    assert not one.host.takes_calls
    one.model.go.set()
    assert slow.result(20).version == waits.result(20).version == "v1"
    assert one.host.close(20)


def test_a_host_that_is_closed_answers_what_waits_and_turns_away_what_it_has_no_time_for(
    line: Callable[..., Line],
) -> None:
    one = line()
    slow, waits = one.held_up(), one.call("a")
    assert not one.host.close(0.01)
    for future in (waits, slow):
        with pytest.raises(Overloaded, match="stops"):
            future.result(0)
    one.model.go.set()
    assert one.host.close(20)
    assert sorted(one.ended) == [("a", None, "overloaded"), ("slow", None, "overloaded")]


def test_callers_of_a_model_that_hangs_are_told_when_it_is_given_up(line: Callable[..., Line]) -> None:
    one = line()
    hangs, waits = one.held_up(), one.call("a")
    assert one.host.busy_seconds() > 0
    one.host.abandon()
    for future in (hangs, waits):
        with pytest.raises(TimedOut):
            future.result(20)
    assert sorted(one.ended) == [("a", None, "timed_out"), ("slow", None, "timed_out")]
    with pytest.raises(Gone):
        one.call("b")
    one.model.go.set()
    assert one.host.close(20) and len(one.ended) == 2


def test_calls_of_another_version_that_waited_for_a_model_that_hung_never_began(
    line: Callable[..., Line],
) -> None:
    one = line()
    other = one.beside("sentiment", "v1")
    begun: dict[str, bool] = {}
    one._end = lambda call, answer, kind: begun.update({call.call_id: call.begun})  # type: ignore[method-assign]
    one.held_up()
    one.call("waits", other)
    one.host.abandon()
    assert begun == {"slow": True, "waits": False}


def test_a_memory_of_answers_that_fails_leaves_no_caller_waiting(line: Callable[..., Line]) -> None:
    one = line()
    call = Call("a", "nlu.topic", {"text": "a"}, {"text": "a"}, one.first, one._end)
    call.remember = dict[str, str].fromkeys  # type: ignore[assignment]
    one.host.submit(call)
    with pytest.raises(Failed):
        call.future.result(20)
    assert one.call("b").result(20)


def test_what_follows_a_call_may_fail_and_the_host_goes_on(
    line: Callable[..., Line], caplog: pytest.LogCaptureFixture
) -> None:
    one = line()

    def fail(*_: Any) -> None:
        raise ValueError("an observer")

    one._end = fail  # type: ignore[method-assign]
    assert one.call("a").result(20) and one.call("b").result(20)
    assert "what follows a call failed" in caplog.text


def test_a_version_is_laid_over_its_base_by_the_hosts_own_thread_and_nobody_waits_for_it(
    line: Callable[..., Line],
) -> None:
    one = line()
    weights = resident("nlu.topic", "v2", Model(), one.base).weights
    slow = one.held_up()
    assert one.host.admit(weights) is None and not one.host.await_laid(weights, 0.01)
    assert one.call("a").done() is False and one.host.residents == {one.first}
    one.model.go.set()
    assert one.host.await_laid(weights, 20) and slow.result(20)
    found = one.host.admit(weights)
    assert found is not None and one.call("b", found).result(20).version == "v2"


def test_a_version_that_does_not_fit_its_base_is_asked_for_again_when_all_is_settled(line: Callable[..., Line]) -> None:
    one = line()
    weights = resident("nlu.topic", "v2", Model(), one.base).weights
    one.model.misfits.append(SystemExit(3))
    for error, said in ((FoundryError, "SystemExit"), (ValueError, "another base")):
        assert one.host.admit(weights) is None and one.host.await_laid(weights, 20)
        for _ in range(2):
            with pytest.raises(error, match=said):
                one.host.admit(weights)
        one.model.misfits.append(ValueError("it was made for another base"))
        one.host.settle()
    one.model.misfits.clear()
    assert one.beside("nlu.topic", "v2") and one.call("a").result(20).version == "v1"


def test_a_version_that_nobody_took_is_let_go_of_when_all_is_settled(line: Callable[..., Line]) -> None:
    one = line()
    weights = resident("nlu.topic", "v2", Model(), one.base).weights
    assert one.host.admit(weights) is None and one.host.await_laid(weights, 20)
    assert len(one.model.loaded) == 2
    one.host.settle()
    eventually(lambda: one.model.loaded == [one.first.weights.name], "its weights went")
    # One that is being laid over the base at that very moment goes, too.
    one.held_up()
    assert one.host.admit(weights) is None
    one.host.settle()
    one.model.go.set()
    assert one.call("a").result(20)
    eventually(lambda: one.model.loaded == [one.first.weights.name], "they are gone again, or never came")


def test_a_model_that_hangs_at_a_version_is_seen_to_be_busy_and_who_waits_for_it_is_let_go(
    line: Callable[..., Line],
) -> None:
    one = line()
    weights = resident("nlu.topic", "v2", Model(), one.base).weights
    with one.model.held():
        assert one.host.admit(weights) is None
        eventually(one.host.busy_seconds, "its thread is at it")
        one.host.abandon()
        assert one.host.await_laid(weights, 20) and not one.host.takes_calls


def test_a_call_is_ended_though_its_model_is_given_up_in_the_moment_that_it_is_taken(line: Callable[..., Line]) -> None:
    one = line()

    class Taken(Future[Answer]):
        def set_running_or_notify_cancel(self) -> bool:
            running = super().set_running_or_notify_cancel()
            one.host.abandon()
            return running

    call = Call("a", "nlu.topic", {"text": "a"}, {"text": "a"}, one.first, one._end, future=Taken())
    one.host.submit(call)
    with pytest.raises(TimedOut):
        call.future.result(20)
    assert one.ended == [("a", None, "timed_out")]
