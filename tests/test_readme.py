"""The documents say what is there: commands parse, files exist, keys are keys, relative links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from data_foundry import dataset_registry
from data_foundry.allocation import allocate
from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.ingestion import ingest
from data_foundry.lake import Lake
from data_foundry.preprocessing import standardize
from data_foundry.report import Outcome
from data_foundry.training_config import TrainingConfig

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    PROJECT_ROOT / "README.md",
    PROJECT_ROOT / "CONTRIBUTING.md",
    *sorted(PROJECT_ROOT.glob("phase*/README.md")),
]


def commands(document: Path) -> list[str]:
    """Return the `python ...` command lines of a document's code blocks, without their comments."""
    blocks = re.findall(r"```(?:\w*)\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"(\.venv/bin/)?python[\d.]* ", line)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(PROJECT_ROOT)))
def test_every_pipeline_command_is_understood_by_its_script(document, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    for command in commands(document):
        words = shlex.split(command)[1:]
        if not words[0].endswith(".py"):
            continue
        preview = [sys.executable, *words, "--dry-run", "--base-path", str(tmp_path / "base")]
        done = subprocess.run(preview, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(PROJECT_ROOT)))
def test_every_relative_link_leads_somewhere(document):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_every_make_target_of_the_documents_exists():
    targets = set(re.findall(r"^([a-z]+):", (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        assert set(re.findall(r"\bmake ([a-z]+)\b(?= {2,}#|`|$)", document.read_text(encoding="utf-8"))) <= targets


def test_the_readmes_two_commands_are_what_ci_runs():
    ci = (PROJECT_ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in ("make sample", "make test"):
        assert command in README and re.search(rf"^{command}$", ci, re.MULTILINE)


def test_every_key_of_the_configuration_table_is_a_setting():
    table = README.split("## Configuration")[1].split("## ")[0]
    keys = [key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`([^`]+)`", row)]
    assert len(keys) >= 14
    section = None
    for key in keys:
        parts = [part for part in key.split(".") if part not in ("*", "<engine>")]
        if len(parts) == 1 and section is not None and parts[0] not in Settings.model_fields:
            parts = [section, *parts]
        model: type[BaseModel] | None = Settings
        for part in parts:
            assert model is not None and part in model.model_fields, key
            annotation = model.model_fields[part].annotation
            model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
            if part == "engines" and parts[0] == "training":
                model = TrainingConfig
        section = parts[0] if len(parts) > 1 else None


def test_every_dataset_is_named_with_what_it_serves():
    for name, entry in DATASET_REGISTRY.items():
        assert re.search(rf"^\| {re.escape(name)} \|", README, re.MULTILINE), (name, entry.declared_engine)


def test_every_file_in_the_tree_of_the_readme_exists():
    tree = README.split("## How it is built")[1].split("```")[1]
    for name in re.findall(r"[\w-]+\.(?:py|json)\b|^[\w-]+/", tree, re.MULTILINE):
        assert list(PROJECT_ROOT.glob(name)) or list(PROJECT_ROOT.glob(f"*/{name}")), name


def test_one_entry_as_contributing_shows_it_is_all_it_takes_to_add_a_dataset(tmp_path, monkeypatch):
    text = (PROJECT_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    entry = eval(re.search(r"```python\n(DatasetEntry.*?)```", text, re.DOTALL).group(1), vars(dataset_registry))
    monkeypatch.setitem(DATASET_REGISTRY, entry.repo_id, entry)
    folder = tmp_path / "hub" / "datasets" / entry.repo_id
    folder.mkdir(parents=True)
    (folder / "calls.csv").write_text(
        "utterance,topic\nഎന്റെ ബിൽ എത്രയാണ് എന്ന് പറയാമോ,billing\nകളി ആര് ജയിച്ചു എന്ന് പറയാമോ,cricket\n"
    )
    flags = {"base_path": str(tmp_path / "base"), "hub": {"source": str(tmp_path / "hub")}, "workers": 0}
    settings = load_settings(flags={**flags, "datasets": [entry.repo_id], "engines": ["nlu"]}, environ={})
    for phase in (ingest, standardize, allocate):
        (step,) = phase.plan(settings, Lake(settings))
        result = phase.run_step(settings, step)
        assert (result.outcome, result.rows_out) == (Outcome.DONE, 2), result
    assert sum(allocate.describe(settings, Lake(settings))[1]["nlu"].rows.values()) == 2


def test_nothing_is_left_to_fill_in():
    for document in [*DOCUMENTS, PROJECT_ROOT / "CHANGELOG.md"]:
        assert "@@" not in document.read_text(encoding="utf-8"), document
