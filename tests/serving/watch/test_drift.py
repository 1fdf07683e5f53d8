"""Live calls against the rows that the answering version was trained on."""

from collections import Counter

import pytest

from data_foundry.engines.adapters import spec_of
from data_foundry.lake import Layer
from data_foundry.serving.watch import reference as references
from data_foundry.serving.watch.drift import drift, worst
from data_foundry.serving.watch.features import FEATURES, features_of, of_sound, of_text, of_training_row
from data_foundry.serving.watch.reference import reference_key, sampled, why_none
from tests.serving.watch.calls import gold, trained, wav

INTENTS = [
    {"row_id": str(n), "text": "ബിൽ എത്ര രൂപ " * (1 + n % 3), "label": "billing" if n % 4 else "outage",
     "label_kind": "intent"}
    for n in range(120)
]  # fmt: skip
TOPICS = [{"row_id": f"t{n}", "text": "sports", "label": "sports", "label_kind": "topic"} for n in range(60)]


def last(lake, adapter, model):
    *_, found = sampled(lake, adapter, model)
    return found


def test_every_task_has_features_and_every_feature_says_what_to_expect():
    for task in ("speech-to-text", "audio-classification", "text-classification", "text-to-text", "text-to-codes"):
        assert set(features_of(task)) <= set(FEATURES)
    assert all(feature.expected and feature.meaning for feature in FEATURES.values())


def test_the_reference_is_of_the_rows_that_the_version_was_trained_on_and_no_others(lake):
    model = trained(lake, "nlu", "v1", gold(lake, "nlu", INTENTS + TOPICS), "text-classification",
                    only={"label_kind": "intent"})  # fmt: skip
    found = last(lake, "nlu", model)
    assert found.rows == 120 and found.shapes["label"] == {"billing": 90, "outage": 30}
    assert found.shapes["characters"].total() == 120


def test_a_large_gold_is_sampled_and_not_read_whole(lake, monkeypatch):
    model = trained(lake, "nlu", "v1", gold(lake, "nlu", INTENTS * 10), "text-classification")
    monkeypatch.setattr(references, "MOST_ROWS", 100)
    monkeypatch.setattr(references, "_ROW_GROUPS", 10)
    read = []
    rows = references._rows
    monkeypatch.setattr(references, "_rows", lambda *asked: read.append(asked) or rows(*asked))
    found = last(lake, "nlu", model)
    assert found.rows == 100 and len(read) == 10
    assert found.shapes == last(lake, "nlu", model).shapes


def test_speech_is_measured_as_phase_2_measures_it_and_a_broken_clip_is_left_out(lake):
    rows = [
        {"row_id": str(n), "text": "നമസ്കാരം", "duration": 2.0,
         "audio": {"bytes": wav(noise=0.0003, seed=n) if n else b"broken", "path": None}}
        for n in range(30)
    ]  # fmt: skip
    found = last(lake, "stt", trained(lake, "stt", "v1", gold(lake, "stt", rows), "speech-to-text"))
    assert (found.rows, found.clips) == (30, 29) and found.shapes["seconds"] == {FEATURES["seconds"].place(2.0): 30}
    assert found.shapes["snr"].total() == 29
    assert of_sound(b"broken") == {} and of_sound(wav(seconds=1.2))["seconds"] == FEATURES["seconds"].place(1.2)
    quiet, loud = (int(of_sound(wav(noise=noise))["snr"]) for noise in (0.0003, 0.05))
    assert quiet > loud + 3


def test_there_is_no_reference_where_its_gold_is_gone_or_another(lake):
    made = gold(lake, "nlu", INTENTS)
    model = trained(lake, "nlu", "v1", made, "text-classification")
    assert why_none(lake, "nlu", model) is None
    gold(lake, "nlu", INTENTS[:100])
    assert why_none(lake, "nlu", model) == "its training rows were made again since"
    (lake.folder(Layer.GOLD, "nlu") / "manifest.json").write_text("{")
    assert "can't be read" in why_none(lake, "nlu", model)
    (lake.folder(Layer.GOLD, "nlu") / "manifest.json").unlink()
    assert why_none(lake, "nlu", model) == "its training rows are gone"
    assert why_none(lake, "nlu", None) == "the version's files are gone"


def test_the_key_follows_the_gold_and_what_was_chosen_of_it(lake):
    one = gold(lake, "nlu", INTENTS)
    models = [
        trained(lake, "nlu", "v1", one, "text-classification"),
        trained(lake, "nlu", "v2", one, "text-classification", only={"label_kind": "intent"}),
        trained(lake, "nlu", "v3", gold(lake, "nlu", TOPICS), "text-classification"),
    ]
    assert len({reference_key("nlu", model) for model in models}) == 3


def test_labels_are_those_of_the_version_that_answers_and_inputs_those_of_all_calls():
    reference = {"rows": 400, "clips": 0, "shapes": {"label": {"a": 200, "b": 200}, "characters": {"3": 400}}}
    shapes = {
        ("v1", "label"): Counter(a=150, b=150), ("v1", "characters"): Counter({"3": 300}),
        ("base", "label"): Counter(a=900), ("base", "characters"): Counter({"3": 900}),
    }  # fmt: skip
    by_name = {entry["feature"]: entry for entry in drift("text-classification", shapes, "v1", "v1", reference, None)}
    assert by_name["label"]["calls"] == 300 and by_name["label"]["verdict"] == "steady"
    assert by_name["characters"]["calls"] == 1200
    assert by_name["malayalam_ratio"]["verdict"] == "not_judged"
    swung = drift("text-classification", {("v1", "label"): Counter(a=900)}, "v1", "v1", reference, None)
    assert worst(swung) == "shifted" and worst([]) == "not_judged"


def test_what_the_base_answers_is_not_judged_against_the_training_rows_of_a_candidate():
    reference = {"rows": 400, "clips": 0, "shapes": {"label": {"a": 200, "b": 200}, "characters": {"3": 400}}}
    shapes = {("base", "label"): Counter(a=900), ("base", "characters"): Counter({"3": 900})}
    label, characters = (
        next(entry for entry in drift("text-classification", shapes, "base", "v1", reference, None)
             if entry["feature"] == name)
        for name in ("label", "characters")
    )  # fmt: skip
    assert (label["verdict"], label["psi"], label["answered_by"], label["calls"]) == ("not_judged", None, "base", 900)
    assert label["reason"] == "base answered these; the training rows are those of v1"
    assert (characters["verdict"], characters["answered_by"]) == ("steady", None)


def test_transcripts_are_those_of_the_version_that_answers_and_a_shift_names_whose_words_they_are():
    reference = {"rows": 400, "clips": 300, "shapes": {"characters": {"3": 400}, "seconds": {"3": 400}}}
    shapes = {
        ("v1", "characters"): Counter({"6": 300}), ("v1", "seconds"): Counter({"3": 300}),
        ("base", "characters"): Counter({"3": 900}), ("base", "seconds"): Counter({"3": 900}),
    }  # fmt: skip
    found = {each["feature"]: each for each in drift("speech-to-text", shapes, "v1", "v1", reference, None)}
    assert (found["characters"]["calls"], found["seconds"]["calls"]) == (300, 1200)
    assert found["characters"]["verdict"] == "shifted" and "of transcripts" in found["characters"]["meaning"]
    assert found["characters"]["expected"].startswith("told by what v1 wrote, not by what was said: ")
    assert "headlines" not in found["characters"]["expected"]
    own = drift("speech-to-text", shapes, "base", "v1", reference, None)
    assert next(each for each in own if each["feature"] == "characters")["verdict"] == "not_judged"


def test_without_a_reference_nothing_is_judged_and_the_calls_are_told():
    found = drift(
        "text-to-text", {("base", "characters"): Counter({"2": 500})}, "base", "v1", None, "its rows are gone"
    )
    assert [entry["verdict"] for entry in found] == ["not_judged"] * 2
    assert found[0]["calls"] == 500 and found[0]["reason"] == "no reference: its rows are gone"


@pytest.mark.parametrize(("direction", "text"), [("en-ml", "the bill"), ("ml-en", "ബിൽ എത്ര")])
def test_of_a_pair_the_side_to_translate_is_what_a_caller_said(direction, text):
    row = {"text": "ബിൽ എത്ര", "translation": "the bill", "direction": direction}
    assert of_training_row(spec_of("translation"), row) == of_text(text)
