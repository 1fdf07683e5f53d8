"""What the phase scripts share: the common flags, dry-run, progress, the phase report and the exit code.

Exit codes: 0 done, or nothing to do; 1 a step failed, the others still ran; 2 the user's mistake, nothing was started;
130 interrupted, 143 terminated.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.endings import ended
from data_foundry.engines.adapters import selected
from data_foundry.errors import FoundryError
from data_foundry.hub import open_hub
from data_foundry.lake import Lake, Layer, write_atomically
from data_foundry.records import AIEngine
from data_foundry.report import (
    Action,
    DatasetReport,
    EngineReport,
    Outcome,
    PhaseReport,
    Step,
    StepResult,
    cause_of,
    reasons_of,
    status_of,
)

if TYPE_CHECKING:
    from data_foundry.compute import RunStep

log = logging.getLogger("data_foundry")


@dataclass(frozen=True)
class Phase:
    """A phase: `plan` is pure and starts from the wish; `run_step` is a module-level function; `describe` reads the
    lake after the run and returns what the report says of each dataset and engine."""

    name: str
    title: str
    plan: Callable[[Settings, Lake], list[Step]]
    run_step: RunStep
    describe: Callable[[Settings, Lake], tuple[dict[str, DatasetReport], dict[str, EngineReport]]]


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that the orchestrator and every phase script take."""
    parser.add_argument("--dry-run", action="store_true", help="say what each step would do and why; write nothing")
    parser.add_argument("--profile", metavar="NAME", help="lay config/NAME.json over the default (offline: sample)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="use this file instead of the default config")
    parser.add_argument("--base-path", type=Path, metavar="DIR", help="where storage, models, reports and logs lie")
    parser.add_argument("--datasets", nargs="+", metavar="ID", help="only these datasets (owner/name)")
    parser.add_argument(
        "--engines",
        nargs="+",
        metavar="NAME",
        help=f"only these engines, or variants (stt.malabar): {', '.join(AIEngine)}",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes to use (default 2)")
    parser.add_argument(
        "--max-bytes-per-dataset", metavar="SIZE", help="ingest whole files up to this much, e.g. 500MB or 1.5GiB"
    )
    parser.add_argument(
        "--max-rows-per-dataset", type=int, metavar="N", help="ingest whole files until they hold this many rows"
    )


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Resolve settings from parsed flags. Raises FoundryError."""
    check_started_once()
    unknown = [name for name in arguments.engines or () if name.partition(".")[0] not in set(AIEngine)]
    if unknown:
        raise FoundryError(f"Unknown engine: {', '.join(unknown)}.", f"Engines: {', '.join(AIEngine)}.")
    if arguments.config is not None:
        arguments.config = arguments.config.resolve()
    flags = {
        "base_path": None if arguments.base_path is None else str(arguments.base_path.resolve()),
        "datasets": arguments.datasets,
        "engines": arguments.engines,
        "workers": arguments.workers,
        "hub": {name: getattr(arguments, name) for name in ("max_bytes_per_dataset", "max_rows_per_dataset")},
    }
    settings = load_settings(arguments.config, arguments.profile, flags)
    selected(settings.training, settings.engines)
    place = settings.base_path / "storage"
    there = next(each for each in (place, *place.parents) if each.exists())
    if not there.is_dir():
        raise FoundryError(f"{there} is a file, not a folder.", "Choose another folder with --base-path DIR.")
    return settings


def check_started_once() -> None:
    """Refuse to be one of several processes of a launcher, each of which would do all of the work.

    Raises FoundryError where one (accelerate launch, torchrun) says in the environment that it started more than one.
    """
    processes, rank = os.environ.get("WORLD_SIZE", ""), os.environ.get("RANK")
    if rank is not None and processes.isdecimal() and int(processes) > 1:
        raise FoundryError(
            f"A launcher started this command {processes} times (WORLD_SIZE={processes}, here RANK={rank}).",
            f"Start it once, without the launcher, and set training.processes to {processes}: it then launches the "
            f"processes of a training itself (DATA_FOUNDRY_TRAINING__PROCESSES={processes}).",
        )


def run_phase(phase: Phase, description: str, argv: Sequence[str] | None = None) -> int:
    """Run a phase script: parse, plan, run or preview, report. Returns the exit code."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_flags(parser)
    parser.add_argument("--report-file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    return ended(phase.name, lambda: _run(phase, arguments))


def _run(phase: Phase, arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    lake = Lake(settings)
    # Planned before anything is written: a plan finds what only the user can mend, such as an unknown dataset.
    steps = plan_steps(phase, settings, lake)
    check_hub_source(settings)
    if arguments.dry_run:
        print_plan(phase, steps)
        return 0
    return _execute(phase, settings, lake, arguments)


def plan_steps(phase: Phase, settings: Settings, lake: Lake) -> list[Step]:
    """Return what a phase would do. Raises FoundryError."""
    if settings.hub.source is not None:
        # Nothing may look for the network behind a folder Hub; the clients read this when they are imported.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return phase.plan(settings, lake)


def print_plan(phase: Phase, steps: Sequence[Step]) -> None:
    """Print what each step would do and why."""
    counts = {action: sum(step.action is action for step in steps) for action in Action}
    summary = ", ".join(f"{count} would {action}" for action, count in counts.items() if count) or "nothing to do"
    print(f"{phase.name} {phase.title}: {summary}")
    width = max((len(step.name) for step in steps), default=0)
    for step in steps:
        reason = step.reason.replace("\n", "\n" + " " * (width + 8))
        print(f"  {step.action:<5} {step.name:<{width}}  {reason}")


def _execute(phase: Phase, settings: Settings, lake: Lake, arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    with lake.lock(phase.name):
        stamp_hub_source(settings)
        start_log(settings.base_path)
        log.info("%s %s, base path %s", phase.name, phase.title, settings.base_path)
        results = _run_to_the_end(phase, settings, lake)
        datasets, engines = phase.describe(settings, lake)
        for result in results:
            if result.failed and result.subject in datasets:
                datasets[result.subject].status = result.outcome.value
                datasets[result.subject].reason = result.reason
            if result.failed and result.subject in engines:
                engines[result.subject].status = result.outcome.value
                engines[result.subject].reason = result.reason
        status = status_of(results)
        report = PhaseReport(
            status=status,
            command=command,
            exit_code=0 if status == "completed" else 1,
            seconds=round(time.monotonic() - started, 3),
            peak_rss_bytes=peak_rss_bytes(),
            steps=results,
            reasons=reasons_of(results),
            datasets=datasets,
            engines=engines,
        )
        file = arguments.report_file or settings.base_path / "reports" / f"{phase.name}_report.json"
        write_atomically(file, report.model_dump_json(indent=1) + "\n")
    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    steps = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no steps"
    log.info("%s %s: %s, %.1f s", phase.name, status, steps, report.seconds)
    return report.exit_code


def _run_to_the_end(phase: Phase, settings: Settings, lake: Lake) -> list[StepResult]:
    """Run what can run, plan again for what waited, until nothing moves."""
    from data_foundry.compute import run_steps

    results: dict[str, StepResult] = {}
    told: dict[str, str] = {}
    while True:
        steps = plan_steps(phase, settings, lake)
        order = [step.name for step in steps]
        ready = [step for step in steps if step.action is Action.RUN and step.name not in results]
        if not ready:
            break
        for step in ready:
            log.info("run   %s: %s", step.name, step.reason)
        for result in _with_progress(run_steps(phase.run_step, settings, ready), len(ready), phase.title):
            results[result.name] = result
            level = logging.ERROR if result.falls_short else logging.INFO
            reason = result.reason.removeprefix(f"{result.subject}: ")
            if result.failed and (first := told.setdefault(cause_of(result), result.name)) != result.name:
                reason = f"for the same reason as {first}"
            log.log(level, "%s %s: %s (%.1f s)", result.outcome, result.name, reason, result.seconds)
    outcomes = {Action.SKIP: Outcome.SKIPPED, Action.WAIT: Outcome.WAITING, Action.FAIL: Outcome.FAILED}
    for step in steps:
        if step.name not in results:
            outcome = outcomes[step.action]
            log.log(
                logging.ERROR if step.action is Action.FAIL else logging.INFO,
                "%-5s %s: %s",
                outcome,
                step.name,
                step.reason,
            )
            carried = step.model_dump(exclude={"action", "payload"})
            results[step.name] = StepResult(outcome=outcome, **carried)
    return [results[name] for name in order]


def _with_progress(results: Iterator[StepResult], total: int, title: str) -> Iterator[StepResult]:
    """Show a bar when a person watches; the log's lines are printed above it. Plain lines otherwise."""
    if not sys.stderr.isatty():
        yield from results
        return
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    with logging_redirect_tqdm(loggers=[log]):
        yield from tqdm(results, total=total, desc=title, unit="step")


def start_log(base_path: Path) -> None:
    """Log to the terminal, and to a file under the base path whose name holds the time; no longer to an earlier one."""
    from data_foundry.compute import add_log_file

    for handler in log.handlers[:]:
        log.removeHandler(handler)
        handler.close()
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    folder = base_path / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    add_log_file(str(folder / f"data_foundry_{stamp}.log"))
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.INFO)
    console.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(console)


def peak_rss_bytes() -> int:
    """Return the largest resident set that this process, or any one child that ended, ever had, in bytes."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    scale = 1 if sys.platform == "darwin" else 1024
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * scale


def hub_source(settings: Settings) -> str:
    """Name where data comes from: a Hub's address, or a folder (relative to the project where it lies inside it)."""
    source = settings.hub.source
    if source is None:
        return open_hub(settings).name
    return str(source.relative_to(PROJECT_ROOT)) if source.is_relative_to(PROJECT_ROOT) else str(source)


def check_hub_source(settings: Settings, *, mirrors: bool = False) -> None:
    """Refuse to mix data of two Hubs in one lake, synthetic sample data with real data above all.

    A lake that a failed run left empty, or that holds bundled datasets alone, may change its Hub; where nothing is
    added to it, `mirrors` lets any Hub stand for another, but for the sample's. Raises FoundryError.
    """
    base = settings.base_path
    stamp = base / "storage" / "hub_source.json"
    try:
        known = json.loads(stamp.read_text(encoding="utf-8"))["hub_source"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FoundryError(f"{stamp} can't be read: {error}.", "Give another --base-path DIR, or mend it.") from None
    source = hub_source(settings)
    # Earlier versions wrote "hub" for the Hub at any address.
    same = known == source or (known == "hub" and settings.hub.source is None)
    same = same or (mirrors and _is_sample(str(known)) == _is_sample(source))
    bundled = {entry.repo_id for entry in DATASET_REGISTRY.values() if entry.bundled}
    if not same and any(set(Lake(settings).names(layer)) - bundled for layer in Layer):
        raise FoundryError(
            f"What lies under {base} came from {_place(known)}; this run would read from {_place(source)}, and the two "
            "must not be mixed.",
            f"Give this run a folder of its own with --base-path DIR, {_way_back(known)}, or delete raw, silver and "
            f"gold in {stamp.parent} and {base / 'models'} to start anew.",
        )


def _place(source: str) -> str:
    if source == "hub":
        return "a Hub on the network"
    return f"the Hub at {source}" if "://" in source else f"the folder {source}"


def _way_back(source: str) -> str:
    """Say how to read from where the lake's data came from."""
    if source == "hub":
        return "leave out the profile or the hub.source that names a folder"
    if "://" in source:
        return f"set HF_ENDPOINT={source}"
    return f"set hub.source to {source}" + (", as --profile sample does" if _is_sample(source) else "")


def _is_sample(source: str) -> bool:
    return Path(source).name == "sample-hub"


def stamp_hub_source(settings: Settings) -> None:
    """Write down which Hub the lake's data comes from; to be called with the lake's lock held."""
    check_hub_source(settings)
    stamp, text = settings.base_path / "storage" / "hub_source.json", json.dumps({"hub_source": hub_source(settings)})
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != text + "\n":
        write_atomically(stamp, text + "\n")
