"""Dialect routing costs no caller a transcription: not a dialect engine that hangs, nor an adapter that is full."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from processes import wait_for

from data_foundry.config import Settings
from data_foundry.serving.calls import Answer, Failed, NotServed, Overloaded, TimedOut, give_up
from data_foundry.serving.dialect_routing import DialectRouting

MALABAR = "stt.malabar"


class Engines:
    """A gateway whose calls wait; `refuses` says which adapters take none, and why."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Answer]]] = []
        self.threads: list[threading.Thread] = []
        self.refuses: dict[str, Exception] = {}

    def submit(self, adapter: str, call_id: str, row: Any, *, request_id: str | None = None) -> Future[Answer]:
        if adapter in self.refuses:
            raise self.refuses[adapter]
        self.threads.append(threading.current_thread())
        self.asked.append((adapter, Future()))
        return self.asked[-1][1]

    def routes(self) -> Any:
        return {name: SimpleNamespace(answering=1, incumbent="v1") for name in ("dialect", MALABAR, "stt")}

    def answer(self, place: int, output: str) -> None:
        wait_for(lambda: len(self.asked) > place)
        adapter, future = self.asked[place]
        future.set_result(Answer("call", adapter, "v1", output, 0.9, 1.0))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def routing(engines: Engines, settings: Settings) -> Iterator[DialectRouting]:
    serving = settings.serving.model_copy(update={"dialect_adapters": {"malabar": MALABAR}})
    routing = DialectRouting(engines, serving)
    yield routing
    routing.close()


def test_an_engine_that_says_no_dialect_in_time_leaves_the_call_to_plain_transcription(
    routing: DialectRouting, engines: Engines
) -> None:
    answer = routing.submit("call", {})
    routing.give_up_overdue()
    assert engines.names == ["dialect"], "it still has time"
    routing.timeout_seconds = -1.0
    routing.give_up_overdue()
    routing.give_up_overdue()
    engines.answer(1, "text")
    assert answer.result(30).output == "text"
    assert engines.names == ["dialect", "stt"] and engines.asked[0][1].cancelled()


def test_a_dialect_that_is_said_too_late_changes_nothing(routing: DialectRouting, engines: Engines) -> None:
    answer = routing.submit("call", {})
    assert engines.asked[0][1].set_running_or_notify_cancel()
    routing.timeout_seconds = -1.0
    routing.give_up_overdue()
    engines.answer(1, "text")
    assert engines.names == ["dialect", "stt"] and answer.result(30).adapter == "stt"
    assert isinstance(engines.asked[0][1].exception(0), TimedOut), "it was too late, and is told so"


@pytest.mark.parametrize("refusal", [Overloaded("64 calls wait already."), NotServed("It has left.")])
def test_a_dialects_adapter_that_takes_no_call_leaves_it_to_plain_transcription(
    routing: DialectRouting, engines: Engines, refusal: Exception
) -> None:
    answer = routing.submit("call", {})
    engines.refuses[MALABAR] = refusal
    engines.answer(0, "malabar")
    engines.answer(1, "text")
    assert answer.result(30).adapter == "stt"


def test_an_engine_that_takes_no_call_at_all_is_told_to_the_caller(routing: DialectRouting, engines: Engines) -> None:
    answer = routing.submit("call", {})
    engines.refuses = {name: Overloaded("64 calls wait already.") for name in (MALABAR, "stt")}
    engines.answer(0, "malabar")
    assert isinstance(answer.exception(30), Overloaded)


@pytest.mark.parametrize("waits_for", ["dialect", MALABAR])
def test_a_call_that_its_caller_gave_up_leaves_the_queue_that_it_waits_in(
    routing: DialectRouting, engines: Engines, waits_for: str
) -> None:
    answer = routing.submit("call", {})
    if waits_for == MALABAR:
        engines.answer(0, "malabar")
        wait_for(lambda: len(engines.asked) == 2)
    assert answer.cancel()
    assert engines.names[-1] == waits_for and engines.asked[-1][1].cancelled()
    assert not routing._open


@pytest.mark.parametrize("at", ["dialect", MALABAR])
def test_what_a_model_is_at_when_its_caller_gives_up_is_told_to_come_too_late(
    routing: DialectRouting, engines: Engines, at: str
) -> None:
    answer = routing.submit("call", {})
    if at == MALABAR:
        engines.answer(0, "malabar")
        wait_for(lambda: len(engines.asked) == 2)
    assert engines.asked[-1][1].set_running_or_notify_cancel()
    give_up(answer)
    assert isinstance(engines.asked[-1][1].exception(0), TimedOut) and engines.names[-1] == at


def test_speech_is_handed_on_by_no_models_thread_nor_by_the_one_that_keeps_time(
    routing: DialectRouting, engines: Engines
) -> None:
    """Handing on makes the features of a transcription, for which callers of the dialect engine would wait."""
    told, overdue = routing.submit("told", {}), routing.submit("overdue", {})
    engines.answer(0, "malabar")
    engines.answer(2, "text")
    assert told.result(30).adapter == MALABAR
    routing.timeout_seconds = -1.0
    routing.give_up_overdue()
    engines.answer(3, "text")
    assert overdue.result(30).adapter == "stt"
    assert [thread.name.startswith("gateway-dialects") for thread in engines.threads] == [False, False, True, True]


@pytest.mark.parametrize("at", ["its dialect", "its features"])
def test_speech_that_is_on_its_way_when_the_gateway_closes_is_turned_away_and_nobody_waits_for_what_hangs(
    routing: DialectRouting, engines: Engines, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    answer, begun, go = routing.submit("call", {}), threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        begun.set()
        assert go.wait(30)
        raise NotServed("The gateway stops.")

    routed = next(iter(routing._open))
    monkeypatch.setattr(routed, "_submit", hang)
    if at == "its features":
        engines.answer(0, "malabar")
        assert begun.wait(30)
    routing.close()
    assert isinstance(answer.exception(0), Overloaded)
    if at == "its dialect":
        engines.answer(0, "malabar")
        assert not begun.is_set(), "nothing is asked for it any more"
    go.set()


def test_speech_is_transcribed_once_where_the_machine_has_no_thread_for_it_and_finds_one_later(
    routing: DialectRouting, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor queues what it is given before it starts the thread that it can't start."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    first, second = routing.submit("first", {}), routing.submit("second", {})
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        engines.answer(0, "malabar")
    engines.answer(1, "malabar")
    engines.answer(2, "text")
    engines.answer(3, "text")
    assert first.result(30).output == second.result(30).output == "text"
    routing.close()
    assert engines.names == ["dialect", "dialect", MALABAR, MALABAR]


@pytest.mark.parametrize(("breaks", "asked"), [("dialect", ["stt"]), (MALABAR, ["dialect", "stt"])])
def test_an_engine_or_adapter_that_breaks_on_the_speech_leaves_it_to_plain_transcription(
    routing: DialectRouting, engines: Engines, breaks: str, asked: list[str]
) -> None:
    engines.refuses = {breaks: Failed(breaks, "v1", "ValueError")}
    answer = routing.submit("call", {})
    for place, name in enumerate(asked):
        engines.answer(place, "said" if name == "stt" else "malabar")
    assert (answer.result(30).output, engines.names) == ("said", asked)
