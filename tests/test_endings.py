"""How commands end: the exit code and one clear line."""

import json
import os
import signal
import subprocess
import sys

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.endings import ended
from data_foundry.errors import FoundryError
from data_foundry.lake import LeaseLost


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)
    raise AssertionError("it went on")


def interrupt():
    raise KeyboardInterrupt


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (lambda: 0, 0, ""),
        (lambda: 1, 1, ""),
        (terminate, 143, "phase1 terminated; the same command goes on where it was."),
        (interrupt, 130, "phase1 interrupted; the same command goes on where it was."),
        (lambda: fail(FoundryError("No such thing.", "Name another.")), 2, "error: No such thing.\n  -> Name another."),
        (lambda: fail(LeaseLost("Lost.", "Again.")), 1, "error: Lost."),
        (
            lambda: fail(OSError(28, "", "/disk/a")),
            1,
            "/disk/a: No space left on device.\n  -> Free space",
        ),
        (lambda: fail(OSError(122, "")), 1, "Disk quota exceeded.\n  -> Free space within the quota"),
        (lambda: fail(IsADirectoryError(21, "Is a directory", "/x")), 1, "phase1 stopped: [Errno 21] Is a directory"),
    ],
)
def test_each_way_to_end_has_its_code_and_its_line(capfd, command, code, words):
    before = signal.getsignal(signal.SIGTERM)
    assert ended("phase1", command) == code
    told = capfd.readouterr().err
    assert words in told and told.count("\n") <= 2 and bool(told) == bool(words)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "script",
    ["run_data_foundry.py", "phase1-ingestion/ingest_hf_data.py", "phase4-finetuning/train_deploy_models.py"],
)
def test_a_preview_whose_reader_goes_away_ends_without_a_traceback(script, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, str(PROJECT_ROOT / script), "--dry-run", "--base-path", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["output in ASCII", "paths in ASCII"],
)
def test_a_run_under_a_locale_without_malayalam_ends_as_any_other(locale, tmp_path):
    # The name of a folder; no native speaker has checked it.
    base = tmp_path / "മലയാളം"
    command = [sys.executable, str(PROJECT_ROOT / "run_data_foundry.py"), "--profile", "sample", "--phases", "phase3"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONUTF8"))}
    environment |= {"PYTHONPATH": str(PROJECT_ROOT), **locale}
    done = subprocess.run([*command, "--base-path", str(base)], env=environment, capture_output=True, check=False)
    assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr
    report = json.loads((base / "reports" / "latest_pipeline_summary.json").read_text(encoding="utf-8"))
    assert str(base) in report["command"] and b"phase3" in done.stdout
