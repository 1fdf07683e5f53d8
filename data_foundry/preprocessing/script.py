"""How much of a text is Malayalam: letters and marks counted by script."""

from __future__ import annotations

import re
from functools import cache

from data_foundry.preprocessing.normalization import RARE
from data_foundry.preprocessing.text_rules import MARKUP, ZWNJ, compose

_MALAYALAM = "\u0d00-\u0d0c\u0d0e-\u0d10\u0d12-\u0d44\u0d46-\u0d48\u0d4a-\u0d4e\u0d54-\u0d57\u0d5f-\u0d63\u0d7a-\u0d7f"
_RARE_MALAYALAM = re.compile(f"[{_MALAYALAM}]")
_NOT_LATIN = bytes(byte for byte in range(256) if not chr(byte).isascii() or not chr(byte).isalpha())
_UNSPOKEN = re.compile(r"(?:[hH][tT]{2}[pP][sS]?://|[wW]{3}\.)[!-~]+|[!-?A-~]{1,64}@[!-?A-~]{1,255}")


@cache
def _third_script():  # type: ignore[no-untyped-def]
    """Return the pattern of letters and marks that belong to a script (so neither Common nor Inherited)."""
    import regex

    return regex.compile(r"[[\p{L}\p{M}]--[\p{Script=Common}\p{Script=Inherited}\p{Script=Malayalam}A-Za-z]]", regex.V1)


def malayalam_ratio(text: str) -> float:
    """Return the share of Malayalam among the letters and marks of a text, from 0 to 1.

    Definition A: after NFC, M / (M + O); M are the code points of script Malayalam with general category L or M, O
    those of any other script. Digits, punctuation, spaces, joiners and emoji (scripts Common and Inherited, UAX #24)
    count on neither side; web and e-mail addresses and markup are left out. A text without letters has ratio 0.
    """
    malayalam, other = script_counts(text)
    return malayalam / (malayalam + other) if malayalam else 0.0


def script_counts(text: str) -> tuple[int, int]:
    """Return the two counts that `malayalam_ratio` divides: M of the Malayalam script, O of every other."""
    if "<" in text or "[" in text:
        # What the rule of that name takes away, so that nothing that stays in a normalised text is left out.
        text = MARKUP.sub(" ", text)
    if "@" in text or "://" in text or "ww." in text or "WW." in text:
        text = _UNSPOKEN.sub(" ", text)
    if RARE.search(text) is None:
        rare = ""
        if "െ\u0d3e" in text or "െ\u0d57" in text or "േ\u0d3e" in text:
            text = compose(text)
    else:
        text = compose(text)
        rare = "".join(RARE.findall(text))
    ascii_part = text.encode("ascii", "ignore")
    latin = len(ascii_part.translate(None, _NOT_LATIN))
    malayalam = len(text) - len(ascii_part) - text.count(ZWNJ)
    if not rare:
        return malayalam, latin
    malayalam += len(_RARE_MALAYALAM.findall(rare)) - len(rare) + len(rare.encode("ascii", "ignore"))
    return malayalam, latin + len(_third_script().findall(rare))
