"""The corpus that is timed: rows as the datasets mix them, drawn from the sample's own texts, the same every time."""

from __future__ import annotations

import random
from collections.abc import Callable

from sample.corpus import utterances
from sample.mess import legacy_chillus

ROWS = 28_000
MEGABYTES = 10

# Share of the rows in hundredths, the kind of text, and what is done to it.
_SPLIT_VOWELS = {"ൊ": "െ\u0d3e", "ോ": "േ\u0d3e"}


def _plain(text: str, _: random.Random) -> str:
    return text


def _legacy(text: str, _: random.Random) -> str:
    return legacy_chillus(text)


def _split_vowels(text: str, _: random.Random) -> str:
    return "".join(_SPLIT_VOWELS.get(letter, letter) for letter in text)


def _address(text: str, draw: random.Random) -> str:
    return f"{text} https://example.in/{draw.randrange(10**6)}?ref=ml"


def _quoted(text: str, draw: random.Random) -> str:
    return f"“{text}” – 20{draw.randrange(10, 30)}\u00a0വർഷം…"


def _tagged(text: str, _: random.Random) -> str:
    return f"{text} <breathing>"


def _old_spelling(text: str, _: random.Random) -> str:
    return text.replace("ൗ", "ൌ").replace("ന്റ", "ൻ്റ") + " അതു്"


def _english_nouns(text: str, _: random.Random) -> str:
    return f"{text} account balance ഒടിപി recharge"


MIX: tuple[tuple[int, str, Callable[[str, random.Random], str]], ...] = (
    (38, "news", _plain),
    (16, "everyday", _plain),
    (8, "headline", _plain),
    (10, "news", _legacy),
    (3, "everyday", _split_vowels),
    (8, "comment", _plain),
    (5, "news", _english_nouns),
    (4, "everyday", _address),
    (4, "news", _quoted),
    (2, "everyday", _tagged),
    (2, "news", _old_spelling),
)
_SIDES = {"news": "train", "comment": "train", "everyday": "base", "headline": "base"}
_DISTINCT = 400


def rows(count: int = ROWS, megabytes: float = MEGABYTES, seed: int = 1) -> list[str]:
    """Return `count` rows that together are about `megabytes` million bytes of UTF-8.

    A row is as many lines of its kind as reach its length, which varies as an exponential draw does: many short ones,
    a few of a page.
    """
    draw = random.Random(seed)
    lines = {kind: [row.text for row in utterances(kind, side, _DISTINCT, seed)] for kind, side in _SIDES.items()}  # type: ignore[arg-type]
    shares = [share for share, _, _ in MIX]
    texts: list[str] = []
    for _ in range(count):
        _, kind, change = draw.choices(MIX, shares)[0]
        length = draw.expovariate(count / (megabytes * 1e6 * (0.3 if kind == "news" else 0.1)))
        parts: list[str] = []
        size = 0
        while not parts or size < length:
            parts.append(draw.choice(lines[kind]))
            size += len(parts[-1].encode())
        texts.append(change(" ".join(parts), draw))
    return texts
