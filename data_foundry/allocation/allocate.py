"""Phase 3: one step per engine turns silver rows of all datasets into that engine's gold.

Planning needs no Arrow: what reads rows is imported when a step runs.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import Any

from data_foundry.allocation import assignments
from data_foundry.allocation.assignments import Memory
from data_foundry.allocation.findings import dataset_findings, engine_findings
from data_foundry.allocation.keys import (
    TRAINING_CONFIG,
    resolved_training,
    row_settings,
    rows_key,
    rule_sets,
    step_key,
)
from data_foundry.allocation.routing import USAGE, concerned, mismatch, usage
from data_foundry.config import Settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.report import Action, DatasetReport, EngineReport, Outcome, Step, StepResult, planned

log = logging.getLogger("data_foundry")


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return a step per engine; it waits while no selected dataset has silver, and takes what there is otherwise."""
    # Gold is made of all the silver there is: a run that was asked to do one dataset again must not drop the others.
    silver = {dataset: lake.readable(Layer.SILVER, dataset) for dataset in sorted(DATASET_REGISTRY)}
    faults = {dataset: fault for dataset in silver if (fault := lake.fault(Layer.SILVER, dataset))}
    inputs = {dataset: manifest.content_hash for dataset, manifest in silver.items() if manifest}
    missing = [dataset for dataset in _selected_datasets(settings) if not silver[dataset]]
    return [
        planned(_name(engine), engine, partial(_plan_engine, settings, lake, engine, inputs, missing, faults))
        for engine in _selected_engines(settings)
    ]


def _name(engine: AIEngine) -> str:
    return f"allocate {engine}"


def _plan_engine(
    settings: Settings, lake: Lake, engine: AIEngine, inputs: dict[str, str], missing: list[str], faults: dict[str, str]
) -> Step:
    previous = lake.manifest(Layer.GOLD, engine)
    for dataset, fault in faults.items():
        # Made without it, gold would lose the rows of a dataset that is only to be standardized again.
        served = previous is not None and _served(previous, dataset)
        if served or DATASET_REGISTRY[dataset].declared_engine == engine:
            raise FoundryError(fault)
    # What gold was made of last time, with what it remembered then, is what it would be made of again.
    before = previous.inputs.get(assignments.NOW) if previous else None
    # A dataset that served it nothing is no reason to make it again either.
    known = {dataset: previous.inputs[dataset] for dataset in faults if dataset in previous.inputs} if previous else {}
    memory = None
    as_made = _policy_as_made(settings, engine, previous)
    key = step_key(as_made, engine, inputs | known, before)
    if not previous or previous.key != key:
        same_rows = previous and previous.details.get("rows_key") == rows_key(settings, engine, inputs, before)
        memory = None if same_rows else assignments.remembered(lake, settings, engine)
        key = step_key(settings, engine, inputs, before if same_rows else memory.sha256 if memory else None)
    counts: dict[str, Any] = {}
    if not inputs:
        action, reason = Action.WAIT, f"waiting for phase2: none of {len(missing)} datasets is standardized"
    elif previous and previous.key == key:
        action, reason = Action.SKIP, f"its manifest matches (key {key[:8]})"
        if not _task_rows(previous):
            reason += "; " + _nothing_to_train_on(engine, previous)
        counts = previous.counts
    else:
        action, reason = Action.RUN, _why_run(previous, settings, engine, inputs)
        if missing:
            reason += f"; without {_some(missing)}: not standardized"
    return Step(
        name=_name(engine), key=key, action=action, reason=reason, subject=engine,
        payload={"inputs": inputs, "missing": missing, "memory": memory and asdict(memory)}, **counts,
    )  # fmt: skip


def _policy_as_made(settings: Settings, engine: AIEngine, previous: Manifest | None) -> Settings:
    """Return the settings with the policy for mismatches that gold was made under, where none concerns the engine."""
    if previous is None or concerned(engine, previous.details["routing"]):
        return settings
    policy = previous.settings.get("routing.on_mismatch", settings.routing.on_mismatch)
    return settings.model_copy(update={"routing": settings.routing.model_copy(update={"on_mismatch": policy})})


def run_step(settings: Settings, step: Step) -> StepResult:
    """Make one engine's gold. Raises FoundryError when silver changed since it was planned or can't be read."""
    lake, engine = Lake(settings), AIEngine(step.subject)
    inputs: dict[str, str] = step.payload["inputs"]
    for dataset, content in inputs.items():
        manifest = lake.manifest(Layer.SILVER, dataset)
        if manifest is None or manifest.content_hash != content:
            raise FoundryError(f"The silver data of {dataset} changed while phase 3 ran.", "Run phase 3 again.")
    previous = lake.manifest(Layer.GOLD, engine)
    memory = Memory(**found) if (found := step.payload["memory"]) else None
    before = previous.inputs.get(assignments.NOW) if previous else None
    if previous and not memory and previous.details.get("rows_key") == rows_key(settings, engine, inputs, before):
        manifest = _publish_configuration(lake, settings, engine, step.key, previous)
    else:
        from data_foundry.allocation.gold_set import make_gold

        manifest = make_gold(lake, settings, engine, inputs, step.payload["missing"], step.key, memory)
    for dataset, findings in dataset_findings([manifest], of_all=False).items():
        for finding in findings:
            log.warning("%s: %s", dataset, finding["message"])
    return StepResult(
        name=step.name,
        key=step.key,
        outcome=Outcome.DONE if _task_rows(manifest) else Outcome.REFUSED,
        reason=_summary(engine, manifest),
        rows_in=manifest.rows_in,
        rows_out=manifest.rows_out,
        rejected=manifest.rejected,
    )


def describe(settings: Settings, lake: Lake) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return what the manifests of gold say of each dataset (engines served, findings) and engine (rows, routing)."""
    found = {engine: lake.readable(Layer.GOLD, engine) for engine in ENGINES}
    manifests = [manifest for manifest in found.values() if manifest]
    findings = dataset_findings(manifests)
    datasets = {}
    for dataset in _selected_datasets(settings):
        routing = [m.details["routing"][dataset] for m in manifests if dataset in m.details["routing"]]
        if routing:
            served = [m.name for m in manifests if _served(m, dataset)]
            matrix = {engine: _cell(m, routing[0], engine, dataset) for engine, m in found.items()}
            more: dict[str, Any] = {"routing": matrix}
            datasets[dataset] = DatasetReport(
                status="allocated" if served else "not allocated",
                declared_engine=routing[0]["declared"],
                served_engines=served,
                findings=findings.get(dataset, []),
                **more,
            )
    engines = {str(engine): _describe_engine(engine, found[engine]) for engine in _selected_engines(settings)}
    return datasets, engines


def _describe_engine(engine: AIEngine, manifest: Manifest | None) -> EngineReport:
    metric = ENGINES[engine].primary_metric
    if manifest is None:
        return EngineReport(status="not allocated", primary_metric=metric)
    details = manifest.details
    more = {name: details[name] for name in ("splits", "licences", "phone_rows", "phone_without_audio")}
    more["routing"] = {
        dataset: {"rows": line["rows"], "declared": line["declared"], **_cell(manifest, line, engine, dataset)}
        for dataset, line in details["routing"].items()
    }
    more |= {"findings": engine_findings(manifest), "rejected": manifest.rejected}
    if not _task_rows(manifest):
        more |= {"reason": _nothing_to_train_on(engine, manifest)}
    status = "allocated" if _task_rows(manifest) else "refused"
    return EngineReport(status=status, rows=details["rows"], primary_metric=metric, **more)


def _cell(manifest: Manifest | None, line: dict[str, Any], engine: AIEngine, dataset: str) -> dict[str, Any]:
    """Return what the routing matrix says of a dataset and an engine; `used` is None where the engine has no gold."""
    known = manifest is not None and dataset in manifest.details["routing"]
    found = usage(engine, manifest.details, dataset) if manifest and known else dict.fromkeys(USAGE)
    return {**line["engines"][engine], **found}


def _served(manifest: Manifest, dataset: str) -> bool:
    return bool(manifest.details["used"].get(dataset) or manifest.details["domain"].get(dataset))


def _selected_datasets(settings: Settings) -> list[str]:
    return sorted(settings.datasets or DATASET_REGISTRY)


def _selected_engines(settings: Settings) -> list[AIEngine]:
    return [engine for engine in ENGINES if engine in settings.gold_engines]


def _publish_configuration(lake: Lake, settings: Settings, engine: AIEngine, key: str, previous: Manifest) -> Manifest:
    """Replace the training configuration beside rows that stay as they are."""
    from data_foundry.allocation.card import to_json

    with lake.commit(Layer.GOLD, engine, key) as commit:
        for file in previous.files:
            if file.path != TRAINING_CONFIG:
                commit.keep(file)
        commit.path(TRAINING_CONFIG).write_text(to_json(resolved_training(settings, engine)), encoding="utf-8")
        return commit.publish(
            inputs=previous.inputs,
            rule_sets=previous.rule_sets,
            settings=previous.settings,
            rows_in=previous.rows_in,
            rows_out=previous.rows_out,
            rejected=previous.rejected,
            details=previous.details,
        )


def _why_run(previous: Manifest | None, settings: Settings, engine: AIEngine, inputs: dict[str, str]) -> str:
    if previous is None:
        return "nothing there yet"
    reasons = []
    before = {dataset: content for dataset, content in previous.inputs.items() if dataset != assignments.NOW}
    changed = sorted(d for d in {*inputs, *before} if inputs.get(d) != before.get(d))
    if changed:
        reasons.append(f"the silver data changed ({_some(changed)})")
    for name, version in rule_sets(settings, engine).items():
        if previous.rule_sets.get(name) != version:
            reasons.append(f"rules {previous.rule_sets.get(name)} -> {version}")
    for name, value in row_settings(settings, engine).items():
        if previous.settings.get(name) != value:
            reasons.append(f"setting {name} changed ({previous.settings.get(name)} -> {value})")
    if previous.rows_out and not assignments.made_by(previous, settings):
        reasons.append("so the sides that rows were on are forgotten")
    return ", ".join(reasons) or "the training configuration, the engine's contract or the dataset registry changed"


def _summary(engine: AIEngine, manifest: Manifest) -> str:
    rows, details = manifest.details["rows"], manifest.details
    if not _task_rows(manifest):
        return _nothing_to_train_on(engine, manifest)
    sources = len(details["used"])
    text = ", ".join(f"{count} {split}" for split, count in rows.items())
    text = f"{text} rows from {sources} dataset{'s' if sources != 1 else ''}"
    if phone := sum(details["phone_rows"].values()):
        text += f", {phone} as heard on the phone"
    declared = {dataset: line for dataset, line in details["routing"].items() if line["declared"] == engine}
    mismatches = {dataset: finding for dataset, line in declared.items() if (finding := mismatch(dataset, line))}
    kept_out = [dataset for dataset in declared if not details["used"].get(dataset) and dataset not in mismatches]
    if kept_out:
        text += f"; declared for {engine} but serving nothing: {_some(kept_out)}"
    if details["missing"]:
        text += f"; without {_some(details['missing'])}: not standardized"
    changed = details["splits"]["changed"]["rows"]
    if changed:
        text += f"; {changed} rows changed sides"
    absent = [split for split, count in rows.items() if not count]
    if absent:
        text += f"; no rows for {' and '.join(absent)}"
    # Workers log to a file; a person reads this line.
    return "\n  ".join([text, *(f"{dataset}: {finding['message']}" for dataset, finding in mismatches.items())])


def _task_rows(manifest: Manifest) -> int:
    """Return how many rows serve the engine's task; text without a target alone is nothing to train it on."""
    return sum(manifest.details["used"].values())


def _nothing_to_train_on(engine: AIEngine, manifest: Manifest) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(manifest.rejected).most_common())
    text = f"no row can serve {engine}: {reasons or 'silver is empty'}"
    domain = sum(manifest.details["domain"].values())
    return text + (f"; {domain} rows of text without a target for its domain" if domain else "")


def _some(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
