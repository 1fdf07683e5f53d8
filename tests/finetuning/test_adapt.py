"""Training steps: from gold to a judged version, and what makes them run again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from data_foundry.compute import guarded
from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning import adapt
from data_foundry.finetuning.versions.version_lineage import config_hash
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.records import AIEngine
from data_foundry.report import Action, Outcome, StepResult
from finetuning.gold_builders import commit_gold, gold, row, rows

Build = Callable[..., Settings]


def run(settings: Settings) -> StepResult:
    """Plan the one selected engine and run its step, failures caught as in a real run."""
    (step,) = adapt.plan(settings, Lake(settings))
    assert step.action is Action.RUN, step.reason
    return guarded(adapt.run_step, settings, step)


def version(settings: Settings) -> Manifest:
    """The manifest of the version that the current plan names."""
    lake = Lake(settings)
    (step,) = adapt.plan(settings, lake)
    manifest = lake.manifest(Layer.MODELS, f"{step.subject}/{step.key[:12]}")
    assert manifest is not None
    return manifest


def test_an_engine_without_gold_waits_for_the_allocation(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU)
    (step,) = adapt.plan(settings, Lake(settings))
    assert step.action is Action.WAIT
    assert step.reason == "waiting for phase3: the gold of nlu is not allocated"
    _, engines = adapt.describe(settings, Lake(settings))
    assert engines["nlu"].status == "not trained"


@pytest.mark.parametrize("engine", list(AIEngine))
def test_every_engine_goes_from_gold_to_a_measured_version_that_is_skipped_next_time(
    engine: AIEngine, tiny_settings: Build
) -> None:
    settings = tiny_settings(engine)
    commit_gold(Lake(settings), engine, gold(engine))
    result = run(settings)
    assert result.outcome is Outcome.DONE, result.reason
    assert (result.rows_in, result.rows_out, result.rejected) == (18, 18, {})
    manifest = version(settings)
    names = {file.path for file in manifest.files}
    expected = {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"}
    assert names >= expected | {"evaluation.json", "training_log.json", "README.md"}
    (step,) = adapt.plan(settings, Lake(settings))
    assert (step.action, step.key) == (Action.SKIP, manifest.key)
    _, engines = adapt.describe(settings, Lake(settings))
    report = engines[engine.value]
    assert report.rows == {"train": 8, "validation": 4, "test": 6}
    assert report.base is not None and report.adapted is not None
    assert 0 <= report.base["score"] <= 1 and 0 <= report.adapted["score"] <= 1
    assert report.primary_metric in report.base and report.base["rows"] == 6
    gates = ["minimum_score", "improvement", "base_domain", "slice_regression", "enough_test_rows"]
    assert [gate.gate for gate in report.gates] == gates
    assert {"relative_error_reduction", "bias", "phone", "calibration"} <= report.model_dump().keys()
    card = (Lake(settings).folder(Layer.MODELS, manifest.name) / "README.md").read_text(encoding="utf-8")
    assert ModelCard(card).data.eval_results and ModelCard(card).data.license == "other", "nobody states the base's"
    adapted = loaded_as_the_card_says(card, settings, manifest)
    assert any("lora_B" in name and weight.abs().sum() > 0 for name, weight in adapted.named_parameters())
    curve = json.loads((Lake(settings).folder(Layer.MODELS, manifest.name) / "training_log.json").read_text())[
        "adapter"
    ]
    assert any("loss" in point for point in curve["curve"]) and any("eval_loss" in point for point in curve["curve"])
    stored = json.loads(config_of(settings, manifest).read_text())
    assert stored["base_model_name_or_path"] == manifest.details["config"]["base"]


def loaded_as_the_card_says(card: str, settings: Settings, manifest: Manifest) -> Any:
    """Run the code of a card's "Load" in the version's folder, and return the model."""
    code = card.split("```python\n")[1].split("```")[0]
    here: dict[str, Any] = {}
    with contextlib.chdir(Lake(settings).folder(Layer.MODELS, manifest.name)):
        exec(code.replace("path/to/that/folder", str(settings.hub.source)), here)
    return here["model"]


def test_a_backup_that_is_not_whole_is_made_up_for_without_training_again(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU)
    settings = settings.model_copy(update={"storage": settings.storage.model_copy(update={"backup_enabled": True})})
    lake = Lake(settings)
    commit_gold(lake, AIEngine.NLU, gold(AIEngine.NLU))
    assert run(settings).outcome is Outcome.DONE
    before = version(settings)
    copy = settings.base_path / "backup" / "models" / before.name
    (copy / "manifest.json").unlink()
    (copy / "adapter" / "adapter_model.safetensors").write_bytes(b"torn")
    (step,) = adapt.plan(settings, lake)
    assert step.action is Action.RUN and step.reason == f"its backup in {copy} is not complete"
    assert run(settings).outcome is Outcome.DONE
    assert version(settings) == before
    assert lake.backup_fault(Layer.MODELS, before.name) is None
    file = "adapter/adapter_model.safetensors"
    assert (copy / file).read_bytes() == (lake.folder(Layer.MODELS, before.name) / file).read_bytes()


def config_of(settings: Settings, manifest: Manifest) -> Path:
    return Lake(settings).folder(Layer.MODELS, manifest.name) / "adapter" / "adapter_config.json"


def test_a_learnable_task_passes_its_gates_with_what_it_was_held_to(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, epochs=12, learning_rate=2e-2)
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU, train=48, validation=12, test=40))
    result = run(settings)
    assert result.reason.startswith("passed its gates; score 0."), result.reason
    details = version(settings).details
    assert details["verdict"] == "pass"
    assert details["evaluation"]["adapted"]["score"] == 1.0
    assert details["control_note"] == "20 control rows of the base's own domain"


def test_changed_gold_and_changed_configuration_are_the_stated_reason_to_train_again(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU)
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    run(settings)
    (step,) = adapt.plan(tiny_settings(AIEngine.NLU, learning_rate=0.5), Lake(settings))
    assert (step.action, step.reason) == (Action.RUN, "setting learning_rate changed")
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU, train=9))
    (step,) = adapt.plan(settings, Lake(settings))
    assert (step.action, step.reason) == (Action.RUN, "the gold changed")


def test_other_control_rows_under_the_same_name_are_measured_again(tiny_settings: Build, tmp_path: Path) -> None:
    control = tmp_path / "control.parquet"
    settings = tiny_settings(AIEngine.SENTIMENT, control=str(control))
    commit_gold(Lake(settings), AIEngine.SENTIMENT, gold(AIEngine.SENTIMENT))
    keys = []
    for content in (None, b"some rows", b"other rows", b"some rows"):
        if content:
            control.write_bytes(content)
        keys += [step.key for step in adapt.plan(settings, Lake(settings))]
    assert len(set(keys)) == 3 and keys[1] == keys[3]
    moved = control.rename(tmp_path / "elsewhere.parquet")
    (step,) = adapt.plan(tiny_settings(AIEngine.SENTIMENT, control=str(moved)), Lake(settings))
    assert step.key == keys[1]


def test_changed_gates_judge_again_without_training(tiny_settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny_settings(AIEngine.SENTIMENT, min_score=1.0)
    commit_gold(Lake(settings), AIEngine.SENTIMENT, gold(AIEngine.SENTIMENT))
    run(settings)
    before = version(settings)
    looser = tiny_settings(AIEngine.SENTIMENT, min_score=0.0)
    (step,) = adapt.plan(looser, Lake(looser))
    assert (step.action, step.reason) == (Action.RUN, "setting min_score changed: judged again, not trained again")
    monkeypatch.setattr("data_foundry.finetuning.adapter.make_adapter", lambda *_, **__: pytest.fail("trained again"))
    result = guarded(adapt.run_step, looser, step)
    assert result.outcome is Outcome.DONE, result.reason
    after = version(looser)
    assert after.key == before.key
    weights = [[f for f in m.files if f.path.startswith("adapter/")] for m in (before, after)]
    assert weights[0] == weights[1]
    gates = {gate["gate"]: gate for gate in after.details["gates"]}
    assert gates["minimum_score"]["bound"] == 0.0 and gates["minimum_score"]["verdict"] == "pass"
    judged, trained = after.details["config"], before.details["config"]
    assert {name for name in trained if judged[name] != trained[name]} == {"min_score"}
    assert after.details["lineage"] == before.details["lineage"]
    assert after.details["lineage"]["config"] == config_hash(judged), "what it was trained by is still told right"
    assert after.details["hub"] == before.details["hub"]
    assert "| minimum_score | pass |" in (Lake(looser).folder(Layer.MODELS, after.name) / "README.md").read_text()


def test_rows_that_the_base_cannot_take_are_refused_before_training_and_counted(tiny_settings: Build) -> None:
    from finetuning.tiny_bases import tone

    settings = tiny_settings(AIEngine.STT, max_train_rows=5)
    splits = gold(AIEngine.STT)
    splits["test"].append(row(AIEngine.STT, 90, "test", audio=tone(2.5)))
    splits["test"].append(row(AIEngine.STT, 91, "test", text="വിപണി " * 60))
    splits["validation"].append(row(AIEngine.STT, 92, "validation", audio={"bytes": b"no audio", "path": "x"}))
    commit_gold(Lake(settings), AIEngine.STT, splits)
    result = run(settings)
    expected = {"beyond_max_train_rows": 3, "longer_than_base_window": 1, "too_many_tokens": 1, "undecodable_audio": 1}
    assert result.rejected == expected, result.reason
    assert (result.rows_in, result.rows_out) == (21, 15)
    examples = version(settings).details["refused_examples"]["test"]
    assert examples["longer_than_base_window"] == ["test-stt-0090: 2.50 s, the base hears 2 s"]


def test_gold_without_rows_to_train_on_is_waited_for_with_the_reason(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU)
    commit_gold(Lake(settings), AIEngine.NLU, {"train": [], "test": rows(AIEngine.NLU, 3)})
    (step,) = adapt.plan(settings, Lake(settings))
    assert (step.action, step.reason) == (Action.WAIT, "waiting for phase3: the gold of nlu has no train rows")


def test_a_base_too_large_to_hash_for_a_plan_is_trained_once(
    tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_foundry.hub.folder.PLANNED_BYTES", 10)
    settings = tiny_settings(AIEngine.SENTIMENT)
    commit_gold(Lake(settings), AIEngine.SENTIMENT, gold(AIEngine.SENTIMENT))
    run(settings)
    (step,) = adapt.plan(settings, Lake(settings))
    assert step.action is Action.SKIP, step.reason


def test_a_base_that_cannot_learn_the_task_is_named_with_the_kinds_that_can(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.STT, base="tiny/t5")
    commit_gold(Lake(settings), AIEngine.STT, gold(AIEngine.STT))
    result = run(settings)
    assert result.outcome is Outcome.FAILED
    assert "tiny/t5 is a t5 model, which can't learn speech-to-text" in result.reason
    assert "Whisper" in result.reason


def test_a_missing_base_fails_its_own_engine_with_the_way_out_and_stops_no_plan(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, base="tiny/nowhere")
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    (step,) = adapt.plan(settings, Lake(settings))
    assert step.action is Action.RUN and step.reason.startswith("its base can't be had: tiny/nowhere is missing")
    result = run(settings)
    assert result.outcome is Outcome.FAILED and "tiny/bert" in result.reason
    _, engines = adapt.describe(settings, Lake(settings))
    assert engines["nlu"].status == "not trained"


def test_replay_without_rows_to_replay_is_an_error_and_with_them_it_is_counted(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.SENTIMENT, replay_share=0.5)
    commit_gold(Lake(settings), AIEngine.SENTIMENT, gold(AIEngine.SENTIMENT))
    assert "tiny/bert has no replay.parquet" in run(settings).reason
    settings = tiny_settings(AIEngine.NLU, replay_share=0.5)
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    assert run(settings).outcome is Outcome.DONE
    assert version(settings).details["training"]["replay_rows"] == 4


def test_what_hears_the_speech_belongs_to_the_key_whether_it_can_be_had_or_not(tiny_settings: Build) -> None:
    lake = Lake(tiny_settings(AIEngine.TTS))
    commit_gold(lake, AIEngine.TTS, gold(AIEngine.TTS))
    own = {"base": "tiny/codec-llama", "target_modules": ["q_proj"], "speech_codec": "tiny/nllb"}
    keys = set()
    for transcriber, changes in (
        ("tiny/whisper", {}),
        ("tiny/bert", {}),
        ("tiny/nowhere", {}),
        ("tiny/whisper", {"speech_codec": "tiny/t5"}),
    ):
        engines = {"tts": {**own, **changes}, "stt": {"base": transcriber}}
        (step,) = adapt.plan(tiny_settings(AIEngine.TTS, training={"engines": engines}), lake)
        assert step.action is Action.RUN and step.reason == "nothing there yet"
        keys.add(step.key)
    assert len(keys) == 4


def test_the_rules_of_encoding_and_training_belong_to_the_key() -> None:
    from data_foundry.finetuning.rules import ENCODING, TRAINING

    assert adapt.RULES["encoding"] == ENCODING and adapt.RULES["training"] == TRAINING


def test_control_rows_that_are_not_there_fail_their_adapter_with_the_way_out(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.SENTIMENT, control="nowhere/control.parquet")
    commit_gold(Lake(settings), AIEngine.SENTIMENT, gold(AIEngine.SENTIMENT))
    (step,) = adapt.plan(settings, Lake(settings))
    missing = str(PROJECT_ROOT / "nowhere" / "control.parquet")
    assert step.action is Action.RUN and f"control {missing} can't be read: No such file" in step.reason
    result = run(settings)
    assert result.outcome is Outcome.FAILED and missing in result.reason and "leave it out" in result.reason


def test_rows_of_one_label_alone_are_refused_before_training(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.SENTIMENT)
    label = row(AIEngine.SENTIMENT, 0)["label"]
    splits = {split: [{**each, "label": label} for each in own] for split, own in gold(AIEngine.SENTIMENT).items()}
    commit_gold(Lake(settings), AIEngine.SENTIMENT, splits)
    result = run(settings)
    assert result.outcome is Outcome.FAILED
    assert f"The training rows of sentiment have one label alone: {label}." in result.reason


def test_test_rows_of_a_label_that_training_never_saw_are_told_on_the_card(
    tiny_settings: Build, caplog: pytest.LogCaptureFixture
) -> None:
    settings = tiny_settings(AIEngine.SENTIMENT)
    splits = gold(AIEngine.SENTIMENT)
    splits["test"][0] = {**splits["test"][0], "label": "of_another_world"}
    commit_gold(Lake(settings), AIEngine.SENTIMENT, splits)
    result = run(settings)
    assert result.outcome is Outcome.DONE, result.reason
    manifest = version(settings)
    assert manifest.details["unseen_label_rows"] == manifest.details["refused"]["unknown_label"] == 1
    card = (Lake(settings).folder(Layer.MODELS, manifest.name) / "README.md").read_text(encoding="utf-8")
    assert "1 test rows have a label that no training row has: no figure counts them." in card
    assert "sentiment: 1 test rows have a label that no training row has" in caplog.text


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"target_modules": ["qkv_of_another"]}, "LoRA does not fit tiny/bert"),
        ({"load_in_8bit": True}, "load_in_8bit needs a GPU"),
        ({"early_stopping_patience": 2}, "has no validation rows to stop by"),
        ({"replay_share": 0.5}, "tiny/bert has no replay.parquet"),
    ],
)
def test_what_can_not_be_trained_is_refused_before_any_row_is_encoded(
    tiny_settings: Build, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    def encoded(*_: Any, **__: Any) -> None:
        raise AssertionError("rows were encoded")

    monkeypatch.setattr("data_foundry.finetuning.adapter.encode_rows", encoded)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    settings = tiny_settings(AIEngine.SENTIMENT, **changes)
    splits = gold(AIEngine.SENTIMENT)
    commit_gold(Lake(settings), AIEngine.SENTIMENT, {split: splits[split] for split in ("train", "test")})
    result = run(settings)
    assert result.outcome is Outcome.FAILED and said in result.reason


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused(tiny_settings: Build, seed: int) -> None:
    with pytest.raises(FoundryError, match="seed"):
        tiny_settings(AIEngine.SENTIMENT, seed=seed)


def test_planning_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from data_foundry.finetuning import adapt;"
        "print([m for m in ('torch', 'transformers', 'peft', 'pyarrow', 'numpy', 'datasets') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
