"""Evaluation: base and adapted on the same rows, named for what they are, in figures that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.calibration import Temperature
from data_foundry.finetuning.evaluation.evaluate import evaluate
from data_foundry.finetuning.evaluation.predict import Predictor, load_predictor
from data_foundry.finetuning.tasks.task import Prediction
from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine
from finetuning.evaluation.test_predict import adapter_with, task_for
from finetuning.gold_builders import commit_gold, gold, rows
from finetuning.test_adapt import Build, run, version


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
    one[0]["text_raw"], one[1]["text_raw"] = "അവൻ വന്നു.", "കളി"
    legacy = ["അവന്\u200d വന്നു", "കളി"]
    found = evaluate(scripted(hub, AIEngine.STT, legacy, ["അവൻ വന്ന", "കള"]), one, "new")
    base, adapted = found.figures("base"), found.figures("adapted")
    assert (base["cer"], base["wer"], base["aer"], base["score"]) == (0, 0, 0, 1)
    assert base["cer_raw"] > 0 and base["wer_raw"] == pytest.approx(2 / 3, rel=1e-4)
    # Two vowel signs of 12 characters; Whisper's own normaliser would have dropped them on both sides.
    assert adapted["cer"] == pytest.approx(2 / 12, rel=1e-4)
    assert adapted["wer"] == pytest.approx(2 / 3, rel=1e-4)
    assert adapted["score"] == pytest.approx(1 - adapted["cer"])
    assert base["reference_words"] == {"raw": 3, "scoring_form": 3, "vistaar_compat": 3}


def test_figures_in_vistaars_form_are_labelled_and_count_what_it_counts(hub: Path) -> None:
    """Its normaliser leaves curly quotes in the words: an error there, and none in the scoring form."""
    batch = rows(AIEngine.STT, 2, "test")
    batch[0]["text"], batch[1]["text"] = "“ശരി” എന്ന്", "പൗരൻ."
    batch[0]["text_raw"], batch[1]["text_raw"] = "“ശരി” എന്ന്", "പൗരൻ."
    found = evaluate(scripted(hub, AIEngine.STT, ["ശരി എന്ന്", "പൌരൻ"], ["", ""]), batch, "new")
    base = found.figures("base")
    assert base["wer"] == 0
    assert base["wer_vistaar_compat"] == pytest.approx(1 / 3, rel=1e-4)
    assert base["cer_vistaar_compat"] > 0
    assert "vistaar_compat after Vistaar's evaluation.py with indic-nlp-library" in found.as_json()["scorer"]
    assert "*_raw unnormalised, against the text as its dataset has it" in found.as_json()["scorer"]


def test_raw_figures_are_against_the_text_as_found_and_absent_where_a_row_lacks_it(hub: Path) -> None:
    """Preparing gold mends spelling: against the mended text a base that spells as its source does would look wrong."""
    batch = rows(AIEngine.STT, 2, "test")
    for row, text, as_found in zip(batch, ("അവൻ വന്നു", "കളി"), ("അവന്\u200d വന്നു !", "കളി"), strict=True):
        row |= {"text": text, "text_raw": as_found}
    predictor = scripted(hub, AIEngine.STT, ["അവന്\u200d വന്നു !", "കളി"], ["അവൻ വന്നു", "കളി"])
    found = evaluate(predictor, batch, "new")
    base, adapted = found.figures("base"), found.figures("adapted")
    assert base["cer_raw"] == base["wer_raw"] == base["aer_raw"] == base["cer"] == adapted["cer"] == 0
    assert adapted["wer_raw"] == pytest.approx(2 / 4) and adapted["cer_raw"] > 0
    assert base["reference_words"] == {"raw": 4, "scoring_form": 3, "vistaar_compat": 3}

    batch[1]["text_raw"] = None
    lacking = evaluate(predictor, batch, "new").figures("adapted")
    assert not [name for name in lacking if name.endswith(("_raw", "_vistaar_compat"))] and lacking["cer"] == 0
    why = "1 of 2 rows do not say how their dataset writes the text (text_raw)"
    assert lacking["not_measured"] == {"raw": why, "vistaar_compat": why}


def test_rows_whose_raw_text_was_rewritten_to_mask_it_are_in_no_raw_figure_and_are_counted(hub: Path) -> None:
    """What was rewritten is the mended text: a base that spells as the source does would look wrong against it."""
    batch = rows(AIEngine.STT, 3, "test")
    texts = ("അവൻ വന്നു", "കളി", "എന്റെ നമ്പർ [phone]")
    as_found = ("അവന്\u200d വന്നു !", "കളി", "എന്റെ നമ്പർ [phone]")
    for row, text, found in zip(batch, texts, as_found, strict=True):
        row |= {"text": text, "text_raw": found}
    batch[2]["flags"] = ["personal_data", "raw_text_rewritten"]
    base, adapted = ["അവന്\u200d വന്നു !", "കളി", "എന്\u200dറെ നമ്പര്\u200d"], ["അവൻ വന്നു", "കള", "നമ്പർ"]
    measured = evaluate(scripted(hub, AIEngine.STT, base, adapted), batch, "new")
    without = evaluate(scripted(hub, AIEngine.STT, base[:2], adapted[:2]), batch[:2], "new")
    for which in ("base", "adapted"):
        found, expected = measured.figures(which), without.figures(which)
        names = [name for name in expected["intervals"] if name.endswith(("_raw", "_vistaar_compat"))]
        assert len(names) == 5 and [found[name] for name in names] == [expected[name] for name in names]
        assert found["reference_words"] == {"raw": 4, "scoring_form": 6, "vistaar_compat": 3}
        assert (found["raw_rows_left_out"], found["rows"]) == (1, 3) and "raw_rows_left_out" not in expected
        assert found["cer"] > expected["cer"] and "not_measured" not in found
    assert "personal data masked, without rows rewritten for that" in measured.as_json()["scorer"]

    for row in batch:
        row["flags"] = ["raw_text_rewritten"]
    nothing = evaluate(scripted(hub, AIEngine.STT, base, adapted), batch, "new").figures("base")
    assert not [name for name in nothing if "raw" in name or "vistaar" in name]
    why = "the raw text of all 3 rows was rewritten, to mask personal data"
    assert nothing["not_measured"] == {"raw": why, "vistaar_compat": why}


def test_whispers_own_normaliser_would_claim_a_fraction_of_the_errors(hub: Path) -> None:
    """It takes vowel signs and viramas for punctuation: with every one of them wrong it finds nothing wrong."""
    import jiwer
    from transformers import WhisperTokenizer
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    references = ["കളി ഇന്ന് നല്ല കളി ആണ്", "വിപണി ഇന്ന് വീണു", "എന്റെ പേര് മീന", "ബില്ല് അടച്ചു"]
    heard = ["കളു ഇന്നു നല്ലി കളെ ആണി", "വെപണു ഇന്നി വിണെ", "എന്റി പെരു മിന", "ബുല്ലി അടച്ചെ"]
    batch = rows(AIEngine.STT, 4, "test")
    for one, text in zip(batch, references, strict=True):
        one["text"] = text
    honest = evaluate(scripted(hub, AIEngine.STT, heard, heard), batch, "new").figures("base")["wer"]
    whispers = BasicTextNormalizer()
    claimed = jiwer.wer([whispers(text) for text in references], [whispers(text) for text in heard])
    tokenizer = WhisperTokenizer.from_pretrained(hub / "models" / "tiny" / "whisper")
    assert honest > 0.9 and claimed < 0.1
    assert tokenizer.basic_normalize("കളി").split() == tokenizer.basic_normalize("കള").split()


def test_no_code_of_ours_calls_whispers_normaliser() -> None:
    import ast

    import data_foundry

    forbidden = {"BasicTextNormalizer", "EnglishTextNormalizer", "basic_normalize", "english_normalizer", "_normalize"}
    for file in Path(data_foundry.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "ormaliz" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            names = {getattr(node, name, None) for name in ("attr", "id", "module", "name")} - {None}
            assert not {part for name in names for part in str(name).split(".")} & forbidden, file
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("decode", "batch_decode"):
                # Decoding with normalize=True is the same by another door.
                assert "normalize" not in {keyword.arg for keyword in node.keywords}, file


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
    assert base["per_class"]["business"] == {"precision": 0, "recall": 0, "f1": 0, "rows": 2, "f1_interval": [0, 0]}
    low, high = base["per_class"]["sports"]["f1_interval"]
    assert 0 <= low < base["per_class"]["sports"]["f1"] < high <= 1
    assert base["per_class"]["sports"]["precision"] == 0.5
    assert base["confusion"]["labels"] == ["business", "entertainment", "sports", "technology"]
    assert base["confusion"]["truth_by_prediction"] == [[0, 0, 2, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    assert found.differences()["score"]["value"] == pytest.approx(1 - base["score"])
    assert found.calibration is None and "calibration" in base["not_measured"]


def test_a_classifier_is_reported_with_its_calibration_before_and_after_its_temperature(
    hub: Path, tmp_path: Path
) -> None:
    task = task_for(hub, AIEngine.NLU)
    predictor = load_predictor(
        ENGINES[AIEngine.NLU], task.config, task.folder, {"new": adapter_with(task, tmp_path / "new", 0.5)}
    )
    found = evaluate(predictor, rows(AIEngine.NLU, 24, "test"), "new", temperature=Temperature(2.0, "fitted")).as_json()
    calibration = found["calibration"]
    assert calibration["temperature"] == 2.0 and calibration["bins"] == 2
    assert calibration["adapted"]["ece"]["value"] == found["adapted"]["ece"]
    assert calibration["adapted"]["brier"]["value"] == found["adapted"]["brier"]
    assert calibration["adapted_with_temperature"]["ece"] != calibration["adapted"]["ece"]
    sure = [sum(b["confidence"] * b["rows"] for b in calibration[w]["reliability"]) for w in
            ("adapted", "adapted_with_temperature")]  # fmt: skip
    assert sure[1] < sure[0]
    low, high = found["adapted"]["intervals"]["brier"]
    assert low < found["adapted"]["brier"] < high


def test_the_gain_is_the_share_of_the_errors_that_is_gone(hub: Path) -> None:
    batch = rows(AIEngine.STT, 30, "test")
    texts = [one["text"] for one in batch]
    worse = [text[:-4] for text in texts]
    better = [text[:-2] for text in texts]
    gain = evaluate(scripted(hub, AIEngine.STT, worse, better), batch, "new").relative_error_reduction()
    assert gain["error"] == "cer" and gain["value"] == pytest.approx(0.5, abs=0.05)
    assert gain["low"] <= gain["value"] <= gain["high"]
    none = evaluate(scripted(hub, AIEngine.STT, texts, better), batch, "new").relative_error_reduction()
    assert none["value"] is None and none["not_measured"].startswith("the base makes no error")


def test_translations_are_scored_against_the_side_of_their_direction_with_signatures(hub: Path) -> None:
    batch = rows(AIEngine.TRANSLATION, 4, "test")
    perfect = [one["translation"] if one["direction"] == "ml-en" else one["text"] for one in batch]
    found = evaluate(scripted(hub, AIEngine.TRANSLATION, ["no"] * 4, perfect), batch, "new")
    assert found.figures("adapted")["chrf++"] == found.figures("adapted")["score"] == 1
    assert found.figures("base")["score"] < 0.5
    assert "nw:2" in found.base.scorer and "tok:13a" in found.base.scorer
    assert {"en-ml", "ml-en"} < set(found.slices["direction"]["groups"])


def test_each_direction_of_translation_counts_alike_however_many_rows_it_has(hub: Path) -> None:
    given = rows(AIEngine.TRANSLATION, 12, "test")
    to_english, to_malayalam = ([one for one in given if one["direction"] == way] for way in ("ml-en", "en-ml"))
    batch = [*to_english, *to_malayalam[:2]]
    outputs = [one["translation"] if one["direction"] == "ml-en" else "no" for one in batch]
    found = evaluate(scripted(hub, AIEngine.TRANSLATION, ["no"] * len(batch), outputs), batch, "new")
    figures = found.figures("adapted")
    assert figures["chrf++_ml_en"] == 1 and figures["chrf++_en_ml"] < 0.1
    for name in ("chrf++", "bleu"):
        mean = (figures[f"{name}_ml_en"] + figures[f"{name}_en_ml"]) / 2
        assert figures[name] == pytest.approx(mean, abs=1e-6)
    assert figures["score"] == figures["chrf++"]
    assert found.slices["direction"]["groups"]["ml-en"]["adapted"]["value"] == 1
    alone = evaluate(scripted(hub, AIEngine.TRANSLATION, ["no"] * 6, outputs[:6]), to_english, "new")
    one_way = alone.figures("adapted")
    assert one_way["score"] == one_way["chrf++_ml_en"] == 1 and "chrf++_en_ml" not in one_way


def test_codec_tokens_have_loss_and_perplexity(hub: Path, tmp_path: Path) -> None:
    import math

    task = task_for(hub, AIEngine.TTS)
    predictor = load_predictor(
        ENGINES[AIEngine.TTS], task.config, task.folder, {"new": adapter_with(task, tmp_path / "new", 0.5)}
    )
    found = evaluate(predictor, rows(AIEngine.TTS, 4, "test"), "new").figures("base")
    assert found["perplexity"] == pytest.approx(math.exp(found["token_loss"]), rel=1e-4)
    assert 0 <= found["token_accuracy"] == found["score"] <= 1
    assert "cer_of_speech" not in found


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


def test_slices_of_a_classifier_are_by_accuracy_for_groups_hold_different_labels(hub: Path) -> None:
    batch = [{**row, "gender": ("female", "male")[n % 2]} for n, row in enumerate(rows(AIEngine.NLU, 4, "test"))]
    said = [row["label"] for row in batch]
    said[0] = next(name for name in said if name != said[0])
    found = evaluate(scripted(hub, AIEngine.NLU, said, said), batch, "new").slices
    assert found["gender"]["figure"] == found["length"]["figure"] == "accuracy"
    values = {name: group["adapted"]["value"] for name, group in found["gender"]["groups"].items()}
    assert (values["female"], values["male"]) == (0.5, 1.0)


def test_speech_is_sliced_by_its_seconds_and_text_by_its_characters(hub: Path) -> None:
    batch = rows(AIEngine.STT, 6, "test")
    for seconds, row in enumerate(batch, start=1):
        row["duration"] = float(seconds)
    found = evaluate(scripted(hub, AIEngine.STT, [""] * 6, [""] * 6), batch, "new").slices["length"]
    assert found["figure"] == "score"
    assert {"short (up to 2 s)", "medium (up to 4 s)", "long (over 4 s)"} < set(found["groups"])
    found = evaluate(
        scripted(hub, AIEngine.TRANSLATION, ["no"] * 4, ["no"] * 4), rows(AIEngine.TRANSLATION, 4, "test"), "new"
    )
    assert all("characters" in name for name in found.slices["length"]["groups"] if "others" not in name)


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
    assert manifest.details["phone"] is None
    assert manifest.details["phone_note"] == "the gold of dialect has no phone version of its test rows"
    folder = Lake(settings).folder(Layer.MODELS, manifest.name)
    curves = json.loads((folder / "training_log.json").read_text())
    assert set(curves) == {"adapter", "linear_probe"}
    assert curves["linear_probe"]["trainable_parameters"] < curves["adapter"]["trainable_parameters"]
    assert "linear probe: a head fitted on the frozen base" in (folder / "README.md").read_text()
    from safetensors.torch import load_file

    probe = load_file(folder / "linear_probe" / "adapter_model.safetensors")
    assert all(not weight.any() for name, weight in probe.items() if "lora_B" in name)


def test_what_is_stored_beside_the_weights_is_what_the_manifest_holds(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU)
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU))
    run(settings)
    manifest = version(settings)
    folder = Lake(settings).folder(Layer.MODELS, manifest.name)
    evaluation = manifest.details["evaluation"]
    stored = json.loads((folder / "evaluation.json").read_text())
    assert all(stored[name] == evaluation[name] for name in evaluation if name != "rows")
    assert stored["verdict"] == manifest.details["verdict"]
    assert stored["calibration"]["temperature_note"] == "4 validation rows are too few to fit it; it takes 20"
    assert json.loads((folder / "calibration.json").read_text())["temperature"] is None
    assert manifest.details["phone_note"] == "nlu reads text: a phone line changes nothing of it"
    assert str(settings.base_path) not in "".join(path.read_text() for path in folder.rglob("*.json"))
