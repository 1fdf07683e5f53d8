"""The e-processes of `data_foundry.serving.trials.sequential`, for many streams at once in numpy.

The same bets by another way of computing them: a test holds both to the same wealth at every call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from data_foundry.serving.trials.sequential import FRACTIONS

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Wealths:
    """`EProcess` of many streams of the same length; wealth stands in units of 1, kept within about 1e-200..1e200."""

    def __init__(self, streams: int, *, restarts: bool) -> None:
        self.calls = 0
        self._restarts = restarts
        self._kept = 1.0
        self._shares = np.array(FRACTIONS)
        self._wealths = np.zeros((streams, len(FRACTIONS)))

    def bet(self, gains: Floats) -> Floats:
        """Bet on one value of each stream and return the wealths (streams,) after it."""
        self.calls += 1
        kept = 0.5 / np.log2(self.calls + 1) if self._restarts else 0.0
        self._wealths += (self._kept - kept) / len(FRACTIONS)
        self._kept = kept
        self._wealths *= 1 + self._shares * gains[:, None]
        if self.calls % 50 == 0:
            np.clip(self._wealths, 1e-200, 1e200, out=self._wealths)
        return self._wealths.sum(axis=1) + self._kept


class Crossings:
    """After how many values each stream's harm and safety first reached a threshold; 0 where they have not."""

    def __init__(
        self,
        streams: int,
        limits: tuple[float, float, float],
        thresholds: tuple[float, float],
        harm: Wealths | FollowingBets | None = None,
    ) -> None:
        self.low, self.limit, self.high = limits
        self.thresholds = thresholds
        self.harm = harm or Wealths(streams, restarts=True)
        self.safety = Wealths(streams, restarts=False)
        self.failed_after, self.passed_after = np.zeros(streams, int), np.zeros(streams, int)

    def add(self, values: Floats) -> None:
        """Count in a block (streams, values)."""
        values = np.clip(values, self.low, self.high)
        for column in values.T:
            harm = self.harm.bet((column - self.limit) / (self.limit - self.low))
            safety = self.safety.bet((self.limit - column) / (self.high - self.limit))
            self.failed_after[(self.failed_after == 0) & (harm >= self.thresholds[0])] = self.harm.calls
            self.passed_after[(self.passed_after == 0) & (safety >= self.thresholds[1])] = self.safety.calls


class FollowingBets:
    """One bet a call that follows what was seen, instead of a mixture of fixed ones: a way that was not taken.

    `way` "agrapa": the approximate Kelly share of the mean and variance so far; "ons": online Newton steps. Both as in
    Waudby-Smith and Ramdas (2024), appendix B, for gains of a range of about 2, truncated to 0..0.95 (a harm test).
    """

    def __init__(self, streams: int, way: str) -> None:
        self.calls = 0
        self._way = way
        self._logs, self._share = np.zeros(streams), np.zeros(streams)
        self._sum, self._squares = np.zeros(streams), np.ones(streams)

    def bet(self, gains: Floats) -> Floats:
        """Bet on one value of each stream and return the wealths (streams,) after it."""
        self.calls += 1
        self._logs += np.log1p(self._share * gains)
        if self._way == "agrapa":
            self._sum += gains
            mean = self._sum / (self.calls + 1)
            self._squares += (gains - mean) ** 2
            share = mean / (self._squares / (self.calls + 1) + mean**2)
        else:
            slope = gains / (1 + self._share * gains)
            self._squares += slope**2
            share = self._share + 2 / (2 - np.log(3)) * slope / self._squares
        self._share = np.clip(share, 0.0, 0.95)
        return np.exp(np.minimum(self._logs, 500.0))
