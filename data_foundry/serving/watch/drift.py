"""Drift: what callers bring and what is answered, held against the rows that a version was trained on.

Length, noise, share of Malayalam and the labels of the answers, over the last 24 hours, each in fixed buckets
(features.py), compared by how far they lie apart and by whether chance explains it (buckets.compare). A shift is told
with what to expect, because most are no fault: training heard people read aloud in quiet rooms, callers speak into
telephones. Therefore drift is shown and exported, and moves no version.

Whose rows: those of the version in production; where none is, of the one on its way there, or the one that answered
last. What a model answered (labels, transcripts and so their length) is counted of one model alone, the one that
answers, and judged only against its own training rows: against another's it would tell of the model, not of callers.

What it can't tell: whether the answers are worse (feedback and the trials can); a shift inside a bucket, or in what
none of these figures sees, such as new words, another dialect at the same loudness, or a label whose meaning moved; and
which caller it comes from, so that one who calls a thousand times counts as a thousand. The test takes calls for
independent and is done anew at each look: with many looks chance alone shows something at times, and therefore the size
of the shift (PSI) is asked for, too. Sound is measured of at most `CLIPS_A_SECOND` calls a second, and everything only
of calls that were answered: what was refused at the door or failed in the model is not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from data_foundry.engines.spec import Task
from data_foundry.serving.watch.buckets import compare
from data_foundry.serving.watch.features import FEATURES, Feature, features_of, is_of_answers

WINDOW_HOURS = 24
CLIPS_A_SECOND = 2.0


def drift(
    task: Task,
    shapes: Mapping[tuple[str, str], Counter[str]],
    answering: str,
    trained: str,
    reference: Mapping[str, Any] | None,
    why_none: str | None,
) -> list[dict[str, Any]]:
    """Return one entry per feature of a task's calls: verdict, figures, and both distributions.

    `shapes` counts calls by version and feature. What callers bring does not depend on who answers, so all versions'
    calls count; of what is answered, those of the version `answering`. `reference` is a `Reference` as JSON, of the
    rows that the version `trained` was trained on; without one every entry is "not_judged" for the reason `why_none`.
    """
    found = []
    for name in features_of(task):
        feature, of_answers = FEATURES[name], is_of_answers(name, task)
        live: Counter[str] = Counter()
        for (version, of), counts in shapes.items():
            if of == name and (not of_answers or version == answering):
                live.update(counts)
        rows = Counter(reference["shapes"].get(name, {})) if reference else Counter()
        if reference is None:
            judged = _not_judged(live, rows, f"no reference: {why_none}")
        elif of_answers and answering != trained:
            judged = _not_judged(live, rows, f"{answering} answered these; the training rows are those of {trained}")
        else:
            judged = compare(live, rows, feature.places)
        places = feature.places or tuple(sorted(live.keys() | rows.keys()))
        found.append(
            {
                "feature": name, "meaning": _meaning(feature, task), "unit": feature.unit,
                "expected": _expected(feature, task, answering),
                **judged,
                "answered_by": answering if of_answers else None,
                "edges": list(feature.edges) if feature.edges else None,
                "labels": None if feature.edges else list(places),
                "live": [live[place] for place in places],
                "reference": [rows[place] for place in places],
            }
        )  # fmt: skip
    return found


def _not_judged(live: Counter[str], rows: Counter[str], reason: str) -> dict[str, Any]:
    unknown = {"psi": None, "psi_by_chance": None, "p_value": None}
    return {"calls": live.total(), "rows": rows.total(), **unknown, "verdict": "not_judged", "reason": reason}


def _meaning(feature: Feature, task: Task) -> str:
    return f"{feature.meaning}, of transcripts" if _transcribed(feature, task) else feature.meaning


def _expected(feature: Feature, task: Task, answering: str) -> str:
    """Return what may lie behind a shift, and whose words it is told by where a model chose them."""
    if _transcribed(feature, task):
        return f"told by what {answering} wrote, not by what was said: {feature.transcribed}"
    if is_of_answers(feature.name, task):
        return f"told by what {answering} answered, right or wrong: {feature.expected}"
    return feature.expected


def _transcribed(feature: Feature, task: Task) -> bool:
    return bool(feature.transcribed) and is_of_answers(feature.name, task)


def worst(entries: list[dict[str, Any]]) -> str:
    """Return the verdict of an adapter: its most serious feature's."""
    said = [entry["verdict"] for entry in entries]
    return next((verdict for verdict in ("shifted", "drifting", "steady") if verdict in said), "not_judged")
