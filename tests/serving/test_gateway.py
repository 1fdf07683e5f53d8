"""The gateway: the registry says who answers, a swap fails no call, and what is on trial costs callers nothing."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import pytest
from serving.gateway_world import TOPIC, Heard, Mirror, Model, World, answers, ask, eventually, produce, refresh

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.lake import Layer
from data_foundry.records import Rejected
from data_foundry.serving.calls import Answer, Failed, NotServed, Overloaded, Starting, TimedOut, Unavailable, give_up
from data_foundry.serving.gateway import Gateway
from data_foundry.serving.routing import Route, Wish


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


def test_a_head_that_no_person_approved_answers_no_caller_unless_the_settings_say_so(world: World) -> None:
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)
    with pytest.raises(NotServed, match="alone can't do its task"):
        ask(world.gateway())
    assert "linear_pr" in ask(world.gateway(source="replay")).output, "a replay calls nobody"


def test_the_head_beside_a_candidate_answers_where_the_base_has_none(world: World) -> None:
    world.change("serving", stand_in_heads=True)
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)
    answer = ask(world.gateway())
    assert answer.version == "base" and "linear_pr" in answer.output


def test_the_head_goes_on_answering_when_its_candidate_was_taken_back(world: World) -> None:
    world.change("serving", stand_in_heads=True)
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)
    gateway = world.gateway()
    world.move(TOPIC, "v1", Stage.ROLLED_BACK)
    refresh(gateway)
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


def test_an_answer_that_comes_too_late_is_told_as_timed_out_and_never_as_answered(world: World) -> None:
    produce(world)
    gateway = world.gateway(observers=(heard := Heard(),))
    late = gateway.submit(TOPIC, "call", {"text": "slow"})
    assert world.models[0].working.wait(20)
    give_up(late)
    world.models[0].go.set()
    ask(gateway)
    eventually(lambda: len(heard.said) == 2, "both calls' ends")
    assert heard.said == [(TOPIC, "v1", "timed_out"), (TOPIC, "v1")]


def test_a_row_that_a_model_can_not_take_is_refused_before_it_waits(world: World) -> None:
    produce(world)
    gateway = world.gateway(observers=(heard := Heard(),))
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
    gateway.look()
    model.go.set()
    gateway.wait()
    after = gateway.submit(TOPIC, "after", {"text": "after"})
    assert [future.result(20).version for future in (slow, waits, after)] == ["v1", "v1", "v2"]
    assert len(world.models) == 1
    eventually(lambda: len(model.loaded) == 1, "the old weights went")


def test_who_takes_over_from_whom_is_logged_whoever_moved_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "data_foundry")
    produce(world)
    gateway = world.gateway()
    produce(world, "v2")
    refresh(gateway)
    world.registry.roll_back(TOPIC, "v2", actor="Asha", reason="not that one")
    refresh(gateway)
    told = [message for message in caplog.messages if "takes over" in message]
    assert told == ["nlu.topic: v2 takes over from v1", "nlu.topic: base takes over from v2"]


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
        refresh(gateway)
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
    refresh(gateway)
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
    gateway._table._look_again = 0.0
    refresh(gateway)
    assert (ask(gateway).version, gateway.ready()) == ("v2", [])


def test_what_a_person_revoked_does_not_answer_in_the_place_of_what_replaced_it(world: World) -> None:
    produce(world)
    produce(world, "v2")
    world.registry.note(TOPIC, "v1", actor="Ravi", reason="Ravi revoked it", evidence={"revoked": "an approval"})
    world.damage(TOPIC, "v2")
    assert ask(world.gateway()).version == "base"


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


def test_an_adapter_that_can_not_be_placed_keeps_what_answers_and_no_other_from_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(world)
    world.publish("sentiment", "v1")
    world.move("sentiment", "v1", Stage.PRODUCTION)
    gateway = world.gateway(only=(TOPIC, "sentiment"))
    place = gateway._placement.route
    broken = {TOPIC}

    def route(wish: Wish, old: Route | None) -> Any:
        if wish.adapter in broken:
            raise KeyError("what nobody thought of")
        return place(wish, old)

    monkeypatch.setattr(gateway._placement, "route", route)
    produce(world, "v2")
    world.publish("sentiment", "v2")
    world.move("sentiment", "v2", Stage.PRODUCTION)
    refresh(gateway)
    assert (ask(gateway).version, gateway.routes()["sentiment"].incumbent) == ("v1", "v2")
    assert gateway.ready() == ["nlu.topic: it can't be placed: KeyError: 'what nobody thought of'"]
    broken.clear()
    gateway._table._look_again = 0.0
    refresh(gateway)
    assert (ask(gateway).version, gateway.ready()) == ("v2", [])


def test_an_adapter_that_can_not_be_placed_at_the_start_says_so_to_its_callers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def route(*_: Any) -> Any:
        raise KeyError("what nobody thought of")

    produce(world)
    gateway = world.gateway(start=False)
    monkeypatch.setattr(gateway._placement, "route", route)
    gateway.start()
    gateway.wait()
    with pytest.raises(NotServed, match="it can't be placed: KeyError"):
        ask(gateway)
    assert len(gateway.ready()) == 1 and TOPIC in gateway.routes()


def test_a_damaged_manifest_of_what_nobody_serves_is_no_error_of_the_gateways(world: World) -> None:
    world.publish(TOPIC, "v1", probe=True)
    (world.lake.folder(Layer.MODELS, f"{TOPIC}/v1") / "manifest.json").write_bytes(b"{")
    assert world.gateway().ready() == []


def test_a_registry_that_vanishes_leaves_what_is_served(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    there, away = world.registry.path, world.registry.path.with_name("away")
    there.rename(away)
    for left in (None, b""):
        if left is not None:
            there.write_bytes(left)
        refresh(gateway)
        assert ask(gateway).version == "v1"
        assert "the registry can't be read: its history is gone" in gateway.ready()
    away.replace(there)
    produce(world, "v2")
    refresh(gateway)
    assert (ask(gateway).version, gateway.ready()) == ("v2", [])


def test_a_version_of_an_engine_that_is_not_known_is_left_alone(world: World) -> None:
    produce(world)
    with closing(sqlite3.connect(world.registry.path)) as connection:
        row = "SELECT 'astrology', version, artefact_hash, evaluation_hash, base, base_revision, 'shadow', reason"
        connection.execute(f"INSERT INTO versions {row}, registered_at, stage_since FROM versions")
        connection.commit()
    gateway = world.gateway(only=())
    assert (ask(gateway).version, "astrology" in gateway.routes()) == ("v1", False)
    assert {mirror.trial.adapter for mirror in Mirror.made} == {TOPIC}


def test_a_tokenizer_that_panics_at_a_call_is_its_versions_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        """What a library written in Rust ends with."""

    def panic(*_: Any) -> None:
        raise Panic

    produce(world)
    gateway = world.gateway(observers=(heard := Heard(),))
    monkeypatch.setattr(Model, "encode", panic)
    with pytest.raises(Failed):
        ask(gateway)
    assert heard.said == [(TOPIC, "v1", "Panic")]


def test_a_version_that_was_evaluated_again_is_calibrated_as_that_says(world: World) -> None:
    def temperature(gateway: Gateway) -> float | None:
        answering = gateway.routes()[TOPIC].answering
        return answering.weights.temperature if answering else None

    world.publish(TOPIC, "v1", temperature=2.0)
    world.move(TOPIC, "v1", Stage.PRODUCTION)
    gateway = world.gateway()
    assert temperature(gateway) == 2.0
    world.publish(TOPIC, "v1", temperature=5.0)
    assert temperature(gateway) == 2.0, "nobody has looked yet"
    refresh(gateway)
    assert (temperature(gateway), temperature(world.gateway()), ask(gateway).version) == (5.0, 5.0, "v1")


def test_a_base_goes_on_answering_while_a_manifest_beside_it_can_not_be_read(world: World) -> None:
    world.change("serving", stand_in_heads=True)
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)
    gateway = world.gateway()
    assert ask(gateway).version == "base"
    world.publish(TOPIC, "v2", probe=True)
    manifest = world.lake.folder(Layer.MODELS, f"{TOPIC}/v1") / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(b"{")
    refresh(gateway)
    assert ask(gateway).version == "base" and len(gateway.ready()) == 1
    manifest.write_bytes(whole)
    gateway._table._look_again = 0.0
    refresh(gateway)
    assert (ask(gateway).version, gateway.ready()) == ("base", [])


@pytest.mark.parametrize("how", ["gone", "without its manifest", "damaged"])
def test_a_base_goes_on_answering_when_what_takes_its_place_can_not_be_loaded(world: World, how: str) -> None:
    world.change("serving", stand_in_heads=True)
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)
    gateway = world.gateway()
    assert ask(gateway).version == "base"
    folder = world.lake.folder(Layer.MODELS, f"{TOPIC}/v1")
    if how == "gone":
        shutil.rmtree(folder)
    elif how == "damaged":
        (folder / "manifest.json").write_bytes(b"{")
    else:
        (folder / "manifest.json").unlink()
    world.move(TOPIC, "v1", Stage.PRODUCTION)
    refresh(gateway)
    assert ask(gateway).version == "base" and len(gateway.ready()) == 1


@pytest.mark.parametrize("fault", ["damaged weights", "no registry", "stopped"])
def test_calls_that_nobody_can_answer_though_one_should_are_told_from_what_is_not_served(
    world: World, fault: str
) -> None:
    produce(world, probe=True)
    if fault == "damaged weights":
        world.damage(TOPIC, "v1")
    elif fault == "no registry":
        world.registry.path.write_bytes(b"no database" * 100)
    gateway = world.gateway(observers=(heard := Heard(),))
    if fault == "stopped":
        gateway.close()
    with pytest.raises(Unavailable):
        ask(gateway)
    assert heard.said == [(TOPIC, None, "unavailable")] and gateway.ready()


def test_a_trial_that_can_not_begin_makes_no_outage_of_what_is_not_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(TOPIC, "v1", probe=True)
    world.move(TOPIC, "v1", Stage.SHADOW)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr("data_foundry.serving.placement.Mirror", refuse)
    gateway = world.gateway(observers=(heard := Heard(),))
    with pytest.raises(NotServed):
        ask(gateway)
    assert "its trial can't begin" in gateway.ready()[0] and heard.said == [(TOPIC, None, "not_served")]


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
    refresh(gateway)
    with pytest.raises(NotServed):
        ask(gateway)


def test_a_registry_that_can_not_be_read_leaves_what_is_served(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    kept = world.registry.path.read_bytes()
    world.registry.path.write_bytes(b"not a database" * 100)
    refresh(gateway)
    assert ask(gateway).version == "v1" and "registry can't be read" in gateway.ready()[0]
    world.registry.path.write_bytes(kept)
    refresh(gateway)
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


def test_a_caller_who_comes_while_a_model_that_ended_is_loaded_again_is_told_to_come_again(world: World) -> None:
    produce(world)
    gateway = world.gateway()
    (host,) = [*gateway._placement.hosts]
    assert host.close(20)
    with pytest.raises(Overloaded, match="is loaded again"):
        ask(gateway)
    world.publish(TOPIC, "v2")
    refresh(gateway)
    assert ask(gateway).version == "v1" and len(world.models) == 2


def test_adapters_of_one_base_share_it_in_memory_and_others_do_not(world: World) -> None:
    for adapter in (TOPIC, "nlu"):
        world.publish(adapter, "v1")
        world.move(adapter, "v1", Stage.PRODUCTION)
    gateway = world.gateway(only=(TOPIC, "nlu", "stt", "stt.malabar", "stt.cochin"))
    assert [gateway.submit(name, "call", {"text": "a"}).result(20).adapter for name in (TOPIC, "nlu", "stt.cochin")]
    assert gateway.state()["bases"] == len(world.models) == 2


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

    def submitted(adapter: str, call_id: str, row: Any, *, request_id: str | None = None) -> Future[Answer]:
        if adapter != "dialect":
            return submit(adapter, call_id, row, request_id=request_id)
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
    eventually(
        lambda: gateway.feedback(["stt", "stt.malabar"], "a", call_id="call 0"),
        "feedback on speech finds what answered",
    )
    world.move("stt.malabar", "v1", Stage.RETIRED)
    refresh(gateway)
    heard.append(AssertionError("nobody asks for the dialect"))
    assert gateway.submit_speech("call", {"text": "a"}).result(20).adapter == "stt" and len(heard) == 1


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


def test_a_call_that_comes_while_the_gateway_starts_is_told_so_and_counted_as_that(world: World) -> None:
    world.publish(TOPIC, "v1")
    world.move(TOPIC, "v1", Stage.SHADOW)
    early = Gateway(world.settings, observers=(heard := Heard(),))
    with pytest.raises(Starting):
        early.submit(TOPIC, "call", {"text": "hello"})
    assert heard.said == [(TOPIC, None, "starting")]
