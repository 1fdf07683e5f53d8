"""Sequential tests of a bounded mean by betting, valid at every look, for streams that are looked at after each call.

Whoever doubts a claim about a mean bets against it, at odds that are fair if the claim holds. Then the bettor's wealth,
which starts at 1, is a nonnegative supermartingale, and by Ville's inequality it ever reaches 1/alpha with a chance of
at most alpha: wealth that did is evidence, however often one looks and whenever one stops. (Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", JRSS B 2024; Ville 1939.)

What is claimed, and all that is assumed, is about the next value given everything before it: its conditional mean is at
most (or at least) the limit, each time. Values need not be independent, nor alike, nor of any shape but bounded. A run
of calls in which the candidate alone does worse, as its own past foretells, is no chance event under that claim and
counts as harm, though the mean over a year may be within the limit.

Bets are fixed shares of the wealth, spread over FRACTIONS, so none depends on the value that it is laid on. Wealth is
rescaled as it grows: ten million calls neither overflow nor underflow. One value costs a fixed number of operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from data_foundry.errors import FoundryError

FRACTIONS = (0.95, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
"""Shares of the wealth that are laid on a value, an eighth of it each: large ones find great harm within a dozen calls,
small ones a slight excess in a noisy stream. Whichever is best, the mixture has an eighth of what it would have won.
Chosen by simulation (benchmarks/serving), also against bets that follow what was seen so far."""
CELLS = 400
"""Into how many cells of equal width a sample's range is cut for its confidence sequence."""
_HALVINGS = 40


class EProcess:
    """The wealth of who bets against a claim, `log_e` its natural logarithm.

    With `restarts` half of it is laid out at the first call, and the other half in parts at every later one, each of
    which bets from there on (a mixture over when the claim ceased to hold; Shin, Ramdas and Rinaldo, "E-detectors",
    2024). So what was good for a million calls, and lost the first half's bets, is still found within a bounded number
    of calls once it fails. After t calls 1 / (2 log2(t + 1)) is not yet laid out. The whole is a mixture of
    supermartingales, thus one.
    """

    def __init__(self, *, restarts: bool) -> None:
        self.count = 0
        self._restarts = restarts
        self._kept = 1.0
        # What each fraction bets with, in units of exp(_scale).
        self._wealths = [0.0] * len(FRACTIONS)
        self._scale = 0.0

    def bet(self, gain: float) -> None:
        """Bet on the next value: a stake returns 1 + gain times itself; `gain` >= -1, of mean <= 0 by the claim."""
        if not -1 <= gain < math.inf:
            raise FoundryError(f"A bet can't gain {gain}.", "Give a finite gain of at least -1.")
        self.count += 1
        kept = 0.5 / math.log2(self.count + 1) if self._restarts else 0.0
        laid = self._scaled(self._kept - kept) / len(FRACTIONS)
        self._kept = kept
        wealths = [(wealth + laid) * (1 + share * gain) for share, wealth in zip(FRACTIONS, self._wealths, strict=True)]
        largest = max(wealths)
        if not 1e-100 < largest < 1e100:
            wealths = [wealth / largest for wealth in wealths]
            self._scale += math.log(largest)
        self._wealths = wealths

    @property
    def log_e(self) -> float:
        """The natural logarithm of the wealth now: of the e-value against the claim."""
        return self._scale + math.log(math.fsum(self._wealths) + self._scaled(self._kept))

    def _scaled(self, wealth: float) -> float:
        # Without restarts nothing is left to lay out once the scale may have sunk to where exp would overflow.
        return wealth * math.exp(-self._scale) if wealth else 0.0


class Sample:
    """The values of a bounded stream so far: how many, their mean, and its confidence sequence."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.count = 0
        self.total = 0.0
        self._at_least = [0] * (CELLS + 1)
        self._at_most = [0] * (CELLS + 1)

    def add(self, value: float) -> None:
        """Count one value in; FoundryError for one that is not within the bounds, or not a number."""
        if not self.low <= value <= self.high:
            raise FoundryError(f"{value} is not within {self.low}..{self.high}.", "Measure it again, or leave it out.")
        self.count += 1
        self.total += value
        place = (value - self.low) * CELLS / (self.high - self.low)
        self._at_least[math.floor(place)] += 1
        self._at_most[min(math.ceil(place), CELLS)] += 1

    @property
    def mean(self) -> float | None:
        """The mean, or None before the first value."""
        return self.total / self.count if self.count else None

    def confidence_sequence(self, alpha: float) -> tuple[float, float]:
        """Return (lower, upper) between which the mean lies at every look together, with a chance of 1 - alpha.

        That is each mean against which the same bets have won less than 2/alpha (without restarts); values count as
        the edge of their cell that widens it. For values whose conditional mean moves, it bounds no single number: it
        tells what the bets from the start say of a constant one.
        """
        lower = self.low + _least_mean(self._at_least, self.high - self.low, 2 / alpha)
        upper = self.high - _least_mean(self._at_most[::-1], self.high - self.low, 2 / alpha)
        return lower, upper


class LimitTest:
    """Is the mean of a bounded stream over a limit (harm), or under it (safety)? Both are asked at every value.

    `harm` bets against "each value's conditional mean is at most the limit", `safety` against "at least the limit". One
    limit serves both: no mean is harmful and safe, and one that is near it is neither for long. Harm may begin at any
    call and stays found (`failed_after`: how many values it took); safety is owed from the first call on.
    """

    def __init__(self, low: float, high: float, limit: float, harm_threshold: float) -> None:
        if not low < limit < high:
            raise FoundryError(f"A limit of {limit} lies not between {low} and {high}.", "Choose one that does.")
        self.limit = limit
        self.harm_threshold = harm_threshold
        self.sample = Sample(low, high)
        self.harm = EProcess(restarts=True)
        self.safety = EProcess(restarts=False)
        self.failed_after: int | None = None

    def add(self, value: float) -> None:
        """Count one value in, by bets that were laid before it was known."""
        self.sample.add(value)
        self.harm.bet((value - self.limit) / (self.limit - self.sample.low))
        self.safety.bet((self.limit - value) / (self.sample.high - self.limit))
        if self.failed_after is None and self.harm.log_e >= math.log(self.harm_threshold):
            self.failed_after = self.sample.count


def _least_mean(counts: Sequence[int], width: float, threshold: float) -> float:
    """Return the smallest mean in 0..width that bets on higher values have not won the threshold against.

    `counts` are of values in equal steps from 0 to the width. A bet of share f on a value x against the mean m
    multiplies by 1 + f (x - m) / m, which falls as m grows, so there is one such mean, and it is at most the sample's.
    """
    import numpy as np

    counted = np.array(counts)
    (places,) = counted.nonzero()
    times, values = counted[places], places * width / CELLS
    shares = np.array(FRACTIONS)[:, None]
    below, above = 0.0, width
    for _ in range(_HALVINGS):
        mean = (below + above) / 2
        logs = np.log1p(shares * (values - mean) / mean) @ times
        if np.logaddexp.reduce(logs) >= math.log(threshold * len(FRACTIONS)):
            below = mean
        else:
            above = mean
    return below
