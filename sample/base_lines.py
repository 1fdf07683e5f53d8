"""Lines without grammar for the speech base, of known and invented words, so that it hears sounds and not templates."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from sample.corpus import Utterance, utterances
from sample.speech import Voice

INITIALS = "ക ഗ ച ജ ട ത ദ ന പ ബ മ യ ര ല വ ശ സ ഹ ഭ ധ പ്ര ക്ര സ്ത ശ്ര"
MEDIALS = (
    "ക ഗ ങ ച ജ ഞ ട ഡ ണ ത ദ ന പ ബ മ യ ര റ ല ള ഴ വ ശ ഷ സ ഹ ഭ ധ ഖ ഘ ഥ ക്ക ച്ച ട്ട ത്ത പ്പ ന്ന ല്ല മ്മ ങ്ങ ഞ്ഞ ണ്ണ ള്ള യ്യ വ്വ റ്റ "
    "ന്റ ന്ത മ്പ ങ്ക ണ്ട ഞ്ച ക്ഷ സ്ത ത്ര ശ്ച ർത്ത ർക്ക ൽക്ക ൾക്ക ഷ്ട ദ്ധ ബ്ദ ക്ത ന്ധ ഗ്ര"
)
SIGNS = ("", "", "", "ാ", "ാ", "ി", "ി", "ീ", "ു", "ു", "ൂ", "െ", "േ", "ൈ", "ൊ", "ോ")
ENDINGS = ("", "", "", "ൻ", "ൽ", "ർ", "ൾ", "ം")
VOWELS = "അ ആ ഇ ഈ ഉ ഊ എ ഏ ഐ ഒ ഓ"
LISTENED_KINDS = ("everyday", "headline", "review")


def words_of(rows: Sequence[Utterance]) -> list[str]:
    """Return the distinct Malayalam words of the rows, without punctuation, sorted."""
    found = {word.strip(".,?!") for row in rows for word in row.text.split()}
    return sorted(word for word in found if word and all("\u0d00" <= letter <= "\u0d7f" for letter in word))


def word_salad(rows: Sequence[Utterance], count: int, seed: int) -> list[Utterance]:
    """Return `count` lines of three to five words drawn from all rows, so that hearing cannot lean on the templates."""
    choose = random.Random(seed)
    words = sorted({word for row in rows for word in row.text.split()})
    return [Utterance(" ".join(choose.sample(words, choose.randint(3, 5)))) for _ in range(count)]


def invented_word(choose: random.Random) -> str:
    """Return a word of two to four syllables that Malayalam spelling allows and that need not exist."""
    initials, medials, vowels = INITIALS.split(), MEDIALS.split(), VOWELS.split()
    first = choose.choice(vowels) if choose.random() < 0.25 else choose.choice(initials) + choose.choice(SIGNS)
    rest = "".join(choose.choice(medials) + choose.choice(SIGNS) for _ in range(choose.randint(1, 3)))
    bare = rest[-1] not in SIGNS
    return first + rest + (choose.choice((*ENDINGS, "്")) if bare else choose.choice(ENDINGS))


def wide_lines(count: int, seed: int) -> list[Utterance]:
    """Return `count` lines of two to four words: half known from the base-side texts, half invented."""
    choose = random.Random(seed)
    known = words_of([row for kind in LISTENED_KINDS for row in utterances(kind, "base", 2400, seed)])
    lines = []
    for _ in range(count):
        kinds = [choose.random() < 0.5 for _ in range(choose.randint(2, 4))]
        lines.append(Utterance(" ".join(choose.choice(known) if real else invented_word(choose) for real in kinds)))
    return lines


def varied(speakers: Sequence[Voice], count: int, seed: int) -> list[Voice]:
    """Return `count` voices of the same variants at other pitches (25-75) and rates (150-215 words a minute)."""
    choose = random.Random(seed)
    return [
        replace(speakers[number % len(speakers)], pitch=choose.randint(25, 75), rate=choose.randint(150, 215))
        for number in range(count)
    ]
