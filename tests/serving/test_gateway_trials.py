"""What is on trial beside a gateway: it hears calls, answers its share in staging, and costs callers nothing."""

from __future__ import annotations

from typing import Any

import pytest
from serving.gateway_world import TOPIC, Heard, Mirror, Staging, World, ask, eventually, produce, refresh

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.calls import Answer, Failed, TimedOut
from data_foundry.serving.candidate.said import Said
from data_foundry.serving.feedback import SeveralRequests
from data_foundry.serving.gateway import Gateway
from data_foundry.serving.trials.trial import Losses


def test_calls_are_mirrored_to_every_trial_after_they_were_answered(world: World) -> None:
    produce(world)
    produce(world, "v2")
    world.publish(TOPIC, "v3")
    world.move(TOPIC, "v3", Stage.SHADOW)
    gateway = world.gateway()
    trials = {mirror.trial.stage: mirror for mirror in Mirror.made}
    shadow, production = trials[Stage.SHADOW], trials[Stage.PRODUCTION]
    assert (shadow.trial.candidate, shadow.trial.incumbent) == ("v3", "v2")
    assert (production.trial.candidate, production.trial.incumbent) == ("v2", "v1")
    ask(gateway)
    with pytest.raises(Failed):
        ask(gateway, "bad", "raise")
    eventually(lambda: len(production.offered) == 2, "both calls were offered")
    assert shadow.offered == [("call", "v2", None)]
    assert production.offered == [("call", "v2", None), ("bad", None, "RuntimeError")]
    world.move(TOPIC, "v3", Stage.ROLLED_BACK)
    refresh(gateway)
    assert (shadow.closed, production.closed) == (True, False)


def test_calls_that_waited_for_a_model_that_hung_at_anothers_are_no_failures_of_their_own_version(world: World) -> None:
    for adapter in (TOPIC, "nlu"):
        world.publish(adapter, "v1")
        world.move(adapter, "v1", Stage.PRODUCTION)
    gateway = world.gateway(only=(TOPIC, "nlu"))
    mirrors = {mirror.trial.adapter: mirror for mirror in Mirror.made}
    futures = [gateway.submit("nlu", "hangs", {"text": "slow"})]
    assert world.models[0].working.wait(20)
    futures.append(gateway.submit(TOPIC, "waits", {"text": "waits"}))
    (host,) = [*gateway._placement.hosts]
    host.abandon()
    for future in futures:
        with pytest.raises(TimedOut):
            future.result(20)
    assert mirrors["nlu"].offered == [("hangs", None, "timed_out")] and mirrors[TOPIC].offered == []


def test_without_shadow_testing_what_answers_callers_is_still_compared_and_nothing_in_shadow_is(world: World) -> None:
    world.change("deployment", shadow_testing=False)
    produce(world)
    for name, stage in (("v2", Stage.STAGING), ("v3", Stage.SHADOW)):
        world.publish(TOPIC, name)
        world.move(TOPIC, name, stage)
    world.gateway()
    tried = {mirror.trial.candidate: mirror.trial.stage for mirror in Mirror.made}
    assert tried == {"v1": Stage.PRODUCTION, "v2": Stage.STAGING}
    assert [staging.trial.candidate for staging in Staging.made] == ["v2"]


def staged(world: World, does: str, **rollout: Any) -> tuple[Gateway, Mirror, Heard]:
    world.change("rollout", staging_share=1.0)
    produce(world)
    world.publish(TOPIC, "v2")
    world.move(TOPIC, "v2", Stage.STAGING)
    Staging.does = does
    gateway = world.gateway(observers=(heard := Heard(),))
    (mirror,) = [each for each in Mirror.made if each.trial.stage is Stage.STAGING]
    return gateway, mirror, heard


def test_a_version_in_staging_answers_its_share_of_callers(world: World) -> None:
    gateway, mirror, heard = staged(world, "answer")
    answer = ask(gateway)
    assert (answer.version, answer.output, answer.fallback) == ("v2", "staged", None)
    assert (mirror.offered, heard.said) == ([("call", "v2", None)], [(TOPIC, "v2")])
    assert gateway.state()["adapters"][TOPIC]["answers"][1] == {"version": "v2", "role": "staging", "share": 1.0}


@pytest.mark.parametrize(
    ("does", "error"), [("died", "died"), ("InvalidAnswer", "InvalidAnswer"), ("queue_full", None), ("not_ready", None)]
)
def test_the_incumbent_answers_where_a_version_in_staging_does_not_and_whose_doing_it_was_is_told(
    world: World, does: str, error: str | None
) -> None:
    gateway, mirror, heard = staged(world, does)
    answer = ask(gateway)
    assert (answer.version, answer.fallback) == ("v1", "v2")
    eventually(lambda: mirror.offered == [("call", "v1", error)], "the mirror heard of it")
    assert heard.said == [(TOPIC, "v1")]


def test_the_incumbent_answers_a_caller_whom_a_version_in_staging_leaves_waiting(world: World) -> None:
    world.change("serving", poll_seconds=0.01, request_timeout_seconds=1.0)
    gateway, mirror, _ = staged(world, "hang")
    answer = ask(gateway)
    assert (answer.version, answer.fallback) == ("v1", "v2")
    eventually(lambda: mirror.offered == [("call", "v1", "timed_out")], "the mirror heard of it")


def test_callers_of_a_version_in_staging_are_answered_when_the_gateway_closes_or_it_leaves(world: World) -> None:
    gateway, mirror, _ = staged(world, "hang")
    first = gateway.submit(TOPIC, "first", {"text": "hello"})
    world.move(TOPIC, "v2", Stage.ROLLED_BACK)
    refresh(gateway)
    world.publish(TOPIC, "v3")
    world.move(TOPIC, "v3", Stage.STAGING)
    refresh(gateway)
    second = gateway.submit(TOPIC, "second", {"text": "hello"})
    gateway.close()
    assert [(each.result(0).version, each.result(0).fallback) for each in (first, second)] == [
        ("v1", "v2"),
        ("v1", "v3"),
    ]
    assert mirror.offered == [("first", "v1", None)]


def test_a_call_whose_caller_gives_up_on_a_version_in_staging_is_nobodys_error_and_makes_a_pair(world: World) -> None:
    gateway, mirror, heard = staged(world, "hang")
    assert gateway.submit(TOPIC, "call", {"text": "hello"}).cancel()
    Staging.made[0].asked.pop().set_result(Said("staged", 0.9, 1.0))
    assert (mirror.offered, heard.said) == ([("call", None, None)], [(TOPIC, "v2", "timed_out")])


def test_a_version_in_staging_answers_nobody_while_pairs_can_not_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, *_ = staged(world, "answer")
    monkeypatch.setattr(gateway.store, "fault", "the disk is full")
    assert ask(gateway).version == "v1"


def test_feedback_scores_what_was_answered_and_both_versions_of_its_pair_in_either_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Losses] = []
    produce(world)
    world.publish(TOPIC, "v2")
    world.move(TOPIC, "v2", Stage.SHADOW)
    gateway = world.gateway()
    gateway._recollection._record = lambda losses: kept.append(losses) is None
    (mirror,) = [each for each in Mirror.made if each.trial.stage is Stage.SHADOW]
    for call in ("first", "second", "unpaired"):
        ask(gateway, call)
    eventually(lambda: len(mirror.offered) == 3, "all calls were offered")
    paired, (first, second, _) = mirror.given["paired"], mirror.requests
    paired(mirror.trial, first, "sports", "business")
    scored = {"adapter": TOPIC, "version": "v1", "loss": 1.0, "repeated": False}
    assert gateway.feedback([TOPIC], "sports", request_id=first) == {**scored, "trials": [mirror.trial.id]}
    assert gateway.feedback([TOPIC], "sports", call_id="second") == {**scored, "trials": []}
    paired(mirror.trial, second, "business", "sports")
    paired(mirror.trial, "forgotten", "business", "sports")
    assert [(each.incumbent, each.candidate) for each in kept] == [(0.0, 1.0), (1.0, 0.0)]
    assert "first" not in f"{kept}" and first not in f"{kept}"
    assert gateway.feedback(["nlu"], "sports", call_id="unpaired") is None
    assert gateway.feedback([TOPIC], "sports", call_id="other") is None


def test_utterances_of_one_phone_call_are_scored_apart_and_heard_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Losses] = []
    produce(world)
    world.publish(TOPIC, "v2")
    world.move(TOPIC, "v2", Stage.SHADOW)
    gateway = world.gateway()
    gateway._recollection._record = lambda losses: kept.append(losses) is None
    (mirror,) = [each for each in Mirror.made if each.trial.stage is Stage.SHADOW]
    for request in ("bill", "cancel"):
        gateway.submit(TOPIC, "phone call", {"text": request}, request_id=request).result(20)
    eventually(lambda: len(mirror.offered) == 2, "both utterances were offered")
    assert mirror.requests == ["bill", "cancel"] and {call for call, *_ in mirror.offered} == {"phone call"}
    # The mirror is behind: the pair of the first utterance comes when the second one was answered.
    for said in mirror.requests:
        mirror.given["paired"](mirror.trial, said, said, said)
    with pytest.raises(SeveralRequests):
        gateway.feedback([TOPIC], "cancel", call_id="phone call")
    for said in mirror.requests:
        assert gateway.feedback([TOPIC], said, request_id=said)
    assert [(each.incumbent, each.candidate) for each in kept] == [(0.0, 0.0)] * 2
    assert len({each.call for each in kept}) == 2


def test_a_call_id_finds_no_request_among_those_of_several_adapters_or_of_a_call_that_had_more(world: World) -> None:
    produce(world)
    recollection = world.gateway()._recollection
    for request, adapter, call in (("1", "stt", "a"), ("2", "stt.malabar", "a"), ("3", "stt", "b"), ("4", "stt", "b")):
        recollection.answered(request, Answer(call, adapter, "v1", "x", None, 1.0), "speech-to-text")
    names = ["stt", "stt.malabar"]
    for call in "ab":
        with pytest.raises(SeveralRequests):
            recollection.feedback(names, "x", call_id=call)
    recollection._requests["stt", "3"].until = recollection._requests["stt", "1"].until = 0.0
    assert recollection.feedback(names, "x", request_id="1") is None
    assert recollection.feedback(names, "x", call_id="a")["adapter"] == "stt.malabar"  # type: ignore[index]
    recollection._requests["stt.malabar", "2"].until = 0.0
    with pytest.raises(SeveralRequests):
        recollection.feedback(names, "x", call_id="b")
    assert [*recollection._latest] == [("stt", "b")]


def test_feedback_that_comes_too_late_is_not_scored(world: World) -> None:
    world.change("rollout", feedback_minutes=1e-9)
    produce(world)
    gateway = world.gateway()
    ask(gateway)
    assert gateway.feedback([TOPIC], "sports", call_id="call") is None


def test_a_version_on_trial_is_probed_with_calls_and_another_one_can_not_be(world: World) -> None:
    world.publish(TOPIC, "v1")
    world.move(TOPIC, "v1", Stage.SHADOW)
    gateway = world.gateway()
    assert gateway.probe(TOPIC, "v1") == (True, "it answered 3 of 3 calls")
    assert gateway.probe(TOPIC, "v2")[0] is gateway.probe("stt", "v1")[0] is False


def test_a_replay_mirrors_what_is_in_shadow_alone_by_a_key_that_is_the_same_in_every_run(world: World) -> None:
    produce(world)
    world.publish(TOPIC, "v2")
    world.move(TOPIC, "v2", Stage.SHADOW)
    gateway = world.gateway(source="replay")
    (mirror,) = Mirror.made
    assert (mirror.trial.source, mirror.trial.stage) == ("replay", Stage.SHADOW)
    assert mirror.given["key"] == gateway._key_of(TOPIC) and len(mirror.given["key"]) == 32
    assert not (world.settings.base_path / "serving" / "key").exists()


def test_a_caller_who_tells_at_once_what_was_right_is_understood(world: World) -> None:
    world.publish("nlu.topic", "aaaaaaaaaaaa")
    gateway = world.gateway()
    known: list[bool] = []
    for number in range(200):
        gateway.submit("nlu.topic", str(number), {"text": "കളി"}).result(20)
        known.append(gateway.feedback(["nlu.topic"], "sports", call_id=str(number)) is not None)
    assert all(known)
