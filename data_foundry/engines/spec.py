"""What an engine is: the rows it can use, the columns of its gold, its primary score, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_foundry.config import TrainingConfig
from data_foundry.records import AIEngine

Task = Literal["speech-to-text", "audio-classification", "text-classification", "text-to-text", "text-to-codes"]
Row = Mapping[str, Any]

# Every gold row starts with these: where it came from, under which licence, and which split group it belongs to.
LINEAGE_COLUMNS = (
    "row_id", "dataset", "revision", "source_file", "source_row", "source_split", "licence", "flags", "group",
)  # fmt: skip

# What links rows that hold speech; engines that share audio share these.
SPEECH_LINKS = ("speaker", "recording", "audio", "text")


@dataclass(frozen=True)
class Requirement:
    """A condition on a silver row; `reason` is the snake_case code counted when a row does not meet it."""

    reason: str
    holds: Callable[[Row], bool]


@dataclass(frozen=True)
class EngineSpec:
    """One engine's contract.

    A silver row serves the engine when every requirement holds of it as the engine sees it (`derive`); `columns` are
    the columns its gold rows carry after the lineage columns; `label` names the target column. `score` defines the
    primary score, in 0..1 where 1 is best. `uses_audio`: engines with it share their audio rows, and so one split.
    Requirements see `duration` instead of audio bytes (not None exactly when the row has audio).
    `links` name what may not stand on two sides of a split (see allocation.links). `identity`: two rows with the same
    values there are one example twice ("audio" and "codes" by content). `stratum`: the column whose values every split
    should hold. `derive` returns values laid over a silver row before it is judged and projected; the columns in
    `derived` come from it.
    """

    engine: AIEngine
    title: str
    task: Task
    requirements: tuple[Requirement, ...]
    columns: tuple[str, ...]
    label: str
    primary_metric: str
    score: str
    training: TrainingConfig
    identity: tuple[str, ...]
    links: tuple[str, ...] = ("recording", "text")
    stratum: str | None = None
    derive: Callable[[Row], Row] | None = None
    derived: tuple[str, ...] = ()
    uses_audio: bool = False

    def view(self, row: Row) -> Row:
        """Return a silver row as this engine sees it, with what it derives laid over."""
        return {**row, **self.derive(row)} if self.derive else row

    def unmet(self, row: Row) -> list[str]:
        """Return the reasons of all requirements that a silver row does not meet, in the order they are stated."""
        seen = self.view(row)
        return [need.reason for need in self.requirements if not need.holds(seen)]

    def why_not(self, row: Row) -> str | None:
        """Return the first reason why a silver row can't serve this engine, or None when it can."""
        return next(iter(self.unmet(row)), None)

    @property
    def gold_columns(self) -> tuple[str, ...]:
        return (*LINEAGE_COLUMNS, *self.columns)


HAS_TEXT = Requirement("no_text", lambda row: bool(row["text"]))
HAS_AUDIO = Requirement("no_audio", lambda row: row["duration"] is not None)
# Masked text beside speech that still says the number would teach a model to hear what was not said, or to say it.
SAYS_WHAT_IT_SAYS = Requirement("personal_data_in_audio", lambda row: "personal_data_in_audio" not in row["flags"])
