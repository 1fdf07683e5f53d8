"""The shadow report: measured on mirrored calls, with counts, and never a pass where nothing was heard."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from data_foundry.config import Deployment
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.records import Rejected
from data_foundry.serving.gateway import ShadowCounts
from data_foundry.serving.shadow import liveness, percentiles, replay

ALL = {"shadow_share": 1.0, "shadow_queue_size": 1000}


@dataclass(frozen=True)
class Said:
    output: Any
    confidence: float | None = None


class Model:
    """A predictor that says of a row what `say` returns; rows flagged "too_long" can't be taken."""

    def __init__(self, say: Callable[[Mapping[str, Any]], Any]) -> None:
        self.say = say

    def predict(self, rows: Sequence[Mapping[str, Any]], adapter: str | None = None) -> list[Said]:
        if any(self.why_not(row) for row in rows):
            raise FoundryError("A row can't be taken.")
        return [Said(self.say(row)) for row in rows]

    def why_not(self, row: Mapping[str, Any]) -> Rejected | None:
        return Rejected("too_long") if "too_long" in row.get("flags", ()) else None


def report(engine: AIEngine, rows: Sequence[Any], incumbent: Any, candidate: Any, **deployment: Any) -> Any:
    return replay(
        [(f"call-{number}", row) for number, row in enumerate(rows)],
        ENGINES[engine],
        predictor=Model(incumbent),
        incumbent=None,
        shadow_predictor=Model(candidate),
        candidate="abc123def456",
        deployment=Deployment(**{**ALL, **deployment}),
        key=b"key",
    )


def fail(row: Mapping[str, Any]) -> Any:
    raise RuntimeError("out of memory")


# Written for this test; not checked by a native speaker.
UTTERANCES = [{"text": text} for text in ("എന്റെ ബാലൻസ് എത്ര", "ബിൽ അടയ്ക്കണം", "നെറ്റ് കിട്ടുന്നില്ല", "പ്ലാൻ മാറ്റണം")]


def test_transcripts_are_measured_against_reference_and_against_each_other() -> None:
    found = report(AIEngine.STT, UTTERANCES, lambda row: "", lambda row: row["text"] + "!")
    assert (found["calls"], found["mirrored"], found["candidate_answered"]) == (4, 4, 4)
    assert found["incumbent"]["quality"]["metric"] == "cer"
    assert found["incumbent"]["quality"]["value"] == 1.0, "an empty transcript has every character wrong"
    assert found["candidate"]["quality"]["value"] == 0.0, "punctuation does not count in the scoring form"
    assert found["candidate"]["quality"]["calls"] == 4
    assert found["agreement"]["value"] is None, "against empty answers there is no rate"
    assert "every reference is empty" in found["agreement"]["reason"]
    assert found["verdict"] == "pass" and found["reason"] == "4 of 4 mirrored calls answered"


def test_the_disagreement_of_transcripts_is_their_character_error_rate() -> None:
    found = report(AIEngine.STT, [{"text": "അആഇഈ"}], lambda row: "അആഇഈഉഊഎഏ", lambda row: "അആഇഈഉഊഎക")
    assert found["agreement"]["value"] == 0.125 and found["agreement"]["identical"] == 0
    assert found["candidate"]["quality"]["value"] == 1.0


@pytest.mark.parametrize("engine", [AIEngine.NLU, AIEngine.SENTIMENT, AIEngine.DIALECT])
def test_labels_are_measured_by_agreement(engine: AIEngine) -> None:
    label = ENGINES[engine].label
    rows = [{label: name} for name in ("a", "b", "c", "d")]
    found = report(engine, rows, lambda row: "a", lambda row: row[label] if row[label] != "d" else "a")
    assert found["incumbent"]["quality"]["value"] == 0.25
    assert found["candidate"]["quality"]["value"] == 0.75
    assert (found["agreement"]["value"], found["agreement"]["identical"]) == (0.5, 2)


def test_translations_are_compared_with_the_side_they_were_asked_for() -> None:
    rows = [
        {"text": "ബിൽ അടച്ചു", "translation": "the bill is paid", "direction": "ml-en"},
        {"text": "പ്ലാൻ മാറ്റണം", "translation": "change the plan", "direction": "en-ml"},
    ]
    target = {"ml-en": "translation", "en-ml": "text"}
    found = report(AIEngine.TRANSLATION, rows, lambda row: "zzz", lambda row: row[target[row["direction"]]])
    assert found["candidate"]["quality"] == {
        "metric": "chrf++",
        "meaning": "chrF++ / 100 over all calls",
        "value": 1.0,
        "calls": 2,
    }
    assert found["incumbent"]["quality"]["value"] < 0.05 and found["agreement"]["value"] < 0.05


def test_generated_speech_is_compared_with_the_incumbents_and_has_no_reference_quality() -> None:
    rows = [{"text": "ഒന്ന്", "codes": [[1, 2], [3, 4]]}]
    found = report(AIEngine.TTS, rows, lambda row: [[1, 2], [3, 4]], lambda row: [[1, 9, 5, 5], [3, 4, 5, 5]])
    assert found["agreement"]["value"] == 0.25
    assert found["candidate"]["quality"]["value"] is None and "no reference" in found["candidate"]["quality"]["reason"]


def test_latencies_are_measured_for_both_on_the_same_calls() -> None:
    found = report(
        AIEngine.NLU,
        [{"label": "a"}] * 12,
        lambda row: time.sleep(0.002) or "a",
        lambda row: time.sleep(0.02) or "a",
    )
    slow, quick = found["candidate"]["milliseconds"], found["incumbent"]["milliseconds_on_mirrored"]
    assert slow["count"] == quick["count"] == 12
    assert slow["p50"] >= 20 and 2 <= quick["p50"] < slow["p50"]
    assert slow["p50"] <= slow["p95"] <= slow["p99"] <= slow["max"]


def test_percentiles_are_times_that_were_measured() -> None:
    found = percentiles([float(number) for number in range(100, 0, -1)])
    assert found == {"count": 100, "p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    assert percentiles([])["p50"] is None and percentiles([])["reason"] == "no call was measured"
    assert percentiles([7.0]) == {"count": 1, "p50": 7.0, "p95": 7.0, "p99": 7.0, "max": 7.0}


def test_without_a_mirrored_call_the_verdict_is_inconclusive_and_figures_are_absent_with_a_reason() -> None:
    found = report(AIEngine.NLU, [{"label": "a"}] * 20, lambda row: "a", lambda row: "a", shadow_share=0.0)
    assert (found["calls"], found["answered_calls"], found["mirrored"]) == (20, 20, 0)
    assert found["verdict"] == "inconclusive" and "no call reached the candidate" in found["reason"]
    for figure in (found["candidate"]["quality"], found["incumbent"]["quality"], found["agreement"]):
        assert figure["value"] is None and figure["calls"] == 0 and figure["reason"] == "no mirrored call was answered"


def test_a_candidate_that_fails_every_call_fails_with_its_error_in_the_report() -> None:
    found = report(AIEngine.NLU, [{"label": "a"}] * 20, lambda row: "a", fail)
    assert found["verdict"] == "fail" and found["answered_calls"] == 20
    assert found["candidate_errors"] == {"RuntimeError": 20}
    assert found["error_examples"] == ["RuntimeError: out of memory"]
    assert found["reason"] == "20 of 20 mirrored calls failed (RuntimeError 20)"
    assert found["candidate"]["milliseconds"]["p50"] is None


def test_a_row_that_the_base_cannot_take_is_counted_and_other_errors_of_the_incumbent_are_raised() -> None:
    rows = [{"label": "a"}, {"label": "a", "flags": ["too_long"]}, {"label": "a"}]
    found = report(AIEngine.NLU, rows, lambda row: "a", lambda row: "a")
    assert (found["calls"], found["answered_calls"], found["refused_calls"]) == (3, 2, {"too_long": 1})
    with pytest.raises(RuntimeError, match="out of memory"):
        report(AIEngine.NLU, rows, fail, lambda row: "a")


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"calls": 9}, "inconclusive"),
        ({"calls": 9, "chosen": 9, "dropped": {"queue_full": 9}}, "inconclusive"),
        ({"chosen": 1, "answered": 1}, "pass"),
        ({"chosen": 2, "answered": 1, "timed_out": 1}, "pass"),
        ({"chosen": 3, "answered": 1, "timed_out": 1, "errors": {"ValueError": 1}}, "fail"),
        ({"chosen": 1, "timed_out": 1}, "fail"),
        ({"chosen": 60, "timed_out": 1, "dropped": {"candidate_overdue": 59}}, "fail"),
        ({"chosen": 60, "answered": 2, "timed_out": 1, "dropped": {"candidate_overdue": 57}}, "fail"),
        ({"chosen": 60, "answered": 2, "timed_out": 1, "dropped": {"queue_full": 57}}, "pass"),
    ],
)
def test_a_candidate_is_alive_when_it_fails_at_most_half_of_what_it_heard(counts: Any, verdict: str) -> None:
    given = {name: Counter(value) if isinstance(value, dict) else value for name, value in counts.items()}
    assert liveness(ShadowCounts(**given))[0] == verdict


def test_calls_lost_behind_a_candidate_that_hangs_fail_it_and_are_named() -> None:
    counts = ShadowCounts(chosen=60, answered=2, timed_out=1, dropped=Counter(candidate_overdue=55, queue_full=2))
    reason = "1 of 3 mirrored calls failed (timed out 1); 55 lost while it was overdue; 2 dropped"
    assert liveness(counts) == ("fail", reason)
