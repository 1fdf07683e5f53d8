"""metadata.json: everything that is known of a raw dataset, complete enough to cite it and to check it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from typing import Any

from data_foundry.dataset_entry import AUDIO_SUFFIXES, DatasetEntry
from data_foundry.hub import Snapshot
from data_foundry.ingestion.bring import Brought
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.inspect import Inspection

# The builder of `datasets` that reads a layout.
BUILDERS = {"csv": "csv", "tsv": "csv", "jsonl": "json", "parquet": "parquet", "audiofolder": "audiofolder"}


def dataset_metadata(
    entry: DatasetEntry,
    snapshot: Snapshot,
    licence: Mapping[str, Any],
    inspection: Inspection,
    findings: Findings,
    selection: Mapping[str, Any],
    brought: Brought,
) -> dict[str, Any]:
    """Return the metadata of one commit's chosen files, ready for JSON: no time and no path of this machine in it."""
    files: list[dict[str, Any]] = []
    for file in snapshot.files:
        if file.path not in brought.local:
            continue
        rows = inspection.rows_per_file.get(file.path)
        known = {} if rows is None else {"rows": rows}
        files.append({"path": file.path, "bytes": file.bytes, "sha256": brought.sha256[file.path]} | known)
    found = findings.listed()
    headerless = any(finding["kind"] == "header_missing" for finding in found)
    owner, _, name = entry.repo_id.partition("/")
    return {
        "schema_version": 1,
        "repo_id": entry.repo_id,
        "title": name.replace("_", " ").replace("-", " ").strip(),
        "owner": owner,
        "revision": snapshot.revision,
        "hub": snapshot.hub,
        "homepage": f"{snapshot.hub}/datasets/{entry.repo_id}" if "://" in snapshot.hub else None,
        "layout": entry.layout,
        "declared_engine": entry.declared_engine.value,
        "priority": entry.priority,
        "licence": dict(licence),
        "bytes": selection["bytes"],
        "rows": inspection.rows,
        "rows_without_audio": inspection.rows_without_audio,
        "selection": dict(selection),
        "splits": inspection.splits,
        "evaluation_splits": list(entry.evaluation_splits),
        "synthetic_reference": entry.synthetic_reference,
        "roles": inspection.roles,
        "text_group": list(entry.text_group),
        "speaker": inspection.roles.get("speaker"),
        "speakers": inspection.speakers,
        "schemas": inspection.schemas,
        "nulls": inspection.nulls,
        "labels": inspection.labels,
        "unknown_labels": inspection.unknown_labels,
        "audio": inspection.audio,
        "metrics": inspection.metrics,
        "metric_definitions": inspection.definitions,
        "ratio_histogram": inspection.ratio_histogram,
        "findings": found,
        "known_traps": list(entry.traps),
        "fallbacks": list(entry.fallbacks),
        "reading": _reading(entry, inspection.rows_per_file, [file["path"] for file in files], headerless),
        "files": files,
    }


def as_json(metadata: Mapping[str, Any]) -> str:
    """Return the text of metadata.json."""
    return json.dumps(metadata, ensure_ascii=False, indent=1) + "\n"


def _reading(entry: DatasetEntry, listed: Mapping[str, Any], paths: list[str], headerless: bool) -> dict[str, Any]:
    """Return what `datasets.load_dataset` must be told to read the files: the builder, files by split, options.

    `listed` holds the rows of each file that has some. Clips of an audio folder are read through its metadata tables,
    which stand in every split.
    """
    by_split: dict[str, list[str]] = {}
    for path in paths:
        if listed.get(path) if entry.layout != "audiofolder" else path.lower().endswith(AUDIO_SUFFIXES):
            by_split.setdefault(entry.split_of(path), []).append(path)
    options: dict[str, Any] = {"sep": "\t"} if entry.layout == "tsv" else {}
    if entry.layout in ("csv", "tsv") and not entry.quoted:
        options["quoting"] = csv.QUOTE_NONE
    if headerless:
        options["names"] = list(entry.headerless_columns)
    return {"builder": BUILDERS[entry.layout], "data_files": dict(sorted(by_split.items())), "options": options}
