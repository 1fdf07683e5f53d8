"""What an engine is: the rows it can use, the columns of its gold, its primary score, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_foundry.records import AIEngine
from data_foundry.training_config import Task, TrainingConfig

Kind = Literal["string", "bool", "float64"]
Row = Mapping[str, Any]

# What the split gives a gold row: the group it belongs to, and how much it should count in training (1.0 on average).
SPLIT_COLUMNS: Mapping[str, Kind] = {"group": "string", "sampling_weight": "float64"}

# Every gold row starts with these: where it came from, under which licence, what ties it to others, and its weight.
LINEAGE_COLUMNS = (
    "row_id", "dataset", "revision", "source_file", "source_row", "source_split", "licence", "flags", "prompt",
    "document", *SPLIT_COLUMNS,
)  # fmt: skip

# What links rows of text, and rows that hold speech; engines that share audio share the latter.
TEXT_LINKS = ("recording", "document", "prompt", "text", "near_text")
SPEECH_LINKS = ("speaker", "audio", "near_audio", *TEXT_LINKS)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition on a silver row; `reason` is the snake_case code counted when a row does not meet it."""

    reason: str
    holds: Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a silver row fits an engine: what it lacks for the engine's task, in the order of the requirements, and
    whether it serves the adaptation to the domain at least."""

    lacks: tuple[str, ...]
    domain: bool = False

    @property
    def able(self) -> bool:
        return not self.lacks


@dataclass(frozen=True)
class Variant:
    """Another adapter from the same gold: `training` is laid over its engine's configuration.

    A variant with a `task` of its own has a base of another kind, and starts from no configuration but its own.
    """

    title: str
    training: Mapping[str, Any]
    task: Task | None = None


@dataclass(frozen=True)
class EngineSpec:
    """One engine's contract.

    A silver row serves the engine when every requirement holds of it as the engine sees it (`derive`); `columns` are
    the columns its gold rows carry after the lineage columns; `label` names the target column. `score` defines the
    primary score, in 0..1 where 1 is best. `uses_audio`: engines with it share their audio rows, and so one split.
    Requirements see `duration` instead of audio bytes (not None exactly when the row has audio).
    `links` name what may not stand on two sides of a split (see allocation.links). `identity`: two rows with the same
    values there are one example twice ("audio" and "codes" by content). `stratum`: the column whose values every split
    should hold. `derive` returns values laid over a silver row before it is judged and projected: at least those of
    `derived`, the gold columns that come from it and their kind, out of the silver columns in `derived_from`.
    `unlabelled`: a row that does not serve the task but meets these serves to adapt a base to the domain, without a
    target; empty: such a row serves nothing. `variants` are further adapters that are made by default; the contract of
    one is its engine's with `variant` set (see engines.adapters).
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
    links: tuple[str, ...] = TEXT_LINKS
    stratum: str | None = None
    derive: Callable[[Row], Row] | None = None
    derived: Mapping[str, Kind] = field(default_factory=dict)
    derived_from: tuple[str, ...] = ()
    unlabelled: tuple[Requirement, ...] = ()
    uses_audio: bool = False
    variants: Mapping[str, Variant] = field(default_factory=dict)
    variant: str = ""

    @property
    def name(self) -> str:
        """The adapter's name: the engine's, or <engine>.<variant>."""
        return f"{self.engine}.{self.variant}" if self.variant else self.engine.value

    @property
    def configured_at(self) -> str:
        """Where a config file speaks of this adapter's training."""
        return f"training.variants.{self.name}" if self.variant else f"training.engines.{self.engine}"

    def view(self, row: Row) -> Row:
        """Return a silver row as this engine sees it, with what it derives laid over."""
        return {**row, **self.derive(row)} if self.derive else row

    def fit(self, row: Row) -> Fit:
        """Return what a silver row lacks to serve this engine, and whether it serves its domain instead."""
        seen = self.view(row)
        lacks = tuple(need.reason for need in self.requirements if not need.holds(seen))
        domain = bool(lacks and self.unlabelled) and all(need.holds(seen) for need in self.unlabelled)
        return Fit(lacks, domain)

    @property
    def gold_columns(self) -> tuple[str, ...]:
        return (*LINEAGE_COLUMNS, *self.columns)


HAS_TEXT = Requirement("no_text", lambda row: bool(row["text"]))
HAS_AUDIO = Requirement("no_audio", lambda row: row["duration"] is not None)
# Masked text beside speech that still says the number would teach a model to hear what was not said, or to say it.
SAYS_WHAT_IT_SAYS = Requirement("personal_data_in_audio", lambda row: "personal_data_in_audio" not in row["flags"])
