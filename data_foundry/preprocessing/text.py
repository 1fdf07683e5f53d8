"""Malayalam text: normalisation, script ratio, well-formedness, the form that is scored, and aksharas.

A leaf module: it needs the standard library alone (and `regex` for the rare text that holds a third script), so that
any other package may import it. Every function takes any Python string and runs in time linear in its length. The rules
and their sources are in `text_rules`; none of the Malayalam there was checked by a native speaker.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache

from data_foundry.preprocessing import TEXT_RULES
from data_foundry.preprocessing.text_rules import BLOCK, CONSONANT, RULES, VIRAMA, VOWEL_SIGN, ZWNJ

__all__ = [
    "RULES",
    "TEXT_RULES",
    "NormalizedText",
    "aksharas",
    "is_well_formed",
    "malayalam_ratio",
    "normalize",
    "scoring_form",
    "script_counts",
]

PROFILES = {
    "encoding": tuple(rule for rule in RULES if rule.layer == "encoding"),
    "modern": RULES,
}
_GUARDS = {
    name: tuple(dict.fromkeys(guard for rule in rules for guard in rule.guards)) for name, rules in PROFILES.items()
}

# Characters on which no rule can act alone: ASCII, everyday Malayalam, and the ZWNJ, which has a guard of its own.
_RARE = re.compile(
    f"[^ -~\u0d02\u0d03\u0d05-\u0d0c\u0d0e-\u0d10\u0d12-\u0d39\u0d3e-\u0d44\u0d46-\u0d48\u0d4a\u0d4b\u0d4d\u0d57"
    f"\u0d7a-\u0d7f{ZWNJ}]"
)


@dataclass(frozen=True, slots=True)
class NormalizedText:
    """A normalised text and how often each rule changed it."""

    text: str
    changes: dict[str, int] = field(default_factory=dict)


def normalize(text: str, profile: str = "modern") -> NormalizedText:
    """Return the normal form of a text with the count of changes by rule.

    The result is idempotent and can always be encoded as UTF-8. `profile` is "encoding" (storage repaired, wording
    untouched) or "modern" (today's spellings, ASCII digits and quotes, markup and web addresses gone, besides).
    Raises ValueError for another profile.
    """
    try:
        rules = PROFILES[profile]
    except KeyError:
        raise ValueError(f"unknown text profile {profile!r}; one of {sorted(PROFILES)}") from None
    changes: dict[str, int] = {}
    while True:
        before = text
        rare = _RARE.search(text) is not None
        if not rare and not _holds(text, _GUARDS[profile]) and text[:1] != " " and text[-1:] != " ":
            return NormalizedText(text, changes)
        for rule in rules:
            if not (rare and (rule.also_rare or not rule.guards)) and not _holds(text, rule.guards):
                continue
            rewritten, count = rule.pattern.subn(rule.replacement, text)
            if rewritten != text:
                # NFC rewrites the text as one match and the joiner rule also visits what it keeps: count real changes.
                changed = max(1, len(text) - len(rewritten)) if rule.name in ("nfc", "joiner") else count
                changes[rule.name] = changes.get(rule.name, 0) + changed
                text = rewritten
        if text.strip(" ") != text:
            text = text.strip(" ")
            changes["space"] = changes.get("space", 0) + 1
        if text == before:
            return NormalizedText(text, changes)


def _holds(text: str, guards: tuple[str, ...]) -> bool:
    for guard in guards:  # noqa: SIM110 - any() with a generator takes three times as long on a short text
        if guard in text:
            return True
    return False


_MALAYALAM = "\u0d00-\u0d0c\u0d0e-\u0d10\u0d12-\u0d44\u0d46-\u0d48\u0d4a-\u0d4e\u0d54-\u0d57\u0d5f-\u0d63\u0d7a-\u0d7f"
_NOT_MALAYALAM = re.compile(f"[^{_MALAYALAM}]+")
_NOT_LATIN = re.compile("[^A-Za-z]+")
_NOT_OTHER = re.compile(f"[ -~{BLOCK}]+")
_UNSPOKEN = re.compile(
    r"(?:[hH][tT]{2}[pP][sS]?://|[wW]{3}\.)[!-~]+|[!-?A-~]{1,64}@[!-?A-~]{1,255}|</?[A-Za-z][^<>]{0,240}>"
)


@cache
def _third_script():  # type: ignore[no-untyped-def]
    """Return the pattern of letters and marks that belong to a script (so neither Common nor Inherited)."""
    import regex

    return regex.compile(r"[[\p{L}\p{M}]--[\p{Script=Common}\p{Script=Inherited}\p{Script=Malayalam}]]", regex.V1)


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
    if "@" in text or "<" in text or "://" in text or "ww." in text or "WW." in text:
        text = _UNSPOKEN.sub(" ", text)
    rare = _RARE.search(text) is not None
    if rare or "െ\u0d3e" in text or "െ\u0d57" in text or "േ\u0d3e" in text:
        text = unicodedata.normalize("NFC", text)
    malayalam = len(_NOT_MALAYALAM.sub("", text))
    other = len(_NOT_LATIN.sub("", text))
    if rare and (rest := _NOT_OTHER.sub("", text)):
        other += len(_third_script().findall(rest))
    return malayalam, other


_VOWEL = "\u0d05-\u0d14\u0d60\u0d61"
_ANY_MARK = f"\u0d00-\u0d03{VOWEL_SIGN}{VIRAMA}"
_CHILLU = "\u0d54-\u0d56\u0d7a-\u0d7f"
_ILL_FORMED = re.compile(
    "[\u0d0d\u0d11\u0d45\u0d49\u0d50-\u0d53\u0d64\u0d65\ufffd\ud800-\udfff]"  # unassigned, or damaged
    f"|(?<![{BLOCK}0-9A-Za-z{ZWNJ}\\-])[{_ANY_MARK}]"  # a mark that starts a word; 1-ാം and 25-ന് are good spelling
    f"|[{VOWEL_SIGN}][{VOWEL_SIGN}]"
    f"|{VIRAMA}[{_ANY_MARK}]"
    f"|[\u0d3e-\u0d40\u0d42-\u0d4c\u0d57]{VIRAMA}"  # a vowel sign and a virama, but for the half u of old spelling
    f"|[{_VOWEL}][{VOWEL_SIGN}]"
    f"|[\u0d02\u0d03][{VOWEL_SIGN}{VIRAMA}]"
    f"|[{_CHILLU}][{VOWEL_SIGN}]"
    f"|[{_CHILLU}]{VIRAMA}(?!റ)"
)


def is_well_formed(text: str) -> bool:
    """Return whether the Malayalam in a text could be read aloud: no sign without its letter, no two that clash.

    Source: the well-formedness grammar of nisaba (Unicode 15 ch. 12.9), with the spellings that practice adds to it:
    a sign after a digit, a hyphen or a Latin word, virama before chillu, and virama on a vowel letter. Other scripts
    are not judged.
    """
    return _ILL_FORMED.search(text) is None


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


def scoring_form(text: str) -> str:
    """Return the form in which two transcripts are compared: normalised, without punctuation and joiners, case folded.

    Punctuation goes, it does not become a space, so the count of words never grows. Idempotent.
    """
    while True:
        before = text
        text = normalize(normalize(text).text.casefold()).text.translate(_scored_characters())
        text = normalize(text).text
        if text == before:
            return text


_AKSHARA = re.compile(
    f"[{CONSONANT}](?:{VIRAMA}[{CONSONANT}])*(?:{VIRAMA}(?:[{ZWNJ}\u200d])?|[{VOWEL_SIGN}]+{VIRAMA}?)?[\u0d00-\u0d03]*"
    f"|[{_VOWEL}][{VOWEL_SIGN}]*{VIRAMA}?[\u0d00-\u0d03]*"
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
