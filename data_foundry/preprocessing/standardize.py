"""Phase 2: raw datasets to silver, one step per dataset, streamed, with every row accounted for.

`rows in` counts raw rows; a recording that is cut counts as its pieces, so that rows in = rows out + rejected holds and
each piece has its own fate. `pieces_added_by_cutting` in the metrics leads back to raw rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import DATASET_REGISTRY, dataset_entry
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer, Manifest, fingerprint
from data_foundry.preprocessing.findings import finding
from data_foundry.preprocessing.rule_sets import kinds, settings_that_matter, versions
from data_foundry.report import Action, DatasetReport, EngineReport, Outcome, Step, StepResult, planned

if TYPE_CHECKING:
    from data_foundry.preprocessing.utterance import Standardizer

# Where raw keeps the files of the dataset's repository, below the dataset's folder in the lake.
FILES = "files/"


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return one step per selected dataset, whether its raw data is there yet or not."""
    entries = [dataset_entry(name) for name in settings.datasets or DATASET_REGISTRY]
    return [planned(_name(entry), entry.repo_id, partial(_step, settings, lake, entry)) for entry in entries]


def run_step(settings: Settings, step: Step) -> StepResult:
    """Standardize one dataset and publish its silver. Raises FoundryError, after which nothing is published."""
    from data_foundry.preprocessing.duplicates import SeenRows
    from data_foundry.preprocessing.metrics import SilverMetrics
    from data_foundry.preprocessing.readers import read_rows
    from data_foundry.preprocessing.silver_files import SilverFiles
    from data_foundry.preprocessing.stream import silver_rows

    lake = Lake(settings)
    entry = dataset_entry(step.subject)
    raw = lake.manifest(Layer.RAW, entry.repo_id)
    if raw is None:
        raise FoundryError(f"{entry.repo_id} is not ingested.", "Run phase 1 for it.")
    # What changed on the disk since it was verified must not reach silver.
    lake.files(Layer.RAW, entry.repo_id, hashed=True)
    raws = read_rows(entry, lake.folder(Layer.RAW, entry.repo_id) / FILES, *raw_paths(raw))
    standardizer = standardizer_of(settings, raw, entry)
    reviewer = standardizer.reviewer
    metrics, seen = SilverMetrics(settings.text.min_malayalam_ratio), SeenRows(settings.duplicates)
    with lake.commit(Layer.SILVER, entry.repo_id, step.key) as commit:
        files = SilverFiles(commit)
        for row in silver_rows(settings, standardizer, metrics.counted(raws), seen):
            metrics.add(row)
            files.add(row)
        files.close()
        more = {"duplicates": seen.summary(), "content": reviewer.counts.summary()}
        commit.publish(
            rows=files.rows,
            **basis(settings, raw, entry),
            rows_in=metrics.rows_in,
            rows_out=metrics.rows_out,
            rejected=metrics.rejected,
            details={
                "metrics": metrics.summary() | more,
                "findings": metrics.findings() + reviewer.counts.findings(),
            },
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
    """Return what the report says of each selected dataset: its manifest, and what other datasets hold too."""
    from data_foundry.preprocessing.duplicates import across_finding, shared_rows
    from data_foundry.preprocessing.metrics import DEFINITIONS

    faults = {manifest.name: _fault(lake, manifest.name) for manifest in lake.manifests(Layer.SILVER)}
    shared = shared_rows(lake, [name for name, fault in faults.items() if fault is None])
    reports = {}
    for name in settings.datasets or DATASET_REGISTRY:
        manifest = lake.readable(Layer.SILVER, name)
        if manifest is None:
            reports[name] = DatasetReport(status="not standardized")
            continue
        finding = across_finding(shared[name]) if name in shared else faults[name]
        shares = {"rows_shared_with": shared[name]} if name in shared else {}
        metrics = manifest.details.get("metrics", {}) | shares
        definitions: dict[str, Any] = {
            "metric_definitions": {metric: text for metric, text in DEFINITIONS.items() if metric in metrics}
        }
        reports[name] = DatasetReport(
            status="standardized",
            findings=[*manifest.details.get("findings", []), *([finding] if finding else [])],
            metrics=metrics,
            **definitions,
        )
    return reports, {}


def _name(entry: DatasetEntry) -> str:
    return f"standardize {entry.repo_id}"


def _fault(lake: Lake, name: str) -> dict[str, Any] | None:
    """Return a finding where a file of silver is not there as its manifest says: a report must not fail for it."""
    try:
        lake.files(Layer.SILVER, name)
    except FoundryError as error:
        return finding("silver_damaged", str(error), 1, severity="error")
    return None


def _step(settings: Settings, lake: Lake, entry: DatasetEntry) -> Step:
    name = _name(entry)
    raw = lake.manifest(Layer.RAW, entry.repo_id)
    if raw is None:
        reason = f"waiting for phase1: {entry.repo_id} is not ingested"
        return Step(name=name, key="", action=Action.WAIT, reason=reason, subject=entry.repo_id)
    needed = basis(settings, raw, entry)
    key = fingerprint(needed)
    silver = lake.manifest(Layer.SILVER, entry.repo_id)
    step = Step(name=name, key=key, action=Action.RUN, reason="nothing there yet", subject=entry.repo_id)
    if silver is None:
        return step
    if silver.key == key:
        reason = f"its manifest matches (key {key[:8]})"
        return step.model_copy(update={"action": Action.SKIP, "reason": reason, **silver.counts})
    return step.model_copy(update={"reason": why_changed(silver, needed)})


def why_changed(silver: Manifest, basis: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what changed since silver was made; empty where nothing did."""
    changes = []
    for name, value in basis["inputs"].items():
        if silver.inputs.get(name) != value:
            changes.append("the raw data changed" if name == "raw" else f"its {name} changed")
    for name in sorted({*basis["rule_sets"], *silver.rule_sets}):
        before, now = silver.rule_sets.get(name, "none"), basis["rule_sets"].get(name, "none")
        if before != now:
            changes.append(f"rules {before} -> {now}")
    for name in sorted({*basis["settings"], *silver.settings}):
        if silver.settings.get(name) != basis["settings"].get(name):
            changes.append(f"{name} changed")
    return "; ".join(changes)


def raw_paths(raw: Manifest) -> tuple[list[str], list[str]]:
    """Return the files of a raw dataset's repository, and those that a limit left out of them."""
    paths = [file.path.removeprefix(FILES) for file in raw.files if file.path.startswith(FILES)]
    return paths, raw.details.get("selection", {}).get("left_out", {}).get("paths", [])


def standardizer_of(settings: Settings, raw: Manifest, entry: DatasetEntry) -> Standardizer:
    """Return what turns the raw rows of a dataset into silver rows, under these settings."""
    from data_foundry.preprocessing.content import Reviewer
    from data_foundry.preprocessing.utterance import Standardizer

    inputs = basis(settings, raw, entry)["inputs"]
    reviewer = Reviewer(settings.content)
    return Standardizer(entry, inputs["revision"], inputs["licence"], settings.audio, settings.text, reviewer)


def basis(settings: Settings, raw: Manifest, entry: DatasetEntry) -> dict[str, dict[str, Any]]:
    """Return all that the rows depend on: inputs, rule sets and settings, as the manifest keeps them.

    Inputs are the repository's files by content, its commit, and the licence in force.
    """
    files = [(file.path, file.sha256) for file in raw.files if file.path.startswith(FILES)]
    has = kinds(raw, entry)
    return {
        "inputs": {
            "raw": fingerprint(files),
            "revision": str(raw.details.get("revision") or entry.revision or "unknown"),
            "licence": str(raw.details.get("licence", {}).get("effective") or entry.licence),
        },
        "rule_sets": versions(has),
        "settings": settings_that_matter(settings, entry, has),
    }
