import json

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.report import (
    Action,
    DatasetReport,
    EngineReport,
    Outcome,
    PhaseReport,
    PipelineReport,
    Step,
    StepResult,
    foresee,
    merge_phases,
    reasons_of,
    status_of,
)

SCHEMA = PROJECT_ROOT / "schemas" / "pipeline_report.schema.json"


def result(outcome: Outcome) -> StepResult:
    return StepResult(name="s", key="k", outcome=outcome, reason="")


def fallen(subject: str, reason: str, work: str = "ingest") -> StepResult:
    return StepResult(name=f"{work} {subject}", key="k", outcome=Outcome.FAILED, reason=reason, subject=subject)


def test_a_cause_that_many_share_is_told_once_with_all_whom_it_concerns():
    away = "can't reach the Hub: see datasets/{0}"
    results = [fallen(name, f"{name}: {away.format(name)}") for name in ("o/a", "o/b", "o/c")]
    results += [fallen("o/d", "o/d: it is gated"), fallen("stt", "no rows", "adapt"), result(Outcome.DONE)]
    assert reasons_of(results) == [
        "ingest 3 datasets: can't reach the Hub: see datasets/<name>\n  (o/a, o/b, o/c)",
        "ingest o/d: it is gated",
        "adapt stt: no rows",
    ]


def phase(**more) -> PhaseReport:
    return PhaseReport(status="completed", command="c", exit_code=0, seconds=1.0, peak_rss_bytes=1, **more)


def test_the_published_schema_is_the_models_own():
    text = json.dumps(PipelineReport.model_json_schema(), indent=1) + "\n"
    assert SCHEMA.read_text(encoding="utf-8") == text, f"write it anew: make schemas ({SCHEMA})"


def test_a_dataset_that_failed_keeps_its_cause_when_later_phases_wait_for_it():
    failed = phase(datasets={"o/n": DatasetReport(status="failed", reason="the Hub is down")})
    waiting = phase(datasets={"o/n": DatasetReport(status="waiting", reason="waiting for phase1")})
    datasets, _ = merge_phases({"phase1": failed, "phase2": waiting})
    assert (datasets["o/n"].status, datasets["o/n"].reason) == ("failed", "the Hub is down")


def test_rows_that_were_used_take_the_place_of_the_rows_of_gold():
    gold = phase(engines={"nlu": EngineReport(status="allocated", rows={"train": 9, "test": 4, "domain": 7})})
    used = phase(engines={"nlu": EngineReport(status="trained", rows={"train": 8, "test": 3})})
    _, engines = merge_phases({"phase3": gold, "phase4": used})
    assert engines["nlu"].rows == {"train": 8, "test": 3}


@pytest.mark.parametrize(
    ("changed", "action"),
    [
        ({"stt"}, Action.WAIT),
        ({"stt.malabar"}, Action.WAIT),
        ({"nlu"}, Action.SKIP),
        ({"stt.cochin"}, Action.SKIP),
        ({"o/n"}, Action.WAIT),
    ],
)
def test_a_variant_waits_for_what_may_change_its_engines_gold(changed, action):
    step = Step(name="adapt stt.malabar", key="k", action=Action.SKIP, reason="", subject="stt.malabar")
    assert [each.action for each in foresee([step], "phase3", frozenset(changed))] == [action]


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], "completed"),
        ([Outcome.DONE, Outcome.SKIPPED, Outcome.REFUSED], "completed"),
        ([Outcome.DONE, Outcome.FAILED], "partial"),
        ([Outcome.DONE, Outcome.WAITING], "partial"),
        ([Outcome.FAILED, Outcome.WAITING], "failed"),
    ],
)
def test_a_run_is_completed_only_if_everything_was_done(outcomes, status):
    assert status_of([result(outcome) for outcome in outcomes]) == status


def test_later_phases_add_to_what_earlier_ones_said_and_keep_the_rest():
    first = phase(
        datasets={"o/n": DatasetReport(status="ingested", rows=9, findings=[{"kind": "a"}], metrics={"x": 1})}
    )
    second = phase(
        datasets={"o/n": DatasetReport(status="standardized", findings=[{"kind": "b"}], metrics={"y": 2})},
        engines={"stt": EngineReport(status="allocated", rows={"train": 3})},
    )
    third = phase(engines={"stt": EngineReport(status="evaluated", stage="shadow")})
    read = {
        f"phase{i}": PhaseReport.model_validate_json(p.model_dump_json()) for i, p in enumerate((first, second, third))
    }
    datasets, engines = merge_phases(read)
    merged = datasets["o/n"]
    assert (merged.status, merged.rows, merged.metrics) == ("standardized", 9, {"x": 1, "y": 2})
    assert [finding["kind"] for finding in merged.findings] == ["a", "b"]
    assert engines["stt"].rows == {"train": 3} and engines["stt"].stage == "shadow"
