"""Which licence holds for a dataset: the tag on the Hub, what its parents say, and which of the two binds."""

from __future__ import annotations

from typing import Any

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.ingestion.findings import Findings

# Tags that name no terms.
_UNNAMED = frozenset({"", "unknown", "other", "none"})


def effective_licence(entry: DatasetEntry, found: str | None, findings: Findings) -> dict[str, Any]:
    """Return {"found", "effective", "non_commercial", "share_alike", "note"}: the stricter of the tag and the parents.

    A copy can't shed a parent's terms, so the registry's licence holds unless the tag adds a restriction. None in the
    two flags means that nobody states it.
    """
    tag = (found or "").strip().lower()
    known = entry.licence if entry.licence not in _UNNAMED else None
    effective = known or (tag if tag not in _UNNAMED else "unknown")
    non_commercial, share_alike = entry.non_commercial, entry.share_alike
    if tag not in _UNNAMED:
        non_commercial = _either(non_commercial, _names(tag, "nc"))
        share_alike = _either(share_alike, _names(tag, "sa"))
        if known and tag != known:
            findings.add("licence_conflict", "warning", f"Tagged {tag}, but its parents' terms are {known}.")
            if (_names(tag, "nc") and not entry.non_commercial) or (_names(tag, "nd") and not _names(known, "nd")):
                effective = tag
    if effective == "unknown":
        findings.add("licence_unknown", "warning", "Nobody states a licence; commercial training must leave it out.")
    if non_commercial:
        findings.add("licence_non_commercial", "warning", f"{effective} forbids commercial use.")
    if share_alike:
        findings.add("licence_share_alike", "info", f"{effective} asks that what derives from it is shared alike.")
    if "community-license" in effective:
        findings.add("licence_custom", "warning", f"{effective} is a custom licence: have it reviewed.")
    if entry.licence_found and tag and tag != entry.licence_found:
        findings.add("licence_changed", "warning", f"The tag was {entry.licence_found} and is {tag} now.")
    return {
        "found": found,
        "effective": effective,
        "non_commercial": non_commercial,
        "share_alike": share_alike,
        "note": entry.licence_note,
    }


def _names(licence: str, clause: str) -> bool:
    return clause in licence.split("-")


def _either(known: bool | None, tagged: bool) -> bool:
    return bool(known) or tagged
