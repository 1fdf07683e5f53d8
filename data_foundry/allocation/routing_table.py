"""The routing matrix for people: which rows each engine could use, which it did, and why not the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_foundry.allocation.routing import usage
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.engines.spec import EngineSpec


def routing_section(spec: EngineSpec, details: Mapping[str, Any]) -> list[str]:
    """Return the lines of a card on where the rows of a gold set come from, and on what all engines could use.

    What another engine used of a dataset stands in its own gold: it is not known when this one is made, and would
    make the same rows another card.
    """
    routing = details["routing"]
    usages = {dataset: usage(spec.engine, details, dataset) for dataset in routing}
    rejected: dict[str, int] = {}
    for reasons in details["rejected"].values():
        for reason, count in reasons.items():
            rejected[reason] = rejected.get(reason, 0) + count
    return [
        "## Where the rows come from",
        "",
        "Rows that can serve are used, serve without a target, or are kept out for a reason that lies not in the row: "
        "its licence, a row it repeats, or a side it may not stand on. *Why not* counts what the other rows lack.",
        "",
        "| dataset | declared for | silver rows | able | used | without a target | kept out | why not |",
        "|---|---|---|---|---|---|---|---|",
        *[
            f"| {dataset} | {line['declared'] or '?'} | {line['rows']} | {line['engines'][spec.engine]['able']} "
            f"| {usages[dataset]['used']} | {usages[dataset]['used_for_domain']} "
            f"| {_counted(usages[dataset]['kept_out'])} | {_counted(line['engines'][spec.engine]['why_not'])} |"
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
            f"- {dataset}: "
            + "; ".join(f"{engine} {_counted(line['engines'][engine]['why_not'])}" for engine in unable)
            + "."
            for dataset, line in routing.items()
            if (unable := [engine for engine in ENGINES if line["engines"][engine]["why_not"]])
        ],
        "",
    ]


def _able(line: Mapping[str, Any], engine: AIEngine) -> str:
    cell = line["engines"][engine]
    able = f"**{cell['able']}**" if line["declared"] == engine else str(cell["able"])
    return able + (f" + {cell['domain']}" if cell["domain"] else "")


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "-"
