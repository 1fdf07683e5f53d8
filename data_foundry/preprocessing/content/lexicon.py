"""One look at every word: abuse, identity terms and digit words share a set, so that a clean line costs little."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from data_foundry.preprocessing.content.abuse import Lexicon
from data_foundry.preprocessing.content.identity import identity_terms
from data_foundry.preprocessing.content.rule import Found
from data_foundry.preprocessing.content.spelled_digits import WORD, digit_words

_GAP = re.compile(r"[ -]{1,2}")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The listed words of all kinds; `looks_at` tells in one pass whether a text holds any of them."""

    abuse: Lexicon
    words: frozenset[str]

    @classmethod
    def of(cls, abuse: Lexicon) -> Vocabulary:
        return cls(abuse, frozenset(abuse) | identity_terms().keys() | digit_words().keys())

    def listed(self, text: str) -> list[str]:
        """Return the words of a text that some list holds, in order."""
        words = WORD.findall(text)
        return [] if self.words.isdisjoint(words) else [word for word in words if word in self.words]

    def find_abuse(self, text: str) -> list[Found]:
        """Return where whole words, or rows of them, are entries of the abuse lists."""
        found: list[Found] = []
        words = list(WORD.finditer(text))
        for place, word in enumerate(words):
            for entry in self.abuse.get(word[0], ()):
                row = words[place : place + 1 + len(entry.rest)]
                joined = all(_GAP.fullmatch(text, one.end(), other.start()) for one, other in pairwise(row))
                if tuple(match[0] for match in row[1:]) == entry.rest and joined:
                    found.append(Found(entry.rule, word.start(), row[-1].end(), entry.evidence))
                    break
        return found
