"""Ingestion: one step per dataset, from a Hub's commit to verified files and metadata.json in the raw layer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import DATASET_REGISTRY, dataset_entry
from data_foundry.errors import FoundryError
from data_foundry.hub import Hub, HubFile, Snapshot, fetch, licence_tag, open_hub
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.licences import effective_licence
from data_foundry.lake import Commit, Lake, LakeFile, Layer, Manifest, fingerprint, sha256_file
from data_foundry.preprocessing import TEXT_RULES
from data_foundry.report import Action, DatasetReport, EngineReport, Outcome, Step, StepResult

if TYPE_CHECKING:
    from data_foundry.ingestion.inspect import Inspection

INGESTION_RULES = "ingestion-1"
METADATA = "metadata.json"
FILES = "files"
# Where files wait until the commit is whole; the lake sweeps it when it publishes.
FETCHED = ".fetched"
SPARE_BYTES = 64 * 1024 * 1024


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return one step per wished dataset. Raises FoundryError for an id that the registry does not know."""
    hub = open_hub(settings)
    return [_planned(hub, lake, entry) for entry in wished(settings)]


def wished(settings: Settings) -> list[DatasetEntry]:
    """Return the registry's entries that `settings.datasets` selects, or all. Raises FoundryError."""
    return [dataset_entry(repo_id) for repo_id in dict.fromkeys(settings.datasets or DATASET_REGISTRY)]


def run_step(settings: Settings, step: Step) -> StepResult:
    """Bring one dataset into the raw layer. Raises FoundryError; then the previous state stays as it was."""
    from data_foundry.ingestion.inspect import inspect_dataset

    lake, hub, entry = Lake(settings), open_hub(settings), dataset_entry(step.subject)
    snapshot = hub.snapshot("datasets", entry.repo_id, entry.revision, entry.ref)
    key = _key(entry, snapshot.revision)
    previous = lake.manifest(Layer.RAW, entry.repo_id)
    if previous is not None and previous.key == key and _broken(lake, entry.repo_id) is None:
        reason = f"the Hub still has revision {snapshot.revision[:10]}, nothing to fetch"
        return StepResult(name=step.name, key=key, outcome=Outcome.SKIPPED, reason=reason, **previous.counts)
    folder = lake.folder(Layer.RAW, entry.repo_id)
    kept = _unchanged(folder, previous, snapshot)
    wanted = [file for file in snapshot.files if file.path not in kept]
    fetched = _fetch_all(hub, snapshot, wanted, folder / FETCHED, settings.hub.max_parallel_downloads)
    local = {file.path: folder / FETCHED / file.path for file in wanted}
    local |= {path: folder / file.path for path, file in kept.items()}
    findings = Findings()
    licence = effective_licence(entry, licence_tag(local.get("README.md", folder / "README.md")), findings)
    inspection = inspect_dataset(entry, local, findings)
    if not inspection.rows:
        told = "; ".join(finding["message"].rstrip(".") for finding in findings.listed()[:2])
        raise FoundryError(
            f"{entry.repo_id}: no row can be read from the files of revision {snapshot.revision[:10]} ({told}).",
            "Look at the files there; pin another revision in the registry if this one is broken.",
        )
    with lake.commit(Layer.RAW, entry.repo_id, key) as commit:
        for file in wanted:
            _link(local[file.path], commit.path(f"{FILES}/{file.path}"))
        for path, kept_file in kept.items():
            commit.keep(kept_file.model_copy(update={"rows": inspection.rows_per_file.get(path)}))
        metadata = _metadata(entry, snapshot, licence, inspection, findings, local)
        _write_metadata(commit, metadata)
        manifest = commit.publish(
            rows={f"{FILES}/{path}": rows for path, rows in inspection.rows_per_file.items()},
            inputs={"revision": snapshot.revision, "entry": fingerprint(entry.model_dump(mode="json"))},
            rule_sets=_rule_sets(),
            rows_in=inspection.rows,
            rows_out=inspection.rows,
            details={name: value for name, value in metadata.items() if name != "files"},
        )
    reason = (
        f"{inspection.rows} rows in {len(snapshot.files)} files at revision {snapshot.revision[:10]}: "
        f"{fetched} fetched, {len(wanted) - fetched} found from an earlier try, {len(kept)} unchanged; "
        f"{len(metadata['findings'])} findings"
    )
    rows = inspection.rows
    return StepResult(
        name=step.name, key=manifest.key, outcome=Outcome.DONE, reason=reason, rows_in=rows, rows_out=rows
    )


def describe(settings: Settings, lake: Lake) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return what the raw layer holds of every wished dataset."""
    return {entry.repo_id: _described(lake, entry) for entry in wished(settings)}, {}


def _planned(hub: Hub, lake: Lake, entry: DatasetEntry) -> Step:
    action, revision = Action.RUN, None
    try:
        revision = hub.known_revision("datasets", entry.repo_id, entry.revision)
        action, reason = _intent(lake, entry, revision, hub.name)
    except FoundryError as error:
        reason = error.message
    key = _key(entry, revision or entry.ref)
    held = lake.manifest(Layer.RAW, entry.repo_id) if action is Action.SKIP else None
    counts = held.counts if held else {}
    return Step(name=f"ingest {entry.repo_id}", key=key, action=action, reason=reason, subject=entry.repo_id, **counts)


def _intent(lake: Lake, entry: DatasetEntry, revision: str | None, hub: str) -> tuple[Action, str]:
    manifest = lake.manifest(Layer.RAW, entry.repo_id)
    if manifest is None:
        return Action.RUN, f"nothing there yet; revision {revision[:10] if revision else entry.ref} of {hub}"
    if revision is None:
        # The answer takes a request, or the hashing of much data, and a plan does neither.
        return Action.RUN, f"it follows {entry.ref}: the run will see whether {hub} moved"
    broken = _broken(lake, entry.repo_id)
    if broken is not None:
        return Action.RUN, broken
    key = _key(entry, revision)
    if manifest.key == key:
        return Action.SKIP, f"its manifest matches (key {key[:8]})"
    if manifest.inputs.get("revision") != revision:
        return Action.RUN, f"revision {manifest.inputs.get('revision', '')[:10]} -> {revision[:10]}"
    for name, version in _rule_sets().items():
        if manifest.rule_sets.get(name) != version:
            return Action.RUN, f"rules {manifest.rule_sets.get(name)} -> {version}"
    return Action.RUN, "its entry in the registry changed"


def _rule_sets() -> dict[str, str]:
    return {"ingestion": INGESTION_RULES, "text": TEXT_RULES}


def _key(entry: DatasetEntry, revision: str) -> str:
    return fingerprint({"revision": revision, "entry": entry.model_dump(mode="json"), "rules": _rule_sets()})


def _broken(lake: Lake, repo_id: str) -> str | None:
    try:
        lake.files(Layer.RAW, repo_id)
    except FoundryError as error:
        return error.message
    return lake.backup_fault(Layer.RAW, repo_id)


def _unchanged(folder: Path, previous: Manifest | None, snapshot: Snapshot) -> dict[str, LakeFile]:
    """Return {path in the repository: file in the lake} of what an earlier revision brought already."""
    listed = {file.path: file for file in previous.files} if previous else {}
    kept = {}
    for file in snapshot.files:
        held = listed.get(f"{FILES}/{file.path}")
        if held is None or held.bytes != file.bytes or (file.sha256 is not None and held.sha256 != file.sha256):
            continue
        path = folder / held.path
        if path.is_file() and file.fault(path) is None:
            kept[file.path] = held
    return kept


def _fetch_all(hub: Hub, snapshot: Snapshot, files: Sequence[HubFile], area: Path, parallel: int) -> int:
    """Fetch files at once, at most `parallel` of them; return how many had to travel. The first failure ends it."""
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    missing = [file for file in files if not _has_size(area / file.path, file.bytes)]
    _check_disk(snapshot, sum(file.bytes for file in missing), area)
    with ThreadPoolExecutor(max(1, parallel)) as pool:
        jobs = [pool.submit(fetch, hub, snapshot, file, area) for file in files]
        done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
        if any(job.exception() for job in done):
            pool.shutdown(cancel_futures=True)
        return sum(job.result() for job in jobs if not job.cancelled())


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _check_disk(snapshot: Snapshot, needed: int, area: Path) -> None:
    there = next(folder for folder in (area, *area.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed + SPARE_BYTES > free:
        raise FoundryError(
            f"{snapshot.repo_id} needs {needed / 1e9:.2f} GB more, and {there} has {free / 1e9:.2f} GB free.",
            "Free space or choose another --base-path; nothing was fetched.",
        )


def _link(source: Path, target: Path) -> None:
    """Put a fetched file into the commit while it also stays where a rerun looks for it after a kill."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _metadata(
    entry: DatasetEntry,
    snapshot: Snapshot,
    licence: Mapping[str, Any],
    inspection: Inspection,
    findings: Findings,
    local: Mapping[str, Path],
) -> dict[str, Any]:
    files = []
    for file in snapshot.files:
        rows = inspection.rows_per_file.get(file.path)
        sha256 = file.sha256 or sha256_file(local[file.path])
        files.append(
            {"path": file.path, "bytes": file.bytes, "sha256": sha256} | ({} if rows is None else {"rows": rows})
        )
    return {
        "schema_version": 1,
        "repo_id": entry.repo_id,
        "revision": snapshot.revision,
        "hub": snapshot.hub,
        "layout": entry.layout,
        "declared_engine": entry.declared_engine.value,
        "priority": entry.priority,
        "licence": dict(licence),
        "bytes": sum(file.bytes for file in snapshot.files),
        "rows": inspection.rows,
        "splits": inspection.splits,
        "evaluation_splits": list(entry.evaluation_splits),
        "roles": inspection.roles,
        "schemas": inspection.schemas,
        "nulls": inspection.nulls,
        "labels": inspection.labels,
        "audio": inspection.audio,
        "metrics": inspection.metrics,
        "metric_definitions": inspection.definitions,
        "findings": findings.listed(),
        "known_traps": list(entry.traps),
        "files": files,
    }


def _write_metadata(commit: Commit, metadata: Mapping[str, Any]) -> None:
    text = json.dumps(metadata, ensure_ascii=False, indent=1) + "\n"
    commit.path(METADATA).write_text(text, encoding="utf-8")


def _described(lake: Lake, entry: DatasetEntry) -> DatasetReport:
    declared = entry.declared_engine.value
    try:
        manifest = lake.manifest(Layer.RAW, entry.repo_id)
    except FoundryError as error:
        return DatasetReport(declared_engine=declared, reason=error.message)
    if manifest is None:
        return DatasetReport(declared_engine=declared)
    details = manifest.details
    licence = details["licence"]
    more = {
        "licence_found": licence["found"],
        "non_commercial": licence["non_commercial"],
        "share_alike": licence["share_alike"],
        "splits": details["splits"],
        "metric_definitions": details["metric_definitions"],
    }
    return DatasetReport(
        status="ingested",
        revision=details["revision"],
        licence=licence["effective"],
        bytes=details["bytes"],
        rows=details["rows"],
        declared_engine=details["declared_engine"],
        findings=details["findings"],
        metrics=details["metrics"],
        **more,
    )
