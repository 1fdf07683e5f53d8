"""The gateway: the registry says who answers, a swap fails no call, and what is on trial costs callers nothing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from serving.gateway_world import Mirror, Staging, World, eventually

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.lake import Layer
from data_foundry.records import Rejected
from data_foundry.serving.calls import Answer, Failed, NotServed, Overloaded, TimedOut
from data_foundry.serving.gateway import Gateway
from data_foundry.serving.trials.trial import Losses

TOPIC = "nlu.topic"


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    made = World(settings, monkeypatch, tmp_path)
    made.change("serving", poll_seconds=3600.0)
    yield made
    made.close()


class Heard:
    """An observer that takes note."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def answered(self, answer: Answer, row: Any, seconds: float) -> None:
        self.said.append((answer.adapter, answer.version))

    def failed(self, adapter: str, version: str | None, kind: str, row: Any, seconds: float) -> None:
        self.said.append((adapter, version, kind))


def ask(gateway: Gateway, call_id: str = "call", text: str = "hello") -> Answer:
    return gateway.answer(TOPIC, call_id, {"text": text})


def answers(gateway: Gateway) -> bool:
    try:
        return bool(ask(gateway))
    except (NotServed, TimedOut):
        return False


def produce(world: World, name: str = "v1", **given: Any) -> None:
    world.publish(TOPIC, name, **given)
    world.move(TOPIC, name, Stage.PRODUCTION)


def test_what_is_in_production_answers_and_says_which_version_it_is(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    assert (ask(gateway).version, gateway.ready()) == ("v1", [])
    state = gateway.state()["adapters"][TOPIC]
    assert (state["version"], state["answers"]) == ("v1", [{"version": "v1", "role": "production", "share": 1.0}])
    known = world.registry.version(TOPIC, "v1")
    assert known and (state["artefact_hash"], state["since"]) == (known.artefact_hash, known.stage_since)


def test_the_base_answers_where_nothing_is_in_production(world: World) -> None:
    world.publish(TOPIC, "v1")
    world.move(TOPIC, "v1", Stage.SHADOW)
    answer = ask(world.gateway())
    assert (answer.version, answer.output) == ("base", "bare: hello")


def test_the_head_beside_a_candidate_answers_where_the_base_has_none(world: World) -> None:
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)
    answer = ask(world.gateway())
    assert answer.version == "base" and "linear_pr" in answer.output


def test_the_head_goes_on_answering_when_its_candidate_was_taken_back(world: World) -> None:
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)
    gateway = world.gateway()
    world.move(TOPIC, "v1", Stage.ROLLED_BACK)
    gateway.refresh()
    assert "linear_pr" in ask(gateway).output


def test_an_adapter_that_nothing_answers_for_says_why(world: World) -> None:
    world.publish(TOPIC, "v1", probe=True)
    gateway = world.gateway(observers=(heard := Heard(),))
    with pytest.raises(NotServed, match=r"nlu.topic is not served: .* no version that may answer"):
        ask(gateway)
    with pytest.raises(NotServed, match=r"tts is not served: no such adapter; served are nlu.topic"):
        gateway.submit("tts", "call", {"text": "hello"})
    assert gateway.ready() == []
    assert heard.said == [(TOPIC, None, "not_served"), ("tts", None, "not_served")]


def test_a_row_that_a_model_can_not_take_is_refused_before_it_waits(world: World) -> None:
    produce(world)
    gateway = world.gateway(observers=(heard := Heard(),))
    refusal = gateway.refusal(TOPIC, {"text": ""})
    assert refusal and refusal.reason == "empty_text" and gateway.refusal(TOPIC, {"text": "hello"}) is None
    for text, reason in (("", "empty_text"), ("x" * 2001, "text_too_long"), (7, "not_a_text")):
        with pytest.raises(Rejected) as refused:
            gateway.submit(TOPIC, "call", {"text": text})
        assert refused.value.reason == reason
    assert world.models[0].batches == []
    assert heard.said == [(TOPIC, None, f"rejected:{why}") for why in ("empty_text", "text_too_long", "not_a_text")]


def test_text_reaches_the_model_as_phase_2_writes_it_and_without_personal_data(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    ask(gateway, text="\u200bഅവന്\u200d  9847012345\u00a0 ")
    (_, (text,)) = world.models[0].batches[0]
    assert text == "അവൻ [PHONE]"


def test_a_new_version_takes_over_and_a_call_on_its_way_ends_on_the_old_one(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    model = world.models[0]
    slow = gateway.submit(TOPIC, "slow", {"text": "slow"})
    assert model.working.wait(20)
    waits = gateway.submit(TOPIC, "waits", {"text": "waits"})
    produce(world, "v2")
    gateway.refresh()
    after = gateway.submit(TOPIC, "after", {"text": "after"})
    model.go.set()
    assert [future.result(20).version for future in (slow, waits, after)] == ["v1", "v1", "v2"]
    assert len(world.models) == 1
    eventually(lambda: len(model.loaded) == 1, "the old weights went")


def test_a_swap_under_load_fails_no_call(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    stop, versions, wrong = threading.Event(), list[str](), list[BaseException]()

    def keep_asking(caller: int) -> None:
        number = 0
        while not stop.is_set():
            try:
                versions.append(ask(gateway, f"{caller}-{number}").version)
            except Exception as error:
                wrong.append(error)
            number += 1

    callers = [threading.Thread(target=keep_asking, args=(caller,)) for caller in range(4)]
    for caller in callers:
        caller.start()
    for number in range(2, 8):
        produce(world, f"v{number}")
        gateway.refresh()
        asked = len(versions)
        eventually(lambda asked=asked: len(versions) > asked + 8, "calls after the swap")  # type: ignore[misc]
    stop.set()
    for caller in callers:
        caller.join()
    assert wrong == [] and set(versions) == {f"v{number}" for number in range(1, 8)}
    assert versions[-1] == "v7"


def test_a_version_whose_files_are_not_those_registered_is_not_loaded_and_the_old_one_answers_on(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    world.publish(TOPIC, "v2")
    world.damage(TOPIC, "v2")
    world.move(TOPIC, "v2", Stage.PRODUCTION)
    gateway.refresh()
    assert ask(gateway).version == "v1"
    (missing,) = gateway.ready()
    assert missing.startswith("nlu.topic: v2 can't be served: ") and "other bytes than were published" in missing
    assert gateway.state()["missing"] == [missing]


def test_a_gateway_that_starts_on_damaged_files_serves_what_a_rollback_would_restore(world: World) -> None:
    produce(world)
    produce(world, "v2")
    world.damage(TOPIC, "v2")
    gateway = world.gateway()
    assert ask(gateway).version == "v1" and "v2 can't be served" in gateway.ready()[0]
    world.damage(TOPIC, "v2")
    gateway._look_again = 0.0
    gateway.refresh()
    assert (ask(gateway).version, gateway.ready()) == ("v2", [])


def test_one_adapter_that_can_not_be_loaded_keeps_no_other_from_being_served(world: World) -> None:
    produce(world)
    world.publish("sentiment", "v1")
    world.move("sentiment", "v1", Stage.PRODUCTION)
    shutil.rmtree(world.lake.folder(Layer.MODELS, "sentiment/v1"))
    gateway = world.gateway(only=(TOPIC, "sentiment"))
    assert ask(gateway).version == "v1"
    assert ["sentiment: v1 can't be served: " in each for each in gateway.ready()] == [True]
    with pytest.raises(NotServed):
        gateway.submit("sentiment", "call", {"text": "hello"})


def test_a_base_that_is_another_than_the_version_was_trained_on_is_not_loaded(world: World) -> None:
    produce(world)
    world.revision = "another"
    gateway = world.gateway()
    assert "was trained on owner/base at c0ffee; what is there is another" in gateway.ready()[0]


def test_a_version_that_did_harm_answers_nobody_although_its_successor_can_not_be_loaded(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    world.move(TOPIC, "v1", Stage.ROLLED_BACK)
    world.revision = "another"
    gateway.refresh()
    with pytest.raises(NotServed):
        ask(gateway)


def test_a_registry_that_can_not_be_read_leaves_what_is_served(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    kept = world.registry.path.read_bytes()
    world.registry.path.write_bytes(b"not a database" * 100)
    gateway.refresh()
    assert ask(gateway).version == "v1" and "registry can't be read" in gateway.ready()[0]
    world.registry.path.write_bytes(kept)
    gateway.refresh()
    assert gateway.ready() == []


def test_a_gateway_comes_upon_a_change_of_the_registry_by_itself(world: World) -> None:
    world.change("serving", poll_seconds=0.01)
    produce(world)
    gateway = world.gateway()
    produce(world, "v2")
    eventually(lambda: ask(gateway).version == "v2", "the gateway saw the new version")


def test_a_model_that_hangs_is_given_up_and_another_one_is_loaded(world: World) -> None:
    world.change("serving", poll_seconds=0.01, request_timeout_seconds=0.3)
    produce(world)
    gateway = world.gateway()
    for hung in (1, 2):
        hangs = gateway.submit(TOPIC, "slow", {"text": "slow"})
        with pytest.raises(TimedOut):
            hangs.result(20)
        if hung == 1:
            eventually(lambda: len(world.models) == 2, "another model is in memory")
            eventually(lambda: answers(gateway), "it answers")
    eventually(lambda: "2 models hang already" in f"{gateway.ready()}", "no third one is loaded")
    assert len(world.models) == 2


def test_adapters_of_one_base_share_it_in_memory_and_others_do_not(world: World) -> None:
    for adapter in (TOPIC, "nlu"):
        world.publish(adapter, "v1")
        world.move(adapter, "v1", Stage.PRODUCTION)
    gateway = world.gateway(only=(TOPIC, "nlu", "stt", "stt.malabar", "stt.cochin"))
    assert [gateway.answer(name, "call", {"text": "a"}).adapter for name in (TOPIC, "nlu", "stt.cochin")]
    assert gateway.state()["bases"] == len(world.models) == 2


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
    gateway.refresh()
    assert (shadow.closed, production.closed) == (True, False)


def test_nothing_is_mirrored_where_shadow_testing_is_off(world: World) -> None:
    world.change("deployment", shadow_testing=False)
    produce(world)
    world.publish(TOPIC, "v2")
    world.move(TOPIC, "v2", Stage.STAGING)
    gateway = world.gateway()
    assert ask(gateway).version == "v1" and Mirror.made == Staging.made == []


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
    gateway.refresh()
    world.publish(TOPIC, "v3")
    world.move(TOPIC, "v3", Stage.STAGING)
    gateway.refresh()
    second = gateway.submit(TOPIC, "second", {"text": "hello"})
    gateway.close()
    assert [(each.result(0).version, each.result(0).fallback) for each in (first, second)] == [
        ("v1", "v2"),
        ("v1", "v3"),
    ]
    assert mirror.offered == [("first", "v1", None)]


def test_a_caller_who_gives_up_on_a_version_in_staging_is_nobodys_error(world: World) -> None:
    gateway, mirror, heard = staged(world, "hang")
    assert gateway.submit(TOPIC, "call", {"text": "hello"}).cancel()
    Staging.made[0].asked.pop().set_result(Answer("call", TOPIC, "v2", "staged", 0.9, 1.0))
    assert (mirror.offered, heard.said) == ([], [(TOPIC, "v1", "timed_out")])


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
    gateway._recollection._record = kept.append
    (mirror,) = [each for each in Mirror.made if each.trial.stage is Stage.SHADOW]
    for call in ("first", "second", "unpaired"):
        ask(gateway, call)
    eventually(lambda: len(mirror.offered) == 3, "all calls were offered")
    paired = mirror.given["paired"]
    paired(mirror.trial, "first", "sports", "business")
    assert gateway.feedback("first", TOPIC, "sports") == {"version": "v1", "loss": 1.0, "trials": [mirror.trial.id]}
    assert gateway.feedback("second", TOPIC, "sports") == {"version": "v1", "loss": 1.0, "trials": []}
    paired(mirror.trial, "second", "business", "sports")
    paired(mirror.trial, "forgotten", "business", "sports")
    assert [(each.incumbent, each.candidate) for each in kept] == [(0.0, 1.0), (1.0, 0.0)]
    assert "first" not in f"{kept}"
    assert gateway.feedback("unpaired", "nlu", "sports") is None and gateway.feedback("other", TOPIC, "sports") is None


def test_feedback_that_comes_too_late_is_not_scored(world: World) -> None:
    world.change("rollout", feedback_minutes=1e-9)
    produce(world)
    gateway = world.gateway()
    ask(gateway)
    assert gateway.feedback("call", TOPIC, "sports") is None


def test_speech_goes_to_the_adapter_of_its_dialect_where_that_is_in_production_and_the_dialect_is_sure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.change("serving", dialect_adapters={"malabar": "stt.malabar", "cochin": "stt.cochin"})
    for adapter in ("dialect", "stt.malabar"):
        world.publish(adapter, "v1")
        world.move(adapter, "v1", Stage.PRODUCTION)
    gateway = world.gateway(only=("stt", "stt.malabar", "stt.cochin", "dialect"))
    heard: list[Any] = [("malabar", 0.9), ("malabar", 0.7), ("cochin", 0.9), RuntimeError("no answer")]
    submit = gateway.submit

    def submitted(adapter: str, call_id: str, row: Any) -> Future[Answer]:
        if adapter != "dialect":
            return submit(adapter, call_id, row)
        future: Future[Answer] = Future()
        said = heard.pop(0)
        if isinstance(said, Exception):
            future.set_exception(said)
        else:
            future.set_result(Answer(call_id, adapter, "v1", said[0], said[1], 1.0))
        return future

    monkeypatch.setattr(gateway, "submit", submitted)
    heard_by = [gateway.submit_speech(f"call {n}", {"text": "a"}).result(20).adapter for n in range(4)]
    assert heard_by == ["stt.malabar", "stt", "stt", "stt"]
    eventually(lambda: gateway.feedback("call 0", "stt", "a"), "feedback on speech finds what answered")
    world.move("stt.malabar", "v1", Stage.RETIRED)
    gateway.refresh()
    heard.append(AssertionError("nobody asks for the dialect"))
    assert gateway.submit_speech("call", {"text": "a"}).result(20).adapter == "stt" and len(heard) == 1


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


def test_a_gateway_that_was_closed_takes_no_calls_and_leaves_no_thread(world: World) -> None:
    produce(world)
    before = set(threading.enumerate())
    gateway = world.gateway()
    future = gateway.submit(TOPIC, "call", {"text": "hello"})
    gateway.close(20)
    assert future.result(0).version == "v1"
    with pytest.raises(NotServed, match="the gateway stops"):
        ask(gateway)
    assert set(threading.enumerate()) == before


def test_a_caller_who_comes_when_too_many_wait_is_told_to_come_again(world: World) -> None:
    world.change("serving", max_waiting_calls=1)
    produce(world)
    gateway = world.gateway(observers=(heard := Heard(),))
    futures = [gateway.submit(TOPIC, "slow", {"text": "slow"})]
    assert world.models[0].working.wait(20)
    futures.append(gateway.submit(TOPIC, "waits", {"text": "waits"}))
    with pytest.raises(Overloaded):
        ask(gateway)
    world.models[0].go.set()
    assert [future.result(20).version for future in futures] == ["v1", "v1"]
    assert (TOPIC, None, "overloaded") in heard.said


def test_a_caller_who_tells_at_once_what_was_right_is_understood(world: World) -> None:
    world.publish("nlu.topic", "aaaaaaaaaaaa")
    gateway = world.gateway()
    known: list[bool] = []
    for number in range(200):
        gateway.submit("nlu.topic", str(number), {"text": "കളി"}).result(20)
        known.append(gateway.feedback(str(number), "nlu.topic", "sports") is not None)
    assert all(known)
