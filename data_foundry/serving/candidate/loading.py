"""What a candidate's process is told to load, and what it has loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_foundry.training_config import Task

Row = Mapping[str, Any]
Progress = Callable[[str], None]
"""Told which version is being loaded, so that a failure is laid at the right door."""


@dataclass(frozen=True)
class Loaded:
    """Versions in memory: each takes a row and returns what it says (`output`, `confidence`, `classes`).

    `labels` are those that each version knows, where it knows any.
    """

    task: Task
    answers: Mapping[str, Callable[[Row], Any]]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Loading:
    """A module-level function, "package.module:function", and its arguments besides `progress`; both can be pickled."""

    function: str
    arguments: tuple[Any, ...] = ()

    def load(self, progress: Progress) -> Loaded:
        """Import the function and call it."""
        module, _, name = self.function.partition(":")
        loaded: Loaded = getattr(importlib.import_module(module), name)(*self.arguments, progress)
        return loaded
