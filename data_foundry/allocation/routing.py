"""Routing: every silver row is measured against every engine, whatever engine its dataset was declared for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.engines.spec import Row


def route(row: Row) -> dict[AIEngine, list[str]]:
    """Return for every engine what a silver row lacks to serve it, in the order of its requirements; empty: it can.

    `row["duration"]` must be None exactly when the row has no audio.
    """
    return {engine: spec.unmet(row) for engine, spec in ENGINES.items()}


def declared_engine(dataset: str) -> AIEngine | None:
    """Return the engine a dataset was declared for, None where the registry does not know the dataset."""
    entry = DATASET_REGISTRY.get(dataset)
    return entry.declared_engine if entry else None


class RoutingMatrix:
    """Datasets x engines: how many rows each engine could use, and why it can't use the others."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._able: Counter[tuple[str, AIEngine]] = Counter()
        self._lacks: Counter[tuple[str, AIEngine, str]] = Counter()

    def add(self, dataset: str, unmet: Mapping[AIEngine, Iterable[str]]) -> None:
        """Count one row."""
        self.rows[dataset] += 1
        for engine, reasons in unmet.items():
            able = True
            for reason in reasons:
                self._lacks[dataset, engine, reason] += 1
                able = False
            self._able[dataset, engine] += able

    def table(self) -> dict[str, dict[str, Any]]:
        """Return {dataset: {rows, declared, engines: {engine: {able, why_not}}}}.

        `why_not` counts every requirement that rows do not meet, so a row may stand under two reasons.
        """
        return {
            dataset: {
                "rows": rows,
                "declared": declared_engine(dataset),
                "engines": {
                    engine: {
                        "able": self._able[dataset, engine],
                        "why_not": {
                            reason: count
                            for (of, at, reason), count in sorted(self._lacks.items())
                            if (of, at) == (dataset, engine)
                        },
                    }
                    for engine in ENGINES
                },
            }
            for dataset, rows in sorted(self.rows.items())
        }


def mismatch(dataset: str, routing: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the finding that a dataset's declared engine can use few or none of its rows, or None.

    `routing` is the dataset's line of `RoutingMatrix.table`. Fewer than half of the rows able is few.
    """
    declared, rows = routing["declared"], routing["rows"]
    if declared is None or not rows:
        return None
    own = routing["engines"][declared]
    if own["able"] >= rows / 2:
        return None
    lacks = ", ".join(f"{reason} in {count}" for reason, count in own["why_not"].items())
    others = {
        engine: line["able"] for engine, line in routing["engines"].items() if line["able"] and engine != declared
    }
    instead = (
        "they serve " + ", ".join(f"{engine} ({able} rows)" for engine, able in others.items()) + " instead"
        if others
        else "they serve no engine and were left out"
    )
    how_many = "none" if not own["able"] else f"only {own['able']}"
    return {
        "kind": "declared_engine_unable" if not own["able"] else "declared_engine_partly_able",
        "severity": "warning",
        "message": f"Declared for {declared}, which can use {how_many} of its {rows} rows ({lacks}); {instead}.",
        "count": rows - own["able"],
        "examples": [],
    }
