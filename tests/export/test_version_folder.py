"""A version as a plain folder: whole or not at all, checked against its manifest, opened by PEFT."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from finetuning import tiny_bases
from finetuning.version_builders import CARD, make_version

from data_foundry.errors import FoundryError
from data_foundry.export import folder as export_folder
from data_foundry.export.version_folder import IN_THE_LAKE, export_version_folder
from data_foundry.finetuning.versions import card
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.finetuning.versions.versions import VersionRecord, find_version
from data_foundry.lake import Lake, Layer


@pytest.fixture
def version(lake: Lake) -> VersionRecord:
    return find_version(lake, make_version(lake, "stt.malabar"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_the_adapter_at_its_top_with_card_evaluation_lineage_and_checksums(
    lake: Lake, version: VersionRecord, tmp_path: Path
) -> None:
    export_version_folder(lake, version, tmp_path / "out")
    found = files(tmp_path / "out")
    assert set(found) == {
        "adapter_model.safetensors", "adapter_config.json", "README.md", "evaluation.json", "training_log.json",
        "calibration.json", "lineage.json", "version.json", "manifest.json", "SHA256SUMS",
    }  # fmt: skip
    assert found["README.md"].decode() == CARD.replace('"adapter"', '"."')
    assert json.loads(found["lineage.json"]) == version.details["lineage"]
    assert json.loads(found["version.json"]) == version.as_json()
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=True)


def test_the_card_of_the_product_opens_the_adapter_by_the_line_that_an_export_rewrites() -> None:
    assert IN_THE_LAKE in Path(card.__file__).read_text(encoding="utf-8")


def test_the_same_version_gives_the_same_bytes_and_is_left_where_it_lies(
    lake: Lake, version: VersionRecord, tmp_path: Path
) -> None:
    for name in ("one", "two", "one"):
        export_version_folder(lake, version, tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_nothing_is_overwritten(lake: Lake, version: VersionRecord, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    with pytest.raises(FoundryError, match="is not empty, and what it holds is no export"):
        export_version_folder(lake, version, taken)
    assert files(taken) == {"thesis.txt": b"mine"}
    with pytest.raises(FoundryError, match="lies in the lake"):
        export_version_folder(lake, version, lake.folder(Layer.MODELS, "nlu/new"))
    export_version_folder(lake, version, tmp_path / "out")
    before = files(tmp_path / "out")
    Registry(lake).transition("stt.malabar", version.version, Stage.SHADOW, actor="test", reason="passed")
    with pytest.raises(FoundryError, match=r"another export: stt\.malabar/.* or this version as it stood"):
        export_version_folder(lake, find_version(lake, version.name), tmp_path / "out")
    assert files(tmp_path / "out") == before


def test_an_export_that_fails_leaves_nothing(
    lake: Lake, version: VersionRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_folder.ExportFolder, "finish", full)
    with pytest.raises(OSError, match="No space"):
        export_version_folder(lake, version, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_a_damaged_or_missing_version_is_not_exported(lake: Lake, version: VersionRecord, tmp_path: Path) -> None:
    weights = lake.folder(Layer.MODELS, version.name) / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(bytes(reversed(weights.read_bytes())))
    with pytest.raises(FoundryError, match="other bytes than were published"):
        export_version_folder(lake, version, tmp_path / "out")
    (lake.folder(Layer.MODELS, version.name) / "manifest.json").unlink()
    with pytest.raises(FoundryError, match=r"The files of stt\.malabar/.* are gone"):
        export_version_folder(lake, find_version(lake, version.name), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_peft_opens_the_folder_and_the_model_computes_what_the_trained_one_did(lake: Lake, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForSequenceClassification

    base = tiny_bases.bert(tmp_path / "base")
    torch.manual_seed(0)
    trained = get_peft_model(
        AutoModelForSequenceClassification.from_pretrained(base),
        LoraConfig(r=4, target_modules=["query", "value"], init_lora_weights=False),
    ).eval()
    trained.save_pretrained(tmp_path / "saved")
    weights = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir() if path.suffix != ".md"}
    record = find_version(lake, make_version(lake, "nlu", weights=weights))
    export_version_folder(lake, record, tmp_path / "out")
    loaded = PeftModel.from_pretrained(
        AutoModelForSequenceClassification.from_pretrained(base), str(tmp_path / "out")
    ).eval()
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=ids).logits, trained(input_ids=ids).logits)
        with loaded.disable_adapter():
            assert not torch.equal(loaded(input_ids=ids).logits, trained(input_ids=ids).logits)
