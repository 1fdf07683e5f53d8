"""Classifiers: weights that a base's checkpoint lacks, and a loss that is always that of one label a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import load_predictor, load_task
from data_foundry.finetuning.tasks.task import Task
from data_foundry.finetuning.training.train import train_adapter
from data_foundry.records import AIEngine
from data_foundry.training_config import Training, TrainingConfig
from finetuning import tiny_bases

NLU = ENGINES[AIEngine.NLU]
LABELS = ("asks", "tells")


def classifier(folder: Path, **changes: Any) -> Task:
    own = {"base": "tiny/base", "target_modules": ("query", "value", "dense"), "lora_rank": 2, "epochs": 1}
    return load_task(NLU, TrainingConfig(**{**own, "batch_size": 4, **changes}), folder, LABELS)


def trained(task: Task, folder: Path, **options: Any) -> Path:
    rows = [{"text": text, "label": LABELS[number % 2]} for number, text in enumerate(tiny_bases.SENTENCES[:8])]
    features = [task.encode(row) for row in rows]
    training = Training(gpu_enabled=False, mixed_precision=False)
    train_adapter(task, task.config, training, features, features[:4], folder, revision="abc", **options)
    return folder


def masked_language_model(folder: Path) -> Path:
    """A BERT that only ever filled gaps: its checkpoint has no pooler."""
    from transformers import AutoConfig, BertForMaskedLM, set_seed

    tiny_bases.bert(folder, labels=())
    set_seed(3)
    BertForMaskedLM(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    return folder


def test_weights_that_a_base_lacks_are_trained_and_published_so_that_plain_code_gets_the_same_answers(
    tmp_path: Path,
) -> None:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification, set_seed

    base = masked_language_model(tmp_path / "base")
    task = classifier(base)
    adapter = trained(task, tmp_path / "adapter")
    assert task.head_modules == ("classifier", "bert.pooler.dense")
    stored = load_file(adapter / "adapter_model.safetensors")
    assert {"base_model.model.bert.pooler.dense.weight", "base_model.model.classifier.weight"} <= set(stored)
    assert not [name for name in stored if "pooler" in name and "lora" in name]

    rows = [{"text": text} for text in tiny_bases.SENTENCES[:4]]
    ours = load_predictor(NLU, task.config, base, {"adapter": adapter}).predict(rows, "adapter")
    set_seed(123)
    model: Any = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    model = PeftModel.from_pretrained(model, adapter).eval()
    with torch.no_grad():
        plain = model(**task.collate([task.encode(row, with_target=False) for row in rows])).logits.softmax(-1)
    for prediction, probabilities in zip(ours, plain.tolist(), strict=True):
        assert list(prediction.classes.values()) == pytest.approx(probabilities, abs=1e-6)


def test_a_base_that_lacks_most_of_itself_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    base = tiny_bases.bert(tmp_path / "base", labels=())
    weights = load_file(base / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "embeddings" in name}
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FoundryError, match=r"tiny/base lacks weights of bert\.encoder\.layer\.0\.attention"):
        classifier(base).load_model(torch.float32)


def test_a_generating_base_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    base = tiny_bases.t5(tmp_path / "base", {"ml-en": ">>eng<< ", "en-ml": ">>mal<< "})
    weights = load_file(base / "model.safetensors")
    gone = "decoder.final_layer_norm.weight"
    save_file({k: v for k, v in weights.items() if k != gone}, base / "model.safetensors", metadata={"format": "pt"})
    task = load_task(ENGINES[AIEngine.TRANSLATION], TrainingConfig(base="tiny/base"), base)
    with pytest.raises(FoundryError, match=r"tiny/base lacks weights of decoder\.final_layer_norm: they would be"):
        task.load_model(torch.float32)


@pytest.mark.parametrize("known", [(), LABELS])
def test_a_base_left_over_from_another_kind_of_training_learns_one_label_a_row(
    tmp_path: Path, known: tuple[str, ...]
) -> None:
    from transformers import AutoConfig

    base = tiny_bases.bert(tmp_path / "base", labels=known)
    config = AutoConfig.from_pretrained(base)
    config.problem_type = "multi_label_classification"
    config.save_pretrained(base)
    task = classifier(base)
    assert task.base_kind == ("as_published" if known else "linear_probe")
    assert (trained(task, tmp_path / "adapter") / "adapter_model.safetensors").is_file()
