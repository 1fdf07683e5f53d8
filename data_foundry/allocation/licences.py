"""Licences: what using the rows of a gold set obliges to."""

from __future__ import annotations

from collections.abc import Iterable

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.licence_terms import NON_COMMERCIAL, UNKNOWN, clauses, licence_names, refusal

WITHOUT_ATTRIBUTION = ("cc0-", "pddl")


def obligations(dataset: str, licence: str) -> list[str]:
    """Return what using rows of this dataset and licence obliges to, as short phrases."""
    said = clauses(licence)
    entry = DATASET_REGISTRY.get(dataset)
    reason = refusal(dataset, licence)
    found = []
    if reason == NON_COMMERCIAL:
        found.append("no commercial use")
    if reason == UNKNOWN:
        found.append("terms unknown or not reviewed: ask the publisher before any commercial use")
    if not all(name.startswith(WITHOUT_ATTRIBUTION) for name in licence_names(licence)):
        found.append("attribution")
    if "share_alike" in said or (entry is not None and entry.share_alike):
        found.append("share alike")
    if "no_derivatives" in said or (entry is not None and entry.no_derivatives):
        # Whether a trained model derives from its data is not settled: a lawyer's question, so rows stay.
        found.append("no sharing of what derives from it: have it reviewed")
    return found


def obligation_table(rows: Iterable[tuple[str, str, int]]) -> list[dict[str, object]]:
    """Return a line per (dataset, licence, rows) of a gold set, with the obligations and the registry's note."""
    return [
        {
            "dataset": dataset,
            "licence": licence,
            "rows": count,
            "obligations": obligations(dataset, licence),
            "note": entry.licence_note if (entry := DATASET_REGISTRY.get(dataset)) else "",
        }
        for dataset, licence, count in sorted(rows)
    ]
