"""The routing matrix for people: which rows each engine could use, which it did, and why not the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_foundry.engines import ENGINES, AIEngine
from data_foundry.engines.spec import EngineSpec


def routing_section(spec: EngineSpec, details: Mapping[str, Any]) -> list[str]:
    """Return the lines of a card on where the rows of a gold set come from, and on what all engines could use.

    What another engine used of a dataset stands in its own gold: it is not known when this one is made, and would
    make the same rows another card.
    """
    routing, used, domain = details["routing"], details["used"], details.get("domain", {})
    rejected: dict[str, int] = {}
    for reasons in details["rejected"].values():
        for reason, count in reasons.items():
            rejected[reason] = rejected.get(reason, 0) + count
    return [
        "## Where the rows come from",
        "",
        "| dataset | declared for | silver rows | able | used | without a target | why not |",
        "|---|---|---|---|---|---|---|",
        *[
            f"| {dataset} | {line['declared'] or '?'} | {line['rows']} | {line['engines'][spec.engine]['able']} "
            f"| {used.get(dataset, 0)} | {domain.get(dataset, 0)} | {_lacks(line['engines'][spec.engine])} |"
            for dataset, line in routing.items()
        ],
        "",
        "Rejected: " + (", ".join(f"{reason} {count}" for reason, count in sorted(rejected.items())) or "none") + ".",
        "",
        "## What every engine could use",
        "",
        "Rows able to serve each engine, by its contract alone (licences and splits come after); **bold** is the "
        "engine that a dataset was declared for, + are rows that serve without a target. The pipeline report says "
        "what each engine used.",
        "",
        f"| dataset | silver rows | {' | '.join(ENGINES)} |",
        "|---" * (len(ENGINES) + 2) + "|",
        *[
            f"| {dataset} | {line['rows']} | {' | '.join(_able(line, engine) for engine in ENGINES)} |"
            for dataset, line in routing.items()
        ],
        "",
        "Why not:",
        "",
        *[
            f"- {dataset}: " + "; ".join(f"{engine} {_lacks(line['engines'][engine])}" for engine in unable) + "."
            for dataset, line in routing.items()
            if (unable := [engine for engine in ENGINES if line["engines"][engine]["why_not"]])
        ],
        "",
    ]


def _able(line: Mapping[str, Any], engine: AIEngine) -> str:
    cell = line["engines"][engine]
    able = f"**{cell['able']}**" if line["declared"] == engine else str(cell["able"])
    return able + (f" + {cell['domain']}" if cell["domain"] else "")


def _lacks(cell: Mapping[str, Any]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in cell["why_not"].items()) or "-"
