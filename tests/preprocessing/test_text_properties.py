"""What holds for any text whatever: idempotent, total, linear, no letter lost but by a rule that may."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_foundry.preprocessing import mojibake, orthography, romanised, script, text_flags, text_rules
from data_foundry.preprocessing.normalization import RARE
from data_foundry.preprocessing.text import (
    PROFILES,
    RULES,
    aksharas,
    fidelity,
    is_well_formed,
    malayalam_aksharas,
    malayalam_ratio,
    normalize,
    scoring_form,
    script_counts,
    vistaar_compat,
)
from data_foundry.preprocessing.text import text_flags as flags_of

ZWNJ, ZWJ = "\u200c", "\u200d"

# Pieces that rules act on, so that random strings of them hit rules and their interplay all the time.
PIECES = [
    *"കനണരറലളഴമയത", *"അഇഉഎഒ", *"ാിുൂെേൈൊൌൗ്ംഃൎൻൽ", *"൦൧൰", *"oO0: -.&;<>[]()/=a",
    *"\u0d64\u0d11\u0300\u0323\u0d3b", ZWNJ, ZWJ, "\u200b", "\ufeff", "\u00a0", "\x85", "\x90",
    "\ud800", "\ud83d", "\ude00", "\U0001f600", "\U000e0041", "\x00",
    *"à´µ®â€œ“’…–ÃÂ\u00ad", "Ã\u00a0Â´Â®", "&amp;", "&#38;", "lt;", "<br>", "breathing", "https://", "www.",
    "ൻറെ", "ദു:ഖ", "നമ:", "ന്\u200d", "ല്\u200d", "ക്\u200d", "ൻ്റ", "ന്റ", "െ\u0d3e", "േ\u0d3e", "ക്ഷ",
    "ന്\u200cന", "é", "e\u0301", "हि", "த",
]  # fmt: skip
hostile = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
malayalam = st.text(
    st.one_of(st.characters(min_codepoint=0xD00, max_codepoint=0xD7F), st.sampled_from([ZWNJ, ZWJ, " "]))
)
anything = st.one_of(hostile, malayalam, st.text(st.characters(codec=None), max_size=60))

LETTERS = frozenset(chr(point) for point in range(0xD00, 0xD80) if unicodedata.category(chr(point))[0] in "LM")
SIGNS = "ാിീുൂൃൄെേൈൊോൌൗ"
# The letters that each rule may take away, always for others that are read the same, but for the two that take words.
TAKES = {
    "nfc": SIGNS,
    "legacy_chillu": "ണനരലളക്",
    "vowel_letter": "ഇഉഎഒ" + SIGNS,
    "vowel_sign_order": SIGNS,
    "doubled_mark": "ുൂൃൄ്",
    "nta": "ൻ",
    "dot_reph": "ൎയ്",
    "au_sign": "ൌ",
    "samvruthokaram": "ു",
    "final_nte": "ൻ",
    "markup": LETTERS,
    "url": LETTERS,
}


@settings(max_examples=500, deadline=None)
@given(anything, st.sampled_from(sorted(PROFILES)))
def test_normalize_is_idempotent_and_total(text, profile):
    once = normalize(text, profile)
    assert normalize(once.text, profile) == (once.text, {})
    once.text.encode("utf-8")
    assert unicodedata.is_normalized("NFC", once.text)


@settings(max_examples=300, deadline=None)
@given(anything, st.sampled_from(sorted(PROFILES)))
def test_a_text_that_changed_says_by_which_rule(text, profile):
    result = normalize(text, profile)
    assert bool(result.changes) == (result.text != text)
    assert set(result.changes) <= {rule.name for rule in RULES}
    assert all(count > 0 for count in result.changes.values())


@settings(max_examples=800, deadline=None)
@given(st.one_of(hostile, malayalam))
def test_no_malayalam_letter_is_lost_but_by_a_rule_that_may_take_it(text):
    result = normalize(text)
    before, after = (Counter(char for char in side if char in LETTERS) for side in (text, result.text))
    lost = set(before - after)
    assert lost <= set().union(*(TAKES.get(rule, ()) for rule in result.changes)), (lost, result.changes)


def test_the_rules_that_may_take_letters_are_rules():
    assert set(TAKES) <= {rule.name for rule in RULES}


@settings(max_examples=300, deadline=None)
@given(anything)
def test_characters_called_inert_are_left_alone_by_nfc(text):
    assert text_rules.compose(text) == unicodedata.normalize("NFC", text)


def test_no_inert_character_composes_or_reorders():
    inert = re.compile(f"[{text_rules.INERT}]")
    for point in range(0x110000):
        char = chr(point)
        if inert.match(char):
            assert unicodedata.normalize("NFC", char) == char
            assert unicodedata.combining(char) == 0
            assert all(len(unicodedata.normalize("NFC", base + char)) == 2 for base in "aeouAക്െേൊ\u0d15\u1100\u0915")


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, min_size=2, max_size=4))
def test_words_are_normalised_by_themselves_under_the_encoding_rules(parts):
    # Within a word neighbours matter; a digit and a letter between blanks keep words apart.
    clean = [normalize(part, "encoding").text for part in parts]
    if any("&" in part or "à" in part or "Ã" in part or "Â" in part for part in clean):
        return  # a piece of an escape or of mojibake may be completed by the next text
    joined = " 1 ക ".join(part for part in clean)
    assert normalize(joined, "encoding").text == re.sub(" {2,}", " ", joined).strip(" ")


@settings(max_examples=300, deadline=None)
@given(anything)
def test_the_scoring_form_is_idempotent_and_never_grows_in_words(text):
    form = scoring_form(text)
    assert scoring_form(form) == form
    assert len(form.split()) <= len(normalize(text).text.split())


@settings(max_examples=400, deadline=None)
@given(anything)
def test_the_ratio_is_a_share_and_does_not_see_composition(text):
    ratio = malayalam_ratio(text)
    assert 0.0 <= ratio <= 1.0
    if RARE.search(text) is None:  # NFD cannot be told from NFC where a character has several forms
        for form in ("NFC", "NFD"):
            assert malayalam_ratio(unicodedata.normalize(form, text)) == ratio


@settings(max_examples=400, deadline=None)
@given(anything)
def test_the_counts_are_those_of_the_definition_taken_literally(text):
    import regex

    if any(sign in text for sign in ("@", "<", "://", "ww.", "WW.")):
        return
    text = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(char) == "Cn" for char in text):
        return  # the table of regex may be newer than Python's
    lettered = [char for char in text if unicodedata.category(char)[0] in "LM"]
    malayalam_side = sum(1 for char in lettered if regex.match(r"\p{Script=Malayalam}", char))
    other = sum(
        1 for char in lettered if not regex.match(r"[\p{Script=Malayalam}\p{Script=Common}\p{Inherited}]", char)
    )
    assert script_counts(text) == (malayalam_side, other)


@settings(max_examples=400, deadline=None)
@given(anything)
def test_aksharas_lose_no_character_and_are_counted_right(text):
    units = aksharas(text)
    assert "".join(units) == "".join(text.split())
    headed = re.compile(f"[{text_rules.CONSONANT}{text_rules.VOWEL}{text_rules.CHILLU}\u0d5f]")
    assert malayalam_aksharas(text) == sum(1 for unit in units if headed.match(unit))


@settings(max_examples=400, deadline=None)
@given(anything)
def test_well_formedness_is_that_of_the_whole_grammar(text):
    assert is_well_formed(text) == (orthography._ILL_FORMED.search(text) is None)


@settings(max_examples=300, deadline=None)
@given(anything)
def test_flags_and_fidelity_take_any_text(text):
    normal = normalize(text)
    assert flags_of(normal) == sorted(set(flags_of(normal)))
    kept, total = fidelity(text, normal)
    assert 0 <= kept <= total
    assert kept == total or {"markup", "url"} & set(normal.changes)


@settings(max_examples=100, deadline=None)
@given(anything)
def test_the_vistaar_form_takes_any_text(text):
    vistaar_compat(text).encode("utf-8")


PATHOLOGICAL = [
    "&amp;", "&#38;", "അ" + ZWJ, ZWJ, "ന്" + ZWJ, "<", "<a ", "<noise", "െ", "െ\u0d3e", "ാെ", "ു്", "്", "്\u0301", " ",
    "\u00a0", "à", "à´", "à´®", "Ã Â´", "Ã ", "o", "ക൦", "www.", "https://", "[", "(", "\ud800", "\ud83d\ude00", "\x00",
    "മലയാളം", "\u0301", "a\u0301\u0323", "ā", "kk", "aA¡", "@", "<b", "ക\u0d4dക",
]  # fmt: skip


@pytest.mark.parametrize("unit", PATHOLOGICAL)
def test_a_long_line_of_one_thing_is_no_harder_than_its_length(unit):
    text = (unit * 120_000)[:120_000]  # quadratic work would be 14 thousand million steps, and would not end
    normal = normalize(text)
    malayalam_ratio(text)
    is_well_formed(text)
    malayalam_aksharas(text)
    flags_of(normal)
    assert scoring_form(text) == scoring_form(normal.text)


def test_ten_megabytes_on_one_line_go_through():
    text = "അവന്\u200d പറഞ്ഞു: വില 10 രൂപ, “ശരി”. " * 130_000
    normal = normalize(text)
    assert len(text.encode("utf-8")) > 10_000_000
    assert normal.changes == {"legacy_chillu": 130_000, "quote": 260_000, "space": 1}
    assert malayalam_ratio(normal.text) == 1.0
    assert is_well_formed(normal.text)


def _nested_repeats(parsed: object, inside: bool = False) -> bool:
    """Return whether an unbounded repeat stands within another in a parsed pattern: the shape that explodes."""
    found = False
    if isinstance(parsed, tuple) and len(parsed) == 2 and str(parsed[0]) in ("MAX_REPEAT", "MIN_REPEAT"):
        unbounded = str(parsed[1][1]) == "MAXREPEAT"
        return (inside and unbounded) or _nested_repeats(parsed[1][2], inside or unbounded)
    if isinstance(parsed, tuple | list) or type(parsed).__name__ == "SubPattern":
        found = any(_nested_repeats(part, inside) for part in parsed)  # type: ignore[attr-defined]
    return found


def test_no_pattern_nests_an_unbounded_repeat():
    patterns = [rule.pattern for rule in RULES]
    for module in (mojibake, orthography, romanised, script, text_flags, text_rules):
        patterns += [value for value in vars(module).values() if isinstance(value, re.Pattern)]
    assert len(patterns) > 40
    assert _nested_repeats(re._parser.parse("(?:a+b)*"))  # type: ignore[attr-defined]
    for pattern in patterns:
        assert not _nested_repeats(re._parser.parse(pattern.pattern)), pattern.pattern  # type: ignore[attr-defined]
