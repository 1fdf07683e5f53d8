"""What happens to a trial when its incumbent becomes another, goes, or was no good: nothing rests on what is over."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from trial_builders import UP, FakeGateway, Line, simulated

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Conflict, Registry, Stage
from data_foundry.lake import Layer
from data_foundry.serving.admission import GATEWAY, taken_back
from data_foundry.serving.trials.approval import approve, proposal, revoke
from data_foundry.serving.trials.rollback import foreseen, roll_back, take_back
from data_foundry.serving.trials.rollout import trials_of
from data_foundry.serving.trials.trial import BASE

ENOUGH = 800
WHO = {"actor": "Asha", "reason": "listened to 50 of its answers"}
AGAINST = {"actor": "Ravi", "reason": "callers complain"}


@pytest.fixture
def line(settings: Settings) -> Line:
    return Line(settings)


def test_evidence_against_what_is_taken_back_in_the_same_look_promotes_nothing(line: Line) -> None:
    first, second, third = line.version("first", *UP), line.version("second", *UP), line.version("third", *UP[:2])
    approve(line.settings, "nlu", third.version, **WHO)
    line.call(third, ENOUGH)
    line.call(second, 60, worse=0.9)
    line.controller.tick()
    assert [line.now(each).stage for each in (first, second, third)] == ["production", "rolled_back", "staging"]
    assert str(line.told(third)["decision"]).startswith("somebody else was first") and line.gateway.probed == []
    line.controller.tick()
    assert line.told(third)["incumbent"] == first.version and line.told(third)["pairs"] == 0, "it is tried anew"


@pytest.mark.parametrize("stages", [UP[:1], UP[:2]], ids=lambda stages: stages[-1])
def test_evidence_against_what_is_taken_back_during_the_probe_promotes_nothing(
    line: Line, stages: tuple[Stage, ...]
) -> None:
    first, second, third = line.version("first", *UP), line.version("second", *UP), line.version("third", *stages)
    approve(line.settings, "nlu", third.version, **WHO)
    line.call(third, ENOUGH)

    class Slow(FakeGateway):
        def probe(self, adapter: str, version: str) -> tuple[bool, str]:
            roll_back(line.settings, line.now(second), **AGAINST)
            return super().probe(adapter, version)

    line.controller = line.another(Slow())
    line.controller.tick()
    assert line.now(first).stage is Stage.PRODUCTION and line.now(third).stage is stages[-1]
    assert f"{first.version} answers callers by now, not {second.version}" in str(line.told(third)["decision"])
    assert line.controller.state()["errors"] == [] and line.registry.verify_history() == []


def test_while_gateways_notice_at_different_times_that_files_are_gone_harm_is_found_in_what_either_hears(
    line: Line,
) -> None:
    first, second = line.version("first", *UP), line.version("second", *UP)
    line.controller.tick()
    heard_by_who_has_not_noticed = line.trial(second).id
    shutil.rmtree(line.lake.folder(Layer.MODELS, f"nlu/{first.version}"))
    line.controller.tick()
    assert line.trial(second).id != heard_by_who_has_not_noticed
    pairs = [pair for pair, _ in simulated(heard_by_who_has_not_noticed, 40, failing=1.0)]
    assert line.store.keep(*pairs)
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK and line.controller.state()["errors"] == []


@pytest.mark.parametrize("damage", ["manifest", "all"])
def test_harm_that_was_heard_before_the_files_of_the_replaced_version_went_counts_after_a_restart_too(
    line: Line, damage: str
) -> None:
    first, second = line.version("first", *UP), line.version("second", *UP)
    line.call(second, 60, worse=0.9)
    folder = line.lake.folder(Layer.MODELS, f"nlu/{first.version}")
    (folder / "manifest.json").write_bytes(b"no manifest") if damage == "manifest" else shutil.rmtree(folder)
    assert line.trial(second).incumbent == BASE
    restarted = line.another()
    restarted.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK and restarted.state()["errors"] == []
    (entry,) = (each for each in line.registry.history() if each.to_stage == "rolled_back")
    assert f"compared with {first.version}" in entry.reason


def test_a_gateway_that_ran_all_along_and_one_that_was_restarted_judge_the_same_trials(line: Line) -> None:
    first, second = line.version("first", *UP), line.version("second", *UP)
    line.call(second, 20)
    line.controller.tick()
    (line.lake.folder(Layer.MODELS, f"nlu/{first.version}") / "manifest.json").unlink()
    line.call(second, 30)
    restarted = line.another()
    for controller in (line.controller, restarted):
        controller.tick()
    told = restarted.state()["trials"]
    assert told == line.controller.state()["trials"] == trials_of(line.settings)
    assert [(each["incumbent"], each["pairs"]) for each in told] == [(first.version, 20), (BASE, 30)]


@pytest.mark.parametrize("missing", ["manifest.json", "adapter/adapter_model.safetensors", ""])
def test_harm_in_production_is_found_against_the_base_where_the_files_of_the_replaced_version_are_gone(
    line: Line, missing: str
) -> None:
    first, second = line.version("first", *UP), line.version("second", *UP)
    line.controller.tick()
    assert line.told(second)["incumbent"] == first.version
    gone = line.lake.folder(Layer.MODELS, f"nlu/{first.version}") / missing
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert line.trial(second).incumbent == BASE
    line.call(second, 40, failing=1.0)
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK and line.now(first).stage is Stage.RETIRED


def test_harm_that_was_noted_is_told_as_what_stands_at_every_look(line: Line) -> None:
    line.change("deployment", rollback_enabled=False)
    second = line.version("second", Stage.SHADOW)
    line.call(second, 60, failing=1.0)
    line.controller.tick()
    (note,) = (entry for entry in line.registry.history() if entry.event == "noted")
    for _ in range(2):
        line.controller.tick()
        told = line.told(second)
        assert told["act"] == "note" and str(told["decision"]).endswith(f"noted at {note.at}")
    assert line.gateway.looks == 0 and line.controller.state()["errors"] == []


def test_harm_that_was_noted_at_a_stage_bars_the_way_up_from_it_whatever_comes_to_be_the_incumbent(line: Line) -> None:
    line.change("deployment", rollback_enabled=False)
    first, second = line.version("first", *UP), line.version("second", *UP[:2])
    approve(line.settings, "nlu", second.version, **WHO)
    line.call(second, 60, worse=0.9)
    line.controller.tick()
    roll_back(line.settings, line.now(first), **AGAINST)
    line.call(second, ENOUGH)
    line.controller.tick()
    told = line.told(second)
    assert told["judgement"]["verdict"] == "pass" and told["incumbent"] == BASE  # type: ignore[index]
    assert line.now(second).stage is Stage.STAGING and "it did harm at this stage" in str(told["decision"])
    assert "admits it anew" in str(told["waits_for"])


def test_a_rollback_does_not_bring_back_what_a_person_revoked(line: Line) -> None:
    first = line.version("first", *UP[:2])
    approve(line.settings, "nlu", first.version, **WHO)
    line.call(first, ENOUGH)
    line.controller.tick()
    revoke(line.settings, "nlu", first.version, actor="Ravi", reason="unsafe answers")
    second = line.version("second", *UP)
    plan = foreseen(line.settings, line.registry, second)
    assert plan.restored is None and plan.serves == BASE
    assert plan.not_restored == f"nlu/{first.version} can't serve again: Ravi revoked its approval: unsafe answers"
    assert roll_back(line.settings, second, **AGAINST).serves == BASE and line.now(first).stage is Stage.RETIRED


@pytest.mark.parametrize("lapsed", ["retired", "expired", "retired and expired"])
def test_a_person_bars_what_retired_or_whose_approval_expired_and_a_rollback_does_not_bring_it_back(
    line: Line, lapsed: str
) -> None:
    first = line.version("first", *UP[:2])
    given, _ = approve(line.settings, "nlu", first.version, **WHO)
    line.call(first, ENOUGH)
    line.controller.tick()
    second = line.version("second", *UP) if "retired" in lapsed else None
    if "expired" in lapsed:
        line.change("rollout", approval_days=1e-9)
    taken = revoke(line.settings, "nlu", first.version, actor="Ravi", reason="unsafe answers")
    assert (taken.hash, taken.approver) == (given.hash, "Asha")
    with pytest.raises(FoundryError, match="no approval to revoke: Ravi revoked"):
        revoke(line.settings, "nlu", first.version, actor="Ravi", reason="unsafe answers")
    second = second or line.version("second", *UP)
    assert roll_back(line.settings, second, **AGAINST).serves == BASE and line.now(first).stage is Stage.RETIRED


@pytest.mark.parametrize("heads", [True, False])
@pytest.mark.parametrize("stages", [UP, UP[:1]], ids=lambda stages: stages[-1])
def test_a_rollback_says_that_nobody_answers_where_the_base_can_not_do_the_task(
    line: Line, stages: tuple[Stage, ...], heads: bool
) -> None:
    line.change("serving", stand_in_heads=heads)
    version = line.version("first", *stages, head=True)
    line.version("never heard", head=True)
    for done in (foreseen(line.settings, line.registry, version), roll_back(line.settings, version, **AGAINST)):
        assert done.serves == (BASE if heads else None)
        assert ("can't do its task" in done.not_served) is not heads
        assert done.as_json()["not_served"] == (done.not_served or None)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"{}", b"\xff\xfe\x00{", None])
@pytest.mark.parametrize("stages", [UP, UP[:1]], ids=lambda stages: stages[-1])
def test_harm_takes_a_version_back_whatever_became_of_the_manifests_that_say_who_answers_then(
    line: Line, stages: tuple[Stage, ...], manifest: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = line.version("first", *UP, head=True), line.version("second", *stages, head=True)
    third = line.version("third", *() if stages == UP[:1] else UP[:1], head=True)
    line.call(second, 60, worse=0.9)
    if manifest is not None:
        for each in (first, second, third):
            (line.lake.folder(Layer.MODELS, f"nlu/{each.version}") / "manifest.json").write_bytes(manifest)
        line.call(second, 60, worse=0.9)
    line.controller.tick()
    assert line.now(second).stage is Stage.ROLLED_BACK and line.controller.state()["errors"] == []
    said = f"{first.version} answers callers" if stages != UP or manifest is None else "nobody answers callers; "
    assert said in caplog.text


def test_a_backup_that_fails_does_not_make_a_rollback_look_failed(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    storage = settings.storage.model_copy(update={"backup_enabled": True})
    line = Line(settings.model_copy(update={"storage": storage}))
    first, second = line.version("first", *UP), line.version("second", *UP)
    # What lies in the backup's place is no folder, which is no disk's fault either.
    backup = line.lake.base_path / "backup"
    shutil.rmtree(backup)
    backup.write_text("a file")
    line.call(second, 60, worse=0.9)
    line.controller.tick()
    assert line.now(first).stage is Stage.PRODUCTION and line.controller.state()["errors"] == []
    assert line.gateway.looks == 1 and "backup is not up to date" in caplog.text
    assert roll_back(line.settings, line.now(first), **AGAINST).serves == BASE


def test_weights_that_were_taken_back_are_so_when_they_come_again_after_others(line: Line) -> None:
    version = line.version("second", Stage.SHADOW)
    take_back(line.settings, line.registry, version, actor=GATEWAY, reason="harm", evidence={})

    def register(artefact_hash: str) -> None:
        line.registry.register(
            "nlu", version.version, artefact_hash=artefact_hash, evaluation_hash=version.evaluation_hash,
            base=version.base, base_revision=None, actor="phase4", reason="trained again",
        )  # fmt: skip

    register("B" * 64)
    assert taken_back(line.registry, line.now(version)) is None, "other weights did no harm"
    register(version.artefact_hash)
    left = taken_back(line.registry, line.now(version))
    assert left is not None and (left.to_stage, left.reason) == ("rolled_back", "harm")


def test_who_approves_speech_is_told_that_it_can_not_come_to_production(settings: Settings) -> None:
    speech = Line(settings, "tts")
    version = speech.version("first", Stage.SHADOW)
    shown = proposal(settings, "tts", version.version)
    assert shown["unscorable"] == "no feedback can be scored for speech: it stays in shadow"
    speech.controller.tick()
    assert speech.now(version).stage is Stage.SHADOW


def test_what_is_revoked_while_a_rollback_is_on_its_way_is_not_brought_back(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = line.version("first", *UP[:2])
    approve(line.settings, "nlu", first.version, **WHO)
    line.call(first, ENOUGH)
    line.controller.tick()
    second, write = line.version("second", *UP), Registry.roll_back

    def revoked_before(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(Registry, "roll_back", write)
        revoke(line.settings, "nlu", first.version, actor="Ravi", reason="unsafe answers")
        return write(*given, **named)

    monkeypatch.setattr(Registry, "roll_back", revoked_before)
    with pytest.raises(Conflict, match="may not serve again"):
        roll_back(line.settings, second, **AGAINST)
    assert roll_back(line.settings, line.now(second), **AGAINST).serves == BASE
    assert line.now(first).stage is Stage.RETIRED
