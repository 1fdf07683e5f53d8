"""The sample's texts: Malayalam written for this project, in kinds and on sides that never share a line.

No native speaker has checked it. Each kind is a set of templates with slots; a text's side follows from a hash of the
text itself, so the same text can never stand on two sides, whatever the seed or the count. For the adapted domains some
templates and some fillers are kept for ``test`` alone, so that a test row is neither a repetition of training nor a
foreign language.
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal

from sample import words

Side = Literal["base", "control", "train", "validation", "test"]
Kind = Literal["everyday", "ivr", "headline", "news", "review", "comment", "dialect"]

_SLOT = re.compile(r"{(\w+)}")
_MODULES: dict[str, tuple[str, str]] = {  # kind -> (module, name of its table of templates)
    "everyday": ("sample.texts_everyday", "TEMPLATES"),
    "ivr": ("sample.texts_ivr", "TEMPLATES"),
    "headline": ("sample.texts_headline", "TEMPLATES"),
    "news": ("sample.texts_news", "TEMPLATES"),
    "review": ("sample.texts_review", "TEMPLATES"),
    "comment": ("sample.texts_comment", "TEMPLATES"),
    "dialect": ("sample.texts_dialect", "TEMPLATES"),
}
_SIDES: dict[str, tuple[tuple[str, int], ...]] = {  # side -> share of the hash space, in hundredths
    **dict.fromkeys(("everyday", "headline", "review"), (("base", 88), ("control", 12))),
    **dict.fromkeys(("ivr", "news", "comment", "dialect"), (("train", 64), ("validation", 14), ("test", 22))),
}
# The class balance of the kinds that are not even: published code-mixed comments lean to praise.
_WEIGHTS: dict[str, dict[str, float]] = {
    "comment": {"Positive": 2811, "unknown_state": 1903, "not-malayalam": 884, "Negative": 738, "Mixed_feelings": 403},
}
# A template's weight is the root of its combinations, up to this many: digit strings must not drown the rest.
_ROOM_CAP = {"ivr": 300}
_HELD_TEMPLATE, _HELD_FILLER = 6, 5  # every 6th template and every 5th filler of the adapted domains is for test alone


@dataclass(frozen=True)
class Utterance:
    """One text, with its English and its class label where the kind has them, and the template it came from."""

    text: str
    english: str = ""
    label: str = ""
    template: str = ""


@dataclass(frozen=True)
class Template:
    """One pattern of a kind: Malayalam and English with the same slots, and whether only ``test`` may use it."""

    name: str
    text: str
    english: str
    label: str
    held: bool


def utterances(kind: Kind, side: Side, count: int, seed: int) -> list[Utterance]:
    """Draw ``count`` distinct texts of a kind for one side; the same arguments always give the same list.

    Labelled kinds come in equal shares of their labels (``comment`` in the shares of the published set), shuffled.
    Raises ValueError for a side the kind does not have, or when the kind cannot make that many texts.
    """
    sides = dict(_SIDES[kind])
    if side not in sides:
        raise ValueError(f"{kind!r} texts have the sides {', '.join(sides)}; not {side!r}")
    rng = random.Random(f"{kind}/{side}/{seed}")
    drawn: list[Utterance] = []
    seen: set[str] = set()
    for label, share in _quotas(kind, count).items():
        pool = [template for template in _templates(kind) if template.label == label]
        usable = [template for template in pool if side == "test" or not template.held]
        drawn += _draw(kind, side, usable, share, rng, seen)
    rng.shuffle(drawn)
    return drawn


def labels(kind: Kind) -> tuple[str, ...]:
    """The class labels of a kind, in the order its templates are written; ``("",)`` where it has none."""
    return tuple(dict.fromkeys(template.label for template in _templates(kind)))


def _draw(
    kind: str, side: str, pool: list[Template], count: int, rng: random.Random, seen: set[str]
) -> list[Utterance]:
    weights = [_room(kind, template) ** 0.5 for template in pool]
    found: list[Utterance] = []
    for _ in range(400 * count + 4000):
        if len(found) == count:
            return found
        template = rng.choices(pool, weights)[0]
        paragraph = kind == "news"
        candidate = _paragraph(side, template, pool, rng) if paragraph else _fill(kind, side, template, rng)
        if candidate.text in seen or side_of(kind, candidate.text) != side:
            continue
        seen.add(candidate.text)
        found.append(candidate)
    if len(found) == count:
        return found
    raise ValueError(f"{kind!r} has only {len(found)} of {count} texts for {side!r} {pool[0].label if pool else ''}")


def side_of(kind: Kind | str, text: str) -> str:
    """The side a text of a kind belongs to, from a hash of the text."""
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100
    for side, share in _SIDES[kind]:
        if place < share:
            return side
        place -= share
    raise AssertionError(f"the shares of {kind} do not add up to 100")


def _paragraph(side: str, lead: Template, pool: list[Template], rng: random.Random) -> Utterance:
    """Two to four sentences of the topic and one or two that any topic could hold, the topic first."""
    own = rng.sample([template for template in pool if template != lead], rng.randint(1, 3))
    common = import_module("sample.texts_news").COMMON.strip().splitlines()
    plain = [Template("common", line.strip(), "", lead.label, False) for line in rng.sample(common, rng.randint(1, 2))]
    rest = own + plain
    rng.shuffle(rest)
    filled = [_fill("news", side, template, rng).text for template in (lead, *rest)]
    return Utterance(" ".join(f"{sentence}." for sentence in filled), label=lead.label, template=lead.name)


def _fill(kind: str, side: str, template: Template, rng: random.Random) -> Utterance:
    ml, en = template.text, template.english
    for slot in _SLOT.findall(template.text):
        fillers = _fillers(kind, slot)
        if side in ("train", "validation") and len(fillers) >= 2 * _HELD_FILLER:
            fillers = tuple(pair for place, pair in enumerate(fillers) if place % _HELD_FILLER != _HELD_FILLER - 1)
        filler_ml, filler_en = rng.choice(fillers)
        ml = ml.replace(f"{{{slot}}}", filler_ml, 1)
        en = en.replace(f"{{{slot}}}", filler_en, 1)
    return Utterance(ml, en[:1].upper() + en[1:], template.label, template.name)


def _room(kind: str, template: Template) -> int:
    room = 1
    for slot in _SLOT.findall(template.text):
        room *= len(_fillers(kind, slot))
    return min(room, _ROOM_CAP.get(kind, 2500))


@cache
def _fillers(kind: str, slot: str) -> tuple[tuple[str, str], ...]:
    own: dict[str, str] = import_module(_MODULES[kind][0]).SLOTS
    return words.parse_fillers(own[slot]) if slot in own else words.fillers(slot)


@cache
def _templates(kind: str) -> tuple[Template, ...]:
    module, table = _MODULES[kind]
    found: list[Template] = []
    for label, block in getattr(import_module(module), table).items():
        for place, line in enumerate(block.strip().splitlines()):
            ml, _, en = (part.strip() for part in line.partition("|"))
            name = f"{kind}/{label or 'all'}/{place:02d}"
            found.append(Template(name, ml, en, label, place % _HELD_TEMPLATE == _HELD_TEMPLATE - 1))
    return tuple(found)


def _quotas(kind: Kind, count: int) -> dict[str, int]:
    names = labels(kind)
    weights = _WEIGHTS.get(kind, {})
    total = sum(weights.get(name, 1) for name in names)
    exact = {name: count * weights.get(name, 1) / total for name in names}
    quotas = {name: int(share) for name, share in exact.items()}
    by_rest = sorted(names, key=lambda name: (quotas[name] - exact[name], name))
    for name in by_rest[: count - sum(quotas.values())]:
        quotas[name] += 1
    return quotas
