"""What a training did and used, line by line under logs/training: kept locally whatever else is recorded of it.

A line is a JSON object with `event`, `time` (UTC) and its figures: "start" (or "resume" after an interruption),
"point" of the loss curve, "batch_halved", "end" with what the machine gave, and "wall" for the seconds of any other
part of the work. Lines are added while the training runs, and after a resume behind those of before; nothing of it is
part of a published version, whose files stay equal between equal runs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainerCallback

log = logging.getLogger("data_foundry")


@dataclass
class Journal:
    """The journal of one version's training, a file that is only ever added to."""

    file: Path
    failed: bool = field(default=False, compare=False)

    def write(self, event: str, **figures: Any) -> None:
        """Add a line. A disk that takes none is a warning, once: the training is worth more than its journal."""
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **figures}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a+b") as file:
                # A killed run may have left half a line.
                torn = file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
                file.write(b"\n" * bool(torn) + json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            if not self.failed:
                log.warning("%s can't be written: %s (the training goes on)", self.file, error)
            self.failed = True

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what was written, without a line that a kill tore."""
        if not self.file.is_file():
            return
        for line in self.file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    @contextmanager
    def wall(self, part: str) -> Iterator[None]:
        """Write the seconds by the clock, and of this process's CPU, that a part of the work takes."""
        started, cpu = time.monotonic(), time.process_time()
        yield
        seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
        self.write("wall", part=part, seconds=round(seconds, 3), cpu_seconds=round(cpu_seconds, 3))


def journal_of(base_path: Path, version: str) -> Journal:
    """Return the journal of a version such as "nlu-1a2b3c4d5e6f"."""
    return Journal(base_path / "logs" / "training" / f"{version}.jsonl")


def peak_memory_bytes() -> int:
    """Return the largest resident set that this process has had so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def journal_callback(journal: Journal, part: str, *, rows: int, tokens: int | None) -> TrainerCallback:
    """Return the Trainer callback that keeps the journal of one part, from every process of a training.

    `rows` and `tokens` (None: unknown) are those of one epoch. Figures of all processes are brought together when the
    training ends: CPU seconds are their sum, memory is the largest of any one.
    """
    import torch
    from accelerate.utils import gather_object
    from transformers import TrainerCallback

    class JournalCallback(TrainerCallback):
        """Writes from the first process alone."""

        def __init__(self) -> None:
            self.per_device: int | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.epoch, self.steps = state.epoch or 0.0, state.global_step
            if state.is_world_process_zero:
                size, before = args.per_device_train_batch_size, self.per_device
                if before is not None and size < before:
                    journal.write("batch_halved", part=part, per_device_batch_size=size)
                self.per_device = size
                sizes = {"per_device_batch_size": size, "gradient_accumulation": args.gradient_accumulation_steps}
                event = "resume" if state.global_step else "start"
                where = {"processes": args.world_size, "device": args.device.type}
                journal.write(event, part=part, step=state.global_step, rows=rows, **sizes, **where)
            if args.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(args.device)
            self.started, self.cpu = time.monotonic(), time.process_time()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if state.is_world_process_zero and "train_runtime" not in (logs or {}):
                seconds = round(time.monotonic() - self.started, 3)
                journal.write("point", part=part, step=state.global_step, seconds=seconds, **(logs or {}))

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seconds = time.monotonic() - self.started
            gpu = torch.cuda.max_memory_allocated(args.device) if args.device.type == "cuda" else None
            used = gather_object([(time.process_time() - self.cpu, peak_memory_bytes(), gpu)])
            if state.is_world_process_zero:
                epochs = (state.epoch or 0.0) - self.epoch
                steps = state.global_step - self.steps
                journal.write("end", part=part, **_figures(used, seconds, steps, epochs, rows, tokens))

    return JournalCallback()


def _figures(
    used: Sequence[tuple[float, int, int | None]],
    seconds: float,
    steps: int,
    epochs: float,
    rows: int,
    tokens: int | None,
) -> dict[str, Any]:
    """Return what a training used and how fast it was; what was not measured is left out."""
    gpus = [gpu for _, _, gpu in used if gpu is not None]
    figures: dict[str, Any] = {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(sum(cpu for cpu, _, _ in used), 3),
        "peak_rss_bytes": max(rss for _, rss, _ in used),
        **({"peak_gpu_bytes": max(gpus)} if gpus else {}),
        "processes": len(used),
        "steps": steps,
        "samples": round(epochs * rows),
    }
    if seconds > 0 and steps:
        figures["samples_per_second"] = round(epochs * rows / seconds, 3)
        figures |= {"tokens_per_second": round(epochs * tokens / seconds, 1)} if tokens else {}
    return figures


def _of_the_last_training(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines without those of each part before it began anew; with smaller batches it goes on."""
    begins: dict[str, int] = {}
    before: dict[str, str] = {}
    for number, line in enumerate(lines):
        part, event = line.get("part", ""), line["event"]
        if event == "start" and before.get(part) != "batch_halved":
            begins[part] = number
        before[part] = event
    return [line for number, line in enumerate(lines) if number >= begins.get(line.get("part", ""), 0)]


def training_run(base_path: Path, version: str) -> dict[str, Any] | None:
    """Return the headline figures of a version's training, or None where its journal is not on this machine.

    Figures of an interrupted training's runs are not added up: each part's are those of its last run, and `resumes`
    says that there were earlier ones. What was before a part's last start from nothing is of another training, of the
    same version before it was deleted.
    """
    journal = journal_of(base_path, version)
    lines = _of_the_last_training(list(journal.lines()))
    if not lines:
        return None
    parts = {line["part"]: line for line in lines if line["event"] == "end"}
    walls = {line["part"]: line["seconds"] for line in lines if line["event"] == "wall"}
    unsaid = ("event", "time", "part")
    return {
        "journal": str(journal.file.relative_to(base_path)),
        "parts": {part: {k: v for k, v in line.items() if k not in unsaid} for part, line in parts.items()},
        "wall_seconds": walls,
        "resumes": sum(line["event"] == "resume" for line in lines),
        "batch_halvings": sum(line["event"] == "batch_halved" for line in lines),
    }
