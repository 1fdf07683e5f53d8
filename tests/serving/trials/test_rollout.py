"""The rollout: evidence and a person's word move a version up, harm takes it back, and two gateways move it once."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from processes import wait_for
from trial_builders import UP, FakeGateway, Line, simulated

from data_foundry.config import Settings
from data_foundry.finetuning.versions import registry
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.lake import Layer
from data_foundry.serving.admission import GATEWAY, taken_back
from data_foundry.serving.trials import rollout
from data_foundry.serving.trials.approval import approve, revoke
from data_foundry.serving.trials.decision import COUNTING
from data_foundry.serving.trials.rollout import trials_of
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.store import TrialStore

ENOUGH = 800
"""Calls with feedback after which a harmless candidate has passed."""
BOUND = 40
"""Calls within which a candidate that fails all of them is taken back."""
WHO = {"actor": "Asha", "reason": "listened to 50 of its answers"}


@pytest.fixture
def line(settings: Settings) -> Line:
    return Line(settings)


def edit(line: Line, version: Version, file: str = "adapter/adapter_model.safetensors") -> None:
    path = line.lake.folder(Layer.MODELS, f"{version.engine}/{version.version}") / file
    path.write_bytes(path.read_bytes()[::-1])


def moves(line: Line, version: Version) -> list[tuple[str, str]]:
    """The stages that a version has come to by gateways' moves, with the event."""
    entries = line.registry.history(version.engine, version.version)
    return [(each.event, each.to_stage) for each in entries if each.actor == GATEWAY]


def test_a_harmless_candidate_goes_up_by_calls_and_to_production_by_a_persons_word_besides(line: Line) -> None:
    first, second = line.version("first", *UP), line.version("second", Stage.SHADOW)
    line.controller.tick()
    assert line.told(second)["waits_for"] == "no call was heard by both versions"
    line.call(second, ENOUGH)
    line.controller.tick()
    assert line.now(second).stage is Stage.STAGING and line.gateway.probed == [("nlu", second.version)]
    assert line.gateway.looks == 1
    line.controller.tick()
    assert line.told(second)["waits_for"] == "no call was heard by both versions", "another stage begins anew"
    line.call(second, ENOUGH)
    line.controller.tick()
    told = line.told(second)
    assert line.now(second).stage is Stage.STAGING and told["waits_for"] == "approval"
    given, _ = approve(line.settings, "nlu", second.version, **WHO)
    line.controller.tick()
    assert line.now(second).stage is Stage.PRODUCTION and line.now(first).stage is Stage.RETIRED
    line.controller.tick()
    assert line.told(second)["incumbent"] == first.version, "it goes on being tried against what it replaced"
    assert line.registry.verify_history() == []
    entry = line.registry.history("nlu", second.version)[-1]
    assert entry.actor == GATEWAY and entry.evidence["gateway"] == line.controller.id
    assert entry.evidence["approval"]["hash"] == given.hash and entry.evidence["approval"]["approver"] == "Asha"
    assert entry.evidence["artefact_hash"] == second.artefact_hash
    assert entry.evidence["trial"]["judgement"]["verdict"] == "pass" and entry.evidence["trial"]["pairs"] == ENOUGH
    assert entry.evidence["probe"] == "3 of 3 calls answered"
    assert line.controller.state()["errors"] == []


@pytest.mark.parametrize("harm", [{"failing": 1.0}, {"slower": 4.0}, {"worse": 0.9}], ids=lambda harm: next(iter(harm)))
@pytest.mark.parametrize("stages", [UP[:1], UP[:2], UP], ids=lambda stages: stages[-1])
def test_harm_of_any_kind_takes_a_version_back_from_any_stage_within_the_bound(
    line: Line, harm: dict[str, float], stages: tuple[Stage, ...]
) -> None:
    first, second = line.version("first", *UP), line.version("second", *stages)
    line.call(second, BOUND, **harm)
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK and line.now(first).stage is Stage.PRODUCTION
    entry = next(each for each in line.registry.history() if each.to_stage == "rolled_back")
    assert entry.actor == GATEWAY and entry.evidence["trial"]["judgement"]["verdict"] == "fail"
    assert entry.evidence["artefact_hash"] == second.artefact_hash
    assert entry.reason.startswith(f"rolled back: it did harm in {stages[-1]}, compared with {first.version}: ")
    assert line.registry.verify_history() == [] and line.gateway.looks == 1
    line.controller.tick()
    assert line.controller.state()["errors"] == [] and line.gateway.probed == []


@pytest.mark.parametrize("better", [{"slower": 0.3}, {"worse": -1.0}], ids=lambda better: next(iter(better)))
def test_a_candidate_that_is_better_is_not_taken_back(line: Line, better: dict[str, float]) -> None:
    line.version("first", *UP)
    second = line.version("second", Stage.SHADOW)
    line.call(second, 300, **better)
    line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW


def test_an_incumbent_that_fails_is_not_the_candidates_harm(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    pairs = [pair for pair, _ in simulated(line.trial(second).id, 300, failing=1.0)]
    assert line.store.keep(*(replace(p, incumbent=p.candidate, candidate=p.incumbent) for p in pairs))
    line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW


@pytest.mark.parametrize("feedback", [False, True])
def test_calls_without_feedback_promote_nothing(line: Line, feedback: bool) -> None:
    second = line.version("second", Stage.SHADOW)
    given = [each for both in simulated(line.trial(second).id, ENOUGH) for each in both[: 1 + feedback]]
    assert line.store.keep(*given)
    line.controller.tick()
    assert line.now(second).stage is (Stage.STAGING if feedback else Stage.SHADOW)
    if not feedback:
        assert "no feedback" in str(line.told(second)["waits_for"])


def test_one_call_less_than_asked_for_holds(line: Line) -> None:
    line.change("rollout", min_calls=ENOUGH)
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH - 1)
    line.controller.tick()
    assert line.told(second)["waits_for"] == f"{ENOUGH - 1} of at least {ENOUGH} calls"
    line.call(second, 1, first=ENOUGH)
    line.controller.tick()
    assert line.now(second).stage is Stage.STAGING


def test_a_probe_that_fails_keeps_a_version_out_and_is_not_repeated_at_once(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)
    line.gateway.answers = False
    for _ in range(3):
        line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW and len(line.gateway.probed) == 1
    assert line.told(second)["waits_for"] == "kept from staging: its probe failed: 0 of 3 calls answered"
    line.gateway.answers = True
    monkeypatch.setattr(rollout, "AGAIN_SECONDS", 0.0)
    line.controller = line.another()
    line.controller.tick()
    assert line.now(second).stage is Stage.STAGING


def test_harm_that_shows_while_a_version_is_probed_keeps_it_out(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)

    class Slow(FakeGateway):
        def probe(self, adapter: str, version: str) -> tuple[bool, str]:
            line.call(second, 60, first=ENOUGH, failing=1.0)
            return super().probe(adapter, version)

    line.controller = line.another(Slow())
    line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK


@pytest.mark.parametrize("file", ["adapter/adapter_model.safetensors", "evaluation.json"])
@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.STAGING])
def test_a_version_whose_files_are_not_what_was_registered_is_kept_out(line: Line, stage: Stage, file: str) -> None:
    second = line.version("second", *UP[: UP.index(stage) + 1])
    line.call(second, ENOUGH)
    approve(line.settings, "nlu", second.version, **WHO)
    edit(line, second, file)
    line.controller.tick()
    assert line.now(second).stage is stage and line.gateway.probed == []
    assert "has other bytes than were published" in str(line.told(second)["waits_for"])


def test_a_history_that_was_edited_promotes_nothing(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)
    connection = sqlite3.connect(line.registry.path)
    connection.execute("DROP TRIGGER history_is_not_edited")
    connection.execute("UPDATE history SET actor = 'somebody'")
    connection.commit()
    connection.close()
    line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW and "history is not whole" in str(line.told(second)["waits_for"])


@pytest.mark.parametrize("given", ["never", "for the shadow's evidence", "revoked", "expired", "other weights"])
def test_production_needs_an_approval_that_stands(line: Line, given: str) -> None:
    second = line.version("second", Stage.SHADOW, Stage.STAGING)
    line.call(second, ENOUGH)
    if given != "never":
        approve(line.settings, "nlu", second.version, **WHO)
    if given == "revoked":
        revoke(line.settings, "nlu", second.version, actor="Ravi", reason="too early")
    if given == "expired":
        line.change("rollout", approval_days=1e-9)
    if given == "other weights":
        line.registry.register(
            "nlu", second.version, artefact_hash=second.artefact_hash, evaluation_hash="another", base="owner/base",
            base_revision=None, actor="phase4", reason="measured again",
        )  # fmt: skip
    line.controller.tick()
    if given == "for the shadow's evidence":
        assert line.now(second).stage is Stage.PRODUCTION
    else:
        assert line.now(second).stage is Stage.STAGING
        assert line.told(second)["waits_for"] == "approval"


def test_an_approval_that_is_revoked_while_the_version_is_probed_stops_the_move(line: Line) -> None:
    second = line.version("second", Stage.SHADOW, Stage.STAGING)
    line.call(second, ENOUGH)
    approve(line.settings, "nlu", second.version, **WHO)

    class Slow(FakeGateway):
        def probe(self, adapter: str, version: str) -> tuple[bool, str]:
            revoke(line.settings, "nlu", second.version, actor="Ravi", reason="too early")
            return super().probe(adapter, version)

    line.controller = line.another(Slow())
    line.controller.tick()
    assert line.now(second).stage is Stage.STAGING and line.controller.state()["errors"] == []


def test_a_version_that_is_evaluated_again_while_it_is_probed_is_looked_at_anew(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)

    class Slow(FakeGateway):
        def probe(self, adapter: str, version: str) -> tuple[bool, str]:
            line.registry.register(
                "nlu", version, artefact_hash=second.artefact_hash, evaluation_hash="another", base="owner/base",
                base_revision=None, actor="phase4", reason="measured again",
            )  # fmt: skip
            return super().probe(adapter, version)

    line.controller = line.another(Slow())
    line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW and line.controller.state()["errors"] == []
    assert str(line.told(second)["decision"]).startswith("somebody else was first")
    line.controller.tick()
    assert "is not what was registered" in str(line.told(second)["waits_for"])


def test_staging_that_is_taken_is_waited_for(line: Line) -> None:
    there = line.version("there", Stage.SHADOW, Stage.STAGING)
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)
    line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW and line.now(there).stage is Stage.STAGING
    assert f"{there.version} is in staging" in str(line.told(second)["waits_for"])
    line.registry.roll_back("nlu", there.version, actor="Asha", reason="not that one")
    line.controller.tick()
    assert line.now(second).stage is Stage.STAGING


def test_without_shadow_testing_nothing_is_promoted_and_harm_still_takes_back(line: Line) -> None:
    line.change("deployment", shadow_testing=False)
    other, second = line.version("other", Stage.SHADOW, Stage.STAGING), line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)
    line.call(other, BOUND, failing=1.0)
    line.controller.tick()
    assert line.told(second)["decision"] == "deployment.shadow_testing is false: nothing is promoted"
    assert line.now(second).stage is Stage.SHADOW and line.now(other).stage is Stage.ROLLED_BACK


def test_with_rollback_disabled_harm_is_noted_once_and_nothing_moves(line: Line) -> None:
    line.change("deployment", rollback_enabled=False)
    second = line.version("second", *UP)
    line.call(second, BOUND, failing=1.0)
    others = [line.controller, line.another()]
    for round_ in range(3):
        line.call(second, 5, first=BOUND + 5 * round_, failing=1.0)
        for controller in others:
            controller.tick()
            assert controller.state()["errors"] == []
    assert line.now(second).stage is Stage.PRODUCTION
    notes = [entry for entry in line.registry.history() if entry.event == "noted"]
    assert len(notes) == 1 and notes[0].actor == GATEWAY
    assert notes[0].reason.startswith(
        "in production although it does harm, because deployment.rollback_enabled is false"
    )
    assert line.registry.verify_history() == []


def test_a_gateway_that_was_restarted_comes_to_the_same_judgement(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    for first in range(0, 300, 50):
        line.call(second, 50, first=first, worse=0.02)
        line.controller.tick()
    fresh = line.another()
    fresh.tick()
    assert fresh.state()["trials"] == line.controller.state()["trials"] == trials_of(line.settings)
    assert line.told(second)["pairs"] == line.told(second)["losses"] == 300


def test_of_two_gateways_that_look_at_once_one_moves_and_none_errs(line: Line) -> None:
    """Each move is tried by four controllers at once: one entry in the history for each."""
    first, second = line.version("first", *UP), line.version("second", Stage.SHADOW)
    approve(line.settings, "nlu", second.version, **WHO)
    gate = threading.Barrier(4)

    class Together(FakeGateway):
        def probe(self, adapter: str, version: str) -> tuple[bool, str]:
            gate.wait(30)
            return super().probe(adapter, version)

    controllers = [line.another(Together()) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for calls in (ENOUGH, ENOUGH):
            line.call(second, calls)
            list(pool.map(lambda each: each.tick(), controllers))
            assert all(each.state()["errors"] == [] for each in controllers)
        assert line.now(second).stage is Stage.PRODUCTION
        line.call(second, BOUND, failing=1.0)
        list(pool.map(lambda each: each.tick(), controllers))
    assert all(each.state()["errors"] == [] for each in controllers)
    assert moves(line, second) == [("moved", "staging"), ("moved", "production"), ("moved", "rolled_back")]
    assert moves(line, first) == [("moved", "retired"), ("restored", "production")]
    assert line.registry.verify_history() == []
    assert [each.probed for each in (controller._gateway for controller in controllers)] == [
        [("nlu", second.version)] * 2
    ] * 4


def test_a_rollback_whose_incumbent_is_damaged_leaves_the_base_to_answer_and_says_why(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = line.version("first", *UP), line.version("second", *UP)
    edit(line, first)
    line.call(second, BOUND, failing=1.0)
    with caplog.at_level(logging.ERROR):
        line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK and line.now(first).stage is Stage.RETIRED
    entry = line.registry.history("nlu", second.version)[-1]
    assert entry.evidence["restored"] is None and "has other bytes" in entry.evidence["not_restored"]
    assert "base answers callers" in caplog.text and "can't serve again" in caplog.text
    assert standing_trials(line.registry) == []


def test_replayed_calls_move_nothing(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    store = TrialStore(line.lake)
    (trial,) = standing_trials(line.registry, "replay")
    assert trial.id != line.trial(second).id
    assert store.keep(*(each for both in simulated(trial.id, BOUND, failing=1.0) for each in both))
    controller = rollout.RolloutController(line.settings, line.registry, store, line.gateway, source="replay")
    controller.tick()
    line.controller.tick()
    store.close()
    (told,) = controller.state()["trials"]
    assert told["judgement"]["verdict"] == "fail" and told["act"] == "hold"
    assert line.now(second).stage is Stage.SHADOW and line.told(second)["pairs"] == 0


def test_a_controller_for_some_adapters_leaves_the_others_alone(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, BOUND, failing=1.0)
    other = rollout.RolloutController(line.settings, line.registry, line.store, line.gateway, adapters=("stt",))
    other.tick()
    assert other.state()["trials"] == [] and line.now(second).stage is Stage.SHADOW


class Broken(FakeGateway):
    def probe(self, adapter: str, version: str) -> tuple[bool, str]:
        raise RuntimeError("no process could be started")


def test_an_error_of_one_trial_is_told_logged_once_and_harms_no_other(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)
    stt = Line(line.settings, "stt")
    third = stt.version("third", Stage.SHADOW)
    stt.call(third, BOUND, failing=1.0)
    line.controller = line.another(Broken())
    for _ in range(3):
        line.controller.tick()
    assert line.controller.state()["errors"] == [f"nlu/{second.version}: RuntimeError: no process could be started"]
    assert line.told(second)["error"] == "RuntimeError: no process could be started"
    assert stt.now(third).stage is Stage.ROLLED_BACK
    assert [r.message for r in caplog.records if "no process" in r.message] == [
        f"the trial of nlu/{second.version}: RuntimeError: no process could be started"
    ]


def test_a_store_or_registry_that_can_not_be_read_is_told_and_the_thread_goes_on(line: Line) -> None:
    line.change("serving", poll_seconds=0.01)
    second = line.version("second", Stage.SHADOW)
    line.store.path.parent.mkdir(parents=True)
    line.store.path.write_bytes(b"this is no database, whatever its name says" * 100)

    def told() -> str:
        return "".join(line.controller.state()["errors"])

    line.controller.start()
    try:
        wait_for(lambda: "file is not a database" in told())
        assert "file is not a database" in trials_of(line.settings)[0]["error"]
        line.store.path.unlink()
        line.call(second, BOUND, failing=1.0)
        wait_for(lambda: line.now(second).stage is Stage.ROLLED_BACK and not told())
        line.registry.path.write_bytes(b"this is no database, whatever its name says" * 100)
        wait_for(lambda: "model registry" in told())
    finally:
        line.controller.close()


def test_what_a_gateway_took_back_stays_back_and_what_it_replaced_does_not(line: Line) -> None:
    """Phase 4 asks `taken_back` before it lets a version be heard again."""
    first, second = line.version("first", *UP), line.version("second", Stage.SHADOW, Stage.STAGING)
    approve(line.settings, "nlu", second.version, **WHO)
    line.call(second, ENOUGH)
    line.controller.tick()
    assert line.now(first).stage is Stage.RETIRED and taken_back(line.registry, line.now(first)) is None
    line.call(second, BOUND, failing=1.0)
    line.controller.tick()
    left = taken_back(line.registry, line.now(second))
    assert left is not None and left.actor == GATEWAY and left.to_stage == "rolled_back"
    assert taken_back(line.registry, line.now(first)) is None


def test_a_store_that_was_moved_away_is_judged_anew_from_its_first_observation(line: Line) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, BOUND)
    line.controller.tick()
    line.store.close()
    line.store.path.rename(line.store.path.with_name("moved.sqlite"))
    line.call(second, BOUND // 2, failing=1.0)
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK


def test_trials_that_are_over_are_pruned_at_the_first_look(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, 3)
    over = line.trial(second).id
    line.registry.roll_back("nlu", second.version, actor="Asha", reason="not that one")
    third = line.version("third", Stage.SHADOW)
    line.call(third, 3)
    line.controller.tick()
    assert set(line.store.counts()) == {line.trial(third).id} != {over}, "simulated calls are of long ago"


def test_two_gateways_agree_on_the_trials_that_stand(line: Line) -> None:
    line.version("first", *UP)
    for name, stages in (("second", UP), ("third", UP[:2]), ("fourth", UP[:1])):
        line.version(name, *stages)
    stt = Line(line.settings, "stt")
    stt.version("alone", *UP)
    found = standing_trials(Registry(line.lake))
    assert found == standing_trials(line.registry)
    names: dict[str, Any] = {v.version: v for v in line.registry.versions()}
    kinds = [(t.adapter, t.stage, t.incumbent in names) for t in found]
    assert kinds == [
        ("nlu", Stage.SHADOW, True), ("nlu", Stage.STAGING, True), ("nlu", Stage.PRODUCTION, True),
        ("stt", Stage.PRODUCTION, False),
    ]  # fmt: skip
    assert found[0].incumbent == found[1].incumbent == found[2].candidate and found[3].incumbent == "base"


def backlog(line: Line, version: Version, monkeypatch: pytest.MonkeyPatch) -> int:
    """Keep more of a harmless version's calls than one look counts; return how many looks count all of them."""
    monkeypatch.setattr(rollout, "ROUND", 200)
    line.call(version, ENOUGH)
    return 2 * ENOUGH // rollout.ROUND


def test_what_is_kept_is_counted_in_rounds_and_promotes_nothing_before_all_of_it_is(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.change("rollout", min_calls=1, max_quality_loss=0.9, max_error_increase=0.9)
    second = line.version("second", Stage.SHADOW)
    for look in range(1, backlog(line, second, monkeypatch) + 1):
        line.controller.tick()
        told = line.told(second)
        assert told["pairs"] == told["losses"] == look * rollout.ROUND // 2
        assert told["waits_for"] == COUNTING and line.gateway.probed == []
    assert told["judgement"]["verdict"] == "pass", "what was counted of it would do"  # type: ignore[index]
    line.controller.tick()
    assert line.now(second).stage is Stage.STAGING and len(line.gateway.probed) == 1


def test_harm_is_found_while_another_trial_has_more_to_count_and_nothing_is_promoted_meanwhile(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    stt, sentiment = Line(line.settings, "stt"), Line(line.settings, "sentiment")
    second, third = line.version("second", Stage.SHADOW), stt.version("third", *UP)
    looks = backlog(line, second, monkeypatch)
    stt.call(third, BOUND, failing=1.0)
    fourth = sentiment.version("fourth", Stage.SHADOW)
    sentiment.change("rollout", min_calls=1, max_quality_loss=0.5, max_error_increase=0.5)
    sentiment.call(fourth, 90)
    line.controller = sentiment.controller
    line.controller.tick()
    assert stt.now(third).stage is Stage.ROLLED_BACK and line.told(second)["pairs"] == 100
    assert sentiment.told(fourth)["waits_for"] == COUNTING
    for _ in range(looks):
        assert sentiment.now(fourth).stage is Stage.SHADOW
        line.controller.tick()
    assert sentiment.now(fourth).stage is Stage.STAGING


def test_harm_in_the_first_round_of_what_is_kept_is_acted_on_at_once(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, BOUND, first=ENOUGH, failing=1.0)
    backlog(line, second, monkeypatch)
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK
    entry = line.registry.history("nlu", second.version)[-1]
    assert entry.evidence["trial"]["pairs"] + entry.evidence["trial"]["losses"] == rollout.ROUND


def test_the_thread_does_not_wait_for_its_next_turn_while_more_is_kept_than_a_round(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.change("serving", poll_seconds=3600.0)
    second = line.version("second", Stage.SHADOW)
    backlog(line, second, monkeypatch)
    line.controller.tick()
    line.controller.start()
    try:
        wait_for(lambda: line.now(second).stage is Stage.STAGING)
    finally:
        line.controller.close()


def test_a_look_at_a_registry_that_did_not_change_reads_no_history(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.version("first", *UP)
    second = line.version("second", *UP)
    read = []
    entries = registry.read_entries

    def counted(*given: Any) -> Iterator[HistoryEntry]:
        for entry in entries(*given):
            read.append(entry)
            yield entry

    monkeypatch.setattr(registry, "read_entries", counted)
    line.controller.tick()
    assert read and line.told(second)["pairs"] == 0
    read.clear()
    line.call(second, BOUND // 2)
    read.clear()
    for _ in range(3):
        line.controller.tick()
    assert line.told(second)["pairs"] == BOUND // 2 and read == []


@pytest.mark.parametrize("moved", ["promoted", "taken back"])
def test_a_probe_that_failed_because_the_version_was_moved_meanwhile_is_no_warning(
    line: Line, moved: str, caplog: pytest.LogCaptureFixture
) -> None:
    second = line.version("second", Stage.SHADOW)
    line.call(second, ENOUGH)
    other = line.another()

    class Late(FakeGateway):
        def probe(self, adapter: str, version: str) -> tuple[bool, str]:
            if moved == "promoted":
                other.tick()
            else:
                line.registry.roll_back("nlu", version, actor="Asha", reason="not that one")
            return False, "0 of 3 calls answered: closed"

    line.controller = line.another(Late())
    line.controller.tick()
    assert line.now(second).stage is (Stage.STAGING if moved == "promoted" else Stage.ROLLED_BACK)
    assert str(line.told(second)["decision"]).startswith("somebody else was first")
    assert line.controller.state()["errors"] == [] and "kept from" not in caplog.text


def test_a_version_that_comes_to_a_stage_twice_in_one_second_is_tried_anew(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_foundry.finetuning.versions.registry_history.now", lambda: "2099-01-01T00:00:00Z")
    second = line.version("second", Stage.SHADOW)
    before = line.trial(second)
    line.call(second, BOUND, failing=1.0)
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK
    line.registry.transition("nlu", second.version, Stage.SHADOW, actor="Asha", reason="heard again")
    again = line.trial(second)
    assert again.since == before.since and again.id != before.id
    line.registry.note("nlu", second.version, actor="Asha", reason="a word on it")
    assert line.trial(second) == again, "what moves nothing begins nothing"
    line.controller.tick()
    assert line.now(second).stage is Stage.SHADOW and line.told(second)["pairs"] == 0
