"""What gold's manifests say that a person should hear of: mismatches of intent and data, licences, leaks, gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from data_foundry.allocation.routing import mismatch
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.lake import Manifest

MESSAGES = {
    "licence_non_commercial": "{count} rows kept out of {engine}: the licence {licence} forbids commercial use.",
    "licence_unknown": "{count} rows kept out of {engine}: nobody established that the licence ({licence}) allows "
    "commercial use.",
    "leaks_into_test": "{count} published train or validation rows kept out of {engine}: a link, such as a "
    "speaker, text, prompt, document, recording or sound, ties them to a test row.",
    "leaks_into_validation": "{count} published train rows kept out of {engine}: a link, such as a speaker, text, "
    "prompt, document, recording or sound, ties them to a validation row.",
    "straddles_splits": "{count} rows kept out of {engine}: several speakers on different sides say their text.",
}


def dataset_findings(manifests: Iterable[Manifest]) -> dict[str, list[dict[str, Any]]]:
    """Return findings per dataset: intent that the rows can't meet, and what each engine refused for licence or leak.

    Every manifest holds the whole routing matrix; the intent is judged by the declared engine's, so once.
    """
    manifests = list(manifests)
    findings: dict[str, list[dict[str, Any]]] = {}
    for manifest in manifests:
        for dataset, line in manifest.details["routing"].items():
            own = findings.setdefault(dataset, [])
            used = {m.name: (m.details["used"].get(dataset, 0), m.details["domain"].get(dataset, 0)) for m in manifests}
            unmet = mismatch(dataset, line, used) if line["declared"] == manifest.name else None
            if unmet:
                own.insert(0, unmet)
            refused = Counter(manifest.details["rejected"].get(dataset, {}))
            own.extend(
                {
                    "kind": kind,
                    "severity": "warning",
                    "message": message.format(count=refused[kind], engine=manifest.name, licence=_licence(dataset)),
                    "count": refused[kind],
                    "examples": [],
                }
                for kind, message in MESSAGES.items()
                if refused[kind]
            )
    return {dataset: own for dataset, own in findings.items() if own}


def engine_findings(manifest: Manifest) -> list[dict[str, Any]]:
    """Return findings of one engine's gold: datasets without silver, splits without rows, what is not verified."""
    findings = []
    missing, rows = manifest.details["missing"], manifest.details["rows"]
    if missing:
        findings.append(
            _finding(
                "silver_missing", "warning", f"Made without {', '.join(missing)}: no silver.", len(missing), missing
            )
        )
    absent = [split for split, count in rows.items() if not count]
    if absent:
        findings.append(
            _finding("split_without_rows", "warning", f"No rows in {' and '.join(absent)}.", len(absent), absent)
        )
    certified = manifest.details["splits"]
    changed = certified["changed"]
    if changed["rows"]:
        moves = ", ".join(f"{move} {count}" for move, count in changed["moves"].items())
        message = f"{changed['rows']} rows changed sides, for what arrived links them to others: {moves}."
        findings.append(_finding("rows_changed_sides", "warning", message, changed["rows"], changed["examples"]))
    for kind, by_dataset in certified["not_verified"].items():
        if kind != "speaker" and not certified["disjoint_by"][kind]["rows_with_it"]:
            # Nobody expects a prompt or a document of every text; of a speech row a speaker.
            continue
        message = f"{kind}: unverified for {sum(by_dataset.values())} rows that have none."
        findings.append(_finding(f"{kind}_unverified", "info", message, sum(by_dataset.values()), sorted(by_dataset)))
    return findings


def _finding(kind: str, severity: str, message: str, count: int, examples: list[str]) -> dict[str, Any]:
    return {"kind": kind, "severity": severity, "message": message, "count": count, "examples": examples}


def _licence(dataset: str) -> str:
    entry = DATASET_REGISTRY.get(dataset)
    return entry.licence if entry else "as the rows state it"
