"""python -m data_foundry models: what a person sees of the versions, as text and as JSON."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from finetuning.version_builders import make_version

from data_foundry import __main__ as command
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.finetuning.versions.version_files import version_hashes
from data_foundry.finetuning.versions.versions import find_version
from data_foundry.lake import Lake, Layer

Command = Callable[..., str]


@pytest.fixture
def models(lake: Lake, capfd: pytest.CaptureFixture[str]) -> Command:
    """models("list", "--json") runs the command and returns what it printed; `code` is what it must end with."""

    def start(*words: str, code: int = 0) -> str:
        ended = command.main(["models", *words, "--base-path", str(lake.base_path)])
        said = capfd.readouterr()
        assert ended == code, said.err
        return said.out if code == 0 else said.err

    return start


@pytest.fixture
def nlu(lake: Lake) -> str:
    name = make_version(lake, "nlu", "a")
    Registry(lake).transition(
        "nlu", name.partition("/")[2], Stage.SHADOW, actor="phase4", reason="passed its gates", evidence={"calls": 7}
    )
    return name


def test_list_says_stage_score_with_its_interval_and_verdict(models: Command, nlu: str, lake: Lake) -> None:
    make_version(lake, "stt.malabar", "b", verdict="fail", score=0.5)
    text, entries = models("list"), json.loads(models("list", "--json"))
    assert "0.900 [0.860, 0.940]" in text and "shadow" in text and "passed its gates" in text
    assert [(each["name"], each["stage"], each["verdict"], each["interval"]) for each in entries] == [
        ("nlu", "shadow", "pass", [0.86, 0.94]), ("stt.malabar", "none", "fail", [0.46, 0.54]),
    ]  # fmt: skip
    assert entries[0]["since"].endswith("Z") and entries[0]["rows"] == 300
    (only,) = json.loads(models("list", "--json", "--engines", "stt"))
    assert only["name"] == "stt.malabar"


def test_an_empty_registry_lists_nothing_and_writes_nothing(models: Command, lake: Lake) -> None:
    assert "none" in models("list") and json.loads(models("list", "--json")) == []
    assert not lake.base_path.exists()


def test_show_tells_everything_of_one_version(models: Command, nlu: str, lake: Lake) -> None:
    text = models("show", "nlu")
    weights, evaluation = version_hashes(find_version(lake, nlu).model)
    for part in (
        f"weights {weights[:12]}", f"evaluation {evaluation[:12]}",
        "minimum_score: pass", "score: 0.4000 [0.3600, 0.4400] -> 0.9000", "district കൊല്ലം (40 rows, 3 speakers)",
        "owner/news@beef (cc-by-4.0): 850 rows", "lora_rank 8", "gold: aaaaaaaaaaaa", "libraries: torch 2",
        "adapter/adapter_model.safetensors", "1 ", "registered (new -> none) by phase4", "moved (none -> shadow)",
    ):  # fmt: skip
        assert part in text, part
    assert json.loads(models("show", nlu, "--json")) == find_version(lake, nlu).as_json()


def test_show_of_a_version_without_files_tells_what_the_registry_knows(models: Command, nlu: str, lake: Lake) -> None:
    shutil.rmtree(lake.folder(Layer.MODELS, nlu))
    text = models("show", nlu)
    assert "its files are gone" in text and "moved (none -> shadow)" in text
    assert "its files are gone" in models("list")


def test_diff_says_whether_figures_can_be_compared(models: Command, nlu: str, lake: Lake) -> None:
    other = make_version(lake, "nlu", "b", score=0.7)
    text, found = models("diff", nlu, other), json.loads(models("diff", nlu, other, "--json"))
    assert "measured on the same test rows" in text and "(intervals apart)" in text
    assert found["comparable"] and found["versions"] == [nlu, other]


def test_flags_may_stand_before_and_after_the_action(models: Command, nlu: str) -> None:
    assert json.loads(models("--json", "list")) == json.loads(models("list", "--json"))


def test_an_unknown_name_is_a_users_mistake_with_the_near_ones(models: Command, nlu: str) -> None:
    assert f"Did you mean {nlu}?" in models("show", nlu.replace("nlu", "nul"), code=2)
    assert "an MLflow server" in models("export", nlu, "--mlflow", "sqlite:///mlflow.db", code=2)


def test_export_writes_a_folder_once_and_a_preview_writes_none(models: Command, nlu: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert "would run" in models("export", nlu, "--to", str(target), "--dry-run") and not target.exists()
    assert json.loads(models("export", nlu, "--to", str(target), "--json"))["outcome"] == "done"
    assert "nothing to do" in models("export", nlu, "--to", str(target))
    assert (target / "adapter_model.safetensors").is_file()


def test_a_person_admits_what_the_gates_left_open(models: Command, lake: Lake) -> None:
    name = make_version(lake, "nlu", "c", verdict="inconclusive")
    who = ("--actor", "Asha", "--reason", "listened to 20 calls")
    said = models("admit", name, *who)
    assert "Asha admitted it: listened to 20 calls" in said
    phase4 = f"python phase4-finetuning/train_deploy_models.py --base-path {lake.base_path}"
    assert said.splitlines()[-1].strip() == phase4, "for pasting, on a line of its own"
    entry = Registry(lake).history()[-1]
    assert (entry.actor, entry.to_stage) == ("Asha", "none")
    assert "passed its gates" in models("admit", make_version(lake, "nlu", "d"), *who, code=2)


def test_verify_tells_of_an_edit_behind_the_registry(
    models: Command, nlu: str, lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    verify = ["verify", "--layer", "models", "--base-path", str(lake.base_path)]
    assert command.main(verify) == 0 and "registry: 2 changes, their chain is whole" in capfd.readouterr().out
    connection = sqlite3.connect(Registry(lake).path)
    connection.execute("UPDATE versions SET stage = 'production'")
    connection.commit()
    connection.close()
    assert command.main(verify) == 1
    assert f"registry: {nlu} stands at production, its history leads to shadow" in capfd.readouterr().out
    assert command.main([*verify, "--json"]) == 1
    told = json.loads(capfd.readouterr().out)["registry"]
    assert told["entries"] == 2 and len(told["faults"]) == 1
    Registry(lake).path.write_bytes(b"no database" * 100)
    assert command.main(verify) == 1 and "file is not a database" in capfd.readouterr().out
