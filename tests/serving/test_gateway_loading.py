"""While a base is opened, which takes its time, everything else that a gateway has to do goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from serving.gateway_world import TOPIC, Mirror, Staging, World, ask, eventually, produce, refresh

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving import hosts, placement
from data_foundry.serving.calls import Overloaded
from data_foundry.serving.gateway import Gateway

BOTH = (TOPIC, "nlu")


class Opening:
    """Bases that are opened no sooner than `go` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self._open = hosts.open_base
        monkeypatch.setattr(hosts, "open_base", self._wait)

    def _wait(self, *given: object) -> object:
        self.begun.set()
        assert self.go.wait(20)
        return self._open(*given)  # type: ignore[arg-type]


@pytest.fixture
def loading(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gateway, Opening]]:
    """A gateway with a topic version in production, v2 in the place of v1, that opens another base for `nlu`."""
    world.change("rollout", staging_share=1.0)
    world.change("serving", request_timeout_seconds=0.5)
    for name in ("v1", "v2"):
        produce(world, name)
    world.publish(TOPIC, "v3")
    world.move(TOPIC, "v3", Stage.STAGING)
    world.publish("nlu", "n1")
    gateway = world.gateway(only=BOTH)
    there, world.base = world.base, world.base.with_name("another-base")
    opening = Opening(monkeypatch)
    world.move("nlu", "n1", Stage.PRODUCTION)
    gateway.look()
    assert opening.begun.wait(20)
    world.base = there
    yield gateway, opening
    opening.go.set()
    gateway.wait()


def test_a_version_that_was_rolled_back_answers_nobody_while_another_adapters_base_is_opened(
    world: World, loading: tuple[Gateway, Opening]
) -> None:
    gateway, opening = loading
    world.move(TOPIC, "v3", Stage.ROLLED_BACK)
    world.move(TOPIC, "v2", Stage.ROLLED_BACK)
    gateway.look()
    assert ask(gateway).version == "base"
    opening.go.set()
    eventually(lambda: gateway.routes()["nlu"].incumbent == "n1", "the other adapter is served, too")


def test_a_version_that_was_rolled_back_answers_nobody_while_the_base_of_the_one_before_is_opened(
    world: World, loading: tuple[Gateway, Opening]
) -> None:
    gateway, opening = loading
    world.base = world.base.with_name("a-third-base")
    world.move(TOPIC, "v3", Stage.ROLLED_BACK)
    world.move(TOPIC, "v2", Stage.ROLLED_BACK)
    gateway.look()
    with pytest.raises(Overloaded, match="is being loaded"):
        ask(gateway)
    assert ["being loaded" in each for each in gateway.ready()] == [True]
    opening.go.set()
    eventually(lambda: gateway.routes()[TOPIC].incumbent == "base", "what takes its place is loaded")
    eventually(lambda: gateway.ready() == [], "nothing is missing any more")


def test_a_staged_call_that_hangs_goes_to_the_incumbent_while_a_base_is_opened(
    loading: tuple[Gateway, Opening],
) -> None:
    gateway, _ = loading
    Staging.does = "hang"
    answer = gateway.submit(TOPIC, "call", {"text": "hello"}).result(20)
    assert (answer.version, answer.fallback) == ("v2", "v3")


def test_a_model_that_hangs_is_given_up_while_a_base_is_opened(world: World, loading: tuple[Gateway, Opening]) -> None:
    gateway, opening = loading
    world.move(TOPIC, "v3", Stage.ROLLED_BACK)
    gateway.look()
    hangs = gateway.submit(TOPIC, "call", {"text": "slow"})
    assert hangs.exception(20) is not None and not opening.go.is_set()


def test_calls_on_a_base_that_no_version_needs_any_more_are_answered_before_a_gateway_ends(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    old = world.models[0]
    slow = gateway.submit(TOPIC, "slow", {"text": "slow"})
    assert old.working.wait(20)
    waits = gateway.submit(TOPIC, "waits", {"text": "waits"})
    world.base = world.base.with_name("another-base")
    produce(world, "v2")
    refresh(gateway)
    closing = threading.Thread(target=gateway.close, args=(20,))
    closing.start()
    old.go.set()
    closing.join()
    assert [future.result(0).version for future in (slow, waits)] == ["v1", "v1"]


def test_a_gateway_whose_thread_ended_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    produce(world)
    gateway = world.gateway()
    monkeypatch.setattr(gateway._duties, "ended", lambda: ["gateway-watch"])
    assert gateway.ready() == ["the thread gateway-watch has ended"]


def test_answers_are_forgotten_in_time_on_a_quiet_line(world: World) -> None:
    world.change("rollout", feedback_minutes=0.0)
    world.change("serving", poll_seconds=0.01)
    produce(world)
    gateway = world.gateway()
    ask(gateway)
    eventually(lambda: not gateway._recollection._requests, "the answer was forgotten")


def test_a_trial_that_can_not_begin_is_told_while_a_base_is_opened(
    world: World, loading: tuple[Gateway, Opening], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers goes on, and its own next version waits for the base that is being opened."""
    gateway, _ = loading

    class Refused(Mirror):
        def start(self) -> None:
            raise OSError("no process can be started")

    monkeypatch.setattr(placement, "Mirror", Refused)
    world.base = world.base.with_name("another-base")
    world.publish(TOPIC, "v4")
    world.move(TOPIC, "v4", Stage.PRODUCTION)
    gateway.look()
    assert ask(gateway).version == "v2"
    assert any("its trial can't begin" in each for each in gateway.ready())
