"""Malayalam text rules: each example holds, and the promises (idempotent, total, linear) hold on hostile input."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_foundry.preprocessing.text import (
    RULES,
    aksharas,
    is_well_formed,
    malayalam_ratio,
    normalize,
    scoring_form,
)

ZWNJ, ZWJ = "\u200c", "\u200d"

# Pieces that rules act on, so that random strings of them hit rules and their interplay all the time.
PIECES = [
    *"കനണരറലളഴമയത", *"അഇഉഎഒ", *"ാിുൂെേൈൊൌൗ്ംഃൎൻൽ", *"൦൧൰", *"oO0: -.&;<>[]()/=a", *"\u0d64\u0d11\u0300",
    ZWNJ, ZWJ, "\u200b", "\ufeff", "\u00a0", "\x85", "\x90", "\ud800", "\ud83d", "\ude00", "\U0001f600",
    *"à´µ®â€œ“’…–", "&amp;", "&#38;", "lt;", "<br>", "breathing", "https://", "www.", "ൻറെ", "ദു:ഖ", "നമ:",
]  # fmt: skip
hostile = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
anything = st.one_of(hostile, st.text(st.characters(codec=None), max_size=60), st.text(max_size=60))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_does_what_its_examples_say(rule):
    fired = 0
    for before, after in rule.examples:
        result = normalize(before, rule.layer)
        assert result.text == after
        fired += result.changes.get(rule.name, 0)
    assert fired, "no example of the rule makes it act"


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.layer == "modern"], ids=lambda rule: rule.name)
def test_the_encoding_profile_applies_no_rule_of_the_modern_one(rule):
    for before, _ in rule.examples:
        assert rule.name not in normalize(before, "encoding").changes


def test_an_unknown_profile_is_refused_by_name():
    with pytest.raises(ValueError, match="archaic"):
        normalize("ശരി", "archaic")


@settings(max_examples=400, deadline=None)
@given(anything, st.sampled_from(["encoding", "modern"]))
def test_normalize_is_idempotent_and_total(text, profile):
    once = normalize(text, profile)
    again = normalize(once.text, profile)
    assert again.text == once.text
    assert again.changes == {}
    once.text.encode("utf-8")
    assert unicodedata.is_normalized("NFC", once.text)


@settings(max_examples=300, deadline=None)
@given(anything)
def test_a_text_that_changed_says_by_which_rule(text):
    result = normalize(text)
    assert bool(result.changes) == (result.text != text)


@settings(max_examples=300, deadline=None)
@given(anything)
def test_the_scoring_form_is_idempotent_and_never_grows_in_words(text):
    form = scoring_form(text)
    assert scoring_form(form) == form
    assert len(form.split()) <= len(normalize(text).text.split())


@settings(max_examples=300, deadline=None)
@given(anything)
def test_the_ratio_is_a_share_and_aksharas_lose_no_character(text):
    assert 0.0 <= malayalam_ratio(text) <= 1.0
    assert "".join(aksharas(text)) == "".join(text.split())
    is_well_formed(text)


@pytest.mark.parametrize(
    "unit",
    ["&amp;", "&#38;", "അ" + ZWJ, ZWJ, "ന്" + ZWJ, "<", "<a ", "<noise", "െ", "െ\u0d3e", "ാെ", "ു്", "്", " ", "\u00a0",
     "à", "à´", "à´®", "o", "ക൦", "www.", "https://", "[", "(", "\ud800", "\ud83d\ude00", "മലയാളം"],
)  # fmt: skip
def test_time_is_linear_in_the_length(unit):
    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        best = 1e9
        for _ in range(3):
            start = time.process_time()
            for work in (normalize, malayalam_ratio, is_well_formed, scoring_form, aksharas):
                work(text)
            best = min(best, time.process_time() - start)
        return best

    # Eight times the length: eight times the time if linear, sixty-four if quadratic.
    assert seconds(40_000) < 25 * max(seconds(5_000), 2e-4)


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("കേരളം", 1.0),
        ("കേരളം ab", 5 / 7),
        ("വില 298.62 കോടി, 100%!", 1.0),
        ("balance", 0.0),
        ("", 0.0),
        ("123 \U0001f600 ...", 0.0),
        ("കേ\u0d3e", 1.0),
        ("മഴ https://example.in/very/long/path a@b.in <b>", 1.0),
        ("കൊ हिन्दी", 2 / 8),
        ("കൊ µ ½ \u0301", 1.0),
    ],
)
def test_the_ratio_counts_letters_and_marks_of_both_sides(text, ratio):
    assert malayalam_ratio(text) == pytest.approx(ratio)


def test_the_ratio_is_the_same_before_and_after_composition():
    assert malayalam_ratio("കൊടി abc") == malayalam_ratio(unicodedata.normalize("NFD", "കൊടി abc"))


@pytest.mark.parametrize(
    "text",
    ["കെയ്ൻ", "ബാദ്ർ", "അ്", "7-ാം", "2020-ൽ", "25-ന്", "എന്റെ", "അതു്", "എൻ്റെ", "ദുഃഖം", "സോഫ്റ്റ്\u200cവെയർ", "busിൽ", "abc"],
)
def test_good_spellings_are_well_formed(text):
    assert is_well_formed(text)


@pytest.mark.parametrize("text", ["്ന", "കാു", "അാ", "ഇൗ", "ക്ാ", "കാ്", "ംി", "ക \u0d3e", "\u0d11", "ശരി\ufffd", "ൻി"])
def test_impossible_spellings_are_not_well_formed(text):
    assert not is_well_formed(text)


def test_aksharas_keep_a_conjunct_together_and_end_it_at_a_non_joiner():
    assert aksharas("ക്ഷണം") == ["ക്ഷ", "ണം"]
    assert aksharas("സോഫ്റ്റ്\u200cവെയർ") == ["സോ", "ഫ്റ്റ്\u200c", "വെ", "യ", "ർ"]
    assert aksharas("1-ാം വീട്") == ["1", "-", "ാം", "വീ", "ട്"]


def test_scoring_does_not_see_encoding_but_sees_words():
    assert scoring_form("അവന്\u200d പറഞ്ഞു.") == scoring_form("“അവൻ” പറഞ്ഞു!")
    assert scoring_form("അവന്") != scoring_form("അവൻ")


def test_clean_text_is_returned_as_it_is():
    text = "സോഫ്റ്റ്\u200cവെയർ മാറ്റി, ഇനി വില: 100 രൂപ."
    result = normalize(text)
    assert result.text is text
    assert result.changes == {}
