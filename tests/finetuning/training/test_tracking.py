"""Weights & Biases: off, offline or sent, and whatever it does, nothing of it reaches the run but a warning."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from data_foundry.finetuning.training import tracking
from data_foundry.finetuning.training.journal import Journal, journal_of
from data_foundry.finetuning.training.tracking import record, wandb_mode
from data_foundry.training_config import Training

OFF, ONLINE = Training(), Training(use_wandb=True)
OFFLINE = Training(use_wandb=True, wandb_mode="offline")
HANGS = "import time; open('started', 'w').close(); time.sleep(600)"
# What of wandb a recording uses; every call is written down in the folder that the recording works in.
FAKE = """
import json, os

def Settings(**given):
    return given

class Run:
    def __init__(self, dir):
        self.dir = dir + "/wandb/offline-run-1/files"

    def log(self, values, step):
        with open("logged.jsonl", "a") as file:
            file.write(json.dumps([step, values]) + "\\n")

    def finish(self):
        open("finished", "w").close()

def init(project, name, dir, settings):
    assert settings["mode"] == os.environ["WANDB_MODE"] == "offline"
    return Run(dir)
"""
SYNC = "import os, sys, json; json.dump([sys.argv[1:], os.environ.get('WANDB_MODE')], open('sent', 'w'))"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    found = journal_of(tmp_path, "nlu-1")
    found.write("start", part="adapter", step=0)
    for step, loss in ((1, 0.9), (2, 0.8), (2, 0.7)):
        found.write("point", part="adapter", step=step, loss=loss)
    found.write("end", part="adapter", seconds=3.0)
    return found


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a module in wandb's place: wandb(code, sync="what `python -m wandb` does")."""
    monkeypatch.setenv(tracking.KEY, "not-a-key")
    folder = tmp_path / "modules" / "wandb"

    def build(code: str, sync: str = SYNC) -> None:
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(code)
        (folder / "__main__.py").write_text(sync)
        monkeypatch.setenv("PYTHONPATH", str(folder.parent))

    return build


def ended(training: Training, journal: Journal, *, limit: int = 60) -> tuple[int, str]:
    """Record, wait for the end, and return exit code and what was said of it."""
    started = record(training, journal, "nlu-1", limit=limit)
    assert started is not None
    return started.wait(), (journal.file.parents[1] / "wandb" / "nlu-1.log").read_text()


def test_wandb_is_off_unless_asked_for(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "data_foundry"):
        assert record(OFF, journal, "nlu-1") is None
    assert not caplog.records


def test_without_a_key_it_is_off_and_one_line_says_so(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(tracking.KEY, raising=False)
    with caplog.at_level(logging.INFO, "data_foundry"):
        assert record(ONLINE, journal, "nlu-1") is None
    assert [r.getMessage() for r in caplog.records] == [
        'wandb: off, for WANDB_API_KEY is not set (training.wandb_mode "offline" records without sending)'
    ]
    assert wandb_mode(OFFLINE) == "offline"


def test_offline_it_records_the_curve_and_sends_nothing(journal: Journal, tmp_path: Path, wandb: Any) -> None:
    wandb(FAKE)
    code, said = ended(OFFLINE, journal)
    assert code == 0, said
    logged = [json.loads(line) for line in (tmp_path / "logged.jsonl").read_text().splitlines()]
    assert logged == [[1, {"adapter/loss": 0.9}], [2, {"adapter/loss": 0.7}], [3, {"adapter/seconds": 3.0}]]
    assert (tmp_path / "finished").exists() and not (tmp_path / "sent").exists()
    assert "recorded offline, and not sent" in said


def test_online_it_records_offline_first_and_sends_that(journal: Journal, tmp_path: Path, wandb: Any) -> None:
    wandb(FAKE)
    code, said = ended(ONLINE, journal)
    assert code == 0, said
    folder = str(tmp_path / "logs" / "wandb" / "offline-run-1")
    assert json.loads((tmp_path / "sent").read_text()) == [["sync", folder], None]


@pytest.mark.parametrize(
    ("code", "sync", "why"),
    [
        (FAKE + "\ndef init(**_): raise OSError(28, 'No space left on device')", SYNC, "No space left on device"),
        ("raise ImportError('no module named wandb')", SYNC, "no module named wandb"),
        (FAKE, "import sys; sys.exit(3)", "ended with exit code 3"),
    ],
)
def test_a_failure_is_a_warning_with_its_reason(code: str, sync: str, why: str, journal: Journal, wandb: Any) -> None:
    wandb(code, sync)
    exit_code, said = ended(ONLINE, journal)
    assert exit_code == 1
    assert why in said and "no harm done" in said and str(journal.file) in said


@pytest.mark.parametrize("hanging", ["init", "sync"])
def test_what_hangs_forever_holds_nobody_up_and_is_ended(
    hanging: str, journal: Journal, tmp_path: Path, wandb: Any
) -> None:
    pid = "import os; open('hanging', 'w').write(str(os.getpid()))\n"
    wandb(FAKE + f"\ndef init(**_):\n    {pid.strip()}\n    {HANGS}" if hanging == "init" else FAKE, pid + HANGS)
    started = record(ONLINE, journal, "nlu-1", limit=3)
    assert started is not None and started.poll() is None
    assert started.wait() == 1
    assert "took longer than 3 s and was ended" in (tmp_path / "logs" / "wandb" / "nlu-1.log").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "hanging").read_text()), 0)


def test_the_outcome_stands_in_the_log_file_of_the_run(
    journal: Journal, tmp_path: Path, wandb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb("raise RuntimeError('broken')")
    monkeypatch.setattr(tracking, "log_file", lambda: str(tmp_path / "run.log"))
    ended(ONLINE, journal)
    assert "WARNING wandb: recording nlu-1 ended with exit code 1" in (tmp_path / "run.log").read_text()


def test_a_recording_that_cannot_even_be_started_is_a_warning(
    journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs" / "wandb").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING, "data_foundry"):
        assert record(OFFLINE, journal, "nlu-1") is None
    assert "can't be recorded" in caplog.text
