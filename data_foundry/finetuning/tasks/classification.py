"""Classification: the head that speech and text classifiers share, and classification of a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.tasks.task import Features, Prediction, Row, Task, padded, token_limit
from data_foundry.records import Rejected
from data_foundry.training_config import TrainingConfig

if TYPE_CHECKING:
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

    def load_with_head(self, dtype: torch.dtype) -> Any:
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


class TextClassification(ClassifierTask):
    """A class of text, from any encoder that transformers can put a classifier on."""

    bases = "any encoder with a sequence classifier (BERT, XLM-R, ...)"
    peft_type = "SEQ_CLS"

    def __init__(
        self, spec: EngineSpec, config: TrainingConfig, folder: Path, base: Any, labels: Sequence[str] = ()
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        super().__init__(spec, config, folder, base)
        model: Any = AutoModelForSequenceClassification._model_mapping[type(base)]
        self.set_labels(base, model.__name__, labels)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        positions = getattr(base, "max_position_embeddings", None)
        if positions and base.model_type in ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert"):
            positions -= base.pad_token_id + 1  # these count their positions from the padding id on
        self.limit = token_limit(config, self.tokenizer.model_max_length, positions)

    @classmethod
    def fits(cls, base: Any) -> bool:
        from transformers import AutoModelForSequenceClassification

        return type(base) in AutoModelForSequenceClassification._model_mapping

    @property
    def model_class(self) -> Any:
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification

    def load_model(self, dtype: torch.dtype) -> Any:
        return self.load_with_head(dtype)

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        if row["text"] is None:
            raise Rejected("no_text")
        if not row["text"].strip():
            raise Rejected("empty_text")
        features = dict(self.tokenizer(row["text"]))
        if len(features["input_ids"]) > self.limit:
            raise Rejected("too_many_tokens", f"{len(features['input_ids'])} tokens, the base takes {self.limit}")
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

    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        batch = {name: values.to(model.device) for name, values in self.collate(features).items() if name != "labels"}
        return self.predictions(model(**batch).logits)
