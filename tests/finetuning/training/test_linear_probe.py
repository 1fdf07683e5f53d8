"""The linear probe: what scikit-learn finds on the frozen base, written so that everything that opens adapters can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import load_predictor
from data_foundry.finetuning.tasks.classification import ClassifierTask
from data_foundry.finetuning.tasks.task import Row
from data_foundry.finetuning.training import linear_probe
from data_foundry.finetuning.training.linear_probe import ProbeRecord, fit_linear_probe
from data_foundry.lake import sha256_file
from data_foundry.records import AIEngine
from data_foundry.training_config import Training, recorded_config
from finetuning.evaluation.test_predict import task_for
from finetuning.gold_builders import rows

QUIET = Training(gpu_enabled=False, mixed_precision=False)
REGIONS = ("cochin", "malabar", "travancore")
POLARITIES = ("negative", "positive")


def classifier(hub: Path, engine: AIEngine, base: str | None = None, **changes: Any) -> ClassifierTask:
    labels = REGIONS if engine is AIEngine.DIALECT else POLARITIES
    task = task_for(hub, engine, base, labels, **{"batch_size": 4, **changes})
    assert isinstance(task, ClassifierTask)
    return task


def fitted(
    task: ClassifierTask, folder: Path, learnt: Sequence[Row], validated: Sequence[Row] = ()
) -> tuple[ProbeRecord, np.ndarray]:
    """The record, and the probabilities that the written probe gives the learnt rows (rows x labels)."""
    features = [[task.encode(row) for row in part] for part in (learnt, validated)]
    record = fit_linear_probe(task, task.config, QUIET, features[0], features[1], folder, revision="abc")
    predictor = load_predictor(task.spec, task.config, task.folder, {"probe": folder})
    return record, np.array([list(p.classes.values()) for p in predictor.predict(learnt, "probe")])


def own(read: np.ndarray, truth: Sequence[str], strength: float) -> np.ndarray:
    """Probabilities of scikit-learn's own pipeline."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    found: np.ndarray = model.fit(read.astype(np.float64), truth).predict_proba(read.astype(np.float64))
    return found


def test_the_probe_of_speech_is_logistic_regression_on_the_mean_of_the_frozen_encoders_states(
    hub: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import WhisperModel

    task = classifier(hub, AIEngine.DIALECT)
    learnt = rows(AIEngine.DIALECT, 15)
    record, found = fitted(task, tmp_path / "probe", learnt)
    assert (record.C, record.rows, record.width, record.converged) == (linear_probe.UNCHOSEN, 15, 16, True)
    assert record.selected_by.startswith("nothing") and record.tried == []
    encoder = WhisperModel.from_pretrained(task.folder).get_encoder().eval()
    with torch.no_grad():
        sound = torch.tensor(np.stack([task.encode(row)["input_features"] for row in learnt]))
        read = encoder(sound).last_hidden_state.mean(1).numpy()
    assert found == pytest.approx(own(read, [row["dialect"] for row in learnt], record.C), abs=2e-5)


@pytest.mark.parametrize("base", ["tiny/bert", "tiny/xlm-roberta"])
def test_the_probe_of_text_is_logistic_regression_on_what_the_last_layer_of_the_head_reads(
    hub: Path, tmp_path: Path, base: str
) -> None:
    """Of two labels, of which scikit-learn keeps the difference alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, set_seed

    task = classifier(hub, AIEngine.SENTIMENT, base)
    learnt = rows(AIEngine.SENTIMENT, 16)
    record, found = fitted(task, tmp_path / "probe", learnt)
    set_seed(task.config.seed)
    model: Any = AutoModelForSequenceClassification.from_pretrained(task.folder, num_labels=2).eval()
    last = model.classifier if base == "tiny/bert" else model.classifier.out_proj
    heard: list[torch.Tensor] = []
    last.register_forward_pre_hook(lambda layer, given: heard.append(given[0]))
    with torch.no_grad():
        for row in learnt:
            model(**task.collate([task.encode(row, with_target=False)]))
    read = torch.cat(heard).numpy()
    assert found == pytest.approx(own(read, [row["label"] for row in learnt], record.C), abs=2e-4)


def test_a_head_without_a_bias_gets_none_and_reads_the_position_that_the_model_chooses(
    hub: Path, tmp_path: Path
) -> None:
    """A decoder's: scores every position and takes that of the last token."""
    from sklearn.linear_model import LogisticRegression

    task = classifier(hub, AIEngine.SENTIMENT, "tiny/codec-llama", target_modules=("q_proj", "v_proj"))
    learnt = rows(AIEngine.SENTIMENT, 12)
    record, found = fitted(task, tmp_path / "probe", learnt)
    model: Any = task.load_model("float32").eval()  # type: ignore[arg-type]
    assert task.head_layer(model).bias is None
    features = [task.encode(row, with_target=False) for row in learnt]
    read = task.read_by_head(model, features).detach().double().numpy()
    assert read.shape == (12, record.width)
    scaled = read / read.std(0)
    plain = LogisticRegression(C=record.C, max_iter=1000, fit_intercept=False)
    expected = plain.fit(scaled, [row["label"] for row in learnt]).predict_proba(scaled)
    assert found == pytest.approx(expected, abs=2e-4)


def test_validation_chooses_how_far_the_weights_are_held_back_and_equal_inputs_leave_equal_files(
    hub: Path, tmp_path: Path
) -> None:
    task = classifier(hub, AIEngine.SENTIMENT)
    learnt, validated = rows(AIEngine.SENTIMENT, 16), rows(AIEngine.SENTIMENT, 8, "validation")
    record, _ = fitted(task, tmp_path / "once", learnt, validated)
    again, _ = fitted(task, tmp_path / "again", learnt, validated)
    assert [one["C"] for one in record.tried] == list(linear_probe.STRENGTHS)
    best = max(one["macro_f1"] for one in record.tried)
    # Of equals the more restrained.
    assert next(one["C"] for one in record.tried if one["macro_f1"] == best) == record.C
    assert (record.selected_by, record) == ("macro_f1", again)
    names = sorted(path.name for path in (tmp_path / "once").iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors", "labels.json"]
    assert [sha256_file(tmp_path / "once" / n) for n in names] == [sha256_file(tmp_path / "again" / n) for n in names]


def test_a_label_that_no_row_has_is_never_said(hub: Path, tmp_path: Path) -> None:
    task = classifier(hub, AIEngine.DIALECT)
    without = [row for row in rows(AIEngine.DIALECT, 12) if row["dialect"] != "malabar"]
    _, found = fitted(task, tmp_path / "two", without)
    assert found[:, 1].max() < 1e-6 and (np.abs(found.sum(1) - 1) < 1e-5).all()
    alone = [row for row in without if row["dialect"] == "cochin"]
    _, found = fitted(task, tmp_path / "one", alone)
    assert found[:, 0].min() > 0.999


def test_a_probe_that_has_not_come_to_its_end_says_so(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(linear_probe, "MOST_ITERATIONS", 1)
    record, _ = fitted(classifier(hub, AIEngine.SENTIMENT), tmp_path / "probe", rows(AIEngine.SENTIMENT, 16))
    assert not record.converged and "not at its end after 1 iterations" in caplog.text


def test_a_head_that_can_hold_no_linear_map_is_refused(hub: Path, tmp_path: Path) -> None:
    task = classifier(hub, AIEngine.DIALECT)
    model = task.load_model("float32")  # type: ignore[arg-type]
    with pytest.raises(FoundryError, match="17 labels are more than the 16 numbers"):
        task.set_head(model, np.zeros((17, 16)), np.zeros(17))
    model.classifier = None
    with pytest.raises(FoundryError, match="ends in no linear layer"):
        task.head_layer(model)


def test_a_version_trained_with_settings_that_have_gone_can_still_be_read() -> None:
    found = recorded_config({"base": "owner/name", "epochs": 2.0, "probe_epochs": 40.0, "probe_learning_rate": 0.003})
    assert (found.base, found.epochs) == ("owner/name", 2.0)
    with pytest.raises(ValueError, match="prob_epochs"):
        recorded_config({"base": "owner/name", "prob_epochs": 40.0})
