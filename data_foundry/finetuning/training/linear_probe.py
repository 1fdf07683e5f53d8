"""The linear probe: the best linear head of a frozen base, which is what an adapter on it has to beat.

A frozen base says the same of a row every time. So every row goes through it once, and what the last layer of its head
reads is given to scikit-learn's logistic regression, whose loss has one minimum: it is found, and not only approached
for as many epochs as somebody thought of. How far the weights are held back is chosen on validation rows.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.finetuning.tasks.classification import ClassifierTask
from data_foundry.finetuning.tasks.task import Features
from data_foundry.finetuning.training.lora import save_adapter, with_lora
from data_foundry.finetuning.training.memory import BatchSize
from data_foundry.finetuning.training.train import lengths_of
from data_foundry.finetuning.training.training_arguments import uses_gpu
from data_foundry.training_config import Training, TrainingConfig

if TYPE_CHECKING:
    import numpy as np

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""The inverse strengths of regularisation (scikit-learn's C) that are tried, the strongest first."""
UNCHOSEN = 1e-2
"""The one that is taken where there are no validation rows to choose it on."""
MOST_ITERATIONS = 1000
NEVER = -30.0
"""The logit, below the others' bias, of a label that no row has."""
SMALLEST_SPREAD = 1e-9
"""Standard deviation under which a feature is a constant, and left as it is."""
log = logging.getLogger("data_foundry")


@dataclass(frozen=True)
class ProbeRecord:
    """How a linear probe came about: what was tried, what validation chose, and whether the minimum was reached."""

    solver: str
    tried: list[dict[str, float]]
    selected_by: str
    C: float
    converged: bool
    rows: int
    width: int
    trainable_parameters: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def fit_linear_probe(
    task: ClassifierTask,
    config: TrainingConfig,
    training: Training,
    rows: Sequence[Features],
    validation: Sequence[Features],
    folder: Path,
    *,
    revision: str | None = None,
) -> ProbeRecord:
    """Fit a head on encoded rows and write it to `folder` as an adapter whose LoRA layers do nothing.

    Equal inputs leave equal weights on the same machine with the same libraries and threads. Raises FoundryError for a
    base whose head ends in no linear layer, and when memory holds not even one row.
    """
    from threadpoolctl import threadpool_limits

    # LoRA layers start as nothing and stay so; PEFT asks for some, and the fewest weights do.
    model: Any = with_lora(task, config, rank=1)
    model = model.to("cuda" if uses_gpu(training) else "cpu").eval()
    batch_size = BatchSize(config.batch_size)
    learnt, validated = (_read(task, model, part, batch_size) for part in (rows, validation))
    with threadpool_limits(training.threads):
        found, tried = _fitted(learnt, validated, len(task.labels), task.head_layer(model).bias is not None)
    if not found.converged:
        log.warning("%s: the linear probe was not at its end after %d iterations", task.spec.name, MOST_ITERATIONS)
    task.set_head(model, found.weights, found.bias)
    save_adapter(model, folder, base=config.base, revision=revision, labels=task.labels)
    return ProbeRecord(
        solver=f"LogisticRegression (lbfgs) of scikit-learn {version('scikit-learn')}, on standardised features",
        tried=tried,
        selected_by="macro_f1" if len(validation) else "nothing: there are no validation rows",
        C=found.strength,
        converged=found.converged,
        rows=len(rows),
        width=found.weights.shape[1],
        trainable_parameters=found.weights.size + found.bias.size,
    )


@dataclass(frozen=True)
class _Read:
    """What the last layer of a head reads of some rows (rows x width), and the numbers of their labels."""

    values: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class _Fitted:
    """A linear map to logits: weights (labels x width), bias (labels), its C, and whether the fit came to its end."""

    weights: np.ndarray
    bias: np.ndarray
    strength: float
    converged: bool


def _read(task: ClassifierTask, model: Any, rows: Sequence[Features], batch_size: BatchSize) -> _Read:
    """Return what the head reads of every row, each once, those of a length together and the longest first."""
    import numpy as np
    import torch

    def read(places: Sequence[int]) -> dict[int, Any]:
        values = task.read_by_head(model, [rows[place] for place in places]).double().cpu().numpy()
        return dict(zip(places, values, strict=True))

    lengths = lengths_of(task, rows)
    found: dict[int, Any] = {}
    with torch.inference_mode():
        for batch in batch_size.batches(sorted(range(len(rows)), key=lambda n: -lengths[n]), read):
            found |= batch
    values = np.array([found[place] for place in range(len(rows))])
    return _Read(values, np.array([row["labels"] for row in rows], dtype=int))


def _fitted(learnt: _Read, validated: _Read, labels: int, biased: bool) -> tuple[_Fitted, list[dict[str, float]]]:
    """Return the map whose macro-F1 on validation is best, the more restrained of equals, and what was tried."""
    from sklearn.metrics import f1_score

    if not len(validated.labels):
        return _fit(learnt, labels, biased, UNCHOSEN), []
    tried: list[dict[str, float]] = []
    best: _Fitted | None = None
    for strength in STRENGTHS:
        found = _fit(learnt, labels, biased, strength)
        said = (validated.values @ found.weights.T + found.bias).argmax(1)
        known = sorted(set(validated.labels.tolist()))
        score = float(f1_score(validated.labels, said, average="macro", labels=known, zero_division=0))
        if best is None or score > max(one["macro_f1"] for one in tried):
            best = found
        tried.append({"C": strength, "macro_f1": score})
    assert best is not None
    return best, [{name: round(value, 6) for name, value in one.items()} for one in tried]


def _fit(learnt: _Read, labels: int, biased: bool, strength: float) -> _Fitted:
    """Return the map to all labels that logistic regression finds; where it is `biased`, one that no row has is last.

    Without a bias the features can't be centred either: what that takes away could not be put back.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weights, bias = np.zeros((labels, learnt.values.shape[1])), np.full(labels, NEVER)
    present = np.unique(learnt.labels)
    if len(present) == 1:
        bias[present] = 0.0
        return _Fitted(weights, bias, strength, True)
    middle, spread = learnt.values.mean(0), learnt.values.std(0)
    spread[spread < SMALLEST_SPREAD] = 1.0
    middle *= biased
    model = LogisticRegression(C=strength, max_iter=MOST_ITERATIONS, fit_intercept=biased)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the record says so
        model.fit((learnt.values - middle) / spread, learnt.labels)
    found, offset = model.coef_, model.intercept_
    offset = np.broadcast_to(offset, len(found))  # 0 where there is none
    if len(present) == 2:  # of two labels it keeps the difference alone
        found, offset = np.concatenate([-found, found]) / 2, np.concatenate([-offset, offset]) / 2
    weights[present] = found / spread
    bias[present] = offset - weights[present] @ middle
    bias[[label for label in range(labels) if label not in present]] += offset.min()
    return _Fitted(weights, bias, strength, bool((model.n_iter_ < MOST_ITERATIONS).all()))
