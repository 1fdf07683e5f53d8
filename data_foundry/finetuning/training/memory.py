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

TOO_MANY = "memory.json"
"""In a training's work folder: how many rows at a time did not fit, for the run that takes it up again."""
Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger("data_foundry")


class OutOfMemory(RuntimeError):
    """One of several training processes ran out of memory: whoever started them halves the batch for all."""


class NotEnoughMemory(FoundryError):
    """One row alone is more than memory holds."""


@dataclass(frozen=True)
class MicroBatch:
    """How a step's rows are cut up on one process: `rows` at a time, `accumulation` times, after so many halvings."""

    rows: int
    accumulation: int
    halvings: int = 0


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: a GPU's, or the CPU allocator's."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, OutOfMemory | MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, Exception) and should_reduce_batch_size(error)


def halved(rows: int) -> int:
    """Return the largest divisor of a batch that is at most its half. Raises NotEnoughMemory at one row."""
    if rows == 1:
        raise NotEnoughMemory(
            "One row at a time is more than memory holds.",
            "Set gradient_checkpointing, choose a smaller base or max_length, or train where there is more memory.",
        )
    return max(part for part in range(1, rows // 2 + 1) if rows % part == 0)


def micro_batch(config: TrainingConfig, processes: int = 1, too_many: int | None = None) -> MicroBatch:
    """Return how each of `processes` cuts up its part of a step; the step's rows are always the same ones.

    It is halved until it is less than the `too_many` rows that one process had no memory for. Raises FoundryError for a
    batch that can't be shared out evenly, and when one row is too many.
    """
    if config.batch_size % processes:
        raise FoundryError(
            f"A batch of {config.batch_size} can't be shared out among {processes} processes.",
            f"Set batch_size to a multiple of {processes}, or training.processes to what divides it.",
        )
    share = rows = config.batch_size // processes
    halvings = 0
    while too_many is not None and rows >= too_many:
        rows, halvings = halved(rows), halvings + 1
    return MicroBatch(rows, config.gradient_accumulation * (share // rows), halvings)


def too_many_rows(work: Path | None) -> int | None:
    """Return the rows at a time that one process of an interrupted training had no memory for; None: it never ran out.

    Whoever takes it up in more processes, of which each has a smaller share, may need no halving at all.
    """
    file = work / TOO_MANY if work else None
    return int(json.loads(file.read_text(encoding="utf-8"))["too_many_rows"]) if file and file.is_file() else None


def halve(config: TrainingConfig, *, processes: int = 1, too_many: int | None, work: Path | None = None) -> int:
    """Return the rows at a time that were too many just now, having said so and written it down in `work`.

    Raises FoundryError when a process already takes one row at a time.
    """
    before = micro_batch(config, processes, too_many)
    after = micro_batch(config, processes, before.rows)
    log.warning(
        "%s: out of memory with %d rows at a time; the training goes on with %d, and a step still learns from %d rows",
        config.base, before.rows, after.rows, config.batch_size * config.gradient_accumulation,
    )  # fmt: skip
    if work:
        make_folder(work)
        write_atomically(work / TOO_MANY, json.dumps({"too_many_rows": before.rows}) + "\n")
    return before.rows


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
