"""Phase 4 as a whole: what `finetuning.adapt` trains and judges is registered and, if it passed, heard as a shadow.

A deployment ends in one of four ways, each with its reason in the registry and in the report: the version is in
shadow; it was refused by its gates; shadow testing is off; or it was taken back, because it did harm in the replay.
Where a gateway or a person moved the version meanwhile, that is the end of it: it is told, and not written over.
Nothing here puts a version in front of callers: that takes a person. Nor does anything here bring one back that a
person took back or that did harm: that takes a person's admission, or other weights.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from data_foundry.adapter_name import engine_of
from data_foundry.config import Settings
from data_foundry.engines.adapters import spec_of
from data_foundry.errors import FoundryError
from data_foundry.finetuning import adapt
from data_foundry.finetuning.versions.registry import Conflict, Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.finetuning.versions.version_files import version_hashes, write_json
from data_foundry.lake import Lake, Layer, Manifest, fingerprint
from data_foundry.report import Action, DatasetReport, EngineReport, Outcome, Step, StepResult, planned
from data_foundry.serving import replay
from data_foundry.serving.admission import (
    ACTOR,
    INCONCLUSIVE,
    MACHINES,
    REFUSED,
    admission_of,
    standing,
    taken_back,
    to_a_person,
    why_left,
)
from data_foundry.serving.registry_backup import back_up
from data_foundry.serving.standings import record_name

log = logging.getLogger("data_foundry")

PREFIX = "deploy "
RULES = {"shadow": "shadow-2"}
ANSWERING = (Stage.STAGING, Stage.PRODUCTION)


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return the training steps and, for each adapter, the deployment of what its training publishes."""
    steps = adapt.plan(settings, lake)
    registry = Registry(lake)
    return [
        *steps,
        *(planned(f"{PREFIX}{s.subject}", s.subject, partial(_planned, settings, lake, registry, s)) for s in steps),
    ]


def run_step(settings: Settings, step: Step) -> StepResult:
    """Train, or deploy, as the step's name says; a deployment ends with the registry's backup, if one is asked for."""
    if not step.name.startswith(PREFIX):
        return adapt.run_step(settings, step)
    result = _deploy(settings, step)
    back_up(Registry(Lake(settings)))
    return result


def describe(settings: Settings, lake: Lake) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return what training says of each adapter, with version, stage, reason and the measured shadow laid over it."""
    datasets, engines = adapt.describe(settings, lake)
    registry = Registry(lake)
    for step in adapt.plan(settings, lake):
        version = registry.version(step.subject, _version(step))
        if version is None or step.subject not in engines:
            continue
        report = engines[step.subject]
        record = lake.readable(Layer.MODELS, record_name(version.engine, version.version))
        details = record.details if record else {"decision": None, "shadow": None, "findings": []}
        left = taken_back(registry, version)
        decision = details["decision"]
        if left:
            decision = "rolled_back" if left.actor in MACHINES else "taken_back"
        kept_out = decision in (REFUSED, INCONCLUSIVE)
        admitted = admission_of(registry, version)
        extra = {
            "status": decision or report.status,
            "stage": version.stage.value,
            "version": version.version,
            "stage_since": version.stage_since,
            "reason": version.reason if kept_out else f"{report.reason}; {version.reason}",
            # What waits for a person was refused by nobody.
            "refusal": version.reason if decision == REFUSED else None,
            "admitted": admitted and {"by": admitted.actor, "at": admitted.at, "reason": admitted.reason},
            "decision": decision,
            **{name: details[name] for name in ("shadow", "findings")},
        }
        engines[step.subject] = EngineReport.model_validate({**report.model_dump(), **extra})
    return datasets, engines


def _planned(settings: Settings, lake: Lake, registry: Registry, training: Step) -> Step:
    engine, version = training.subject, _version(training)
    name = f"{PREFIX}{engine}"
    model = lake.manifest(Layer.MODELS, f"{engine}/{version}") if training.action is Action.SKIP else None
    if model is None and (nothing := _nothing(lake, training)):
        return Step(
            name=name,
            key=fingerprint([engine, "nothing to deploy"]),
            action=Action.SKIP,
            reason=f"nothing to deploy: {nothing}",
            subject=engine,
        )
    if model is None:
        return Step(
            name=name,
            key=fingerprint([engine, "no adapter yet"]),
            action=Action.WAIT,
            reason=training.reason
            if training.action is Action.WAIT
            else f"waiting for {training.name}: {training.reason}",
            subject=engine,
        )
    known = registry.version(engine, version)
    admitted = admission_of(registry, known, version_hashes(model)) if known else None
    key = _key(settings, model, _incumbent(registry, engine, version), admitted)
    action, reason = _due(settings, lake, model, known, key, admitted)
    payload = {"version": version}
    step = Step(name=name, key=key, action=action, reason=reason, subject=engine, payload=payload)
    record = lake.manifest(Layer.MODELS, record_name(engine, version))
    if action is Action.SKIP and record is not None:
        counts = {"rows_in": record.rows_in, "rows_out": record.rows_out, "rejected": record.rejected}
        step = step.model_copy(update=counts)
    return step


def _due(
    settings: Settings, lake: Lake, model: Manifest, known: Version | None, key: str, admitted: HistoryEntry | None
) -> tuple[Action, str]:
    """Return whether a deployment has to run, and why."""
    if known is None:
        return Action.RUN, "its adapter is not registered yet"
    if (known.artefact_hash, known.evaluation_hash) != version_hashes(model):
        return Action.RUN, "its adapter or evaluation is another than the registered one"
    if known.stage in ANSWERING:
        return Action.SKIP, to_a_person(known.stage, model)
    record = lake.manifest(Layer.MODELS, record_name(known.engine, known.version))
    left = taken_back(Registry(lake), known)
    # Its own rollback may have been cut off before its record.
    if left and (left.actor != ACTOR or (record and known.stage is Stage(record.details["stage"]))):
        return Action.SKIP, why_left(left)
    if record is None or left:
        return Action.RUN, "its deployment was not finished"
    if admitted and record.details.get("admission") != admitted.hash:
        return Action.RUN, admitted.reason
    if record.key != key:
        given = settings.deployment.model_dump(mode="json")
        changed = [f"deployment.{name}" for name, value in given.items() if record.settings.get(name) != value]
        return Action.RUN, f"setting {', '.join(changed)} changed" if changed else "what it is compared with changed"
    if known.stage is not Stage(record.details["stage"]):
        return Action.RUN, f"it is {known.stage} now ({known.reason})"
    return Action.SKIP, f"its record matches (key {key[:8]}); stage {known.stage}: {known.reason}"


def _deploy(settings: Settings, step: Step) -> StepResult:
    lake = Lake(settings)
    registry = Registry(lake)
    engine, name = step.subject, step.payload["version"]
    model = lake.manifest(Layer.MODELS, f"{engine}/{name}")
    if model is None:
        raise FoundryError(f"models/{engine}/{name} is gone since it was planned.", "Run phase 4 again.")
    artefact_hash, evaluation_hash = version_hashes(model)
    base = model.details["config"]["base"]
    version = registry.register(
        engine,
        name,
        artefact_hash=artefact_hash,
        evaluation_hash=evaluation_hash,
        base=base,
        base_revision=model.details["base_revision"],
        actor=ACTOR,
        reason=f"trained on {base}; gates: {model.details['verdict']}",
        evidence={"content_hash": model.content_hash, "training_key": model.key, "verdict": model.details["verdict"]},
    )
    if stays := _as_others_left_it(settings, lake, registry, step, version, model):
        return stays
    try:
        return _hear(settings, lake, registry, step, version, model)
    except Conflict:
        moved = registry.version(engine, name)
        stays = _as_others_left_it(settings, lake, registry, step, moved, model) if moved else None
        if stays is None:
            raise
        return stays.model_copy(update={"reason": f"moved while phase 4 tried it: {stays.reason}"})


def _as_others_left_it(
    settings: Settings, lake: Lake, registry: Registry, step: Step, version: Version, model: Manifest
) -> StepResult | None:
    """Return what to say of a version that answers callers or was taken back, None for one that phase 4 may move."""
    if version.stage in ANSWERING:
        said = to_a_person(version.stage, model)
        return StepResult(name=step.name, key=step.key, outcome=Outcome.DONE, reason=said)
    left = taken_back(registry, version)
    return _leave(settings, lake, step, version, left) if left else None


def _hear(
    settings: Settings, lake: Lake, registry: Registry, step: Step, version: Version, model: Manifest
) -> StepResult:
    """Let a version be heard, if its gates and the settings do; raises Conflict where somebody moved it meanwhile."""
    refused, why = standing(registry, version, model)
    if refused:
        version = _keep_out(registry, version, why, {"gates": model.details["gates"]})
        return _finish(settings, lake, step, version, refused, Outcome.REFUSED)
    if not settings.deployment.shadow_testing:
        reason = f"{why}, but deployment.shadow_testing is false: it hears no calls"
        version = _keep_out(registry, version, reason, {})
        return _finish(settings, lake, step, version, "not_tested", Outcome.DONE)
    report = _report_before_the_cut(registry, step, version)
    if report is not None:
        return _judge(settings, lake, registry, step, version, report)
    if version.stage is not Stage.SHADOW:
        reason = f"{why}; {step.reason}" if version.stage is not Stage.NONE else why
        evidence = {"artefact_hash": version.artefact_hash, "gates": model.details["gates"]}
        version = registry.transition(
            version.engine,
            version.version,
            Stage.SHADOW,
            actor=ACTOR,
            reason=reason,
            evidence=evidence,
            expected=version,
        )
    spec = spec_of(version.engine, model.details.get("task"))
    report = replay.replay_version(settings, lake, registry, spec, version)
    return _judge(settings, lake, registry, step, version, report)


def _report_before_the_cut(registry: Registry, step: Step, version: Version) -> dict[str, Any] | None:
    """Return what the replay measured where this very deployment was cut off after its verdict and before its record.

    Its version is not heard anew then: one that was taken back would enter the shadow and be taken back once more.
    """
    evidence = registry.history(version.engine, version.version)[-1].evidence
    return evidence["shadow"] if evidence.get("deployment") == step.key else None


def _leave(settings: Settings, lake: Lake, step: Step, version: Version, left: HistoryEntry) -> StepResult:
    """Leave a version as it is that was taken back; the record of a rollback for harm is written where it is not."""
    if left.actor != ACTOR:
        return StepResult(name=step.name, key=step.key, outcome=Outcome.REFUSED, reason=why_left(left))
    report = left.evidence.get("shadow")
    findings = [_finding("rolled_back", "error", report)] if report else []
    return _finish(settings, lake, step, version, "rolled_back", Outcome.REFUSED, report, findings)


def _keep_out(registry: Registry, version: Version, reason: str, evidence: Mapping[str, Any]) -> Version:
    """Leave a version out of the shadow, or take it out, and write down why."""
    if version.stage is Stage.SHADOW:
        return registry.transition(
            version.engine,
            version.version,
            Stage.RETIRED,
            actor=ACTOR,
            reason=reason,
            evidence=evidence,
            expected=version,
        )
    return registry.note(
        version.engine, version.version, actor=ACTOR, reason=reason, evidence=evidence, expected=version
    )


def _judge(
    settings: Settings, lake: Lake, registry: Registry, step: Step, version: Version, report: dict[str, Any]
) -> StepResult:
    """Act on what the replay measured: harm takes the version back, if that is enabled; a pass keeps it in shadow."""
    engine, name = version.engine, version.version
    evidence = {"deployment": step.key, "shadow": report}
    harm = report["verdict"] == "fail"
    if harm and settings.deployment.rollback_enabled:
        reason = f"rolled back: it did harm in the replay: {report['reason']}"
        to = Stage.ROLLED_BACK
        finding = _finding("rolled_back", "error", report)
        # Of one that answers callers by now, a person decides.
        version = registry.transition(engine, name, to, actor=ACTOR, reason=reason, evidence=evidence, expected=version)
        return _finish(settings, lake, step, version, "rolled_back", Outcome.REFUSED, report, [finding])
    findings = []
    if harm:
        reason = f"in shadow although it did harm, because deployment.rollback_enabled is false: {report['reason']}"
        findings.append(_finding("harm_not_rolled_back", "error", report))
    elif report["verdict"] == "inconclusive":
        reason = f"in shadow, not judged: {report['reason']}"
        findings.append(_finding("shadow_not_judged", "warning", report))
    else:
        reason = f"in shadow: {report['reason']}"
    # What took it out of the shadow while it was replayed says why it stands where it stands, not this.
    version = registry.note(engine, name, actor=ACTOR, reason=reason, evidence=evidence, expected=version)
    return _finish(settings, lake, step, version, "in_shadow", Outcome.DONE, report, findings)


def _finding(kind: str, severity: str, report: Mapping[str, Any]) -> dict[str, Any]:
    log.log(logging.ERROR if severity == "error" else logging.WARNING, "%s: %s", kind, report["reason"])
    return {
        "kind": kind,
        "severity": severity,
        "message": f"The shadow replay says {report['verdict']}: {report['reason']}.",
        "count": report["mirrored"] - report["candidate_answered"],
        "examples": report["error_examples"],
    }


def _finish(
    settings: Settings,
    lake: Lake,
    step: Step,
    version: Version,
    decision: str,
    outcome: Outcome,
    report: dict[str, Any] | None = None,
    findings: list[dict[str, Any]] | None = None,
) -> StepResult:
    """Publish the record of a deployment, the last act: what is killed before it runs again from the start."""
    calls = report["calls"] if report else 0
    refused = report["refused_calls"] if report else {}
    admitted = admission_of(Registry(lake), version)
    with lake.commit(Layer.MODELS, record_name(version.engine, version.version), step.key) as commit:
        if report:
            write_json(commit.path("shadow.json"), report)
        commit.publish(
            inputs={f"models/{version.engine}/{version.version}": version.artefact_hash},
            rule_sets=RULES,
            settings=settings.deployment.model_dump(mode="json"),
            rows_in=calls,
            rows_out=calls - sum(refused.values()),
            rejected=refused,
            details={
                "engine": version.engine,
                "version": version.version,
                "decision": decision,
                "stage": version.stage.value,
                "reason": version.reason,
                "admission": admitted.hash if admitted else None,
                "shadow": report,
                "findings": findings or [],
            },
        )
    return StepResult(
        name=step.name,
        key=step.key,
        outcome=outcome,
        reason=version.reason,
        rows_in=calls,
        rows_out=calls - sum(refused.values()),
        rejected=refused,
    )


def _nothing(lake: Lake, training: Step) -> str | None:
    """Return why no adapter will come of a training as things lie, None where one may."""
    if training.action is Action.SKIP:
        return training.reason
    engine = engine_of(training.subject)
    gold = lake.manifest(Layer.GOLD, engine)
    if gold is None:
        return None
    filled = {file.path.split("/")[0] for file in gold.files if file.rows}
    lacking = [split for split in ("train", "test") if split not in filled]
    return f"the gold of {engine} has no {' and no '.join(lacking)} rows" if lacking else None


def _incumbent(registry: Registry, engine: str, version: str) -> Version | None:
    """Return the version that answers callers now, or None: then the base does."""
    return next((v for v in registry.versions(engine, Stage.PRODUCTION) if v.version != version), None)


def _key(settings: Settings, model: Manifest, incumbent: Version | None, admitted: HistoryEntry | None) -> str:
    return fingerprint(
        {
            "adapter": version_hashes(model),
            "rules": RULES,
            "deployment": settings.deployment.model_dump(mode="json"),
            "incumbent": incumbent.artefact_hash if incumbent else None,
            "admission": admitted.hash if admitted else None,
        }
    )


def _version(training: Step) -> str:
    return training.key[:12]
