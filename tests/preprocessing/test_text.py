"""Malayalam text rules: each example holds, the ratio counts what it says, spellings are judged, dialects survive."""

from __future__ import annotations

import unicodedata

import pytest

from data_foundry.preprocessing.text import (
    RULES,
    aksharas,
    is_well_formed,
    malayalam_aksharas,
    malayalam_ratio,
    normalize,
    scoring_form,
)


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
        ("മഴ <breathing> [laugh] <a href='x'>", 1.0),
        ("മഴ <please pay now> ശരി", 5 / 17),  # no tag that a rule takes away, so its letters stay and count
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


def test_every_rule_says_whether_the_reading_stays():
    taking = {rule.name for rule in RULES if not rule.keeps}
    assert taking == {"markup", "url"}, "a rule that takes words away must be meant to"


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("കെ\u0d3eടി കേ\u0d3eടി കൊടി", {"nfc": 2}),
        ("cafe\u0301 re\u0301sume\u0301 കേ\u0d3eടി", {"nfc": 4}),
        ("\u212b", {"nfc": 1}),  # the same length before and after
        ("\u0958", {"nfc": 1}),  # longer after: a letter that NFC takes apart
        ("അവന്\u200d അവള്\u200d \u0d15\u0d41\u0d41", {"legacy_chillu": 2, "doubled_mark": 1}),
        ("സോഫ്റ്റ്\u200cവെയർ അവൻ\u200c", {"joiner": 1}),
        ("&amp; & &lt;", {"entity": 2}),
        (" ശരി", {"space": 1}),
        ("café \U0001f600 വില", {}),
    ],
)
def test_a_change_is_a_place_that_a_rule_rewrote(text, changes):
    assert normalize(text, "encoding").changes == changes


@pytest.mark.parametrize(
    "form",
    [
        # Written for this project; no native speaker has checked them.
        "ങ്ങള്", "ഇങ്ങള്", "ഞമ്മള്", "ഓൻ", "ഓള്", "ബരീ", "പോയ്ക്കോളീ", "എന്തപ്പാ", "കയിച്ചോ",  # north
        "എന്തൂട്ടാ", "എന്തൂട്ടാ ഗഡി", "പോയിട്ടാ", "ഇല്ല്യാട്ടാ", "മ്മള്", "-ട്ടോ", "ശരിട്ടോ", "മ്ടെ",  # centre
        "എന്തര്", "എന്തരടേയ്", "തള്ളേ", "അപ്പി", "പയല്", "ചെല്ലക്കിളി", "വോ",  # south
        "മോനേ", "മോളേ", "ചേട്ടാ", "ചേച്ചീ", "സാറേ", "ടീച്ചറേ", "അമ്മച്ചീ", "ഇക്കാ", "ഏട്ടൻ",  # address
        "അദ്ദേഹം", "അവർകൾ", "താങ്കൾ", "താങ്കളുടെ", "ശ്രീമതി", "ബഹുമാനപ്പെട്ട", "തിരുമേനി", "അങ്ങ്", "അവിടുന്ന്",  # honorific
    ],
)  # fmt: skip
def test_dialect_and_honorific_forms_survive(form):
    assert normalize(form) == (form, {})
    assert is_well_formed(form)
    assert malayalam_ratio(form) == 1.0


def test_forms_of_one_word_that_dialects_tell_apart_stay_apart():
    forms = ["അവന്", "അവൻ", "ഓൻ", "നിങ്ങൾ", "നിങ്ങള്", "ഇങ്ങള്", "എന്ത്", "എന്തര്", "എന്തൂട്ട്", "എന്താ"]
    assert len({scoring_form(form) for form in forms}) == len(forms)


@pytest.mark.parametrize("text", ["ക്ഷണം", "സോഫ്റ്റ്\u200cവെയർ", "1-ാം വീട്", "അമ്മ, 12 abc", "എന്റെ പേര് രാമൻ.", ""])
def test_aksharas_are_counted_without_listing_them(text):
    assert malayalam_aksharas(text) == sum(unit[0] >= "ൺ" or "\u0d05" <= unit[0] <= "\u0d3a" for unit in aksharas(text))
