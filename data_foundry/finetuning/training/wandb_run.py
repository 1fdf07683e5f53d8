"""Records a training's journal with wandb, and sends it: commands of their own, started by tracking.py.

python -m data_foundry.finetuning.training.wandb_run JOURNAL VERSION offline|online SECONDS [LOG]   with a limit
python -m data_foundry.finetuning.training.wandb_run --now JOURNAL VERSION offline|online            the work itself
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from data_foundry.compute import add_log_file
from data_foundry.finetuning.training.journal import Journal

PROJECT = "data-foundry"
UNSAID = ("event", "time", "part", "step")
log = logging.getLogger("data_foundry")


def points(journal: Journal) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield step and figures, named "<part>/<figure>", in the order of steps.

    A step that an interrupted training did twice is told as it was done last; figures of the whole come after it.
    """
    curves: dict[int, dict[str, Any]] = {}
    totals: dict[str, Any] = {}
    for line in journal.lines():
        named = {f"{line.get('part')}/{name}": value for name, value in line.items() if name not in UNSAID}
        if line["event"] == "point":
            curves.setdefault(line["step"], {}).update(named)
        elif line["event"] in ("end", "wall"):
            totals |= named
    for step in sorted(curves):
        yield step, curves[step]
    if totals:
        yield max(curves, default=0) + 1, totals


def record(journal: Journal, version: str) -> Path:
    """Write an offline run of wandb under the logs and return its folder."""
    import wandb

    settings = wandb.Settings(mode="offline", console="off", silent=True)
    # wandb adds a folder of its name.
    run = wandb.init(project=PROJECT, name=version, dir=str(journal.file.parents[1]), settings=settings)
    for step, figures in points(journal):
        run.log(figures, step=step)
    folder = Path(run.dir).parent
    run.finish()
    return folder


def record_and_send(journal: Journal, version: str, mode: str) -> None:
    """Record a version and, online, send it; this process becomes the one that sends."""
    # Whatever the environment says, wandb has nobody to talk to while it records.
    os.environ["WANDB_MODE"] = "offline"
    folder = record(journal, version)
    if mode == "online":
        del os.environ["WANDB_MODE"]
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "wandb", "sync", str(folder)])


def supervise(journal: Journal, version: str, mode: str, limit: float) -> int:
    """Have a version recorded within so many seconds; tell how that ended, and return 0 where it went well."""
    command = [
        sys.executable,
        "-m",
        "data_foundry.finetuning.training.wandb_run",
        "--now",
        str(journal.file),
        version,
        mode,
    ]
    # A group of its own, so that the limit ends what wandb started as well.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        exit_code = process.wait(timeout=limit)
        failure = f"ended with exit code {exit_code}" if exit_code else ""
    except subprocess.TimeoutExpired:
        failure = f"took longer than {limit:g} s and was ended"
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if not failure:
        log.info("wandb: %s was %s", version, "sent" if mode == "online" else "recorded offline, and not sent")
        return 0
    log.warning("wandb: recording %s %s; no harm done, its curves are in %s", version, failure, journal.file)
    return 1


def main(argv: Sequence[str]) -> int:
    """Return the exit code."""
    if argv[0] == "--now":
        record_and_send(Journal(Path(argv[1])), argv[2], argv[3])
        return 0
    file, version, mode, limit, log_file = argv
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    if log_file:
        add_log_file(log_file)
    return supervise(Journal(Path(file)), version, mode, float(limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
