"""The doctor: what is missing before an ingestion can work, and where to click. It writes nothing."""

from __future__ import annotations

import importlib.metadata
import shutil
from typing import Any

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.hub import TOKEN_VARIABLES, Hub, open_hub, token_from
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.ingest import wished
from data_foundry.ingestion.licences import effective_licence

LIBRARIES = (
    "huggingface_hub", "datasets", "pyarrow", "soundfile", "soxr", "torch", "transformers", "peft", "safetensors",
)  # fmt: skip
PROGRAMS = {"ffmpeg": "reads M4A, WebM and broken FLAC payloads", "espeak-ng": "only makes the bundled sample anew"}
LOW_DISK_BYTES = 10 * 1000**3


def diagnose(settings: Settings) -> list[dict[str, Any]]:
    """Return a diagnosis per dataset, library, program and resource.

    Each is {"check", "subject", "status": "ok"|"warning"|"error", "message", "next_step"}; those of datasets also hold
    "gated", "licence" and "revision". A dataset that can't be read is a diagnosis, not an error.
    """
    hub = open_hub(settings)
    found = [_dataset(hub, entry, settings) for entry in wished(settings)]
    return [*found, _token(settings), *map(_library, LIBRARIES), *map(_program, PROGRAMS), _disk(settings)]


def _dataset(hub: Hub, entry: DatasetEntry, settings: Settings) -> dict[str, Any]:
    try:
        access = hub.access("datasets", entry.repo_id)
    except FoundryError as error:
        return _diagnosis(
            "dataset", entry.repo_id, "error", error.message, error.hint, gated=None, licence=entry.licence
        )
    licence = effective_licence(entry, access["licence"], Findings())
    unfit = licence["non_commercial"] or licence["effective"] == "unknown"
    if unfit and settings.licensing.commercial_use:
        message = f"readable, but its licence ({licence['effective']}) keeps it out of commercial training"
        step = "Set licensing.commercial_use to false for research, or get the owner's permission."
    else:
        message, step = f"readable, licence {licence['effective']}", ""
    return _diagnosis(
        "dataset",
        entry.repo_id,
        "warning" if step else "ok",
        message,
        step,
        gated=access["gated"],
        licence=licence["effective"],
        revision=access["revision"],
    )


def _token(settings: Settings) -> dict[str, Any]:
    names = " or ".join(TOKEN_VARIABLES)
    if settings.hub.source is not None:
        return _diagnosis("token", names, "ok", "not needed: data comes from a folder")
    if token_from() is not None:
        return _diagnosis("token", names, "ok", "set (its value is never shown)")
    step = f"For gated data make a read token at https://huggingface.co/settings/tokens and set {names}."
    return _diagnosis("token", names, "warning", "not set: public data only, under the anonymous rate limit", step)


def _library(name: str) -> dict[str, Any]:
    try:
        return _diagnosis("library", name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return _diagnosis("library", name, "error", "not installed", "pip install -r requirements.txt")


def _program(name: str) -> dict[str, Any]:
    path = shutil.which(name)
    if path is not None:
        return _diagnosis("program", name, "ok", path)
    return _diagnosis("program", name, "warning", f"not found; it {PROGRAMS[name]}", f"apt install {name}")


def _disk(settings: Settings) -> dict[str, Any]:
    base = settings.base_path
    there = next(folder for folder in (base, *base.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    low = free < LOW_DISK_BYTES and settings.hub.source is None
    step = "The nine datasets together can exceed 70 GB: choose fewer, or another --base-path." if low else ""
    return _diagnosis("disk", str(there), "warning" if low else "ok", f"{free / 1e9:.1f} GB free", step)


def _diagnosis(check: str, subject: str, status: str, message: str, next_step: str = "", **more: Any) -> dict[str, Any]:
    return {"check": check, "subject": subject, "status": status, "message": message, "next_step": next_step, **more}
