"""The report of a replay: what a candidate's share of the replayed calls measured, and whether it lives.

Every figure stands with the number of calls that it rests on; what can't be measured is None with a reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.serving.agreement import COMPARISONS
from data_foundry.serving.trials.judgement import Judge
from data_foundry.serving.trials.trial import Losses, Pair, Trial

MAX_FAILED_SHARE = 0.5
"""A candidate that fails more than this share of its calls does harm; calls lost while it was down are failures too."""
DOWN = "candidate_down"
"""Why a call was dropped that came while the candidate could not answer, and found the queue full."""


@dataclass
class Replayed:
    """What a client saw of replayed calls: milliseconds of each answer's model, and refusals by reason.

    `counts` are the mirror's own.
    """

    calls: int = 0
    milliseconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    sent_as: Counter[str] = field(default_factory=Counter)
    counts: Mapping[str, Any] = field(default_factory=dict)


def shadow_report(
    spec: EngineSpec, trial: Trial, settings: Settings, replayed: Replayed, observations: Iterable[Pair | Losses]
) -> dict[str, Any]:
    """Return the report of a replay, JSON-like; milliseconds are of the model's work on one call.

    Both sides of a pair were timed in one process, one after the other; the times of all answers are the gateway's.
    """
    counts = replayed.counts
    pairs: list[Pair] = []
    losses: list[Losses] = []
    judge = Judge(settings.rollout, trial)
    for each in observations:
        judge.observe(each)
        if isinstance(each, Pair):
            pairs.append(each)
        else:
            losses.append(each)
    verdict, reason = liveness(counts)
    apart = [pair.disagreement for pair in pairs if pair.disagreement is not None]
    return {
        "calls": replayed.calls,
        "sent_as": dict(sorted(replayed.sent_as.items())),
        "answered_calls": len(replayed.milliseconds),
        "refused_calls": dict(sorted(replayed.refused.items())),
        "shadow_share": settings.deployment.shadow_share,
        "chosen": counts["chosen"],
        "mirrored": counts["mirrored"],
        "dropped": dict(counts["dropped"]),
        "candidate_answered": counts["answered"],
        "candidate_timed_out": counts["timed_out"],
        "candidate_errors": dict(counts["errors"]),
        "error_examples": list(counts["examples"]),
        "incumbent": {
            "version": trial.incumbent,
            "milliseconds": percentiles(replayed.milliseconds),
            "milliseconds_on_mirrored": percentiles(_times([pair.incumbent.milliseconds for pair in pairs])),
            "quality": _quality(spec, [each.incumbent for each in losses]),
        },
        "candidate": {
            "version": trial.candidate,
            "milliseconds": percentiles(_times([pair.candidate.milliseconds for pair in pairs])),
            "quality": _quality(spec, [each.candidate for each in losses]),
        },
        "agreement": {**_figure(spec, apart, "no mirrored call was answered"), "identical": apart.count(0.0)},
        "verdict": verdict,
        "reason": reason,
        "judgement": judge.judgement().as_json(),
    }


def liveness(counts: Mapping[str, Any]) -> tuple[str, str]:
    """Return pass, fail or inconclusive, and why, for what became of the mirrored calls."""
    down = counts["dropped"].get(DOWN, 0)
    others = sum(counts["dropped"].values()) - down
    dropped = f"; {others} dropped" if others else ""
    failed = counts["timed_out"] + sum(counts["errors"].values())
    mirrored = counts["mirrored"]
    if not mirrored + down:
        return (
            "inconclusive",
            f"no call reached the candidate ({counts['calls']} calls, {counts['chosen']} chosen{dropped})",
        )
    dropped = (f"; {down} lost while it was down" if down else "") + dropped
    if failed + down > MAX_FAILED_SHARE * (mirrored + down):
        return "fail", f"{failed} of {mirrored} mirrored calls failed ({_failures(counts)}){dropped}"
    return "pass", f"{counts['answered']} of {mirrored} mirrored calls answered{dropped}"


def is_lost(counts: Mapping[str, Any]) -> bool:
    """Say whether a candidate failed so many of the chosen calls that those that wait can't save it."""
    failed: int = counts["timed_out"] + sum(counts["errors"].values())
    return failed > MAX_FAILED_SHARE * counts["chosen"]


def percentiles(milliseconds: Sequence[float]) -> dict[str, Any]:
    """Return count, p50, p95, p99 and max by nearest rank, so each was measured; None with a reason for no times."""
    if not milliseconds:
        return {"count": 0, "p50": None, "p95": None, "p99": None, "max": None, "reason": "no call was measured"}
    ordered = sorted(milliseconds)
    ranks = {f"p{share}": ordered[math.ceil(share / 100 * len(ordered)) - 1] for share in (50, 95, 99)}
    return {"count": len(ordered), **{name: round(value, 3) for name, value in {**ranks, "max": ordered[-1]}.items()}}


def shadow_figures(report: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the headline figures of a shadow report, all None where none was measured; milliseconds are medians."""
    if report is None:
        names = ("mirrored", "answered", "agreement", "quality", "incumbent_quality", "ms", "incumbent_ms")
        return {f"shadow_{name}": None for name in names}
    candidate, incumbent = report["candidate"], report["incumbent"]
    agreement = report["agreement"]
    return {
        "shadow_mirrored": f"{report['mirrored']} of {report['calls']}",
        "shadow_answered": report["candidate_answered"],
        "shadow_agreement": _agreement(agreement["metric"], agreement["value"]),
        "shadow_quality": candidate["quality"]["value"],
        "shadow_incumbent_quality": incumbent["quality"]["value"],
        "shadow_ms": candidate["milliseconds"]["p50"],
        "shadow_incumbent_ms": incumbent["milliseconds"]["p50"],
    }


def _agreement(metric: str, value: float | None) -> str | None:
    """Return how far both versions' answers agree: by its metric's name alone it reads as how right one of them is."""
    if value is None:
        return None
    if metric == COMPARISONS["text-classification"].metric:
        return f"agree {100 * value:.0f} %"
    return f"{metric} between both {value:.3f}"


def _failures(counts: Mapping[str, Any]) -> str:
    kinds = {"timed out": counts["timed_out"], **counts["errors"]}
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()) if count) or "none"


def _times(sides: Iterable[float | None]) -> list[float]:
    return [milliseconds for milliseconds in sides if milliseconds is not None]


def _quality(spec: EngineSpec, losses: Sequence[float]) -> dict[str, Any]:
    if not COMPARISONS[spec.task].has_reference:
        return _figure(spec, [], "generated speech has no reference, token by token")
    return _figure(spec, losses, "no mirrored call was answered")


def _figure(spec: EngineSpec, apart: Sequence[float], otherwise: str) -> dict[str, Any]:
    """Return the mean over calls of a task's own metric, from how far off each answer was (0..1)."""
    comparison = COMPARISONS[spec.task]
    figure = {"metric": comparison.metric, "meaning": comparison.meaning, "value": None, "calls": len(apart)}
    if not apart:
        return {**figure, "reason": otherwise}
    mean = math.fsum(apart) / len(apart)
    return {**figure, "value": round(mean if comparison.lower_is_better else 1 - mean, 4)}
