"""The orchestrator: what it makes of phases that end well, badly, or not at all."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import run_data_foundry
from data_foundry.config import PROJECT_ROOT
from data_foundry.lake import Lake
from data_foundry.report import PHASES, PipelineReport
from tests.processes import alive, wait_for

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


# What takes longer to import than a help text or a plan may take to appear.
HEAVY = {
    *("torch", "transformers", "peft", "accelerate", "datasets", "huggingface_hub", "pyarrow", "numpy", "scipy"),
    *("sklearn", "librosa", "soundfile", "soxr", "wandb", "indicnlp", "fastapi", "uvicorn", "requests", "httpx"),
    *("asyncio", "jiwer", "sacrebleu", "rensa", "pandas"),
}


@pytest.mark.parametrize("flags", [["--help"], ["--dry-run", "--profile", "sample"]], ids=["help", "dry-run"])
def test_help_and_dry_run_import_nothing_heavy_and_write_nothing(tmp_path, flags):
    command = [str(PROJECT_ROOT / "run_data_foundry.py"), *flags, "--base-path", str(tmp_path / "base")]
    program = (
        "import atexit, runpy, sys; sys.argv = sys.argv[1:]\n"
        "atexit.register(lambda: print('imported:', *sorted({name.split('.')[0] for name in sys.modules})))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    output, _, imported = done.stdout.rpartition("imported:")
    assert "data_foundry" in imported.split() and not HEAVY & set(imported.split())
    assert not (tmp_path / "base").exists()
    if "--dry-run" in flags:
        for phase in PHASES:
            assert phase in output
        assert "Be-win/IndicST-malayalam-only" in output and "adapt stt" in output


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


LINGERING = """
import os, sys, time
from data_foundry.cli import Phase, run_phase
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action, Step
def plan(settings, lake):
    return [Step(name="linger", key="k", action=Action.RUN, reason="", subject="o/n")]
def run_step(settings, step):
    with Lake(settings).commit(Layer.RAW, "o/n", "k") as commit:
        commit.path("half").write_text("half")
        (settings.base_path / "pids").write_text(f"{os.getppid()} {os.getpid()}")
        time.sleep(60)
def describe(settings, lake):
    return {}, {}
if __name__ == "__main__":
    sys.exit(run_phase(Phase("phase1", "test", plan, run_step, describe), ""))
"""
ORCHESTRATE = """
import sys, run_data_foundry
run_data_foundry.SCRIPTS = dict.fromkeys(run_data_foundry.PHASES, sys.argv[1])
sys.exit(run_data_foundry.main(sys.argv[2:]))
"""


@pytest.fixture
def lingering(tmp_path):
    """A run whose first phase works for a long time: the process, its base path, and the pids of phase and worker."""
    script, base = tmp_path / "linger.py", tmp_path / "base"
    script.write_text(LINGERING)
    command = [sys.executable, "-c", ORCHESTRATE, str(script), "--base-path", str(base), "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # In a process group of its own, to which a test may send what a terminal sends.
    run = subprocess.Popen(command, env=environment, process_group=0, **streams)
    wait_for(lambda: (base / "pids").exists() and len((base / "pids").read_text().split()) == 2)
    yield run, base, [int(pid) for pid in (base / "pids").read_text().split()]
    run.kill()
    run.communicate()


@pytest.mark.parametrize(
    ("send", "number", "code", "word"),
    [
        (os.kill, signal.SIGTERM, 143, "terminated"),
        (os.kill, signal.SIGINT, 130, "interrupted"),
        # Ctrl-C: the terminal interrupts the phase too, which has ended before the run ends it.
        (os.killpg, signal.SIGINT, 130, "interrupted"),
    ],
    ids=["SIGTERM", "SIGINT", "Ctrl-C"],
)
def test_a_run_that_is_told_to_end_ends_its_children_and_says_so_in_its_report(
    lingering, with_settings, send, number, code, word
):
    run, base, pids = lingering
    send(run.pid, number)
    output, told = run.communicate(timeout=60)
    assert run.returncode == code and "Traceback" not in told
    assert f"{word}; the same command goes on where it was" in output
    assert not any(alive(pid) for pid in pids)
    report = PipelineReport.model_validate_json((base / "reports" / "latest_pipeline_summary.json").read_bytes())
    assert report.status == "failed" and word in report.reasons[0] and report.phases["phase1"].exit_code == code
    assert "phase2: not run" in report.reasons
    with Lake(with_settings(base_path=str(base))).lock("next"):
        assert not [path for path in (base / "storage" / "raw").rglob("*") if path.is_file()]


def test_a_phase_that_is_terminated_stops_the_run(lingering):
    run, _, (phase, worker) = lingering
    os.kill(phase, signal.SIGTERM)
    output, told = run.communicate(timeout=60)
    assert run.returncode == 143 and "phase1 terminated" in told and "phase2: not run" in output
    assert not alive(worker)


def test_nothing_of_a_killed_run_goes_on_working(lingering):
    run, _, pids = lingering
    run.kill()
    run.communicate()
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_while_a_run_works_another_is_refused_and_leaves_its_reports_alone(lingering, capfd):
    run, base, _ = lingering
    assert run_data_foundry.main(["--base-path", str(base)]) == 2
    told = capfd.readouterr().err
    assert "Another run is writing to this lake: all phases" in told and f"process {run.pid}" in told
    assert not (base / "reports").exists()


def test_limits_of_size_are_handed_on_as_they_were_typed(tmp_path, monkeypatch):
    seen = tmp_path / "seen.json"
    script = tmp_path / "spy.py"
    script.write_text(f"import json, sys; json.dump(sys.argv[1:], open({str(seen)!r}, 'w')); sys.exit(2)")
    monkeypatch.setattr(run_data_foundry, "SCRIPTS", dict.fromkeys(PHASES, str(script)))
    flags = ["--max-bytes-per-dataset", "1.5GiB", "--max-rows-per-dataset", "1000"]
    assert run_data_foundry.main(["--base-path", str(tmp_path / "b"), "--phases", "phase1", *flags]) == 2
    handed = json.loads(seen.read_text())
    assert all(handed[handed.index(flags[at]) + 1] == flags[at + 1] for at in (0, 2))


PLANNED = """
from data_foundry.cli import Phase
from data_foundry.report import Action, Step
def plan(settings, lake):
    made = {{"key": "k", "reason": "its manifest matches"}}
    return [Step(name=f"make {{s}}", action=Action(a), subject=s, **made) for s, a in {plan}]
PHASE = Phase("{phase}", "test", plan, None, None)
"""


@pytest.fixture
def preview(tmp_path, monkeypatch, capfd):
    """Preview phases with these plans: preview({"phase1": {"o/a": "run"}, ...}) -> {phase: {subject: action}}."""

    def start(plans):
        scripts = {}
        for phase, plan in plans.items():
            scripts[phase] = str(tmp_path / f"{phase}.py")
            Path(scripts[phase]).write_text(PLANNED.format(phase=phase, plan=list(plan.items())))
        monkeypatch.setattr(run_data_foundry, "SCRIPTS", scripts)
        assert run_data_foundry.main(["--dry-run", "--base-path", str(tmp_path / "b"), "--phases", *plans]) == 0
        found, text = {}, capfd.readouterr().out
        for line in text.splitlines():
            if line.startswith("phase"):
                steps = found.setdefault(line.split()[0], {})
            else:
                action, _, subject, *_ = line.split()
                steps[subject] = action
        return found, text

    return start


def test_a_preview_foresees_in_later_phases_what_earlier_ones_would_change(preview):
    found, text = preview(
        {
            "phase1": {"o/a": "run", "o/b": "skip"},
            "phase2": {"o/a": "skip", "o/b": "skip"},
            "phase3": {"stt": "skip", "nlu": "skip"},
            "phase4": {"stt": "skip", "nlu": "run"},
        }
    )
    assert found == {
        "phase1": {"o/a": "run", "o/b": "skip"},
        "phase2": {"o/a": "wait", "o/b": "skip"},
        "phase3": {"stt": "wait", "nlu": "wait"},
        "phase4": {"stt": "wait", "nlu": "run"},
    }
    assert "waiting for phase1 of o/a: runs only if that changes what it starts from" in text


def test_a_preview_without_changes_or_without_the_phase_between_foresees_none(preview):
    skipping = {"phase1": {"o/a": "skip"}, "phase2": {"o/a": "skip"}, "phase3": {"stt": "skip"}}
    assert preview(skipping)[0] == skipping
    assert preview({"phase1": {"o/a": "run"}, "phase3": {"stt": "skip"}})[0]["phase3"] == {"stt": "skip"}
    failing = {"phase2": {"o/a": "fail"}, "phase3": {"stt": "skip"}}
    assert preview(failing)[0] == failing
