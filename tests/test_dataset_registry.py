"""The dataset registry: entries that resolve the columns, splits and labels that were seen."""

from __future__ import annotations

import pytest

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import DATASET_REGISTRY, dataset_entry
from data_foundry.engines.sentiment import IVR_LABELS
from data_foundry.errors import FoundryError

# dataset -> columns that the Hub served, role -> column expected
SEEN = {
    "Be-win/IndicST-malayalam-only": (
        "path text task source_text source_language tar_lang",
        {
            "text": "text",
            "source_text": "source_text",
            "target_language": "tar_lang",
            "document": "path",
            "audio": None,
        },
    ),
    "Aby003/Malayalam_Dialects": ("id translation", {"text": "translation", "dialect": None, "audio": None}),
    "Praha-Labs/rasa-malayalam-nano-codec": ("text nano_layer_1 encoded_len", {"text": "text", "label": None}),
    "Sakshamrzt/IndicNLP-Malayalam": ("news class", {"text": "news", "label": "class"}),
    "wlkla/Malayalam_first_ready_for_sentiment": ("label query", {"text": "query", "label": "label"}),
    "data-foundry/malayalam-ivr-intents": (
        "text intent template style",
        {"text": "text", "label": "intent", "prompt": "template", "style": "style"},
    ),
    "CXDuncan/Malayalam-IndicVoices": (
        "file_name sentence verbatim normalized speaker_id district",
        {"text": "sentence", "chunks": "verbatim", "speaker": "speaker_id", "district": "district"},
    ),
}


def test_nine_datasets_of_the_hub_and_one_bundled_are_registered_with_what_each_is_declared_for():
    declared = [(entry.declared_engine.value, entry.bundled) for entry in DATASET_REGISTRY.values()]
    of_the_hub = ["stt", "stt", "stt", "dialect", "nlu", "nlu", "sentiment", "translation", "tts"]
    assert declared == [*((engine, False) for engine in of_the_hub), ("nlu", True)]
    assert all(entry.repo_id == repo_id for repo_id, entry in DATASET_REGISTRY.items())


@pytest.mark.parametrize("repo_id", SEEN)
def test_the_columns_that_were_seen_find_their_roles(repo_id):
    columns, roles = SEEN[repo_id]
    entry = dataset_entry(repo_id)
    assert {role: entry.column(role, columns.split()) for role in roles} == roles


def test_columns_are_found_in_any_letter_case_and_with_outer_blanks():
    entry = dataset_entry("ayush-shunyalabs/malayalam-speech-dataset")
    assert entry.column("text", ["Audio", " Transcript "]) == " Transcript "


def test_codec_layers_come_in_the_order_of_their_numbers():
    entry = dataset_entry("Praha-Labs/rasa-malayalam-nano-codec")
    names = ["nano_layer_10", "text", "nano_layer_2", "nano_layer_1", "nano_layer_x"]
    assert entry.code_columns(names) == ["nano_layer_1", "nano_layer_2", "nano_layer_10"]
    assert (entry.codec.layers, entry.codec.codebook_size, entry.codec.frames_per_second) == (4, 4032, 12.5)


@pytest.mark.parametrize(
    ("repo_id", "path", "split"),
    [
        ("Be-win/IndicST-malayalam-only", "data/dev-00000-of-00001.parquet", "validation"),
        ("Be-win/IndicST-malayalam-only", "data/kathbath-00000-of-00001.parquet", "kathbath"),
        ("CXDuncan/Malayalam-IndicVoices", "Data/Valid/test.wav", "validation"),
        ("CXDuncan/Malayalam-IndicVoices", "files/Data/Train/valid.wav", "train"),
        ("Sakshamrzt/IndicNLP-Malayalam", "malayalam-test.jsonl", "test"),
        ("Aby003/Malayalam_Dialects", "Dialects - Sheet1.csv", "train"),
        ("wlkla/Malayalam_first_ready_for_sentiment", "Malayalam_first_ready_for_sentiment.tsv", "train"),
    ],
)
def test_a_files_path_names_its_split(repo_id, path, split):
    assert dataset_entry(repo_id).split_of(path) == split


@pytest.mark.parametrize(
    ("repo_id", "found", "label"),
    [
        ("Sakshamrzt/IndicNLP-Malayalam", 0, "business"),
        ("Sakshamrzt/IndicNLP-Malayalam", 3.0, "technology"),
        ("Sakshamrzt/IndicNLP-Malayalam", "2", "sports"),
        ("Sakshamrzt/IndicNLP-Malayalam", " Entertainment", "entertainment"),
        ("Sakshamrzt/IndicNLP-Malayalam", 4, None),
        ("wlkla/Malayalam_first_ready_for_sentiment", "Mixed_feelings ", "mixed"),
        ("wlkla/Malayalam_first_ready_for_sentiment", "not-malayalam", "not_malayalam"),
        ("wlkla/Malayalam_first_ready_for_sentiment", "unknown_state", "unknown"),
        ("wlkla/Malayalam_first_ready_for_sentiment", None, None),
    ],
)
def test_labels_as_found_have_one_canonical_name(repo_id, found, label):
    assert dataset_entry(repo_id).canonical_label(found) == label


def test_canonical_labels_are_those_that_the_engines_know():
    kinds = {entry.repo_id: entry.label_kind for entry in DATASET_REGISTRY.values() if entry.label_kind}
    assert kinds == {
        "Praha-Labs/rasa-malayalam-nano-codec": "intent",
        "Sakshamrzt/IndicNLP-Malayalam": "topic",
        "data-foundry/malayalam-ivr-intents": "intent",
    }
    assert set(dataset_entry("wlkla/Malayalam_first_ready_for_sentiment").labels.values()) == set(IVR_LABELS)


def test_label_tables_are_in_lower_case_as_they_are_looked_up():
    for entry in DATASET_REGISTRY.values():
        assert all(name == name.strip().lower() for name in [*entry.labels, *entry.splits]), entry.repo_id


def test_an_evaluation_split_is_never_called_train():
    for entry in DATASET_REGISTRY.values():
        assert "train" not in entry.evaluation_splits
        assert set(entry.evaluation_splits) <= set(entry.splits.values())


def test_a_first_line_with_a_label_and_no_column_name_is_a_row():
    entry = dataset_entry("wlkla/Malayalam_first_ready_for_sentiment")
    assert entry.lacks_header(["Positive", "padam super"])
    assert not entry.lacks_header(["label", "query"]) and not entry.lacks_header(["Positive"])
    assert not dataset_entry("Aby003/Malayalam_Dialects").lacks_header(["id", "translation"])


def test_an_unknown_dataset_is_answered_with_the_known_ones():
    with pytest.raises(FoundryError, match="'x/y' is not in the dataset registry"):
        dataset_entry("x/y")


def test_a_mistake_in_an_entry_is_told_with_its_name_and_in_plain_words():
    given = {**next(iter(DATASET_REGISTRY.values())).model_dump(), "repo_id": "o/n", "layout": "xlsx", "colour": "red"}
    with pytest.raises(FoundryError) as caught:
        DatasetEntry(**given)
    assert "The entry of o/n in the registry has mistakes" in caught.value.message
    assert "layout = 'xlsx': it must be 'parquet', 'audiofolder'" in caught.value.message
    assert "colour = 'red': unknown key" in caught.value.message and "dataset_registry.py" in caught.value.hint
