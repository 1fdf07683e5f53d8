"""The engines' contracts: complete, consistent with the schema, and the districts' proxy for dialects."""

import pytest

from data_foundry.allocation.links import LINKS
from data_foundry.engines import ENGINES, AIEngine, engines_sharing_rows
from data_foundry.engines.dialect import REGIONS, region_of, with_region
from data_foundry.records import SilverRow


def test_every_engine_has_its_spec():
    assert set(ENGINES) == set(AIEngine) and all(spec.engine == engine for engine, spec in ENGINES.items())


@pytest.mark.parametrize("spec", ENGINES.values(), ids=ENGINES)
def test_columns_links_and_labels_of_a_spec_exist(spec):
    columns = {*SilverRow.model_fields, *spec.derived}
    assert {*spec.columns, *spec.identity, spec.label, *([spec.stratum] if spec.stratum else [])} <= columns
    assert set(spec.derived) <= set(spec.columns) and len(set(spec.gold_columns)) == len(spec.gold_columns)
    assert set(spec.links) <= set(LINKS) and {"recording", "text"} <= set(spec.links)
    assert spec.label in spec.identity and spec.requirements


def test_engines_that_hear_share_their_rows_and_their_links():
    sharing = [spec.engine for spec in engines_sharing_rows(AIEngine.STT)]
    assert sharing == ["stt", "dialect"] == [spec.engine for spec in engines_sharing_rows(AIEngine.DIALECT)]
    assert ENGINES[AIEngine.STT].links == ENGINES[AIEngine.DIALECT].links
    assert [spec.engine for spec in engines_sharing_rows(AIEngine.NLU)] == ["nlu"]


def test_the_fourteen_districts_of_kerala_have_a_region():
    districts = [
        "Thiruvananthapuram", "Kollam", "Pathanamthitta", "Alappuzha", "Kottayam", "Idukki", "Ernakulam", "Thrissur",
        "Palakkad", "Malappuram", "Kozhikode", "Wayanad", "Kannur", "Kasaragod",
    ]  # fmt: skip
    found = [region_of(district) for district in districts]
    assert found == ["travancore"] * 6 + ["cochin"] * 2 + ["malabar"] * 6 and set(found) == set(REGIONS)


@pytest.mark.parametrize(
    ("name", "region"),
    [
        (" KOZHIKODE ", "malabar"),
        ("Kollam District", "travancore"),
        ("Cochin", "cochin"),
        ("malabar", "malabar"),
        ("Chennai", None),
        ("", None),
        (None, None),
    ],
)
def test_a_district_is_known_however_it_is_written(name, region):
    assert region_of(name) == region


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
        assert ENGINES[engine].unmet({**row, "flags": []}) == []
        assert ENGINES[engine].unmet(masked) == ["personal_data_in_audio"]
