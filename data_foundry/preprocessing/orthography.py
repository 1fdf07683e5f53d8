"""Malayalam spelling: whether a text could be read aloud, and the written syllables it is made of."""

from __future__ import annotations

import re

from data_foundry.preprocessing.normalization import RARE
from data_foundry.preprocessing.text_rules import BLOCK, CHILLU, CONSONANT, VIRAMA, VOWEL, VOWEL_SIGN, ZWNJ

_ANY_MARK = f"\u0d00-\u0d03{VOWEL_SIGN}{VIRAMA}"
_BEARER = f"{CONSONANT}0-9A-Za-z{ZWNJ}\\-"
_NO_CHARACTER = "\u0d0d\u0d11\u0d45\u0d49\u0d50-\u0d53\u0d64\u0d65\ufffd\ud800-\udfff"  # unassigned, or damaged
_ILL_FORMED = re.compile(
    f"[{_NO_CHARACTER}]"
    f"|(?<![{BLOCK}0-9A-Za-z{ZWNJ}\\-])[{_ANY_MARK}]"  # a mark that starts a word; 1-ാം and 25-ന് are good spelling
    f"|[{VOWEL_SIGN}][{VOWEL_SIGN}]"
    f"|{VIRAMA}[{_ANY_MARK}]"
    f"|[\u0d3e-\u0d40\u0d42-\u0d4c\u0d57]{VIRAMA}"  # a vowel sign and a virama, but for the half u of old spelling
    f"|[{VOWEL}][{VOWEL_SIGN}]"
    f"|[\u0d02\u0d03][{VOWEL_SIGN}{VIRAMA}]"
    f"|[{CHILLU}][{VOWEL_SIGN}]"
    f"|[{CHILLU}]{VIRAMA}(?!റ)"
)
# Every ill-formed text shows one of these three or starts with a mark; three scans, a quarter of the time of the above.
_SUSPECTS = (
    re.compile(f"[^{_BEARER}][{VOWEL_SIGN}{VIRAMA}]"),
    re.compile(f"[^{_BEARER}\u0d05-\u0d4c\u0d57-\u0d7f][\u0d00-\u0d03]"),
    re.compile(f"[{_NO_CHARACTER}]"),
)
_LEADING = re.compile(f"[{_ANY_MARK}]")


def is_well_formed(text: str) -> bool:
    """Return whether the Malayalam in a text could be read aloud: no sign without its letter, no two that clash.

    Source: the well-formedness grammar of nisaba (Unicode 15 ch. 12.9), with the spellings that practice adds to it:
    a sign after a digit, a hyphen or a Latin word, virama before chillu, and virama on a vowel letter. Other scripts
    are not judged.
    """
    for suspect in _SUSPECTS:
        if suspect.search(text):
            return _ILL_FORMED.search(text) is None
    return _LEADING.match(text) is None


_AKSHARA = re.compile(
    f"[{CONSONANT}](?:{VIRAMA}[{CONSONANT}])*(?:{VIRAMA}(?:[{ZWNJ}\u200d])?|[{VOWEL_SIGN}]+{VIRAMA}?)?[\u0d00-\u0d03]*"
    f"|[{VOWEL}][{VOWEL_SIGN}]*{VIRAMA}?[\u0d00-\u0d03]*"
    f"|[{_ANY_MARK}]+"
    r"|\S"
)


def aksharas(text: str) -> list[str]:
    """Return the written syllables of a text: the unit of akshara error rate and of speaking rate.

    An akshara is a consonant or a conjunct joined by viramas, with its vowel sign, final virama and anusvara; a vowel
    letter with its signs; or a chillu. A ZWNJ ends a conjunct, and signs that follow a digit are a unit. Every other
    character but white space is a unit of its own. Expects normalised text; part of the rule set's version.
    """
    return _AKSHARA.findall(text)


_HEAD = re.compile(f"[{CONSONANT}{VOWEL}{CHILLU}\u0d5f]")
_CONJOINED = re.compile(f"{VIRAMA}(?=[{CONSONANT}])(?<=[{CONSONANT}]{VIRAMA})")
# The low bytes, in UTF-16, of what heads no akshara: within the Malayalam block they tell a letter from a sign.
_NO_HEAD = bytes(byte for byte in range(256) if byte > 0x7F or not _HEAD.match(chr(0xD00 + byte)))


def malayalam_aksharas(text: str) -> int:
    """Return how many aksharas of a text are headed by a Malayalam letter, without making the list of them.

    Each letter heads one, but for a consonant that a virama joins to the consonant before.
    """
    if text.isascii():
        return 0
    if RARE.search(text) is None:
        # Low bytes count ASCII characters and joiners (U+200C) with them, which are then taken off again.
        low, ascii_part = text.encode("utf-16-le")[::2], text.encode("ascii", "ignore")
        strangers = len(ascii_part.translate(None, _NO_HEAD)) + text.count(ZWNJ)
        heads = len(low.translate(None, _NO_HEAD)) - strangers
    else:
        heads = len(_HEAD.findall(text))
    return heads - len(_CONJOINED.findall(text))
