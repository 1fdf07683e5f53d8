"""The engines' contracts: complete, consistent with the schema, and the districts' proxy for dialects."""

import pytest

from data_foundry.allocation.links import LINKS
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import DATASET_REGISTRY, DIALECTS
from data_foundry.engines import ENGINES, AIEngine, engines_sharing_rows
from data_foundry.engines.regions import REGIONS, region_of, with_region
from data_foundry.engines.sentiment import IVR_LABELS
from data_foundry.errors import FoundryError
from data_foundry.preprocessing.labels import DISTRICTS, district
from data_foundry.records import SilverRow, arrow_type

PAIRS = "Be-win/IndicST-malayalam-only"
TOPICS = "Sakshamrzt/IndicNLP-Malayalam"
COMMENTS = "wlkla/Malayalam_first_ready_for_sentiment"
INTENTS = "data-foundry/malayalam-ivr-intents"


def test_every_engine_has_its_spec():
    assert set(ENGINES) == set(AIEngine) and all(spec.engine == engine for engine, spec in ENGINES.items())


@pytest.mark.parametrize("spec", ENGINES.values(), ids=ENGINES)
def test_columns_links_and_labels_of_a_spec_exist(spec):
    columns = {*SilverRow.model_fields, *spec.derived}
    assert {*spec.columns, *spec.identity, spec.label, *([spec.stratum] if spec.stratum else [])} <= columns
    assert {*spec.derived_from, *spec.training.only} <= {*SilverRow.model_fields, *spec.columns}
    assert all(arrow_type(kind) is not None for kind in spec.derived.values())
    assert set(spec.derived) <= set(spec.columns) and len(set(spec.gold_columns)) == len(spec.gold_columns)
    assert set(spec.links) <= set(LINKS) and {"recording", "text"} <= set(spec.links)
    assert spec.label in spec.identity and spec.requirements


def test_engines_that_hear_share_their_rows_and_their_links():
    sharing = [spec.engine for spec in engines_sharing_rows(AIEngine.STT)]
    assert sharing == ["stt", "dialect"] == [spec.engine for spec in engines_sharing_rows(AIEngine.DIALECT)]
    assert ENGINES[AIEngine.STT].links == ENGINES[AIEngine.DIALECT].links
    assert [spec.engine for spec in engines_sharing_rows(AIEngine.NLU)] == ["nlu"]


def test_the_fourteen_districts_of_kerala_have_a_region():
    found = [region_of(district) for district in DISTRICTS]
    assert found == ["travancore"] * 6 + ["cochin"] * 2 + ["malabar"] * 6 and set(found) == set(REGIONS)
    assert sum(len(districts) for districts in REGIONS.values()) == len(DISTRICTS) == 14
    assert set(DIALECTS.values()) == set(REGIONS)


@pytest.mark.parametrize(
    ("name", "region"),
    [
        (" KOZHIKODE ", "malabar"), ("Kollam District", "travancore"), ("Cochin", "cochin"), ("Kasargode", "malabar"),
        ("തൃശൂർ", "cochin"), ("Chennai", None), ("Travancore", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_district_has_its_region_however_a_source_writes_it(name, region):
    assert region_of(district(name)) == region


def test_a_declared_dialect_wins_over_the_district_and_each_says_what_it_is():
    assert with_region({"dialect": "malabar", "district": "Kollam"}) == {
        "dialect": "malabar",
        "label_source": "declared",
    }
    assert with_region({"dialect": None, "district": "Kollam"}) == {
        "dialect": "travancore",
        "label_source": "district proxy",
    }
    assert with_region({"dialect": "standard", "district": "Kollam"}) == {"dialect": None, "label_source": None}
    assert with_region({"dialect": None, "district": None}) == {"dialect": None, "label_source": None}


def test_rows_whose_audio_says_what_their_text_masks_teach_neither_hearing_nor_speaking():
    row = dict.fromkeys(SilverRow.model_fields) | {"text": "[PHONE] വിളിക്കൂ", "duration": 2.0, "codec": "nano"}
    masked = {**row, "flags": ["pii", "personal_data_in_audio"]}
    for engine in (AIEngine.STT, AIEngine.TTS):
        assert ENGINES[engine].fit({**row, "flags": []}).able
        assert ENGINES[engine].fit(masked).lacks == ("personal_data_in_audio",)


@pytest.mark.parametrize("spec", [spec for spec in ENGINES.values() if spec.derived], ids=lambda spec: spec.engine)
def test_what_a_spec_derives_depends_on_the_columns_that_it_names_alone(spec):
    row = dict.fromkeys(SilverRow.model_fields) | {"flags": [], "dataset": "a/b"}
    assert set(spec.derive({name: row[name] for name in spec.derived_from})) == set(spec.derived)


def test_engines_that_hear_derive_the_same_of_a_row_by_one_function():
    stt, dialect = ENGINES[AIEngine.STT], ENGINES[AIEngine.DIALECT]
    assert stt.derive is dialect.derive and stt.derived == dialect.derived and stt.derived_from == dialect.derived_from


def test_speech_with_a_district_carries_its_dialect_for_an_adapter_of_its_own():
    row = dict.fromkeys(SilverRow.model_fields) | {"district": "Kozhikode", "duration": 2.0}
    seen = ENGINES[AIEngine.STT].view(row)
    assert (seen["dialect"], seen["label_source"], seen["channel"]) == ("malabar", "district proxy", "clean")
    assert ENGINES[AIEngine.STT].view({**row, "district": None})["dialect"] is None


@pytest.mark.parametrize(
    ("dataset", "label", "seen", "kind"),
    [
        (TOPICS, "sports", "sports", "topic"), (INTENTS, "recharge", "recharge", "intent"),
        (TOPICS, None, None, "domain"), (COMMENTS, "positive", None, "domain"), ("a/b", "recharge", None, "domain"),
    ],
)  # fmt: skip
def test_understanding_keeps_the_labels_of_datasets_that_hold_intents_or_topics(dataset, label, seen, kind):
    found = ENGINES[AIEngine.NLU].derive({"dataset": dataset, "label": label, "direction": None})
    assert (found["label"], found["label_kind"]) == (seen, kind)


def test_a_set_of_ones_own_intents_serves_understanding_by_its_entry_alone(monkeypatch):
    own = {"repo_id": "a/own", "layout": "csv", "declared_engine": "nlu", "roles": {"text": ("t",), "label": ("l",)}}
    monkeypatch.setitem(DATASET_REGISTRY, "a/own", DatasetEntry(**own, label_kind="intent"))
    row = dict.fromkeys(SilverRow.model_fields) | {"dataset": "a/own", "text": "നമ്പർ മാറ്റണം", "label": "port_number"}
    spec = ENGINES[AIEngine.NLU]
    assert spec.fit(row).able and spec.view(row)["label_kind"] == "intent"
    with pytest.raises(FoundryError, match=r"a/own.*\n  label_kind = None: must say what the labels are"):
        DatasetEntry(**own)


@pytest.mark.parametrize(
    ("dataset", "direction", "translated"),
    [
        (PAIRS, "en-ml", True), (PAIRS, "ml-en", False), (PAIRS, None, False), (TOPICS, None, False),
        ("a/b", "en-ml", None),
    ],
)  # fmt: skip
def test_malayalam_that_a_machine_translated_from_english_is_marked(dataset, direction, translated):
    row = {"dataset": dataset, "label": None, "direction": direction}
    assert ENGINES[AIEngine.NLU].derive(row)["machine_translated"] is translated


@pytest.mark.parametrize(
    ("label", "heard"),
    [
        ("negative", "frustration"), ("positive", "satisfaction"), ("mixed", "neutral"), ("unknown", None),
        ("not_malayalam", None),
    ],
)  # fmt: skip
def test_each_polarity_has_its_meaning_for_a_call(label, heard):
    spec = ENGINES[AIEngine.SENTIMENT]
    assert spec.derive({"label": label, "flags": []}) == {"ivr_label": heard, "code_mixed": False}
    assert set(IVR_LABELS.values()) == {"frustration", "neutral", "satisfaction", None}


@pytest.mark.parametrize(("flags", "mixed"), [(["code_mixed"], True), (["pii", "romanised"], True), (["pii"], False)])
def test_comments_that_mix_languages_or_scripts_are_kept_and_marked(flags, mixed):
    row = dict.fromkeys(SilverRow.model_fields) | {"text": "super padam", "label": "positive", "flags": flags}
    spec = ENGINES[AIEngine.SENTIMENT]
    assert spec.fit(row).able and spec.view(row)["code_mixed"] is mixed


@pytest.mark.parametrize(
    ("dataset", "synthetic"),
    [("Be-win/IndicST-malayalam-only", True), ("Sakshamrzt/IndicNLP-Malayalam", None), ("a/b", None)],
)
def test_a_pair_says_whether_a_machine_translated_it(dataset, synthetic):
    assert ENGINES[AIEngine.TRANSLATION].derive({"dataset": dataset}) == {"synthetic_reference": synthetic}
