"""What the pipeline report says of one version: its figures with their intervals, without rows and bins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.finetuning.versions.version_files import summary
from data_foundry.lake import Manifest
from data_foundry.report import EngineReport, GateVerdict


def engine_report(spec: EngineSpec, manifest: Manifest) -> EngineReport:
    """Return the report of one version, from its manifest; what its evaluation does not hold is None or empty.

    `bias` is, for each dimension of slices, the gap between best and worst group; `phone` the figures through the phone
    channel; `speech` what was understood of spoken texts, where that was heard.
    """
    details = manifest.details
    evaluation, config = details["evaluation"], details["config"]
    figures = {
        "difference": evaluation["difference"],
        "relative_error_reduction": evaluation.get("relative_error_reduction"),
        "intervals": evaluation["intervals"],
        "scorer": evaluation["scorer"],
        "score": spec.score,
        "bias": bias(evaluation),
        "slices": evaluation.get("slices") or {},
        "calibration": calibration(evaluation),
        "speech": evaluation.get("speech"),
        "phone": phone_figures(details.get("phone")),
        "phone_note": details.get("phone_note"),
        "control": details["control"],
    }
    made = {
        "version": details["version"],
        "verdict": details["verdict"],
        "base_model": config["base"],
        "base_revision": details["base_revision"],
        "base_kind": details["base_kind"],
        "only": config.get("only", {}),
        "training": details["training"],
        "lineage": details.get("lineage"),
        "rejected": manifest.rejected,
        "refused_rows": details["refused_examples"],
    }
    return EngineReport(
        status="trained",
        rows=details["rows"],
        primary_metric=spec.primary_metric,
        base=evaluation["base"],
        adapted=evaluation["adapted"],
        gates=[GateVerdict.model_validate(gate) for gate in details["gates"]],
        reason=summary(details),
        **figures,
        **made,
    )


def bias(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gap between best and worst group by dimension, or why there is none."""
    slices: Mapping[str, Any] = evaluation.get("slices") or {}
    return {
        dimension: found["gap"] or {"not_measured": found.get("not_measured")} for dimension, found in slices.items()
    }


def calibration(evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return calibration error and Brier score of each model, None where there are no confidences."""
    found = evaluation.get("calibration")
    if not found:
        return None
    models = {name: part for name, part in found.items() if isinstance(part, Mapping)}
    return {name: {"ece": part["ece"], "brier": part["brier"]} for name, part in models.items()} | {
        "temperature": found.get("temperature")
    }


def phone_figures(phone: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return base, adapted and difference of every metric through the phone channel, and what the channel cost."""
    if not phone:
        return None
    names = (*phone["difference"], "intervals", "rows")
    figures = {which: {name: phone[which][name] for name in names} for which in ("base", "adapted")}
    kept = ("rows", "difference", "relative_error_reduction", "clean_to_phone", "intervals")
    return figures | {name: phone[name] for name in kept if name in phone}
