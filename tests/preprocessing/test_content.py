"""Content rules: each finds its examples and leaves its near misses, and does what its measured figures say."""

from __future__ import annotations

from typing import get_args

import pytest

from benchmarks.content.lines import clean_lines, unnamed_numbers
from benchmarks.content.measure import measure
from data_foundry.config import PROJECT_ROOT, ContentChecks, ContentRuleName
from data_foundry.errors import FoundryError
from data_foundry.preprocessing.content import Reviewer, key_settings, number_rows
from data_foundry.preprocessing.content.abuse import LIST_RULES
from data_foundry.preprocessing.content.amounts import calls
from data_foundry.preprocessing.content.masking import PLACEHOLDERS
from data_foundry.preprocessing.content.rule import wilson
from data_foundry.preprocessing.content.rules import MAX_FALSE_POSITIVES_PER_10K, RULES
from data_foundry.preprocessing.text import normalize

README = PROJECT_ROOT / "benchmarks" / "content" / "README.md"
BY_NAME = {rule.name: rule for rule in RULES}


def reviewer(**settings):
    return Reviewer(ContentChecks(**settings))


def found(text, prompt=False, **settings):
    text = normalize(text).text
    return [(flag.rule, text[flag.start : flag.end]) for flag in reviewer(**settings).check(text, prompt)]


def examples(side):
    return [pytest.param(rule, text, id=f"{rule.name}: {text}") for rule in RULES for text in getattr(rule, side)]


def test_digits_in_a_row_are_counted_before_the_words_around_them_are_read(monkeypatch):
    """A thousand digits are a thousand places where a number may begin; each reads 160 characters around it."""
    monkeypatch.setattr(number_rows, "calls", lambda *place: pytest.fail("the words were read"))
    for row in ("9 " * 1000, "9-" * 1000):
        assert not number_rows.find_row_numbers(row)


CALLING = "വിളി നമ്പ ഫോൺ ഫോണ മൊബൈ വാട്സ വാട്ട്സ ബന്ധപ്പെ Call call Phone mob Whats number No no Ph tel"


@pytest.mark.parametrize("word", CALLING.split())
def test_every_word_of_calling_is_seen_on_both_sides_of_a_number(word):
    for text in (f"{word} 12345", f"12345 {word}"):
        start = text.index("12345")
        assert calls(text, start, start + 5)
    assert not calls("12345 an", 0, 5) and not calls("12345 note", 0, 5)


@pytest.mark.parametrize(("rule", "text"), examples("finds"))
def test_a_rule_finds_its_examples_and_nothing_else_in_them(rule, text):
    flags = {flag.rule for flag in reviewer().check(normalize(text).text, prompt=rule.group == "prompts")}
    assert flags == {rule.name}


@pytest.mark.parametrize(("rule", "text"), examples("passes"))
def test_a_rule_leaves_what_only_looks_like_it(rule, text):
    assert rule.name not in {flag.rule for flag in reviewer().check(normalize(text).text, rule.group == "prompts")}


def test_every_rule_has_examples_a_source_and_limits():
    for rule in RULES:
        assert rule.finds and rule.passes and rule.source and rule.limits, rule.name


def test_the_settings_can_exclude_by_every_rule_and_by_the_users_list_and_by_nothing_else():
    assert set(get_args(ContentRuleName)) == set(BY_NAME) | LIST_RULES
    assert {rule.name for rule in RULES if rule.group == "personal_data"} == set(PLACEHOLDERS)


def test_every_rule_that_may_refuse_rows_keeps_to_five_false_positives_in_ten_thousand_clean_lines():
    for rule in RULES:
        assert rule.measured.clean >= 20_000
        assert rule.measured.false_positives_per_10k <= MAX_FALSE_POSITIVES_PER_10K, rule.name


def test_the_figures_of_the_rules_hold_on_a_part_of_the_lines_measured_again():
    for name, got in measure(seeds=(7,), clean=2_000, planted=120).items():
        stated = BY_NAME[name].measured
        low, _ = wilson(got.false_positives, got.clean)
        assert low * 10_000 <= stated.false_positives_per_10k, f"{name}: {got} has more false positives than {stated}"
        low, high = wilson(got.found, got.planted)
        assert low <= stated.recall <= high + 1e-9, (
            f"{name}: recall {got.recall:.3f}, the table says {stated.recall:.3f}"
        )


def test_the_benchmarks_readme_states_the_figures_of_the_table():
    rows = [line.split("|")[1:-1] for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    stated = {name.strip(): [float(cell) for cell in cells] for name, *cells in rows[1:]}
    others = [rule for rule in RULES if rule.name not in stated]
    assert len(others) == 12
    for rule in RULES:
        got = rule.measured
        figures = [got.false_positives, round(got.false_positives_per_10k, 2), got.found, round(got.precision, 3)]
        assert stated.get(rule.name, stated["the twelve others"]) == figures, rule.name
        assert (got.clean, got.planted) == (120_000, 1_200)


def test_the_clean_lines_hold_what_a_careless_rule_would_trip_over():
    lines = clean_lines(2_000)
    assert sum(any(map(str.isdecimal, line)) for line in lines) > 500
    assert any("1800" in line for line in lines) and any("₹" in line for line in lines)


def test_a_number_that_no_word_explains_is_taken_for_a_persons_by_its_shape_alone():
    hits = [flags[0] for line in unnamed_numbers(500) if (flags := found(line))]
    assert {rule for rule, _ in hits} <= {"mobile_number", "aadhaar", "card"}
    assert 0 < len(hits) < 100


@pytest.mark.parametrize(
    ("trials", "hits", "interval"), [(0, 0, (0.0, 1.0)), (100, 0, (0.0, 0.0370)), (10, 5, (0.2366, 0.7634))]
)
def test_the_wilson_interval_has_its_published_values(trials, hits, interval):
    assert wilson(hits, trials) == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize(
    "text",
    [
        "ഓന് ഇങ്ങട്ട് ബരുവോ, ഓള് പോയീന്", "എന്തൂട്ടാ ഗഡീ വിശേഷം", "എന്തര് അപ്പീ സുഖം തന്നേ", "ഇജ്ജ് എബടെയാ പോണത്",
        "അങ്ങയുടെ സഹായത്തിന് നന്ദി", "താങ്കൾ ദയവായി കാത്തിരിക്കൂ", "ചേട്ടാ ഒന്ന് സഹായിക്കണേ", "സാർ വരുമോ", "അവിടുന്ന് അരുളിച്ചെയ്തു",
    ],
)  # fmt: skip
def test_no_rule_flags_dialect_or_honorific_forms(text):
    assert found(text) == []
    assert found(text, prompt=True) == []


def test_callers_may_say_what_a_prompt_may_not():
    assert found("നിന്റെ പേരെന്താണ്") == []
    assert found("നിന്റെ പേരെന്താണ്", prompt=True) == [("impolite_second_person", "നിന്റെ")]


def test_a_digit_of_any_script_and_an_invisible_character_hide_no_number():
    assert found("൯൦൦൦൦ ൧൨൦൪൫") == [("mobile_number", "90000 12045")]
    assert found("९०००० १२०४५") == [("mobile_number", "९०००० १२०४५")]
    assert found("90000\u200b12045") == [("mobile_number", "9000012045")]
    for joiner in ("\u200c", "\u200d"):
        assert found(f"ശരി 90{joiner}000 {joiner}12{joiner}045 ശരി") == [
            ("mobile_number", f"90{joiner}000 {joiner}12{joiner}045")
        ]
        assert found(f"ra{joiner}ni@okaxis ABC{joiner}PE1234F")[0][0] == "upi_id"


def test_several_numbers_in_a_row_are_found_whole():
    both = [("mobile_number", "90000 12045"), ("mobile_number", "90000 12046")]
    assert found("90000 12045 90000 12046") == found("90000 12045, 90000 12046") == both
    assert found("90000 12045 9000012046") == [both[0], ("mobile_number", "9000012046")]
    text = "0471-2345678 / 9000012045"
    assert [rule for rule, _ in found(text)] == ["landline", "mobile_number"]


def test_a_number_beside_short_ones_in_its_row_is_found_and_they_are_not():
    for before, after in (("വാർഡ് 12 ", ""), ("", " 2026"), ("പിൻ 695001 ", " 12/28 123"), ("5 ", " 500 രൂപ")):
        for said, rule in (
            ("4111 1111 1111 1111", "card"), ("2345 6789 0124", "aadhaar"), ("98470 12345", "mobile_number"),
            ("9847 012 345", "mobile_number"), ("0471 2345678", "landline"),
        ):  # fmt: skip
            assert found(f"{before}{said}{after}") == [(rule, said)], f"{before}{said}{after}"


def test_several_kinds_of_numbers_in_one_row_are_told_apart():
    assert found("4111 1111 1111 1111 2345 6789 0124 98470 12345 0471 2345678") == [
        ("card", "4111 1111 1111 1111"), ("aadhaar", "2345 6789 0124"), ("mobile_number", "98470 12345"),
        ("landline", "0471 2345678"),
    ]  # fmt: skip


def test_a_window_of_a_list_of_fours_is_no_number_unless_a_word_names_it_or_only_years_stand_beside_it():
    assert found("2345 6789 0124 5678 9011") == []
    assert found("ആധാർ 2345 6789 0124 5678 9011") == [("aadhaar", "2345 6789 0124")]
    assert found("2026 2345 6789 0124 1999") == [("aadhaar", "2345 6789 0124")]


def test_lists_of_equally_long_numbers_are_a_persons_only_where_something_speaks_of_calling():
    for said in (
        "78 85 90 67 88",
        "78-91-65-88-72",
        "66301/66302",
        "90-60-90-60-90",
        "78456.65432",
        "61234-71234-81234-91234",
    ):
        assert found(f"മഴ {said} ആയി") == [], said
        assert [rule for rule, _ in found(f"{said} ൽ വിളിക്കൂ")][:1] == ["mobile_number"], said
    for said in ("ട്രെയിൻ നമ്പർ 66301 66302", "65/70/75/80/85", "64999/74999"):
        assert found(said) == [], said


def test_a_multiplication_table_said_aloud_is_no_number_and_tens_take_the_one_after_them():
    for said in (
        "അഞ്ച് നാല് ഇരുപത്, അഞ്ച് അഞ്ച് ഇരുപത്തിയഞ്ച്, അഞ്ച് ആറ് മുപ്പത്",
        "two one three two two four two three five two four six",
    ):
        assert found(said) == []
    assert found("twenty one thirty two forty three fifty four") == []
    assert found("ninety eight forty seven sixty one twenty four thirty five") != []


def test_toll_free_numbers_are_public_behind_the_code_of_the_country_too():
    assert found("+91 1800 39 1500") == found("1800 391 5000") == found("+911860500100") == []


def test_twelve_digits_behind_a_country_code_are_a_telephone_number_whatever_their_check_digit():
    assert found("+912095513148") == [("landline", "+912095513148")]
    assert found("919493781466") == [("mobile_number", "919493781466")]
    assert found("9176-7218-3152") == [("aadhaar", "9176-7218-3152")]


def test_a_number_that_the_settings_name_public_may_stand_however_it_is_written():
    for said in ("9000012045", "+91 90000 12045", "0 9000012045"):
        assert found(said) != []
        assert found(said, public_numbers=("90000 12045",)) == []


def test_a_coordinate_is_no_number_behind_a_country_code():
    assert found("രേഖാംശം 91.8613771018") == []


def test_an_excluded_rule_is_in_the_key_of_datasets_where_it_can_meet_a_row_and_of_no_other():
    checks = ContentChecks(exclude=("bare_imperative", "abuse", "abuse_list"), public_numbers=("90000 12045",))
    text, codes = key_settings(checks, {"text"}), key_settings(checks, {"text", "codes"})
    assert text == {
        "content.mask_personal_data": True, "content.public_numbers": ["9000012045"], "content.exclude.abuse": True,
    }  # fmt: skip
    assert codes == text | {"content.exclude.bare_imperative": True}
    again = ContentChecks(exclude=("abuse", "bare_imperative"), public_numbers=("9000012045", "90000-12045"))
    assert key_settings(again, {"text", "codes"}) == codes


def test_digits_inside_other_identifiers_are_no_helpline():
    assert [rule for rule, _ in found("a112@example.in, ABCPE1912F, KL 1 A 4567")] == ["email", "pan", "vehicle"]


def test_evidence_repeats_no_digit_run_or_address_of_what_was_found():
    for rule in RULES:
        for text in rule.finds:
            text = normalize(text).text
            for flag in reviewer().check(text, prompt=rule.group == "prompts"):
                said = text[flag.start : flag.end]
                for length in range(3, len(said) + 1):
                    for start in range(len(said) - length + 1):
                        part = said[start : start + length]
                        if rule.group == "personal_data" and any(map(str.isdecimal, part)):
                            assert part not in flag.evidence


def test_hostile_text_takes_no_more_than_linear_steps():
    check = reviewer().check
    for piece in (
        "9",
        "9 ",
        "98-",
        "a@",
        "a.",
        "അക്കൗണ്ട് ",
        "ഒന്ന് ",
        "(",
        "+91",
        "0 ",
        "98.",
        "98/",
        "9000012045 ",
        "2345 6789 0124 ",
        "9000 012 045; ",
        "9, ",
        "9000012045 രൂപ; ",
        "a@b1 ",
        "kl 07 ",
    ):
        short, long = piece * 300, piece * 3_000
        assert timed(check, long) < 40 * max(timed(check, short), 0.001), piece


def timed(function, text):
    """Return the CPU time of the quicker of two calls: what else the machine does makes a call longer only."""
    import time

    spent = []
    for _ in range(2):
        start = time.process_time()
        function(text)
        spent.append(time.process_time() - start)
    return min(spent)


def test_a_list_of_the_users_own_needs_a_licence_and_flags_whole_words_only(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("# a list\nപൂർ\nമോശംവാക്ക്\nbad word\nകഴുത\n", encoding="utf-8")
    with pytest.raises(ValueError, match="abuse_list_licence"):
        ContentChecks(abuse_list=words)
    given = {"abuse_list": words, "abuse_list_licence": "CC0-1.0"}
    assert found("പൂർത്തിയായി, നിലമ്പൂർ", **given) == []
    assert found("അവൻ മോശംവാക്ക് പറഞ്ഞു, badword bad words", **given) == [("abuse_list", "മോശംവാക്ക്")]
    assert found("BAD WORD", **given) == [("abuse_list", "BAD WORD")]
    assert found("ഒരു കഴുത വന്നു", **given) == [("abuse_homograph", "കഴുത")]
    assert found("അവൻ മോശംവാക്ക് പറഞ്ഞു", abuse_allow=("മോശംവാക്ക്",), **given) == []
    flag = Reviewer(ContentChecks(**given)).check("മോശംവാക്ക്")[0]
    assert flag.evidence == "list words.txt, licence CC0-1.0"


def test_the_users_list_counts_by_its_content_in_a_steps_key_and_must_be_readable(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("മോശംവാക്ക്", encoding="utf-8")
    checks = ContentChecks(abuse_list=words, abuse_list_licence="own")
    before = key_settings(checks, {"text"})
    assert before["content.mask_personal_data"] is True
    words.write_text("മറ്റൊരുവാക്ക്", encoding="utf-8")
    assert key_settings(checks, {"text"})["content.abuse_list"] != before["content.abuse_list"]
    words.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(FoundryError, match="holds no entry"):
        Reviewer(checks)
    words.unlink()
    for use in (lambda checks: key_settings(checks, {"text"}), Reviewer):
        with pytest.raises(FoundryError, match=r"words\.txt can't be read"):
            use(checks)
