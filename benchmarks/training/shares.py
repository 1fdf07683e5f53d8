"""Where the time of a training loop goes: drawing batches, and each half of the model forward and backward."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from transformers import TrainerCallback

PARTS = ("drawing batches", "encoder forward", "decoder forward", "decoder backward", "encoder backward", "the rest")


class Shares(TrainerCallback):
    """Adds up the CPU seconds of each part of a loop, from its begin to its last step.

    Backward passes are told apart by the moment at which the gradient reaches the encoder's output.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.mark = 0.0
        self.backward = "decoder backward"

    def _since(self, part: str) -> None:
        now = time.process_time()
        self.seconds[part] += now - self.mark
        self.mark = now

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.mark = time.process_time()
        whisper = model.get_base_model()
        encoder = whisper.model.encoder
        encoder.register_forward_pre_hook(lambda *_: self._since("the rest"))
        encoder.register_forward_hook(self._after_encoder)
        whisper.register_forward_hook(lambda *_: self._since("decoder forward"))

    def _after_encoder(self, module: Any, given: Any, output: Any) -> None:
        self._since("encoder forward")
        states = output[0]
        if states.requires_grad:
            states.register_hook(lambda gradient: self._since("decoder backward"))
            self.backward = "encoder backward"
        else:
            self.backward = "decoder backward"

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._since("drawing batches")

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        self._since(self.backward)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._since("the rest")

    def table(self) -> dict[str, float]:
        """Return each part's share of the whole."""
        whole = sum(self.seconds.values())
        return {part: round(self.seconds[part] / whole, 4) for part in PARTS}
