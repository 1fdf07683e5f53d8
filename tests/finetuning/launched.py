"""Jobs for training processes of tests: unpickled in them, so they stand in a module of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from data_foundry.finetuning.training.journal import journal_of
from data_foundry.finetuning.training.launch import TrainingJob, train_part
from data_foundry.training_config import Training, TrainingConfig


@dataclass(frozen=True)
class Several(TrainingJob):
    """More trainings in the same processes, whose start costs more than a tiny training: their records in a list."""

    others: Sequence[TrainingJob] = ()

    def train(self) -> Any:
        records = [super().train(), *(job.train() for job in self.others)]
        if rank := os.environ.get("RANK"):
            (self.work / f"listening-{rank}").write_text("\n".join(listening()))
        return records


def listening() -> list[str]:
    """The addresses at which this process or its parent, the launcher, waits for connections."""
    import psutil

    both = [psutil.Process(os.getpid()), psutil.Process(os.getppid())]
    found = [place for process in both for place in process.net_connections("inet")]
    return [place.laddr.ip for place in found if place.status == psutil.CONN_LISTEN]


def several(jobs: Sequence[TrainingJob]) -> Several:
    return Several(**vars(jobs[0]), others=jobs[1:])


@dataclass
class Act:
    """What stands in a job's place and acts when a process reads it, before anything heavy is imported."""

    act: Callable[[str], Any]
    argument: str

    def __reduce__(self) -> tuple[Any, ...]:
        return self.act, (self.argument,)


def acting(base: Path, act: Callable[[str], Any], argument: object = "", processes: int = 2) -> TrainingJob:
    """A job that is none: who reads it acts, and needs no base for that."""
    config = TrainingConfig(base="tiny/none", batch_size=4)
    spec = SimpleNamespace(name="nlu", task="text-classification")
    return TrainingJob(
        part="adapter",
        task=SimpleNamespace(spec=spec, config=config, folder=base, labels=()),  # type: ignore[arg-type]
        config=config,
        training=Training(gpu_enabled=False, processes=processes),
        rows=Act(act, str(argument)),  # type: ignore[arg-type]
        validation=[],
        folder=base,
        journal=journal_of(base, "nlu-1"),
        work=base / "work",
    )


def die_second(argument: str) -> None:
    """The second process says a last word and fails; the first would wait for it for ever."""
    if os.environ["RANK"] == "1":
        print("the last word", flush=True)
        raise ValueError("no such thing")
    time.sleep(600)


def stay(folder: str) -> None:
    """Say who one is and whose child, and stay."""
    written = Path(folder) / f"writing-{os.environ['RANK']}"
    written.write_text(f"{os.getpid()} {os.getppid()}")
    written.rename(Path(folder) / f"pids-{os.environ['RANK']}")
    time.sleep(600)


def run_that_stays(folder: str) -> None:
    """A run whose training processes stay, for a test that kills it."""
    train_part(acting(Path(folder), stay, folder))
