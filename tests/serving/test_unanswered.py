"""An adapter that nobody answers: what is on trial hears its calls all the same, and so can come to answer them."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serving import gateway_world
from serving.gateway_world import TOPIC, Heard, Mirror, Staging, World, ask, produce, refresh

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving import placement
from data_foundry.serving.calls import Answer, NotServed
from data_foundry.serving.feedback import NotALabel, SeveralRequests
from data_foundry.serving.gateway import Gateway
from data_foundry.serving.http.app import create_app
from data_foundry.serving.trials.followed import FollowedTrial
from data_foundry.serving.trials.trial import Pair, Side
from tests.serving import fakes

CALLS = 800


class Hearing(Mirror):
    """Hears what it is offered at once: the candidate says "sports", the incumbent "business"."""

    def offer(self, call_id: str, request_id: str, row: Any, answer: Answer | None, error: str | None = None) -> bool:
        super().offer(call_id, request_id, row, answer, error)
        lot = random.Random(request_id)
        sides = [Side(10 + lot.random(), None, 0.9) for _ in range(2)]
        assert self.given["record"](Pair(self.trial.id, request_id, time.time(), *sides, 1.0))
        self.given["paired"](self.trial, request_id, "business", "sports")
        return True


@pytest.fixture
def hearing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "Mirror", Hearing)


def unanswered(world: World, stage: Stage = Stage.SHADOW, **given: Any) -> tuple[Gateway, Mirror]:
    """A gateway whose only version is on trial, on a base that can't do its task alone."""
    world.change("serving", stand_in_heads=False)
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", stage)
    gateway = world.gateway(**given)
    (mirror,) = Mirror.made
    return gateway, mirror


def refused(gateway: Gateway, call_id: str = "call", text: str = "hello", request_id: str | None = None) -> None:
    with pytest.raises(NotServed, match="can't do its task"):
        gateway.submit(TOPIC, call_id, {"text": text}, request_id=request_id)


def test_what_is_on_trial_hears_the_calls_that_nobody_answers_and_their_callers_are_refused_as_ever(
    world: World,
) -> None:
    gateway, mirror = unanswered(world, observers=(heard := Heard(),))
    refused(gateway, request_id="r1")
    refused(gateway, "another")
    assert mirror.offered == [("call", None, None), ("another", None, None)]
    assert mirror.requests[0] == "r1" and len(set(mirror.requests)) == 2
    assert heard.said == [(TOPIC, None, "not_served")] * 2
    assert world.models == [], "no base was opened for it"


def test_a_call_that_no_model_could_take_is_refused_as_the_others_are_and_is_not_heard(world: World) -> None:
    gateway, mirror = unanswered(world)
    with pytest.raises(NotServed):
        gateway.submit(TOPIC, "call", {"text": 5})
    assert mirror.offered == []


def test_a_call_that_nobody_answers_is_refused_as_such_though_what_hears_it_breaks_on_it(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gateway, mirror = unanswered(world)

    def fail(*_: Any) -> None:
        raise LookupError("a caller's words")

    monkeypatch.setattr(gateway._standard, "row", fail)
    refused(gateway)
    assert mirror.offered == [] and "LookupError" in caplog.text and "words" not in caplog.text


def test_a_version_in_staging_answers_nobody_where_nobody_stands_behind_it_and_goes_on_being_tried(
    world: World,
) -> None:
    world.change("rollout", staging_share=1.0)
    gateway, mirror = unanswered(world, Stage.STAGING)
    refused(gateway)
    assert mirror.offered == [("call", None, None)] and Staging.made == []
    state = gateway.state()["adapters"][TOPIC]
    assert state["answers"] == [{"version": "v1", "role": "staging", "share": 0.0}] and state["staging"] is None
    produce(world, "v2", probe=True)
    refresh(gateway)
    assert ask(gateway).version == "v2", "what is in production by now"


def test_a_candidate_is_heard_after_the_version_that_answered_was_rolled_back_to_nobody(world: World) -> None:
    world.change("serving", stand_in_heads=False)
    produce(world, "v1", probe=True)
    world.publish(TOPIC, "v2", probe=True)
    world.move(TOPIC, "v2", Stage.SHADOW)
    gateway = world.gateway()
    world.move(TOPIC, "v1", Stage.ROLLED_BACK)
    refresh(gateway)
    refused(gateway)
    (mirror,) = [mirror for mirror in Mirror.made if not mirror.closed]
    assert (mirror.trial.candidate, mirror.trial.incumbent) == ("v2", "base")
    assert mirror.offered == [("call", None, None)]


@pytest.mark.usefixtures("hearing")
def test_feedback_on_what_nobody_answered_finds_the_request_by_either_id_and_knows_the_labels_of_the_trial(
    world: World,
) -> None:
    gateway, mirror = unanswered(world)
    refused(gateway, "call", request_id="r1")
    with pytest.raises(NotALabel) as wrong:
        gateway.feedback([TOPIC], "weather", request_id="r1")
    assert wrong.value.labels == Mirror.labels
    found = gateway.feedback([TOPIC], "sports", call_id="call")
    assert found is not None and (found["version"], found["loss"]) == (None, None)
    assert found["trials"] == [mirror.trial.id]
    refused(gateway, "call", request_id="r2")
    with pytest.raises(SeveralRequests):
        gateway.feedback([TOPIC], "sports", call_id="call")


def test_what_any_version_on_trial_can_say_is_a_truth(world: World) -> None:
    gateway, _ = unanswered(world, Stage.STAGING)
    world.publish(TOPIC, "v2", probe=True)
    world.move(TOPIC, "v2", Stage.SHADOW)
    refresh(gateway)
    first, second = list(gateway.routes()[TOPIC].mirrors.values())
    first.labels, second.labels = ("sports",), ("business", "weather")
    refused(gateway, request_id="r1")
    with pytest.raises(NotALabel) as wrong:
        gateway.feedback([TOPIC], "politics", request_id="r1")
    assert {*wrong.value.labels} == {"sports", "business", "weather"}
    assert gateway.feedback([TOPIC], "weather", request_id="r1")


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize("right", ["sports", "business"])
def test_from_calls_that_nobody_answers_and_their_feedback_the_judgement_comes_to_its_end(
    world: World, right: str
) -> None:
    gateway, mirror = unanswered(world)
    for number in range(CALLS):
        refused(gateway, f"call {number}", request_id=f"r{number}")
        assert gateway.feedback([TOPIC], right, request_id=f"r{number}")
    judgement = FollowedTrial(mirror.trial, world.settings.rollout).read(gateway.store)
    assert judgement.verdict == ("pass" if right == "sports" else "fail"), judgement.reason


def test_a_version_on_trial_that_nobody_stands_behind_is_probed_with_calls_that_were_made(world: World) -> None:
    gateway, _ = unanswered(world)
    assert gateway.probe(TOPIC, "v1") == (True, "it answered 3 of 3 calls")


@pytest.mark.usefixtures("hearing")
def test_over_http_a_call_that_nobody_answers_is_a_404_by_whose_id_feedback_reaches_what_is_on_trial(
    world: World,
) -> None:
    world.publish("nlu", "v1")
    gateway, mirror = unanswered(world, only=(TOPIC, "nlu"))
    produce_intent(world, gateway)
    service: Any = fakes.FakeService(world.settings)
    service.gateway = gateway
    with TestClient(create_app(service, fakes.Gate()), headers={"Authorization": "Bearer df-ours"}) as client:
        alone = client.post("/v1/understand", json={"text": "hello", "model": TOPIC})
        assert alone.status_code == 404 and alone.json()["error"]["code"] == "not_served"
        beside = client.post("/v1/understand", json={"text": "hello"})
        assert beside.status_code == 200 and beside.json()["topic"] is None and beside.json()["intent"]
        ids = [answer.headers["x-request-id"] for answer in (alone, beside)]
        assert mirror.requests == [f"ours/{each}" for each in ids], "asked alone, or beside what is answered"
        told = {"task": "topic", "truth": "sports", "request_id": ids[0]}
        assert client.post("/v1/feedback", json={**told, "truth": "weather"}).status_code == 400
        scored = client.post("/v1/feedback", json=told)
        assert scored.status_code == 200 and (scored.json()["adapter"], scored.json()["repeated"]) == (TOPIC, False)
        by_call = {"task": "topic", "truth": "sports", "call_id": beside.headers["x-call-id"]}
        assert client.post("/v1/feedback", json=by_call).status_code == 200
    assert len([*gateway.store.observations(mirror.trial.id)]) == 4, "two pairs, and the losses of both"


def produce_intent(world: World, gateway: Gateway) -> None:
    world.move("nlu", "v1", Stage.PRODUCTION)
    gateway_world.refresh(gateway)
