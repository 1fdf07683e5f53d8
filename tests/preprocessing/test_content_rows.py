"""What a number does not reach: no column of a silver or rejected row says it, whichever cell it stood in."""

from __future__ import annotations

import json

import pytest

from data_foundry.config import AudioGates, ContentChecks, TextGates
from data_foundry.dataset_registry import dataset_entry
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.readers import RawRow
from data_foundry.preprocessing.utterance import Standardizer
from data_foundry.records import Rejected

NUMBER = "9000012045"
TEXT = "നാളെ രാവിലെ വൈദ്യുതി ബിൽ അടയ്ക്കണം"
NEWS, TOKENS, PAIRS = (
    "Sakshamrzt/IndicNLP-Malayalam",
    "Praha-Labs/rasa-malayalam-nano-codec",
    "Be-win/IndicST-malayalam-only",
)


def rows(dataset, values, fault=None, codes=None, **content):
    entry, reviewer = dataset_entry(dataset), Reviewer(ContentChecks(**content))
    raw = RawRow("rows.jsonl", 0, "train", values, codes=codes, fault=fault)
    return list(Standardizer(entry, "r", "cc0-1.0", AudioGates(), TextGates(), reviewer).rows(raw, iter(())))


def says(row):
    return json.dumps({name: value for name, value in row.items() if name != "spoken"}, ensure_ascii=False, default=str)


@pytest.mark.parametrize(
    ("dataset", "values"),
    [
        (NEWS, {"text": TEXT, "label": "business", "district": f"വീട് {NUMBER}"}),
        (NEWS, {"text": TEXT, "label": f"{NUMBER} വിളിക്കൂ"}),
        (NEWS, {"text": f"{TEXT} {NUMBER}", "label": "business"}),
        (NEWS, {"text": f"{NUMBER} call me now please", "label": "business"}),
    ],
)
def test_no_cell_carries_a_number_into_a_row(dataset, values):
    for row in rows(dataset, values):
        assert NUMBER not in says(row)
        assert "[PHONE]" in says(row)


def test_a_label_of_a_dataset_without_a_table_is_masked():
    codes = [[1] * 30] * 4
    (row,) = rows(TOKENS, {"text": TEXT, "label": f"എന്റെ നമ്പർ {NUMBER}", "encoded_len": 30}, codes=codes)
    assert NUMBER not in says(row)
    assert row["label"] == "എന്റെ നമ്പർ [PHONE]"


def test_the_detail_of_a_refusal_is_masked_whoever_wrote_it():
    (row,) = rows(NEWS, {"text": TEXT}, fault=Rejected("audio_missing", f"അച്ഛന്റെ ഫോൺ {NUMBER}.wav is not there"))
    assert row["reason"] == "audio_missing"
    assert row["detail"] == "അച്ഛന്റെ ഫോൺ [PHONE].wav is not there"


def test_a_translation_is_masked_flagged_and_can_refuse_its_row():
    values = {
        "source_text": TEXT, "text": f"Call me at {NUMBER} please", "source_language": "ml", "target_language": "en",
    }  # fmt: skip
    (row,) = rows(PAIRS, values)
    assert (row["translation"], row["reason"]) == ("Call me at [PHONE] please", None)
    assert "personal_data_in_translation" in row["flags"]
    (row,) = rows(PAIRS, values, exclude=("mobile_number",))
    assert row["reason"] == "content_mobile_number"
    assert NUMBER not in says(row)


def test_a_link_in_a_text_that_is_otherwise_empty_is_masked_and_said():
    (row,) = rows(NEWS, {"text": f"<a href='tel:{NUMBER}'></a>", "label": "business"})
    assert (row["reason"], NUMBER in says(row)) == ("empty_text", False)
    assert "personal_data_in_raw" in row["flags"]
