"""Paired bootstrap: one set of resamples of the speakers, by which every figure of an evaluation gets its interval.

Rows of one speaker are alike, so it is speakers that are drawn again, with all their rows (Bisani and Ney, 2004, and
Liu and Peng, 2020, on blocks); base and adapted are seen on the same draws, so that a difference has an interval too.

Resamples of few speakers vary less than new speakers would, so the sides of a percentile interval are stretched from
the normal quantile to Student's t of units - 1 degrees of freedom, times sqrt(units / (units - 1)), as the expanded
percentile interval does (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", The American Statistician
69(4)). Over 5, 10, 20 normal units 94.4, 94.5, 94.8 of 100 intervals held the truth (20,000
samples each); of the plain ones 83.5, 89.6, 92.7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_foundry.finetuning.evaluation.metrics import Comparison, Interval, Measure

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
FEWEST_SPEAKERS = 5
"""With fewer known speakers, resampling them says nothing; rows are resampled instead, and the report says so."""

_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Resampled:
    """A figure on all rows and on every resample of `units`; NaN on a resample where it is not defined."""

    value: float
    draws: np.ndarray
    units: int
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def interval(self) -> Interval:
        """The 95 % interval by percentiles of the resamples on which the figure is defined, stretched for few units."""
        import numpy as np

        defined = self.draws[np.isfinite(self.draws)]
        if not defined.size:
            return Interval(self.value, float("nan"), float("nan"))
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        found = stretched(Interval(self.value, float(low), float(high)), stretch(self.units))
        least, most = self.bounds
        return Interval(self.value, max(found.low, least), min(found.high, most))

    def __sub__(self, other: Resampled) -> Resampled:
        return Resampled(self.value - other.value, self.draws - other.draws, min(self.units, other.units))


class Bootstrap:
    """Resamples of rows in groups (one name a row): as many groups as there are, drawn with replacement.

    `units` is the number of groups. The draws depend on the groups' number and on the seed alone.
    """

    def __init__(self, groups: Sequence[str], over: str = "rows", *, seed: int = SEED) -> None:
        import numpy as np

        names, self.number = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
        self.units, self.over = len(names), over
        random = np.random.default_rng(seed)
        self._draws = np.stack(
            [
                np.bincount(random.integers(0, self.units, self.units), minlength=self.units).astype(np.uint16)
                for _ in range(RESAMPLES)
            ]
        )
        self._last: tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None] = (None, None, None)

    @classmethod
    def of_rows(cls, rows: Sequence[Any]) -> Bootstrap:
        """Return the bootstrap over the speakers of some rows, where they are known."""
        return cls(*bootstrap_groups(rows))

    def __call__(self, measure: Measure, among: np.ndarray | None = None) -> Resampled:
        """Return a measure's value and its resamples; `among` (a mask of rows) is the slice that it is taken over."""
        import numpy as np

        counts = measure.counts if among is None else measure.counts[among]
        units = self.units if among is None else len(np.unique(self.number[among]))
        draws = measure.value(self._sums(measure.counts, among))
        return Resampled(float(measure.value(counts.sum(0))), draws, units, measure.bounds)

    def compare(self, base: Measure, adapted: Measure, among: np.ndarray | None = None) -> Comparison:
        """Return both values and their difference, from the same resamples."""
        before, after = self(base, among), self(adapted, among)
        return Comparison(before.interval, after.interval, (after - before).interval)

    def _sums(self, counts: np.ndarray, among: np.ndarray | None) -> np.ndarray:
        """Return counts summed over the rows of every resample (resamples x counts)."""
        import numpy as np

        last_counts, last_among, last_sums = self._last
        if last_sums is not None and last_counts is counts and last_among is among:
            return last_sums
        by_group = np.zeros((self.units, counts.shape[1]))
        rows = slice(None) if among is None else among
        np.add.at(by_group, self.number[rows], counts[rows])
        parts = np.array_split(self._draws, max(1, self._draws.size // _AT_ONCE))
        sums = np.concatenate([part.astype(float) @ by_group for part in parts])
        self._last = (counts, among, sums)
        return sums


def stretch(units: int) -> float:
    """Return by how much each side of a percentile interval over `units` is stretched; 1 where nothing can be told."""
    from scipy.special import ndtri, stdtrit

    if units < 2:
        return 1.0
    upper = (1 + LEVEL) / 2
    return float(stdtrit(units - 1, upper) / ndtri(upper) * math.sqrt(units / (units - 1)))


def stretched(interval: Interval, factor: float) -> Interval:
    """Return an interval with each side that many times as far from the value, and never nearer than it was."""
    value = interval.value
    low, high = value - factor * (value - interval.low), value + factor * (interval.high - value)
    return Interval(value, min(low, interval.low), max(high, interval.high))


def bootstrap_groups(rows: Sequence[Any]) -> tuple[list[str], str]:
    """Return the group of every row for the bootstrap, and what the groups are: speakers where known, else rows."""
    own = [str(row.get("row_id") or place) for place, row in enumerate(rows)]
    speakers = speakers_of(rows)
    known = {speaker for speaker in speakers if speaker}
    if not known:
        return own, "rows"
    if len(known) < FEWEST_SPEAKERS:
        return own, f"rows (only {len(known)} speakers are known)"
    unknown = sum(not speaker for speaker in speakers)
    groups = [f"speaker {speaker}" if speaker else f"row {name}" for speaker, name in zip(speakers, own, strict=True)]
    return groups, f"{len(known)} speakers" + (f" and {unknown} rows of unknown speakers" if unknown else "")


def speakers_of(rows: Sequence[Any]) -> list[str | None]:
    """Return the speaker of every row, None where unknown; the same id in two datasets is two persons."""
    return [f"{row.get('dataset')} {row['speaker']}" if row.get("speaker") else None for row in rows]


def relative_reduction(base: Measure, adapted: Measure, bootstrap: Bootstrap) -> Interval | None:
    """Return how much of the base's error the adapter took away: (base - adapted) / base.

    On a resample where the base makes no error it is 0 if the adapted model makes none either, else below every bound.
    None where the base makes no error on all rows, or where the lower bound would be such a one.
    """
    import numpy as np

    before, after = bootstrap(base), bootstrap(adapted)
    if not before.value > 0:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.where(before.draws > 0, 1 - after.draws / before.draws, np.where(after.draws > 0, -np.inf, 0.0))
    bottomless = draws == -np.inf
    if bottomless.sum() > (1 - LEVEL) / 2 * (len(draws) - 1):
        return None
    # Below the quantile any value counts alike: the lowest of the others keeps the figures finite.
    draws[bottomless] = draws[~bottomless].min()
    return Resampled(1 - after.value / before.value, draws, min(before.units, after.units)).interval
