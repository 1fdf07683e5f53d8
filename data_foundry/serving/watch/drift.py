"""Drift: what callers bring and what is answered, held against the rows that the answering version was trained on.

Length, noise, share of Malayalam and the labels of the answers, over the last 24 hours, each in fixed buckets
(features.py), compared by how far they lie apart and by whether chance explains it (buckets.compare). A shift is told
with what to expect, because most are no fault: training heard people read aloud in quiet rooms, callers speak into
telephones. Therefore drift is shown and exported, and moves no version.

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
from data_foundry.serving.watch.features import FEATURES, features_of

WINDOW_HOURS = 24
CLIPS_A_SECOND = 2.0


def drift(
    task: Task,
    shapes: Mapping[tuple[str, str], Counter[str]],
    answering: str,
    reference: Mapping[str, Any] | None,
    why_none: str | None,
) -> list[dict[str, Any]]:
    """Return one entry per feature of a task's calls: verdict, figures, and both distributions.

    `shapes` counts calls by version and feature. What callers bring does not depend on who answers, so all versions'
    calls count; labels are those of the version `answering`. `reference` is a `Reference` as JSON; without one every
    entry is "not_judged" for the reason `why_none`.
    """
    found = []
    for name in features_of(task):
        feature = FEATURES[name]
        live: Counter[str] = Counter()
        for (version, of), counts in shapes.items():
            if of == name and (name != "label" or version == answering):
                live.update(counts)
        trained = Counter(reference["shapes"].get(name, {})) if reference else Counter()
        if reference is None:
            judged: dict[str, Any] = {
                "calls": live.total(), "rows": 0, "psi": None, "psi_by_chance": None, "p_value": None,
                "verdict": "not_judged", "reason": f"no reference: {why_none}",
            }  # fmt: skip
        else:
            judged = compare(live, trained, feature.places)
        places = feature.places or tuple(sorted(live.keys() | trained.keys()))
        found.append(
            {
                "feature": name, "meaning": feature.meaning, "unit": feature.unit, "expected": feature.expected,
                **judged,
                "edges": list(feature.edges) if feature.edges else None,
                "labels": None if feature.edges else list(places),
                "live": [live[place] for place in places],
                "reference": [trained[place] for place in places],
            }
        )  # fmt: skip
    return found


def worst(entries: list[dict[str, Any]]) -> str:
    """Return the verdict of an adapter: its most serious feature's."""
    said = [entry["verdict"] for entry in entries]
    return next((verdict for verdict in ("shifted", "drifting", "steady") if verdict in said), "not_judged")
