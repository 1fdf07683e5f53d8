"""What is remarkable about a text, as flags with examples: damage that was not repaired, and other scripts in it.

A flag drops nothing: gates and people read them. The examples were written for this project; no native speaker has
checked them, and the ones in an ASCII font were put together by hand from a few letters of the ML-TT layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from data_foundry.preprocessing import mojibake
from data_foundry.preprocessing.normalization import RARE, NormalizedText
from data_foundry.preprocessing.romanised import is_romanised
from data_foundry.preprocessing.script import script_counts

_MIXED = 0.1
"""Both scripts carry a text when the smaller has at least this share of its letters."""
_LATIN = re.compile("[A-Za-z]")
_LATIN_WORD = re.compile("[A-Za-z]*[a-z]{2}")

# Latin-1 symbols that no European spelling puts behind a letter, quotes and marks of right apart; capitals amid a word.
_SYMBOL_IN_WORD = re.compile("[A-Za-z][\xa1-\xa8\xac\xaf-\xb3\xb6\xb8\xb9\xbc-\xbf\xd7\xf7]")
_CAPITAL_IN_WORD = re.compile("[a-z][A-Z\xc0-\xde](?:[a-z\xc0-\xff]|\\b)|[A-Z][\xc0-\xde](?:[a-z]|\\b)")
_ASCII_FONT_WORDS, _ASCII_FONT_SHARE = 3, 0.4

_INDIC = "\u0900-\u0963\u0966-\u0cff\u0d80-\u0dff\U00011300-\U0001137f"
_FOREIGN_SIGN = re.compile(f"[\u0d02-\u0d63\u0d7a-\u0d7f][{_INDIC}]|[{_INDIC}][\u0d02-\u0d63\u0d7a-\u0d7f]")
_TAG = re.compile(r"<(?=[^\W\d]|[/|!])[^<>]{1,60}>|\[[^\W\d_][^\[\]\s\d.,:;]{1,20}\]")
_LOOK_ALIKE = re.compile("[\u0d15-\u0d3a\u0d3e-\u0d4d\u0d57](?:[0O](?![0-9A-Za-z])|[oO0](?=[\u0d05-\u0d4d]))")


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag, with texts that raise it and texts that do not.

    `holds` says when it is raised, by a normalised text and its letters of Malayalam and of other scripts.
    """

    name: str
    holds: Callable[[str, int, int], bool]
    raised_by: tuple[str, ...]
    not_by: tuple[str, ...]


def _ascii_font(text: str, _malayalam: int, _other: int) -> bool:
    """Tell text typed in a font that draws Malayalam letters at Latin code points; what it says is not guessed."""
    if not _SYMBOL_IN_WORD.search(text):
        return False  # brands in camel case are odd too
    words = [word for word in text.split() if _LATIN.search(word)]
    odd = sum(1 for word in words if _SYMBOL_IN_WORD.search(word) or _CAPITAL_IN_WORD.search(word))
    return odd >= max(_ASCII_FONT_WORDS, _ASCII_FONT_SHARE * len(words))


def _code_mixed(text: str, malayalam: int, other: int) -> bool:
    return min(malayalam, other) >= _MIXED * (malayalam + other) > 0 and _LATIN_WORD.search(text) is not None


def _romanised(text: str, malayalam: int, other: int) -> bool:
    return malayalam < other and is_romanised(text)


def _shows(pattern: re.Pattern[str]) -> Callable[[str, int, int], bool]:
    return lambda text, _malayalam, _other: pattern.search(text) is not None


# fmt: off
FLAGS: tuple[Flag, ...] = (
    Flag(
        "ascii_font", _ascii_font,
        ("Rm³ hoSv hm§n Xncn¨p", "AhÀ aebmf¯nÂ ]dªp hcpwt¼mÄ"),
        (
            "I use iPhone and WhatsApp on weekdays", "iPhone YouTube WhatsApp", "He said «bonjour» ©Asianet x² m³ 5£",
            "café naïve Straße über", "ശരി", "½ kg Zucker",
        ),
    ),
    Flag(
        "code_mixed", _code_mixed,
        ("എന്റെ account balance എത്ര", "bill അടച്ചു but message വന്നില്ല"),
        ("KSEB ബിൽ അടച്ചു", "ശരി", "pay the bill", "വില: 100"),
    ),
    Flag(
        "foreign_sign", _shows(_FOREIGN_SIGN),
        ("കേரளം", "മഴ\u093e"),
        ("കേരളം தமிழ்", "മലയാളം हिन्दी"),
    ),
    Flag(
        "look_alike", _shows(_LOOK_ALIKE),
        ("കേരള0", "കേരളO"),
        ("വില 100", "ക്ലാസ്10", "കേരളം"),
    ),
    Flag(
        "mojibake", _shows(mojibake.SIGN),
        ("à´ x", "Ã Â´ x", "à¤¹à¤¿"),
        ("café à la carte", "« voilà»", "മഴ", "São Paulo"),
    ),
    Flag(
        "replacement_character", _shows(re.compile("\ufffd")),
        ("ശരി\ufffd",),
        ("ശരി",),
    ),
    Flag(
        "romanised", _romanised,
        ("ente bill adachu pakshe message vannilla", "njan naale varum", "padam adipoli aanu"),
        (
            "please pay the bill", "super movie", "best malayalam movie ever",
            "എന്റെ ബിൽ അടച്ചു", "bahut accha gaana hai", "", "12345",
        ),
    ),
    Flag(
        "unknown_tag", _shows(_TAG),
        ("<ശബ്ദം> ഹലോ", "[ചിരി] ഹലോ", "<pay the bill> ഹലോ"),
        ("വില <500", "2 <3 ശരി", "5 < 6 > 4", "[2]", "[ഇത് രണ്ട് വാക്ക്]"),
    ),
)
# fmt: on
_ON_EVERYDAY = tuple(flag for flag in FLAGS if flag.name in ("code_mixed", "look_alike", "romanised", "unknown_tag"))


def text_flags(normal: NormalizedText, counts: tuple[int, int] | None = None) -> list[str]:
    """Return the names of the flags that a normalised text raises, sorted.

    ascii_font, code_mixed (Malayalam and Latin words, each a tenth of the letters and more), foreign_sign (a letter or
    sign of another Indic script inside a Malayalam word), look_alike (a zero or Latin o inside one), mojibake (what
    could not be read back), replacement_character, romanised (Malayalam in Latin letters),
    unknown_tag (in angle brackets, or one word in square ones). `counts`: what
    `script_counts` says of the text, where the caller has it.
    """
    text = normal.text
    malayalam, other = counts or script_counts(text)
    if RARE.search(text) is not None:
        flags = FLAGS
    elif other or "0" in text or "<" in text or "[" in text:
        flags = _ON_EVERYDAY
    else:
        return []
    return [flag.name for flag in flags if flag.holds(text, malayalam, other)]
