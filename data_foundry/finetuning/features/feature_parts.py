"""One part of a set of features: some gold rows encoded, or the output of a base's frozen modules for some rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from data_foundry.finetuning.features.features import FeatureFile, FeatureSet
from data_foundry.finetuning.tasks.task import Features, Task, as_numpy, row_name
from data_foundry.finetuning.training.memory import BatchSize
from data_foundry.lake import sha256_file
from data_foundry.records import Rejected

if TYPE_CHECKING:
    import numpy as np

READ_ROWS = 16
"""Rows in memory at a time, and in one record batch of a file of features."""
FROZEN_BATCH = 4
FROZEN_BATCH_GPU = 32


class Part(BaseModel):
    """What a part came to; `refused` are the rows that the base can't take: place, row id, reason, detail."""

    file: str
    rows: int
    bytes: int = 0
    sha256: str = ""
    refused: list[tuple[int, str, str, str]] = []


@dataclass(frozen=True)
class EncodeRows:
    """Rows of some row groups of a gold file, to be encoded: `places` count over all files, `first` is the groups'."""

    task: Task
    file: Path
    row_groups: tuple[int, ...]
    first: int
    places: tuple[int, ...]
    target: Path


@dataclass(frozen=True)
class FreezeRows:
    """Encoded rows whose frozen output is wanted in `dtype`, the precision that training computes with."""

    task: Task
    features: FeatureSet
    target: Path
    dtype: str
    gpu: bool


def encode_part(job: EncodeRows) -> Part:
    """Encode rows and write the file."""
    refused: list[tuple[int, str, str, str]] = []
    written = 0
    with FeatureFile(job.target) as file:
        wanted = _wanted(job)
        while rows := list(islice(wanted, READ_ROWS)):
            places: list[int] = []
            found: list[Features] = []
            for place, row in rows:
                try:
                    found.append(job.task.encode(row))
                    places.append(place)
                except Rejected as refusal:
                    refused.append((place, row_name(row, place), refusal.reason, refusal.detail))
            if found:
                file.write(places, found, [job.task.length(each) for each in found])
                written += len(found)
    return _part(job.target, written, refused)


def freeze_part(job: FreezeRows) -> Part:
    """Compute the frozen output of rows and write the file."""
    import torch

    model = _model(job.task, job.gpu)
    dtype = getattr(torch, job.dtype)
    device = "cuda" if job.gpu else "cpu"
    numbers = range(len(job.features))
    done = 0

    def run(batch: Sequence[int]) -> np.ndarray:
        half = nullcontext() if dtype is torch.float32 else torch.autocast(device, dtype)
        # Not inference_mode: autocast would keep the weights it casts as inference tensors.
        with torch.no_grad(), half:
            return as_numpy(job.task.frozen_output(model, [job.features[number] for number in batch]).to(dtype))

    with FeatureFile(job.target) as file:
        for output in BatchSize(FROZEN_BATCH_GPU if job.gpu else FROZEN_BATCH).batches(numbers, run):
            batch = numbers[done : done + len(output)]
            rows = [job.task.with_frozen_output(job.features[n], output[n - done]) for n in batch]
            file.write([job.features.places[n] for n in batch], rows, [job.features.lengths[n] for n in batch])
            done += len(output)
    return _part(job.target, done, [])


def let_go_of_model() -> None:
    """Free the base that this process holds for its parts."""
    _model.cache_clear()


def _wanted(job: EncodeRows) -> Iterator[tuple[int, Any]]:
    import pyarrow.parquet as pq

    wanted = set(job.places)
    place = job.first
    with pq.ParquetFile(job.file) as file:
        for batch in file.iter_batches(batch_size=READ_ROWS, row_groups=list(job.row_groups)):
            for row in batch.to_pylist():
                if place in wanted:
                    yield place, row
                place += 1


@lru_cache(maxsize=1)
def _model(task: Task, gpu: bool) -> Any:
    import torch

    return task.load_model(torch.float32).to("cuda" if gpu else "cpu").eval()


def _part(target: Path, rows: int, refused: list[tuple[int, str, str, str]]) -> Part:
    if not rows:
        return Part(file=target.name, rows=0, refused=refused)
    return Part(file=target.name, rows=rows, bytes=target.stat().st_size, sha256=sha256_file(target), refused=refused)
