"""Lists of numbers as people write them down: every shape drawn alike, none chosen because a rule gets it right.

A list has a noun in front of it, two to six numbers of one to six digits (all as long, or each of its own length) and a
mark between them. Half of the nouns are none that the rules know. No native speaker has checked the lines.
"""

from __future__ import annotations

import random

NOUNS = (
    "മാർക്കുകൾ സ്കോർ വില ശമ്പളം താപനില ഉയരം തൂക്കം ജനസംഖ്യ റൺസ് പോയിന്റ് വോട്ടുകൾ നിരക്ക് അളവ് ആകെ വരുമാനം ദൂരം "
    "ബസുകൾ മുറികൾ പുസ്തകങ്ങൾ പേജുകൾ സ്കൂളുകൾ വിദ്യാർഥികൾ തേങ്ങ അരി മഴ നെല്ല് ബോഗികൾ വീടുകൾ വാർഡുകൾ റീഡിങ് മീറ്റർ ഇനങ്ങൾ"
)
MARKS = (" ", ", ", "-", "/", " / ", " - ", ".")
ENDS = ("", " ആയി", " എന്നിങ്ങനെ", " വരെ", " കണ്ടു", ".")


def number_lists(count: int, seed: int = 0) -> list[str]:
    """Return so many lines with a list of numbers each."""
    rng = random.Random(f"number lists/{seed}")
    return [number_list(rng, rng.choice(NOUNS.split())) for _ in range(count)]


def number_list(rng: random.Random, noun: str) -> str:
    """Return a noun with a list of numbers."""
    length = rng.choice([1, 2, 3, 4, 5, 6, 0])
    numbers = [_number(rng, length or rng.randint(1, 6)) for _ in range(rng.randint(2, 6))]
    return f"{noun} {rng.choice(MARKS).join(numbers)}{rng.choice(ENDS)}"


def _number(rng: random.Random, length: int) -> str:
    return str(rng.randint(10 ** (length - 1), 10**length - 1))
