"""What a run says of itself: steps, their outcomes, phases, and the pipeline report with its published JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from data_foundry.adapter_name import is_of
from data_foundry.errors import FoundryError

# `defer_build` everywhere: a preview reads no report, and must not pay for the validators of one.
PHASES = ("phase1", "phase2", "phase3", "phase4")
Status = Literal["completed", "partial", "failed"]


class Action(StrEnum):
    """What a plan intends for a step: RUN it, SKIP it because its manifest matches, WAIT for another step, or FAIL it
    because what it would start from can't be read."""

    RUN = "run"
    SKIP = "skip"
    WAIT = "wait"
    FAIL = "fail"


class Outcome(StrEnum):
    """What became of a step. REFUSED: it ran and its gate said no, which is an answer and not a failure."""

    DONE = "done"
    SKIPPED = "skipped"
    REFUSED = "refused"
    WAITING = "waiting"
    FAILED = "failed"


class Step(BaseModel):
    """One unit of a plan. `key` identifies inputs, rules and settings; `subject` is the dataset or engine it serves.

    A step to be skipped says from its manifest how many rows went in, came out and were rejected when it ran.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    key: str
    action: Action
    reason: str
    subject: str
    payload: dict[str, Any] = {}
    rows_in: int = 0
    rows_out: int = 0
    rejected: dict[str, int] = {}


def planned(name: str, subject: str, plan: Callable[[], Step]) -> Step:
    """Return the step that `plan` returns, or one that fails with what it raised, so that the others go on."""
    try:
        return plan()
    except FoundryError as error:
        return Step(name=name, key="", action=Action.FAIL, reason=str(error), subject=subject)


def changed_by(steps: Iterable[Step]) -> frozenset[str]:
    """Return the datasets or engines that a plan may change."""
    return frozenset(step.subject for step in steps if step.action in (Action.RUN, Action.WAIT))


def foresee(steps: Iterable[Step], before: str, changes: frozenset[str]) -> list[Step]:
    """Return a plan as it stands when the phase `before` is still to change some datasets or engines.

    A step that has nothing to do as things lie now waits for what may change its input: of its own dataset or engine,
    of the engine that it is a variant of, or, for an engine's gold, of any dataset.
    """
    foreseen = []
    for step in steps:
        dataset = "/" in step.subject
        causes = sorted(
            name
            for name in changes
            if name == step.subject or ("/" in name) != dataset or (not dataset and is_of(step.subject, name))
        )
        if step.action is Action.SKIP and causes:
            more = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
            reason = f"waiting for {before} of {causes[0]}{more}: runs only if that changes what it starts from"
            step = step.model_copy(update={"action": Action.WAIT, "reason": reason})
        foreseen.append(step)
    return foreseen


class StepResult(BaseModel):
    """What a step did. `rejected` counts rows by reason; rows_in = rows_out + all rejected."""

    model_config = ConfigDict(defer_build=True)

    name: str
    key: str
    outcome: Outcome
    reason: str
    subject: str = ""
    rows_in: int = 0
    rows_out: int = 0
    rejected: dict[str, int] = {}
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return self.outcome in (Outcome.FAILED, Outcome.WAITING)

    @property
    def falls_short(self) -> bool:
        """Whether what was asked for was not done: a step that let no row through has served nobody, however well."""
        return self.failed or (self.rows_in > 0 and self.rows_out == 0)


def reasons_of(results: Iterable[StepResult]) -> list[str]:
    """Return why steps fell short; a cause that several have in common is told once, with whom it concerns."""
    shared: dict[tuple[str, str, str], list[StepResult]] = {}
    for result in results:
        if result.falls_short:
            work = result.name.removesuffix(result.subject).strip() if result.subject else result.name
            shared.setdefault((work, "datasets" if "/" in result.subject else "engines", cause_of(result)), []).append(
                result
            )
    told = []
    for (work, kind, cause), those in shared.items():
        if len(those) == 1:
            told.append(f"{those[0].name}: {those[0].reason.removeprefix(f'{those[0].subject}: ')}")
        else:
            told.append(f"{work} {len(those)} {kind}: {cause}\n  ({', '.join(each.subject for each in those)})")
    return told


def cause_of(result: StepResult) -> str:
    """Return a step's reason without the dataset or engine that it names, so that equal causes are equal."""
    reason = result.reason.removeprefix(f"{result.subject}: ")
    return reason.replace(result.subject, "<name>") if result.subject else reason


class DatasetReport(BaseModel):
    """One dataset in the report. What was not measured is None and `reason` says why."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    status: str = "not ingested"
    revision: str | None = None
    licence: str | None = None
    bytes: int | None = None
    rows: int | None = None
    declared_engine: str | None = None
    served_engines: list[str] = []
    findings: list[dict[str, Any]] = []
    metrics: dict[str, Any] = {}
    reason: str | None = None


class GateVerdict(BaseModel):
    """One gate of one engine: `verdict` is pass, fail or inconclusive, with the value and the bound it was held to.

    `interval` is what was held against the bound; `measure` says what the value is where the gate's name doesn't.
    """

    model_config = ConfigDict(defer_build=True)

    gate: str
    verdict: Literal["pass", "fail", "inconclusive"]
    value: float | None = None
    interval: list[float] | None = None
    bound: float | None = None
    measure: str | None = None
    reason: str


class EngineReport(BaseModel):
    """One engine in the report: rows per split, base and adapted metrics on the same held-out rows, gates, stage."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    status: str = "not trained"
    rows: dict[str, int] = {}
    primary_metric: str | None = None
    base: dict[str, Any] | None = None
    adapted: dict[str, Any] | None = None
    gates: list[GateVerdict] = []
    stage: str = "none"
    reason: str | None = None


class PhaseReport(BaseModel):
    """One phase: the command a person would type, its exit code, and every step.

    `peak_rss_bytes` is the largest resident set that any single process of the phase reached, as the operating system
    counts it: not the sum over its processes, which share pages.
    """

    model_config = ConfigDict(defer_build=True)

    status: Status
    command: str
    exit_code: int
    seconds: float
    peak_rss_bytes: int
    steps: list[StepResult] = []
    reasons: list[str] = []
    datasets: dict[str, DatasetReport] = {}
    engines: dict[str, EngineReport] = {}


class PipelineReport(BaseModel):
    """The pipeline report: `completed` only if everything that was asked for was done."""

    model_config = ConfigDict(defer_build=True)

    schema_version: Literal[1] = 1
    status: Status
    started_at: str
    finished_at: str
    command: str
    profile: str | None = None
    code_version: str
    reasons: list[str] = []
    phases: dict[str, PhaseReport] = {}
    datasets: dict[str, DatasetReport] = {}
    engines: dict[str, EngineReport] = {}


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(results: Iterable[StepResult]) -> Status:
    """Return completed if no step falls short, failed if every one does, partial otherwise."""
    results = list(results)
    short = [result for result in results if result.falls_short]
    if not short:
        return "completed"
    return "failed" if len(short) == len(results) else "partial"


def merge_phases(phases: Mapping[str, PhaseReport]) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return datasets and engines of a run: what a later phase says of one is laid over what an earlier one said."""
    datasets: dict[str, DatasetReport] = {}
    engines: dict[str, EngineReport] = {}
    for phase in phases.values():
        for name, dataset in phase.datasets.items():
            datasets[name] = _overlay(datasets.get(name), dataset)
        for name, engine in phase.engines.items():
            engines[name] = _overlay(engines.get(name), engine)
    return datasets, engines


def _overlay(earlier: Any, later: Any) -> Any:
    if earlier is None:
        return later
    values = earlier.model_dump()
    if earlier.status == Outcome.FAILED and later.status == Outcome.WAITING:
        # The cause is what failed, not what waits for it.
        later = later.model_copy(update={"status": earlier.status, "reason": earlier.reason})
    # What a phase leaves at its default it does not speak of (and after a trip through JSON every field is "set").
    for field, value in later.model_dump(exclude_defaults=True).items():
        # Rows of gold and rows that were used are not counts of one thing: the later ones replace the earlier ones.
        if field == "findings":
            value = values[field] + [finding for finding in value if finding not in values[field]]
        elif field != "rows" and isinstance(value, dict) and isinstance(values.get(field), dict):
            value = {**values[field], **value}
        values[field] = value
    return type(later).model_validate(values)
