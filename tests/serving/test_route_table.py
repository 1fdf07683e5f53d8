"""No model that hangs, fails or is slow to load keeps a gateway from looking, serving others, or ending."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest
from serving.gateway_world import TOPIC, Heard, Mirror, Model, Staging, World, answers, ask, eventually, produce

from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving import hosts, placement
from data_foundry.serving.calls import Failed, Overloaded, TimedOut
from data_foundry.serving.service import Service
from data_foundry.serving.trials.rollback import take_back
from data_foundry.serving.weights import Weights

BOTH = (TOPIC, "nlu")


class Bases:
    """Every version has a base of its own, those of the topic adapter one if there is a `shared` one.

    The opening of those in `slow` waits for `go`, of those in `broken` it fails.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slow: set[str] = set()
        self.broken: set[str] = set()
        self.opened: list[str] = []
        self.go, self.waits = threading.Event(), threading.Event()
        self._open: Any = hosts.open_base
        self.shared: tuple[str, str] | None = None
        monkeypatch.setattr(hosts, "place_of", self._place)
        monkeypatch.setattr(hosts, "open_base", self._opened)

    def _place(self, weights: Weights) -> tuple[str, str]:
        own = weights.adapter, weights.version
        return self.shared if self.shared is not None and weights.adapter == TOPIC else own

    def _opened(self, settings: Any, weights: Weights) -> Any:
        self.opened.append(weights.version)
        if weights.version in self.slow:
            self.waits.set()
            assert self.go.wait(20)
        if weights.version in self.broken:
            raise MemoryError("there is no room for it")
        return self._open(settings, weights)


@pytest.fixture
def bases(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Bases(monkeypatch)
    yield made
    made.go.set()


def test_a_version_that_is_rolled_back_while_it_hangs_holds_up_nothing_but_its_own_callers(world: World) -> None:
    world.change("serving", poll_seconds=0.02, request_timeout_seconds=0.3)
    for name in ("v1", "v2"):
        produce(world, name)
    world.publish("nlu", "n1")
    gateway = world.gateway(only=BOTH)
    model = world.models[0]
    hangs = gateway.submit(TOPIC, "hangs", {"text": "slow"})
    assert model.working.wait(20)
    version = world.registry.version(TOPIC, "v2")
    assert version is not None
    take_back(world.settings, world.registry, version, actor="Asha", reason="it hangs", evidence={})
    gateway.look()
    with pytest.raises(TimedOut):
        hangs.result(20)
    eventually(lambda: answers(gateway) and ask(gateway).version == "v1", "its predecessor answers")
    world.move("nlu", "n1", Stage.PRODUCTION)
    eventually(lambda: gateway.routes()["nlu"].incumbent == "n1", "what the registry says of others is served")
    gateway.close(0.1)
    assert [host.lives for host in gateway._placement.hosts._hung] == [True], "it still hangs"


def test_a_swap_waits_for_the_batch_that_its_model_is_at_and_the_look_for_nothing(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    slow = gateway.submit(TOPIC, "slow", {"text": "slow"})
    assert world.models[0].working.wait(20)
    produce(world, "v2")
    gateway.look()
    assert (gateway.routes()[TOPIC].incumbent, slow.done(), gateway.ready()) == ("v1", False, [])
    world.models[0].go.set()
    gateway.wait()
    assert (slow.result(20).version, ask(gateway).version, len(world.models)) == ("v1", "v2", 1)


def test_a_version_beside_another_is_placed_while_a_base_is_opened(world: World, bases: Bases) -> None:
    world.change("serving", poll_seconds=0.02)
    produce(world)
    gateway = world.gateway(only=BOTH)
    bases.slow.add("n1")
    world.publish("nlu", "n1")
    world.move("nlu", "n1", Stage.PRODUCTION)
    assert bases.waits.wait(20)
    bases.shared = (TOPIC, "v1")
    produce(world, "v2")
    eventually(lambda: ask(gateway).version == "v2", "it is laid over the base in memory")
    assert not bases.go.is_set() and "v2" not in bases.opened


def test_a_base_that_can_not_be_opened_is_tried_once_and_its_predecessor_on_another_base_answers(
    world: World, bases: Bases
) -> None:
    for name in ("v1", "v2"):
        produce(world, name)
    bases.broken.add("v2")
    gateway = world.gateway(start=False)
    gateway.start()
    eventually(lambda: answers(gateway) and not gateway._table._now[1], "nothing is left to open")
    assert (bases.opened, ask(gateway).version) == (["v2", "v1"], "v1")
    assert gateway.ready() == ["nlu.topic: v2 can't be served: MemoryError: there is no room for it"]
    bases.broken.clear()
    gateway._table._look_again = 0.0
    gateway.look()
    gateway.wait()
    assert (bases.opened, ask(gateway).version, gateway.ready()) == (["v2", "v1", "v2"], "v2", [])


def test_a_version_that_can_not_be_laid_over_its_base_is_not_tried_again_at_every_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(world)
    gateway = world.gateway()
    tries: list[str] = []

    def misfit(name: str, folder: Any) -> None:
        tries.append(name)
        raise FoundryError("It does not fit.", "Train it anew.")

    monkeypatch.setattr(world.models[0], "add_adapter", misfit)
    produce(world, "v2")
    for _ in range(5):
        gateway.look()
        gateway.wait()
    assert (len(tries), ask(gateway).version, len(gateway.ready())) == (1, "v1", 1)
    gateway._table._look_again = 0.0
    for _ in range(5):
        gateway.look()
        gateway.wait()
    assert len(tries) == 2, "once more, when its time has come"


def test_a_version_whose_adapter_does_not_load_keeps_no_other_off_the_same_base(
    world: World, bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misfit(*_: Any) -> None:
        raise FoundryError("It does not fit.", "Train it anew.")

    for name in ("v1", "v2"):
        produce(world, name)
    bases.shared = (TOPIC, "shared")
    bases.broken.add("v2")
    monkeypatch.setattr(Model, "add_adapter", misfit)
    gateway = world.gateway()
    assert (ask(gateway).version, bases.opened) == ("v1", ["v2", "v1"])
    assert len(gateway.ready()) == 1 and "v2 can't be served" in gateway.ready()[0]


def test_where_the_base_answers_the_version_before_takes_its_place_as_soon_as_it_can_be_loaded(
    world: World, bases: Bases
) -> None:
    for name in ("v1", "v2"):
        produce(world, name)
    bases.broken |= {"v1", "v2"}
    gateway = world.gateway()
    assert gateway.routes()[TOPIC].incumbent == "base"
    bases.broken.discard("v1")
    gateway._table._look_again = 0.0
    gateway.look()
    gateway.wait()
    assert ask(gateway).version == "v1" and len(gateway.ready()) == 1


def test_a_gateway_is_not_ready_while_a_model_that_was_given_up_is_loaded_again(world: World, bases: Bases) -> None:
    world.change("serving", poll_seconds=0.02, request_timeout_seconds=0.3)
    produce(world)
    gateway = world.gateway()
    bases.slow.add("v1")
    with pytest.raises(TimedOut):
        gateway.submit(TOPIC, "call", {"text": "slow"}).result(20)
    assert bases.waits.wait(20)
    with pytest.raises(Overloaded, match="loaded again"):
        ask(gateway)
    assert gateway.ready() == ["nlu.topic: The model of nlu.topic has ended and is loaded again."]
    bases.go.set()
    eventually(lambda: gateway.ready() == [] and answers(gateway), "it is loaded again")


def test_the_memory_of_a_base_goes_when_another_took_its_place_and_nothing_else_happens(
    world: World, bases: Bases
) -> None:
    world.change("serving", poll_seconds=0.02)
    produce(world)
    gateway = world.gateway()
    ask(gateway)
    model = weakref.ref(world.models.pop())
    produce(world, "v2")
    eventually(lambda: gateway.routes()[TOPIC].incumbent == "v2", "the other took its place")
    eventually(lambda: gc.collect() is not None and model() is None, "its memory is free")


def test_what_one_adapter_waits_for_at_the_start_holds_up_no_duty_of_another(world: World, bases: Bases) -> None:
    world.change("rollout", staging_share=1.0)
    world.change("serving", poll_seconds=0.02, request_timeout_seconds=0.3)
    Staging.does = "hang"
    for name, stage in (("n1", Stage.PRODUCTION), ("n2", Stage.STAGING)):
        world.publish("nlu", name)
        world.move("nlu", name, stage)
    produce(world)
    bases.slow.add("v1")
    gateway = world.gateway(start=False, only=BOTH)
    gateway.start()
    assert bases.waits.wait(20)
    answer = gateway.submit("nlu", "call", {"text": "hello"}).result(20)
    assert (answer.version, answer.fallback) == ("n1", "n2"), "a staged call that hangs is given up"
    world.move("nlu", "n2", Stage.ROLLED_BACK)
    eventually(lambda: gateway.routes()["nlu"].staging is None, "a rollback is seen")
    assert not bases.go.is_set() and gateway.ready() == ["nlu.topic: v1 is being loaded"]


def test_a_service_judges_while_it_loads_and_ends_without_waiting_for_what_it_loads(world: World, bases: Bases) -> None:
    world.change("serving", poll_seconds=0.02)
    produce(world)
    bases.slow.add("v1")
    service = Service(world.settings, only=(TOPIC,))
    starting = threading.Thread(target=service.start)
    starting.start()
    assert bases.waits.wait(20)
    eventually(lambda: service.controller.state()["checked_at"], "it judges")
    service.close(0.1)
    starting.join(20)
    assert not starting.is_alive() and not bases.go.is_set()
    bases.go.set()
    eventually(
        lambda: not any("gateway-" in each.name or "host-" in each.name for each in threading.enumerate()), "end"
    )
    assert service.gateway.ready() == ["the gateway stops"] and service.gateway.state()["bases"] == 0


def test_a_service_that_is_closed_while_it_first_looks_places_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(world)
    world.publish("nlu", "n1")
    world.move("nlu", "n1", Stage.PRODUCTION)
    placed: list[str] = []
    begun, go, place = threading.Event(), threading.Event(), placement.Placement.route

    def slow(self: Any, wish: Any, old: Any) -> Any:
        placed.append(wish.adapter)
        begun.set()
        assert go.wait(20)
        return place(self, wish, old)

    monkeypatch.setattr(placement.Placement, "route", slow)
    service = Service(world.settings, only=BOTH)
    starting = threading.Thread(target=service.start)
    closing = threading.Thread(target=service.close, args=(0.1,))
    starting.start()
    assert begun.wait(20)
    closing.start()
    eventually(service.gateway._table._stopping.is_set, "it is told to stop, though it is still looking")
    go.set()
    for thread in (starting, closing):
        thread.join(20)
        assert not thread.is_alive()
    assert len(placed) == 1 and service.gateway.ready() == ["the gateway stops"]


def test_a_service_that_was_closed_before_it_began_begins_nothing(world: World) -> None:
    service = Service(world.settings, only=(TOPIC,))
    service.close()
    before = set(threading.enumerate())
    service.start()
    assert set(threading.enumerate()) == before


def test_a_call_that_breaks_what_a_version_is_given_is_told_and_counts_against_that_version(world: World) -> None:
    for name in ("v1", "v2"):
        produce(world, name)
    gateway = world.gateway(observers=(heard := Heard(),))
    (mirror,) = [each for each in Mirror.made if each.trial.candidate == "v2"]
    with pytest.raises(Failed) as failed:
        ask(gateway, "call", "break, secret")
    assert "secret" not in f"{failed.value}"
    assert (heard.said, mirror.offered) == ([(TOPIC, "v2", "ValueError")], [("call", None, "ValueError")])


def test_a_call_that_no_version_has_seen_is_told_when_it_breaks_and_counts_against_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("v1", "v2"):
        produce(world, name)
    gateway = world.gateway(observers=(heard := Heard(),))

    def fail(*_: Any) -> None:
        raise LookupError("a caller's words")

    monkeypatch.setattr(gateway._standard, "row", fail)
    with pytest.raises(LookupError):
        ask(gateway)
    assert heard.said == [(TOPIC, None, "LookupError")] and [each.offered for each in Mirror.made] == [[]]
