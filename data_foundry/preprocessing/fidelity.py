"""How much of the Malayalam that came in is still there after standardisation: the pipeline's figure of fidelity."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from data_foundry.preprocessing.normalization import NormalizedText, RuleSet, normalize_by
from data_foundry.preprocessing.orthography import aksharas, malayalam_aksharas
from data_foundry.preprocessing.text_rules import RULES

_KEEPING = RuleSet(rule for rule in RULES if rule.keeps)
_TAKING = frozenset(rule.name for rule in RULES if not rule.keeps)


class Fidelity(NamedTuple):
    """Malayalam aksharas that survived and that came in: add both up over rows, then divide."""

    kept: int
    total: int


def fidelity(raw: str, normal: NormalizedText) -> Fidelity:
    """Return how many of the Malayalam aksharas of a raw text its normal form kept.

    An akshara is kept if it stands in the normal form as it was, or as the rules that keep the reading write it (each
    such rule says why, in `Rule.keeps`). Where no other rule acted, all are kept and are only counted. Otherwise those
    rules alone are applied to the raw text, and the aksharas found there are looked for in the normal form.

    `total` counts the text in that faithful form, since one akshara can be stored in several ways. What a defect in a
    rule would lose is not seen here but by the property tests, which hold every rule to the letters it may touch.
    """
    if _TAKING.isdisjoint(normal.changes):
        count = malayalam_aksharas(normal.text)
        return Fidelity(count, count)
    faithful = _counted(normalize_by(_KEEPING, raw).text)
    lost = faithful - _counted(normal.text)
    return Fidelity(faithful.total() - lost.total(), faithful.total())


def _counted(text: str) -> Counter[str]:
    return Counter(akshara for akshara in aksharas(text) if malayalam_aksharas(akshara))
