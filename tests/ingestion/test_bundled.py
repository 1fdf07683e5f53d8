"""A bundled dataset comes from the package, whatever the Hub is, and the lake keeps it like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_foundry.bundled import FOLDER
from data_foundry.bundled.intent_set import INTENTS, REPO_ID, utterances
from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.errors import FoundryError
from data_foundry.hub import open_hub
from data_foundry.ingestion import ingest
from data_foundry.ingestion.doctor import diagnose
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing import standardize
from data_foundry.report import Action, Outcome, StepResult
from tests.ingestion.builders import DIALECTS, NEWS, news

SCRIPT = PROJECT_ROOT / "phase1-ingestion" / "ingest_hf_data.py"
ROWS = len(list(utterances()))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a run over a Hub that nobody answers for."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    flags = {"base_path": str(tmp_path / "base"), "workers": 0, "datasets": [REPO_ID], "hub": {"retries": 0}}
    return load_settings(flags=flags, environ={})


def run(settings: Settings, phase: object = ingest) -> StepResult:
    (step,) = phase.plan(settings, Lake(settings))
    return phase.run_step(settings, step)


def raw(settings: Settings) -> Path:
    return Lake(settings).folder(Layer.RAW, REPO_ID)


def test_it_comes_without_a_hub_byte_for_byte_under_a_manifest(settings):
    (step,) = ingest.plan(settings, Lake(settings))
    assert step.action is Action.RUN and "of package" in step.reason and not settings.base_path.exists()
    result = run(settings)
    assert (result.outcome, result.rows_out) == (Outcome.DONE, ROWS)
    source = FOLDER / "datasets" / REPO_ID
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    assert files and all((raw(settings) / "files" / f).read_bytes() == (source / f).read_bytes() for f in files)
    assert len(Lake(settings).files(Layer.RAW, REPO_ID, hashed=True)) == len(files) + 2
    (again,) = ingest.plan(settings, Lake(settings))
    assert again.action is Action.SKIP


def test_its_revision_is_that_of_its_files_alone(settings, from_folder):
    run(settings)
    elsewhere = from_folder({NEWS: news()}, base_path=str(settings.base_path.parent / "other"))
    elsewhere = elsewhere.model_copy(update={"datasets": (REPO_ID,)})
    run(elsewhere)
    for name in ("manifest.json", "metadata.json", "README.md"):
        assert (raw(settings) / name).read_bytes() == (raw(elsewhere) / name).read_bytes()
    revision = json.loads((raw(settings) / "metadata.json").read_text())["revision"]
    assert revision == open_hub(settings, bundled=True).resolve("datasets", REPO_ID, None) and len(revision) == 40


def test_its_licence_lets_anyone_use_it(settings):
    run(settings)
    report = ingest.describe(settings, Lake(settings))[0][REPO_ID]
    assert (report.licence, report.licence_flags, report.findings) == ("cc0-1.0", [], [])


def test_the_card_in_the_lake_says_that_it_comes_with_the_package_and_load_dataset_reads_it(settings, tmp_path):
    from datasets import load_dataset

    run(settings)
    card = (raw(settings) / "README.md").read_text()
    assert "comes with Data Foundry itself" in card and "hub.source" not in card and "127.0.0.1" not in card
    assert len(load_dataset(str(raw(settings)), cache_dir=str(tmp_path / "cache"))["train"]) == ROWS


def test_phase_2_keeps_every_row_with_its_intent_and_template_and_changes_no_text(settings):
    import pyarrow.parquet as pq

    run(settings)
    result = run(settings, standardize)
    assert (result.rows_out, result.rejected) == (ROWS, {})
    lake = Lake(settings)
    rows = [row for path in lake.files(Layer.SILVER, REPO_ID, under="train") for row in pq.read_table(path).to_pylist()]
    found = [(row["text"], row["label"], row["prompt"]) for row in rows]
    assert found == [(row.text, row.intent, row.template) for row in utterances()]
    assert all(row["text_raw"] == row["text"] and not row["content"] for row in rows)
    assert {row["label"] for row in rows} == INTENTS.keys() and {row["licence"] for row in rows} == {"cc0-1.0"}
    flags = {flag for row in rows for flag in row["flags"]}
    assert flags == {"code_mixed", "romanised"}


def test_limits_on_what_is_fetched_leave_it_whole(settings):
    limits = {"max_bytes_per_dataset": 10, "max_rows_per_dataset": 1}
    limited = settings.model_copy(update={"hub": settings.hub.model_copy(update=limits)})
    assert run(limited).rows_out == ROWS
    (step,) = ingest.plan(settings, Lake(settings))
    assert step.action is Action.SKIP


def test_a_dead_hub_fails_the_others_and_not_this_one(tmp_path):
    flags = ("--datasets", DIALECTS, REPO_ID, "--base-path", str(tmp_path / "base"))
    environ = {"HF_ENDPOINT": "http://127.0.0.1:9", "DATA_FOUNDRY_HUB__RETRIES": "0", "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *flags], env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    report = json.loads((tmp_path / "base" / "reports" / "phase1_report.json").read_text())
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert {step["subject"]: step["outcome"] for step in report["steps"]} == {DIALECTS: "failed", REPO_ID: "done"}


def test_the_doctor_tells_it_apart_even_where_the_hub_is_dead(settings):
    (row,) = (row for row in diagnose(settings) if row["subject"] == REPO_ID)
    assert (row["status"], row["licence"], row["gated"]) == ("ok", "cc0-1.0", False)
    assert row["message"].startswith("comes with the package")


def test_an_install_without_its_files_is_said_to_be_broken(settings, monkeypatch, tmp_path):
    monkeypatch.setattr("data_foundry.hub.BUNDLED", tmp_path / "nowhere")
    with pytest.raises(FoundryError, match=rf"{REPO_ID} is missing from the package"):
        run(settings)


def test_a_wheel_of_the_package_has_the_files():
    """The pattern of pyproject.toml takes every file of the bundled datasets."""
    import tomllib

    declared = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    taken = {path for pattern in declared["data_foundry.bundled"] for path in FOLDER.glob(pattern) if path.is_file()}
    assert taken == {path for path in (FOLDER / "datasets").rglob("*") if path.is_file()} and taken
