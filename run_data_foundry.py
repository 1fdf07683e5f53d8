#!/usr/bin/env python3
"""Run Data Foundry: ingestion, standardization, allocation, fine-tuning and shadow deployment.

Each phase is a script of its own and runs here as a process of its own, with the command that a person would type;
what became of it is read from its report, so a killed phase is a failed phase in the report and never a lost report.

  python run_data_foundry.py --profile sample            everything, offline, on the bundled sample
  python run_data_foundry.py --dry-run                   what would be done, and why
  python run_data_foundry.py --phases phase1 phase2 --datasets CXDuncan/Malayalam-IndicVoices

Exit codes: 0 done, or nothing to do; 1 a step failed, the others still ran; 2 a mistake in the command or the
configuration, nothing was started; 130 interrupted; 143 terminated.
"""

from __future__ import annotations

import argparse
import os
import runpy
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data_foundry import __version__
from data_foundry.cli import add_common_flags, check_hub_source, plan_steps, print_plan, settings_from
from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.dataset_registry import dataset_entry
from data_foundry.endings import INTERRUPTED, TERMINATED, Terminated, ended
from data_foundry.hub.ledger import run_id
from data_foundry.lake import Lake, write_atomically
from data_foundry.report import (
    PHASES,
    Outcome,
    PhaseReport,
    PipelineReport,
    Status,
    changed_by,
    foresee,
    merge_phases,
    now,
)

ENDINGS = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}
# After these no later phase is run.
STOPPING = (2, *ENDINGS)
SCRIPTS = dict(
    zip(
        PHASES,
        (
            "phase1-ingestion/ingest_hf_data.py",
            "phase2-preprocessing/standardize_data.py",
            "phase3-allocation/allocate_datasets.py",
            "phase4-finetuning/train_deploy_models.py",
        ),
        strict=True,
    )
)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run the phases in order, write the report. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES, help="only these, in pipeline order")
    add_common_flags(parser)
    arguments = parser.parse_args(argv)
    typed = shlex.join(["python", "run_data_foundry.py", *(sys.argv[1:] if argv is None else argv)])
    return ended("the run", lambda: _run(arguments, typed))


def _run(arguments: argparse.Namespace, typed: str) -> int:
    settings = settings_from(arguments)
    for name in settings.datasets:
        dataset_entry(name)
    check_hub_source(settings)
    phases = [phase for phase in PHASES if phase in arguments.phases]
    if arguments.dry_run:
        return preview(phases, settings)
    # Inherited by the phases, which so spend retries from one budget.
    run_id()
    # Held over all phases, so that no other run comes between two of them.
    with Lake(settings).lock("all phases" if len(phases) == len(PHASES) else ", ".join(phases)):
        return run(phases, common_flags(arguments), settings, typed)


def common_flags(arguments: argparse.Namespace) -> list[str]:
    """Return the flags to hand on to a phase, as a person would type them."""
    flags: list[str] = []
    for name in ("profile", "config", "base_path", "workers", "max_bytes_per_dataset", "max_rows_per_dataset"):
        value = getattr(arguments, name)
        if value is not None:
            flags += [f"--{name.replace('_', '-')}", str(value.resolve() if isinstance(value, Path) else value)]
    for name in ("datasets", "engines"):
        if getattr(arguments, name):
            flags += [f"--{name}", *getattr(arguments, name)]
    return flags


def preview(phases: Sequence[str], settings: Settings) -> int:
    """Print every phase's plan; nothing is written. One process, because a plan costs less than an interpreter."""
    lake, previous, changes = Lake(settings), "", frozenset[str]()
    for name in phases:
        phase = runpy.run_path(str(PROJECT_ROOT / SCRIPTS[name]))["PHASE"]
        follows = previous and PHASES.index(name) == PHASES.index(previous) + 1
        steps = foresee(plan_steps(phase, settings, lake), previous, changes if follows else frozenset())
        print_plan(phase, steps)
        previous, changes = name, changed_by(steps)
    return 0


def run(phases: Sequence[str], flags: list[str], settings: Settings, command: str) -> int:
    """Run the phases in order, write and print the report. Returns the exit code."""
    started_at = now()
    reports: dict[str, PhaseReport] = {}
    for phase in phases:
        reports[phase] = run_phase(phase, flags)
        if reports[phase].exit_code in STOPPING:
            break
    datasets, engines = merge_phases(reports)
    report = PipelineReport(
        status=overall_status(reports, phases),
        started_at=started_at,
        finished_at=now(),
        command=command,
        profile=settings.profile,
        code_version=__version__,
        reasons=[f"{phase}: {reason}" for phase, each in reports.items() for reason in each.reasons]
        + [f"{phase}: not run" for phase in phases if phase not in reports],
        phases=reports,
        datasets=datasets,
        engines=engines,
    )
    try:
        file = write_report(report, settings.base_path / "reports")
    except OSError as error:
        print_summary(report)
        print(f"error: the report could not be written: {error}", file=sys.stderr)
        return 2 if any(each.exit_code == 2 for each in reports.values()) else 1
    print_summary(report)
    print(f"{report.status}: {file}")
    stopped_by = [each.exit_code for each in reports.values() if each.exit_code in STOPPING]
    return stopped_by[-1] if stopped_by else 0 if report.status == "completed" else 1


def run_phase(phase: str, flags: list[str]) -> PhaseReport:
    """Run one phase script as a child process and return its report, or a failed one that says how it died."""
    script = PROJECT_ROOT / SCRIPTS[phase]
    typed = shlex.join(["python", SCRIPTS[phase], *flags])
    print(f"$ {typed}", file=sys.stderr, flush=True)
    search = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.getenv("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        child = subprocess.Popen([sys.executable, str(script), *flags, "--report-file", str(file)], env=environment)
        ending = 0
        try:
            _, wait_status, usage = os.wait4(child.pid, 0)
        except KeyboardInterrupt as error:
            ending = TERMINATED if isinstance(error, Terminated) else INTERRUPTED
            if ending == INTERRUPTED:
                # A terminal interrupts the child too, which then ends by itself.
                time.sleep(1)
            # Not child.terminate(), which would reap a child that has ended, and its usage with it.
            os.kill(child.pid, signal.SIGTERM)
            _, wait_status, usage = os.wait4(child.pid, 0)
        child.returncode = code = os.waitstatus_to_exitcode(wait_status)
        seconds = round(time.monotonic() - started, 3)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if file.exists() and not ending:
            report = PhaseReport.model_validate_json(file.read_bytes())
            update = {"command": typed, "exit_code": code, "seconds": seconds}
            if code != report.exit_code:
                died = f"it ended with exit code {code} after it had reported {report.status}"
                update |= {"status": "failed", "reasons": [*report.reasons, died]}
            return report.model_copy(update=update)
    if ending or code in ENDINGS:
        code = ending or code
        reason = f"{ENDINGS[code]}; the same command goes on where it was"
    elif code < 0:
        reason = f"killed by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
    else:
        reason = "refused to start, see the message above" if code == 2 else f"ended with exit code {code}, no report"
    return PhaseReport(
        status="failed", command=typed, exit_code=code, seconds=seconds, peak_rss_bytes=peak, reasons=[reason]
    )


def overall_status(reports: dict[str, PhaseReport], asked: Sequence[str]) -> Status:
    """Return completed only if every phase that was asked for completed; failed if none did anything."""
    states = [reports[phase].status if phase in reports else "failed" for phase in asked]
    if all(state == "completed" for state in states):
        return "completed"
    return "failed" if all(state == "failed" for state in states) else "partial"


def write_report(report: PipelineReport, folder: Path) -> Path:
    """Write the report under a name with the time that no earlier report has, and as the latest summary."""
    at = datetime.now(UTC)
    while (file := folder / f"pipeline_report_{at:%Y%m%d_%H%M%S}.json").exists():
        at += timedelta(seconds=1)
    # Datasets and engines stand once in the report, merged over the phases.
    text = report.model_dump_json(indent=1, exclude={"phases": {"__all__": {"datasets", "engines"}}}) + "\n"
    write_atomically(file, text)
    write_atomically(folder / "latest_pipeline_summary.json", text)
    return file


def print_summary(report: PipelineReport) -> None:
    """Print what a person wants to know first."""
    for phase, each in report.phases.items():
        counts = {outcome: sum(step.outcome is outcome for step in each.steps) for outcome in Outcome}
        steps = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no steps"
        print(f"{phase}  {each.status:<9} {each.seconds:7.1f} s  {each.peak_rss_bytes / 2**20:6.0f} MiB  {steps}")
    for name, dataset in report.datasets.items():
        rows = "" if dataset.rows is None else f"{dataset.rows} rows"
        served = f"serves {', '.join(dataset.served_engines) or 'no engine'}" if "allocated" in dataset.status else ""
        print(f"  {name:<50} {dataset.status:<13} {rows:>10}  {served}".rstrip())
    for name, engine in report.engines.items():
        scores = [
            f"{label} {figures['score']:.3f}"
            for label, figures in (("base", engine.base), ("adapted", engine.adapted))
            if figures and figures.get("score") is not None
        ]
        print(f"  {name:<14} {engine.stage:<8} {', '.join(scores) or '-':<28} {engine.reason or ''}")
    outcomes = {step.outcome for each in report.phases.values() for step in each.steps}
    if report.status == "completed" and outcomes <= {Outcome.SKIPPED}:
        print("Nothing to do: everything asked for was done before and nothing has changed.")
    for reason in report.reasons:
        print("  ! " + reason.replace("\n", "\n  "))


if __name__ == "__main__":
    sys.exit(main())
