"""What stands beside gold rows: the dataset card and the certificate that its splits are disjoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_foundry.allocation.candidates import Candidates
from data_foundry.allocation.links import LINKS
from data_foundry.allocation.splits import REJECTED, SPLITS, Assignment
from data_foundry.config import Splits
from data_foundry.engines.spec import EngineSpec
from data_foundry.licence_terms import is_known, licence_names


def certificate(
    spec: EngineSpec, candidates: Candidates, assignment: Assignment, split_of_gold: np.ndarray, shares: Splits
) -> dict[str, Any]:
    """Return what was checked of a gold set's splits, how, and what could not be checked.

    `split_of_gold`: index into SPLITS of each candidate that became a gold row, REJECTED otherwise.
    """
    gold = split_of_gold != REJECTED
    checks = {kind: _check(candidates, kind, assignment, gold) for kind in candidates.kinds}
    dataset = candidates["dataset"]
    unverified = {
        kind: {
            candidates.datasets.names[code]: int(count)
            for code, count in zip(
                *np.unique(dataset[gold & (candidates[f"link:{kind}"] == 0)], return_counts=True), strict=True
            )
        }
        for kind in candidates.kinds
    }
    return {
        "schema_version": 1,
        "engine": spec.engine,
        "checked_together_with": [other.engine for other in candidates.family if other.engine != spec.engine],
        "disjoint_by": checks,
        "groups": {
            name: len(np.unique(assignment.group[split_of_gold == number])) for number, name in enumerate(SPLITS)
        },
        "rows": {name: int(np.sum(split_of_gold == number)) for number, name in enumerate(SPLITS)},
        "labels": _labels(candidates, split_of_gold),
        "shares": {"validation": shares.validation, "test": shares.test, "seed": shares.seed},
        "groups_placed_by_rank": dict(sorted(assignment.moved.items())),
        "groups_cut_by_speaker": assignment.cut,
        "not_verified": {kind: by_dataset for kind, by_dataset in sorted(unverified.items()) if by_dataset},
        "not_linked": {kind: link.method for kind, link in LINKS.items() if kind not in candidates.kinds},
    }


def _check(candidates: Candidates, kind: str, assignment: Assignment, gold: np.ndarray) -> dict[str, Any]:
    keys = candidates[f"link:{kind}"]
    known = gold & (keys != 0)
    kept = (assignment.side != REJECTED) & (keys != 0)
    pairs = np.unique(np.stack([keys[kept], assignment.side[kept].astype(np.uint64)]), axis=1)
    on_two_sides = pairs.shape[1] - len(np.unique(pairs[0]))
    rows, verified = int(known.sum()), "verified"
    if rows < gold.sum():
        verified = f"unverified for {int(gold.sum()) - rows} of {int(gold.sum())} rows" if rows else "unverified"
    return {
        "method": LINKS[kind].method,
        "status": verified,
        "rows_with_it": rows,
        "distinct_values": len(np.unique(keys[known])),
        "values_on_two_sides": on_two_sides,
    }


def _labels(candidates: Candidates, split_of_gold: np.ndarray) -> dict[str, dict[str, int]]:
    """Return rows by label (of the engines that have one) and split."""
    table: dict[str, dict[str, int]] = {}
    for code, name in sorted(enumerate(candidates.labels.names), key=lambda pair: pair[1]):
        sides = split_of_gold[candidates["label"] == code]
        counts = {split: int(np.sum(sides == number)) for number, split in enumerate(SPLITS)}
        if any(counts.values()):
            table[name.strip("|") or "none"] = counts
    return table


def dataset_card(
    spec: EngineSpec,
    splits: Mapping[str, int],
    routing: Mapping[str, Mapping[str, Any]],
    used: Mapping[str, int],
    rejected: Mapping[str, int],
    obligations: list[dict[str, Any]],
    certified: Mapping[str, Any],
    commercial_use: bool,
) -> str:
    """Return README.md of a gold set: YAML from which `load_dataset(folder)` knows the splits, then prose."""
    files = "".join(f"  - split: {split}\n    path: {split}/*.parquet\n" for split in SPLITS if splits.get(split))
    named = [licence_names(line["licence"]) or ["unknown"] for line in obligations]
    licences = sorted({_hub_licence(name) for names in named for name in names}) or ["unknown"]
    head = [
        "---",
        "language:",
        "- ml",
        "license:",
        *[f"- {licence}" for licence in licences],
        *(["configs:", "- config_name: default", "  data_files:", files.rstrip("\n")] if files else []),
        "---",
        "",
        f"# Gold: {spec.title}",
        "",
        "Made by Data Foundry, phase 3. Column by column: " + ", ".join(f"`{c}`" for c in spec.gold_columns) + ".",
        f"The target is `{spec.label}`. Rows: " + ", ".join(f"{splits.get(s, 0)} {s}" for s in SPLITS) + ".",
        "`group` is the same for rows that are linked; `source_split` says where a row was published, so that an",
        "evaluation split (such as kathbath) inside `test` can be told apart.",
        "",
        "## Where the rows come from",
        "",
        "| dataset | declared for | silver rows | able | used | why not |",
        "|---|---|---|---|---|---|",
        *[_routing_line(spec, dataset, line, used.get(dataset, 0)) for dataset, line in routing.items()],
        "",
        "Rejected: " + (", ".join(f"{reason} {count}" for reason, count in sorted(rejected.items())) or "none") + ".",
        "",
        "## Licences and what they oblige to",
        "",
        "The run was for commercial use: rows that forbid it or whose terms are unknown are not in here."
        if commercial_use
        else "The run was **not** for commercial use: some rows may not train a product for sale.",
        "",
        "| dataset | licence | rows | obligations | note |",
        "|---|---|---|---|---|",
        *[
            f"| {line['dataset']} | {line['licence']} | {line['rows']} | {', '.join(line['obligations']) or 'none'} "
            f"| {line['note']} |"
            for line in obligations
        ],
        "",
        "## Splits",
        "",
        "No value of these stands on two sides (`splits.json` holds the certificate):",
        "",
        *[f"- {kind}: {check['method']} ({check['status']})" for kind, check in certified["disjoint_by"].items()],
        "",
    ]
    return "\n".join(head)


def _hub_licence(name: str) -> str:
    """Return the identifier that the Hub's cards know a licence by: its own, "unknown", or "other" for a custom one."""
    return name if name == "unknown" or is_known(name) else "other"


def _routing_line(spec: EngineSpec, dataset: str, line: Mapping[str, Any], used: int) -> str:
    own = line["engines"][spec.engine]
    lacks = ", ".join(f"{reason} {count}" for reason, count in own["why_not"].items())
    return f"| {dataset} | {line['declared'] or '?'} | {line['rows']} | {own['able']} | {used} | {lacks or '-'} |"


def to_json(value: Any) -> str:
    """Return JSON in a canonical form that a person can read."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
