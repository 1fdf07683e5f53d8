"""Which side of a row is Malayalam, by script."""

from __future__ import annotations

import pytest

from data_foundry.preprocessing.sides import cell_string, sides

from .raw_builders import INDICST, SPEECH_WITH_ENGLISH, STT, entry

ML, EN = "ഇന്ന് മഴ പെയ്യും", "it will rain today"
NOT_ENGLISH = ("वर्षा आज बहुत हुई", "12345", "...", "innu nalla mazha peythu", "മഴ rain പെയ്തു")
LEGACY = "അവന്\u200d വന്നു"


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


@pytest.mark.parametrize(
    "damaged", [ML.encode().decode("latin-1"), "".join(f"&#{ord(char)};" if char != " " else char for char in ML)]
)
def test_a_side_whose_storage_is_damaged_is_still_malayalam(damaged):
    assert indicst(EN, damaged, "malayalam", "english") == (damaged, EN, "ml-en", [])
    assert indicst(damaged, EN, "english", "malayalam") == (damaged, EN, "en-ml", [])


def test_a_cell_of_bytes_or_of_a_list_is_its_text_and_not_how_python_writes_it():
    assert cell_string(ML.encode()) == ML
    assert cell_string([ML, None, EN]) == f"{ML} {EN}"
    assert [cell_string(value) for value in ([], None, float("nan"), {"text": ML})] == [None] * 4
    assert cell_string(500) == "500"


def test_two_english_sides_leave_no_malayalam_to_accept():
    assert indicst(EN, EN, "english", "english")[:2] == (EN, None)


@pytest.mark.parametrize(
    ("text", "translation", "expected"),
    [
        (ML, EN, (ML, EN, "ml-en", [])),
        (EN, ML, (ML, EN, "ml-en", ["sides_swapped"])),
        (ML, ML, (ML, None, None, ["translation_not_english"])),
        (ML, None, (ML, None, None, ["no_translation"])),
        (ML, float("nan"), (ML, None, None, ["no_translation"])),
        (ML, " ", (ML, None, None, ["no_translation"])),
        (LEGACY, EN, (LEGACY, EN, "ml-en", [])),
        (ML, "<br>", (ML, None, None, ["no_translation"])),
        (ML, "N/A", (ML, None, None, ["no_translation"])),
        *((ML, other, (ML, None, None, ["translation_not_english"])) for other in NOT_ENGLISH),
        (ML, "Élan, à la carte", (ML, "Élan, à la carte", "ml-en", [])),
        (None, EN, (None, EN, "ml-en", [])),
    ],
)
def test_speech_with_english_is_judged_on_its_malayalam_side(text, translation, expected):
    found = sides(entry(SPEECH_WITH_ENGLISH), {"text": text, "translation": translation})
    assert (found.text, found.translation, found.direction, found.flags) == expected


def test_a_manglish_source_stays_the_text_of_its_row():
    manglish = "innu nalla mazha peythu"
    assert indicst(EN, manglish, "malayalam", "english") == (manglish, EN, "ml-en", [])


def test_a_dataset_of_one_side_has_a_text_alone():
    found = sides(entry(STT), {"text": EN})
    assert (found.text, found.translation, found.direction, found.flags) == (EN, None, None, [])
