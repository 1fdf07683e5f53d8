"""A call as the gateway sees it: the answer a caller gets, and why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_foundry.errors import FoundryError

Row = Mapping[str, Any]
"""What a model reads of a call, by the columns of its engine's gold: "text", "audio" {"bytes"}, "direction", ..."""


@dataclass(frozen=True)
class Answer:
    """What a caller gets: one version's output, and how long the model worked on it.

    `version` is the adapter's version, or "base". `fallback` names the version that should have answered and did not.
    """

    call_id: str
    adapter: str
    version: str
    output: Any
    confidence: float | None
    milliseconds: float
    classes: Mapping[str, float] = field(default_factory=dict)
    fallback: str | None = None


class NotServed(FoundryError):
    """No version answers for an adapter, and why."""


class Overloaded(FoundryError):
    """More calls wait than may; the caller should come again."""


class TimedOut(FoundryError):
    """A call was not answered in time."""
