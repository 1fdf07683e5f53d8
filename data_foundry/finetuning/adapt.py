"""Phase 4, training: one step per engine turns its gold into an evaluated, judged LoRA adapter.

A version's name is the first 12 digits of its key. Settings of the gates are not part of the key: when they change,
the stored evaluation is judged again and nothing is trained.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import ENGINES, EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.gold_rows import check_columns
from data_foundry.finetuning.version_files import SPLITS, summary
from data_foundry.hub import model_folder, model_revision
from data_foundry.lake import Lake, Layer, Manifest, fingerprint, sha256_file
from data_foundry.records import AIEngine
from data_foundry.report import Action, DatasetReport, EngineReport, GateVerdict, Outcome, Step, StepResult, planned
from data_foundry.training_config import TrainingConfig, training_config

RULES = {"adapt": "adapt-1"}
# What these change is the verdict or the card, not the weights or the figures.
JUDGING = ("min_score", "max_base_regression", "min_test_rows", "licence", "why")


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return a step per engine; it waits while the engine has no gold."""
    return [
        planned(f"adapt {engine}", engine, partial(_plan_engine, settings, lake, engine))
        for engine in _selected(settings)
    ]


def run_step(settings: Settings, step: Step) -> StepResult:
    """Train, evaluate and judge one engine's adapter, or judge a stored evaluation again."""
    from data_foundry.finetuning.adapter import make_adapter

    lake, spec = Lake(settings), ENGINES[AIEngine(step.subject)]
    config = training_config(settings.training, spec.engine, spec.training)
    gold = lake.manifest(Layer.GOLD, spec.engine)
    if gold is None or _rows_hash(gold) != step.payload["gold"]:
        raise FoundryError(f"The gold of {spec.engine} changed while phase 4 ran.", "Run phase 4 again.")
    # The base comes first: one too large to hash for a plan has a revision from here on, and the key with it.
    model_folder(settings, config.base, config.revision)
    step = step.model_copy(update={"key": training_key(settings, spec, config, gold)})
    previous = lake.manifest(Layer.MODELS, _name(spec, step.key))
    if previous is not None and previous.key == step.key:
        if _judging_changes(settings, config, previous):
            return _judge_again(settings, lake, spec, config, step, previous)
        lake.back_up(Layer.MODELS, previous.name)
        return _result(step, previous)
    manifest = make_adapter(
        settings,
        lake,
        spec,
        config,
        step.key,
        inputs=_inputs(settings, config, gold),
        rule_sets=RULES,
        published={"trained_by": _trained_by(settings, config), "judged_by": _judged_by(settings, config)},
    )
    return _result(step, manifest)


def describe(settings: Settings, lake: Lake) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return what the current version of every engine was measured to do; gates and figures from its manifest."""
    engines = {}
    for step in plan(settings, lake):
        spec = ENGINES[AIEngine(step.subject)]
        manifest = lake.readable(Layer.MODELS, _name(spec, step.key)) if step.key else None
        if manifest is None:
            report = EngineReport(status="not trained", primary_metric=spec.primary_metric, reason=step.reason)
        else:
            report = engine_report(spec, manifest)
        engines[step.subject] = report
    return {}, engines


def engine_report(spec: EngineSpec, manifest: Manifest) -> EngineReport:
    """Return the report of one version."""
    details = manifest.details
    evaluation = details["evaluation"]
    return EngineReport(
        status="trained",
        rows=details["rows"],
        primary_metric=spec.primary_metric,
        base=evaluation["base"],
        adapted=evaluation["adapted"],
        gates=[GateVerdict.model_validate(gate) for gate in details["gates"]],
        reason=summary(details),
        **{"difference": evaluation["difference"], "control": details["control"], "verdict": details["verdict"]},
        **{"version": details["version"], "score": spec.score, "rejected": manifest.rejected},
        **{"base_model": details["config"]["base"], "base_revision": details["base_revision"]},
        **{"only": details["config"].get("only", {})},
        **{"base_kind": details["base_kind"], "training": details["training"], "scorer": evaluation["scorer"]},
        **{"intervals": evaluation["intervals"], "refused_rows": details["refused_examples"]},
    )


def training_key(settings: Settings, spec: EngineSpec, config: TrainingConfig, gold: Manifest) -> str:
    """Return the key of a version: gold rows, base, configuration, precision and the rules of this code."""
    return fingerprint({**_inputs(settings, config, gold), "settings": _trained_by(settings, config), "rules": RULES})


def _plan_engine(settings: Settings, lake: Lake, engine: AIEngine) -> Step:
    spec, name = ENGINES[engine], f"adapt {engine}"
    config = training_config(settings.training, engine, spec.training)
    check_columns(spec, config.only)
    gold = lake.manifest(Layer.GOLD, engine)
    if gold is None:
        waiting = f"waiting for phase3: the gold of {engine} is not allocated"
        return Step(name=name, key=fingerprint([engine]), action=Action.WAIT, reason=waiting, subject=engine)
    lacking = [split for split in ("train", "test") if not _rows_in(gold, split)]
    if lacking:
        waiting = f"waiting for phase3: the gold of {engine} has no {' and no '.join(lacking)} rows"
        return Step(name=name, key=fingerprint([engine]), action=Action.WAIT, reason=waiting, subject=engine)
    try:
        key = training_key(settings, spec, config, gold)
    except FoundryError as error:
        # The other engines can go on; this one's step will say it again, and fail.
        reason = f"its base can't be had: {error.message}"
        return Step(
            name=name,
            key=fingerprint([engine, config.base]),
            action=Action.RUN,
            reason=reason,
            subject=engine,
            payload={"gold": _rows_hash(gold)},
        )
    step = Step(name=name, key=key, action=Action.RUN, reason="", subject=engine, payload={"gold": _rows_hash(gold)})
    previous = lake.manifest(Layer.MODELS, _name(spec, key))
    if previous is None:
        return step.model_copy(update={"reason": _why_run(settings, lake, spec, config, gold)})
    changed = _judging_changes(settings, config, previous)
    if changed:
        return step.model_copy(
            update={"reason": f"setting {', '.join(changed)} changed: judged again, not trained again"}
        )
    if fault := lake.backup_fault(Layer.MODELS, previous.name):
        return step.model_copy(update={"reason": fault})
    reason = f"its manifest matches (key {key[:8]}); {summary(previous.details)}"
    return step.model_copy(update={"action": Action.SKIP, "reason": reason, **previous.counts})


def _why_run(settings: Settings, lake: Lake, spec: EngineSpec, config: TrainingConfig, gold: Manifest) -> str:
    earlier = [
        m for m in lake.manifests(Layer.MODELS) if m.name.startswith(f"{spec.engine}/") and "config" in m.details
    ]
    if not earlier:
        return "nothing there yet"
    inputs, trained_by = _inputs(settings, config, gold), _trained_by(settings, config)
    # The nearest of the earlier versions: the one with the fewest differences.
    reasons = [
        [
            *(f"the {name} changed" for name, value in inputs.items() if manifest.inputs.get(name) != value),
            *(f"setting {n} changed" for n, v in trained_by.items() if manifest.settings["trained_by"].get(n) != v),
            *(f"rules {manifest.rule_sets.get(n)} -> {v}" for n, v in RULES.items() if manifest.rule_sets.get(n) != v),
        ]
        for manifest in earlier
    ]
    fewest = sorted(reasons, key=lambda found: (len(found), found))[0]
    return ", ".join(fewest) or "its files are gone"


def _inputs(settings: Settings, config: TrainingConfig, gold: Manifest) -> dict[str, str]:
    return {"gold": _rows_hash(gold), "base": f"{config.base}@{model_revision(settings, config.base, config.revision)}"}


def _trained_by(settings: Settings, config: TrainingConfig) -> dict[str, Any]:
    values = config.model_dump(mode="json", exclude={*JUDGING, "base", "revision"})
    return {**values, "control": _control_hash(config), "mixed_precision": settings.training.mixed_precision}


def _control_hash(config: TrainingConfig) -> str | None:
    """Hash of the control rows that the configuration names: their content tells versions apart, not their place."""
    if config.control is None:
        return None
    file = Path(config.control)
    return sha256_file(file) if file.is_file() else "no such file"


def _judged_by(settings: Settings, config: TrainingConfig) -> dict[str, Any]:
    return {**config.model_dump(mode="json", include=set(JUDGING)), "gates.min_score": settings.gates.min_score}


def _judging_changes(settings: Settings, config: TrainingConfig, previous: Manifest) -> list[str]:
    judged_by = previous.settings["judged_by"]
    return [name for name, value in _judged_by(settings, config).items() if judged_by.get(name) != value]


def _rows_hash(gold: Manifest) -> str:
    """Hash of the rows alone: gold's card and its copy of the configuration don't make an adapter another one."""
    return fingerprint([(f.path, f.sha256) for f in gold.files if f.path.startswith(tuple(f"{s}/" for s in SPLITS))])


def _rows_in(gold: Manifest, split: str) -> int:
    return sum(file.rows or 0 for file in gold.files if file.path.startswith(f"{split}/"))


def _name(spec: EngineSpec, key: str) -> str:
    return f"{spec.engine}/{key[:12]}"


def _selected(settings: Settings) -> list[AIEngine]:
    return [engine for engine in ENGINES if not settings.engines or engine in settings.engines]


def _judge_again(
    settings: Settings, lake: Lake, spec: EngineSpec, config: TrainingConfig, step: Step, previous: Manifest
) -> StepResult:
    from data_foundry.finetuning.verdict import judged, write_verdict

    with lake.commit(Layer.MODELS, previous.name, step.key) as commit:
        for file in previous.files:
            if file.path not in ("evaluation.json", "README.md"):
                commit.keep(file)
        details = judged(settings, config, {**previous.details, "config": config.model_dump(mode="json")})
        write_verdict(commit, spec, details)
        manifest = commit.publish(
            inputs=previous.inputs,
            rule_sets=previous.rule_sets,
            settings={**previous.settings, "judged_by": _judged_by(settings, config)},
            rows_in=previous.rows_in,
            rows_out=previous.rows_out,
            rejected=previous.rejected,
            details=details,
        )
    return _result(step, manifest)


def _result(step: Step, manifest: Manifest) -> StepResult:
    return StepResult(
        name=step.name,
        key=step.key,
        outcome=Outcome.DONE,
        reason=summary(manifest.details),
        rows_in=manifest.rows_in,
        rows_out=manifest.rows_out,
        rejected=manifest.rejected,
    )
