"""Flags raise on their examples and on nothing near them; Manglish is told from English; mojibake is read back."""

from __future__ import annotations

import pytest

from data_foundry.preprocessing.romanised import is_romanised
from data_foundry.preprocessing.text import FLAGS, fidelity, normalize, text_flags
from sample.base_manglish import manglish
from sample.corpus import utterances

RAISED = [(flag.name, text) for flag in FLAGS for text in flag.raised_by]
NOT_RAISED = [(flag.name, text) for flag in FLAGS for text in flag.not_by]


@pytest.mark.parametrize(("name", "text"), RAISED)
def test_a_flag_is_raised_by_its_examples(name, text):
    assert name in text_flags(normalize(text))


@pytest.mark.parametrize(("name", "text"), NOT_RAISED)
def test_a_flag_is_not_raised_by_what_only_looks_like_it(name, text):
    assert name not in text_flags(normalize(text))


@pytest.mark.parametrize("kind", ["news", "everyday", "ivr", "headline", "dialect"])
def test_clean_malayalam_raises_no_flag(kind):
    side = "test" if kind in ("news", "ivr", "dialect") else "control"
    texts = [row.text for row in utterances(kind, side, 100, seed=3)]
    flagged = [text for text in texts if text_flags(normalize(text))]
    latin = [text for text in texts if any(char.isascii() and char.isalpha() for char in text)]
    assert set(flagged) <= set(latin)


def as_cp1252(text: str) -> str:
    """Read the UTF-8 of a text as cp1252 does, with the five bytes that it does not define as they are."""
    return "".join(_cp1252(byte) for byte in text.encode("utf-8"))


def _cp1252(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def as_latin1(text: str) -> str:
    return text.encode("utf-8").decode("latin-1")


@pytest.mark.parametrize("misread", [as_cp1252, as_latin1])
@pytest.mark.parametrize("times", [1, 2])
def test_mojibake_is_read_back_whole(misread, times):
    for row in utterances("news", "test", 60, seed=3):
        broken = row.text
        for _ in range(times):
            broken = misread(broken)
        normal = normalize(broken)
        assert normal.text == normalize(row.text).text
        assert normal.changes["mojibake"] > 0
        assert text_flags(normal) == text_flags(normalize(row.text))


def test_mojibake_that_lost_bytes_is_flagged():
    lost = "".join(char for char in as_cp1252("അവർ വീട്ടിൽ എത്തി") if not "\x80" <= char < "\xa0")
    normal = normalize(lost)
    assert "mojibake" in text_flags(normal)


@pytest.mark.parametrize("text", ["café crème à la carte", "Ärger über Öl", "São João", "50 £ ± 2°", "naïve â", "à´"])
def test_european_text_is_not_taken_for_mojibake(text):
    assert normalize(text, "encoding").text == text


def test_an_ascii_font_is_never_turned_into_malayalam():
    text = "Rm³ hoSv hm§n Xncn¨p"
    assert normalize(text).text == text


def wrong(texts: list[str], romanised: bool) -> float:
    return sum(is_romanised(text) is not romanised for text in texts) / len(texts)


def test_transliterated_malayalam_is_romanised_and_english_is_not():
    """Sides of the sample that no training sees; the word lists were chosen on other draws of these templates."""
    spoken = utterances("everyday", "control", 150, seed=9) + utterances("ivr", "test", 150, seed=9)
    assert wrong([manglish(row.text) for row in spoken], romanised=True) < 0.02
    assert wrong([row.english for row in spoken], romanised=False) == 0


def test_comments_under_videos_are_told_by_their_label():
    rows = [row for row in utterances("comment", "test", 200, seed=9) if row.text.isascii()]
    assert wrong([row.text for row in rows if row.label == "not-malayalam"], romanised=False) < 0.1
    assert wrong([row.text for row in rows if row.label != "not-malayalam"], romanised=True) < 0.15


@pytest.mark.parametrize(
    "text",
    [
        "super movie", "Super acting", "super", "best malayalam movie ever", "super hit", "the mole ran",
        "kollam bus stand", "paisa vasool", "und so weiter", "dream team", "gorilla", "vanilla", "Priya",
        "until April", "telegram program", "civil council", "Instagram", "cricket stadium in Kochi",
    ],
)  # fmt: skip
def test_words_that_malayalam_shares_with_others_or_merely_resembles_make_no_comment_romanised(text):
    assert not is_romanised(text)
    assert is_romanised(f"{text} njan kandu adipoli padam aanu")


@pytest.mark.parametrize(
    "text",
    ["", "!!!", "ok", "bahut accha gaana hai", "semma padam bro", "Please send Ravi to Thiruvananthapuram today",
     "the menu is at the villa", "I have paid the bill"],
)  # fmt: skip
def test_other_latin_text_is_not_romanised_malayalam(text):
    assert not is_romanised(text)


@pytest.mark.parametrize(
    ("raw", "kept", "total"),
    [
        ("അമ്മ വന്നു", 4, 4),
        ("", 0, 0),
        ("abc 123", 0, 0),
        ("അവന്\u200d എൻ്റെ അതു്", 3 + 2 + 2, 7),
        ("<b>ശരി</b> 12", 2, 2),
        ('<a title="മലയാളം">ശരി</a>', 2, 6),
        ("https://example.in/ശരി", 0, 2),  # the path of an address, which is not said
        ("https://example.inശരി", 2, 2),
        ("à´®à´´", 2, 2),
        ("<breathing> അമ്മ", 2, 2),
    ],
)
def test_fidelity_counts_the_aksharas_that_came_in_and_those_that_stayed(raw, kept, total):
    assert fidelity(raw, normalize(raw)) == (kept, total)
