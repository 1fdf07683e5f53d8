"""A trial: one candidate against one incumbent at one stage, and the pairs of answers that it rests on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.lake import fingerprint

BASE = "base"
"""Stands for the version where no adapter answers: the base as it was published, or a head fitted on it, frozen."""

Source = Literal["live", "replay"]
"""Whether the calls were callers', or held-out rows replayed as calls: the latter promote nothing."""


@dataclass(frozen=True)
class Trial:
    """A candidate version of an adapter against the version that stands behind it.

    `stage` is the candidate's: in shadow the incumbent answers callers, in staging each its share, in production the
    candidate, and the incumbent is what it took the place of. `since` (UTC, ISO 8601) is when the candidate came to the
    stage, and `entry` the sequence of the registry's entry that says so: one that comes there again is tried anew, be
    it within the same second.
    """

    adapter: str
    candidate: str
    incumbent: str
    stage: Stage
    since: str
    source: Source = "live"
    entry: int = 0

    @cached_property
    def id(self) -> str:
        """The same in every gateway that looks at the same registry."""
        return fingerprint(asdict(self))[:16]


@dataclass(frozen=True)
class Side:
    """How one version did on one call: milliseconds of its model's work, and the error in place of an answer.

    The time that it waited for a processor is not in them. Neither a time nor an error: it could not be asked beside
    the other version, and the caller has its answer, or what counts is how the other one failed its caller.
    """

    milliseconds: float | None
    error: str | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse, with FoundryError, a time that is negative or not finite, and a confidence that is no share."""
        _within("A time in milliseconds", self.milliseconds, math.inf)
        _within("A confidence", self.confidence, 1.0)


@dataclass(frozen=True)
class Pair:
    """One call that both versions heard, in the same process, one after the other in an order drawn by lot.

    `call` is a keyed hash of the call's id. `disagreement` is in 0..1: the character error rate between two
    transcripts (at most 1), or 1 for two labels that differ; None where one of them did not answer.
    """

    trial: str
    call: str
    at: float
    incumbent: Side
    candidate: Side
    disagreement: float | None = None

    def __post_init__(self) -> None:
        """Refuse, with FoundryError, a moment that is not finite and a disagreement that is no share."""
        _within("A moment in Unix seconds", self.at, math.inf)
        _within("A disagreement", self.disagreement, 1.0)


@dataclass(frozen=True)
class Losses:
    """What feedback on one call says of both answers, each in 0..1, 0 for a right one."""

    trial: str
    call: str
    at: float
    incumbent: float
    candidate: float

    def __post_init__(self) -> None:
        """Refuse, with FoundryError, a moment that is not finite and a loss that is no share."""
        _within("A moment in Unix seconds", self.at, math.inf)
        for loss in (self.incumbent, self.candidate):
            _within("A loss", loss, 1.0)


def _within(what: str, value: float | None, most: float) -> None:
    """One value that is no number would spoil every mean after it, so none is let in."""
    if value is not None and not (0 <= value <= most and math.isfinite(value)):
        raise FoundryError(f"{what} can't be {value}.", "Count the call as an error of the version that gave it.")
