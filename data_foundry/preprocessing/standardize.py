"""Phase 2: raw datasets to silver, one step per dataset, streamed, with every row accounted for.

`rows in` counts raw rows; a recording that is cut counts as its pieces, so that rows in = rows out + rejected holds and
each piece has its own fate. `pieces_added_by_cutting` in the metrics leads back to raw rows.
"""

from __future__ import annotations

from typing import Any

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import DATASET_REGISTRY, dataset_entry
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer, Manifest, fingerprint
from data_foundry.preprocessing import TEXT_RULES
from data_foundry.report import Action, DatasetReport, EngineReport, Outcome, Step, StepResult

STANDARDIZE_RULES = "standardize-2"
"""Version of everything here but the text rules that decides what a silver row is: gates, cutting, codecs, columns."""
RULE_SETS = {"standardize": STANDARDIZE_RULES, "text": TEXT_RULES}

# Where raw keeps the files of the dataset's repository, below the dataset's folder in the lake.
_FILES = "files/"
# What of a registry entry decides the rows; notes, traps and priorities do not.
_ENTRY_FIELDS = {
    "repo_id", "layout", "roles", "required", "labels", "splits", "headerless_columns", "quoted", "ratio_policy",
    "direction", "codec",
}  # fmt: skip


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return one step per selected dataset, whether its raw data is there yet or not."""
    return [_step(settings, lake, dataset_entry(name)) for name in settings.datasets or DATASET_REGISTRY]


def run_step(settings: Settings, step: Step) -> StepResult:
    """Standardize one dataset and publish its silver. Raises FoundryError, after which nothing is published."""
    from data_foundry.preprocessing.metrics import SilverMetrics
    from data_foundry.preprocessing.readers import read_rows
    from data_foundry.preprocessing.silver_files import SilverFiles
    from data_foundry.preprocessing.utterance import Standardizer

    lake = Lake(settings)
    entry = dataset_entry(step.subject)
    raw = lake.manifest(Layer.RAW, entry.repo_id)
    if raw is None:
        raise FoundryError(f"{entry.repo_id} is not ingested.", "Run phase 1 for it.")
    lake.files(Layer.RAW, entry.repo_id)
    inputs = _inputs(raw, entry)
    standardizer = Standardizer(entry, inputs["revision"], inputs["licence"], settings.audio, settings.text)
    metrics = SilverMetrics(settings.text.min_malayalam_ratio)
    with lake.commit(Layer.SILVER, entry.repo_id, step.key) as commit:
        files = SilverFiles(commit)
        paths = [file.path.removeprefix(_FILES) for file in raw.files if file.path.startswith(_FILES)]
        for row in read_rows(entry, lake.folder(Layer.RAW, entry.repo_id) / _FILES, paths):
            metrics.raw_rows += 1
            for standardized in standardizer.rows(row):
                metrics.add(standardized)
                files.add(standardized)
        files.close()
        commit.publish(
            rows=files.rows,
            inputs=inputs,
            rule_sets=RULE_SETS,
            settings=_settings_that_matter(settings, entry),
            rows_in=metrics.rows_in,
            rows_out=metrics.rows_out,
            rejected=metrics.rejected,
            details={"metrics": metrics.summary(standardizer.text_changes), "findings": metrics.findings()},
        )
    rejected = metrics.rejected.total()
    hours = f", {metrics.hours:.2f} h of audio" if metrics.samples else ""
    return StepResult(
        name=step.name,
        key=step.key,
        subject=step.subject,
        outcome=Outcome.DONE,
        reason=f"{metrics.rows_out} rows{hours}; {rejected} of {metrics.rows_in} rejected",
        rows_in=metrics.rows_in,
        rows_out=metrics.rows_out,
        rejected=dict(sorted(metrics.rejected.items())),
    )


def describe(settings: Settings, lake: Lake) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return what the report says of each selected dataset, from the manifests of silver."""
    reports = {}
    for name in settings.datasets or DATASET_REGISTRY:
        manifest = lake.manifest(Layer.SILVER, name)
        if manifest is None:
            reports[name] = DatasetReport(status="not standardized")
        else:
            details = manifest.details
            reports[name] = DatasetReport(
                status="standardized", findings=details.get("findings", []), metrics=details.get("metrics", {})
            )
    return reports, {}


def _step(settings: Settings, lake: Lake, entry: DatasetEntry) -> Step:
    name = f"standardize {entry.repo_id}"
    raw = lake.manifest(Layer.RAW, entry.repo_id)
    if raw is None:
        reason = f"waiting for phase1: {entry.repo_id} is not ingested"
        return Step(name=name, key="", action=Action.WAIT, reason=reason, subject=entry.repo_id)
    matters = _settings_that_matter(settings, entry)
    inputs = _inputs(raw, entry)
    key = fingerprint({"inputs": inputs, "rule_sets": RULE_SETS, "settings": matters})
    silver = lake.manifest(Layer.SILVER, entry.repo_id)
    step = Step(name=name, key=key, action=Action.RUN, reason="nothing there yet", subject=entry.repo_id)
    if silver is None:
        return step
    if silver.key == key:
        reason = f"its manifest matches (key {key[:8]})"
        return step.model_copy(update={"action": Action.SKIP, "reason": reason, **silver.counts})
    return step.model_copy(update={"reason": _why(silver, inputs, matters)})


def _why(silver: Manifest, inputs: dict[str, str], matters: dict[str, Any]) -> str:
    """Say what changed since silver was made."""
    changes = []
    for name, value in inputs.items():
        if silver.inputs.get(name) != value:
            changes.append("the raw data changed" if name == "raw" else f"its {name} changed")
    for name, version in RULE_SETS.items():
        if silver.rule_sets.get(name) != version:
            changes.append(f"rules {silver.rule_sets.get(name, 'none')} -> {version}")
    for name, value in matters.items():
        if silver.settings.get(name) != value:
            changes.append(f"{name} changed")
    return "; ".join(changes)


def _settings_that_matter(settings: Settings, entry: DatasetEntry) -> dict[str, Any]:
    """Return settings and registry fields that decide the output, flat, as the manifest keeps them."""
    matters = {f"audio.{name}": value for name, value in settings.audio.model_dump(mode="json").items()}
    matters |= {f"text.{name}": value for name, value in settings.text.model_dump(mode="json").items()}
    registered = entry.model_dump(mode="json", include=_ENTRY_FIELDS)
    return matters | {"registry entry": fingerprint(registered)[:16]}


def _inputs(raw: Manifest, entry: DatasetEntry) -> dict[str, str]:
    """Return what the rows are made of: the repository's files by content, its commit, and the licence in force."""
    files = [(file.path, file.sha256) for file in raw.files if file.path.startswith(_FILES)]
    return {
        "raw": fingerprint(files),
        "revision": str(raw.details.get("revision") or entry.revision or "unknown"),
        "licence": str(raw.details.get("licence", {}).get("effective") or entry.licence),
    }
