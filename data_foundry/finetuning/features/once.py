"""Rows that several predictions are made of: encoded once, and once through what no adapter in use changes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.features import FeatureFile, FeatureRows, FeatureSet
from data_foundry.finetuning.tasks.task import Features, Row, Task, as_numpy, row_name
from data_foundry.finetuning.training.memory import BatchSize
from data_foundry.records import Rejected


class EncodedOnce:
    """What some rows are to a task, kept on disk after the first asking, until it is left.

    `given` are features that were made before, with targets. Rows are known by identity: the same objects.
    """

    def __init__(self, task: Task, rows: Sequence[Row], given: Sequence[Features] | None = None) -> None:
        if given is not None and len(given) != len(rows):
            raise ValueError(f"{len(given)} features for {len(rows)} rows")
        self.task, self.rows, self.given = task, rows, given
        self._numbers = {id(row): number for number, row in enumerate(rows)}
        self._made: dict[tuple[int, str], tuple[FeatureRows, int]] = {}
        self._place = given.folder.parent.parent if isinstance(given, FeatureSet) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._made.clear()

    def knows(self, rows: Sequence[Row]) -> bool:
        """Return whether these are some of the rows."""
        return all(id(row) in self._numbers for row in rows)

    def features(self, rows: Sequence[Row], with_target: bool) -> list[Features]:
        """Return the features of some rows. Raises FoundryError for one that the base can't take."""
        numbers = [self._numbers[id(row)] for row in rows]
        if self.given is not None:
            found = [self.given[number] for number in numbers]
            return found if with_target else [self.task.without_target(features) for features in found]
        kind = "with target" if with_target else "input"
        if (kept := self._kept(numbers, kind)) is not None:
            return kept
        made = []
        for number, row in zip(numbers, rows, strict=True):
            try:
                made.append(self.task.encode(row, with_target=with_target))
            except Rejected as refusal:
                raise not_taken(self.task, row_name(row, number), refusal) from None
        return self._keep(numbers, kind, made)

    def frozen(self, rows: Sequence[Row]) -> list[Features] | None:
        """Return features with the frozen output of some rows where it is known."""
        return self._kept([self._numbers[id(row)] for row in rows], "frozen")

    def freeze(
        self, model: Any, batch_size: BatchSize, rows: Sequence[Row], features: Sequence[Features]
    ) -> list[Features]:
        """Compute the frozen output of some rows, and keep it."""
        outputs: list[Any] = []
        for batch in batch_size.batches(features, lambda some: as_numpy(self.task.frozen_output(model, some))):
            outputs += [*batch]
        made = [self.task.with_frozen_output(f, output) for f, output in zip(features, outputs, strict=True)]
        return self._keep([self._numbers[id(row)] for row in rows], "frozen", made)

    def _kept(self, numbers: Sequence[int], kind: str) -> list[Features] | None:
        if any((number, kind) not in self._made for number in numbers):
            return None
        return [rows[place] for rows, place in (self._made[number, kind] for number in numbers)]

    def _keep(self, numbers: Sequence[int], kind: str, made: list[Features]) -> list[Features]:
        handle, name = tempfile.mkstemp(suffix=".arrow", prefix=".once-", dir=self._place)
        os.close(handle)
        try:
            with FeatureFile(Path(name), durable=False) as file:
                for features in made:
                    file.write([0], [features], [0])
            kept = FeatureRows([Path(name)])
        finally:
            # What is mapped stays readable; the disk has its room back however this process ends.
            Path(name).unlink()
        self._made |= {(number, kind): (kept, place) for place, number in enumerate(numbers)}
        return [*kept]


def not_taken(task: Task, row_id: str, refusal: Rejected) -> FoundryError:
    """Return the error for a row that a base can't take."""
    return FoundryError(
        f"Row {row_id} can't be taken by {task.config.base}: {refusal.reason} ({refusal.detail}).",
        "Leave it out, or cut it to what the base takes; ask why_not(row) first.",
    )
