"""Out of memory: batches are halved until they fit, and it is said."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data_foundry.errors import FoundryError
from data_foundry.lake.durable import make_folder, write_atomically
from data_foundry.training_config import TrainingConfig

HALVINGS = "memory.json"
"""In a training's work folder: how often its batch was halved so far, for the run that takes it up again."""
Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger("data_foundry")


class OutOfMemory(RuntimeError):
    """One of several training processes ran out of memory: whoever started them halves the batch for all."""


@dataclass(frozen=True)
class MicroBatch:
    """How a step's rows are cut up on one process: `rows` at a time, `accumulation` times."""

    rows: int
    accumulation: int


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: a GPU's, or the CPU allocator's."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, OutOfMemory | MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, Exception) and should_reduce_batch_size(error)


def halved(rows: int) -> int:
    """Return the largest divisor of a batch that is at most its half. Raises FoundryError at one row."""
    if rows == 1:
        raise FoundryError(
            "One row at a time is more than memory holds.",
            "Set gradient_checkpointing, choose a smaller base or max_length, or train where there is more memory.",
        )
    return max(part for part in range(1, rows // 2 + 1) if rows % part == 0)


def micro_batch(config: TrainingConfig, processes: int = 1, halvings: int = 0) -> MicroBatch:
    """Return how each of `processes` cuts up its part of a step; the step's rows are always the same ones.

    Raises FoundryError for a batch that can't be shared out evenly, and for one that can't be halved so often.
    """
    if config.batch_size % processes:
        raise FoundryError(
            f"A batch of {config.batch_size} can't be shared out among {processes} processes.",
            f"Set batch_size to a multiple of {processes}, or training.processes to what divides it.",
        )
    share = rows = config.batch_size // processes
    for _ in range(halvings):
        rows = halved(rows)
    return MicroBatch(rows, config.gradient_accumulation * (share // rows))


def halvings_of(work: Path | None) -> int:
    """Return how often the batch of an interrupted training was halved."""
    file = work / HALVINGS if work else None
    return int(json.loads(file.read_text(encoding="utf-8"))["halvings"]) if file and file.is_file() else 0


def halve(config: TrainingConfig, *, processes: int = 1, halvings: int, work: Path | None = None) -> int:
    """Return one halving more, having said so and written it down in `work`.

    Raises FoundryError when a process already takes one row at a time.
    """
    before, after = micro_batch(config, processes, halvings), micro_batch(config, processes, halvings + 1)
    log.warning(
        "%s: out of memory with %d rows at a time; the training goes on with %d, and a step still learns from %d rows",
        config.base, before.rows, after.rows, config.batch_size * config.gradient_accumulation,
    )  # fmt: skip
    if work:
        make_folder(work)
        write_atomically(work / HALVINGS, json.dumps({"halvings": halvings + 1}) + "\n")
    return halvings + 1


def free_memory() -> None:
    """Let go of what a failed batch left behind."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass
class BatchSize:
    """How many rows go through a model at a time; halved for good when memory runs out."""

    rows: int

    def batches(self, items: Sequence[Item], run: Callable[[Sequence[Item]], Result]) -> Iterator[Result]:
        """Yield run(batch) for all items, in order. Raises FoundryError when one item alone is too much."""
        start = 0
        while start < len(items):
            batch = items[start : start + self.rows]
            full = False
            try:
                result = run(batch)
            except (RuntimeError, MemoryError) as error:
                full = is_out_of_memory(error)
                if not full:
                    raise
            # Outside of the handler: the error holds on to all that the batch had made.
            if full:
                smaller = halved(len(batch))
                log.warning("out of memory with %d rows at a time; going on with %d", len(batch), smaller)
                self.rows = smaller
                free_memory()
                continue
            yield result
            start += len(batch)
