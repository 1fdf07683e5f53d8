"""Routing: every silver row is measured against every engine, whatever engine its dataset was declared for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine, engines_sharing_rows
from data_foundry.engines.spec import Fit, Row
from data_foundry.errors import FoundryError

# Why rows that an engine could use are not in its gold: their dataset's own engine can't use it, and that is to fail.
NOT_REROUTED = "not_rerouted"
USAGE = ("used", "used_for_domain", "kept_out")


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


def usage(engine: AIEngine, details: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Return {used, used_for_domain, kept_out} of a dataset's rows by the details of an engine's gold manifest.

    `kept_out` counts by reason the rows that the engine could use, by its contract, and that are not in gold: able and
    domain rows are those that were used and those.
    """
    lacks = {need.reason for need in ENGINES[engine].requirements}
    rejected = details["rejected"].get(dataset, {})
    return {
        "used": details["used"].get(dataset, 0),
        "used_for_domain": details["domain"].get(dataset, 0),
        "kept_out": {reason: count for reason, count in rejected.items() if reason not in lacks},
    }


def mismatch(
    dataset: str, routing: Mapping[str, Any], usages: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any] | None:
    """Return the finding that a dataset's declared engine can use few or none of its rows, or None.

    `routing` is the dataset's line of `RoutingMatrix.table`. Fewer than half of the rows able is few. `usages`: what
    each engine that has gold did with the dataset's rows (see `usage`); None where what was done is not known yet.
    """
    declared, rows = routing["declared"], routing["rows"]
    if declared is None or not rows:
        return None
    own = routing["engines"][declared]
    if own["able"] >= rows / 2:
        return None
    lacks = ", ".join(f"{reason} in {count}" for reason, count in own["why_not"].items())
    done = "" if usages is None else f"; {_instead(routing, usages)}"
    how_many = "none" if not own["able"] else f"only {own['able']}"
    return {
        "kind": "declared_engine_unable" if not own["able"] else "declared_engine_partly_able",
        "severity": "warning",
        "message": f"Declared for {declared}, which can use {how_many} of its {rows} rows ({lacks}){done}.",
        "count": rows - own["able"],
        "examples": [],
    }


def _instead(routing: Mapping[str, Any], usages: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which engines took rows that their dataset was not declared for, which could but did not, and why not."""
    served, idle = [], []
    for engine, line in routing["engines"].items():
        found = usages.get(engine)
        for able, used, what in (
            (line["able"] if engine != routing["declared"] else 0, "used", engine),
            (line["domain"], "used_for_domain", f"{engine}'s adaptation to the language"),
        ):
            if not able:
                continue
            if found is None:
                idle.append(f"{what} ({able} rows: its gold is not made)")
            elif found[used]:
                target = ", no target" if used == "used_for_domain" else ""
                served.append(f"{what} ({found[used]} of {able} rows used{target})")
            else:
                why = ", ".join(f"{reason} {count}" for reason, count in found["kept_out"].items())
                idle.append(f"{what} ({able} rows, all kept out: {why})")
    done = f"instead they serve {' and '.join(served)}" if served else "they serve no engine and were left out"
    return done + (f"; they could serve {' and '.join(idle)}" if idle else "")


def mismatched(table: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the datasets of a routing matrix that their declared engines can't serve, each with what is wrong."""
    found = {dataset: mismatch(dataset, line) for dataset, line in table.items()}
    return {dataset: finding["message"] for dataset, finding in found.items() if finding}


def concerned(engine: AIEngine, table: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether the policy for mismatches makes a difference to an engine: whether a mismatched dataset is
    declared for it, or has rows that it, or an engine that it shares rows with, could use."""
    family = [spec.engine for spec in engines_sharing_rows(engine)]
    return any(
        table[dataset]["declared"] == engine
        or any(table[dataset]["engines"][other][able] for other in family for able in ("able", "domain"))
        for dataset in mismatched(table)
    )


def refuse_mismatch(engine: AIEngine, table: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return the mismatched datasets, whose rows are to serve no engine, where the settings want mismatches to fail.

    Raises FoundryError with those that are declared for the engine.
    """
    wrong = mismatched(table)
    messages = [f"{dataset}: {said}" for dataset, said in wrong.items() if table[dataset]["declared"] == engine]
    if messages:
        raise FoundryError(
            "\n".join([f"Nothing is published for {engine}, for routing.on_mismatch is fail:", *messages]),
            "Set routing.on_mismatch to reroute, or change what the dataset is declared for.",
        )
    return frozenset(wrong)
