"""Licences: which rows may train a product for sale, and what those that stay oblige to."""

from __future__ import annotations

from collections.abc import Iterable

from data_foundry.dataset_registry import DATASET_REGISTRY

NON_COMMERCIAL = "licence_non_commercial"
UNKNOWN = "licence_unknown"

# Licences whose own text allows commercial use, for rows of a dataset whose registry entry does not say.
COMMERCIAL = ("cc0-", "cc-by-", "odc-by", "pddl", "apache-2.0", "mit", "bsd-", "cdla-permissive-")
WITHOUT_ATTRIBUTION = ("cc0-", "pddl")


def refusal(dataset: str, licence: str) -> str | None:
    """Return why a row of this dataset and licence may not serve a commercial product, or None when it may.

    The registry's judgement of a dataset comes first; one that was not made (a custom licence, none stated) is unknown.
    """
    name = licence.strip().lower()
    entry = DATASET_REGISTRY.get(dataset)
    if "-nc" in name or (entry is not None and entry.non_commercial):
        return NON_COMMERCIAL
    if name in ("", "unknown"):
        return UNKNOWN
    if entry is not None:
        return UNKNOWN if entry.non_commercial is None else None
    return None if name.startswith(COMMERCIAL) else UNKNOWN


def obligations(dataset: str, licence: str) -> list[str]:
    """Return what using rows of this dataset and licence obliges to, as short phrases."""
    name = licence.strip().lower()
    entry = DATASET_REGISTRY.get(dataset)
    reason = refusal(dataset, licence)
    found = []
    if reason == NON_COMMERCIAL:
        found.append("no commercial use")
    if reason == UNKNOWN:
        found.append("terms unknown or not reviewed: ask the publisher before any commercial use")
    if name not in ("", "unknown") and not name.startswith(WITHOUT_ATTRIBUTION):
        found.append("attribution")
    if "-sa" in name or (entry is not None and entry.share_alike):
        found.append("share alike")
    if "-nd" in name or (entry is not None and entry.no_derivatives):
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
