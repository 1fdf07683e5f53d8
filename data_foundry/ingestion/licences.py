"""Which licence holds for a dataset: the tag on the Hub, what its parents say, and which of the two binds."""

from __future__ import annotations

from typing import Any

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.ingestion.findings import Findings
from data_foundry.licence_terms import CLAUSES, clauses, is_known, licence_names


def effective_licence(entry: DatasetEntry, found: str | None, findings: Findings) -> dict[str, Any]:
    """Return the licence that binds, which is the stricter of the tag and the parents, with everything it rests on.

    {"found", "effective", "parents", "non_commercial", "share_alike", "no_derivatives", "conflict", "flags", "note"}:
    a copy can't shed a parent's terms, so the registry's licence holds unless the tag adds a restriction, and both
    hold where each restricts what the other does not, or the tag's terms are not known. None in the three clauses
    means that nobody states it; `flags` lists what a user must know before training.
    """
    tag, known = ", ".join(licence_names(found)), ", ".join(licence_names(entry.licence))
    effective = known or tag or "unknown"
    stated: dict[str, bool | None] = {name: getattr(entry, name) for name in CLAUSES}
    conflict = bool(known and tag) and tag != known
    if tag:
        ours, theirs = clauses(tag), clauses(known)
        for name in CLAUSES:
            # A known licence that leaves a clause out says "no such clause", unless parents with other terms stay
            # silent on it.
            if name in ours:
                stated[name] = True
            elif stated[name] is None and is_known(tag) and not conflict:
                stated[name] = False
        if conflict:
            findings.add("licence_conflict", "warning", f"Tagged {tag}, but its parents' terms are {known}.")
            if ours > theirs and is_known(known):
                effective = tag
            elif ours - theirs or not is_known(tag):
                effective = f"{known} and {tag}"
    if len(set(entry.parents.values())) > 1:
        conflict = True
        terms = ", ".join(f"{parent} {licence}" for parent, licence in entry.parents.items())
        findings.add("licence_parents_differ", "info", f"Its parents state different terms: {terms}.")
    custom = effective != "unknown" and not is_known(effective)
    said = {**{name: bool(value) for name, value in stated.items()}, "unknown": effective == "unknown",
            "conflict": conflict, "custom": custom}  # fmt: skip
    messages = {
        "unknown": ("warning", "Nobody states a licence; commercial training must leave it out."),
        "non_commercial": ("warning", f"{effective} forbids commercial use."),
        "share_alike": ("info", f"{effective} asks that what derives from it is shared alike."),
        "no_derivatives": ("warning", f"{effective} forbids sharing what derives from it: have it reviewed."),
        "custom": ("warning", f"{effective} is no licence whose terms are known here: have it reviewed."),
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
        **stated,
        "conflict": conflict,
        "flags": sorted(flag for flag, holds in said.items() if holds),
        "note": entry.licence_note,
    }
