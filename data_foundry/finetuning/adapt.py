"""Phase 4, training: one step per adapter, an engine's or a variant's, turns gold into an evaluated, judged adapter.

A version's name is the first 12 digits of its key, and the key is of what changes its weights or its figures: the rows
that it is made of, its base, its configuration and the rules of this code. Settings of the gates are not part of it:
when they change, the stored evaluation is judged again and nothing is trained.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.engines.adapters import adapters, selected
from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.gold_rows import check_columns
from data_foundry.finetuning.rules import RULES
from data_foundry.finetuning.selection import Selection, choose_rows, known_selection, rows_hash
from data_foundry.finetuning.training.journal import training_run
from data_foundry.finetuning.versions.version_files import GATE_RULES, summary
from data_foundry.finetuning.versions.version_report import engine_report
from data_foundry.hub import model_folder, model_revision
from data_foundry.lake import Lake, Layer, Manifest, fingerprint, sha256_file
from data_foundry.records import AIEngine
from data_foundry.report import Action, DatasetReport, EngineReport, Outcome, Step, StepResult, planned
from data_foundry.training_config import JUDGING, OPERATING, deciding

log = logging.getLogger("data_foundry")


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return a step per adapter; it waits while its engine has no gold, and is left out where its rows are too few."""
    return [
        planned(f"adapt {name}", name, partial(_plan_adapter, settings, lake, spec))
        for name, spec in selected(settings.training, settings.engines).items()
    ]


def run_step(settings: Settings, step: Step) -> StepResult:
    """Train, evaluate and judge one adapter, or judge a stored evaluation again."""
    from data_foundry.finetuning.adapter import make_adapter

    lake, spec = Lake(settings), selected(settings.training, ())[step.subject]
    gold = lake.manifest(Layer.GOLD, spec.engine)
    if gold is None or rows_hash(gold) != step.payload["gold"]:
        raise FoundryError(f"The gold of {spec.engine} changed while phase 4 ran.", "Run phase 4 again.")
    selection = choose_rows(lake, spec, gold)
    if reason := _not_trained(spec, selection):
        return StepResult(name=step.name, key=step.key, outcome=Outcome.DONE, reason=reason)
    _bring_models(settings, spec)
    inputs = _inputs(settings, spec, selection)
    step = step.model_copy(update={"key": training_key(settings, spec, inputs)})
    previous = lake.manifest(Layer.MODELS, _name(spec, step.key))
    if previous is not None and previous.key == step.key:
        if _judging_changes(settings, spec, previous):
            return _judge_again(settings, lake, spec, step, previous)
        lake.back_up(Layer.MODELS, previous.name)
        return _result(step, previous, "not trained again: the rows that it is made of are as they were; ")
    manifest = make_adapter(
        settings,
        lake,
        spec,
        spec.training,
        step.key,
        inputs=inputs,
        rule_sets=RULES,
        published={"trained_by": _trained_by(settings, spec), "judged_by": _judged_by(settings, spec)},
    )
    return _result(step, manifest)


def describe(settings: Settings, lake: Lake) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return what the current version of every adapter was measured to do; gates and figures from its manifest."""
    engines = {}
    specs = selected(settings.training, settings.engines)
    for step in plan(settings, lake):
        spec = specs[step.subject]
        manifest = lake.readable(Layer.MODELS, _name(spec, step.key)) if step.key else None
        if manifest is None:
            report = EngineReport(status="not trained", primary_metric=spec.primary_metric, reason=step.reason)
        else:
            report = engine_report(spec, manifest)
            # What it took to train, where that happened on this machine.
            run = training_run(settings.base_path, manifest.name.replace("/", "-"))
            report = report.model_copy(update={"training_run": run})
        engines[step.subject] = report
    return {}, engines


def training_key(settings: Settings, spec: EngineSpec, inputs: Mapping[str, str]) -> str:
    """Return the key of a version: rows and base (`inputs`), configuration, precision and the rules of this code."""
    return fingerprint({**inputs, "settings": _trained_by(settings, spec), "rules": RULES})


def _plan_adapter(settings: Settings, lake: Lake, spec: EngineSpec) -> Step:
    config = spec.training
    check_columns(spec, config.only)
    gold = lake.manifest(Layer.GOLD, spec.engine)
    blank = Step(
        name=f"adapt {spec.name}", key=fingerprint([spec.name]), action=Action.WAIT, reason="", subject=spec.name
    )
    if gold is None:
        return blank.model_copy(update={"reason": f"waiting for phase3: the gold of {spec.engine} is not allocated"})
    lacking = [split for split in ("train", "test") if not _rows_in(gold, split)]
    if lacking:
        reason = f"waiting for phase3: the gold of {spec.engine} has no {' and no '.join(lacking)} rows"
        return blank.model_copy(update={"reason": reason})
    step = blank.model_copy(update={"action": Action.RUN, "payload": {"gold": rows_hash(gold)}})
    selection = known_selection(lake, spec, gold)
    if selection is not None and (too_few := _not_trained(spec, selection)):
        return step.model_copy(update={"action": Action.SKIP, "reason": too_few})
    # Where something can't be had, the other adapters can go on; this one's step will say it again, and fail.
    no_key = fingerprint([spec.name, config.base])
    try:
        inputs = _inputs(settings, spec, selection)
    except FoundryError as error:
        return step.model_copy(update={"key": no_key, "reason": f"its base can't be had: {error.message}"})
    try:
        _control_hash(spec)
    except FoundryError as error:
        return step.model_copy(update={"key": no_key, "reason": error.message})
    # Without a look at the rows there is no key yet, and so no version of it.
    step = step.model_copy(update={"key": training_key(settings, spec, inputs)} if selection else {})
    previous = lake.manifest(Layer.MODELS, _name(spec, step.key))
    if previous is None:
        return step.model_copy(update={"reason": _why_run(settings, lake, spec, inputs)})
    changed = _judging_changes(settings, spec, previous)
    if changed:
        return step.model_copy(
            update={"reason": f"setting {', '.join(changed)} changed: judged again, not trained again"}
        )
    if fault := lake.backup_fault(Layer.MODELS, previous.name):
        return step.model_copy(update={"reason": fault})
    reason = f"its manifest matches (key {step.key[:8]}); {summary(previous.details)}"
    return step.model_copy(update={"action": Action.SKIP, "reason": reason, **previous.counts})


def _not_trained(spec: EngineSpec, selection: Selection) -> str | None:
    """Return why an adapter is not to be had from these rows, or None; an engine with none left fails by itself."""
    lacks = selection.lacks(spec)
    return f"not trained: {lacks}" if lacks and (spec.variant or spec.training.min_train_rows > 1) else None


def _why_run(settings: Settings, lake: Lake, spec: EngineSpec, inputs: Mapping[str, str]) -> str:
    trained_by = _trained_by(settings, spec)
    earlier = [m for m in lake.manifests(Layer.MODELS) if m.name.startswith(f"{spec.name}/") and "config" in m.details]
    if not earlier:
        return "nothing there yet"
    reasons = []
    for manifest in earlier:
        settled = [name for name, value in trained_by.items() if manifest.settings["trained_by"].get(name) != value]
        changed = [name for name, value in inputs.items() if manifest.inputs.get(name) != value]
        if "only" in settled:
            # Other rows were asked for, so their hash says nothing of the gold.
            changed = [name for name in changed if name != "gold"]
        reasons.append(
            [
                *(f"the {name} changed" for name in changed),
                *(f"setting {name} changed" for name in settled),
                *(
                    f"rules {known} -> {rule}"
                    for n, rule in RULES.items()
                    if (known := manifest.rule_sets.get(n)) != rule
                ),
            ]
        )
    # The nearest of the earlier versions: the one with the fewest differences.
    return ", ".join(sorted(reasons, key=lambda found: (len(found), found))[0]) or "its files are gone"


def _inputs(settings: Settings, spec: EngineSpec, selection: Selection | None) -> dict[str, str]:
    """Return what a version is made of; rows that nobody looked at yet are like no others."""
    config = spec.training
    base = f"{config.base}@{model_revision(settings, config.base, config.revision)}"
    found = {"gold": selection.hash if selection else "not known yet", "base": base}
    for name, (repo_id, pinned) in _listeners(settings, spec).items():
        try:
            found[name] = f"{repo_id}@{model_revision(settings, repo_id, pinned)}"
        except FoundryError:
            # The speech is then not heard, and the version says why.
            found[name] = f"{repo_id}, which can't be had"
    return found


def _listeners(settings: Settings, spec: EngineSpec) -> dict[str, tuple[str, str | None]]:
    """Return the models, and their pinned revisions, by which generated speech is decoded and transcribed."""
    config = spec.training
    if spec.task != "text-to-codes" or not config.speech_codec or not config.speech_rows:
        return {}
    transcriber = adapters(settings.training)[AIEngine.STT].training
    return {"codec": (config.speech_codec, None), "transcriber": (transcriber.base, transcriber.revision)}


def _bring_models(settings: Settings, spec: EngineSpec) -> None:
    """Bring the models that a version is made of, before its key is: only now is known which commit a ref stands at.

    And one too large to hash for a plan has a revision from here on.
    """
    model_folder(settings, spec.training.base, spec.training.revision)
    for repo_id, pinned in _listeners(settings, spec).values():
        try:
            model_folder(settings, repo_id, pinned)
        except FoundryError as error:
            log.warning("%s: its speech will not be heard: %s", spec.name, error.message)


def _trained_by(settings: Settings, spec: EngineSpec) -> dict[str, Any]:
    values = deciding(spec.training, without=(*JUDGING, *OPERATING, "base", "revision"))
    more = {"task": spec.task, "mixed_precision": settings.training.mixed_precision}
    return {**values, **more, "control": _control_hash(spec)}


def _control_hash(spec: EngineSpec) -> str | None:
    """Hash of the control rows that the configuration names: their content tells versions apart, not their place.

    Raises FoundryError for a file that is not there.
    """
    control = spec.training.control
    if control is None:
        return None
    try:
        return sha256_file(Path(control))
    except OSError as error:
        raise FoundryError(
            f"{spec.configured_at}.control {control} can't be read: {error.strerror}.",
            "Name a Parquet file of the base's own domain, or leave it out.",
        ) from None


def _judged_by(settings: Settings, spec: EngineSpec) -> dict[str, Any]:
    values = spec.training.model_dump(mode="json", include=set(JUDGING))
    return {**values, "gates.min_score": settings.gates.min_score, "gates.rules": GATE_RULES}


def _judging_changes(settings: Settings, spec: EngineSpec, previous: Manifest) -> list[str]:
    judged_by = previous.settings["judged_by"]
    return [name for name, value in _judged_by(settings, spec).items() if judged_by.get(name) != value]


def _rows_in(gold: Manifest, split: str) -> int:
    return sum(file.rows or 0 for file in gold.files if file.path.startswith(f"{split}/"))


def _name(spec: EngineSpec, key: str) -> str:
    return f"{spec.name}/{key[:12]}"


def _judge_again(settings: Settings, lake: Lake, spec: EngineSpec, step: Step, previous: Manifest) -> StepResult:
    from data_foundry.finetuning.versions.verdict import judged, write_verdict

    # What it was trained by stays as it was recorded, beside what it is judged by today.
    judging = spec.training.model_dump(mode="json", include=set(JUDGING))
    config = {**previous.details["config"], **judging}
    with lake.commit(Layer.MODELS, previous.name, step.key) as commit:
        for file in previous.files:
            if file.path not in ("evaluation.json", "README.md"):
                commit.keep(file)
        details = judged(settings, spec, spec.training, {**previous.details, "config": config})
        write_verdict(commit, spec, details)
        manifest = commit.publish(
            inputs=previous.inputs,
            rule_sets=previous.rule_sets,
            settings={**previous.settings, "judged_by": _judged_by(settings, spec)},
            rows_in=previous.rows_in,
            rows_out=previous.rows_out,
            rejected=previous.rejected,
            details=details,
        )
    return _result(step, manifest)


def _result(step: Step, manifest: Manifest, first: str = "") -> StepResult:
    return StepResult(
        name=step.name,
        key=step.key,
        outcome=Outcome.DONE,
        reason=first + summary(manifest.details),
        rows_in=manifest.rows_in,
        rows_out=manifest.rows_out,
        rejected=manifest.rejected,
    )
