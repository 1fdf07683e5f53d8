"""The report of a replay: measured on mirrored calls, with counts, and never a pass where nothing was heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.shadow import Replayed, is_lost, liveness, percentiles, shadow_figures, shadow_report
from data_foundry.serving.trials.trial import Losses, Pair, Side, Trial

TRIAL = Trial("nlu", "abc123def456", "base", Stage.SHADOW, "2026-01-02T03:04:05Z", "replay")


def counted(**given: Any) -> dict[str, Any]:
    """The mirror's counts, with what follows from those that are given."""
    counts = {"calls": 0, "chosen": 0, "answered": 0, "timed_out": 0, "errors": {}, "dropped": {}, "examples": []}
    counts |= given
    return {**counts, "mirrored": counts["answered"] + counts["timed_out"] + sum(counts["errors"].values())}


def pair(number: int, heard: Side, unheard: Side, apart: float | None) -> Pair:
    return Pair(TRIAL.id, str(number), float(number), heard, unheard, apart)


def report(settings: Settings, observations: Sequence[Pair | Losses], engine: AIEngine = AIEngine.NLU) -> Any:
    pairs = [each for each in observations if isinstance(each, Pair)]
    failed = Counter(each.candidate.error for each in pairs if each.candidate.error)
    counts = counted(calls=9, chosen=len(pairs), answered=len(pairs) - failed.total(), errors=dict(failed))
    replayed = Replayed(9, [1.0] * 8, Counter(too_long=1), Counter(text=9), counts)
    return shadow_report(ENGINES[engine], TRIAL, settings, replayed, observations)


def test_every_side_is_measured_on_the_calls_that_both_heard(settings: Settings) -> None:
    pairs = [pair(n, Side(10.0 + n), Side(20.0 + n), apart) for n, apart in enumerate([0.0, 1.0, 1.0, 0.0])]
    losses = [Losses(TRIAL.id, str(n), 1.0, *said) for n, said in enumerate([(0, 0), (1, 0), (1, 0), (1, 1)])]
    found = report(settings, [*pairs, *losses])
    assert found["incumbent"]["quality"] == {
        "metric": "accuracy", "meaning": "share of calls with the same label", "value": 0.25, "calls": 4
    }  # fmt: skip
    assert (found["candidate"]["quality"]["value"], found["agreement"]["value"]) == (0.75, 0.5)
    assert found["agreement"]["identical"] == 2
    assert found["incumbent"]["milliseconds_on_mirrored"]["p50"] == 11.0
    assert found["candidate"]["milliseconds"]["p50"] == 21.0
    assert found["incumbent"]["milliseconds"]["count"] == 8, "of every call that was answered"
    assert (found["calls"], found["answered_calls"], found["refused_calls"]) == (9, 8, {"too_long": 1})
    assert (found["verdict"], found["reason"]) == ("pass", "4 of 4 mirrored calls answered")


@pytest.mark.parametrize(("engine", "value"), [(AIEngine.STT, 0.3), (AIEngine.TRANSLATION, 0.7)])
def test_an_error_rate_is_better_when_low_and_a_score_when_high(
    settings: Settings, engine: AIEngine, value: float
) -> None:
    found = report(settings, [pair(0, Side(1.0), Side(1.0), 0.3), Losses(TRIAL.id, "0", 0.0, 0.5, 0.3)], engine)
    assert found["candidate"]["quality"]["value"] == found["agreement"]["value"] == value
    assert found["incumbent"]["quality"]["value"] == 0.5


def test_generated_speech_is_compared_with_the_incumbents_and_has_no_reference_quality(settings: Settings) -> None:
    found = report(settings, [pair(0, Side(1.0), Side(1.0), 0.75)], AIEngine.TTS)
    assert found["agreement"]["value"] == 0.25
    assert found["candidate"]["quality"]["value"] is None and "no reference" in found["candidate"]["quality"]["reason"]


def test_the_judgement_of_live_calls_stands_beside_the_verdict_and_holds_on_so_few(settings: Settings) -> None:
    observations: list[Pair | Losses] = []
    for n in range(26):
        observations.append(pair(n, Side(10.0 + n / 10), Side(9.0 + n / 10), 0.0))
        observations.append(Losses(TRIAL.id, str(n), float(n), 0.0, 0.0))
    found = report(settings, observations)
    assert (found["judgement"]["verdict"], found["verdict"]) == ("hold", "pass")
    assert found["judgement"]["calls"] == 26 and found["judgement"]["metrics"]["quality"]["calls"] == 26


def test_percentiles_are_times_that_were_measured() -> None:
    found = percentiles([float(number) for number in range(100, 0, -1)])
    assert found == {"count": 100, "p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    assert percentiles([])["p50"] is None and percentiles([])["reason"] == "no call was measured"
    assert percentiles([7.0]) == {"count": 1, "p50": 7.0, "p95": 7.0, "p99": 7.0, "max": 7.0}


def test_without_a_mirrored_call_the_verdict_is_inconclusive_and_figures_are_absent_with_a_reason(
    settings: Settings,
) -> None:
    found = report(settings, [])
    assert found["verdict"] == "inconclusive" and "no call reached the candidate" in found["reason"]
    for figure in (found["candidate"]["quality"], found["incumbent"]["quality"], found["agreement"]):
        assert figure["value"] is None and figure["calls"] == 0 and figure["reason"] == "no mirrored call was answered"
    assert shadow_figures(found)["shadow_quality"] is None


def test_a_candidate_that_fails_every_call_fails(settings: Settings) -> None:
    found = report(settings, [pair(n, Side(1.0), Side(None, "RuntimeError"), None) for n in range(9)])
    assert found["verdict"] == "fail" and found["answered_calls"] == 8
    assert found["candidate_errors"] == {"RuntimeError": 9}
    assert found["reason"] == "9 of 9 mirrored calls failed (RuntimeError 9)"
    assert found["candidate"]["milliseconds"]["p50"] is None


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"calls": 9}, "inconclusive"),
        ({"calls": 9, "chosen": 9, "dropped": {"queue_full": 9}}, "inconclusive"),
        ({"chosen": 1, "answered": 1}, "pass"),
        ({"chosen": 2, "answered": 1, "timed_out": 1}, "pass"),
        ({"chosen": 3, "answered": 1, "timed_out": 1, "errors": {"ValueError": 1}}, "fail"),
        ({"chosen": 1, "timed_out": 1}, "fail"),
        ({"chosen": 9, "dropped": {"candidate_down": 9}}, "fail"),
        ({"chosen": 60, "timed_out": 1, "dropped": {"candidate_down": 59}}, "fail"),
        ({"chosen": 60, "answered": 2, "timed_out": 1, "dropped": {"candidate_down": 57}}, "fail"),
        ({"chosen": 60, "answered": 2, "timed_out": 1, "dropped": {"queue_full": 57}}, "pass"),
    ],
)
def test_a_candidate_is_alive_when_it_fails_at_most_half_of_what_it_heard(counts: Any, verdict: str) -> None:
    assert liveness(counted(**counts))[0] == verdict


def test_calls_lost_while_a_candidate_was_down_fail_it_and_are_named() -> None:
    counts = counted(chosen=60, answered=2, timed_out=1, dropped={"candidate_down": 55, "queue_full": 2})
    reason = "1 of 3 mirrored calls failed (timed out 1); 55 lost while it was down; 2 dropped"
    assert liveness(counts) == ("fail", reason)


def test_a_candidate_is_lost_once_those_that_wait_cannot_save_it() -> None:
    assert not is_lost(counted(chosen=10, timed_out=5))
    assert is_lost(counted(chosen=10, timed_out=5, errors={"died": 1}))
    assert not is_lost(counted())
