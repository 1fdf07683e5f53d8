"""What a content rule is: its name, where its knowledge comes from, examples on both sides, and measured figures."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

_Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class Measured:
    """How a rule did on the clean and the planted lines of `benchmarks/content`.

    Clean lines are what our own generators write, with the numbers, dates and names that could be mistaken; planted
    lines hold one thing each that the rule is for. The same people wrote rules and lines, so the recall is an upper
    bound, and a false positive that nobody thought of is not in it.
    """

    clean: int
    false_positives: int
    planted: int
    found: int

    @property
    def false_positives_per_10k(self) -> float:
        """Upper end of the 95 % Wilson interval of false positives among 10,000 clean lines."""
        return 10_000 * wilson(self.false_positives, self.clean)[1]

    @property
    def precision(self) -> float:
        """Share of flags that are right on the clean and the planted lines together."""
        flagged = self.found + self.false_positives
        return self.found / flagged if flagged else 0.0

    @property
    def recall(self) -> float:
        return self.found / self.planted if self.planted else 0.0


@dataclass(frozen=True, slots=True)
class ContentRule:
    """One content rule.

    `group` is "personal_data", "abuse" or "prompts". `finds` are texts that it flags, `passes` texts that look
    like it and that no rule flags. `placeholder` stands where personal data stood. `limits` says what it can't do.
    """

    name: str
    group: str
    source: str
    finds: tuple[str, ...]
    passes: tuple[str, ...]
    measured: Measured
    placeholder: str = ""
    limits: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found: characters `start` to `end` of the text; `evidence` repeats nothing of it."""

    rule: str
    start: int
    end: int
    evidence: str


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share (Wilson 1927); (0, 1) of no trials."""
    if trials == 0:
        return 0.0, 1.0
    share, square = hits / trials, _Z * _Z
    centre = share + square / (2 * trials)
    spread = _Z * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
