"""What a training did: its curve, what was chosen, how far it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# What the Trainer logs of time and machine, which would make equal runs leave unequal files.
TIMINGS = ("runtime", "per_second", "flos")


@dataclass(frozen=True)
class TrainingRecord:
    """What a training did: the loss curve, the epoch that validation chose, and how much of the model was trained.

    `resumed_from_steps` differs from run to run, and so is no part of what is published.
    """

    curve: list[dict[str, float]]
    selected_by: str
    best_epoch: float | None
    best_value: float | None
    steps: int
    epochs: float
    stopped_early: bool
    rows: int
    replay_rows: int
    trainable_parameters: int
    parameters: int
    arguments: dict[str, Any] = field(default_factory=dict)
    resumed_from_steps: tuple[int, ...] = field(default=(), compare=False)

    def as_json(self) -> dict[str, Any]:
        """Return what is published: the same for every run over the same inputs."""
        return {name: value for name, value in asdict(self).items() if name != "resumed_from_steps"}


def curve_point(entry: Mapping[str, Any], updates: int) -> dict[str, float]:
    """Return a point of the curve from what the Trainer logged; `updates`: steps of an epoch.

    The Trainer counts epochs in micro-batches, whose number changes when they are halved for memory.
    """
    figures = {key: float(value) for key, value in entry.items() if not key.endswith(TIMINGS)}
    return dict(sorted({**figures, "step": entry["step"], "epoch": entry["step"] / updates}.items()))
