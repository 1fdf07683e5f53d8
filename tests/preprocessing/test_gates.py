"""The small judges: sides by script, labels by table, codec tokens by their codec."""

from __future__ import annotations

import pytest

from data_foundry.preprocessing.codec_tokens import check_codes
from data_foundry.preprocessing.labels import district, gender
from data_foundry.preprocessing.sides import sides
from data_foundry.records import Rejected

from .raw_builders import INDICST, SPEECH_WITH_ENGLISH, STT, TOKENS, entry

ML, EN = "ഇന്ന് മഴ പെയ്യും", "it will rain today"


def indicst(text, source, source_language, target_language):
    values = {
        "text": text, "source_text": source, "source_language": source_language, "target_language": target_language,
    }  # fmt: skip
    found = sides(entry(INDICST), values)
    return found.text, found.translation, found.direction, found.flags


def test_a_translation_row_is_told_from_a_transcript_by_its_languages_and_script():
    assert indicst(EN, ML, "malayalam", "english") == (ML, EN, "ml-en", [])
    assert indicst(ML, EN, "en", "ml") == (ML, EN, "en-ml", [])
    assert indicst(ML, ML, "ml", "Malayalam") == (ML, None, None, [])


def test_sides_that_contradict_their_language_columns_are_flagged():
    assert indicst(ML, EN, "malayalam", "english") == (ML, EN, "en-ml", ["sides_swapped"])
    assert indicst(EN, ML, "english", "malayalam") == (ML, EN, "ml-en", ["sides_swapped"])
    assert indicst(ML, ML, "malayalam", "english") == (ML, None, None, ["translation_not_english"])
    assert indicst(None, ML, "malayalam", "english") == (ML, None, None, ["no_translation"])
    assert indicst("", ML, "malayalam", "english") == (ML, None, None, ["no_translation"])


def test_two_english_sides_leave_no_malayalam_to_accept():
    assert indicst(EN, EN, "english", "english")[:2] == (EN, None)


@pytest.mark.parametrize(
    ("text", "translation", "expected"),
    [
        (ML, EN, (ML, EN, "ml-en", [])),
        (EN, ML, (ML, EN, "ml-en", ["sides_swapped"])),
        (ML, ML, (ML, None, None, ["translation_not_english"])),
        (ML, None, (ML, None, None, ["no_translation"])),
        (ML, " ", (ML, None, None, ["no_translation"])),
    ],
)
def test_speech_with_english_is_judged_on_its_malayalam_side(text, translation, expected):
    found = sides(entry(SPEECH_WITH_ENGLISH), {"text": text, "translation": translation})
    assert (found.text, found.translation, found.direction, found.flags) == expected


def test_a_dataset_of_one_side_has_a_text_alone():
    found = sides(entry(STT), {"text": EN})
    assert (found.text, found.translation, found.direction, found.flags) == (EN, None, None, [])


@pytest.mark.parametrize(
    ("layers", "encoded_len", "reason"),
    [
        ([[1, 2]] * 3, 2, "codec_layers"),
        ([[1, 2]] * 8, 2, "codec_layers"),
        ([[1, 2], [1, 2], [1], [1, 2]], 2, "codec_unequal_layers"),
        ([[1, 2]] * 4, 3, "codec_length"),
        ([[1, 4032], *[[1, 2]] * 3], 2, "codec_out_of_range"),
        ([[1, -1], *[[1, 2]] * 3], 2, "codec_out_of_range"),
        ([[1, None], *[[1, 2]] * 3], 2, "codec_not_integer"),
        ([[], [], [], []], 0, "codec_empty"),
        ([None, [1], [1], [1]], 1, "codec_layers"),
        ([], 0, "codec_empty"),
    ],
)
def test_tokens_that_do_not_fit_their_codec_are_refused(layers, encoded_len, reason):
    with pytest.raises(Rejected) as refusal:
        check_codes(layers, encoded_len, entry(TOKENS).codec)
    assert refusal.value.reason == reason


def test_tokens_that_fit_tell_their_duration():
    assert check_codes([[0, 4031] * 25] * 4, 50, entry(TOKENS).codec) == pytest.approx(4.0)
    assert check_codes([[0]] * 4, None, entry(TOKENS).codec) == pytest.approx(0.08)


def test_genders_and_districts_get_one_spelling_and_nothing_is_guessed():
    assert [gender(value) for value in ("Male", " f ", "FEMALE", "", None, "x", 1)] == [
        "male", "female", "female", None, None, None, None,
    ]  # fmt: skip
    assert district(" trivandrum ") == "Thiruvananthapuram"
    assert district("Kollam District") == "Kollam"
    assert district("Chennai") == "Chennai"
    assert district("nan") is None
