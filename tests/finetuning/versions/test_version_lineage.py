"""Lineage: equal inputs, code and libraries give an equal value, and each of them changes it."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from data_foundry.finetuning.versions import version_lineage
from data_foundry.finetuning.versions.version_lineage import config_hash, lineage_of
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.training_config import TrainingConfig

CONFIG = TrainingConfig(base="owner/base", seed=7)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "owner" / "base"
    (folder / ".cache").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_bytes(b"{}")
    (folder / ".cache" / "download.lock").write_bytes(b"")
    return folder


@pytest.fixture
def gold(lake: Lake) -> Manifest:
    with lake.commit(Layer.GOLD, "nlu", "key") as commit:
        commit.path("train/part-00000.parquet").write_bytes(b"rows")
        return commit.publish(rows={"train/part-00000.parquet": 4}, rows_in=4, rows_out=4)


def test_equal_inputs_give_equal_bytes_wherever_the_base_lies(base: Path, gold: Manifest, tmp_path: Path) -> None:
    found = lineage_of(CONFIG, gold, base, "c0ffee")
    elsewhere = base.rename(tmp_path / "elsewhere")
    (elsewhere / ".cache" / "download.lock").write_bytes(b"held")
    assert json.dumps(lineage_of(CONFIG, gold, elsewhere, "c0ffee")) == json.dumps(found)
    assert (found["seed"], found["base"]["name"], found["base"]["revision"]) == (7, "owner/base", "c0ffee")
    assert found["libraries"]["torch"] == version("torch") and str(tmp_path) not in json.dumps(found)


def test_each_input_changes_its_own_part_and_the_hash_of_all(base: Path, gold: Manifest) -> None:
    found = lineage_of(CONFIG, gold, base, "c0ffee")
    others = {
        "gold": lineage_of(CONFIG, gold.model_copy(update={"rule_sets": {"text": "text-2"}}), base, "c0ffee"),
        "config": lineage_of(CONFIG.model_copy(update={"lora_rank": 4}), gold, base, "c0ffee"),
        "seed": lineage_of(CONFIG.model_copy(update={"seed": 8}), gold, base, "c0ffee"),
    }
    (base / "model.safetensors").write_bytes(b"other weights")
    others["base"] = lineage_of(CONFIG, gold, base, "c0ffee")
    for part, other in others.items():
        changed = {name for name in found if found[name] != other[name]}
        assert changed - {"config"} == {part, "hash"} - {"config"}, part
    assert len({found["hash"], *(other["hash"] for other in others.values())}) == 5


def test_what_a_version_is_judged_by_is_no_part_of_what_it_was_trained_by() -> None:
    trained = CONFIG.model_dump(mode="json")
    assert config_hash({**trained, "min_score": 0.95, "licence": "mit"}) == config_hash(trained)
    assert config_hash({**trained, "lora_rank": 4}) != config_hash(trained)


def test_an_edited_source_file_is_another_code_although_the_version_is_the_same(
    base: Path, gold: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lineage_of(CONFIG, gold, base, "c0ffee")["code"]
    copy = tmp_path / "package" / "__init__.py"
    copy.parent.mkdir()
    copy.write_text("# edited")
    monkeypatch.setattr(version_lineage.data_foundry, "__file__", str(copy))
    version_lineage.source_hash.cache_clear()
    after = lineage_of(CONFIG, gold, base, "c0ffee")["code"]
    version_lineage.source_hash.cache_clear()
    assert after["version"] == before["version"] and after["sources"] != before["sources"]


def test_a_library_that_is_missing_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    assert version_lineage.library_versions(["no-such-library"]) == {"no-such-library": "not installed"}
