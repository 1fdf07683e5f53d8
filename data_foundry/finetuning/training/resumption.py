"""What a training needs to go on exactly where it was, which transformers' Trainer alone does not keep.

The Trainer's own checkpoints lose the loss summed up since the last point of the curve, forget that a training had
stopped early, leave the best weights in another checkpoint, and are not written atomically. Here a checkpoint holds the
trained weights by name, those of the best validation so far, optimizer, schedule, scaler, random states and the curve;
it is complete or not there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.training.batch_order import BatchOrder
from data_foundry.finetuning.training.checkpoints import Checkpoints, writing_files
from data_foundry.training_config import Training, TrainingConfig

if TYPE_CHECKING:
    import torch
    from transformers import TrainerCallback

WEIGHTS, BEST_WEIGHTS, STATE = "weights.safetensors", "best_weights.safetensors", "trainer_state.json"
LOSSES = ("loss", "eval_loss", "train_loss")
"""As the Trainer logs them: since the last point of the curve, of the validation rows, of the whole training."""
SECONDS_A_MINUTE = 60
CLOCK_STEPS = 10
"""How often several processes ask the first one whether it is time for a checkpoint."""


class Resumable:
    """Mixed into a Trainer: takes its rows from `order`, writes to and reads from `checkpoints`.

    `best` holds the trained weights of the best validation so far.
    """

    order: BatchOrder
    checkpoints: Checkpoints | None = None
    best: dict[str, torch.Tensor] | None = None

    def _get_train_sampler(self: Any, train_dataset: Any = None) -> Any:
        return self.order

    def _save_checkpoint(self: Any, model: Any, trial: Any = None) -> None:
        """Write a checkpoint; several processes each write their own random state, the first all else."""
        step, main = self.state.global_step, self.is_world_process_zero()
        if main:
            with self.checkpoints.writing(step) as folder:
                self.accelerator.wait_for_everyone()
                with writing_files(folder):
                    self._write_own_state(folder)
                    self._write_shared_state(folder)
                self.accelerator.wait_for_everyone()
        else:
            self.accelerator.wait_for_everyone()
            with writing_files(folder := self.checkpoints.staging(step)):
                self._write_own_state(folder)
            self.accelerator.wait_for_everyone()
        # None goes on before the checkpoint counts: what is killed after it starts there.
        self.accelerator.wait_for_everyone()

    def _write_own_state(self: Any, folder: Path) -> None:
        self._save_rng_state(str(folder))
        losses = {
            "since_last_point": self._tr_loss.item(),
            "before": self._total_loss_scalar,
            "last_point": self._globalstep_last_logged,
        }
        (folder / f"losses_{self.args.process_index}.json").write_text(json.dumps(losses), encoding="utf-8")

    def _write_shared_state(self: Any, folder: Path) -> None:
        from safetensors.torch import save_file

        save_file(trained_weights(self.model), folder / WEIGHTS)
        if self.best is not None:
            save_file(self.best, folder / BEST_WEIGHTS)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self.state.save_to_json(str(folder / STATE))
        (folder / "progress.json").write_text(json.dumps({"finished": self.control.should_training_stop}))

    def _load_from_checkpoint(self: Any, folder: str, model: Any = None) -> None:
        """Lay a checkpoint's weights over the model's; the Trainer reads the rest itself."""
        from safetensors.torch import load_file

        place = Path(folder)
        lay_over(self.model, load_file(place / WEIGHTS))
        self.best = load_file(place / BEST_WEIGHTS) if (place / BEST_WEIGHTS).is_file() else None

    def load_finished(self: Any, folder: Path) -> bool:
        """Load a checkpoint of a training that had ended, and return True; of one that had not, do nothing."""
        from transformers import TrainerState

        if not json.loads((folder / "progress.json").read_text())["finished"]:
            return False
        self._load_from_checkpoint(str(folder))
        self.state = TrainerState.load_from_json(str(folder / STATE))
        return True

    def restore_losses(self: Any, folder: Path) -> None:
        """Take up the loss since the last point of the curve, which the Trainer sets to zero."""
        losses = json.loads((folder / f"losses_{self.args.process_index}.json").read_text(encoding="utf-8"))
        self._tr_loss.fill_(losses["since_last_point"])
        self._total_loss_scalar, self._globalstep_last_logged = losses["before"], losses["last_point"]


def progress_callback(
    trainer: Any, config: TrainingConfig, training: Training, updates_per_epoch: int, resumed_from: Path | None
) -> TrainerCallback:
    """Return the callback that says when a training is written down, which weights are best, and when it ends."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        """Watches one training."""

        written = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if resumed_from is not None:
                trainer.restore_losses(resumed_from)

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.order.epoch = state.global_step // updates_per_epoch

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # The last step of an epoch is written down when its validation is over.
            ends_epoch = state.global_step % updates_per_epoch == 0 or state.global_step >= state.max_steps
            if trainer.checkpoints is not None and not ends_epoch:
                every = training.checkpoint_steps
                control.should_save = (every and state.global_step % every == 0) or self.is_time(state)

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_save = trainer.checkpoints is not None

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            check_finite(config, state.global_step, logs or {})

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.written = time.monotonic()

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            since = validations_since_best(state.log_history, args.metric_for_best_model, args.greater_is_better)
            if since == 0:
                trainer.best = trained_weights(trainer.model)
            if config.early_stopping_patience and since >= config.early_stopping_patience:
                control.should_training_stop = True

        def is_time(self, state: Any) -> bool:
            """Return whether the last checkpoint is long ago, by the clock of the first process."""
            from accelerate.utils import broadcast_object_list

            told = [time.monotonic() - self.written > training.checkpoint_minutes * SECONDS_A_MINUTE]
            if trainer.args.world_size == 1:
                return told[0]
            # All wait for that clock, so not at every step.
            return state.global_step % CLOCK_STEPS == 0 and bool(broadcast_object_list(told)[0])

    return Progress()


def check_finite(config: TrainingConfig, step: int, logged: Mapping[str, Any]) -> None:
    """Raise FoundryError when a loss that was logged is no number: nothing that comes after it would mean anything."""
    for name in LOSSES:
        if not isfinite(logged.get(name, 0.0)):
            raise FoundryError(
                f"The training on {config.base} diverged at step {step}: {name} is {logged[name]}.",
                f"Set learning_rate lower than {config.learning_rate:g}.",
            )


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """Return copies of the weights that are trained, by their names in the model."""
    return {name: p.detach().cpu().clone().contiguous() for name, p in model.named_parameters() if p.requires_grad}


def lay_over(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Copy weights into a model in place. Raises KeyError for one that the model does not have."""
    import torch

    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(value)


def best_validation(history: Sequence[dict[str, float]], metric: str, more_is_better: bool) -> dict[str, float] | None:
    """Return the first of the best validations in a curve, or None where there is none."""
    seen = [entry for entry in history if metric in entry]
    # A validation whose figure is not a number is never the best.
    numbers = [entry for entry in seen if entry[metric] == entry[metric]] or seen
    return (max if more_is_better else min)(numbers, key=lambda entry: entry[metric], default=None)


def validations_since_best(history: Sequence[dict[str, float]], metric: str, more_is_better: bool) -> int:
    """Return how many validations came after the best one."""
    seen = [entry for entry in history if metric in entry]
    best = best_validation(seen, metric, more_is_better)
    return next(back for back, entry in enumerate(reversed(seen)) if entry is best)
