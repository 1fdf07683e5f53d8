"""Ingestion: one step per dataset, from a Hub's commit to verified files and metadata.json in the raw layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import DATASET_REGISTRY, dataset_entry
from data_foundry.errors import FoundryError
from data_foundry.figures import counted
from data_foundry.hub import Hub, Kind, Snapshot, Withheld, licence_tag, open_hub
from data_foundry.ingestion.bring import FETCHED, FILES, bring, drop
from data_foundry.ingestion.disk import DiskClaim
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.licences import effective_licence
from data_foundry.ingestion.selection import SELECTION_RULE, Cap, described, missing_splits
from data_foundry.lake import Lake, LakeFile, Layer, Manifest, fingerprint
from data_foundry.licence_terms import CLAUSES
from data_foundry.preprocessing import TEXT_RULES
from data_foundry.report import Action, DatasetReport, EngineReport, Outcome, Step, StepResult

INGESTION_RULES = "ingestion-3"
METADATA = "metadata.json"
CARD = "README.md"
# Where the datasets of a run tell each other how much disk they still need; no data, so in no layer.
CLAIMS = ".disk_claims"
PRIORITIES = ("high", "medium", "low")
Answer = TypeVar("Answer")


def plan(settings: Settings, lake: Lake) -> list[Step]:
    """Return one step per wished dataset, the most important first: in that order they claim the disk.

    Raises FoundryError for an id that the registry does not know.
    """
    entries = sorted(wished(settings), key=_rank)
    hubs = {bundled: open_hub(settings, bundled=bundled) for bundled in {entry.bundled for entry in entries}}
    return [_planned(hubs[entry.bundled], lake, entry, Cap.of(settings, entry)) for entry in entries]


def wished(settings: Settings) -> list[DatasetEntry]:
    """Return the registry's entries that `settings.datasets` selects, or all. Raises FoundryError."""
    return [dataset_entry(repo_id) for repo_id in dict.fromkeys(settings.datasets or DATASET_REGISTRY)]


def run_step(settings: Settings, step: Step) -> StepResult:
    """Bring one dataset into the raw layer. Raises FoundryError; then the previous state stays as it was."""
    lake, entry = Lake(settings), dataset_entry(step.subject)
    hub, cap = open_hub(settings, bundled=entry.bundled), Cap.of(settings, entry)
    folder = lake.folder(Layer.RAW, entry.repo_id)
    claims = settings.base_path / "storage" / CLAIMS
    twice = lake.backup_shares_disk(Layer.RAW)
    with DiskClaim(claims, entry.repo_id, _rank(entry), folder / FETCHED, twice) as claim:
        revision = _resolved(lake, hub, entry)
        key = _key(entry, revision, cap)
        # One that can't be read counts as none: the files that are whole stay, and it is written anew.
        previous = lake.readable(Layer.RAW, entry.repo_id)
        if previous is not None and previous.key == key and _lost(lake, entry.repo_id) is None:
            drop(folder)
            lake.back_up(Layer.RAW, entry.repo_id)
            reason = f"revision {revision[:10]} is still the one, nothing to fetch"
            return StepResult(name=step.name, key=key, outcome=Outcome.SKIPPED, reason=reason, **previous.counts)
        # Only now is every file listed: of a large dataset that takes many requests.
        snapshot = _asked(hub.snapshot, entry, revision)
        key = _key(entry, snapshot.revision, cap)
        return _ingest(settings, lake, hub, snapshot, entry, cap, claim, step.name, key)


def _ingest(
    settings: Settings,
    lake: Lake,
    hub: Hub,
    snapshot: Snapshot,
    entry: DatasetEntry,
    cap: Cap,
    claim: DiskClaim,
    name: str,
    key: str,
) -> StepResult:
    from data_foundry.ingestion.card import dataset_card
    from data_foundry.ingestion.inspect import inspect_dataset
    from data_foundry.ingestion.metadata import as_json, dataset_metadata

    folder, parallel = lake.folder(Layer.RAW, entry.repo_id), settings.hub.max_parallel_downloads
    brought = bring(hub, snapshot, entry, cap, folder, claim, parallel)
    selection = described(cap, snapshot.files, brought.local)
    findings = Findings()
    missing = missing_splits(entry, snapshot.files, brought.local) if cap else {}
    for split, count in missing.items():
        text = f"The limit on the dataset ({cap}) left whole splits out."
        findings.add("split_left_out", "warning", text, f"{split}: {counted(count, 'file')}")
    licence = effective_licence(entry, licence_tag(brought.local.get(CARD, folder / FETCHED / CARD)), findings)
    inspection = inspect_dataset(entry, brought.local, findings, brought.sha256, selection["left_out"]["paths"])
    if not inspection.rows:
        told = "; ".join(finding["message"].rstrip(".") for finding in findings.listed()[:2])
        raise FoundryError(
            f"{entry.repo_id}: no row can be read from the files of revision {snapshot.revision[:10]} ({told}).",
            "Look at the files there; pin another revision in the registry if this one is broken.",
        )
    rows_of = {f"{FILES}/{path}": rows for path, rows in inspection.rows_per_file.items()}
    metadata = dataset_metadata(entry, snapshot, licence, inspection, findings, selection, brought)
    with lake.commit(Layer.RAW, entry.repo_id, key) as commit:
        for path in brought.fetched:
            commit.adopt(brought.local[path], f"{FILES}/{path}", brought.sha256[path])
        for path in sorted(brought.kept):
            place, size = f"{FILES}/{path}", brought.local[path].stat().st_size
            commit.keep(LakeFile(path=place, sha256=brought.sha256[path], bytes=size, rows=rows_of.get(place)))
        commit.path(METADATA).write_text(as_json(metadata), encoding="utf-8")
        commit.path(CARD).write_text(dataset_card(metadata), encoding="utf-8")
        manifest = commit.publish(
            rows=rows_of,
            inputs={"revision": snapshot.revision, "entry": fingerprint(entry.model_dump(mode="json"))},
            rule_sets=_rule_sets(),
            settings=cap.settings(),
            rows_in=inspection.rows,
            rows_out=inspection.rows,
            details={name: value for name, value in metadata.items() if name != "files"},
        )
    none_of = f"; no file of {', '.join(missing)}" if missing else ""
    left_out = f" ({selection['left_out']['files']} left out, limit {cap}{none_of})" if cap else ""
    lacking = inspection.rows_without_audio
    silent = f", {lacking:,} of them without their audio," if lacking else ""
    new = len(brought.fetched)
    reason = (
        f"{counted(inspection.rows, 'row')}{silent} in {counted(selection['files'], 'file')}{left_out} at revision "
        f"{snapshot.revision[:10]}: {brought.travelled} fetched, {new - brought.travelled} found from an earlier try, "
        f"{len(brought.kept)} unchanged; {counted(len(metadata['findings']), 'finding')}"
    )
    return StepResult(name=name, key=manifest.key, outcome=Outcome.DONE, reason=reason, **manifest.counts)


def describe(settings: Settings, lake: Lake) -> tuple[dict[str, DatasetReport], dict[str, EngineReport]]:
    """Return what the raw layer holds of every wished dataset."""
    return {entry.repo_id: _described(lake, entry) for entry in wished(settings)}, {}


def _rank(entry: DatasetEntry) -> int:
    """Return a dataset's place among all by priority, then by the order of the registry."""
    order = list(DATASET_REGISTRY)
    return PRIORITIES.index(entry.priority) * len(order) + order.index(entry.repo_id)


def _resolved(lake: Lake, hub: Hub, entry: DatasetEntry) -> str:
    """Return the commit that a run is to use; a failure also says what of the dataset lies here already."""
    try:
        return _asked(hub.resolve, entry, entry.revision)
    except FoundryError as error:
        held = lake.readable(Layer.RAW, entry.repo_id)
        if held is None or _lost(lake, entry.repo_id) is not None:
            raise
        here = f"Revision {held.inputs['revision'][:10]} lies here complete; only whether {entry.ref} has moved on"
        raise FoundryError(f"{error.message} {here} can't be asked.", error.hint) from None


def _asked(ask: Callable[[Kind, str, str | None, str], Answer], entry: DatasetEntry, revision: str | None) -> Answer:
    """Ask a Hub of a dataset; where it withholds it, also name what could be registered in its place."""
    try:
        return ask("datasets", entry.repo_id, revision, entry.ref)
    except Withheld as error:
        if not entry.fallbacks:
            raise
        hint = (
            f"{error.hint} If it stays away: {' and '.join(entry.fallbacks)} could be registered instead; nothing is "
            "ever used in its place by itself."
        )
        raise FoundryError(error.message, hint) from None


def _planned(hub: Hub, lake: Lake, entry: DatasetEntry, cap: Cap) -> Step:
    action, revision, held = Action.RUN, None, None
    try:
        held = lake.manifest(Layer.RAW, entry.repo_id)
        revision = hub.known_revision("datasets", entry.repo_id, entry.revision)
        action, reason = _intent(lake, entry, held, revision, hub.name, cap)
    except FoundryError as error:
        reason = error.message
    key = _key(entry, revision or entry.ref, cap)
    counts = held.counts if held and action is Action.SKIP else {}
    return Step(name=f"ingest {entry.repo_id}", key=key, action=action, reason=reason, subject=entry.repo_id, **counts)


def _intent(
    lake: Lake, entry: DatasetEntry, manifest: Manifest | None, revision: str | None, hub: str, cap: Cap
) -> tuple[Action, str]:
    limit = f", {cap.told}" if cap else ""
    if manifest is None:
        return Action.RUN, f"nothing there yet; revision {revision[:10] if revision else entry.ref} of {hub}{limit}"
    if revision is None:
        # The answer takes a request, or the hashing of much data, and a plan does neither.
        return Action.RUN, f"it follows {entry.ref}: the run will see whether {hub} moved{limit}"
    broken = _lost(lake, entry.repo_id) or lake.backup_fault(Layer.RAW, entry.repo_id)
    if broken is not None:
        return Action.RUN, broken
    key = _key(entry, revision, cap)
    if manifest.key == key:
        if (lake.folder(Layer.RAW, entry.repo_id) / FETCHED).exists():
            return Action.RUN, "an unfinished run left files that are to be swept"
        return Action.SKIP, f"its manifest matches (key {key[:8]})"
    if manifest.inputs.get("revision") != revision:
        return Action.RUN, f"revision {manifest.inputs.get('revision', '')[:10]} -> {revision[:10]}{limit}"
    if manifest.settings != cap.settings():
        before = Cap(*(manifest.settings.get(f"max_{unit}_per_dataset") for unit in ("bytes", "rows")))
        return Action.RUN, f"limit {before} -> {cap}"
    for name, version in _rule_sets().items():
        if manifest.rule_sets.get(name) != version:
            return Action.RUN, f"rules {manifest.rule_sets.get(name)} -> {version}"
    return Action.RUN, "its entry in the registry changed"


def _rule_sets() -> dict[str, str]:
    return {"ingestion": INGESTION_RULES, "text": TEXT_RULES}


def _key(entry: DatasetEntry, revision: str, cap: Cap) -> str:
    limits = {"selection": SELECTION_RULE, **cap.settings()} if cap else {}
    return fingerprint({"revision": revision, "entry": entry.model_dump(mode="json"), "rules": _rule_sets(), **limits})


def _lost(lake: Lake, repo_id: str) -> str | None:
    """Return which file of a manifest is missing or cut, or None."""
    try:
        lake.files(Layer.RAW, repo_id)
    except FoundryError as error:
        return error.message
    return None


def _described(lake: Lake, entry: DatasetEntry) -> DatasetReport:
    declared = entry.declared_engine.value
    try:
        manifest = lake.manifest(Layer.RAW, entry.repo_id)
    except FoundryError as error:
        return DatasetReport(declared_engine=declared, reason=error.message)
    if manifest is None:
        return DatasetReport(declared_engine=declared)
    details = manifest.details
    # A manifest that older rules made, and no run could bring up to date yet, may lack what later ones added.
    licence, selection = details["licence"], details.get("selection")
    more: dict[str, Any] = {
        "licence_found": licence["found"],
        "licence_parents": licence["parents"],
        "licence_flags": licence.get("flags", []),
        **{clause: licence[clause] for clause in CLAUSES if clause in licence},
        **{name: details[name] for name in ("splits", "metric_definitions") if name in details},
    }
    if selection is not None:
        left = {name: selection["left_out"][name] for name in ("files", "bytes")}
        more["selection"] = {**selection, "left_out": left}
    if manifest.rule_sets != _rule_sets():
        more["reason"] = f"made by older rules ({', '.join(manifest.rule_sets.values())})"
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
