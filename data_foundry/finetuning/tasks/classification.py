"""Classification: the head that speech and text classifiers share, and classification of a text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.tasks.task import Features, Prediction, Row, Task, padded, written
from data_foundry.records import Rejected

if TYPE_CHECKING:
    import numpy as np
    import torch

UNKNOWN_LABEL = "unknown_label"
"""Why a row is refused whose label the head does not know."""


class ClassifierTask(Task):
    """A task whose target is a label.

    Where the base was published with a head that knows every label asked for, that head is kept. Otherwise it gets a
    new one over `labels`, and the figure to beat is a linear probe. The head is always trained whole.
    """

    selection = ("macro_f1", True)

    def set_labels(self, base: Any, architecture: str, labels: Sequence[str]) -> None:
        """Choose between the base's own head and a new one. `labels` may be empty: whatever the base knows."""
        published = tuple(name for _, name in sorted(base.id2label.items())) if base.id2label else ()
        has_head = architecture in (base.architectures or ()) and not published[0].startswith("LABEL_")
        self.new_head = not has_head or not set(labels) <= set(published)
        self.labels = tuple(sorted(set(labels))) if self.new_head else published
        self.base_kind = "linear_probe" if self.new_head else "as_published"
        if not self.labels:
            raise FoundryError(
                f"{self.folder.name} has no head for {self.spec.engine}, and no adapter brings one.",
                "Load it with an adapter that was trained on it.",
            )
        self._number = {name: number for number, name in enumerate(self.labels)}

    def load_model(self, dtype: torch.dtype) -> Any:
        """Return the base with its head, seeded so that a new head starts the same every time.

        What the checkpoint lacks besides the head is trained and saved with it; where that can't be, it raises
        FoundryError.
        """
        from transformers import set_seed

        set_seed(self.config.seed)
        # Else a config left from another training would choose the loss.
        more: dict[str, Any] = {"problem_type": "single_label_classification"}
        if self.new_head:
            names = dict(enumerate(self.labels))
            more |= {"num_labels": len(names), "id2label": names, "label2id": self._number}
            more |= {"ignore_mismatched_sizes": True}
        model, absent = self.read_model(dtype, **more)
        body = {model.base_model_prefix, "encoder"}
        heads = [
            name for name, part in model.named_children() if name not in body and any(True for _ in part.parameters())
        ]
        if absent and not self.new_head:
            raise self.lacks(absent)
        self.head_modules = (*heads, *self._learnt_too(model, [name for name in absent if not _within(name, heads)]))
        return model

    def _learnt_too(self, model: Any, absent: Sequence[str]) -> list[str]:
        """Return the modules of the base that are trained and saved with the head, for its checkpoint lacks them.

        Such as the pooler of a BERT that only ever filled gaps. Raises FoundryError where most of the base is absent,
        and where a module can't be trained whole.
        """
        outermost = [name for name in absent if not _within(name, [other for other in absent if other != name])]
        body = [name for name, _ in model.base_model.named_parameters()]
        random = [name for name, _ in model.named_parameters() if _within(name, outermost)]
        if "" in outermost or 2 * len(random) > len(body) or (outermost and self.loading):
            raise self.lacks(outermost)
        return outermost

    def head_layer(self, model: Any) -> Any:
        """Return the linear layer that a head ends in, of a model as `load_model` or PEFT gives it.

        Raises FoundryError where there is none.
        """
        import torch

        layers = [
            layer
            for name, layer in model.named_modules()
            if isinstance(layer, torch.nn.Linear)
            and layer.out_features == len(self.labels)
            and set(name.split(".")) & set(self.head_modules)
            and "original_module" not in name.split(".")
        ]
        if not layers:
            raise FoundryError(
                f"The head of {self.config.base} ends in no linear layer, so no linear probe can be fitted on it.",
                f"For {self.spec.engine} name a base of this kind: {self.bases}.",
            )
        return layers[-1]

    def read_by_head(self, model: Any, features: Sequence[Features]) -> torch.Tensor:
        """Return what the last layer of the head reads of one batch (rows x width)."""
        # In the layer's place what it is given: so the model itself says which of several positions counts.
        hook = self.head_layer(model).register_forward_hook(lambda layer, given, made: given[0])
        try:
            return self.logits(model, features)
        finally:
            hook.remove()

    def set_head(self, model: Any, weights: np.ndarray, bias: np.ndarray) -> None:
        """Make the head a linear map (labels x width, labels) of what `read_by_head` returns."""
        set_linear(self.head_layer(model), weights, bias)

    @abstractmethod
    def logits(self, model: Any, features: Sequence[Features]) -> torch.Tensor:
        """Return the logits of one batch (rows x labels)."""

    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        return self.predictions(self.logits(model, features))

    def label_id(self, row: Row) -> int:
        """Return the number of a row's label. Raises Rejected for a label that the head does not know."""
        label = row.get(self.spec.label)
        if label not in self._number:
            raise Rejected(UNKNOWN_LABEL, str(label))
        return self._number[label]

    def predictions(self, logits: torch.Tensor) -> list[Prediction]:
        """Return the likeliest label of every row, with all probabilities."""
        found = []
        for row in logits.float().softmax(-1).cpu().tolist():
            best = max(range(len(row)), key=row.__getitem__)
            found.append(Prediction(self.labels[best], row[best], dict(zip(self.labels, row, strict=True))))
        return found

    def validation_figures(self, logits: Any, labels: Any) -> dict[str, float]:
        from sklearn.metrics import accuracy_score, f1_score

        chosen = (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)
        macro = f1_score(labels, chosen, average="macro", labels=sorted(set(labels.tolist())), zero_division=0)
        return {"macro_f1": float(macro), "accuracy": float(accuracy_score(labels, chosen))}


def _within(name: str, modules: Sequence[str]) -> bool:
    """Return whether a module or weight is one of some modules or a part of one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def set_linear(layer: Any, weights: np.ndarray, bias: np.ndarray) -> None:
    """Write the weights of a linear layer, and its bias where it has one."""
    import torch

    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))


class TextClassification(ClassifierTask):
    """A class of text, from any encoder that transformers can put a classifier on."""

    bases = "any encoder with a sequence classifier (BERT, XLM-R, ...)"
    opened_by = "AutoModelForSequenceClassification"
    peft_type = "SEQ_CLS"

    def open(self, base: Any, labels: Sequence[str]) -> None:
        super().open(base, labels)
        self.set_labels(base, self.model_class()._model_mapping[type(base)].__name__, labels)

    def limits(self, base: Any) -> tuple[int | None, ...]:
        (positions,) = super().limits(base)
        if positions and base.model_type in ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert"):
            positions -= base.pad_token_id + 1  # these count their positions from the padding id on
        return self.tokenizer.model_max_length, positions

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        if row["text"] is None:
            raise Rejected("no_text")
        features = dict(self.tokenizer(written(row["text"])))
        self.check_length(len(features["input_ids"]))
        if with_target:
            features["labels"] = self.label_id(row)
        return features

    def collate(self, features: Sequence[Features]) -> dict[str, torch.Tensor]:
        import torch

        fill = {"input_ids": self.tokenizer.pad_token_id or 0}
        names = [name for name in features[0] if name != "labels"]
        batch = {name: padded([row[name] for row in features], fill.get(name, 0)) for name in names}
        if "labels" in features[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in features])
        return batch

    def logits(self, model: Any, features: Sequence[Features]) -> torch.Tensor:
        batch = {name: values.to(model.device) for name, values in self.collate(features).items() if name != "labels"}
        found: torch.Tensor = model(**batch).logits
        return found
