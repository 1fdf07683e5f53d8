"""The choice of gold rows that an adapter learns from and is measured with: a kind of label, a dialect, what sounds."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from data_foundry.compute import guarded
from data_foundry.config import Settings
from data_foundry.engines import ENGINES
from data_foundry.finetuning import adapt
from data_foundry.finetuning.features.gold_rows import labels_of
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.records import AIEngine
from data_foundry.report import Action, Outcome, StepResult
from finetuning.gold_builders import DIALECTS, commit_gold, gold, row
from finetuning.tiny_bases import TOPICS

Build = Callable[..., Settings]


def run(settings: Settings) -> tuple[StepResult, Manifest | None]:
    """Plan the one selected engine, run its step, and return what became of it and the version it made."""
    lake = Lake(settings)
    (step,) = adapt.plan(settings, lake)
    assert step.action is Action.RUN, step.reason
    result = guarded(adapt.run_step, settings, step)
    return result, lake.manifest(Layer.MODELS, f"{step.subject}/{result.key[:12]}")


def with_intents() -> dict[str, list[dict[str, object]]]:
    """Gold of understanding with topics, and in every split two rows with an intent."""
    splits = gold(AIEngine.NLU)
    for split, content in splits.items():
        content += [row(AIEngine.NLU, 90 + n, split, label="pay_bill", label_kind="intent") for n in range(2)]
    return splits


def test_rows_of_another_kind_of_label_are_left_out_of_every_split_and_counted(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, only={"label_kind": "topic"})
    lake = Lake(settings)
    commit_gold(lake, AIEngine.NLU, with_intents())
    result, version = run(settings)
    assert result.outcome is Outcome.DONE, result.reason
    assert (result.rows_in, result.rows_out, result.rejected) == (24, 18, {"left_out_by_only": 6})
    assert version is not None and version.details["rows"] == {"train": 8, "validation": 4, "test": 6}
    _, engines = adapt.describe(settings, lake)
    assert engines["nlu"].model_dump()["only"] == {"label_kind": "topic"}
    card = (lake.folder(Layer.MODELS, version.name) / "README.md").read_text()
    assert "Only gold rows with `label_kind` topic were trained on and measured. Rows used: 8 train" in card
    assert "left_out_by_only 6" in card


def test_a_head_knows_the_labels_of_the_chosen_rows_only(tiny_settings: Build) -> None:
    lake = Lake(tiny_settings(AIEngine.NLU))
    commit_gold(lake, AIEngine.NLU, with_intents())
    files = lake.files(Layer.GOLD, "nlu", under="train")
    assert labels_of(files, "label", {"label_kind": "intent"}) == ("pay_bill",)
    assert labels_of(files, "label", {"label_kind": "topic"}) == tuple(sorted(TOPICS))
    assert labels_of(files, "label") == tuple(sorted({*TOPICS, "pay_bill"}))


def test_the_choice_is_part_of_a_versions_key_and_the_reason_to_train_again(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, only={"label_kind": "topic"})
    lake = Lake(settings)
    commit_gold(lake, AIEngine.NLU, with_intents())
    result, _ = run(settings)
    (step,) = adapt.plan(tiny_settings(AIEngine.NLU, only={"label_kind": "intent"}), lake)
    assert step.key != result.key and (step.action, step.reason) == (Action.RUN, "setting only changed")


def test_a_choice_that_leaves_nothing_is_refused_with_what_was_wanted(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, only={"label_kind": "intent"})
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    result, version = run(settings)
    assert result.outcome is Outcome.FAILED and version is None
    assert result.reason.startswith("The gold of nlu has no train row with label_kind intent.")
    assert "training.engines.nlu.only" in result.reason


def test_a_choice_by_a_column_that_gold_does_not_have_fails_before_anything_starts(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, only={"lable_kind": "intent"})
    (step,) = adapt.plan(settings, Lake(settings))
    assert step.action is Action.FAIL
    assert "only names lable_kind: no column of the gold of nlu" in step.reason and "label_kind" in step.reason


def test_the_rows_at_most_are_drawn_from_the_chosen_ones(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, only={"label_kind": "topic"}, max_train_rows=5)
    commit_gold(Lake(settings), AIEngine.NLU, with_intents())
    result, version = run(settings)
    assert version is not None and version.details["rows"]["train"] == 5
    assert result.rejected == {"beyond_max_train_rows": 3, "left_out_by_only": 6}


def test_an_adapter_for_one_dialect_is_trained_from_the_gold_of_speech_to_text(tiny_settings: Build) -> None:
    splits = gold(AIEngine.STT, train=9, validation=3, test=6)
    for content in splits.values():
        for number, spoken in enumerate(content):
            spoken |= {"dialect": sorted(DIALECTS)[number % 3], "label_source": "district proxy"}
    settings = tiny_settings(AIEngine.STT, only={"dialect": "malabar"}, min_test_rows=2)
    commit_gold(Lake(settings), AIEngine.STT, splits)
    result, version = run(settings)
    assert result.rejected == {"left_out_by_only": 12}, result.reason
    assert version is not None and version.details["rows"] == {"train": 3, "validation": 1, "test": 2}


def test_a_base_that_hears_leaves_out_rows_of_text_alone_and_says_how_many(
    tiny_settings: Build, caplog: pytest.LogCaptureFixture
) -> None:
    splits = gold(AIEngine.DIALECT, train=9)
    splits["train"] += [row(AIEngine.DIALECT, 50, audio=None), row(AIEngine.DIALECT, 51, audio=None, dialect="nowhere")]
    splits["test"].append(row(AIEngine.DIALECT, 52, "test", audio=None))
    settings = tiny_settings(AIEngine.DIALECT)
    lake = Lake(settings)
    commit_gold(lake, AIEngine.DIALECT, splits)
    with caplog.at_level("INFO", "data_foundry"):
        result, version = run(settings)
    assert (result.outcome, result.rejected) == (Outcome.DONE, {"no_audio": 3}), result.reason
    assert "dialect: 3 gold rows of text alone left out: the base hears" in caplog.text
    assert version is not None
    labels = json.loads((lake.folder(Layer.MODELS, version.name) / "adapter" / "labels.json").read_text())
    assert labels == sorted(DIALECTS)


def test_the_default_of_understanding_is_what_a_caller_wants() -> None:
    assert ENGINES[AIEngine.NLU].training.only == {"label_kind": "intent"}
