"""What allocation tests share: running phase 3 in place, and reading the gold it made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_foundry.allocation import allocate
from data_foundry.compute import run_steps
from data_foundry.config import Settings
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action, StepResult

Gold = dict[str, dict[str, list[dict[str, Any]]]]


@pytest.fixture
def run_phase3() -> Callable[[Settings], dict[str, StepResult]]:
    """Plan and run phase 3; return what each engine's step did."""

    def run(settings: Settings) -> dict[str, StepResult]:
        steps = [step for step in allocate.plan(settings, Lake(settings)) if step.action is Action.RUN]
        return {result.subject: result for result in run_steps(allocate.run_step, settings, steps)}

    return run


@pytest.fixture
def read_gold() -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """Read one engine's gold: {split: rows}, and the refused rows under "rejected"."""

    def read(settings: Settings, engine: str) -> dict[str, list[dict[str, Any]]]:
        lake = Lake(settings)
        return {
            split: [row for path in lake.files(Layer.GOLD, engine, split) for row in pq.read_table(path).to_pylist()]
            for split in ("train", "validation", "test", "domain", "rejected")
        }

    return read
