"""A version as a plain folder: a PEFT adapter that from_pretrained opens, with its card and all that vouches for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_foundry import __version__
from data_foundry.errors import FoundryError
from data_foundry.export.folder import ELSEWHERE, fresh_folder, is_taken, read_export
from data_foundry.finetuning.versions.version_files import ADAPTER, json_text
from data_foundry.finetuning.versions.versions import VersionRecord
from data_foundry.lake import Lake, Layer, Manifest, fingerprint

VERSION_EXPORT_RULES = "version-folder-1"
RECORD = "version.json"
LINEAGE = "lineage.json"
CARD = "README.md"
# The card opens the adapter where the lake holds it; here it lies at the top.
IN_THE_LAKE, AT_THE_TOP = f'from_pretrained(base, "{ADAPTER}")', 'from_pretrained(base, ".")'


def published(lake: Lake, record: VersionRecord) -> Manifest:
    """Return a version's manifest. Raises FoundryError where its files are gone, or can't be read."""
    if record.model is None:
        fault = lake.fault(Layer.MODELS, record.name)
        raise FoundryError(
            f"The files of {record.name} are gone." if fault is None else fault,
            "Put them back from a backup, or run phase 4 with the settings that it was trained with.",
        )
    return record.model


def plan_version_folder(lake: Lake, record: VersionRecord, target: Path) -> dict[str, Any] | None:
    """Return the manifest of the same export where it lies at `target` already, None where the place is free.

    Raises FoundryError for a version without files and for a place that is taken.
    """
    published(lake, record)
    target = target.resolve()
    if not is_taken(lake, target):
        return None
    whole = read_export(target)
    if whole is None:
        raise FoundryError(f"{target} is not empty, and what it holds is no export.", f"{ELSEWHERE}.")
    if whole["key"] != _key(record):
        raise FoundryError(
            f"{target} holds another export: {whole.get('name') or whole.get('engine')}, or this version as it stood.",
            f"{ELSEWHERE}, or delete it to make it anew.",
        )
    return whole


def export_version_folder(lake: Lake, record: VersionRecord, target: Path) -> dict[str, Any]:
    """Write a version to a folder and return the export's manifest; one that holds it already is left as it is.

    The adapter's files lie at the top; evaluation, training log and linear probe as in the lake; version.json holds
    registration, manifest, deployment and history; lineage.json the lineage; SHA256SUMS every file's hash. Every byte
    is checked against the version's manifest. Nothing stands at the target before all of it is there.
    Raises FoundryError, and OSError when the disk fails.
    """
    whole = plan_version_folder(lake, record, target)
    if whole is not None:
        return whole
    source = lake.folder(Layer.MODELS, record.name)
    with fresh_folder(target.resolve()) as folder:
        for path in lake.files(Layer.MODELS, record.name, hashed=True):
            relative = path.relative_to(source).as_posix()
            data = path.read_bytes()
            if relative == CARD:
                data = data.decode("utf-8").replace(IN_THE_LAKE, AT_THE_TOP).encode("utf-8")
            folder.write(relative.removeprefix(f"{ADAPTER}/"), data)
        if lake.manifest(Layer.MODELS, record.name) != record.model:
            raise FoundryError(f"{record.name} changed while it was exported.", "Run the same command again.")
        folder.write(RECORD, json_text(record.as_json()).encode("utf-8"))
        folder.write(LINEAGE, json_text(record.details.get("lineage")).encode("utf-8"))
        return folder.finish(
            {
                "schema_version": 1,
                "name": record.name,
                "key": _key(record),
                "rules": VERSION_EXPORT_RULES,
                "code_version": __version__,
            }
        )


def _key(record: VersionRecord) -> str:
    return fingerprint({"rules": VERSION_EXPORT_RULES, "version": record.as_json()})
