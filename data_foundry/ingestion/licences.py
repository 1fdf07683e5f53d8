"""Which licence holds for a dataset: the tag on the Hub, what its parents say, and which of the two binds."""

from __future__ import annotations

from typing import Any

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.ingestion.findings import Findings

# Tags that name no terms.
_UNNAMED = frozenset({"", "unknown", "other", "none"})
# What a Creative Commons licence's name tells by its parts.
CLAUSES = {"non_commercial": "nc", "share_alike": "sa", "no_derivatives": "nd"}


def effective_licence(entry: DatasetEntry, found: str | None, findings: Findings) -> dict[str, Any]:
    """Return the licence that binds, which is the stricter of the tag and the parents, with everything it rests on.

    {"found", "effective", "parents", "non_commercial", "share_alike", "no_derivatives", "conflict", "flags", "note"}:
    a copy can't shed a parent's terms, so the registry's licence holds unless the tag adds a restriction. None in the
    three clauses means that nobody states it; `flags` lists what a user must know before training.
    """
    tag = (found or "").strip().lower()
    known = entry.licence if entry.licence not in _UNNAMED else None
    effective = known or (tag if tag not in _UNNAMED else "unknown")
    clauses: dict[str, bool | None]
    clauses = {"non_commercial": entry.non_commercial, "share_alike": entry.share_alike,
               "no_derivatives": entry.no_derivatives}  # fmt: skip
    conflict = False
    if tag not in _UNNAMED:
        conflict = bool(known) and tag != known
        for name, clause in CLAUSES.items():
            # A tag that leaves a clause out says "no such clause", unless parents with other terms stay silent on it.
            silent = None if conflict else False
            clauses[name] = True if _names(tag, clause) else clauses[name] if clauses[name] is not None else silent
        if conflict:
            findings.add("licence_conflict", "warning", f"Tagged {tag}, but its parents' terms are {known}.")
            if (_names(tag, "nc") and not entry.non_commercial) or (
                _names(tag, "nd") and not _names(known or "", "nd")
            ):
                effective = tag
    if len(set(entry.parents.values())) > 1:
        conflict = True
        stated = ", ".join(f"{parent} {licence}" for parent, licence in entry.parents.items())
        findings.add("licence_parents_differ", "info", f"Its parents state different terms: {stated}.")
    custom = "community-license" in effective
    said = {**{name: bool(value) for name, value in clauses.items()}, "unknown": effective == "unknown",
            "conflict": conflict, "custom": custom}  # fmt: skip
    messages = {
        "unknown": ("warning", "Nobody states a licence; commercial training must leave it out."),
        "non_commercial": ("warning", f"{effective} forbids commercial use."),
        "share_alike": ("info", f"{effective} asks that what derives from it is shared alike."),
        "no_derivatives": ("warning", f"{effective} forbids sharing what derives from it: have it reviewed."),
        "custom": ("warning", f"{effective} is a custom licence: have it reviewed."),
    }
    for flag, (severity, message) in messages.items():
        if said[flag]:
            findings.add(f"licence_{flag}", severity, message)  # type: ignore[arg-type]
    if entry.licence_found and tag and tag != entry.licence_found:
        findings.add("licence_changed", "warning", f"The tag was {entry.licence_found} and is {tag} now.")
    return {
        "found": found,
        "effective": effective,
        "parents": dict(entry.parents),
        **clauses,
        "conflict": conflict,
        "flags": sorted(flag for flag, holds in said.items() if holds),
        "note": entry.licence_note,
    }


def _names(licence: str, clause: str) -> bool:
    return clause in licence.split("-")
