"""Deployment: what passed its gates is heard as a shadow, what did not is refused, and settings decide the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from replayed_gateway import started

from data_foundry.compute import guarded
from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.engines.adapters import adapters
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.lake import Commit, Lake, Layer, fingerprint
from data_foundry.report import Action, EngineReport, Outcome, Step, StepResult
from data_foundry.serving import deploy, replay, shadow, standings
from data_foundry.serving.admission import GATEWAY

ROWS = 60


LABELS = ("business", "entertainment", "sports", "technology")


def label_of(call_id: str) -> str:
    return LABELS[int(call_id, 16) % 4]


class Classifier:
    """What names the label of a call, or raises."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def __call__(self, call_id: str) -> str:
        if self.broken:
            raise RuntimeError("weights are NaN")
        return label_of(call_id)


@dataclass
class World:
    """A lake with gold for one engine, adapters that training "published", and what is loaded when they deploy."""

    settings: Settings
    monkeypatch: pytest.MonkeyPatch
    engine: str = "nlu"
    training: Step | None = None
    candidate: Classifier = field(default_factory=Classifier)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        ids = [f"{number:016x}" for number in range(ROWS)]
        rows = [{"row_id": row_id, "text": "വാർത്ത", "label": label_of(row_id)} for row_id in ids]
        with self.lake.commit(Layer.GOLD, self.engine, "gold key") as commit:
            for split in ("train", "test"):
                pq.write_table(pa.Table.from_pylist(rows), commit.path(f"{split}/part-00000.parquet"))
            counts = {"train/part-00000.parquet": ROWS, "test/part-00000.parquet": ROWS}
            commit.publish(rows=counts, rows_in=2 * ROWS, rows_out=2 * ROWS)
        self.monkeypatch.setattr(deploy.adapt, "plan", lambda settings, lake: [self.training] if self.training else [])
        self.monkeypatch.setattr(deploy.adapt, "describe", self._describe)
        start = started("text-classification", lambda call_id: "sports", self._candidate)
        self.monkeypatch.setattr(replay, "gateway_process", start)

    @property
    def lake(self) -> Lake:
        return Lake(self.settings)

    @property
    def registry(self) -> Registry:
        return Registry(self.lake)

    def train(self, name: str = "first", verdict: str = "pass", reason: str = "score 0.91 [0.86, 0.95]") -> str:
        """Publish an adapter as training does, and let the training step say that its manifest matches."""
        key = fingerprint(name)
        with self.lake.commit(Layer.MODELS, f"{self.engine}/{key[:12]}", key) as commit:
            commit.path("adapter/adapter_model.safetensors").write_text(f"weights of {name}")
            commit.path("adapter/adapter_config.json").write_text("{}")
            commit.path("evaluation.json").write_text(json.dumps({"verdict": verdict, "reason": reason}))
            gates = [
                {"gate": "minimum_score", "verdict": verdict, "value": 0.91, "bound": 0.85, "reason": reason},
                {"gate": "enough_test_rows", "verdict": "pass", "value": 60, "bound": 30, "reason": "60 held-out rows"},
            ]
            details = {"config": {"base": "owner/base"}, "base_revision": "c0ffee", "verdict": verdict, "gates": gates}
            commit.publish(details={**details, "measures": {"score": {"adapted": {"value": 0.91}}}})
        self.wish(key)
        return key[:12]

    def wish(self, key: str, action: Action = Action.SKIP) -> None:
        self.training = Step(
            name=f"adapt {self.engine}", key=key, action=action, reason="its manifest matches", subject=self.engine
        )

    def planned(self) -> Step:
        return next(step for step in deploy.plan(self.settings, self.lake) if step.name.startswith("deploy "))

    def deploy(self) -> StepResult:
        """Run the deployment, which must be due; check that it is not due any more afterwards."""
        step = self.planned()
        assert step.action is Action.RUN, step.reason
        result = deploy.run_step(self.settings, step)
        assert result.rows_in == result.rows_out + sum(result.rejected.values())
        assert self.planned().action is Action.SKIP, self.planned().reason
        assert self.registry.verify_history() == []
        return result

    def version(self, name: str) -> Version:
        found = self.registry.version(self.engine, name)
        assert found is not None
        return found

    def stage(self, name: str) -> Stage:
        return self.version(name).stage

    def record(self, name: str) -> dict[str, Any]:
        manifest = self.lake.manifest(Layer.MODELS, f"{self.engine}/{name}-deployment")
        assert manifest is not None
        return manifest.details

    def change(self, **deployment: Any) -> None:
        changed = self.settings.deployment.model_copy(update=deployment)
        self.settings = self.settings.model_copy(update={"deployment": changed})

    def _describe(self, settings: Settings, lake: Lake) -> Any:
        return {}, {self.engine: EngineReport(status="trained", adapted={"score": 0.91}, reason="score 0.2 -> 0.91")}

    def _candidate(self) -> Classifier:
        self.loaded += [version.version for version in self.registry.versions(self.engine, Stage.SHADOW)]
        return self.candidate


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(settings, monkeypatch)


def test_a_deployment_waits_until_training_has_published_and_says_for_what(world: World) -> None:
    world.wish(fingerprint("first"), Action.RUN)
    step = world.planned()
    assert step.action is Action.WAIT and step.reason == "waiting for adapt nlu: its manifest matches"
    assert not world.registry.path.exists()


def test_an_engine_whose_gold_has_no_test_rows_has_nothing_to_deploy_and_does_not_wait(world: World) -> None:
    with world.lake.commit(Layer.GOLD, world.engine, "gold without test rows") as commit:
        commit.path("train/part-00000.parquet").write_text("rows")
        commit.publish(rows={"train/part-00000.parquet": 1}, rows_in=1, rows_out=1)
    world.wish(fingerprint("first"), Action.RUN)
    assert world.planned().action is Action.SKIP
    assert world.planned().reason == "nothing to deploy: the gold of nlu has no test rows"


def test_an_adapter_that_passed_ends_in_shadow_with_a_measured_replay_of_the_test_rows(world: World) -> None:
    name = world.train()
    result = world.deploy()
    assert result.outcome is Outcome.DONE and result.rows_in == ROWS
    assert world.stage(name) is Stage.SHADOW
    shadow = world.record(name)["shadow"]
    assert shadow["calls"] == shadow["answered_calls"] == ROWS
    assert 0 < shadow["mirrored"] == shadow["candidate_answered"] < 20
    assert shadow["candidate"]["quality"] == {
        "metric": "accuracy", "meaning": "share of calls with the same label", "value": 1.0, "calls": shadow["mirrored"]
    }  # fmt: skip
    assert shadow["incumbent"]["quality"]["value"] < 1
    assert shadow["candidate"]["milliseconds"]["count"] == shadow["mirrored"]
    file = world.lake.folder(Layer.MODELS, f"nlu/{name}-deployment") / "shadow.json"
    assert json.loads(file.read_text(encoding="utf-8")) == shadow
    events = [(entry.event, entry.to_stage, entry.reason) for entry in world.registry.history()]
    assert [event[:2] for event in events] == [("registered", "none"), ("moved", "shadow"), ("noted", "shadow")]
    assert events[2][2] == f"in shadow: {shadow['mirrored']} of {shadow['mirrored']} mirrored calls answered"


def test_the_report_shows_version_stage_reason_and_shadow_beside_what_training_said(world: World) -> None:
    name = world.train()
    world.deploy()
    _, engines = deploy.describe(world.settings, world.lake)
    report = engines["nlu"].model_dump()
    assert (report["stage"], report["version"], report["adapted"]) == ("shadow", name, {"score": 0.91})
    assert report["shadow"]["verdict"] == "pass" and report["refusal"] is None
    assert report["reason"].startswith("score 0.2 -> 0.91; in shadow: ")


@pytest.mark.parametrize(("verdict", "start"), [("fail", "refused: "), ("inconclusive", "not decided, a person must")])
def test_an_adapter_that_did_not_pass_is_registered_at_none_with_the_reason_and_hears_nothing(
    world: World, verdict: str, start: str
) -> None:
    name = world.train(verdict=verdict, reason="score 0.412 is below 0.85")
    result = world.deploy()
    assert result.outcome is Outcome.REFUSED and not result.failed
    assert world.stage(name) is Stage.NONE and world.loaded == []
    assert world.version(name).reason.startswith(start)
    assert world.version(name).reason.endswith("minimum_score: score 0.412 is below 0.85")
    assert world.record(name)["shadow"] is None
    _, engines = deploy.describe(world.settings, world.lake)
    assert (engines["nlu"].stage, engines["nlu"].reason) == ("none", world.version(name).reason)
    refusal = world.version(name).reason if verdict == "fail" else None
    assert engines["nlu"].model_dump()["refusal"] == refusal, "what waits for a person was refused by nobody"


def test_shadow_testing_false_leaves_the_version_at_none_and_true_lets_it_in(world: World) -> None:
    world.change(shadow_testing=False)
    name = world.train()
    assert world.deploy().outcome is Outcome.DONE
    assert world.stage(name) is Stage.NONE and world.loaded == []
    assert "deployment.shadow_testing is false" in world.version(name).reason
    world.change(shadow_testing=True)
    assert world.planned().reason == "setting deployment.shadow_testing changed"
    world.deploy()
    assert world.stage(name) is Stage.SHADOW and world.loaded == [name]
    world.change(shadow_testing=False)
    world.deploy()
    assert world.stage(name) is Stage.RETIRED


def test_a_candidate_that_does_harm_is_rolled_back_when_rollback_is_enabled(world: World) -> None:
    world.candidate = Classifier(broken=True)
    name = world.train()
    result = world.deploy()
    assert result.outcome is Outcome.REFUSED and world.stage(name) is Stage.ROLLED_BACK
    assert result.reason.startswith("rolled back: it did harm in the replay: ") and "RuntimeError" in result.reason
    (finding,) = world.record(name)["findings"]
    assert (finding["kind"], finding["severity"]) == ("rolled_back", "error")
    assert finding["examples"] == ["RuntimeError: weights are NaN"]
    assert world.record(name)["shadow"]["answered_calls"] == ROWS, "callers were answered all the same"


def test_a_version_that_did_harm_comes_back_with_no_setting_and_no_evaluation(world: World) -> None:
    world.candidate = Classifier(broken=True)
    name = world.train()
    world.deploy()
    world.candidate = Classifier()
    for changed in ({"shadow_queue_size": 63}, {"rollback_enabled": False}, {"shadow_testing": False}):
        world.change(**changed)
        assert world.planned().action is Action.SKIP, changed
    world.change(shadow_testing=True)
    world.train("first", reason="score 0.97 [0.95, 0.99]")
    assert world.deploy().outcome is Outcome.REFUSED, "the other evaluation is registered, and that is all"
    assert world.planned().reason.startswith("it did harm and was taken back: rolled back: ")
    assert (world.stage(name), world.loaded) == (Stage.ROLLED_BACK, [name])


def test_a_rollback_that_was_cut_off_before_its_record_gets_it_even_if_settings_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    name = world.train()
    world.deploy()
    world.candidate = Classifier(broken=True)
    world.change(shadow_queue_size=63)
    with monkeypatch.context() as patched:
        patched.setattr(Commit, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            deploy.run_step(world.settings, world.planned())
    assert (world.stage(name), world.record(name)["stage"]) == (Stage.ROLLED_BACK, "shadow")
    world.change(shadow_queue_size=62, rollback_enabled=False)
    assert world.deploy().outcome is Outcome.REFUSED
    assert (world.stage(name), world.record(name)["decision"]) == (Stage.ROLLED_BACK, "rolled_back")
    assert world.record(name)["shadow"]["verdict"] == "fail"


@pytest.mark.parametrize("stage", [Stage.ROLLED_BACK, Stage.RETIRED])
def test_what_a_person_took_back_stays_so_until_other_weights_come(world: World, stage: Stage) -> None:
    name = world.train("first")
    world.deploy()
    world.registry.transition("nlu", name, stage, actor="anna", reason="callers complained")
    before = world.registry.history()
    world.change(shadow_queue_size=63)
    assert world.planned().action is Action.SKIP
    assert world.planned().reason.startswith("a person took it back: anna: callers complained; ")
    _, engines = deploy.describe(world.settings, world.lake)
    assert (engines["nlu"].status, engines["nlu"].stage) == ("taken_back", stage)
    assert world.registry.history() == before
    with world.lake.commit(Layer.MODELS, f"nlu/{name}", fingerprint("first")) as commit:
        commit.path("adapter/adapter_model.safetensors").write_text("other weights")
        commit.path("evaluation.json").write_text("pass")
        model = world.lake.manifest(Layer.MODELS, f"nlu/{name}")
        assert model is not None
        commit.publish(rows_in=model.rows_in, rows_out=model.rows_out, details=model.details)
    world.deploy()
    assert world.stage(name) is Stage.SHADOW


def test_a_candidate_that_does_harm_stays_with_a_loud_finding_when_rollback_is_disabled(world: World) -> None:
    world.candidate = Classifier(broken=True)
    world.change(rollback_enabled=False)
    name = world.train()
    result = world.deploy()
    assert result.outcome is Outcome.DONE and world.stage(name) is Stage.SHADOW
    assert "deployment.rollback_enabled is false" in result.reason
    (finding,) = world.record(name)["findings"]
    assert (finding["kind"], finding["severity"]) == ("harm_not_rolled_back", "error")
    world.change(rollback_enabled=True)
    world.deploy()
    assert world.stage(name) is Stage.ROLLED_BACK


def test_no_mirrored_call_is_inconclusive_and_never_a_pass(world: World) -> None:
    world.change(shadow_share=0.0)
    name = world.train()
    world.deploy()
    assert world.record(name)["shadow"]["verdict"] == "inconclusive"
    assert world.version(name).reason.startswith("in shadow, not judged: no call reached the candidate")
    assert world.record(name)["findings"][0]["kind"] == "shadow_not_judged"
    assert shadow.shadow_figures(world.record(name)["shadow"])["shadow_quality"] is None


def test_a_newer_version_retires_the_older_shadow_and_a_refused_one_does_not(world: World) -> None:
    first = world.train("first")
    world.deploy()
    refused = world.train("second", verdict="fail")
    world.deploy()
    assert (world.stage(first), world.stage(refused)) == (Stage.SHADOW, Stage.NONE)
    third = world.train("third")
    world.deploy()
    assert (world.stage(first), world.stage(third)) == (Stage.RETIRED, Stage.SHADOW)
    assert world.version(first).reason == f"{third} took its place in shadow"


def test_going_back_to_earlier_settings_brings_the_earlier_version_back_into_shadow(world: World) -> None:
    first = world.train("first")
    world.deploy()
    second = world.train("second")
    world.deploy()
    world.wish(fingerprint("first"))
    assert world.planned().reason == f"it is retired now ({second} took its place in shadow)"
    world.deploy()
    assert (world.stage(first), world.stage(second)) == (Stage.SHADOW, Stage.RETIRED)


def test_a_stricter_evaluation_of_the_same_weights_takes_a_version_out_of_shadow(world: World) -> None:
    name = world.train("first")
    world.deploy()
    weights = world.version(name).artefact_hash
    world.train("first", verdict="fail", reason="score 0.91 is below 0.95")
    assert world.deploy().outcome is Outcome.REFUSED
    assert world.stage(name) is Stage.RETIRED and "below 0.95" in world.version(name).reason
    assert world.version(name).artefact_hash == weights
    assert "evaluated again" in [entry.event for entry in world.registry.history()]


@pytest.mark.parametrize("stage", [Stage.STAGING, Stage.PRODUCTION])
def test_a_version_that_answers_callers_is_left_to_a_person(world: World, stage: Stage) -> None:
    name = world.train()
    world.deploy()
    for step in (Stage.STAGING, Stage.PRODUCTION)[: 1 + (stage is Stage.PRODUCTION)]:
        world.registry.transition("nlu", name, step, actor="a person", reason="listened to it")
    world.change(shadow_share=0.5)
    assert world.planned().action is Action.SKIP
    assert world.planned().reason == f"it is in {stage}: a person decides from there"


def test_another_evaluation_of_a_version_that_answers_callers_is_recorded_and_moves_nothing(world: World) -> None:
    name = world.train("first")
    world.deploy()
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        world.registry.transition("nlu", name, stage, actor="a person", reason="listened to it")
    world.train("first", verdict="fail", reason="score 0.91 is below 0.95")
    result = world.deploy()
    told = (
        "it is in production: a person decides from there; "
        "its gates now say fail: minimum_score: score 0.91 is below 0.95"
    )
    assert (result.outcome, result.reason, world.planned().reason) == (Outcome.DONE, told, told)
    assert (world.stage(name), world.version(name).reason) == (Stage.PRODUCTION, "listened to it")
    assert world.registry.history()[-1].event == "evaluated again"
    assert world.registry.history()[-1].evidence["verdict"] == "fail"


def test_a_candidate_is_compared_again_when_another_version_came_into_production(world: World) -> None:
    first = world.train("first")
    world.deploy()
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        world.registry.transition("nlu", first, stage, actor="a person", reason="listened to it")
    second = world.train("second")
    world.deploy()
    assert (world.stage(first), world.stage(second)) == (Stage.PRODUCTION, Stage.SHADOW)
    world.registry.transition("nlu", first, Stage.ROLLED_BACK, actor="a person", reason="callers complained")
    assert world.planned().reason == "what it is compared with changed"


@pytest.mark.parametrize("moment", ["before the replay", "before the record"])
def test_a_deployment_that_is_cut_off_starts_again_and_ends_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def die(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    name = world.train()
    with monkeypatch.context() as patched:
        if moment == "before the replay":
            patched.setattr(replay, "replay", die)
        else:
            patched.setattr(Commit, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            deploy.run_step(world.settings, world.planned())
    assert world.registry.verify_history() == [] and world.stage(name) is Stage.SHADOW
    assert world.planned().reason == "its deployment was not finished"
    world.deploy()
    moves = [entry.to_stage for entry in world.registry.history() if entry.event == "moved"]
    assert moves == ["shadow"], "it entered the shadow once"


def test_a_gateway_that_does_not_start_fails_the_step_and_the_next_run_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise FoundryError("The gateway did not start: it ended.", "All of its log: there")

    name = world.train()
    with monkeypatch.context() as patched:
        patched.setattr(replay, "gateway_process", fail)
        result = guarded(deploy.run_step, world.settings, world.planned())
    assert result.outcome is Outcome.FAILED and result.reason.startswith("The gateway did not start: it ended.")
    assert world.stage(name) is Stage.SHADOW, "it is not judged, so nothing takes it back"
    assert world.planned().reason == "its deployment was not finished"
    world.deploy()
    assert world.record(name)["shadow"]["verdict"] == "pass"


@pytest.mark.parametrize("stage", [Stage.ROLLED_BACK, Stage.STAGING])
def test_what_a_live_gateway_moved_is_left_as_it_is(world: World, stage: Stage) -> None:
    name = world.train()
    world.deploy()
    world.registry.transition("nlu", name, stage, actor=GATEWAY, reason="evidence of 300 calls")
    world.change(shadow_queue_size=63)
    assert world.planned().action is Action.SKIP
    before = world.registry.history()
    _, engines = deploy.describe(world.settings, world.lake)
    assert engines["nlu"].stage == stage
    if stage is Stage.ROLLED_BACK:
        assert world.planned().reason.startswith("it did harm and was taken back: evidence of 300 calls; ")
        assert engines["nlu"].status == "rolled_back"
    assert world.registry.history() == before


@pytest.mark.parametrize(
    ("stage", "actor", "outcome", "said"),
    [
        (Stage.ROLLED_BACK, GATEWAY, Outcome.REFUSED, "it did harm and was taken back: 300 live calls; "),
        (Stage.ROLLED_BACK, "anna", Outcome.REFUSED, "a person took it back: anna: 300 live calls; "),
        (Stage.RETIRED, "anna", Outcome.REFUSED, "a person took it back: anna: 300 live calls; "),
        (Stage.STAGING, GATEWAY, Outcome.DONE, "it is in staging: a person decides from there"),
    ],
)
@pytest.mark.parametrize("moment", ["during the replay", "after the replay"])
def test_where_somebody_moves_a_version_that_is_being_replayed_that_is_told_and_not_written_over(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str, stage: Stage, actor: str, outcome: Outcome, said: str
) -> None:
    name = world.train()
    replayed = replay.replay_version

    def moved_meanwhile(settings: Any, lake: Any, registry: Registry, spec: Any, version: Version) -> Any:
        report = replayed(settings, lake, registry, spec, version) if moment == "after the replay" else None
        registry.transition("nlu", name, stage, actor=actor, reason="300 live calls")
        return report or replayed(settings, lake, registry, spec, version)

    monkeypatch.setattr(replay, "replay_version", moved_meanwhile)
    result = deploy.run_step(world.settings, world.planned())
    assert (result.outcome, result.reason[: len(said) + 30]) == (outcome, f"moved while phase 4 tried it: {said}")
    assert (world.stage(name), world.version(name).reason) == (stage, "300 live calls")
    assert world.registry.history()[-1].reason == "300 live calls"
    assert world.lake.manifest(Layer.MODELS, f"nlu/{name}-deployment") is None, "no record says that it is in shadow"
    assert world.planned().action is Action.SKIP


def test_harm_in_the_replay_takes_no_version_back_that_answers_callers_by_then(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.candidate = Classifier(broken=True)
    name = world.train()
    replayed = replay.replay_version

    def promoted_meanwhile(*given: Any) -> Any:
        report = replayed(*given)
        world.registry.transition("nlu", name, Stage.STAGING, actor=GATEWAY, reason="evidence of 300 calls")
        return report

    monkeypatch.setattr(replay, "replay_version", promoted_meanwhile)
    result = deploy.run_step(world.settings, world.planned())
    assert result.outcome is Outcome.DONE and "it is in staging: a person decides from there" in result.reason
    assert world.stage(name) is Stage.STAGING and "rolled_back: " in caplog.text
    assert world.planned().action is Action.SKIP and "a person decides" in world.planned().reason


def test_a_lost_registry_is_made_again_from_what_training_published(world: World) -> None:
    name = world.train()
    world.deploy()
    world.registry.path.unlink()
    assert world.planned().reason == "its adapter is not registered yet"
    world.deploy()
    assert world.stage(name) is Stage.SHADOW


def test_the_registry_is_backed_up_with_every_deployment_where_backups_are_asked_for(world: World) -> None:
    storage = world.settings.storage.model_copy(update={"backup_enabled": True})
    world.settings = world.settings.model_copy(update={"storage": storage})
    name = world.train()
    world.deploy()
    copy = world.settings.base_path / "backup" / "models" / world.registry.path.name
    assert copy.is_file()
    world.registry.path.unlink()
    world.registry.path.write_bytes(copy.read_bytes())
    assert world.stage(name) is Stage.SHADOW and world.registry.verify_history() == []


def test_a_backup_that_fails_leaves_a_deployment_done_and_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(lake: Lake, path: Any) -> None:
        raise FoundryError("The disk of the backup is full.", "Make room.")

    monkeypatch.setattr(Lake, "back_up_database", fail)
    name = world.train()
    world.deploy()
    assert world.stage(name) is Stage.SHADOW and "backup is not up to date" in caplog.text


def test_status_says_per_engine_where_it_stands_and_what_was_measured(world: World) -> None:
    name = world.train()
    world.deploy()
    entries = {entry["engine"]: entry for entry in standings.status(world.settings)}
    assert list(entries) == list(adapters(world.settings.training)), "every adapter, variants too"
    assert {"stt", "dialect", "nlu", "sentiment", "translation", "tts"} < entries.keys()
    assert len({tuple(entry) for entry in entries.values()}) == 1, "the same columns for a table"
    assert entries["stt"]["reason"] == "nothing is registered" and entries["stt"]["stage"] == "none"
    found = entries["nlu"]
    assert (found["version"], found["stage"], found["score"]) == (name, "shadow", 0.91)
    assert found["since"].endswith("Z") and found["shadow_quality"] == 1.0
    refused = world.train("second", verdict="fail")
    world.deploy()
    assert next(e for e in standings.status(world.settings) if e["engine"] == "nlu")["version"] == name != refused


def test_planning_and_status_import_no_heavy_library_and_write_nothing(tmp_path: Any) -> None:
    code = (
        "import sys; from data_foundry.config import load_settings; from data_foundry.lake import Lake;"
        "from data_foundry.serving import deploy, standings;"
        "settings = load_settings(flags={'base_path': sys.argv[1]}, environ={});"
        "deploy.plan(settings, Lake(settings)); standings.status(settings);"
        "heavy = {'torch', 'transformers', 'datasets', 'pyarrow', 'numpy', 'peft', 'librosa'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    base = tmp_path / "nothing"
    subprocess.run(
        [sys.executable, "-c", code, str(base)], check=True, env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    )
    assert not base.exists()
