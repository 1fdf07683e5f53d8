"""The orchestrator: what it makes of phases that end well, badly, or not at all."""

import json
import os
import resource
import subprocess
import sys

import pytest

import run_data_foundry
from data_foundry.config import PROJECT_ROOT
from data_foundry.report import PHASES, PipelineReport

GOOD = """
import argparse, sys
from pathlib import Path
from data_foundry.report import PhaseReport, StepResult
parser = argparse.ArgumentParser()
parser.add_argument("--report-file", type=Path)
arguments, rest = parser.parse_known_args()
step = StepResult(name="s", key="k", outcome="{outcome}", reason="because", rows_in=3, rows_out=2, rejected={{"x": 1}})
report = PhaseReport(status="{status}", command="c", exit_code={code}, seconds=0, peak_rss_bytes=1, steps=[step],
    reasons=[] if not {code} else ["s: because"], datasets={{"o/n": {{"status": "{outcome}"}}}})
arguments.report_file.write_text(report.model_dump_json())
sys.exit({code})
"""
SCRIPTS = {
    "good": GOOD.format(outcome="done", status="completed", code=0),
    "idle": GOOD.format(outcome="skipped", status="completed", code=0),
    "partial": GOOD.format(outcome="failed", status="partial", code=1),
    "late": GOOD.format(outcome="done", status="completed", code=0).replace(
        "sys.exit(0)", "import os; os.kill(os.getpid(), 9)"
    ),
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "crashed": "raise SystemExit(3)",
    "refused": "import sys; print('error: no', file=sys.stderr); sys.exit(2)",
}


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    def start(*kinds):
        scripts = {}
        for phase, kind in zip(PHASES, kinds, strict=True):
            scripts[phase] = str(tmp_path / f"{phase}.py")
            (tmp_path / f"{phase}.py").write_text(SCRIPTS[kind])
        monkeypatch.setattr(run_data_foundry, "SCRIPTS", scripts)
        code = run_data_foundry.main(["--base-path", str(tmp_path / "base")])
        reports = sorted((tmp_path / "base" / "reports").glob("pipeline_report_*.json"))
        latest = tmp_path / "base" / "reports" / "latest_pipeline_summary.json"
        assert reports[-1].read_bytes() == latest.read_bytes()
        return code, PipelineReport.model_validate_json(latest.read_bytes()), capfd.readouterr().out

    return start


def test_a_run_in_which_every_phase_did_its_work_is_completed(run):
    code, report, output = run("good", "good", "good", "good")
    assert code == 0 and report.status == "completed" and not report.reasons
    assert list(report.phases) == list(PHASES)
    step = report.phases["phase2"].steps[0]
    assert (step.rows_in, step.rows_out, step.rejected) == (3, 2, {"x": 1})
    assert "completed" in output and report.datasets["o/n"].status == "done"


def test_a_run_with_nothing_to_do_says_so(run):
    code, report, output = run("idle", "idle", "idle", "idle")
    assert code == 0 and report.status == "completed" and "Nothing to do" in output


def test_a_failed_step_makes_the_run_partial_and_the_later_phases_still_run(run):
    code, report, _ = run("partial", "good", "good", "good")
    assert code == 1 and report.status == "partial" and report.reasons == ["phase1: s: because"]
    assert list(report.phases) == list(PHASES)


@pytest.mark.parametrize(("kind", "words"), [("killed", "killed by SIGKILL"), ("crashed", "exit code 3")])
def test_a_phase_that_dies_is_a_failed_phase_in_the_report_and_no_lost_report(run, kind, words):
    code, report, _ = run("good", kind, "good", "good")
    assert code == 1 and report.status == "partial"
    assert report.phases["phase2"].status == "failed" and words in report.phases["phase2"].reasons[0]
    assert report.phases["phase2"].seconds > 0 and report.phases["phase2"].peak_rss_bytes > 0


def test_a_mistake_of_the_user_stops_the_run_with_exit_code_2(run):
    code, report, _ = run("refused", "good", "good", "good")
    assert code == 2 and report.status == "failed"
    assert list(report.phases) == ["phase1"] and "phase4: not run" in report.reasons


def test_two_runs_in_one_second_leave_two_reports(run, tmp_path):
    for _ in range(3):
        run("good", "good", "good", "good")
    assert len(list((tmp_path / "base" / "reports").glob("pipeline_report_*.json"))) == 3


@pytest.mark.parametrize("flags", [["--help"], ["--dry-run", "--profile", "sample"]], ids=["help", "dry-run"])
def test_help_and_dry_run_answer_in_under_half_a_second_of_cpu_from_any_folder(tmp_path, flags):
    command = [sys.executable, str(PROJECT_ROOT / "run_data_foundry.py"), *flags, "--base-path", str(tmp_path / "base")]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    spent = []
    while len(spent) < 12 and min(spent, default=1) >= 0.5:  # What else runs beside it can only make it look dearer.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5, spent
    assert not (tmp_path / "base").exists()
    if "--dry-run" in flags:
        for phase in PHASES:
            assert phase in done.stdout
        assert "Be-win/IndicST-malayalam-only" in done.stdout and "adapt stt" in done.stdout


DATASETS = ("Aby003/Malayalam_Dialects", "Be-win/IndicST-malayalam-only")


def test_an_unknown_dataset_starts_nothing(tmp_path, capfd):
    assert run_data_foundry.main(["--base-path", str(tmp_path / "b"), "--datasets", "nope/nope"]) == 2
    assert "'nope/nope' is not in the dataset registry" in capfd.readouterr().err and not (tmp_path / "b").exists()


def test_flags_are_handed_on_to_the_phases_as_they_were_given(tmp_path, monkeypatch):
    seen = tmp_path / "seen.json"
    script = tmp_path / "spy.py"
    script.write_text(f"import json, sys; json.dump(sys.argv[1:], open({str(seen)!r}, 'w')); sys.exit(2)")
    monkeypatch.setattr(run_data_foundry, "SCRIPTS", dict.fromkeys(PHASES, str(script)))
    flags = ["--base-path", str(tmp_path / "b"), "--datasets", *DATASETS, "--engines", "stt", "--profile", "sample"]
    assert run_data_foundry.main(["--phases", "phase2", *flags, "--workers", "1"]) == 2
    handed = json.loads(seen.read_text())
    for group in (["--datasets", *DATASETS], ["--engines", "stt"], ["--profile", "sample"], ["--workers", "1"]):
        at = handed.index(group[0])
        assert handed[at : at + len(group)] == group


def test_a_phase_that_dies_after_its_report_is_no_completed_phase(run):
    code, report, _ = run("good", "late", "good", "good")
    assert code == 1 and report.status == "partial" and report.phases["phase2"].status == "failed"
    assert report.phases["phase2"].steps and "exit code -9 after it had reported completed" in report.reasons[0]


def test_a_report_that_can_not_be_written_is_still_told(run, tmp_path, monkeypatch, capfd):
    run("good", "good", "good", "good")
    monkeypatch.setattr(run_data_foundry, "write_atomically", full_disk)
    assert run_data_foundry.main(["--base-path", str(tmp_path / "base")]) == 1
    output = capfd.readouterr()
    assert "phase4  completed" in output.out and "No space left" in output.err


def full_disk(path, text):
    raise OSError(28, "No space left on device", str(path))
