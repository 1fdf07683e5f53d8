"""Rows under review: what is masked, what is flagged, what is refused, what is counted, and what never leaks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.content.lines import planted_lines
from data_foundry.config import ContentChecks
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.content.identity import CATEGORIES, identity_terms
from data_foundry.preprocessing.content.inflection import inflected
from data_foundry.preprocessing.content.masking import PLACEHOLDERS, mask, mask_audio, word_spans
from data_foundry.preprocessing.text import normalize, scoring_form
from data_foundry.records import Rejected, arrow_schema

NUMBER = "90000 12045"


def reviewer(**settings):
    return Reviewer(ContentChecks(**settings))


def row(raw, **fields):
    return {"text_raw": raw, "text": normalize(raw).text or None, "flags": [], "content": [], **fields}


def reviewed(raw, spoken=False, prompt=False, **settings):
    one, judge = row(raw), reviewer(**settings)
    judge.review(one, spoken=spoken, prompt=prompt)
    return one, judge.counts


@pytest.mark.parametrize("placeholder", sorted(set(PLACEHOLDERS.values())))
def test_a_placeholder_survives_normalisation_and_scoring_and_is_nothing_to_find(placeholder):
    text = f"എന്റെ നമ്പർ {placeholder} ആണ്"
    assert normalize(text).text == text
    assert len(scoring_form(text).split()) == 4
    assert reviewer().check(text, prompt=True) == []


def test_personal_data_is_masked_in_both_texts_and_the_flag_points_at_the_placeholder():
    one, counts = reviewed(f"എന്റെ  നമ്പർ {NUMBER} ആണ്", spoken=True)
    assert one["text"] == "എന്റെ നമ്പർ [PHONE] ആണ്"
    assert one["text_raw"] == "എന്റെ  നമ്പർ [PHONE] ആണ്"
    (flag,) = one["content"]
    assert one["text"][flag["start"] : flag["end"]] == "[PHONE]"
    assert flag["rule"] == "mobile_number"
    assert one["flags"] == ["personal_data", "personal_data_in_audio"]
    assert (counts.rows_masked, counts.in_audio, counts.lines_flagged) == (1, 1, 1)


def test_a_clean_row_stays_as_it_is():
    one, counts = reviewed("ഇന്ന് 12 മണിക്ക് മഴ പെയ്തു", spoken=True)
    assert one == row("ഇന്ന് 12 മണിക്ക് മഴ പെയ്തു")
    assert counts.summary()["flags_by_rule"] == {}


def test_without_masking_the_texts_stay_and_the_flag_stands():
    one, counts = reviewed(NUMBER, mask_personal_data=False)
    assert (one["text"], one["text_raw"]) == (NUMBER, NUMBER)
    assert one["content"][0]["end"] == len(NUMBER)
    assert one["flags"] == ["personal_data"]
    assert counts.rows_masked == 0


@pytest.mark.parametrize(
    "raw",
    [
        "വിളിക്കൂ 90000\u200b12045", "വിളിക്കൂ 90000<br>12045", "വിളിക്കൂ 90000\u00a012045", "വിളിക്കൂ ൯൦൦൦൦൧൨൦൪൫",
        "&#57;000012045 വിളിക്കൂ", "വിളിക്കൂ 90000 <b>12045</b>, 9000012045", "കാണുക https://wa.me/919000012045 നന്ദി",
        "<a href='tel:9000012045'>വിളിക്കൂ</a>", "a.b@exam\u00adple.in ശരി",
        "ഒൻ\u200bപത് പൂജ്യം പൂജ്യം പൂജ്യം പൂജ്യം ഒന്ന് രണ്ട് പൂജ്യം നാല് അഞ്ച്",
    ],
)  # fmt: skip
def test_the_raw_text_never_says_what_the_text_hides(raw):
    one, _ = reviewed(raw)
    left = "".join(str(int(char)) for char in normalize(one["text_raw"]).text if char.isdecimal())
    assert "12045" not in left and "90000" not in left
    assert "a.b@" not in one["text_raw"]
    assert reviewer().personal_data(normalize(one["text_raw"]).text) == []
    assert reviewer().personal_data(one["text"]) == []


def test_a_raw_text_that_cannot_be_masked_in_place_says_so():
    one, counts = reviewed("വിളിക്കൂ 90000<br>12045")
    assert one["text_raw"] == one["text"] == "വിളിക്കൂ [PHONE]"
    assert "raw_text_rewritten" in one["flags"]
    assert counts.summary()["raw_texts_rewritten"] == 1


def test_a_row_refused_before_its_review_leaks_nothing_either():
    judge = reviewer()
    assert judge.masked_raw(f"ശരി {NUMBER}") == "ശരി [PHONE]"
    assert judge.masked_raw("90000\u200b12045\ufeff ശരി") == "[PHONE] ശരി"
    assert judge.masked_raw(None) is None
    once = judge.masked_raw("a.b@example.in, 0471-2345678")
    assert once == "[EMAIL], [PHONE]" == judge.masked_raw(once)
    one = row(f"<br> {NUMBER}", text=None)
    judge.review(one, spoken=False)
    assert one["text_raw"] == "<br> [PHONE]"


def test_a_translation_is_masked_and_counted_apart():
    judge = reviewer()
    assert judge.masked(f"call {NUMBER} now") == "call [PHONE] now"
    assert judge.masked("nine zero zero zero zero one two zero four five") == "[NUMBER]"
    assert (judge.masked("hello"), judge.masked(None)) == ("hello", None)
    assert judge.counts.summary()["masked_translations"] == 2


def test_a_rule_that_the_settings_name_refuses_the_row_masked_and_counted():
    one, judge = row(f"വിളിക്കൂ {NUMBER}"), reviewer(exclude=("mobile_number",))
    with pytest.raises(Rejected) as refusal:
        judge.review(one, spoken=False)
    assert refusal.value.reason == "content_mobile_number"
    assert not any(map(str.isdecimal, refusal.value.detail.replace("10", "").replace("6", "").replace("9", "")))
    assert "[PHONE]" in one["text"] and "[PHONE]" in one["text_raw"]
    assert judge.counts.summary()["rows_excluded"] == {"mobile_number": 1}


def test_abuse_is_flagged_and_nothing_is_dropped_unless_the_settings_say_so():
    one, counts = reviewed("അവൻ ഒരു മണ്ടൻ ആണ്")
    assert one["text"] == "അവൻ ഒരു മണ്ടൻ ആണ്"
    assert [flag["rule"] for flag in one["content"]] == ["insult"]
    assert [finding["kind"] for finding in counts.findings()] == ["abuse"]
    with pytest.raises(Rejected, match="content_insult"):
        reviewed("അവൻ ഒരു മണ്ടൻ ആണ്", exclude=("insult",))


def test_identity_terms_are_counted_by_line_and_never_flagged():
    judge = reviewer()
    for text in ("ദലിതരും ദളിതരും മുസ്ലിങ്ങളും കോഴിക്കോട്ട്", "മുസ്‌ലിം സ്ത്രീകൾ", "തീയതി 12"):
        one = row(text)
        judge.review(one, spoken=False)
        assert (one["content"], one["flags"]) == ([], [])
    coverage = judge.counts.summary()["identity_coverage"]
    assert tuple(coverage) == CATEGORIES
    assert coverage["religion"] == {"lines": 2, "terms": {"മുസ്ലിം": 2}}
    assert coverage["community"] == {"lines": 1, "terms": {"ദളിതർ": 1}}
    assert coverage["region"] == {"lines": 1, "terms": {"കോഴിക്കോട്": 1}}
    assert coverage["gender"]["lines"] == 1
    assert coverage["disability"] == {"lines": 0, "terms": {}}


def test_identity_forms_are_normal_and_the_word_for_date_is_none_of_them():
    forms = identity_terms()
    assert all(normalize(form).text == form for form in forms)
    assert not {"തീയതി", "തീയതിയിൽ", "തീയേറ്റർ", "മണി"} & forms.keys()
    assert {"കോട്ടയത്ത്", "കോട്ടയത്തെ"} <= inflected("കോട്ടയം")
    assert {"തൃശൂരിൽ", "തൃശൂരിലെ"} <= inflected("തൃശൂർ")
    assert {"കൊച്ചിയിൽ", "കൊച്ചിയിലേക്ക്"} <= inflected("കൊച്ചി")


def test_the_manners_of_prompts_are_counted_only_where_there_are_prompts():
    _, counts = reviewed("ദയവായി കാത്തിരിക്കൂ")
    assert counts.summary()["prompts"] is None
    judge = reviewer()
    for text in ("താങ്കളുടെ ബിൽ തുക", "നിങ്ങൾ കാത്തിരിക്കുക", "നിന്റെ പേര് പറയ്", "താങ്കളുടെ ബിൽ നിങ്ങൾ അടയ്ക്കണം"):
        judge.review(row(text), spoken=True, prompt=True)
    assert judge.counts.summary()["prompts"] == {
        "lines": 4, "honorific": 2, "neutral": 2, "polite_request": 2, "impolite_second_person": 1,
        "bare_imperative": 1, "mixed_address": 1,
    }  # fmt: skip
    assert {finding["kind"] for finding in judge.counts.findings()} == {"impolite_prompts", "mixed_prompts"}


def test_the_summary_is_plain_json_and_its_findings_show_no_example():
    judge = reviewer()
    judge.review(row(NUMBER), spoken=True)
    assert NUMBER not in json.dumps([judge.counts.summary(), judge.counts.findings()], ensure_ascii=False)
    assert all(finding["examples"] == [] for finding in judge.counts.findings())


def test_the_flags_of_a_row_fit_the_column_of_silver():
    import pyarrow as pa

    one, _ = reviewed(f"വിളിക്കൂ {NUMBER}")
    column = pa.array([one["content"]], type=arrow_schema().field("content").type)
    assert column.to_pylist() == [one["content"]]


PIECES = [
    "90000", "12045", " ", "-", "+91", "0471", "2345678", "a.b", "@", "example.in", "okaxis", "എട്ട് ", "രണ്ട് ",
    "ഏഴ് ", "ഒന്ന് ", "നാല് ", "അക്കൗണ്ട് ", "രൂപ", "₹", "\u200b", "<br>", "(", ")", ",", "മണ്ടൻ", "KL07AB", "1234", "ABCPE",
    "F", "൯", "&#57;", "[PHONE]", "\u00a0",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_masking_leaves_nothing_to_find_in_either_text_and_can_be_done_again(raw):
    one, judge = row(raw), reviewer()
    judge.review(one, spoken=False)
    if one["text"] is None:
        return
    assert judge.personal_data(one["text"]) == []
    assert judge.personal_data(one["text_raw"]) == []
    assert judge.personal_data(normalize(one["text_raw"], "encoding").text) == []
    for flag in one["content"]:
        if flag["rule"] in PLACEHOLDERS:
            assert one["text"][flag["start"] : flag["end"]] == PLACEHOLDERS[flag["rule"]]
    again = {**one, "flags": [], "content": []}
    reviewer().review(again, spoken=False)
    assert (again["text"], again["text_raw"]) == (one["text"], one["text_raw"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(st.characters(codec=None), max_size=60), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_any_string_can_be_checked_and_every_flag_lies_inside_it(text):
    judge = reviewer()
    flags = judge.check(text, prompt=True)
    assert all(0 <= flag.start < flag.end <= len(text) for flag in flags)
    assert [flag.start for flag in flags] == sorted(flag.start for flag in flags)
    once = judge.masked_raw(text)
    assert judge.masked_raw(once) == once


@pytest.mark.parametrize("rule", sorted(PLACEHOLDERS))
def test_what_is_planted_for_a_rule_is_gone_after_the_review(rule):
    for line in planted_lines(rule, 40, seed=3):
        one, _ = reviewed(line)
        if one["content"]:
            assert sum(map(str.isdecimal, one["text"])) < 4


def words_of(text):
    return [(word, float(place), place + 0.5) for place, word in enumerate(text.split())]


def test_word_times_give_the_spans_to_hide_and_broken_times_give_none():
    text = f"എന്റെ നമ്പർ {NUMBER} ആണ്."
    flags = reviewer().personal_data(text)
    assert word_spans(text, flags, words_of(text)) == [(2.0, 3.5)]
    assert word_spans(text, flags, words_of(text)[:-2]) is None
    assert word_spans(text, flags, words_of("എന്റെ ഫോൺ 90000 12045 ആണ്.")) is None
    assert mask(text, flags)[0] == "എന്റെ നമ്പർ [PHONE] ആണ്."


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("tone", [True, False])
def test_masked_audio_keeps_nothing_of_the_span_and_everything_outside(dtype, tone):
    rate = 16_000
    full = np.iinfo(dtype).max if dtype == "int16" else 1.0
    noise = (np.random.default_rng(0).uniform(-0.5, 0.5, 3 * rate) * full).astype(dtype)
    before = noise.copy()
    masked = mask_audio(noise, [(1.0, 2.0)], tone=tone)
    assert np.array_equal(noise, before)
    first, last = round(0.95 * rate), round(2.05 * rate)
    assert masked.dtype == noise.dtype and len(masked) == len(noise)
    assert np.array_equal(masked[: first - 1], noise[: first - 1])
    assert np.array_equal(masked[last + 1 :], noise[last + 1 :])
    inside = masked[first + 1 : last - 1].astype(float) / full
    if not tone:
        assert not inside.any()
    else:
        assert abs(np.corrcoef(inside, noise[first + 1 : last - 1].astype(float))[0, 1]) < 0.05
        spectrum = np.abs(np.fft.rfft(inside))
        assert abs(np.fft.rfftfreq(len(inside), 1 / rate)[spectrum.argmax()] - 1000) < 2
        assert 20 * np.log10(np.abs(inside).max()) == pytest.approx(-20, abs=0.2)


def test_a_span_past_the_ends_of_the_audio_is_cut_to_it():
    silence = np.zeros(1600, dtype=np.int16)
    assert len(mask_audio(silence, [(-1.0, 9.0), (5.0, 6.0)])) == 1600
