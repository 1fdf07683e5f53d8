"""Routing: every silver row is measured against every engine, whatever engine its dataset was declared for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from data_foundry.config import Settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.engines.spec import Fit, Row
from data_foundry.errors import FoundryError


def route(row: Row) -> dict[AIEngine, Fit]:
    """Return for every engine what a silver row lacks to serve it, and whether it serves its domain instead.

    `row["duration"]` must be None exactly when the row has no audio.
    """
    return {engine: spec.fit(row) for engine, spec in ENGINES.items()}


def declared_engine(dataset: str) -> AIEngine | None:
    """Return the engine a dataset was declared for, None where the registry does not know the dataset."""
    entry = DATASET_REGISTRY.get(dataset)
    return entry.declared_engine if entry else None


class RoutingMatrix:
    """Datasets x engines: how many rows each engine could use, and why it can't use the others."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._able: Counter[tuple[str, AIEngine]] = Counter()
        self._domain: Counter[tuple[str, AIEngine]] = Counter()
        self._lacks: Counter[tuple[str, AIEngine, str]] = Counter()

    def add(self, dataset: str, fits: Mapping[AIEngine, Fit]) -> None:
        """Count one row."""
        self.rows[dataset] += 1
        for engine, fit in fits.items():
            if fit.able:
                self._able[dataset, engine] += 1
                continue
            if fit.domain:
                self._domain[dataset, engine] += 1
            for reason in fit.lacks:
                self._lacks[dataset, engine, reason] += 1

    def table(self) -> dict[str, dict[str, Any]]:
        """Return {dataset: {rows, declared, engines: {engine: {able, domain, why_not}}}}.

        `able` rows serve the engine's task, `domain` rows only its adaptation to the domain. `why_not` counts every
        requirement of the task that rows do not meet, so a row may stand under two reasons.
        """
        return {
            dataset: {
                "rows": rows,
                "declared": declared_engine(dataset),
                "engines": {
                    engine: {
                        "able": self._able[dataset, engine],
                        "domain": self._domain[dataset, engine],
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


def mismatch(
    dataset: str, routing: Mapping[str, Any], used: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, Any] | None:
    """Return the finding that a dataset's declared engine can use few or none of its rows, or None.

    `routing` is the dataset's line of `RoutingMatrix.table`. Fewer than half of the rows able is few. `used`: how many
    rows each engine that has gold took, for its task and for its domain.
    """
    declared, rows = routing["declared"], routing["rows"]
    if declared is None or not rows:
        return None
    own = routing["engines"][declared]
    if own["able"] >= rows / 2:
        return None
    lacks = ", ".join(f"{reason} in {count}" for reason, count in own["why_not"].items())
    tasks, domains = [], []
    for engine, line in routing["engines"].items():
        task, domain = (used or {}).get(engine, (None, None))
        if line["able"] and engine != declared:
            tasks.append(f"{engine} ({_of(task, line['able'])})")
        if line["domain"]:
            domains.append(f"{engine}'s adaptation to the language ({_of(domain, line['domain'])}, no target)")
    instead = " and ".join([*tasks, *domains])
    done = f"instead they serve {instead}" if instead else "they serve no engine and were left out"
    how_many = "none" if not own["able"] else f"only {own['able']}"
    return {
        "kind": "declared_engine_unable" if not own["able"] else "declared_engine_partly_able",
        "severity": "warning",
        "message": f"Declared for {declared}, which can use {how_many} of its {rows} rows ({lacks}); {done}.",
        "count": rows - own["able"],
        "examples": [],
    }


def _of(used: int | None, able: int) -> str:
    return f"{able} rows able" if used is None else f"{used} of {able} rows used"


def refuse_mismatch(settings: Settings, engine: AIEngine, table: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise FoundryError, where the settings want it, with the mismatches of all datasets declared for an engine."""
    if settings.routing.on_mismatch == "reroute":
        return
    found = {d: mismatch(d, line) for d, line in table.items() if line["declared"] == engine}
    messages = [f"{dataset}: {finding['message']}" for dataset, finding in found.items() if finding]
    if messages:
        raise FoundryError(
            "\n".join([f"Nothing is published for {engine}, for routing.on_mismatch is fail:", *messages]),
            "Set routing.on_mismatch to reroute, or change what the dataset is declared for.",
        )
