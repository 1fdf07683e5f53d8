"""Curves to Weights & Biases, from beside the training: it can neither stop a run nor hold it up.

A run is always recorded offline, under logs/wandb. With WANDB_API_KEY set it is sent when the training is over, within
a time limit. Whatever fails there is a warning: the curve is kept in training_log.json in any case.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.training_config import Training

if TYPE_CHECKING:
    from transformers import TrainerCallback

PROJECT = "data-foundry"
SYNC_SECONDS = 30
log = logging.getLogger("data_foundry")


def tracking_callbacks(training: Training, name: str, folder: Path) -> list[TrainerCallback]:
    """Return the Trainer callbacks that the settings ask for: none, or one that records run `name` under `folder`."""
    if not training.use_wandb:
        return []
    from transformers import TrainerCallback

    class OfflineRun(TrainerCallback):
        """Records what the Trainer logs in an offline run."""

        run: Any = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            with _Harmless("can't be started"):
                import wandb

                folder.mkdir(parents=True, exist_ok=True)
                quiet = wandb.Settings(mode="offline", console="off", silent=True)
                self.run = wandb.init(project=PROJECT, name=name, dir=str(folder), settings=quiet)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if self.run is not None:
                with _Harmless("can't record"):
                    self.run.log(dict(logs or {}), step=state.global_step)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.run is None:
                return
            with _Harmless("can't be finished"):
                recorded = Path(self.run.dir).parent
                self.run.finish()
                if os.environ.get("WANDB_API_KEY"):
                    _send(recorded)
                else:
                    log.info("wandb: recorded offline in %s; no WANDB_API_KEY, so it was not sent", recorded)

    return [OfflineRun()]


def _send(recorded: Path) -> None:
    command = [sys.executable, "-m", "wandb", "sync", str(recorded)]
    subprocess.run(command, check=True, capture_output=True, timeout=SYNC_SECONDS)


class _Harmless:
    """Turns any failure inside it into a warning. Tracking is the one step of a training that may fail unreported."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        log.warning("wandb %s: %s: %s (training goes on; `wandb sync` can send it later)", self.what, kind, error)
        return True
