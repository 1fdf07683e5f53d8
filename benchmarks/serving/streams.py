"""Simulated pairs of calls, many rollouts at once: which side fails, how long it takes, how often it is wrong.

A scenario makes blocks of calls: which failed and how long they took, (2, rollouts, calls), incumbent first, and, for
every tenth call, the difference of losses, (rollouts, calls / 10).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
FEEDBACK_EVERY = 10
METRICS = ("errors", "latency", "quality")


@dataclass(frozen=True)
class Block:
    """Some calls of each rollout."""

    failed: Floats
    log_times: Floats
    losses: Floats

    def values(self, stall: float) -> dict[str, Floats]:
        """Return the paired differences (rollouts, calls) by metric.

        A call that both answered, one of them with a log ratio of times over `stall`, counts as failed for that one.
        """
        errors, latency = (side[1] - side[0] for side in (self.failed, self.log_times))
        stalled = (latency > stall).astype(float) - (latency < -stall)
        errors = np.where(self.failed.any(axis=0), errors, stalled)
        return dict(zip(METRICS, (errors, latency, self.losses), strict=True))


@dataclass(frozen=True)
class Scenario:
    """What the incumbent is like, and what the candidate adds to it.

    `error` is the incumbent's share of failed calls and `added_error` what the candidate has more; `ratio` multiplies
    its times, and those of `stalls` of its calls a hundredfold; `added_loss` is what it has more of losses. `loss` is
    the incumbent's; "labels" are 0 or 1 and agree but on discordant calls, "transcripts" differ by a noise with a
    spread of 0.15. `tail`: times are "lognormal" (sigma 0.3 a side) or "pareto" (index 1.2: no variance). `bursts`:
    None, "shared" (for `burst_calls` on average, `burst_share` of the time, both sides fail 20 % more of their calls
    and take five times as long), "own" (each side has its own, unknown to the other).
    """

    name: str
    error: float = 0.01
    added_error: float = 0.0
    ratio: float = 1.0
    stalls: float = 0.0
    loss: float = 0.1
    added_loss: float = 0.0
    losses: str = "labels"
    tail: str = "lognormal"
    bursts: str | None = None
    burst_calls: int = 50
    burst_share: float = 0.05

    def blocks(self, rng: np.random.Generator, rollouts: int, calls: int, block: int = 500) -> Iterator[Block]:
        """Yield blocks of as many calls each until there are `calls`."""
        bursts = [_Bursts(rng, rollouts, self.burst_calls, self.burst_share) for _ in range(2)]
        for _ in range(0, calls, block):
            shape = (2, rollouts, block)
            ill = np.zeros(shape, bool)
            if self.bursts == "shared":
                ill[:] = bursts[0].block(block)
            elif self.bursts == "own":
                ill[:] = [side.block(block) for side in bursts]
            chance = self.error + 0.2 * ill
            chance[1] += self.added_error
            failed = (rng.random(shape) < chance).astype(float)
            log_times = self._log_times(rng, shape) + np.log(5) * ill
            log_times[1] += np.log(self.ratio)
            if self.stalls:
                log_times[1] += np.log(100) * (rng.random(shape[1:]) < self.stalls)
            yield Block(failed, log_times, self._losses(rng, (rollouts, block // FEEDBACK_EVERY)))

    def _log_times(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        if self.tail == "pareto":
            return np.log1p(rng.pareto(1.2, shape))
        return rng.normal(0.0, 0.3, shape)

    def _losses(self, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        if self.losses == "transcripts":
            # A loss lies in 0..1: what is added to it moves the mean of the difference by just that.
            noise = rng.uniform(-0.26, 0.26, shape)
            return np.clip(noise + self.added_loss, -1.0, 1.0)
        # Half of the incumbent's wrong answers the candidate gives too; what it adds is wrong where it was right.
        drawn = rng.random(shape)
        alone = self.loss / 2
        return (drawn < alone + self.added_loss).astype(float) - (drawn > 1 - alone)


class _Bursts:
    """A chain of two states a rollout, which a burst enters and leaves by lot."""

    def __init__(self, rng: np.random.Generator, rollouts: int, calls: int, share: float) -> None:
        self._rng = rng
        self._ill = rng.random(rollouts) < share
        self._leave = 1 / calls
        self._enter = self._leave * share / (1 - share)

    def block(self, calls: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        states = np.empty((calls, len(self._ill)), bool)
        for call, chance in enumerate(self._rng.random((calls, len(self._ill)))):
            self._ill = np.where(self._ill, chance >= self._leave, chance < self._enter)
            states[call] = self._ill
        return states.T
