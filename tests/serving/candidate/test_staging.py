"""The version in staging answers callers from a process of its own, or says at once that it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from misbehaving import loading
from processes import wait_for

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.candidate.said import CandidateFailed
from data_foundry.serving.candidate.staging import StagingProcess
from data_foundry.serving.host import Call
from data_foundry.serving.staged import StagedCall, StagedCalls
from data_foundry.serving.trials.trial import Trial

TRIAL = Trial("stt", "new", "old", Stage.STAGING, "2026-01-01T00:00:00Z")
ROW = {"text": "call"}


@pytest.fixture
def staging(with_settings: Callable[..., Settings]) -> Iterator[Callable[[str], StagingProcess]]:
    made: list[StagingProcess] = []

    def start(act: str) -> StagingProcess:
        settings = with_settings(deployment={"shadow_timeout_seconds": 0.3}, rollout={"worker_memory_mib": 256})
        made.append(StagingProcess(settings, TRIAL, loading=loading(new=act), backoff=(0.01, 0.05)))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_it_answers(staging: Callable[[str], StagingProcess]) -> None:
    process = staging("good")
    wait_for(lambda: process.ready)
    assert process.submit(ROW).result(30).output == "heard call"


def test_one_that_is_not_ready_says_so_at_once(staging: Callable[[str], StagingProcess]) -> None:
    process = staging("endless")
    assert not process.ready and process.submit(ROW).exception(0).kind == "not_ready"


@pytest.mark.parametrize(
    ("act", "kind"),
    [("hang", "timed_out"), ("leave", "died"), ("raise_error", "RuntimeError")],
)
def test_how_it_failed_is_told_so_that_the_incumbent_answers(
    staging: Callable[[str], StagingProcess], act: str, kind: str
) -> None:
    process = staging(act)
    wait_for(lambda: process.ready)
    failed = process.submit(ROW).exception(30)
    assert isinstance(failed, CandidateFailed) and (failed.kind, failed.dropped) == (kind, False)


def test_calls_behind_one_that_hangs_are_not_its_failures_and_are_not_computed_for_nobody(
    staging: Callable[[str], StagingProcess],
) -> None:
    process = staging("hang")
    wait_for(lambda: process.ready)
    calls, ended = StagedCalls(0.2), []
    asked = [process.submit(ROW) for _ in range(4)]
    for each in asked:
        call = Call("c", "stt", {}, None, None, lambda *ended: None)
        calls.add(StagedCall(call, TRIAL, None, lambda staged, kind, own: ended.append(own), None), each)
    wait_for(lambda: calls.give_up_overdue() or len(ended) == 4)
    assert sorted(ended) == [False, False, False, True]
    assert all(each.own_seconds is None for each in asked[1:])
