"""Counts in fixed buckets: percentiles that come with their bounds, and two distributions held against each other.

The edges are constants, so that what several processes counted, at any time, can be added up.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

LATENCY_EDGES: tuple[float, ...] = tuple(round(2 ** (step / 3), 3) for step in range(49))
"""Milliseconds, 1 to 65,536, each a quarter more than the last; what took longer lies beyond."""

QUANTILES = (50, 95, 99)

NOTABLE, LARGE = 0.1, 0.25
"""The usual reading of a population stability index: under 0.1 the same, over 0.25 another population (Siddiqi 2006,
Credit Risk Scorecards). The index says how far apart two distributions are, not whether chance put them there."""
CHANCE = 0.001
"""A difference is told only where chance would make one as large less often than this."""
FEWEST_CALLS, FEWEST_ROWS = 100, 50
_FEWEST_EXPECTED = 5.0
"""Of a chi-square test: buckets that are expected to hold fewer are joined with their neighbours (Cochran 1954)."""


def bucket(value: float, edges: Sequence[float] = LATENCY_EDGES) -> int:
    """Return the place of a value: i for edges[i-1] < value <= edges[i], len(edges) beyond the last."""
    return bisect_left(edges, value)


def percentiles(counts: Mapping[int, int]) -> dict[str, dict[str, float | None] | None]:
    """Return p50, p95 and p99 by nearest rank of latencies in their buckets, as the bounds in ms that hold each.

    {"above": a, "at_most": b}: the measured value lay in there; `at_most` None beyond the last edge. None: no calls.
    """
    total = sum(counts.values())
    found: dict[str, dict[str, float | None] | None] = {}
    for quantile in QUANTILES:
        rank, seen = math.ceil(quantile / 100 * total), 0
        found[f"p{quantile}"] = None
        for place in sorted(counts):
            seen += counts[place]
            if seen >= rank > 0:
                below = LATENCY_EDGES[place - 1] if place else 0.0
                upto = LATENCY_EDGES[place] if place < len(LATENCY_EDGES) else None
                found[f"p{quantile}"] = {"above": below, "at_most": upto}
                break
    return found


def compare(live: Mapping[str, int], reference: Mapping[str, int], order: Sequence[str] | None) -> dict[str, Any]:
    """Hold live counts against those of training: how far apart (PSI), and whether chance explains it (chi-square).

    `order` lists the buckets from low to high, neighbours are joined where few are expected; None: they are labels,
    and the rare ones are joined. "psi_by_chance" is what the index comes to on average where nothing differs, from the
    two sample sizes alone. "verdict" is "shifted" (PSI from 0.25), "drifting" (from 0.1), both only where the test
    agrees, "steady", or "not_judged" with a reason.
    """
    calls, rows = sum(live.values()), sum(reference.values())
    found: dict[str, Any] = {"calls": calls, "rows": rows, "psi": None, "psi_by_chance": None, "p_value": None}
    if rows < FEWEST_ROWS:
        return {**found, "verdict": "not_judged", "reason": f"{rows} training rows, fewer than {FEWEST_ROWS}"}
    if calls < FEWEST_CALLS:
        return {**found, "verdict": "not_judged", "reason": f"{calls} calls, fewer than {FEWEST_CALLS}"}
    pairs = _joined(live, reference, order)
    if len(pairs) < 2:
        # Everything lies in one bucket on both sides, but for what is too rare to count.
        return {**found, "psi": 0.0, "psi_by_chance": 0.0, "p_value": 1.0, "verdict": "steady", "reason": "one bucket"}
    found["psi"] = round(_stability_index(pairs), 4)
    found["psi_by_chance"] = round((len(pairs) - 1) * (1 / calls + 1 / rows), 4)
    found["p_value"] = _chi_square(pairs)
    if found["p_value"] >= CHANCE:
        return {**found, "verdict": "steady", "reason": "chance explains the difference"}
    said = "shifted" if found["psi"] >= LARGE else "drifting" if found["psi"] >= NOTABLE else "steady"
    reason = "a difference, but a small one" if said == "steady" else "more than chance explains"
    return {**found, "verdict": said, "reason": reason}


def _joined(
    live: Mapping[str, int], reference: Mapping[str, int], order: Sequence[str] | None
) -> list[tuple[int, int]]:
    """Return (live, reference) counts of buckets joined until each is expected to hold enough on both sides."""
    calls, rows = sum(live.values()), sum(reference.values())
    fewest = min(calls, rows) / (calls + rows)
    together = Counter(live) + Counter(reference)
    names = order if order is not None else [name for name, _ in sorted(together.items(), key=lambda n: (-n[1], n[0]))]
    joined: list[tuple[int, int]] = []
    here = [0, 0]
    for name in names:
        here[0] += live.get(name, 0)
        here[1] += reference.get(name, 0)
        if sum(here) * fewest >= _FEWEST_EXPECTED:
            joined.append((here[0], here[1]))
            here = [0, 0]
    if sum(here):
        last = joined.pop() if joined else (0, 0)
        joined.append((last[0] + here[0], last[1] + here[1]))
    return joined


def _stability_index(pairs: Sequence[tuple[int, int]]) -> float:
    """Return the population stability index; half a count is added everywhere, so that an empty bucket has a figure."""
    calls, rows = (sum(side) + len(pairs) / 2 for side in zip(*pairs, strict=True))
    shares = [((heard + 0.5) / calls, (trained + 0.5) / rows) for heard, trained in pairs]
    return sum((heard - trained) * math.log(heard / trained) for heard, trained in shares)


def _chi_square(pairs: Sequence[tuple[int, int]]) -> float:
    """Return the p-value of Pearson's chi-square test that both sides were drawn from one distribution."""
    from scipy.special import chdtrc

    calls, rows = (sum(side) for side in zip(*pairs, strict=True))
    statistic = 0.0
    for heard, trained in pairs:
        for count, total in ((heard, calls), (trained, rows)):
            expected = (heard + trained) * total / (calls + rows)
            statistic += (count - expected) ** 2 / expected
    return float(chdtrc(len(pairs) - 1, statistic))
