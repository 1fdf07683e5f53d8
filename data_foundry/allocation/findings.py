"""What gold's manifests say that a person should hear of: mismatches of intent and data, licences, leaks, gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from data_foundry.allocation.routing import NOT_REROUTED, mismatch, usage
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import AIEngine
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
    "published_as_held_out": "{count} texts without a target kept out of {engine}: they were published to test on.",
    NOT_REROUTED: "{count} rows kept out of {engine}: their declared engine can't use the dataset, and "
    "routing.on_mismatch is fail.",
    "duplicate": "{count} rows left out of {engine}: another row is the same example.",
}
# Leaving these out costs nothing that gold does not hold.
HARMLESS = frozenset({"duplicate"})
# A held-out side with less than this part of its share, and rejections of more than this part of the rows, are told.
SHORT_SIDE = 0.5
MANY_REJECTED = 0.1
LEAKS = ("leaks_into_test", "leaks_into_validation", "straddles_splits")


def dataset_findings(manifests: Iterable[Manifest], *, of_all: bool = True) -> dict[str, list[dict[str, Any]]]:
    """Return findings per dataset: intent that the rows can't meet, and what each engine refused for licence or leak.

    Every manifest holds the whole routing matrix; the intent is judged by the declared engine's, so once. `of_all`:
    these are all the manifests there are, so they tell what was done instead.
    """
    manifests = list(manifests)
    findings: dict[str, list[dict[str, Any]]] = {}
    for manifest in manifests:
        for dataset, line in manifest.details["routing"].items():
            own = findings.setdefault(dataset, [])
            usages = {m.name: usage(AIEngine(m.name), m.details, dataset) for m in manifests} if of_all else None
            unmet = mismatch(dataset, line, usages) if line["declared"] == manifest.name else None
            if unmet:
                own.insert(0, unmet)
            refused = Counter(manifest.details["rejected"].get(dataset, {}))
            own.extend(
                {
                    "kind": kind,
                    "severity": "info" if kind in HARMLESS else "warning",
                    "message": message.format(count=refused[kind], engine=manifest.name, licence=_licence(dataset)),
                    "count": refused[kind],
                    "examples": [],
                }
                for kind, message in MESSAGES.items()
                if refused[kind]
            )
    return {dataset: own for dataset, own in findings.items() if own}


def engine_findings(manifest: Manifest) -> list[dict[str, Any]]:
    """Return findings of one engine's gold: datasets without silver, sides without rows or short of them, what left
    for a leak, what was not heard on the phone, what is not verified."""
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
    findings += [*_short_sides(rows, certified["shares"]), *_leaks(manifest), *_without_phone(manifest)]
    changed = certified["changed"]
    if changed["rows"]:
        moves = ", ".join(f"{move} {count}" for move, count in changed["moves"].items())
        message = f"{changed['rows']} rows stand elsewhere than in the gold before: {moves}."
        findings.append(_finding("rows_changed_sides", "warning", message, changed["rows"], changed["examples"]))
    for kind, by_dataset in certified["not_verified"].items():
        if kind != "speaker" and not certified["disjoint_by"][kind]["rows_with_it"]:
            # Nobody expects a prompt or a document of every text; of a speech row a speaker.
            continue
        message = f"{kind}: unverified for {sum(by_dataset.values())} rows that have none."
        findings.append(_finding(f"{kind}_unverified", "info", message, sum(by_dataset.values()), sorted(by_dataset)))
    return findings


def _short_sides(rows: dict[str, int], shares: dict[str, Any]) -> list[dict[str, Any]]:
    labelled = sum(rows[split] for split in ("train", "validation", "test"))
    return [
        _finding(
            "split_short",
            "warning",
            f"{split} holds {rows[split]} of {labelled} rows, less than half the share of {shares[split]:g} it is to "
            "have: too few groups could go there.",
            rows[split],
            [],
        )
        for split in ("validation", "test")
        if 0 < rows[split] < SHORT_SIDE * shares[split] * labelled
    ]


def _leaks(manifest: Manifest) -> list[dict[str, Any]]:
    left = sum(manifest.rejected.get(reason, 0) for reason in LEAKS)
    could = left + manifest.rows_out
    if left <= MANY_REJECTED * could:
        return []
    message = f"{left} of {could} rows that could serve left so that nothing stands on two sides."
    return [_finding("many_rows_left", "warning", message, left, [])]


def _without_phone(manifest: Manifest) -> list[dict[str, Any]]:
    """Return what test rows, or others that were to be heard on the phone too, have no phone version."""
    findings = []
    for phone, silent in manifest.details["phone_without_audio"].items():
        clean = phone.removesuffix("_phone")
        if silent:
            severity = "info" if manifest.details["phone_rows"][phone] else "warning"
            message = f"{silent} rows of {clean} have no phone version: they have no audio."
            findings.append(_finding("without_phone_version", severity, message, silent, [phone]))
    return findings


def _finding(kind: str, severity: str, message: str, count: int, examples: list[str]) -> dict[str, Any]:
    return {"kind": kind, "severity": severity, "message": message, "count": count, "examples": examples}


def _licence(dataset: str) -> str:
    entry = DATASET_REGISTRY.get(dataset)
    return entry.licence if entry else "as the rows state it"
