"""Variants: several adapters of one engine from the same gold, each made again only when its own rows change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from data_foundry.compute import guarded
from data_foundry.config import Settings, load_settings
from data_foundry.engines import ENGINES
from data_foundry.engines.adapters import adapters, selected
from data_foundry.errors import FoundryError
from data_foundry.finetuning import adapt
from data_foundry.finetuning.selection import choose_rows
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.records import AIEngine
from data_foundry.report import Action, Outcome, Step, StepResult
from finetuning.gold_builders import commit_gold, gold, row

Build = Callable[..., Settings]


def plan(settings: Settings) -> dict[str, Step]:
    return {step.subject: step for step in adapt.plan(settings, Lake(settings))}


def run(settings: Settings) -> dict[str, StepResult]:
    """Run every step that the plan runs, failures caught as in a real run."""
    steps = [step for step in plan(settings).values() if step.action is Action.RUN]
    return {step.subject: guarded(adapt.run_step, settings, step) for step in steps}


def version(settings: Settings, name: str) -> Manifest:
    manifest = Lake(settings).manifest(Layer.MODELS, f"{name}/{plan(settings)[name].key[:12]}")
    assert manifest is not None
    return manifest


def speech(dialects: dict[str, str], **changes: int) -> dict[str, list[dict[str, Any]]]:
    """Gold of speech to text whose speakers have dialects, in turn as `dialects` says of each split."""
    splits = gold(AIEngine.STT, **changes)
    for split, rows in splits.items():
        for place, each in enumerate(rows):
            each["dialect"] = dialects[split].split()[place % len(dialects[split].split())]
    return splits


EVERYWHERE = dict.fromkeys(("train", "validation", "test"), "malabar cochin")


def test_an_engines_name_selects_its_variants_and_a_variants_name_that_one_alone(tiny_settings: Build) -> None:
    training = tiny_settings(AIEngine.STT, training={"variants": {"stt.malabar": {"only": {"dialect": "malabar"}}}})
    assert list(selected(training.training, ["stt"])) == ["stt", "stt.malabar"]
    assert list(selected(training.training, ["stt.malabar", "tts"])) == ["stt.malabar", "tts"]
    with pytest.raises(FoundryError, match=r"Unknown adapter: stt.nowhere.(?s:.*)Of this engine: stt, stt.malabar"):
        selected(training.training, ["stt.nowhere"])


def test_a_variant_is_trained_as_its_engine_is_but_for_what_it_says_itself(tiny_settings: Build) -> None:
    variants = {"stt.loud": {"epochs": 7, "only": {"gender": "female"}}}
    every = adapters(tiny_settings(AIEngine.STT, lora_rank=3, training={"variants": variants}).training)
    assert every["stt.loud"].training == every["stt"].training.model_copy(
        update={"epochs": 7.0, "only": {"gender": "female"}}
    )
    assert every["stt.loud"].title == "speech to text (loud)"
    assert every["stt.loud"].configured_at == "training.variants.stt.loud"


def test_the_products_own_variants_are_whole_and_hold_columns_of_their_gold() -> None:
    every = adapters(load_settings(environ={}).training)
    assert {name for name in every if "." in name} == {
        "stt.travancore", "stt.cochin", "stt.malabar", "dialect.text", "nlu.topic",
    }  # fmt: skip
    for name, spec in every.items():
        assert spec.name == name and set(spec.training.only) <= set(ENGINES[spec.engine].gold_columns), name
        assert spec.training.licence != "unknown" and spec.training.why and spec.title, name


def test_another_base_brings_its_own_licence_or_none(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, training={"variants": {"nlu.other": {"base": "tiny/xlm-roberta"}}})
    every = adapters(settings.training)
    assert (every["nlu"].training.licence, every["nlu.other"].training.licence) == ("unknown", "unknown")
    real = adapters(load_settings(environ={}, flags={"training": {"variants": {"nlu.other": {"epochs": 2}}}}).training)
    assert real["nlu.other"].training.licence == "apache-2.0"


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ({"sst.malabar": {"epochs": 1}}, "there is no engine 'sst'"),
        ({"stt": {"epochs": 1}}, "'stt' is an engine; a variant is stt.<name>"),
        ({"stt.Malabar": {"epochs": 1}}, "the variant 'Malabar' is not 1 to 32 small letters"),
        ({"stt.../x": {"epochs": 1}}, "the variant '../x' is not"),
        ({"stt.malabar": {"dialect": "malabar"}}, "training.variants.stt.malabar.dialect in the flags: unknown key"),
        ({"dialect.words": {"task": "text-classification"}}, "training.variants.dialect.words can't be trained: base"),
    ],
)
def test_a_mistaken_variant_is_refused_in_words(variants: dict[str, Any], said: str) -> None:
    with pytest.raises(FoundryError) as error:
        adapters(load_settings(environ={}, flags={"training": {"variants": variants}}).training)
    assert said in str(error.value)


def test_a_variant_of_an_unknown_column_fails_alone_and_names_the_columns(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.STT, training={"variants": {"stt.x": {"only": {"accent": "malabar"}}}})
    steps = plan(settings)
    assert (steps["stt"].action, steps["stt.x"].action) == (Action.WAIT, Action.FAIL)
    assert "training.variants.stt.x.only names accent: no column of the gold of stt" in steps["stt.x"].reason


def test_a_variant_is_made_of_its_own_rows_and_made_again_only_when_those_change(tiny_settings: Build) -> None:
    settings = tiny_settings(
        AIEngine.STT, training={"variants": {"stt.malabar": {"only": {"dialect": "malabar"}, "min_train_rows": 4}}}
    )
    lake = Lake(settings)
    commit_gold(lake, AIEngine.STT, speech(EVERYWHERE))
    assert {name: result.outcome for name, result in run(settings).items()} == {
        "stt": Outcome.DONE,
        "stt.malabar": Outcome.DONE,
    }
    assert {step.action for step in plan(settings).values()} == {Action.SKIP}
    before = version(settings, "stt.malabar")
    assert before.details["rows"] == {"train": 4, "validation": 2, "test": 3}
    assert before.details["engine"] == "stt.malabar"

    # A row of another dialect comes: the engine's own adapter is another, the variant is not.
    more = speech(EVERYWHERE)
    more["train"].append({**row(AIEngine.STT, 99, "train"), "dialect": "cochin"})
    for each in more["train"]:
        each.update(sampling_weight=0.5, revision="b" * 40, group="g")
    commit_gold(lake, AIEngine.STT, more)
    steps = plan(settings)
    assert {name: step.action for name, step in steps.items()} == {"stt": Action.RUN, "stt.malabar": Action.RUN}
    result = guarded(adapt.run_step, settings, steps["stt.malabar"])
    assert result.reason.startswith("not trained again: the rows that it is made of are as they were"), result.reason
    assert plan(settings)["stt.malabar"].action is Action.SKIP
    assert version(settings, "stt.malabar") == before

    # A word of one of its rows changes: now it is.
    said = speech(EVERYWHERE)
    said["train"][0]["text"] = "കളി ഇന്ന്"
    commit_gold(lake, AIEngine.STT, said)
    assert guarded(adapt.run_step, settings, plan(settings)["stt.malabar"]).outcome is Outcome.DONE
    assert version(settings, "stt.malabar").name != before.name


def test_what_is_tested_stands_for_itself_by_its_file_and_is_not_read_before_a_training(
    tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ENGINES[AIEngine.STT]
    spec = replace(spec, training=spec.training.model_copy(update={"only": {"dialect": "malabar"}}))
    lake = Lake(tiny_settings(AIEngine.STT))
    splits = {**speech(EVERYWHERE), "test_phone": speech(EVERYWHERE)["test"]}
    read: list[str] = []
    files = Lake.files

    def seen(self: Lake, layer: Layer, name: str, **more: Any) -> Any:
        read.append(more["under"])
        return files(self, layer, name, **more)

    monkeypatch.setattr(Lake, "files", seen)
    before = choose_rows(lake, spec, commit_gold(lake, AIEngine.STT, splits))
    assert read == ["train", "validation"]
    assert before.rows == {"train": 4, "validation": 2, "test": len(splits["test"])}
    for split in ("test", "test_phone"):
        splits[split][0]["text"] = "കളി ഇന്ന്"
        after = choose_rows(lake, spec, commit_gold(lake, AIEngine.STT, splits))
        assert after.hash != before.hash
        before = after
    splits["train"].append({**row(AIEngine.STT, 99, "train"), "dialect": "cochin"})
    assert choose_rows(lake, spec, commit_gold(lake, AIEngine.STT, splits)).hash == before.hash


def test_too_few_rows_are_the_stated_reason_to_train_no_variant(tiny_settings: Build) -> None:
    variants = {
        "stt.malabar": {"only": {"dialect": "malabar"}, "min_train_rows": 5},
        "stt.cochin": {"only": {"dialect": "cochin"}, "min_train_rows": 4},
    }
    settings = tiny_settings(AIEngine.STT, training={"variants": variants})
    settings = settings.model_copy(update={"engines": tuple(variants)})
    splits = speech({**EVERYWHERE, "test": "malabar"})
    balance = {"dialect": {"malabar": {"train": 4, "validation": 2, "test": 6}, "cochin": {"train": 4, "test": 0}}}
    commit_gold(Lake(settings), AIEngine.STT, splits, {"splits": {"balance": balance}})
    results = run(settings)
    assert {(result.outcome, result.rows_in) for result in results.values()} == {(Outcome.DONE, 0)}
    assert not any(result.falls_short for result in results.values())
    few = (
        "not trained: 4 training rows with dialect malabar of the 5 that training.variants.stt.malabar.min_train_rows "
        "asks for"
    )
    assert {name: result.reason for name, result in results.items()} == {
        "stt.malabar": few,
        "stt.cochin": "not trained: no test rows with dialect cochin",
    }
    steps = plan(settings)
    assert {name: (step.action, step.reason) for name, step in steps.items()} == {
        name: (Action.SKIP, result.reason) for name, result in results.items()
    }
    _, reports = adapt.describe(settings, Lake(settings))
    assert (reports["stt.malabar"].status, reports["stt.malabar"].reason) == ("not trained", few)
    assert Lake(settings).names(Layer.MODELS) == []
    # Fewer are enough now: that is no reason for those that are trained to be trained again.
    enough = settings.model_copy(update={"training": settings.training.model_copy(update={"variants": {}})})
    assert plan(enough.model_copy(update={"engines": ("stt.malabar",)}))["stt.malabar"].reason.startswith("not trained")


def test_the_dialect_of_words_is_learned_by_an_encoder_from_the_rows_that_have_text(tiny_settings: Build) -> None:
    variants = {"dialect.text": {"enabled": True, "base": "tiny/bert", "epochs": 1, "min_train_rows": 1}}
    settings = tiny_settings(AIEngine.DIALECT, training={"variants": variants})
    settings = settings.model_copy(update={"engines": ("dialect.text",)})
    splits = gold(AIEngine.DIALECT)
    splits["train"][0]["text"] = None
    splits["test"].append({**row(AIEngine.DIALECT, 90, "test"), "audio": None})
    commit_gold(Lake(settings), AIEngine.DIALECT, splits)
    result = run(settings)["dialect.text"]
    assert result.outcome is Outcome.DONE, result.reason
    assert result.rejected == {"no_text": 1} and result.rows_in == 19
    manifest = version(settings, "dialect.text")
    assert manifest.details["task"] == "text-classification" and manifest.details["rows"]["test"] == 7


def test_how_a_training_is_run_is_no_reason_to_train_again(tiny_settings: Build) -> None:
    for engine in (AIEngine.NLU,):
        settings = tiny_settings(engine)
        commit_gold(Lake(settings), engine, gold(engine))
        run(settings)
        other = tiny_settings(engine, min_train_rows=2, training={"threads": 2})
        assert plan(other)["nlu"].action is Action.SKIP


def test_every_field_of_the_configuration_is_known_to_change_figures_a_verdict_or_neither() -> None:
    from data_foundry.training_config import TrainingConfig

    fields = set(TrainingConfig.model_fields)
    assert set(adapt.JUDGING) | set(adapt.OPERATING) <= fields
    assert not set(adapt.JUDGING) & set(adapt.OPERATING)
