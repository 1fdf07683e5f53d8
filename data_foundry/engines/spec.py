"""What an engine is: the rows it can use, the columns of its gold, its primary score, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_foundry.config import TrainingConfig
from data_foundry.records import AIEngine

Task = Literal[
    "speech-to-text", "audio-classification", "text-classification", "text-to-text", "text-to-codes"
]
Row = Mapping[str, Any]

# Every gold row starts with these: where it came from, under which licence, and which split group it belongs to.
LINEAGE_COLUMNS = (
    "row_id", "dataset", "revision", "source_file", "source_row", "source_split", "licence", "flags", "group",
)  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    """A condition on a silver row; `reason` is the snake_case code counted when a row does not meet it."""

    reason: str
    holds: Callable[[Row], bool]


@dataclass(frozen=True)
class EngineSpec:
    """One engine's contract.

    A silver row serves the engine when every requirement holds; `columns` are the silver columns its gold rows carry
    after the lineage columns; `label` names the target column. `score` defines the primary score, in 0..1 where 1 is
    best. `uses_audio` says that requirements need the audio column read; requirements themselves see `duration`
    instead of audio bytes (not None exactly when the row has audio).
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
    uses_audio: bool = False

    def why_not(self, row: Row) -> str | None:
        """Return the reason why a silver row can't serve this engine, or None when it can."""
        return next((need.reason for need in self.requirements if not need.holds(row)), None)

    @property
    def gold_columns(self) -> tuple[str, ...]:
        return (*LINEAGE_COLUMNS, *self.columns)


HAS_TEXT = Requirement("no_text", lambda row: bool(row["text"]))
HAS_AUDIO = Requirement("no_audio", lambda row: row["duration"] is not None)
