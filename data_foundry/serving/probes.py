"""Probe calls: what a version is asked before it enters a stage."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import chain, cycle, islice
from typing import Any

from data_foundry.adapter_name import engine_of
from data_foundry.config import Settings
from data_foundry.engines.adapters import adapters
from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.gold_rows import chosen, read_rows
from data_foundry.lake import Lake, Layer
from data_foundry.records import SAMPLE_RATE, Rejected
from data_foundry.serving.residents import Resident
from data_foundry.serving.routing import Route

# Written for this project; no native speaker checked it.
SENTENCE = "ഇന്ന് ബാങ്ക് തുറക്കുമോ"
TRANSLATED = "Is the bank open today?"


def probe_rows(settings: Settings, lake: Lake, route: Route) -> list[dict[str, Any]]:
    """Return `rollout.probe_calls` rows that the adapter can take: held-out ones, or made ones where there are none.

    Which of those that are held out can be taken, what answers says; where nobody does, all are made.
    """
    wanted, answering = settings.rollout.probe_calls, route.answering
    rows = _held_out(lake, route.adapter, answering.weights.config.only) if answering else iter(())
    found = [*islice((row for row in rows if answering and _taken(answering, row)), wanted)]
    speech = {"bytes": tone(), "path": None}
    made = [
        {"text": SENTENCE, "translation": TRANSLATED, "direction": direction, "audio": speech}
        for direction in _directions(settings, route)
    ]
    return [*islice(chain(found, cycle(made)), wanted)]


def tone(seconds: float = 1.0, hertz: float = 300.0) -> bytes:
    """Return a tone as PCM16 WAV, 16 kHz mono."""
    import numpy as np
    import soundfile

    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * hertz * time), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _held_out(lake: Lake, adapter: str, only: Mapping[str, str | bool]) -> Iterator[dict[str, Any]]:
    try:
        for row in read_rows(lake.files(Layer.GOLD, engine_of(adapter), under="test")):
            if chosen(row, only):
                yield {name: row.get(name) for name in ("text", "translation", "direction", "audio")}
    except FoundryError:
        # Gold need not lie where the gateway runs.
        return


def _directions(settings: Settings, route: Route) -> list[Any]:
    """Return which ways an adapter translates: by what answers, else by the settings."""
    spec = adapters(settings.training).get(route.adapter)
    config = route.answering.weights.config if route.answering else spec and spec.training
    return [config.only["direction"]] if config and "direction" in config.only else ["ml-en", "en-ml"]


def _taken(answering: Resident, row: dict[str, Any]) -> bool:
    try:
        answering.encode(row)
    except Rejected:
        return False
    return True
