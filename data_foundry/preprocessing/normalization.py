"""The normal form of a text: the rules of `text_rules`, applied until none of them has anything left to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from data_foundry.preprocessing.text_rules import CHILLU, EVERYDAY, RULES, VIRAMA, VOWEL, VOWEL_SIGN, Rule

RARE = re.compile(f"[^{EVERYDAY}]")
_PAIR = re.compile(f"[{VOWEL}\u0d02\u0d03{VOWEL_SIGN}{VIRAMA}{CHILLU}][{VOWEL_SIGN}{VIRAMA}]")
_RARE_OF = {rule.name: re.compile(f"[{rule.rare}]") for rule in RULES if rule.rare}
_LATIN_O = re.compile("o(?<=[\u0d00-\u0d7f]o)")


class RuleSet:
    """Rules in the order in which they act, and how to tell that none of them has anything to do.

    `guards`: for a character that is quick to look for, the strings with it without which no rule acts on everyday
    characters. A guard with a rare character is found with that, those of a rule on pairs with the pair, and "o" by
    what precedes it.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        guards: dict[str, tuple[str, ...]] = {}
        for guard in (guard for rule in self.rules if not rule.pair for guard in rule.guards):
            if guard != "o" and not RARE.search(guard):
                seldom = next((char for char in guard if char.isascii() and char != " "), guard)
                guards[seldom] = tuple(dict.fromkeys((*guards.get(seldom, ()), guard)))
        self.guards = tuple(guards.items())

    def none_acts_on(self, everyday: str) -> bool:
        """Return whether a text without rare characters and pairs is in its normal form."""
        for seldom, strings in self.guards:
            if seldom in everyday and (seldom in strings or _holds(everyday, strings)):
                return False
        return everyday[:1] != " " and everyday[-1:] != " " and not _latin_o(everyday)


PROFILES = {
    "encoding": RuleSet(rule for rule in RULES if rule.layer == "encoding"),
    "modern": RuleSet(RULES),
}


class NormalizedText(NamedTuple):
    """A normalised text and how many places each rule changed."""

    text: str
    changes: dict[str, int]


def normalize(text: str, profile: str = "modern") -> NormalizedText:
    """Return the normal form of a text with the count of changes by rule.

    The result is idempotent and can always be encoded as UTF-8. `profile` is "encoding" (storage repaired, wording
    untouched) or "modern" (today's spellings, ASCII digits and quotes, markup and web addresses gone, besides). A
    change is one place that a rule rewrote. Raises ValueError for another profile.
    """
    try:
        rule_set = PROFILES[profile]
    except KeyError:
        raise ValueError(f"unknown text profile {profile!r}; one of {sorted(PROFILES)}") from None
    return normalize_by(rule_set, text)


def normalize_by(rule_set: RuleSet, text: str) -> NormalizedText:
    """Return the text after the given rules alone, in their order, again and again until none changes anything."""
    changes: dict[str, int] = {}
    while True:
        before = text
        if RARE.search(text) is None:
            pair = _PAIR.search(text) is not None
            if not pair and rule_set.none_acts_on(text):
                return NormalizedText(text, changes)
            rare = ""
        else:
            rare = "".join(set(RARE.findall(text)))
            pair = _PAIR.search(text) is not None
        for rule in rule_set.rules:
            if _may_act(rule, text, rare, pair):
                text = _apply(rule, text, changes)
        if text[:1] == " " or text[-1:] == " ":
            text = text.strip(" ")
            changes["space"] = changes.get("space", 0) + 1
        if text == before:
            return NormalizedText(text, changes)


def _may_act(rule: Rule, text: str, rare: str, pair: bool) -> bool:
    if rare and rule.rare and _RARE_OF[rule.name].search(rare):
        return True
    return (pair or not rule.pair) and _holds(text, rule.guards)


def _apply(rule: Rule, text: str, changes: dict[str, int]) -> str:
    """Return the text after one rule, with the places that it changed added to the counts."""
    if isinstance(rule.replacement, str):
        rewritten, count = rule.pattern.subn(rule.replacement, text)
    else:
        counted = _Counted(rule.replacement)
        rewritten = rule.pattern.sub(counted, text)
        count = counted.changes
    if not count:
        return text
    changes[rule.name] = changes.get(rule.name, 0) + count
    return rewritten


class _Counted:
    """A replacement that counts the matches it changed: some rules look at a match and leave it."""

    def __init__(self, replacement: Callable[[re.Match[str]], str]) -> None:
        self.replacement = replacement
        self.changes = 0

    def __call__(self, match: re.Match[str]) -> str:
        new = self.replacement(match)
        self.changes += new != match[0]
        return new


def _latin_o(text: str) -> bool:
    # An "o" is in most English words: what counts is one that follows a Malayalam character.
    return "o" in text and _LATIN_O.search(text) is not None


def _holds(text: str, guards: tuple[str, ...]) -> bool:
    for guard in guards:  # noqa: SIM110 - any() with a generator takes three times as long on a short text
        if guard in text:
            return True
    return False
