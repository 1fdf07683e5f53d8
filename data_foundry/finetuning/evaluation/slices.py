"""Slices: the score of base and adapted in every group of rows, and the gap between the best and the worst group.

The gap is the figure that bias is watched by. The best of several groups is picked from the figures that it is then
measured with, so the gap of groups that are all alike is above 0 too. Two things are done about it: the interval is of
the difference between the two groups that were picked, and beside it stands `by_chance`, the gap that 95 of 100 random
regroupings of the same speakers into groups of the same sizes stay below. A gap under that shows no bias.

Groups too small to be judged are judged together, in a pool of their dimension, which is listed beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_foundry.figures import counted
from data_foundry.finetuning.evaluation.bootstrap import FEWEST_SPEAKERS, LEVEL, SEED, Bootstrap, Resampled, speakers_of
from data_foundry.finetuning.evaluation.metrics import Interval, Measure
from data_foundry.finetuning.evaluation.scorers import rounded
from data_foundry.finetuning.tasks.task import Row

if TYPE_CHECKING:
    import numpy as np

FEWEST_ROWS = 20
"""A group of fewer rows is listed, but is neither the best nor the worst."""
UNKNOWN = "unknown"
PERSONS = ("dialect", "gender", "district")
"""The dimensions that tell people apart; where they are unknown, no slice says whom an adapter serves worse."""
LENGTH = "length"
REGROUPINGS = 200
CODE_MIXED_FLAGS = frozenset({"code_mixed", "romanised"})


def _named(column: str) -> Callable[[Row], str | None]:
    return lambda row: row.get(column)


def _code_mixed(row: Row) -> str | None:
    mixed = row.get("code_mixed")
    if mixed is None and row.get("flags") is not None:
        mixed = not CODE_MIXED_FLAGS.isdisjoint(row["flags"])
    return None if mixed is None else "code-mixed" if mixed else "not code-mixed"


def _of_channel(part: str, name: str) -> Callable[[Row], Any]:
    """Return what a phone row's channel_parameters say under a part (channel or applied) and a name."""
    return lambda row: json.loads(row["channel_parameters"])[part][name] if row.get("channel_parameters") else None


def _snr(row: Row) -> str | None:
    if not row.get("channel_parameters"):
        return None
    ratio = _of_channel("applied", "snr_db")(row)
    return "no noise" if ratio is None else "under 15 dB" if ratio < 15 else "15-20 dB" if ratio < 20 else "from 20 dB"


def _packet_loss(row: Row) -> str | None:
    if not row.get("channel_parameters"):
        return None
    lost = _of_channel("applied", "lost_frames")(row) / max(1, _of_channel("applied", "frames")(row))
    return "none" if not lost else "under 2 %" if lost < 0.02 else "from 2 %"


# What rows are grouped by, and the column whose presence says that they can be.
DIMENSIONS: dict[str, tuple[str, Callable[[Row], str | None]]] = {
    **{name: (name, _named(name)) for name in (*PERSONS, "channel", "dataset", "direction")},
    "code_mixed": ("flags", _code_mixed),
}
PHONE_DIMENSIONS: dict[str, tuple[str, Callable[[Row], str | None]]] = {
    "codec": ("channel_parameters", _of_channel("channel", "codec")),
    "noise": ("channel_parameters", _of_channel("channel", "noise")),
    "snr": ("channel_parameters", _snr),
    "packet_loss": ("channel_parameters", _packet_loss),
}


def slices(
    rows: Sequence[Row],
    base: Measure,
    adapted: Measure,
    bootstrap: Bootstrap,
    *,
    label: str = "",
    figure: str = "score",
    length: Callable[[Row], float | None] | None = None,
    unit: str = "characters",
    least: int = FEWEST_ROWS,
    least_speakers: int = FEWEST_SPEAKERS,
) -> dict[str, dict[str, Any]]:
    """Return groups and gap of every dimension that the rows have.

    `base` and `adapted` are the figures on these rows, in their order, and `bootstrap` that of all of them; `figure`
    names what they are. Each dimension is {"figure", "groups": {name: {"rows", "speakers", "base", "adapted",
    "difference", ...}}, "gap", "not_measured"}. A group's interval is over speakers where it has at least
    FEWEST_SPEAKERS of them, else over rows, which it says. Known groups of fewer than `least` rows, or of known
    speakers fewer than `least_speakers`, are "pooled": the group "others (3 groups)" holds the rows of all of them.
    `label` is the column that the engine predicts: no dimension of its slices. `length` is how long a row's input is,
    in `unit`: the thirds of the rows by it are a dimension too.
    """
    wanted = dict(DIMENSIONS)
    if any(row.get("channel_parameters") for row in rows):
        wanted |= PHONE_DIMENSIONS
    by_row = Bootstrap([str(place) for place in range(len(rows))])
    found: dict[str, list[str]] = {}
    for dimension, (column, group_of) in wanted.items():
        if dimension != label and any(column in row for row in rows):
            found[dimension] = [str(name) if (name := group_of(row)) else UNKNOWN for row in rows]
    if length and any(length(row) is not None for row in rows):
        found[LENGTH] = [name or UNKNOWN for name in thirds([length(row) for row in rows], unit)]
    return {
        dimension: {"figure": figure}
        | _dimension(rows, names, base, adapted, bootstrap, by_row, least=least, least_speakers=least_speakers)
        for dimension, names in found.items()
    }


def thirds(values: Sequence[float | None], unit: str) -> list[str | None]:
    """Return for every value whether it is of the short, the medium or the long third; equal values stay together."""
    known = sorted(value for value in values if value is not None)
    short, medium = (known[max(0, math.ceil(len(known) * part / 3) - 1)] for part in (1, 2)) if known else (0, 0)
    names = (f"short (up to {short:g} {unit})", f"medium (up to {medium:g} {unit})", f"long (over {medium:g} {unit})")
    return [None if each is None else names[(each > short) + (each > medium)] for each in values]


def too_small(rows: int, speakers: int | None, least: int, least_speakers: int) -> str | None:
    """Return what a set of rows lacks to be judged, or None; `speakers` is None where none is known."""
    if rows < least:
        return counted(rows, "row")
    if speakers is not None and speakers < least_speakers:
        return counted(speakers, "speaker")
    return None


def _dimension(
    rows: Sequence[Row],
    names: Sequence[str],
    base: Measure,
    adapted: Measure,
    over_all: Bootstrap,
    by_row: Bootstrap,
    *,
    least: int,
    least_speakers: int,
) -> dict[str, Any]:
    import numpy as np

    place = np.array(names, dtype=object)
    speakers = np.array(speakers_of(rows), dtype=object)
    groups: dict[str, dict[str, Any]] = {}
    scores: dict[str, tuple[Resampled, Resampled]] = {}

    def measure(name: str, among: np.ndarray, *, known_group: bool) -> None:
        known = {speaker for speaker in speakers[among] if speaker}
        units = len(set(over_all.number[among]))
        bootstrap = over_all if units >= FEWEST_SPEAKERS else by_row
        before, after = bootstrap(base, among), bootstrap(adapted, among)
        count = int(among.sum())
        groups[name] = {
            "rows": count,
            "speakers": len(known) or None,
            "base": interval_json(before.interval),
            "adapted": interval_json(after.interval),
            "difference": interval_json((after - before).interval),
            "resampled_over": "rows" if bootstrap is by_row or over_all.over.startswith("rows") else "speakers",
            "units": units if bootstrap is over_all else count,
            "ranked": known_group and count >= FEWEST_ROWS and after.value == after.value,
            "pooled": known_group and bool(too_small(count, len(known) or None, least, least_speakers)),
        }
        if groups[name]["ranked"]:
            scores[name] = before, after

    for name in sorted(set(names), key=lambda one: (one == UNKNOWN, one)):
        measure(name, place == name, known_group=name != UNKNOWN)
    gap, why_not = None, _why_no_gap(groups, len(scores))
    if why_not is None:
        order = sorted(scores, key=lambda name: (scores[name][1].value, name))
        worst, best = order[0], order[-1]
        gap = {
            "best": best,
            "worst": worst,
            "base": interval_json((scores[best][0] - scores[worst][0]).interval),
            "adapted": interval_json((scores[best][1] - scores[worst][1]).interval),
            "by_chance": rounded(_gap_by_chance(adapted, place, sorted(scores), speakers)),
        }
    pooled = [name for name, group in groups.items() if group["pooled"]]
    if len(pooled) > 1:
        pool = f"others ({len(pooled)} groups)"
        measure(pool, np.isin(place.astype(str), pooled), known_group=False)
        groups[pool]["pool_of"] = pooled
    else:
        # One small group alone is its own rest.
        for name in pooled:
            groups[name]["pooled"] = False
    return {"groups": groups, "gap": gap, "not_measured": why_not}


def _why_no_gap(groups: Mapping[str, Any], ranked: int) -> str | None:
    if ranked > 1:
        return None
    named = len(groups) - (UNKNOWN in groups)
    if not named:
        return "no row says"
    if named == 1:
        return "all rows that say are of one group"
    return f"fewer than two groups have {FEWEST_ROWS} rows"


def _gap_by_chance(score: Measure, names: np.ndarray, ranked: Sequence[str], speakers: np.ndarray) -> float:
    """Return the 95 % quantile of best - worst over random regroupings of whole speakers (rows where unknown)."""
    import numpy as np

    among = np.isin(names.astype(str), list(ranked))
    voices = [speaker or f"row {place}" for place, speaker in enumerate(speakers)]
    # What one speaker said in one group stays together.
    cells, cell = np.unique(
        np.array([f"{name}\n{voice}" for name, voice in zip(names[among], np.array(voices)[among], strict=True)]),
        return_inverse=True,
    )
    sums = np.zeros((len(cells), score.counts.shape[1]))
    np.add.at(sums, cell, score.counts[among])
    group = np.array([list(ranked).index(name.partition("\n")[0]) for name in cells])
    random = np.random.default_rng(SEED)
    gaps = []
    for _ in range(REGROUPINGS):
        inside = random.permutation(group) == np.arange(len(ranked))[:, None]
        values = score.value(inside.astype(float) @ sums)
        gaps.append(np.nanmax(values) - np.nanmin(values))
    return float(np.quantile(gaps, LEVEL))


def interval_json(interval: Interval) -> dict[str, float | None]:
    """Return an interval as it is stored."""
    return {name: rounded(getattr(interval, name)) for name in ("value", "low", "high")}
