"""The Malayalam IVR intent set: its rows and files, made from the templates, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_foundry.bundled.intent import FILLINGS, Intent, Template
from data_foundry.bundled.intent_card import intent_card
from data_foundry.bundled.intents_billing import BILLING
from data_foundry.bundled.intents_dialogue import DIALOGUE
from data_foundry.bundled.intents_office import OFFICE
from data_foundry.bundled.intents_service import SERVICE
from data_foundry.bundled.slots import SLOTS

REPO_ID = "data-foundry/malayalam-ivr-intents"
INTENTS: dict[str, Intent] = {**BILLING, **SERVICE, **OFFICE, **DIALOGUE}


class Utterance(NamedTuple):
    """A row of the set."""

    text: str
    intent: str
    template: str
    style: str


def utterances() -> Iterator[Utterance]:
    """Yield the rows: intents in their order, templates in theirs, at most FILLINGS fillings of each."""
    for name, intent in INTENTS.items():
        for template in intent.templates(name):
            for text in fillings(template):
                yield Utterance(text, name, template.id, template.style)


def fillings(template: Template) -> list[str]:
    """Return a template's utterances: each slot goes round its values, from a start that the template decides.

    Raises KeyError for a slot without values.
    """
    choices = {slot: SLOTS[slot] for slot in template.slots}
    count = min(FILLINGS, max(map(len, choices.values()), default=1))
    start = {slot: _start(template.id, slot) for slot in choices}
    rounds = (
        {slot: values[(start[slot] + turn) % len(values)] for slot, values in choices.items()} for turn in range(count)
    )
    return [template.filled(**values) for values in rounds]


def files() -> dict[str, bytes]:
    """Return the set's files, {path in its repository: bytes}: the rows as JSON lines, and the card."""
    rows = list(utterances())
    lines = "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)
    card = intent_card(INTENTS, [(row.intent, row.style) for row in rows])
    return {"README.md": card.encode(), "data/intents.jsonl": lines.encode()}


def write(folder: Path) -> None:
    """Write the files below a folder laid out like a Hub."""
    for path, data in files().items():
        place = folder / "datasets" / REPO_ID / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _start(template: str, slot: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{template} {slot}".encode()).digest()[:4], "big")
