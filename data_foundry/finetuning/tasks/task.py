"""What every way of learning shares: how a base is opened, which rows it can take, and what it predicts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data_foundry.engines import EngineSpec
from data_foundry.engines.spec import Task as EngineTask
from data_foundry.errors import FoundryError
from data_foundry.finetuning.rules import ENCODING
from data_foundry.records import Rejected
from data_foundry.training_config import TrainingConfig

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import LogitsProcessorList

Row = Mapping[str, Any]
Features = dict[str, Any]
BaseKind = Literal["as_published", "linear_probe"]
IGNORED = -100
"""The label that the loss leaves out: padding."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one row.

    `output` is a text, a label, or codec tokens (layers x frames). `confidence` is the probability of the label, or
    the geometric mean of the probabilities of the generated tokens; None where nothing was generated. `classes` gives
    the probability of every label of a classifier.
    """

    output: str | list[list[int]]
    confidence: float | None = None
    classes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenScore:
    """How well a model foresees one row's codec tokens, each given all true tokens before it.

    `loss` is the sum of their cross-entropies in nats, `right` how many of the `tokens` were likeliest.
    """

    loss: float
    right: int
    tokens: int


class Task(ABC):
    """One family of bases and what it learns: opens the base, encodes rows, predicts.

    `bases` says for people which bases fit, `opened_by` names the class of transformers that opens them. `limit` is the
    most tokens that a row may have, `limited_by` the part of a base that takes no more. `peft_type` is PEFT's task
    type, None where PEFT's wrapper of that type would not fit the model. `head_modules` are the modules on top of the
    base that are trained whole, and those that its checkpoint lacks: they are known once the base is loaded.
    `base_kind` is "linear_probe" where the base has no head that knows the labels, so that the figure to beat is a head
    trained on the frozen base. `selection` is the validation figure that chooses the best epoch, and whether more is
    better. `frozen_modules` are parts of module paths, such as "encoder", that training leaves as they are, because the
    features hold their output already; `freezable` are those that config.freeze_encoder freezes. `loading` is what
    from_pretrained is given besides the precision. A task can be pickled: it is opened again from its folder.
    """

    bases: str
    opened_by: str
    tokenizer: Any = None
    limit: int
    limited_by = "base"
    peft_type: str | None = None
    head_modules: tuple[str, ...] = ()
    base_kind: BaseKind = "as_published"
    labels: tuple[str, ...] = ()
    selection: tuple[str, bool] = ("loss", False)
    freezable: tuple[str, ...] = ()
    loading: Mapping[str, Any] = {}

    def __init__(
        self, spec: EngineSpec, config: TrainingConfig, folder: Path, base: Any, labels: Sequence[str] = ()
    ) -> None:
        """Open the tokenizer or feature extractor in `folder`; `base` is its transformers config.

        Raises FoundryError for a base or configuration that the task can't be learnt with.
        """
        self.spec, self.config, self.folder = spec, config, folder
        if config.freeze_encoder and not self.freezable:
            raise FoundryError(
                f"{spec.configured_at}.freeze_encoder is true, but {spec.task} has no encoder to compute once.",
                "Only speech-to-text does; set it to false.",
            )
        self.frozen_modules = self.freezable if config.freeze_encoder else ()
        self.open(base, labels)

    def __reduce__(self) -> tuple[Any, ...]:
        config = self.config.model_dump_json()
        return _opened, (type(self), self.spec.name, self.spec.task, config, self.folder, self.labels)

    @property
    def encoding(self) -> dict[str, Any]:
        """What features of this task depend on besides the rows and the base."""
        return {
            "rules": ENCODING,
            "task": type(self).__name__,
            "label": self.spec.label,
            "labels": self.labels,
            "max_length": self.config.max_length,
        }

    def open(self, base: Any, labels: Sequence[str]) -> None:
        """Open what lies beside the base's weights: here its tokenizer, and how many tokens a row may have."""
        self.tokenizer = self.open_tokenizer()
        self.limit = min([self.config.max_length, *(limit for limit in self.limits(base) if limit)])

    def open_tokenizer(self) -> Any:
        """Return the base's tokenizer."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder)

    def limits(self, base: Any) -> tuple[int | None, ...]:
        """Return the most tokens that the parts of a base take; None for one that does not say."""
        return (getattr(base, "max_position_embeddings", None),)

    def check_length(self, tokens: int, what: str = "tokens", *, spare: int = 0) -> None:
        """Raise Rejected for more tokens than a row may have; `spare` more have to find room."""
        if tokens + spare > self.limit:
            raise Rejected("too_many_tokens", f"{tokens} {what}, the {self.limited_by} takes {self.limit}")

    @classmethod
    def model_class(cls) -> Any:
        """Return the class of transformers that opens the base."""
        import transformers

        return getattr(transformers, cls.opened_by)

    @classmethod
    def fits(cls, base: Any) -> bool:
        """Return whether a base with this transformers config can learn the task."""
        return type(base) in cls.model_class()._model_mapping

    def skeleton(self) -> Any:
        """Return the base's modules without any weights, which takes neither memory nor its checkpoint."""
        import torch

        made: Any = self.model_class()
        with torch.device("meta"):
            make = made.from_config if hasattr(made, "from_config") else made._from_config
            return make(read_base_config(self.folder))

    def whole_model(self, dtype: torch.dtype) -> Any:
        """Return the base as its checkpoint has it. Raises FoundryError where that lacks weights of the model."""
        model, absent = self.read_model(dtype)
        if absent:
            raise self.lacks(absent)
        return model

    def read_model(self, dtype: torch.dtype, **more: Any) -> tuple[Any, list[str]]:
        """Return the base, and the modules that its checkpoint has no fitting weights for: these start at random."""
        model, report = self.model_class().from_pretrained(
            self.folder, dtype=dtype, **self.loading, **more, output_loading_info=True
        )
        keys = [*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])]
        return model, sorted({key.rpartition(".")[0] for key in keys})

    def lacks(self, modules: Sequence[str]) -> FoundryError:
        """Return the error for a base whose checkpoint has no weights for some modules, so that they'd be random."""
        shown = ", ".join(name or "the model itself" for name in modules[:5])
        more = f" and {len(modules) - 5} more modules" if len(modules) > 5 else ""
        return FoundryError(
            f"{self.config.base} lacks weights of {shown}{more}: they would be random, and no adapter holds them.",
            f"Name a base with all weights that {self.spec.task} needs.",
        )

    def load_model(self, dtype: torch.dtype) -> Any:
        """Return the base, freshly read, in `dtype`; a head that the base does not have starts at random."""
        return self.whole_model(dtype)

    @abstractmethod
    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        """Return the model inputs of one row, with `labels` when `with_target`. Raises Rejected."""

    @abstractmethod
    def collate(self, features: Sequence[Features]) -> dict[str, torch.Tensor]:
        """Return one padded batch."""

    @abstractmethod
    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        """Return the predictions of one batch of features, in order; greedy, so that a repeat says the same."""

    def length(self, features: Features) -> int:
        """Return what batches of alike rows are made by: here the number of input tokens."""
        return len(features["input_ids"])

    def effort(self, row: Row, features: Features) -> int:
        """Return what predictions of alike rows are batched by: here the number of input tokens."""
        return len(features["input_ids"])

    def without_target(self, features: Features) -> Features:
        """Return features that were encoded with a target as `encode` makes them without one."""
        return {name: value for name, value in features.items() if name != "labels"}

    def frozen_output(self, model: Any, features: Sequence[Features]) -> torch.Tensor:
        """Return what the `freezable` modules of a model make of some rows (rows x positions x width)."""
        raise FoundryError(f"{self.spec.task} has no part whose output could be kept.", "Use predict().")

    def with_frozen_output(self, features: Features, output: Any) -> Features:
        """Return features that hold a row's frozen output (positions x width) in place of what it was made from."""
        raise FoundryError(f"{self.spec.task} has no part whose output could be kept.", "Use predict().")

    def teacher_forced(self, model: Any, features: Sequence[Features]) -> list[TokenScore]:
        """Return the token scores of one batch; only for codec tokens."""
        raise FoundryError(f"{self.spec.task} is not scored token by token.", "Use predict().")

    def validation_figures(self, logits: Any, labels: Any) -> dict[str, float]:
        """Return further figures of a validation pass from numpy arrays, for `selection`."""
        return {}


@lru_cache(maxsize=1)
def _opened(kind: type[Task], name: str, does: EngineTask, config: str, folder: Path, labels: tuple[str, ...]) -> Task:
    """Open a task again, in another process most often; a process opens it once for all its pieces of work."""
    from data_foundry.engines.adapters import spec_of

    trained_by = TrainingConfig.model_validate_json(config)
    return kind(spec_of(name, does), trained_by, folder, read_base_config(folder), labels)


def read_base_config(folder: Path) -> Any:
    """Return the base's transformers config. Raises FoundryError when the folder holds none that can be read."""
    from transformers import AutoConfig

    quiet_transformers()
    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise FoundryError(
            f"{folder} can't be opened as a base model: {error}",
            "Name a transformers checkpoint that needs no code of its own.",
        ) from None


def quiet_transformers() -> None:
    """Keep transformers' progress bars and advice off the terminal: our own log says what happens."""
    import warnings

    import transformers

    # PEFT asks transformers by a name that transformers has renamed; that is between the two of them.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def row_name(row: Row, place: int) -> str:
    """Return a row's id, or its number where it has none."""
    return str(row.get("row_id", place))


def as_numpy(values: torch.Tensor) -> np.ndarray:
    """Return a tensor as a numpy array, bfloat16 as its bits (uint16): numpy has no such type."""
    import torch

    values = values.detach().cpu()
    return (values.view(torch.uint16) if values.dtype is torch.bfloat16 else values).numpy()


def padded(rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> torch.Tensor:
    """Return integer rows as one tensor (rows x longest), filled up with `value` on the right, or left."""
    import torch

    longest = max(len(row) for row in rows)
    filled = [
        [value] * (longest - len(row)) + [*row] if left else [*row] + [value] * (longest - len(row)) for row in rows
    ]
    return torch.tensor(filled, dtype=torch.long)


def written(text: str | None) -> str:
    """Return a text that says something. Raises Rejected("empty_text")."""
    if not text or not text.strip():
        raise Rejected("empty_text")
    return text


class GreedySteps:
    """Records the probability of the likeliest token at every step of a greedy generation.

    Give `processors` to `generate`; what generate returns as scores would hold the whole vocabulary for every step.
    """

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    @property
    def processors(self) -> LogitsProcessorList:
        from transformers import LogitsProcessor, LogitsProcessorList

        steps = self.steps

        class Recorder(LogitsProcessor):
            def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
                steps.append(scores.float().log_softmax(-1).amax(-1).cpu())
                return scores

        return LogitsProcessorList([Recorder()])

    def confidences(self, sequences: torch.Tensor, end: int | Sequence[int] | None) -> list[float | None]:
        """Return the geometric mean of the probabilities of each row's tokens, up to and with its first end token."""
        if not self.steps:
            return [None] * len(sequences)
        import torch

        ends = set([end] if isinstance(end, int) else end or ())
        logs = torch.stack(self.steps, dim=1)
        generated = sequences[:, -logs.shape[1] :].cpu()
        found: list[float | None] = []
        for tokens, values in zip(generated.tolist(), logs.tolist(), strict=True):
            length = next((place + 1 for place, token in enumerate(tokens) if token in ends), len(tokens))
            found.append(math.exp(sum(values[:length]) / length))
        return found
