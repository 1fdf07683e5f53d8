"""The shadow measured: held-out calls replayed through the gateway, and what came of the mirrored ones.

Every figure is measured on this machine in this run and stands with the number of calls it rests on; what can't be
measured is None with a reason. The verdict judges liveness alone: whether the candidate answers what it is asked. With
no mirrored call there is nothing to judge, and the verdict is inconclusive.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_foundry.config import Deployment
from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.serving.agreement import agreement_of, quality_of
from data_foundry.serving.gateway import Answer, Gateway, MirroredCall, Predictor, Row, ShadowCounts

MAX_FAILED_SHARE = 0.5
"""A candidate that fails more than this share of its calls does harm; calls lost while it hung are failures too."""


def replay(
    calls: Iterable[tuple[str, Row]],
    spec: EngineSpec,
    *,
    predictor: Predictor,
    incumbent: str | None,
    shadow_predictor: Predictor,
    candidate: str,
    deployment: Deployment,
    key: bytes,
) -> dict[str, Any]:
    """Put calls (id, gold row) through a gateway one after the other and return the shadow report, JSON-like.

    Milliseconds are of the model's work on one call. Rows keep their references, which no model reads: they serve to
    measure both answers of a mirrored call. A row that the base can't take is counted with its reason; whatever else
    the incumbent raises is raised.
    """
    pairs: list[MirroredCall] = []
    answers: list[Answer] = []
    refused: Counter[str] = Counter()
    rows: dict[str, Row] = {}
    total = 0
    with Gateway(
        predictor,
        incumbent=incumbent,
        candidate=candidate,
        shadow_predictor=shadow_predictor,
        shadow_share=deployment.shadow_share,
        key=key,
        queue_size=deployment.shadow_queue_size,
        timeout_seconds=deployment.shadow_timeout_seconds,
        observe=pairs.append,
    ) as gateway:
        for call_id, row in calls:
            total += 1
            try:
                answer = gateway.answer(call_id, row)
            except FoundryError:
                refusal = predictor.why_not(row)
                if refusal is None:
                    raise
                refused[refusal.reason] += 1
                continue
            answers.append(answer)
            if answer.mirrored:
                rows[call_id] = row
        gateway.drain(deployment.shadow_timeout_seconds * (deployment.shadow_queue_size + 1))
    counts = gateway.counts
    verdict, reason = liveness(counts)
    answered = [(rows[pair.call_id], pair.incumbent, pair.candidate) for pair in pairs if pair.candidate is not None]
    return {
        "calls": total,
        "answered_calls": len(answers),
        "refused_calls": dict(sorted(refused.items())),
        "shadow_share": deployment.shadow_share,
        "chosen": counts.chosen,
        "mirrored": counts.mirrored,
        "dropped": dict(sorted(counts.dropped.items())),
        "candidate_answered": counts.answered,
        "candidate_timed_out": counts.timed_out,
        "candidate_errors": dict(sorted(counts.errors.items())),
        "error_examples": list(counts.examples),
        "incumbent": {
            "version": incumbent or "base",
            "milliseconds": percentiles([answer.milliseconds for answer in answers]),
            "milliseconds_on_mirrored": percentiles([pair.incumbent.milliseconds for pair in pairs]),
            "quality": quality_of(spec, [(row, heard.output) for row, heard, _ in answered]),
        },
        "candidate": {
            "version": candidate,
            "milliseconds": percentiles([unheard.milliseconds for _, _, unheard in answered]),
            "quality": quality_of(spec, [(row, unheard.output) for row, _, unheard in answered]),
        },
        "agreement": agreement_of(spec, [(row, heard.output, unheard.output) for row, heard, unheard in answered]),
        "verdict": verdict,
        "reason": reason,
    }


def liveness(counts: ShadowCounts) -> tuple[str, str]:
    """Return pass, fail or inconclusive, and why, for what became of the mirrored calls."""
    lost = counts.dropped["candidate_overdue"]
    others = counts.dropped.total() - lost
    dropped = f"; {others} dropped" if others else ""
    if not counts.mirrored:
        return "inconclusive", f"no call reached the candidate ({counts.calls} calls, {counts.chosen} chosen{dropped})"
    dropped = (f"; {lost} lost while it was overdue" if lost else "") + dropped
    if counts.failed + lost > MAX_FAILED_SHARE * (counts.mirrored + lost):
        return "fail", f"{counts.failed} of {counts.mirrored} mirrored calls failed ({_failures(counts)}){dropped}"
    return "pass", f"{counts.answered} of {counts.mirrored} mirrored calls answered{dropped}"


def _failures(counts: ShadowCounts) -> str:
    kinds = {"timed out": counts.timed_out, **counts.errors}
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()) if count) or "none"


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
        "shadow_agreement": None if agreement["value"] is None else f"{agreement['metric']} {agreement['value']:.3f}",
        "shadow_quality": candidate["quality"]["value"],
        "shadow_incumbent_quality": incumbent["quality"]["value"],
        "shadow_ms": candidate["milliseconds"]["p50"],
        "shadow_incumbent_ms": incumbent["milliseconds"]["p50"],
    }
