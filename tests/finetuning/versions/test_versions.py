"""Versions as a person asks for them: by name, by a start of it, and told apart."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from data_foundry.commands.version_text import difference_lines, version_lines
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.finetuning.versions.version_difference import version_difference
from data_foundry.finetuning.versions.versions import (
    find_version,
    registry_faults,
    version_entry,
    version_names,
    version_record,
)
from data_foundry.lake import Lake, Layer
from finetuning.version_builders import details_of, make_version, publish_version


@pytest.fixture
def four(lake: Lake) -> list[str]:
    return [make_version(lake, *given) for given in (("nlu",), ("stt", "a"), ("stt", "b"), ("stt.malabar", "c"))]


def test_versions_are_listed_in_the_order_of_their_changes_and_by_engine_with_its_variants(
    lake: Lake, four: list[str]
) -> None:
    assert version_names(lake) == four
    assert version_names(lake, ["stt"]) == four[1:] and version_names(lake, ["stt.malabar"]) == four[3:]
    unregistered = publish_version(lake, "tts", "d").name
    assert version_names(lake)[-1] == unregistered
    entry = version_entry(version_record(lake, unregistered))
    assert entry["stage"] is None and "not registered yet" in entry["reason"]


def test_a_start_of_a_name_is_enough_where_only_one_version_has_it(lake: Lake, four: list[str]) -> None:
    nlu, _, second, malabar = four
    digits = second.partition("/")[2]
    for wished, name in (
        (nlu, nlu),
        ("nlu", nlu),
        (second[:8], second),
        (digits[:6], second),
        ("stt.malabar", malabar),
    ):
        assert find_version(lake, wished).name == name


@pytest.mark.parametrize(
    ("wished", "message", "hint"),
    [
        ("stt", "stt names 2 versions", "stt/"),
        ("ntl/{nlu}", "There is no version ntl/", "Did you mean nlu/"),
        ("stt/zzz", "There is no version stt/zzz", "Did you mean stt/"),
        ("stt/", "There is no version stt/", "Did you mean stt/"),
        ("", "There is no version ", "There are nlu/"),
        ("weather", "There is no version weather", "nlu/"),
    ],
)
def test_an_unknown_name_gives_the_near_ones(lake: Lake, four: list[str], wished: str, message: str, hint: str) -> None:
    with pytest.raises(FoundryError) as raised:
        find_version(lake, wished.format(nlu=four[0].partition("/")[2]))
    assert message in raised.value.message and hint in raised.value.hint


def test_where_nothing_is_registered_a_name_says_so(lake: Lake) -> None:
    with pytest.raises(FoundryError, match="nothing is registered"):
        find_version(lake, "nlu/eae")
    assert not lake.base_path.exists()


def test_a_difference_on_other_test_rows_is_not_comparable_and_says_so(lake: Lake) -> None:
    one = find_version(lake, make_version(lake, "nlu", "a", score=0.9))
    same = find_version(lake, make_version(lake, "nlu", "b", score=0.7))
    near = find_version(lake, make_version(lake, "nlu", "c", score=0.88))
    evaluation = details_of()["evaluation"]
    rows = find_version(lake, make_version(lake, "nlu", "d", evaluation={**evaluation, "row_ids_hash": "others"}))
    way = find_version(lake, make_version(lake, "nlu", "e", evaluation={**evaluation, "scorer": "scikit-learn 2"}))
    found = version_difference(one, same)
    assert found["comparable"] and found["metrics"]["score"]["overlap"] is False
    assert version_difference(one, near)["metrics"]["score"]["overlap"] is True
    for other, why in ((rows, "other test rows"), (way, "in another way (scorer)")):
        found = version_difference(one, other)
        assert not found["comparable"] and why in found["why"]
        assert found["metrics"]["score"]["overlap"] is None, "an overlap would invite to compare"


def test_a_difference_names_what_was_changed_and_leaves_out_what_was_not(lake: Lake) -> None:
    one = find_version(lake, make_version(lake, "nlu", "a"))
    config = {**details_of()["config"], "lora_rank": 16}
    sources = [{"dataset": "owner/news", "revision": "dead", "licence": "cc-by-4.0", "rows": 900}]
    lineage = {**details_of()["lineage"], "libraries": {"torch": "3"}}
    other = find_version(
        lake, make_version(lake, "nlu", "b", verdict="fail", config=config, sources=sources, lineage=lineage)
    )
    found = version_difference(one, other)
    assert found["config"] == {"lora_rank": [8, 16]}
    assert found["lineage"] == {"libraries torch": ["2", "3"]}
    assert found["data"] == {"owner/news@beef (cc-by-4.0)": [850, None], "owner/news@dead (cc-by-4.0)": [None, 900]}
    assert found["verdicts"] == ["pass", "fail"] and list(found["gates"]) == ["minimum_score"]
    assert found["base"] == {} and found["rows"] == {}
    itself = version_difference(one, one)
    assert not any(itself[part] for part in ("config", "data", "lineage", "gates", "base", "rows", "measured"))


def test_what_two_versions_are_judged_by_stands_apart_from_what_they_were_trained_by(lake: Lake) -> None:
    one = find_version(lake, make_version(lake, "nlu", "a"))
    config = {**details_of()["config"], "min_score": 0.95}
    found = version_difference(one, find_version(lake, make_version(lake, "nlu", "b", config=config)))
    assert found["config"] == {} and found["judging"] == {"min_score": [None, 0.95]}
    assert "judging" in list(difference_lines(found)) and "  min_score: none -> 0.95" in list(difference_lines(found))


def test_a_version_is_shown_with_the_revision_that_it_was_made_of_and_no_other(lake: Lake) -> None:
    config = {**details_of()["config"], "revision": None}
    text = "\n".join(version_lines(find_version(lake, make_version(lake, "nlu", "a", config=config))))
    assert "revision none" not in text and "lora_rank 8" in text


def test_files_that_are_gone_are_a_fault_of_a_version_that_is_heard(lake: Lake) -> None:
    heard, old = (make_version(lake, "nlu", name) for name in ("a", "b"))
    Registry(lake).transition("nlu", heard.partition("/")[2], Stage.SHADOW, actor="test", reason="passed")
    for name in (heard, old):
        shutil.rmtree(lake.folder(Layer.MODELS, name))
    assert registry_faults(lake) == [f"{heard} is in shadow, and its files are gone or can't be read"]
    assert "fault" in version_entry(version_record(lake, heard))


def test_weights_and_evaluations_that_are_not_the_registered_ones_are_faults(lake: Lake) -> None:
    one, other, third = (make_version(lake, "nlu", name) for name in ("a", "b", "c"))
    publish_version(lake, "nlu", "a", weights={"adapter_model.safetensors": b"other"})
    publish_version(lake, "nlu", "b", verdict="fail")
    publish_version(lake, "nlu", "c", temperature=2.0)
    weights, evaluation, calibration = registry_faults(lake)
    assert third in calibration and "evaluated again" in calibration
    assert weights.startswith(f"{one} is registered with weights") and "evaluated again" in evaluation
    assert other in evaluation


def test_an_edit_behind_the_registry_is_among_its_faults(lake: Lake) -> None:
    make_version(lake)
    connection = sqlite3.connect(Registry(lake).path)
    connection.execute("UPDATE versions SET stage = 'production'")
    connection.commit()
    connection.close()
    assert any("stands at production, its history leads to none" in fault for fault in registry_faults(lake))
