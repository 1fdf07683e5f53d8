import json
import math
import random
from dataclasses import replace

import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.trials.judgement import MEASURES, METRICS, Judge
from data_foundry.serving.trials.trial import BASE, Losses, Pair, Side, Trial
from data_foundry.serving_settings import Rollout

TRIAL = Trial("nlu.topic", "0123456789ab", BASE, Stage.SHADOW, "2026-11-23T00:00:00+00:00")


def calls(count, *, failing=0.0, both_failing=0.0, slower=1.0, worse=0.0, feedback=1.0, seed=1, trial=TRIAL, first=0):
    """Pairs, a minute apart, some with losses: of the candidate's calls `failing` fail and `worse` are wrong."""
    draw = random.Random(seed)
    for number in range(first, first + count):
        call, at = f"{number:016x}", 60.0 * number
        ill = draw.random() < both_failing
        times = [draw.lognormvariate(3, 0.2), slower * draw.lognormvariate(3, 0.2)]
        failed = [ill, ill or draw.random() < failing]
        sides = [
            Side(None if bad else time, "died" if bad else None, 0.8) for time, bad in zip(times, failed, strict=True)
        ]
        yield Pair(trial.id, call, at, *sides, None if any(failed) else 0.0)
        if draw.random() < feedback:
            wrong = draw.random() < 0.1
            yield Losses(trial.id, call, at, float(wrong), float(wrong or draw.random() < worse))


def judged(*streams, rollout=None, trial=TRIAL):
    judge = Judge(rollout or Rollout(), trial)
    for stream in streams:
        for observation in stream:
            judge.observe(observation)
    return judge.judgement()


def pairs_alone(stream):
    return (each for each in stream if isinstance(each, Pair))


def test_an_equal_candidate_passes_once_every_metric_is_known_to_be_within_its_limit():
    judgement = judged(calls(600))
    assert judgement.verdict == "pass"
    assert judgement.reason == "every metric is within its limit after 600 calls"
    assert {metric.verdict for metric in judgement.metrics.values()} == {"pass"}


@pytest.mark.parametrize(
    ("metric", "harm"), [("errors", {"failing": 0.3}), ("latency", {"slower": 3.0}), ("quality", {"worse": 0.5})]
)
def test_harm_in_one_metric_fails_the_candidate_and_names_it(metric, harm):
    judgement = judged(calls(150, **harm))
    assert judgement.verdict == "fail"
    assert judgement.reason.startswith(f"{metric}: over the limit of ")
    assert [name for name, each in judgement.metrics.items() if each.verdict == "fail"] == [metric]


@pytest.mark.parametrize(
    ("metric", "better"), [("errors", {"both_failing": 0.1}), ("latency", {"slower": 0.3}), ("quality", {"worse": 0.0})]
)
def test_what_is_better_or_strikes_both_alike_is_no_harm(metric, better):
    assert judged(calls(600, **better)).metrics[metric].verdict == "pass"


def test_harm_is_told_whatever_the_other_metrics_lack():
    judgement = judged(pairs_alone(calls(30, failing=1.0)))
    assert judgement.verdict == "fail"
    assert judgement.metrics["quality"].verdict == judgement.metrics["latency"].verdict == "hold"


def test_harm_stays_found_however_good_the_candidate_is_afterwards():
    judgement = judged(calls(20, failing=1.0), calls(1000, first=20))
    assert judgement.verdict == "fail"
    assert judgement.metrics["errors"].failed_after == 12


def test_harm_is_found_soon_after_a_thousand_good_calls():
    good = list(calls(1000))
    assert judged(good).verdict == "pass"
    assert judged(good, calls(30, first=1000, failing=1.0)).metrics["errors"].failed_after <= 1030


def test_a_candidate_that_passed_and_then_does_worse_without_proof_of_harm_holds_again():
    good = list(calls(520))
    assert judged(good).verdict == "pass"
    assert judged(good, calls(40, first=520, failing=0.15)).verdict == "hold"


def test_no_call_holds():
    judgement = judged()
    assert (judgement.verdict, judgement.reason, judgement.calls) == ("hold", "no call was heard by both versions", 0)
    assert {metric.mean for metric in judgement.metrics.values()} == {None}


def test_few_calls_hold_though_the_evidence_would_do():
    wide = Rollout(max_error_increase=0.5, max_latency_ratio=3, max_quality_loss=0.5, min_calls=100)
    assert judged(calls(99), rollout=wide).reason == "99 of at least 100 calls"
    assert judged(calls(100), rollout=wide).verdict == "pass"


def test_without_feedback_a_candidate_never_passes():
    judgement = judged(calls(700, feedback=0.0))
    assert judgement.verdict == "hold"
    assert judgement.reason == "quality: no feedback"


def test_feedback_that_stopped_arriving_holds_until_it_comes_again():
    good = list(calls(600))
    silent = list(calls(700, first=600, feedback=0.0))
    judgement = judged(good, silent)
    assert judgement.verdict == "hold"
    assert judgement.reason == "quality: stopped arriving: calls go on, the last of 600 values is old"
    assert judged(good, silent, calls(5, first=1300)).verdict == "pass"


def test_rare_feedback_is_not_taken_for_feedback_that_stopped():
    assert judged(calls(2500, feedback=0.02), rollout=Rollout(max_quality_loss=0.5)).verdict == "pass"


def test_times_that_stopped_arriving_hold():
    good = list(calls(600))
    untimed = [
        Pair(each.trial, each.call, each.at, Side(None), Side(None)) if isinstance(each, Pair) else each
        for each in calls(200, first=600)
    ]
    assert judged(good, untimed).metrics["latency"].reason.startswith("stopped arriving")


def test_versions_that_both_fail_every_call_hold_for_want_of_times():
    judgement = judged(calls(800, both_failing=1.0))
    assert judgement.verdict == "hold"
    assert judgement.metrics["latency"].reason == "no call that both answered in time"


@pytest.mark.parametrize("milliseconds", [0.0, 25.0])
@pytest.mark.parametrize("stands", [("incumbent",), ("candidate",), ("incumbent", "candidate")])
def test_a_clock_that_stands_still_for_either_version_holds(milliseconds, stands):
    stuck = [
        replace(each, **{side: Side(milliseconds) for side in stands}) if isinstance(each, Pair) else each
        for each in calls(600)
    ]
    latency = judged(stuck, rollout=Rollout(max_latency_ratio=10)).metrics["latency"]
    assert latency.verdict != "pass"
    if latency.verdict == "hold":
        assert latency.reason.startswith("a dead meter: the last 600 times of the ") and latency.reason.count(
            " are "
        ) == len(stands)


def test_a_meter_that_dies_holds_until_it_lives_again():
    good = list(calls(700))
    dead = [replace(e, candidate=Side(0.0), incumbent=Side(0.0)) if isinstance(e, Pair) else e for e in good[100:]]
    assert judged(good).verdict == "pass"
    latency = judged(good[:100], dead).metrics["latency"]
    assert (latency.verdict, latency.reason.startswith("a dead meter")) == ("hold", True)
    assert judged(good[:100], dead, calls(5, first=700)).metrics["latency"].verdict != "hold"
    wrong = [replace(e, incumbent=1.0, candidate=1.0) if isinstance(e, Losses) else e for e in good[100:]]
    assert judged(good[:100], wrong).metrics["quality"].reason.startswith("feedback calls the last 1")


@pytest.mark.parametrize("years", [-5, 5])
def test_a_clock_that_was_wrong_at_the_start_makes_no_long_silence_usual(years):
    wrong = [
        replace(each, at=each.at + 2e8 + (years * 3.15e7 if place < 2 else 0)) for place, each in enumerate(calls(600))
    ]
    silent = [replace(each, at=each.at + 2e8 + 20 * 86_400) for each in calls(700, first=600, feedback=0.0)]
    assert judged(wrong, silent).metrics["quality"].reason.startswith("stopped arriving")


def test_gateways_whose_clocks_differ_make_no_long_silence_usual():
    names = dict.fromkeys(each.call for each in calls(1200))
    ahead = {call: 86_400.0 * (place % 2) for place, call in enumerate(names)}
    mixed = [replace(each, at=each.at + ahead[each.call]) for each in calls(1200)]
    last = list(calls(2, first=1200))
    silent = list(calls(24 * 60, first=1202, feedback=0.0))
    assert judged(mixed, last).metrics["quality"].verdict == "pass"
    quality = judged(mixed, last, silent).metrics["quality"]
    assert quality.verdict == "hold" and quality.reason.startswith("stopped arriving")


@pytest.mark.parametrize("kind", [Pair, Losses])
def test_a_clock_that_was_wrong_once_neither_hides_that_nothing_comes_nor_holds_for_good(kind):
    good = list(calls(600))
    at = max(place for place, each in enumerate(good) if isinstance(each, kind))
    ahead = [replace(each, at=each.at + 3e7) if place == at else each for place, each in enumerate(good)]
    silent = list(calls(700, first=600, feedback=0.0))
    assert judged(ahead, silent).metrics["quality"].reason.startswith("stopped arriving")
    assert judged(ahead, calls(5, first=600)).verdict == "pass"


@pytest.mark.parametrize("loss", [0.5, 1.0])
def test_feedback_that_gives_every_answer_of_both_versions_one_loss_holds(loss):
    constant = [replace(e, incumbent=loss, candidate=loss) if isinstance(e, Losses) else e for e in calls(600)]
    assert judged(constant).metrics["quality"].verdict == "hold"
    right = [replace(e, incumbent=0.0, candidate=0.0) if isinstance(e, Losses) else e for e in calls(600)]
    assert judged(right).verdict == "pass", "two versions may be right each time"


def stalling(count, share, side="candidate", times=100.0):
    """Calls of which a share takes one version `times` as long as the other, and nothing else differs."""
    lot = random.Random(7)
    for each in calls(count):
        if isinstance(each, Pair) and lot.random() < share:
            each = replace(each, **{side: Side(times * getattr(each, side).milliseconds)})
        yield each


def test_rare_and_huge_stalls_that_a_mean_of_cut_ratios_can_not_see_are_harm():
    judgement = judged(stalling(1500, 0.1))
    assert judgement.metrics["latency"].verdict == "pass" and judgement.metrics["errors"].verdict == "fail"
    assert judgement.shown["stalls"]["mean"] == pytest.approx(0.1, abs=0.03)
    assert judgement.shown["times"]["mean"] > judgement.metrics["latency"].mean, "nothing is cut there"


def test_stalls_of_the_incumbent_or_of_both_versions_are_no_harm():
    assert judged(stalling(700, 0.1, "incumbent")).verdict == "pass"
    both = [
        replace(e, incumbent=Side(100 * e.incumbent.milliseconds), candidate=Side(100 * e.candidate.milliseconds))
        if isinstance(e, Pair) and not number % 20
        else e
        for number, e in enumerate(calls(700))
    ]
    assert judged(both).verdict == "pass"


def test_the_failures_of_a_candidate_count_where_no_incumbent_could_be_asked():
    alone = [
        replace(pair, incumbent=Side(None), candidate=Side(None, "timed_out"), disagreement=None)
        for pair in pairs_alone(calls(20))
    ]
    assert judged(alone).metrics["errors"].failed_after == 12


def test_what_no_feedback_can_score_says_that_it_stays_in_shadow():
    speech = Trial("tts", "0123456789ab", BASE, Stage.SHADOW, TRIAL.since)
    judgement = judged(calls(700, feedback=0.0, trial=speech), trial=speech)
    assert judgement.reason == "quality: no feedback can be scored for speech: it stays in shadow"


def test_each_metric_says_what_it_is_a_mean_of():
    told = judged(calls(5)).as_json()["metrics"]
    assert {name: metric["measure"] for name, metric in told.items()} == MEASURES
    assert "each cut at a quarter" in told["latency"]["measure"]


def test_feedback_that_calls_everything_wrong_holds():
    wrong = [
        Losses(TRIAL.id, each.call, each.at, 1.0, 1.0) if isinstance(each, Losses) else each for each in calls(600)
    ]
    judgement = judged(wrong)
    assert judgement.verdict == "hold"
    assert judgement.reason.startswith("quality: feedback calls the last 1200 answers of both versions wrong")


def test_a_failed_side_has_no_time_that_counts():
    judge = Judge(Rollout(), TRIAL)
    judge.pair(Pair(TRIAL.id, "a", 0.0, Side(10.0), Side(90_000.0, "timed_out")))
    judgement = judge.judgement()
    assert (judgement.metrics["errors"].calls, judgement.metrics["latency"].calls) == (1, 0)


def test_one_call_that_hangs_moves_the_ratio_no_more_than_one_four_times_as_slow_as_the_limit():
    hung, slow = (
        judged(calls(50), [Pair(TRIAL.id, "hung", 3000.0, Side(10.0), Side(milliseconds))])
        for milliseconds in (1e9, 60.0)
    )
    assert hung.metrics["latency"].mean == pytest.approx(slow.metrics["latency"].mean)


def test_disagreement_and_confidence_are_shown_and_never_judged():
    differing = [
        Pair(each.trial, each.call, each.at, each.incumbent, each.candidate, 1.0) if isinstance(each, Pair) else each
        for each in calls(600)
    ]
    judgement = judged(differing)
    assert judgement.verdict == "pass"
    assert judgement.shown["disagreement"]["mean"] == 1.0
    assert judgement.shown["confidence"]["mean"] == 0.0


def test_the_same_observations_give_the_same_judgement_however_often_it_was_asked_for():
    stream = list(calls(300, failing=0.02, worse=0.03))
    asked = Judge(Rollout(), TRIAL)
    for observation in stream:
        asked.observe(observation)
        if isinstance(observation, Pair) and observation.call.endswith("00"):
            asked.judgement()
    assert asked.judgement().as_json() == judged(stream).as_json()


def test_the_order_of_feedback_among_the_pairs_changes_nothing():
    stream = list(calls(300))
    apart = sorted(stream, key=lambda observation: isinstance(observation, Losses))
    assert judged(apart).as_json() == judged(stream).as_json()


def test_json_is_finite_and_small_even_where_the_evidence_is_beyond_a_float():
    judgement = judged(calls(2500, slower=0.2, feedback=0.1))
    text = json.dumps(judgement.as_json(), allow_nan=False)
    assert len(text) < 4000
    safety = json.loads(text)["metrics"]["latency"]["safety"]
    assert safety["e_value"] == pytest.approx(1e300)
    assert safety["log_e_value"] > 700
    assert tuple(json.loads(text)["metrics"]) == METRICS


def test_the_bounds_of_a_metric_that_passed_lie_under_its_limit_and_around_its_mean():
    for metric in judged(calls(1500)).metrics.values():
        assert metric.lower <= metric.mean <= metric.upper < metric.margin


def test_alpha_is_shared_by_three_metrics_in_three_stages_for_harm_and_by_none_for_a_pass():
    metric = judged(rollout=Rollout(alpha=0.1)).metrics["errors"]
    assert (metric.harm_threshold, metric.safety_threshold) == (pytest.approx(90.0), pytest.approx(10.0))


@pytest.mark.parametrize(
    "make", [lambda trial: next(calls(1, trial=trial)), lambda trial: list(calls(1, trial=trial))[1]]
)
def test_another_trials_observation_is_refused(make):
    other = Trial("nlu.topic", "ba9876543210", BASE, Stage.SHADOW, TRIAL.since)
    judge = Judge(Rollout(), TRIAL)
    with pytest.raises(FoundryError, match="is none of trial"):
        judge.observe(make(other))
    assert judge.calls == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1])
def test_a_side_pair_or_loss_that_is_no_number_is_refused_when_it_is_made(wrong):
    with pytest.raises(FoundryError, match="milliseconds can't be"):
        Side(wrong)
    with pytest.raises(FoundryError, match="confidence can't be"):
        Side(1.0, None, wrong)
    with pytest.raises(FoundryError, match="disagreement can't be"):
        Pair(TRIAL.id, "a", 0.0, Side(1.0), Side(1.0), wrong)
    with pytest.raises(FoundryError, match="loss can't be"):
        Losses(TRIAL.id, "a", 0.0, 0.0, wrong)
    with pytest.raises(FoundryError, match="moment in Unix seconds can't be"):
        Losses(TRIAL.id, "a", wrong, 0.0, 0.0)
