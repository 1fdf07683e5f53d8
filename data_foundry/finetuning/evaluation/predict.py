"""Predictions of a base and its adapters: one base in memory, adapters switched by name."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.once import EncodedOnce, not_taken
from data_foundry.finetuning.tasks.classification import TextClassification
from data_foundry.finetuning.tasks.codec_lm import CodecLanguageModel
from data_foundry.finetuning.tasks.speech import WhisperClassification, WhisperTranscription
from data_foundry.finetuning.tasks.task import (
    Features,
    Prediction,
    Row,
    Task,
    TokenScore,
    read_base_config,
    row_name,
)
from data_foundry.finetuning.tasks.translation import Translation
from data_foundry.finetuning.training.memory import BatchSize
from data_foundry.records import Rejected
from data_foundry.training_config import TrainingConfig

LABELS = "labels.json"
"""Beside an adapter that brings a head: the labels of its outputs, in order. PEFT's own files do not hold them."""

NOBODY = ""
"""The name of no adapter: what is on where a change has not come to its end."""

TASKS: dict[str, type[Task]] = {
    "speech-to-text": WhisperTranscription,
    "audio-classification": WhisperClassification,
    "text-classification": TextClassification,
    "text-to-text": Translation,
    "text-to-codes": CodecLanguageModel,
}


def load_task(spec: EngineSpec, config: TrainingConfig, base_folder: Path, labels: Sequence[str] = ()) -> Task:
    """Return how this base learns this engine's task, by the architecture that its config names.

    `labels` are those a classifier must know. Raises FoundryError for a base that can't learn the task.
    """
    base = read_base_config(base_folder)
    task = TASKS[spec.task]
    if not task.fits(base):
        raise FoundryError(
            f"{config.base} is a {base.model_type} model, which can't learn {spec.task}.",
            f"For {spec.engine} name a base of this kind: {task.bases}.",
        )
    return task(spec, config, base_folder, base, labels)


def load_predictor(
    spec: EngineSpec,
    config: TrainingConfig,
    base_folder: Path,
    adapters: Mapping[str, Path] | None = None,
    *,
    device: str = "cpu",
    precision: str = "float32",
    batch_size: int = 16,
) -> Predictor:
    """Return a predictor over a base and named adapter folders.

    Raises FoundryError when the base can't learn the task, or an adapter was made for other labels or another base.
    """
    import torch

    folders = dict(adapters or {})
    known = {name: read_labels(folder) for name, folder in folders.items()}
    labels = next((found for found in known.values() if found), ())
    task = load_task(spec, config, base_folder, labels)
    model = task.load_model(getattr(torch, precision)).to(device).eval()
    predictor = Predictor(task, model, batch_size)
    for name, folder in folders.items():
        predictor.add_adapter(name, folder)
    return predictor


def read_labels(adapter_folder: Path) -> tuple[str, ...]:
    """Return the labels that an adapter folder brings, empty when it has none."""
    file = adapter_folder / LABELS
    return tuple(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else ()


class Predictor:
    """A base in memory with any number of adapters; safe to call from several threads, one prediction at a time."""

    def __init__(self, task: Task, model: Any, batch_size: int = 16) -> None:
        self.task, self.model = task, model
        self._batch_size = BatchSize(batch_size)
        self._adapters: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._once: EncodedOnce | None = None
        self._on: str | None = None

    @property
    def batch_size(self) -> int:
        """Rows that go through the model at a time; fewer from the moment on that memory runs out."""
        return self._batch_size.rows

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters in memory."""
        return tuple(self._adapters)

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load an adapter beside the others. Raises FoundryError when it does not fit the base, which is as before."""
        labels = read_labels(folder)
        if labels and labels != self.task.labels:
            raise FoundryError(
                f"Adapter {name} knows {', '.join(labels)}; the model in memory {', '.join(self.task.labels)}.",
                "Load it in a predictor of its own.",
            )
        with self._lock:
            self._switch_open()
            try:
                self.model = self._with_adapter(name, folder)
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                raise FoundryError(
                    f"The adapter in {folder} does not fit {self.task.config.base}: {error}",
                    "Use the base that its adapter_config.json names.",
                ) from None
            self.model.eval()
            self._adapters[name] = folder

    def _with_adapter(self, name: str, folder: Path) -> Any:
        """Return the model with one more adapter. Where its weights can't be loaded, nothing of it is left there."""
        from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftConfig, PeftModel

        model, first = self.model, not isinstance(self.model, PeftModel)
        if first:
            # As PeftModel.from_pretrained does, which hands out nothing to undo where it fails.
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            model = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(config.task_type, PeftModel)(model, config, name)
        try:
            # peft looks for the name anywhere in a key: another adapter's may hold it.
            missing = model.load_adapter(folder, adapter_name=name).missing_keys
            if lacking := [key for key in missing if name in key.split(".")]:
                raise ValueError(f"{len(lacking)} of its weights are missing, {lacking[0]} first")
        except Exception:
            # Its layers are in the base before its weights are read, and what was read of them would answer with it.
            if first:
                _unloaded(model)
            elif name in model.peft_config:
                model.delete_adapter(name)
            raise
        return model

    def remove_adapter(self, name: str) -> None:
        """Let go of an adapter's weights."""
        with self._lock:
            self._folder(name)
            self._switch_open()
            del self._adapters[name]
            if self._adapters:
                # Deleting the one that is switched on raises a warning, and where warnings are errors, half is deleted.
                self.model.set_adapter(next(iter(self._adapters)), inference_mode=True)
                self.model.delete_adapter(name)
            else:
                self.model = _unloaded(self.model)

    def bare(self) -> Predictor:
        """Return a predictor of the base alone: the same weights in memory, under modules of its own.

        An adapter's layers take time where they are off, too. Those that either is given leave the other as fast as it
        is.
        """
        with self._lock:
            self._switch_open()
            weights = {id(each): each for each in (*self.model.parameters(), *self.model.buffers())}
            model = copy.deepcopy(self.model, weights)
            return Predictor(self.task, _unloaded(model) if self._adapters else model, self.batch_size)

    @property
    def labels(self) -> tuple[str, ...]:
        """What a classifier can say; empty for other tasks."""
        return self.task.labels

    def encode(self, row: Row) -> Features:
        """Return what the model is given of a row, to predict from later. Raises Rejected for one it can't take."""
        return self.task.encode(row, with_target=False)

    def why_not(self, row: Row) -> Rejected | None:
        """Return why this base can't take a row, or None when it can."""
        try:
            self.encode(row)
        except Rejected as refusal:
            return refusal
        return None

    def predict(
        self, rows: Sequence[Row], adapter: str | None = None, features: Sequence[Features] | None = None
    ) -> list[Prediction]:
        """Return one prediction a row, in order; `adapter` None is the base alone. Targets in the rows are not read.

        `features` are what `encode` made of the rows, where that was done before.
        Raises FoundryError for an unknown adapter, for a row that the base can't take (see `why_not`), and for a base
        alone that has no head of its own.
        """
        if adapter is None and self.task.base_kind == "linear_probe":
            raise FoundryError(
                f"{self.task.config.base} alone knows no {self.task.spec.label}s.",
                "Give an adapter: the linear probe that lies beside the trained one is the base's stand-in.",
            )
        return self._in_batches(rows, adapter, False, self.task.predict, features)

    def teacher_forced(self, rows: Sequence[Row], adapter: str | None = None) -> list[TokenScore]:
        """Return how well each row's own codec tokens are foreseen. Raises FoundryError as `predict` does."""
        return self._in_batches(rows, adapter, True, self.task.teacher_forced)

    @contextmanager
    def encode_once(self, rows: Sequence[Row], features: Sequence[Features] | None = None) -> Iterator[None]:
        """Encode these rows once for all predictions made of them inside this context.

        The output of an encoder that a task could freeze is computed once, too, for the base and every adapter that
        has no weights in it. `features` are the rows' features where they are made already, targets included.
        """
        with EncodedOnce(self.task, rows, features) as once:
            self._once = once
            try:
                yield
            finally:
                self._once = None

    def _in_batches(
        self,
        rows: Sequence[Row],
        adapter: str | None,
        with_target: bool,
        run: Callable[[Any, Sequence[Features]], list[Any]],
        features: Sequence[Features] | None = None,
    ) -> list[Any]:
        found: list[Any] = []
        # Few enough for their features to be held in memory, enough for rows of a length to meet.
        some = 8 * self.batch_size
        for start in range(0, len(rows), some):
            made = features and features[start : start + some]
            found += self._predicted(rows[start : start + some], start, adapter, with_target, run, made)
        return found

    def _predicted(
        self,
        rows: Sequence[Row],
        start: int,
        adapter: str | None,
        with_target: bool,
        run: Callable[[Any, Sequence[Features]], list[Any]],
        made: Sequence[Features] | None,
    ) -> list[Any]:
        import torch

        once = self._once if self._once is not None and self._once.knows(rows) else None
        kept = once.frozen(rows) if once and not with_target and self._leaves_frozen(adapter) else None
        features = kept or made or self._encoded(rows, start, with_target, once)
        # The longest first: what memory can't hold shows at once.
        order = sorted(range(len(rows)), key=lambda n: -self.task.effort(rows[n], features[n]))
        found: dict[int, Any] = {}
        with self._lock, torch.inference_mode():
            self._switch(adapter)
            if once and kept is None and not with_target and self._leaves_frozen(adapter):
                features = once.freeze(self.model, self._batch_size, rows, features)
            for batch in self._batch_size.batches(order, lambda batch: self._outputs(batch, features, run)):
                found |= batch
        return [found[number] for number in range(len(rows))]

    def _outputs(
        self,
        batch: Sequence[int],
        features: Sequence[Features],
        run: Callable[[Any, Sequence[Features]], list[Any]],
    ) -> dict[int, Any]:
        return dict(zip(batch, run(self.model, [features[number] for number in batch]), strict=True))

    def _encoded(
        self, rows: Sequence[Row], start: int, with_target: bool, once: EncodedOnce | None
    ) -> Sequence[Features]:
        if once is not None:
            return once.features(rows, with_target)
        features = []
        for number, row in enumerate(rows, start):
            try:
                features.append(self.task.encode(row, with_target=with_target))
            except Rejected as refusal:
                raise not_taken(self.task, row_name(row, number), refusal) from None
        return features

    def _leaves_frozen(self, adapter: str | None) -> bool:
        """Return whether the output of what the task can freeze is the base's own under an adapter."""
        if not self.task.freezable:
            return False
        if adapter is None:
            return True
        return not any(set(name.split(".")) & set(self.task.freezable) for name in _weights(self._folder(adapter)))

    def _switch(self, adapter: str | None) -> None:
        """Have an adapter answer, or the base alone, until the next switch.

        PEFT walks all modules for either, which takes as long as an answer of a small model: what is on is left on.
        """
        if adapter is not None:
            self._folder(adapter)
        if adapter == self._on:
            return
        self._switch_open()
        if adapter is not None:
            self.model.set_adapter(adapter, inference_mode=True)
        elif self._adapters:
            self.model.base_model.disable_adapter_layers()
        self._on = adapter

    def _switch_open(self) -> None:
        """Have the adapters' layers take part, as PEFT wants them for a change; what is on is unknown from now on."""
        known, self._on = self._on in self._adapters, NOBODY
        if self._adapters and not known:
            self.model.base_model.enable_adapter_layers()

    def _folder(self, name: str) -> Path:
        if name not in self._adapters:
            raise FoundryError(f"No adapter {name!r} is loaded.", f"Loaded: {', '.join(self._adapters) or 'none'}.")
        return self._adapters[name]


def _unloaded(model: Any) -> Any:
    """Return the base without any adapter. Of one that is on, PEFT would leave the head in the place of the base's."""
    # The one that is on comes last: to delete it before the others raises a warning.
    for name in sorted(model.peft_config, key=lambda name: name in model.active_adapters):
        model.delete_adapter(name)
    return model.unload()


def _weights(adapter_folder: Path) -> list[str]:
    """Return the names of an adapter's weights."""
    from safetensors import safe_open

    with safe_open(adapter_folder / "adapter_model.safetensors", framework="numpy") as file:
        return list(file.keys())
