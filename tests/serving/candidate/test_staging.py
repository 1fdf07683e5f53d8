"""The version in staging answers callers from a process of its own, or says at once that it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from misbehaving import loading
from processes import wait_for

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.calls import Answer
from data_foundry.serving.candidate.probe import probe_version
from data_foundry.serving.candidate.said import CandidateFailed
from data_foundry.serving.candidate.staging import StagingProcess
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


def test_it_answers_under_its_own_name(staging: Callable[[str], StagingProcess]) -> None:
    process = staging("good")
    wait_for(lambda: process.ready)
    answer = process.submit("a call", ROW).result(30)
    assert answer == Answer("a call", "stt", "new", "heard call", 0.9, answer.milliseconds, {})
    assert process.probe([ROW], 30) == (True, "it answered 1 of 1 calls")


def test_one_that_is_not_ready_says_so_at_once(staging: Callable[[str], StagingProcess]) -> None:
    process = staging("endless")
    assert not process.ready and process.submit("a call", ROW).exception(0).kind == "not_ready"


@pytest.mark.parametrize(
    ("act", "kind"),
    [("hang", "timed_out"), ("leave", "died"), ("raise_error", "RuntimeError")],
)
def test_how_it_failed_is_told_so_that_the_incumbent_answers(
    staging: Callable[[str], StagingProcess], act: str, kind: str
) -> None:
    process = staging(act)
    wait_for(lambda: process.ready)
    failed = process.submit("a call", ROW).exception(30)
    assert isinstance(failed, CandidateFailed) and (failed.kind, failed.dropped) == (kind, False)


def test_a_caller_who_gave_up_is_told_nothing(staging: Callable[[str], StagingProcess]) -> None:
    process = staging("slow")
    wait_for(lambda: process.ready)
    first, second = process.submit("one", ROW), process.submit("two", ROW)
    assert first.cancel()
    assert second.exception(30) is None or second.exception().kind == "timed_out"


def test_a_version_is_probed_before_it_hears_a_call(settings: Settings) -> None:
    def probed(act: str) -> tuple[bool, str]:
        return probe_version(settings, "stt", "new", [ROW] * 3, 10.0, loading(new=act))

    assert probed("good") == (True, "it answered 3 of 3 calls")
    assert probed("die_on_demand") == (True, "it answered 3 of 3 calls")
    assert probed("broken") == (False, "it is not loaded: not_loaded: The files of new are not those registered.")
    assert probed("leave") == (False, "it failed call 1 of 3: died")
