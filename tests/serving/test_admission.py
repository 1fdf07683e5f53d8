"""Admission: a person lets an inconclusive version hear calls, by name and reason, and nothing else gets in so."""

from __future__ import annotations

import pytest
from serving.test_deploy import World

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.report import Action, Outcome
from data_foundry.serving import deploy
from data_foundry.serving.admission import admission_of, admit, taken_back

WHO = {"actor": "Asha", "reason": "listened to 50 of its answers"}


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(settings, monkeypatch)


def undecided(world: World, name: str = "first") -> str:
    version = world.train(name, verdict="inconclusive", reason="the rows can't tell")
    assert world.deploy().outcome is Outcome.REFUSED
    return version


def test_an_inconclusive_version_says_how_a_person_admits_it(world: World) -> None:
    name = undecided(world)
    assert world.version(name).reason == (
        f"not decided, a person must look (models admit nlu/{name}): minimum_score: the rows can't tell"
    )
    assert world.record(name)["decision"] == "inconclusive"


def test_an_admitted_version_enters_the_shadow_with_the_next_deployment_and_history_says_who_and_why(
    world: World,
) -> None:
    name = undecided(world)
    admitted = admit(world.settings, "nlu", name, **WHO)
    assert (admitted.stage, world.loaded) == (Stage.NONE, []), "it hears nothing before phase 4 runs"
    assert world.planned().reason == "Asha admitted it: listened to 50 of its answers"
    assert world.deploy().outcome is Outcome.DONE
    assert world.stage(name) is Stage.SHADOW and world.loaded == [name]
    entry = admission_of(world.registry, world.version(name))
    assert entry is not None and (entry.actor, entry.event) == ("Asha", "noted")
    assert [gate["gate"] for gate in entry.evidence["gates"]] == ["minimum_score"]
    _, engines = deploy.describe(world.settings, world.lake)
    report = engines["nlu"].model_dump()
    assert (report["admitted"]["by"], report["stage"], report["refusal"]) == ("Asha", "shadow", None)


def test_an_admission_does_not_hold_for_another_evaluation_of_the_same_weights(world: World) -> None:
    name = undecided(world)
    admit(world.settings, "nlu", name, **WHO)
    world.deploy()
    world.train("first", verdict="inconclusive", reason="other rows can't tell either")
    assert world.deploy().outcome is Outcome.REFUSED
    assert world.stage(name) is Stage.RETIRED and admission_of(world.registry, world.version(name)) is None
    admit(world.settings, "nlu", name, **WHO)
    world.deploy()
    assert world.stage(name) is Stage.SHADOW


@pytest.mark.parametrize(
    ("verdict", "complaint"), [("fail", "a refused version stays refused"), ("pass", "it passed its gates")]
)
def test_what_the_gates_decided_is_not_admitted(world: World, verdict: str, complaint: str) -> None:
    name = world.train(verdict=verdict)
    world.deploy()
    with pytest.raises(FoundryError, match=complaint):
        admit(world.settings, "nlu", name, **WHO)


def test_a_version_that_fails_after_its_admission_is_taken_out_of_the_shadow(world: World) -> None:
    name = undecided(world)
    admit(world.settings, "nlu", name, **WHO)
    world.deploy()
    world.train("first", verdict="fail", reason="score 0.5 is below 0.85")
    world.deploy()
    assert world.stage(name) is Stage.RETIRED


def test_admitting_what_hears_calls_already_is_refused(world: World) -> None:
    name = undecided(world)
    admit(world.settings, "nlu", name, **WHO)
    world.deploy()
    with pytest.raises(FoundryError, match="is in shadow already"):
        admit(world.settings, "nlu", name, **WHO)


def test_unknown_versions_nameless_decisions_and_changed_files_are_refused(world: World) -> None:
    name = undecided(world)
    with pytest.raises(FoundryError, match="No version nlu/0000 is registered"):
        admit(world.settings, "nlu", "0000", **WHO)
    for who in ({"actor": " ", "reason": "because"}, {"actor": "Asha", "reason": ""}):
        with pytest.raises(FoundryError, match="names who decides and why"):
            admit(world.settings, "nlu", name, **who)
    world.train("first", verdict="inconclusive", reason="judged again, not registered yet")
    with pytest.raises(FoundryError, match="is not what was registered"):
        admit(world.settings, "nlu", name, **WHO)


def test_an_admission_while_shadow_testing_is_off_waits_for_it(world: World) -> None:
    name = undecided(world)
    admit(world.settings, "nlu", name, **WHO)
    world.change(shadow_testing=False)
    world.deploy()
    assert world.stage(name) is Stage.NONE
    assert world.version(name).reason.startswith("Asha admitted it: listened to 50 of its answers, but deployment.")
    world.change(shadow_testing=True)
    world.deploy()
    assert world.stage(name) is Stage.SHADOW


@pytest.mark.parametrize("actor", ["Asha", "phase4", "gateway"])
def test_an_admission_does_not_outlive_a_rollback(world: World, actor: str) -> None:
    name = undecided(world)
    admit(world.settings, "nlu", name, **WHO)
    world.deploy()
    world.registry.transition("nlu", name, Stage.ROLLED_BACK, actor=actor, reason="callers complained")
    assert admission_of(world.registry, world.version(name)) is None
    _, engines = deploy.describe(world.settings, world.lake)
    assert engines["nlu"].model_dump()["admitted"] is None
    admit(world.settings, "nlu", name, actor="Asha", reason="it was another model that they heard")
    assert world.version(name).reason == (
        "Asha admitted it after it was taken back: it was another model that they heard"
    )
    world.deploy()
    assert world.stage(name) is Stage.SHADOW


def test_a_version_that_passed_and_was_taken_back_comes_back_on_a_persons_word(world: World) -> None:
    name = world.train()
    world.deploy()
    world.registry.transition("nlu", name, Stage.ROLLED_BACK, actor="Asha", reason="callers complained")
    admit(world.settings, "nlu", name, **WHO)
    assert world.planned().reason == "Asha admitted it after it was taken back: listened to 50 of its answers"
    world.deploy()
    assert world.stage(name) is Stage.SHADOW
    assert "after it was taken back" in [e for e in world.registry.history() if e.event == "moved"][-1].reason


def test_what_a_gateway_took_back_for_harm_is_left_to_a_person_and_what_it_replaced_is_nobodys_decision(
    world: World,
) -> None:
    name = world.train()
    world.deploy()
    world.registry.roll_back("nlu", name, actor="gateway", reason="rolled back: it did harm in shadow")
    planned = world.planned()
    assert planned.action is Action.SKIP and planned.reason.startswith("it did harm and was taken back: rolled back")
    admit(world.settings, "nlu", name, **WHO)
    world.deploy()
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        world.registry.transition("nlu", name, stage, actor="gateway", reason="its calls speak for it")
    second = world.train("second")
    world.deploy()
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        world.registry.transition("nlu", second, stage, actor="Asha", reason="by hand")
    assert world.stage(name) is Stage.RETIRED and taken_back(world.registry, world.version(name)) is None
