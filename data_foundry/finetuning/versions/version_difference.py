"""What two versions differ in: how they were made, on what, and what was measured, where that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_foundry.finetuning.versions.versions import VersionRecord
from data_foundry.training_config import JUDGING

NOT_MEASURED = "one of them was not measured"
OTHER_ROWS = "measured on other test rows: their figures don't say which is better"
OTHER_WAY = "measured on the same test rows in another way ({}): their figures don't say which is better"
SAME_ROWS = "measured on the same test rows in the same way"


def version_difference(one: VersionRecord, other: VersionRecord) -> dict[str, Any]:
    """Return what differs between two versions, JSON-like; what is equal in both is left out, but for the figures.

    Each changed value is [of one, of the other]. A metric says whether the two 95 % intervals overlap. Only figures on
    the same test rows, scored and decoded alike, can be compared; "comparable" and "why" say so for all of them.
    """
    first, second = one.details, other.details
    measured = changed(_measured(first), _measured(second))
    comparable, why = _comparable(first, second, measured)
    return {
        "versions": [one.name, other.name],
        "stages": [record.registered.stage.value if record.registered else None for record in (one, other)],
        "comparable": comparable,
        "why": why,
        "config": changed(_config(first), _config(second)),
        "judging": changed(_config(first, judging=True), _config(second, judging=True)),
        "base": changed(_base(first), _base(second)),
        "data": changed(_data(first), _data(second)),
        "rows": changed(first.get("rows", {}), second.get("rows", {})),
        "without_lineage": [record.name for record in (one, other) if not record.details.get("lineage")],
        "lineage": changed(_lineage(first), _lineage(second)),
        "measured": measured,
        "metrics": _metrics(first, second, comparable),
        "gates": changed(_gates(first), _gates(second)),
        "verdicts": [first.get("verdict"), second.get("verdict")],
    }


def changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return [of one, of other] for every key whose values differ; None where one lacks it."""
    keys = [*one, *(key for key in other if key not in one)]
    return {key: [one.get(key), other.get(key)] for key in keys if one.get(key) != other.get(key)}


def _measured(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return on what and how a version was measured."""
    evaluation = details.get("evaluation", {})
    return {name: evaluation.get(name) for name in ("row_ids_hash", "scorer", "decoding")}


def _comparable(first: Mapping[str, Any], second: Mapping[str, Any], measured: Mapping[str, Any]) -> tuple[bool, str]:
    if not (first.get("evaluation") and second.get("evaluation")):
        return False, NOT_MEASURED
    if "row_ids_hash" in measured:
        return False, OTHER_ROWS
    return not measured, OTHER_WAY.format(" and ".join(measured)) if measured else SAME_ROWS


def _metrics(first: Mapping[str, Any], second: Mapping[str, Any], comparable: bool) -> dict[str, dict[str, Any]]:
    """Return each metric that both have: value and interval of the adapted models, and whether the intervals overlap.

    Intervals that don't overlap tell two versions apart; ones that do leave it open: no paired figure is at hand.
    """
    found = {}
    measures = first.get("measures", {}), second.get("measures", {})
    for name in (name for name in measures[0] if name in measures[1]):
        one, other = (each[name]["adapted"] for each in measures)
        bounds = [one["low"], one["high"], other["low"], other["high"]]
        # A bound that is not a number has no place in an order.
        ordered = all(bound is not None and bound == bound for bound in bounds)
        overlap = one["low"] <= other["high"] and other["low"] <= one["high"] if ordered else None
        found[name] = {"values": [one, other], "overlap": overlap if comparable else None}
    return found


def _config(details: Mapping[str, Any], judging: bool = False) -> dict[str, Any]:
    """Return the settings that a version was trained by, or those that it was judged by and that its card quotes."""
    return {name: value for name, value in details.get("config", {}).items() if (name in JUDGING) is judging}


def _base(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: details.get(name) for name in ("base", "base_revision", "base_kind")}


def _data(details: Mapping[str, Any]) -> dict[str, str]:
    """Return rows, revision and licence by dataset; one that comes in two revisions or licences stands twice."""
    return {
        f"{source['dataset']}@{source['revision']} ({source['licence']})": source["rows"]
        for source in details.get("sources", ())
    }


def _lineage(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lineage flat: libraries by name, code and base by part."""
    flat: dict[str, Any] = {}
    for name, value in details.get("lineage", {}).items():
        if isinstance(value, Mapping):
            flat |= {f"{name} {part}": each for part, each in value.items()}
        elif name != "hash":
            flat[name] = value
    return flat


def _gates(details: Mapping[str, Any]) -> dict[str, str]:
    return {gate["gate"]: f"{gate['verdict']}: {gate['reason']}" for gate in details.get("gates", ())}
