"""False alarms, power and false promotions of the rollout's judgement, on simulated rollouts, looked at at every call.

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/serving/rollouts.py [--rollouts 1000] [--calls 20000] [--parts ...]

Parts: alarms, rules, power, bets, promotions, bound, defaults. Each prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.serving.canary_rules import DAY, failed_checks, mann_whitney, z_test
from benchmarks.serving.streams import METRICS, Scenario
from benchmarks.serving.wealths import Crossings, Floats, FollowingBets, Wealths
from data_foundry.serving.trials.judgement import LATENCY_SPAN, STAGES
from data_foundry.serving.trials.sequential import FRACTIONS
from data_foundry.serving_settings import Rollout

SEED = 7

PLAIN = Scenario("independent calls, 1 % fail, labels")
HARMLESS = (
    PLAIN,
    Scenario("rare errors: 0.1 % fail", error=0.001),
    Scenario("times without a variance (Pareto, index 1.2)", tail="pareto"),
    Scenario("bursts that both sides share", bursts="shared"),
    Scenario("transcripts' losses", losses="transcripts"),
)
AT_LIMIT = {
    "errors": Scenario("errors +1 point, just at the limit", added_error=0.01),
    "latency": Scenario("times x1.5, just at the limit", ratio=1.5),
    "quality": Scenario("labels +0.05 wrong, just at the limit", added_loss=0.05),
}
ALL_AT_LIMIT = (
    Scenario("all three just at their limits", added_error=0.01, ratio=1.5, added_loss=0.05),
    Scenario(
        "the same, rare errors, Pareto times, shared bursts",
        error=0.001,
        added_error=0.01,
        ratio=1.5,
        added_loss=0.05,
        losses="transcripts",
        tail="pareto",
        bursts="shared",
    ),
)
BROKEN = (
    Scenario(
        "outside the claim: bursts of one side alone, of 5 calls, 1 %", bursts="own", burst_calls=5, burst_share=0.01
    ),
    Scenario("outside the claim: the same, of 50 calls, 5 %", bursts="own"),
)
WORSE = (
    *(("errors", f"+{points} points", replace(PLAIN, added_error=points / 100)) for points in (1, 2, 5, 20)),
    *(("errors", f"stalls: {share:.0%} of calls x100", replace(PLAIN, stalls=share)) for share in (0.02, 0.05)),
    *(("latency", f"x{ratio:g}", replace(PLAIN, ratio=ratio)) for ratio in (1.2, 1.5, 1.6, 2, 3)),
    *(("quality", f"+{loss:g}, labels", replace(PLAIN, added_loss=loss)) for loss in (0.02, 0.05, 0.07, 0.1, 0.3)),
    *(
        ("quality", f"+{loss:g}, transcripts", replace(PLAIN, added_loss=loss, losses="transcripts"))
        for loss in (0.02, 0.07, 0.1, 0.3)
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args(argv)
    for part in given.parts:
        print(f"## {part}\n", flush=True)
        PARTS[part](given.rollouts, given.calls)
        print(flush=True)
    return 0


def watched(
    scenario: Scenario, streams: int, calls: int, rollout: Rollout, only: Sequence[str] = METRICS
) -> dict[str, Crossings]:
    """Return, by metric, when each stream of a scenario was called harmful and safe by the judgement's thresholds."""
    thresholds = (STAGES * len(METRICS) / rollout.alpha, 1 / rollout.alpha)
    limits = limits_of(rollout)
    tests = {name: Crossings(streams, limits[name], thresholds) for name in only}
    for block in scenario.blocks(np.random.default_rng(SEED), streams, calls):
        values = block.values(limits["latency"][2])
        for name, test in tests.items():
            test.add(values[name])
    return tests


def limits_of(rollout: Rollout) -> dict[str, tuple[float, float, float]]:
    """Return (low, limit, high) by metric, as the judgement has them."""
    ratio = math.log(rollout.max_latency_ratio)
    return {
        "errors": (-1.0, rollout.max_error_increase, 1.0),
        "latency": (ratio - LATENCY_SPAN, ratio, ratio + LATENCY_SPAN),
        "quality": (-1.0, rollout.max_quality_loss, 1.0),
    }


def alarms(rollouts: int, calls: int) -> None:
    """Harmless candidates: how many rollouts of three stages were taken back, and how many stages by each metric."""
    print(f"{rollouts} rollouts of {STAGES} stages of {calls} pairs; alpha {Rollout().alpha}\n")
    print("| candidate | rollouts taken back | by errors | latency | quality |\n|---|---|---|---|---|")
    for scenario in (*HARMLESS, *AT_LIMIT.values(), *ALL_AT_LIMIT, *BROKEN):
        tests = watched(scenario, rollouts * STAGES, calls, Rollout())
        taken = {name: (test.failed_after > 0).reshape(rollouts, STAGES).any(axis=1) for name, test in tests.items()}
        either = np.any(list(taken.values()), axis=0)
        print(
            f"| {scenario.name} | {_share(either)} | {' | '.join(_share(each) for each in taken.values())} |",
            flush=True,
        )


def rules(rollouts: int, calls: int) -> None:
    """Canary tools' rules and the e-process on the same pairs: errors and times, no difference and +5 points / x2."""
    print(f"{rollouts} rollouts of one stage of {calls} pairs, the same for every rule; median pairs until found\n")
    scenarios = (PLAIN, replace(PLAIN, error=0.001), replace(PLAIN, added_error=0.05, ratio=2.0))
    print("| rule | no difference, 1 % fail | no difference, 0.1 % fail | +5 points, times x2 |\n|---|---|---|---|")
    columns = [_by_rule(scenario, rollouts, calls) for scenario in scenarios]
    for rule in columns[0]:
        print(f"| {rule} | {_share(columns[0][rule])} | {_share(columns[1][rule])} | {_found(columns[2][rule])} |")


def _by_rule(scenario: Scenario, rollouts: int, calls: int) -> dict[str, Floats]:
    blocks = list(scenario.blocks(np.random.default_rng(SEED), rollouts, calls))
    failed = np.concatenate([block.failed for block in blocks], axis=2)
    logs = np.concatenate([block.log_times for block in blocks], axis=2)
    errors, ratios = failed[1] - failed[0], logs[1] - logs[0]
    judged = np.concatenate([block.values(limits_of(Rollout())["latency"][2])["errors"] for block in blocks], axis=1)
    times = np.exp(logs)
    found = {
        "errors: z-test at 5 %, looked at after each call": z_test(errors, 1),
        f"errors: z-test at 5 %, each {DAY} calls": z_test(errors, DAY),
        "errors: z-test at 5 %, once, at the end": z_test(errors, calls),
        "errors: Mann-Whitney as Kayenta, each day": mann_whitney(*failed),
        "errors: five intervals over 1 %, as Flagger": failed_checks(failed[1]),
        "errors: e-process, limit 0, alpha 5 %": _harm(errors, (-1.0, 0.0, 1.0), 20.0),
        "errors: **e-process as judged** (limit 1 point)": _harm(judged, limits_of(Rollout())["errors"], 180.0),
        "times: z-test at 5 %, looked at after each call": z_test(ratios, 1),
        f"times: z-test at 5 %, each {DAY} calls": z_test(ratios, DAY),
        "times: Mann-Whitney as Kayenta, each day": mann_whitney(*times),
        "times: e-process, limit x1, alpha 5 %": _harm(ratios, (-LATENCY_SPAN, 0.0, LATENCY_SPAN), 20.0),
        "times: **e-process as judged** (limit x1.5)": _harm(ratios, limits_of(Rollout())["latency"], 180.0),
    }
    return found


def _harm(values: Floats, limits: tuple[float, float, float], threshold: float) -> Floats:
    test = Crossings(len(values), limits, (threshold, math.inf))
    test.add(values)
    return test.failed_after


def power(rollouts: int, calls: int) -> None:
    """Stated regressions: how many were found, and after how many pairs (of quality: feedbacks)."""
    print(f"{rollouts} trials of {calls} pairs, {calls // 10} feedbacks\n")
    print(
        "| metric | the candidate's | taken back | values until then: median | 90 % | called safe |\n"
        "|---|---|---|---|---|---|"
    )
    for name, worse, scenario in WORSE:
        test = watched(scenario, rollouts, calls, Rollout(), [name])[name]
        print(
            f"| {name} | {worse} | {_share(test.failed_after)} | {_quantile(test.failed_after, 0.5)} | "
            f"{_quantile(test.failed_after, 0.9)} | {_share(test.passed_after)} |",
            flush=True,
        )


def bets(rollouts: int, calls: int) -> None:
    """Ways of betting on harm by errors: pairs until it is found, from the first call on and after 5,000 good ones."""
    good = 5000
    limits, stall = limits_of(Rollout())["errors"], limits_of(Rollout())["latency"][2]
    print(f"{rollouts} trials; median pairs of errors until +N points are found, within {calls} pairs\n")
    points = (2, 5, 20)
    heads = [f"+{each}{when}" for when in ("", f" after {good:,} good") for each in points]
    print(f"| bets | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    ways: dict[str, Callable[[], Wealths | FollowingBets]] = {
        "**mixture of fixed bets, with restarts**": lambda: Wealths(rollouts, restarts=True),
        "mixture of fixed bets": lambda: Wealths(rollouts, restarts=False),
        "aGRAPA": lambda: FollowingBets(rollouts, "agrapa"),
        "online Newton steps": lambda: FollowingBets(rollouts, "ons"),
    }
    for said, make in ways.items():
        cells = []
        for before in (0, good):
            for each in points:
                test = Crossings(rollouts, limits, (STAGES * len(METRICS) / Rollout().alpha, math.inf), make())
                rng = np.random.default_rng(SEED)
                for scenario, many in ((PLAIN, before), (replace(PLAIN, added_error=each / 100), calls)):
                    for block in scenario.blocks(rng, rollouts, many):
                        test.add(block.values(stall)["errors"])
                cells.append(_quantile(np.maximum(test.failed_after - before, 0), 0.5))
        print(f"| {said} | {' | '.join(cells)} |", flush=True)


def promotions(rollouts: int, calls: int) -> None:
    """Candidates at or over one limit, good otherwise: how many a stage would have let on at some look."""
    print(f"{rollouts} trials of {calls} pairs; let on at any look, of each metric and by all three together\n")
    print("| candidate | let on | errors | latency | quality |\n|---|---|---|---|---|")
    over = (
        Scenario("errors +1.5 points", added_error=0.015),
        Scenario("times x1.6", ratio=1.6),
        Scenario("labels +0.07 wrong", added_loss=0.07),
    )
    for scenario in (PLAIN, *AT_LIMIT.values(), *ALL_AT_LIMIT, *over):
        tests = watched(scenario, rollouts, calls, Rollout())
        # A failure ends the trial, so only what passed before it can be let on.
        ended = np.min(
            [np.where(t.failed_after, t.failed_after * _pairs(n), calls + 1) for n, t in tests.items()], axis=0
        )
        passed = {n: np.where(t.passed_after, t.passed_after * _pairs(n), calls + 1) for n, t in tests.items()}
        let_on = np.max(list(passed.values()), axis=0) < np.minimum(ended, calls + 1)
        print(
            f"| {scenario.name} | {_share(let_on)} | {' | '.join(_share(t.passed_after) for t in tests.values())} |",
            flush=True,
        )


def bound(rollouts: int, calls: int) -> None:
    """The most pairs until harm is found, whatever was before: computed, not drawn."""
    rollout = Rollout()
    threshold = STAGES * len(METRICS) / rollout.alpha
    error = _gains(limits_of(rollout)["errors"], [1.0])
    half = _gains(limits_of(rollout)["errors"], [0.0, 1.0])
    quarter = _gains(limits_of(rollout)["errors"], [0.0, 0.0, 0.0, 1.0])
    slow = {ratio: _gains(limits_of(rollout)["latency"], [math.log(ratio)]) for ratio in (2, 3, 10)}
    rows = {
        "fails every call": error,
        "fails every second call": half,
        "fails every fourth call": quarter,
        **{f"is {ratio} times slower in every call": gains for ratio, gains in slow.items()},
    }
    before = (0, 200, 10_000, 1_000_000, 10_000_000)
    print(f"| the candidate | {' | '.join(f'after {count:,}' for count in before)} |\n|---|{'---|' * len(before)}")
    for worse, gains in rows.items():
        print(f"| {worse} | {' | '.join(str(most_calls(gains, threshold, count)) for count in before)} |")


def most_calls(gains: Sequence[float], threshold: float, before: int) -> int:
    """Return after how many more values harm is found at the latest, when they gain as told, over and over.

    What was won and lost in the `before` values does not enter: only what is laid out from then on is counted.
    """
    kept = 0.5 / math.log2(before + 1) if before else 1.0
    wealths = [0.0] * len(FRACTIONS)
    for call in range(1, 1_000_000):
        left = 0.5 / math.log2(before + call + 1)
        laid, kept = (kept - left) / len(FRACTIONS), left
        gain = gains[(call - 1) % len(gains)]
        wealths = [(wealth + laid) * (1 + share * gain) for share, wealth in zip(FRACTIONS, wealths, strict=True)]
        if sum(wealths) + kept >= threshold:
            return call
    raise ValueError(f"harm with gains {gains} is not found in a million values")


def _gains(limits: tuple[float, float, float], values: Sequence[float]) -> list[float]:
    low, limit, high = limits
    return [(min(max(value, low), high) - limit) / (limit - low) for value in values]


def defaults(rollouts: int, calls: int) -> None:
    """What other limits would cost: pairs until an equal candidate passes, and until a stated regression is found."""
    print(
        "| limit | an equal candidate passes: median | 90 % | regression | found: median | 90 % |\n"
        "|---|---|---|---|---|---|"
    )
    tried: tuple[tuple[str, str, Sequence[float], Mapping[str, float], str], ...] = (
        ("errors", "max_error_increase", (0.005, 0.01, 0.02, 0.03), {"added_error": 0.05}, "+5 points"),
        ("latency", "max_latency_ratio", (1.2, 1.5, 2.0), {"ratio": 2.0}, "x2"),
        ("quality", "max_quality_loss", (0.02, 0.03, 0.05, 0.1), {"added_loss": 0.1}, "+0.1"),
    )
    for name, setting, limits, worse, said in tried:
        for limit in limits:
            rollout = Rollout.model_validate({setting: limit})
            equal = watched(PLAIN, rollouts, calls, rollout, [name])[name].passed_after
            found = watched(replace(PLAIN, **worse), rollouts, calls, rollout, [name])[name].failed_after
            cells = [_quantile(each, share) for each in (equal, found) for share in (0.5, 0.9)]
            print(f"| {setting} {limit} | {cells[0]} | {cells[1]} | {said} | {cells[2]} | {cells[3]} |", flush=True)


def _pairs(name: str) -> int:
    return 10 if name == "quality" else 1


def _share(found: Floats) -> str:
    return f"{np.mean(np.asarray(found) > 0):.1%}"


def _found(after: Floats) -> str:
    return f"{_share(after)}, {_quantile(after, 0.5)}"


def _quantile(after: Floats, share: float) -> str:
    """A quantile over all streams, those never found being later than any; "-" where it is one of them."""
    value = np.sort(np.where(after > 0, after, np.iinfo(int).max))[math.ceil(share * len(after)) - 1]
    return "-" if value == np.iinfo(int).max else f"{value:,}"


PARTS = {
    "alarms": alarms,
    "rules": rules,
    "power": power,
    "bets": bets,
    "promotions": promotions,
    "bound": bound,
    "defaults": defaults,
}


if __name__ == "__main__":
    raise SystemExit(main())
