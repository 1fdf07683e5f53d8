"""What a candidate's process loads is what was registered, and what is wrong is laid at the right version's door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving.gateway_world import Model, World

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving import residents
from data_foundry.serving.candidate import versions
from data_foundry.serving.candidate.loading import Loaded
from data_foundry.serving.trials.trial import BASE

TOPIC = "nlu.topic"


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    made = World(settings, monkeypatch, tmp_path)
    monkeypatch.setattr(residents, "open_base", made._open)
    monkeypatch.setattr(residents, "place_of", lambda wanted: (wanted.base_folder, wanted.task, wanted.labels))
    yield made
    made.close()


def load(world: World, *names: str) -> tuple[Loaded, list[str]]:
    told: list[str] = []
    loading = versions.loading_of(world.settings, TOPIC, names, threads=1)
    try:
        return loading.load(told.append), told
    except FoundryError as error:
        raise LoadedNothing(error.message, told) from None


class LoadedNothing(Exception):
    """Why nothing was loaded, and which versions were begun."""


def test_both_versions_answer_from_one_base_in_memory(world: World) -> None:
    world.publish(TOPIC, "old")
    world.publish(TOPIC, "new")
    loaded, told = load(world, "old", "new")
    # Looked at first, which costs little, then opened.
    assert told == ["old", "new"] * 2 and len(world.models) == 1
    assert [name.split("-")[1] for name in world.models[0].loaded] == ["old"], "the new one's layers would slow it"
    assert (loaded.task, loaded.labels) == ("text-classification", {"old": ("sports",), "new": ("sports",)})
    outputs = {name: answer({"text": "hello"}).output for name, answer in loaded.answers.items()}
    assert outputs.keys() == {"old", "new"} and len(set(outputs.values())) == 2
    assert all(name in output for name, output in outputs.items())


def test_the_base_stands_behind_the_first_version(world: World) -> None:
    world.publish(TOPIC, "new", probe=True)
    world.move(TOPIC, "new", Stage.SHADOW)
    loaded, _ = load(world, BASE, "new")
    assert "linear" in loaded.answers[BASE]({"text": "hello"}).output
    assert loaded.answers["new"]({"text": "hello"}).output.endswith(": hello")


def test_the_base_is_asked_without_the_layers_of_the_version_that_it_stands_behind(world: World) -> None:
    world.publish(TOPIC, "new")
    world.move(TOPIC, "new", Stage.SHADOW)
    loaded, _ = load(world, BASE, "new")
    assert loaded.answers["new"]({"text": "hello"}).output.endswith(": hello")
    assert loaded.answers[BASE]({"text": "hello"}).output == "bare: hello"
    assert [each.loaded for each in world.models] == [[]]


@pytest.mark.parametrize("damaged", ["old", "new"])
def test_weights_that_are_not_those_registered_are_not_loaded_and_are_their_own_versions_fault(
    world: World, damaged: str
) -> None:
    world.publish(TOPIC, "old")
    world.publish(TOPIC, "new")
    world.move(TOPIC, "new", Stage.SHADOW)
    world.damage(TOPIC, damaged)
    with pytest.raises(LoadedNothing) as caught:
        load(world, "old", "new")
    message, told = caught.value.args
    assert told[-1] == damaged and f"{TOPIC}/{damaged}" in message
    assert not world.models


def test_what_is_not_registered_any_more_is_told(world: World) -> None:
    world.publish(TOPIC, "old")
    with pytest.raises(LoadedNothing, match="new is not registered any more"):
        load(world, "old", "new")


@pytest.mark.parametrize("unfit", ["old", "new"])
def test_a_version_that_does_not_fit_its_base_is_found_out_among_both(
    world: World, monkeypatch: pytest.MonkeyPatch, unfit: str
) -> None:
    world.publish(TOPIC, "old")
    world.publish(TOPIC, "new")

    def add(model: Model, name: str, folder: Path) -> None:
        if unfit in str(folder):
            raise FoundryError(f"{unfit} does not fit.")
        model.loaded.append(name)

    def open_base(settings: Settings, wanted: residents.Weights) -> Model:
        model = Model()
        add(model, wanted.name or "", wanted.folder or Path())
        return model

    monkeypatch.setattr(Model, "add_adapter", add)
    monkeypatch.setattr(residents, "open_base", open_base)
    with pytest.raises(LoadedNothing) as caught:
        load(world, "old", "new")
    assert caught.value.args[1][-1] == unfit
