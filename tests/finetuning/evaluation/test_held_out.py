"""Held-out rows: read once, and only when nothing is left to choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning import adapter
from data_foundry.finetuning.evaluation.held_out import HeldOut, earlier_versions_on
from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine
from finetuning.gold_builders import commit_gold, gold
from finetuning.test_adapt import Build, run, version


def written(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def test_held_out_rows_stay_closed_until_an_adapter_is_written(tiny_settings: Build, tmp_path: Path) -> None:
    lake = Lake(tiny_settings(AIEngine.NLU))
    commit_gold(lake, AIEngine.NLU, gold(AIEngine.NLU))
    held_out = HeldOut(lake, "nlu")
    (tmp_path / "adapter").mkdir()
    with pytest.raises(FoundryError, match="stay closed: no adapter is written"):
        held_out.open(tmp_path / "adapter")
    files = held_out.open(written(tmp_path / "adapter"))
    assert [path.name for path in files["test"]] == ["part-00000.parquet"] and files["test_phone"] == []


def test_held_out_rows_are_opened_once(tiny_settings: Build, tmp_path: Path) -> None:
    lake = Lake(tiny_settings(AIEngine.NLU))
    commit_gold(lake, AIEngine.NLU, gold(AIEngine.NLU))
    held_out = HeldOut(lake, "nlu")
    held_out.open(written(tmp_path / "adapter"))
    held_out.check_unchanged()
    with pytest.raises(FoundryError, match="were opened already, for the adapter"):
        held_out.open(written(tmp_path / "other", b"better"))
    written(tmp_path / "adapter", b"trained on")
    with pytest.raises(FoundryError, match="is not the one that its held-out rows were opened for"):
        held_out.check_unchanged()


def test_a_version_is_trained_where_its_test_rows_are_not_even_there(
    tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are away while features are made and the adapter is trained, and back for the one look at them."""
    settings = tiny_settings(AIEngine.NLU)
    lake = Lake(settings)
    commit_gold(lake, AIEngine.NLU, gold(AIEngine.NLU))
    test = lake.folder(Layer.GOLD, "nlu") / "test"
    away = settings.base_path / "away"
    real_labels, real_train = adapter.labels_of, adapter.train_part

    def labels_of(*args: object, **options: object) -> object:
        test.rename(away)
        return real_labels(*args, **options)  # type: ignore[arg-type]

    def train_part(job: object) -> object:
        assert not test.exists()
        record = real_train(job)  # type: ignore[arg-type]
        away.rename(test)
        return record

    monkeypatch.setattr(adapter, "labels_of", labels_of)
    monkeypatch.setattr(adapter, "train_part", train_part)
    run(settings)
    details = version(settings).details
    assert details["evaluation"]["rows"] == 6 and len(details["test_opened_after"]) == 64


def test_every_look_at_the_same_test_rows_is_counted(tiny_settings: Build) -> None:
    looks = []
    for seed in (0, 1):
        settings = tiny_settings(AIEngine.NLU, seed=seed)
        if not seed:
            commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
        run(settings)
        looks.append(version(settings).details["evaluation"])
    assert [look["earlier_versions_on_these_rows"] for look in looks] == [0, 1]
    lake = Lake(settings)
    assert earlier_versions_on(lake, looks[0]["row_ids_hash"], "") == 2
    assert earlier_versions_on(lake, "other rows", "") == 0
