"""The doctor: what is missing before a run can work, and where to click. It writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.engines.adapters import selected
from data_foundry.errors import FoundryError
from data_foundry.figures import counted, readable_size
from data_foundry.hub import NO_LOGIN, TOKEN_VARIABLES, Hub, open_hub
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.ingest import wished
from data_foundry.ingestion.licences import effective_licence
from data_foundry.ingestion.machine import diagnosis, machine
from data_foundry.lake import Lake, Layer
from data_foundry.licence_terms import refusal

AT_ONCE = 8
Asked = TypeVar("Asked")


def diagnose(settings: Settings) -> list[dict[str, Any]]:
    """Return a diagnosis of the Hub, the token, every dataset and base model, libraries, programs, GPU and disk.

    Each is {"check", "subject", "status": "ok"|"warning"|"error", "message", "next_step"}; those of datasets and
    models also hold "gated", "licence", "revision", "bytes" and "files" (None where unknown). What can't be read is a
    diagnosis, not an error; where the Hub does not answer or refuses the token, that is said once and nothing else is
    asked of it.
    """
    hub, package = (open_hub(settings, patient=False, bundled=bundled) for bundled in (False, True))
    bundled = [_dataset(package, entry, settings) for entry in wished(settings) if entry.bundled]
    found = [_hub(hub)]
    if found[0]["status"] == "error":
        return [*found, *bundled, *machine(settings, None)]
    found.append(_token(hub, settings))
    if found[1]["status"] == "error":
        # It would be refused for each of them.
        return [*found, *bundled, *machine(settings, None)]
    others = [entry for entry in wished(settings) if not entry.bundled]
    datasets = [*_each(lambda entry: _dataset(hub, entry, settings), others), *bundled]
    models = _each(lambda base: _model(hub, *base), _bases(settings))
    return [*found, *datasets, *models, *machine(settings, _needed(settings, datasets))]


def _each(ask: Callable[[Asked], dict[str, Any]], subjects: Sequence[Asked]) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, subjects))


def _hub(hub: Hub) -> dict[str, Any]:
    try:
        hub.reach()
    except FoundryError as error:
        message = f"{error.message} Datasets and models were not asked for."
        return diagnosis("hub", hub.name, "error", message, error.hint)
    return diagnosis("hub", hub.name, "ok", "answers")


def _dataset(hub: Hub, entry: DatasetEntry, settings: Settings) -> dict[str, Any]:
    try:
        access = hub.access("datasets", entry.repo_id, entry.revision or entry.ref)
    except FoundryError as error:
        return _unreadable("dataset", entry.repo_id, error, entry.licence)
    licence = effective_licence(entry, access["licence"], Findings())
    unfit = refusal(entry.repo_id, licence["effective"])
    access["licence"] = licence["effective"]
    size = f"{readable_size(access['bytes'])} in {counted(access['files'], 'file')}"
    there = f"{'comes with the package' if entry.bundled else 'readable'} ({size})"
    if access["renamed_to"]:
        step = "Give its entry in the registry the new name."
        message = f"{there}, but renamed to {access['renamed_to']}"
    elif unfit and settings.licensing.commercial_use:
        message = f"{there}, but its licence ({licence['effective']}) keeps it out of commercial training"
        step = "Set licensing.commercial_use to false for research, or get the owner's permission."
    else:
        message, step = f"{there}, licence {licence['effective']}", ""
    return diagnosis("dataset", entry.repo_id, "warning" if step else "ok", message, step, **access)


def _bases(settings: Settings) -> list[tuple[str, str, str]]:
    """Return (base model, revision, the adapters that the settings would train on it)."""
    engines: dict[tuple[str, str], list[str]] = {}
    for name, spec in selected(settings.training, settings.engines).items():
        engines.setdefault((spec.training.base, spec.training.revision or "main"), []).append(name)
    return [(*base, ", ".join(names)) for base, names in engines.items()]


def _model(hub: Hub, base: str, revision: str, engines: str) -> dict[str, Any]:
    try:
        access = hub.access("models", base, revision)
    except FoundryError as error:
        return _unreadable("model", base, error, None, f" Needed by {engines}.")
    message = f"readable ({readable_size(access['bytes'])} in all formats), base of {engines}"
    return diagnosis("model", base, "ok", message, **access)


def _unreadable(check: str, name: str, error: FoundryError, licence: str | None, more: str = "") -> dict[str, Any]:
    unknown = dict.fromkeys(("revision", "gated", "bytes", "files", "renamed_to"))
    message = error.message.removeprefix(f"{name}: ") + more
    return diagnosis(check, name, "error", message, error.hint, licence=licence, **unknown)


def _token(hub: Hub, settings: Settings) -> dict[str, Any]:
    names = " or ".join(TOKEN_VARIABLES)
    if settings.hub.source is not None:
        return diagnosis("token", names, "ok", "not needed: data comes from a folder")
    try:
        account = hub.account()
    except FoundryError as error:
        return diagnosis("token", names, "warning", error.message, error.hint)
    page = f"{hub.name}/settings/tokens"
    if account is None:
        step = f"For gated data make a read token at {page} and set {names}{NO_LOGIN}."
        return diagnosis("token", names, "warning", "not set: public data only, under the anonymous rate limit", step)
    if "name" not in account:
        message = f"the Hub refuses it ({account.get('status')}); a refused token fails on public data, "
        message += "too, so datasets and models were not asked for"
        return diagnosis("token", names, "error", message, f"Make a new one at {page}, or unset {names}.")
    token = (account.get("auth") or {}).get("accessToken") or {}
    role, rights = token.get("role", "unknown"), token.get("fineGrained") or {}
    message = f"of the account {account['name']!r}, role {role} (its value is never shown)"
    if role == "fineGrained" and not rights.get("canReadGatedRepos", True):
        step = f"Tick 'read access to contents of all public gated repos' at {page}."
        return diagnosis("token", names, "warning", f"{message}; it may not read gated repositories", step)
    return diagnosis("token", names, "ok", message)


def _needed(settings: Settings, datasets: Sequence[dict[str, Any]]) -> int | None:
    """Return the room that a run would take for datasets that can be read and are not in the lake yet, in bytes."""
    lake, cap, total = Lake(settings), settings.hub.max_bytes_per_dataset, 0
    for row in datasets:
        if row["bytes"] is None:
            continue
        try:
            manifest = lake.manifest(Layer.RAW, row["subject"])
        except FoundryError:
            manifest = None
        if manifest is None or manifest.inputs.get("revision") != row["revision"]:
            total += row["bytes"] if cap is None else min(cap, row["bytes"])
    return total * (2 if lake.backup_shares_disk(Layer.RAW) else 1)
