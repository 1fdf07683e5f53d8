"""Labels by table: one spelling for each class, gender and district; what no table knows is said, never guessed."""

from __future__ import annotations

import pytest

from data_foundry.dataset_registry import DATASET_REGISTRY, SENTIMENTS, TOPICS
from data_foundry.preprocessing.labels import DISTRICTS, canonical_label, cell_text, district, gender, unknown_labels
from data_foundry.records import Rejected

from .raw_builders import STT, entry

BY_LABELS = {tuple(sorted(set(item.labels.values()))): item for item in DATASET_REGISTRY.values()}
SENTIMENT = BY_LABELS[tuple(sorted(set(SENTIMENTS.values())))]
TOPIC = BY_LABELS[tuple(sorted(set(TOPICS.values())))]


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ("Positive", "positive"), (" positive ", "positive"), ("POSITIVE_STATE", "positive"), ("Negative ", "negative"),
        ("Mixed_feelings", "mixed"), ("mixed feelings", "mixed"), ("Mixed-Feelings", "mixed"),
        ("Mixed  Feelings", "mixed"),
        ("unknown_state", "unknown"), ("Unknown State", "unknown"), ("unknown", "unknown"),
        ("not-malayalam", "not_malayalam"), ("not-Malayalam ", "not_malayalam"), ("Not Malayalam", "not_malayalam"),
        ("not_malayalam", "not_malayalam"), (None, None), ("", None), ("  ", None), (float("nan"), None),
    ],
)  # fmt: skip
def test_sentiments_have_one_spelling(found, name):
    assert canonical_label(SENTIMENT, "label", found) == name


@pytest.mark.parametrize(
    ("found", "name"), [(0, "business"), (1.0, "entertainment"), ("2", "sports"), ("Sport", "sports")]
)
def test_topics_have_a_name_for_each_number(found, name):
    assert canonical_label(TOPIC, "label", found) == name


@pytest.mark.parametrize("found", ["postive", "happy", 7, 1.5, True, "positive negative", "മിശ്രം"])
def test_a_label_that_no_table_has_is_refused_and_not_guessed(found):
    with pytest.raises(Rejected) as refusal:
        canonical_label(SENTIMENT, "label", found)
    assert refusal.value.reason == "unknown_label"


def test_a_dialect_that_no_table_has_is_refused_under_its_own_name():
    with pytest.raises(Rejected) as refusal:
        canonical_label(SENTIMENT, "dialect", "martian")
    assert refusal.value.reason == "unknown_label"


def test_a_dataset_without_a_table_passes_its_labels_through():
    plain = entry(STT)
    assert not plain.labels
    assert canonical_label(plain, "label", " Pay_Bill ") == "pay_bill"
    assert canonical_label(plain, "label", 3) == "3"
    assert canonical_label(plain, "label", " ") is None


def test_genders_have_one_spelling():
    found = ("Male", " f ", "FEMALE", "Non-Binary", "സ്ത്രീ", "", None, "x", 1)
    assert [gender(value) for value in found] == [
        "male", "female", "female", "other", "female", None, None, None, None,
    ]  # fmt: skip


def test_there_are_fourteen_districts_and_no_spelling_belongs_to_two():
    assert len(DISTRICTS) == 14
    spellings = [spelling.casefold() for aliases in DISTRICTS.values() for spelling in set(aliases)]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (" trivandrum ", "Thiruvananthapuram"), ("Kollam District", "Kollam"), ("KASARGOD", "Kasaragod"),
        ("തൃശ്ശൂർ", "Thrissur"), ("കണ്ണൂര്\u200d ജില്ല", "Kannur"), ("Wayanad dist.", "Wayanad"), ("Alappuzha", "Alappuzha"),
        ("Chennai", "Chennai"), ("nan", None), (None, None), ("", None), ([], None), (["Idukki"], "Idukki"),
    ],
)  # fmt: skip
def test_districts_have_their_present_name_and_other_places_their_own(found, name):
    assert district(found) == name


def test_cells_that_no_table_knows_are_reported():
    assert unknown_labels({"gender": "x", "district": "Chennai"}) == ["unknown_gender", "unknown_district"]
    assert unknown_labels({"gender": "m", "district": "Kollam"}) == []
    assert unknown_labels({"gender": None, "district": "NA"}) == []
    assert unknown_labels({}) == []


def test_a_cell_that_says_nothing_is_none():
    assert [cell_text(value) for value in (None, float("nan"), " ", "None", "N/A", {}, [1, 2], [" a "], 5)] == [
        None, None, None, None, None, None, None, "a", "5",
    ]  # fmt: skip
