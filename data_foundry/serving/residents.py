"""Versions in memory: those that can share a base share it, and each answers under its own name."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Protocol, TypeVar

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.calibration import calibrated
from data_foundry.finetuning.evaluation.predict import load_predictor, load_task
from data_foundry.finetuning.tasks.task import Features, Prediction
from data_foundry.records import Rejected
from data_foundry.serving.calls import InvalidAnswer, Row
from data_foundry.serving.weights import Weights

CODES = "text-to-codes"
T = TypeVar("T")


class Model(Protocol):
    """A base in memory with any number of adapters: a `Predictor`. One prediction at a time."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def encode(self, row: Row) -> Features: ...

    def predict(
        self, rows: Sequence[Row], adapter: str | None = None, features: Sequence[Features] | None = None
    ) -> list[Prediction]: ...

    def add_adapter(self, name: str, folder: Any) -> None: ...

    def remove_adapter(self, name: str) -> None: ...

    def bare(self) -> Model: ...


@dataclass(frozen=True, eq=False)
class Resident:
    """One version in memory, on a base that it may share. Tokenizers keep state, so one row is encoded at a time."""

    weights: Weights
    predictor: Model
    encoding: threading.Lock = field(default_factory=threading.Lock)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.predictor.labels

    def encode(self, row: Row) -> Features:
        """Return what the model is given of a standardised row. Raises Rejected for one that it can't take."""
        direction = self.weights.config.only.get("direction")
        if direction is not None and row.get("direction") != direction:
            raise Rejected("other_direction", f"it translates {direction} alone")
        with self.encoding:
            return self.predictor.encode(row)

    def predict(self, rows: Sequence[Row], features: Sequence[Features]) -> list[Prediction]:
        """Return one answer a row, its confidence calibrated. Raises InvalidAnswer, and what the model raises."""
        found = self.predictor.predict(rows, self.weights.name, features)
        if len(found) != len(rows):
            raise InvalidAnswer(f"{len(found)} answers to {len(rows)} rows")
        return [self._checked(calibrated(prediction, self.weights.temperature)) for prediction in found]

    def _checked(self, prediction: Prediction) -> Prediction:
        wanted = list if self.weights.task == CODES else str
        if not isinstance(prediction.output, wanted):
            raise InvalidAnswer(f"{type(prediction.output).__name__} instead of {wanted.__name__}")
        sure = prediction.confidence
        if sure is not None and not (math.isfinite(sure) and 0 <= sure <= 1 + 1e-6):
            raise InvalidAnswer(f"confidence {sure}")
        return prediction


def _no_panic(opens: Callable[..., T]) -> Callable[..., T]:
    """Let whatever a library ends with, a panic of Rust or SystemExit too, be an error of what is opened."""

    @wraps(opens)
    def opened(*given: Any) -> T:
        try:
            return opens(*given)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise FoundryError(
                f"It can't be read: {type(error).__name__}: {error}.", "Put its files back from where they came."
            ) from error

    return opened


@_no_panic
def place_of(weights: Weights) -> tuple[Any, ...]:
    """Return what must be equal of two versions that share a base in memory. Raises FoundryError for an unfit base.

    Those with a head of their own share it where their labels are the same; the labels of a published head are its
    base's, whether an adapter names them or not.
    """
    task = load_task(weights.spec, weights.config, weights.base_folder, weights.labels)
    return (
        weights.base_folder,
        weights.base_revision,
        type(task).__name__,
        task.labels,
        task.base_kind,
        weights.config.max_length,
    )


@_no_panic
def open_base(settings: Settings, weights: Weights) -> Model:
    """Return a base in memory with the version's adapter on it. Raises FoundryError."""
    import torch

    torch.set_num_threads(settings.serving.threads)
    gpu = settings.training.gpu_enabled and torch.cuda.is_available()
    return load_predictor(
        weights.spec,
        weights.config,
        weights.base_folder,
        {weights.name: weights.folder} if weights.name and weights.folder else {},
        device="cuda" if gpu else "cpu",
    )


def open_residents(settings: Settings, wanted: Iterable[Weights], *, apart: bool = False) -> list[Resident]:
    """Return versions in memory, in order, on as few bases as they can share. Raises FoundryError.

    Each is opened before the next one is asked for. With `apart` they share a base's weights and no more of it, so
    that each answers as fast as it does where nothing else is loaded.
    """
    first: dict[tuple[Any, ...], Resident] = {}
    found = []
    for weights in wanted:
        place = place_of(weights)
        if place not in first:
            first[place] = resident = Resident(weights, open_base(settings, weights))
        else:
            other = first[place]
            resident = beside(replace(other, predictor=other.predictor.bare()) if apart else other, weights)
        found.append(resident)
    return found


def beside(other: Resident, weights: Weights) -> Resident:
    """Return a version loaded beside another on the same base. Raises FoundryError when it does not fit."""
    if weights.name and weights.folder:
        other.predictor.add_adapter(weights.name, weights.folder)
    return Resident(weights, other.predictor, other.encoding)
