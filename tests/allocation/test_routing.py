"""Routing: what each engine can use, what the registry intended, and which licences let a row through."""

import pytest

from allocation.silver_builders import (
    CODEC_TOKENS,
    COMMENTS,
    NINE_ROWS,
    SPEECH,
    SPEECH_WITH_SPLITS,
    TEXT_PAIRS,
    TOPICS,
    silver_row,
)
from data_foundry.allocation.licences import obligations
from data_foundry.allocation.links import identity
from data_foundry.allocation.routing import RoutingMatrix, concerned, declared_engine, mismatch, refuse_mismatch, route
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.licence_terms import NON_COMMERCIAL, UNKNOWN, refusal

INTENTS = "data-foundry/malayalam-ivr-intents"
INTENT = min(DATASET_REGISTRY[INTENTS].labels.values())

ROWS = {
    "spoken": (silver_row(SPEECH, 1, sound=1), {"stt"}),
    "spoken with a district": (silver_row(SPEECH, 1, sound=1, district="Kollam"), {"stt", "dialect"}),
    "spoken with a dialect, no text": (silver_row(SPEECH, 1, sound=1, dialect="malabar", text=None), {"dialect"}),
    "spoken with English": (
        silver_row(SPEECH, 1, sound=1, translation="It rains.", direction="ml-en"),
        {"stt", "translation"},
    ),
    "pair without direction": (silver_row(TEXT_PAIRS, 1, translation="It rains."), set()),
    "spoken with a dialect, read text only": (silver_row(NINE_ROWS, 1, dialect="malabar"), {"dialect"}),
    "topic": (silver_row(TOPICS, 1, label="sports"), {"nlu"}),
    "intent": (silver_row(INTENTS, 1, label=INTENT), {"nlu"}),
    "label of a dataset whose labels are neither intent nor topic": (silver_row("a/b", 1, label=INTENT), set()),
    "sentiment": (silver_row(COMMENTS, 1, label="not_malayalam"), {"sentiment"}),
    "unlabelled text": (silver_row(NINE_ROWS, 1), set()),
    "codec tokens": (silver_row(CODEC_TOKENS, 1, codes=[[1], [2]], codec="c"), {"tts"}),
    "codec tokens without text": (silver_row(CODEC_TOKENS, 1, codes=[[1]], codec="c", text=None), set()),
}


@pytest.mark.parametrize(("row", "engines"), ROWS.values(), ids=ROWS)
def test_a_row_serves_every_engine_whose_contract_it_meets(row, engines):
    assert {engine for engine, fit in route(row).items() if fit.able} == engines


def test_every_lack_is_named_in_the_order_of_the_requirements():
    assert route(silver_row(NINE_ROWS, 1, text=None))["stt"].lacks == ("no_audio", "no_text")
    assert route(silver_row(NINE_ROWS, 1))["dialect"].lacks == ("no_dialect_label",)
    assert route(silver_row(NINE_ROWS, 1, text=None))["dialect"].lacks == ("no_audio_and_no_text", "no_dialect_label")


@pytest.mark.parametrize(
    ("row", "serves"),
    [
        (silver_row(NINE_ROWS, 1, malayalam_ratio=1.0), True),
        (silver_row(SPEECH, 1, sound=1, malayalam_ratio=0.7), True),
        (silver_row(COMMENTS, 1, label="positive", malayalam_ratio=0.9), True),
        (silver_row(COMMENTS, 1, label="positive", malayalam_ratio=0.0), False),
        (silver_row(NINE_ROWS, 1, malayalam_ratio=None), False),
        (silver_row(NINE_ROWS, 1, text=None, malayalam_ratio=1.0), False),
        (silver_row(TOPICS, 1, label="sports", malayalam_ratio=1.0), False),
    ],
    ids=["text", "transcript", "comment", "romanised comment", "not measured", "no text", "serves the task already"],
)
def test_malayalam_text_without_a_target_serves_only_the_domain_of_understanding(row, serves):
    assert {engine for engine, fit in route(row).items() if fit.domain} == ({"nlu"} if serves else set())


def matrix(rows) -> dict:
    counted = RoutingMatrix()
    for row in rows:
        counted.add(row["dataset"], route(row))
    return counted.table()


def test_the_matrix_counts_able_rows_and_each_lack():
    table = matrix([silver_row(SPEECH, 1, sound=1), silver_row(SPEECH, 2), silver_row(SPEECH, 3, text=None)])
    assert table[SPEECH]["rows"] == 3 and table[SPEECH]["declared"] == "stt"
    assert table[SPEECH]["engines"]["stt"] == {"able": 1, "domain": 0, "why_not": {"no_audio": 2, "no_text": 1}}


def test_the_matrix_counts_rows_that_serve_without_a_target_apart():
    rows = [silver_row(SPEECH, 1, malayalam_ratio=1.0), silver_row(TOPICS, 2, label="sports")]
    rows[0]["dataset"] = TOPICS
    cell = matrix(rows)[TOPICS]["engines"]["nlu"]
    assert cell == {"able": 1, "domain": 1, "why_not": {"no_intent_or_topic": 1}}


def test_a_speech_set_without_audio_is_a_finding_that_says_what_was_done_instead():
    pairs = [silver_row(TEXT_PAIRS, n, translation="It rains.", direction="ml-en") for n in range(7)]
    finding = mismatch(TEXT_PAIRS, matrix(pairs)[TEXT_PAIRS])
    assert finding["kind"] == "declared_engine_unable" and finding["severity"] == "warning" and finding["count"] == 7
    assert "Declared for stt" in finding["message"] and "no_audio in 7" in finding["message"]
    assert finding["message"].endswith("(no_audio in 7).")
    used = {"translation": {"used": 5, "used_for_domain": 0, "kept_out": {"duplicate": 2}}}
    message = mismatch(TEXT_PAIRS, matrix(pairs)[TEXT_PAIRS], used)["message"]
    assert message.endswith("; instead they serve translation (5 of 7 rows used).")


def test_an_engine_that_took_no_row_is_not_said_to_be_served_but_why_it_took_none():
    pairs = [silver_row(TEXT_PAIRS, n, translation="Rain.", direction="ml-en", malayalam_ratio=1.0) for n in range(7)]
    line = matrix(pairs)[TEXT_PAIRS]
    refused = {"used": 0, "used_for_domain": 0, "kept_out": {"licence_unknown": 7}}
    message = mismatch(TEXT_PAIRS, line, {"translation": refused, "nlu": refused})["message"]
    assert "instead they serve" not in message and "they serve no engine and were left out" in message
    assert "they could serve nlu's adaptation to the language (7 rows, all kept out: licence_unknown 7)" in message
    assert "translation (7 rows, all kept out: licence_unknown 7)" in message
    message = mismatch(TEXT_PAIRS, line, {"nlu": refused})["message"]
    assert "translation (7 rows: its gold is not made)" in message


def test_codec_tokens_declared_for_understanding_serve_speech_synthesis():
    rows = [silver_row(CODEC_TOKENS, n, codes=[[n]], codec="c", duration=0.08) for n in range(3)]
    table = matrix([{**row, "duration": None} for row in rows])
    used = {"tts": {"used": 3, "used_for_domain": 0, "kept_out": {}}}
    assert "instead they serve tts (3 of 3 rows used)" in mismatch(CODEC_TOKENS, table[CODEC_TOKENS], used)["message"]


def test_rows_that_serve_nothing_are_said_to_be_left_out():
    message = mismatch(NINE_ROWS, matrix(silver_row(NINE_ROWS, n) for n in range(9))[NINE_ROWS], {})["message"]
    assert "none of its 9 rows" in message and "left out" in message and "no_dialect_label in 9" in message


def test_rows_that_serve_without_a_target_are_said_to_do_so():
    rows = [silver_row(NINE_ROWS, n, malayalam_ratio=1.0) for n in range(9)]
    used = {"nlu": {"used": 0, "used_for_domain": 7, "kept_out": {"duplicate": 2}}}
    message = mismatch(NINE_ROWS, matrix(rows)[NINE_ROWS], used)["message"]
    assert "nlu's adaptation to the language (7 of 9 rows used, no target)" in message


def test_a_mismatch_that_is_to_fail_stops_the_declared_engine_and_withholds_the_rows_from_the_others():
    table = matrix([silver_row(NINE_ROWS, n) for n in range(9)] + [silver_row(SPEECH, 1, sound=1)])
    assert refuse_mismatch(AIEngine.NLU, table) == {NINE_ROWS}
    with pytest.raises(FoundryError, match=r"(?s)Nothing is published for dialect.*Aby003.*none of its 9 rows"):
        refuse_mismatch(AIEngine.DIALECT, table)


def test_the_policy_for_mismatches_concerns_the_engines_that_could_use_the_rows_or_share_them():
    pairs = [silver_row(TEXT_PAIRS, n, translation="Rain.", direction="ml-en") for n in range(3)]
    table = matrix([*pairs, silver_row(TOPICS, 1, label="sports")])
    assert [engine for engine in ENGINES if concerned(engine, table)] == ["stt", "translation"]
    spoken = silver_row(CODEC_TOKENS, 1, sound=1, codec=None)
    assert [engine for engine in ENGINES if concerned(engine, matrix([spoken]))] == ["stt", "dialect", "nlu"]


def test_a_dataset_that_serves_its_engine_is_no_finding():
    assert mismatch(TOPICS, matrix([silver_row(TOPICS, 1, label="sports")])[TOPICS]) is None
    assert mismatch("a/b", matrix([silver_row("a/b", 1)])["a/b"]) is None and declared_engine("a/b") is None


@pytest.mark.parametrize(
    ("dataset", "licence", "reason"),
    [
        (TOPICS, "cc-by-nc-sa-4.0", "licence_non_commercial"),
        (TOPICS, "cc-by-4.0", "licence_non_commercial"),
        (COMMENTS, "cc-by-4.0", None),
        (SPEECH_WITH_SPLITS, "unknown", "licence_unknown"),
        (TEXT_PAIRS, "krutrim-community-license-agreement-version-1.0", "licence_unknown"),
        ("a/b", "cc-by-4.0", None),
        ("a/b", "CC-BY-NC-4.0", "licence_non_commercial"),
        ("a/b", "", "licence_unknown"),
        ("a/b", "some-custom-licence", "licence_unknown"),
        # What the registry judged was another licence than the one that is in force.
        (COMMENTS, "research-only", "licence_non_commercial"),
        (COMMENTS, "cc-by-4.0 and some-custom-licence", "licence_unknown"),
        (COMMENTS, "cc-by-4.0 and cc-by-sa-4.0", None),
        (COMMENTS, "CC BY-NC 4.0", "licence_non_commercial"),
        ("a/b", "fair-noncommercial-research-license", "licence_non_commercial"),
        ("a/b", "mit, apache-2.0", None),
        ("a/b", "mit, made-up-1.0", "licence_unknown"),
        (SPEECH_WITH_SPLITS, "cc-by-4.0", "licence_unknown"),
    ],
)
def test_a_licence_is_refused_for_its_terms_or_for_want_of_them(dataset, licence, reason):
    assert refusal(dataset, licence) == reason


def test_every_registered_dataset_has_a_judgement_with_its_own_licence():
    for dataset, entry in DATASET_REGISTRY.items():
        expected = {True: NON_COMMERCIAL, None: UNKNOWN, False: None}[entry.non_commercial]
        assert refusal(dataset, entry.licence) == expected, dataset


def test_obligations_follow_from_the_licence():
    assert obligations(TOPICS, "cc-by-nc-sa-4.0") == ["no commercial use", "attribution", "share alike"]
    assert obligations("a/b", "cc0-1.0") == []
    no_derivatives = obligations("a/b", "cc-by-nd-4.0")
    assert no_derivatives == ["attribution", "no sharing of what derives from it: have it reviewed"]
    assert obligations(COMMENTS, "cc-by-sa-4.0") == ["attribution", "share alike"]
    assert obligations(SPEECH_WITH_SPLITS, "unknown")[0].startswith("terms unknown")


def test_one_example_twice_is_told_by_input_and_target():
    first, other = silver_row(TOPICS, 1, label="sports"), silver_row(TOPICS, 2, label="sports", text="വേറെ")
    columns = ENGINES["nlu"].identity
    assert identity(first, columns) == identity({**other, "text": first["text"]}, columns) != identity(other, columns)
    assert identity(first, columns) != identity({**first, "label": "business"}, columns)
    heard = silver_row(SPEECH, 1, audio_group="5")
    assert identity(heard, ENGINES["stt"].identity) != identity({**heard, "audio_group": "6"}, ENGINES["stt"].identity)


def test_dialect_rows_without_audio_are_one_example_only_if_they_say_the_same():
    columns = ENGINES["dialect"].identity
    first, other = (silver_row(NINE_ROWS, n, dialect="malabar") for n in (1, 2))
    assert identity(first, columns) != identity(other, columns)
    assert identity(first, columns) == identity({**other, "text": first["text"]}, columns)
