"""The forms in which two transcripts are compared: ours, and the one that Vistaar's published figures use."""

from __future__ import annotations

import re
import string
import unicodedata
from functools import cache
from typing import Any

from data_foundry.preprocessing.normalization import RARE, normalize
from data_foundry.preprocessing.text_rules import VIRAMA, ZWNJ


class _ScoredCharacters(dict[int, int | None]):
    """Translation table that keeps letters, marks, numbers and spaces, and learns each character once."""

    def __missing__(self, point: int) -> int | None:
        char = chr(point)
        kept = (unicodedata.category(char)[0] in "LMN" or char == " ") and char not in "\u200c\u200d"
        self[point] = point if kept else None
        return self[point]


@cache
def _scored_characters() -> _ScoredCharacters:
    return _ScoredCharacters()


# What the everyday characters hold besides letters, marks, digits and the space.
_UNSCORED = re.compile(f"[!-/:-@\\[-`{{-~{ZWNJ}]+")


_OLD_NTA, _NTA = "ൻറ", f"ന{VIRAMA}റ"


def scoring_form(text: str) -> str:
    """Return the form in which two transcripts are compared: normalised, without punctuation and joiners, case folded.

    Punctuation goes, it does not become a space, so the count of words never grows. ൻറ and ന്റ are one here: older
    files and keyboards write ഇന്റർനെറ്റ് as ഇൻറർനെറ്റ്, and no text tells which of them say n-r, as ഹെൻറി does.
    Idempotent.
    """
    text = normalize(text).text
    while True:
        before = text
        folded = text.casefold().replace(_OLD_NTA, _NTA)
        if folded != text:
            text = normalize(folded).text
        kept = text.translate(_scored_characters()) if RARE.search(text) else _UNSCORED.sub("", text)
        if kept != text:
            text = normalize(kept).text
        if text == before:
            return text


@cache
def _indic_normalizer() -> Any:
    """Return indic-nlp-library's Malayalam normaliser with Vistaar's settings, which are its defaults."""
    from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

    return IndicNormalizerFactory().get_normalizer("ml")


# ASCII punctuation, dandas and the Urdu full stop.
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation + "\u0964\u0965\u06d4")


def vistaar_compat(text: str) -> str:
    """Return the form that Vistaar's evaluation scores, to compare with figures published for it and for nothing else.

    As its evaluation.py (github.com/AI4Bharat/vistaar) does: ASCII punctuation and dandas are deleted, then
    indic-nlp-library's normaliser with its defaults runs, then runs of spaces become one. That library writes archaic
    signs (ൗ -> ൌ), deletes the joiners that tell words apart, and leaves curly quotes in the words; on both sides of a
    comparison this does little harm, in a text it would. Never shown, stored or trained on. Raises ModuleNotFoundError
    without indic-nlp-library.
    """
    # Its normaliser cannot take a lone surrogate to bytes; what is no character is no part of a transcript.
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(" +", " ", str(_indic_normalizer().normalize(plain.translate(_NO_PUNCTUATION))))
