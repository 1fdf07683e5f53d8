"""Evaluation: base and adapted on the same rows, named for what they are, in figures that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluate import evaluate
from data_foundry.finetuning.predict import Predictor, load_predictor
from data_foundry.finetuning.task import Prediction
from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine
from finetuning.gold_builders import commit_gold, gold, rows
from finetuning.test_adapt import Build, run, version
from finetuning.test_predict import adapter_with, task_for


class Scripted(Predictor):
    """A predictor that says what it is told to: `answers` by adapter name."""

    def __init__(self, predictor: Predictor, answers: dict[str | None, list[str]]) -> None:
        super().__init__(predictor.task, predictor.model)
        self.answers = answers

    def predict(self, rows: object, adapter: str | None = None) -> list[Prediction]:
        return [Prediction(text) for text in self.answers[adapter]]


def scripted(hub: Path, engine: AIEngine, base: list[str], adapted: list[str]) -> Scripted:
    task = task_for(hub, engine)
    predictor = load_predictor(ENGINES[engine], task.config, task.folder)
    return Scripted(predictor, {None: base, "new": adapted})


def test_an_identity_adapter_changes_no_figure(hub: Path, tmp_path: Path) -> None:
    task = task_for(hub, AIEngine.STT)
    predictor = load_predictor(
        ENGINES[AIEngine.STT], task.config, task.folder, {"same": adapter_with(task, tmp_path / "same", 0.0)}
    )
    found = evaluate(predictor, rows(AIEngine.STT, 4, "test"), "same")
    for comparison in found.measures.values():
        assert comparison.base == comparison.adapted
        assert comparison.difference.low == comparison.difference.high == 0.0
    assert found.base_kind == "as_published"


def test_speech_is_scored_in_the_malayalam_safe_form_and_raw(hub: Path) -> None:
    """Legacy chillu and punctuation are spelling, not recognition errors; a dropped vowel sign is an error."""
    one = rows(AIEngine.STT, 2, "test")
    one[0]["text"], one[1]["text"] = "അവൻ വന്നു.", "കളി"
    legacy = ["അവന്\u200d വന്നു", "കളി"]
    found = evaluate(scripted(hub, AIEngine.STT, legacy, ["അവൻ വന്ന", "കള"]), one, "new")
    base, adapted = found.figures("base"), found.figures("adapted")
    assert (base["cer"], base["wer"], base["aer"], base["score"]) == (0, 0, 0, 1)
    assert base["cer_raw"] > 0 and base["wer_raw"] == pytest.approx(2 / 3, rel=1e-4)
    # Two vowel signs of 12 characters; Whisper's own normaliser would have dropped them on both sides.
    assert adapted["cer"] == pytest.approx(2 / 12, rel=1e-4)
    assert adapted["wer"] == pytest.approx(2 / 3, rel=1e-4)
    assert adapted["score"] == pytest.approx(1 - adapted["cer"])
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    whispers = BasicTextNormalizer()
    assert whispers("കളി").strip() == whispers("കള").strip()
    assert base["reference_words"] == {"raw": 3, "scoring_form": 3}


def test_the_score_of_speech_is_not_below_0(hub: Path) -> None:
    batch = rows(AIEngine.STT, 2, "test")
    found = evaluate(scripted(hub, AIEngine.STT, ["", ""], ["വിപണി " * 30] * 2), batch, "new")
    assert found.figures("base")["score"] == 0.0
    assert found.figures("adapted")["cer"] > 1 and found.figures("adapted")["score"] == 0.0


def test_classes_are_reported_one_by_one_with_their_confusion(hub: Path) -> None:
    batch = rows(AIEngine.NLU, 8, "test")
    truth = [one["label"] for one in batch]
    wrong = ["sports" if label == "business" else label for label in truth]
    found = evaluate(scripted(hub, AIEngine.NLU, wrong, truth), batch, "new")
    base, adapted = found.figures("base"), found.figures("adapted")
    assert adapted["macro_f1"] == adapted["accuracy"] == adapted["score"] == 1
    assert base["accuracy"] == 0.75
    assert base["per_class"]["business"] == {"precision": 0, "recall": 0, "f1": 0, "rows": 2}
    assert base["per_class"]["sports"]["precision"] == 0.5
    assert base["confusion"]["labels"] == ["business", "entertainment", "sports", "technology"]
    assert base["confusion"]["truth_by_prediction"] == [[0, 0, 2, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    assert found.differences()["score"]["value"] == pytest.approx(1 - base["score"])


def test_translations_are_scored_against_the_side_of_their_direction_with_signatures(hub: Path) -> None:
    batch = rows(AIEngine.TRANSLATION, 4, "test")
    perfect = [one["translation"] if one["direction"] == "ml-en" else one["text"] for one in batch]
    found = evaluate(scripted(hub, AIEngine.TRANSLATION, ["no"] * 4, perfect), batch, "new")
    assert found.figures("adapted")["chrf++"] == found.figures("adapted")["score"] == 1
    assert found.figures("base")["score"] < 0.5
    assert "nw:2" in found.scorer and "tok:13a" in found.scorer


def test_codec_tokens_have_loss_and_perplexity_and_say_what_was_not_measured(hub: Path, tmp_path: Path) -> None:
    import math

    task = task_for(hub, AIEngine.TTS)
    predictor = load_predictor(
        ENGINES[AIEngine.TTS], task.config, task.folder, {"new": adapter_with(task, tmp_path / "new", 0.5)}
    )
    found = evaluate(predictor, rows(AIEngine.TTS, 4, "test"), "new").figures("base")
    assert found["perplexity"] == pytest.approx(math.exp(found["token_loss"]), rel=1e-4)
    assert 0 <= found["token_accuracy"] == found["score"] <= 1
    assert "cer_of_speech" in found["not_measured"] and "cer_of_speech" not in found


@pytest.mark.parametrize(
    "engine, decoding",
    [
        (AIEngine.STT, "greedy"),
        (AIEngine.NLU, "none: the likeliest label"),
        (AIEngine.TTS, "none: each token is foreseen from the true tokens before it"),
    ],
)
def test_an_evaluation_says_how_its_outputs_came_about(
    engine: AIEngine, decoding: str, hub: Path, tmp_path: Path
) -> None:
    task = task_for(hub, engine)
    predictor = load_predictor(
        ENGINES[engine], task.config, task.folder, {"new": adapter_with(task, tmp_path / "new", 0.5)}
    )
    assert evaluate(predictor, rows(engine, 4, "test"), "new").as_json()["decoding"] == decoding


def test_no_rows_are_an_error_and_not_a_figure(hub: Path) -> None:
    with pytest.raises(FoundryError, match="no held-out rows"):
        evaluate(scripted(hub, AIEngine.NLU, [], []), [], "new")


def test_a_base_without_a_head_is_measured_by_a_linear_probe_and_named_so(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.DIALECT, epochs=3, learning_rate=1e-2)
    commit_gold(Lake(settings), AIEngine.DIALECT, gold(AIEngine.DIALECT, train=12))
    assert not run(settings).failed
    manifest = version(settings)
    assert manifest.details["base_kind"] == "linear_probe"
    assert manifest.details["evaluation"]["base"]["kind"] == "linear_probe"
    assert "published without this ability" in manifest.details["control_note"]
    folder = Lake(settings).folder(Layer.MODELS, manifest.name)
    curves = json.loads((folder / "training_log.json").read_text())
    assert set(curves) == {"adapter", "linear_probe"}
    assert curves["linear_probe"]["trainable_parameters"] < curves["adapter"]["trainable_parameters"]
    assert "linear probe: a head trained on the frozen base" in (folder / "README.md").read_text()
    from safetensors.torch import load_file

    probe = load_file(folder / "linear_probe" / "adapter_model.safetensors")
    assert all(not weight.any() for name, weight in probe.items() if "lora_B" in name)


def test_the_card_states_what_the_manifest_holds(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU)
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    run(settings)
    manifest = version(settings)
    folder = Lake(settings).folder(Layer.MODELS, manifest.name)
    card = (folder / "README.md").read_text()
    score = manifest.details["evaluation"]["adapted"]["score"]
    for part in ("base_model: tiny/bert-topics", "library_name: peft", "| owner/name | `abc` | cc-by-4.0 | 18 |"):
        assert part in card
    assert f"{score:.4f}" in card
    assert "Decoding: none: the likeliest label." in card and "greed" not in card
    assert f'from_pretrained("tiny/bert-topics", revision="{manifest.details["base_revision"]}", num_labels=4)' in card
    stored = json.loads((folder / "evaluation.json").read_text())
    assert stored["adapted"]["score"] == score and stored["verdict"] == manifest.details["verdict"]
    assert str(settings.base_path) not in "".join(path.read_text() for path in folder.rglob("*.json"))
