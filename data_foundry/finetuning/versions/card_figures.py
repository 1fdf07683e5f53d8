"""The figures of a model card: base and adapted with intervals, the phone channel, slices and calibration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.figures import counted
from data_foundry.finetuning.versions.card_metadata import UNNORMALISED

KINDS = {
    "as_published": "of the model as published",
    "linear_probe": "of a linear probe: a head fitted on the frozen base with the same rows, because the base was "
    "published without one",
}


def measured(spec: EngineSpec, details: Mapping[str, Any]) -> str:
    """Return the headline figures on the held-out rows, and how they were taken."""
    evaluation = details["evaluation"]
    parts = [
        f"On {evaluation['rows']} held-out rows; both models on the same rows. Decoding: {evaluation['decoding']}. "
        f"Brackets: {evaluation['intervals']}.\nScorer: {evaluation['scorer']}. The base's figures are "
        f"{KINDS[details['base_kind']]}. `score` is: {spec.score}.",
        comparison(evaluation),
        relative_reduction(evaluation),
    ]
    if any(name.endswith("_raw") for name in evaluation["difference"]):
        left_out = evaluation["base"].get("raw_rows_left_out", 0)
        without = f"{counted(left_out, 'row')} whose text had to be rewritten for that left out" if left_out else ""
        masked = f"personal data is masked there{', ' if without else ''}{without}"
        parts.append(f"`_raw` is {UNNORMALISED}; {masked}. Punctuation and spelling count.")
    if any(name.endswith("vistaar_compat") for name in evaluation["difference"]):
        parts.append(
            "`vistaar_compat` counts as the Vistaar benchmark does, to be compared with figures published there and "
            "with nothing else here; its references are those of `_raw`, on these rows and not on Vistaar's test sets."
        )
    return "\n\n".join(part for part in parts if part)


def phone(details: Mapping[str, Any]) -> str:
    """Return the figures on the rows through the phone channel, empty where they were not measured."""
    found = details.get("phone")
    if not found:
        return ""
    parts = [f"On {found['rows']} rows. Brackets: {found['intervals']}.", comparison(found)]
    lost = found.get("clean_to_phone")
    if lost:
        rows = [
            (name, *(interval(part[which], "+.4f") for which in ("base", "adapted", "difference")))
            for name, part in lost["measures"].items()
        ]
        parts.append(f"What the phone channel changes, on the {lost['rows']} rows that were measured both ways:")
        parts.append(table(("metric", "base", "adapted", "adapted - base"), rows))
    parts.append(slices(found))
    return "\n\n".join(part for part in parts if part)


def speech(evaluation: Mapping[str, Any]) -> str:
    """Return what was understood of spoken texts, empty where nothing was heard."""
    found = evaluation.get("speech")
    if not found:
        return ""
    titles = {"base": "base", "adapted": "adapted", "difference": "change", "true_codes": "true codes"}
    rows = [
        (title, interval(found["cer"][name], "+.4f" if name == "difference" else ".4f"))
        for name, title in titles.items()
    ]
    return (
        f"The texts of {counted(found['rows'], 'held-out row')} spoken, decoded by `{found['codec']}` and transcribed "
        f"by `{found['transcriber']}`; what is lost of the true codes is lost by those two. Decoding: "
        f"{found['decoding']}. Brackets: {found['intervals']}. Scorer: {found['scorer']}.\n\n"
        f"{table(('of the codes of', 'CER'), rows)}\n\n{left_out(found)}"
    )


def left_out(speech: Mapping[str, Any]) -> str:
    """Return the sentence on rows whose speech is longer than the transcriber hears."""
    longer = speech["longer_than_window"]
    by = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in longer.items() if name != "rows")
    return (
        f"{counted(longer['rows'], 'row')} left out for speech longer than the transcriber's "
        f"{speech['window_seconds']:g} s (of {by})."
    )


def slices(evaluation: Mapping[str, Any]) -> str:
    """Return the score of every group of rows, and the gap between best and worst: the bias figure."""
    rows, gaps = [], []
    for dimension, found in (evaluation.get("slices") or {}).items():
        for name, group in found["groups"].items():
            speakers = "unknown" if group.get("speakers") is None else group["speakers"]
            values = (interval(group["base"]), interval(group["adapted"]), interval(group["difference"], "+.4f"))
            rows.append((dimension, name, group["rows"], speakers, *values))
        if gap := found.get("gap"):
            gaps.append(_gap(dimension, gap))
    if not rows:
        return ""
    figure = next((found.get("figure", "score") for found in evaluation["slices"].values()), "score")
    shown = table(("slice", "group", "rows", "speakers", f"base {figure}", f"adapted {figure}", "change"), rows)
    return "\n\n".join([shown, *gaps])


def calibration(evaluation: Mapping[str, Any]) -> str:
    """Return how far a classifier's confidence can be believed, empty where that was not measured."""
    found = evaluation.get("calibration")
    if not found:
        return ""
    titles = {"base": "base", "adapted": "adapted", "adapted_with_temperature": "adapted, with temperature"}
    rows = [
        (title, interval(found[name]["ece"]), interval(found[name]["brier"]))
        for name, title in titles.items()
        if found.get(name)
    ]
    value = found.get("temperature")
    temperature = "No temperature" if value is None else f"Temperature {value:.3f}"
    note = f"\n\n{temperature}: {found['temperature_note']}." if found.get("temperature_note") else ""
    return (
        "How far the confidence can be believed: expected calibration error and Brier score; less is better.\n\n"
        f"{table(('model', 'ECE', 'Brier'), rows)}{note}"
    )


def relative_reduction(evaluation: Mapping[str, Any]) -> str:
    """Return the sentence on how much of the base's error is gone, empty where nothing was recorded."""
    found = evaluation.get("relative_error_reduction")
    if not found:
        return ""
    if found["value"] is None:
        return f"Relative error reduction was not measured: {found.get('not_measured') or 'it is not defined'}."
    return (
        f"Relative error reduction, of {found['error']}: {percent(found['value'])} "
        f"[{percent(found['low'])}, {percent(found['high'])}]."
    )


def comparison(evaluation: Mapping[str, Any]) -> str:
    """Return base, adapted and change of every metric as a table."""
    base, adapted = evaluation["base"], evaluation["adapted"]
    rows = [
        (
            name,
            _bracketed(base[name], base["intervals"][name]),
            _bracketed(adapted[name], adapted["intervals"][name]),
            _bracketed(change["value"], change["interval"], "+.4f"),
        )
        for name, change in evaluation["difference"].items()
    ]
    return table(("metric", "base", "adapted", "change"), rows)


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table in Markdown; what would end a cell is escaped."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def interval(found: Mapping[str, float | None] | None, form: str = ".4f") -> str:
    """Return {"value", "low", "high"} as people read it."""
    if not found:
        return "not defined"
    return _bracketed(found["value"], [found["low"], found["high"]], form)


def percent(share: float | None) -> str:
    """Return a share in per cent, to one digit."""
    return "not defined" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def _gap(dimension: str, gap: Mapping[str, Any]) -> str:
    chance = gap.get("by_chance")
    told = "" if chance is None else f" By chance alone groups of these sizes differ by up to {chance:.4f} (95 %)."
    return (
        f"Gap by {dimension}, the bias figure: {interval(gap['adapted'])} between {gap['best']} (best) and "
        f"{gap['worst']} (worst); with the base {interval(gap['base'])}.{told}"
    )


def _bracketed(value: float | None, bounds: Sequence[float | None], form: str = ".4f") -> str:
    low, high = bounds
    if value is None or low is None or high is None:
        return "not defined"
    return f"{value:{form}} (no spread)" if low == high else f"{value:{form}} [{low:{form}}, {high:{form}}]"
