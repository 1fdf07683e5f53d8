"""What the doctor finds on this machine: libraries, programs, GPU and disk space."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from typing import Any

from data_foundry.config import Settings
from data_foundry.figures import readable_size
from data_foundry.ingestion.disk import SPARE_BYTES

LIBRARIES = (
    "huggingface_hub", "datasets", "pyarrow", "soundfile", "soxr", "torch", "transformers", "peft", "safetensors",
)  # fmt: skip
PROGRAMS = {"ffmpeg": "reads M4A, WebM and broken FLAC payloads", "espeak-ng": "only makes the bundled sample anew"}
# Silver, gold and adapters need room beside the raw data.
SHARE_OF_WORK = 1.0
LOW_DISK_BYTES = 10 * 1000**3


def machine(settings: Settings, needed: int | None) -> list[dict[str, Any]]:
    """Return a diagnosis per library, program, GPU and disk; `needed`: bytes a run would fetch, None if unknown."""
    return [*map(_library, LIBRARIES), *map(_program, PROGRAMS), _gpu(settings), _disk(settings, needed)]


def diagnosis(check: str, subject: str, status: str, message: str, next_step: str = "", **more: Any) -> dict[str, Any]:
    """Return one row of the doctor's findings; `status` is "ok", "warning" or "error"."""
    return {"check": check, "subject": subject, "status": status, "message": message, "next_step": next_step, **more}


def _library(name: str) -> dict[str, Any]:
    try:
        return diagnosis("library", name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return diagnosis("library", name, "error", "not installed", "pip install -r requirements.txt")


def _program(name: str) -> dict[str, Any]:
    path = shutil.which(name)
    if path is not None:
        return diagnosis("program", name, "ok", path)
    return diagnosis("program", name, "warning", f"not found; it {PROGRAMS[name]}", f"apt install {name}")


def _gpu(settings: Settings) -> dict[str, Any]:
    """Ask the driver and the installed torch's version: importing torch for it takes seconds."""
    if not settings.training.gpu_enabled:
        return diagnosis("gpu", "cuda", "ok", "not used: training.gpu_enabled is false")
    query = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        found = ""
    if not found:
        step = "Set training.gpu_enabled to false to say that this is meant, or run phase 4 on a machine with a GPU."
        return diagnosis("gpu", "cuda", "warning", "no NVIDIA GPU answers: training runs on the CPU", step)
    name = "; ".join(line.strip() for line in found.splitlines())
    try:
        cpu_build = importlib.metadata.version("torch").endswith("+cpu")
    except importlib.metadata.PackageNotFoundError:
        cpu_build = False
    if cpu_build:
        step = "Install the CUDA build of torch: pip install torch --index-url https://download.pytorch.org/whl/cu130"
        return diagnosis("gpu", name, "warning", "the installed torch is a CPU build and can't use it", step)
    return diagnosis("gpu", name, "ok", "training uses it")


def _disk(settings: Settings, needed: int | None) -> dict[str, Any]:
    """Judge the disk as ingestion will: what it has to fetch must fit, beside the room that is kept spare."""
    base = settings.base_path
    there = next(folder for folder in (base, *base.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    # How many files a limit on rows brings is known only when they have come.
    by_rows = settings.hub.max_rows_per_dataset is not None
    status, message, step = "ok", f"{readable_size(free)} free", ""
    if needed:
        most = "at most " if by_rows else ""
        message += f"; the datasets bring {most}{readable_size(needed)}, and their rows about as much again"
    if not there.is_dir() or not os.access(there, os.W_OK):
        status, step = "error", "Make it writable, or choose another --base-path."
        message = "can't be written to" if there.is_dir() else "is no folder"
    elif needed is None:
        message += "; how much a run needs is unknown while the Hub is not asked"
        status = "warning" if free < LOW_DISK_BYTES else "ok"
    elif needed and needed + SPARE_BYTES > free and not by_rows:
        status = "error"
        message += f"; with the {readable_size(SPARE_BYTES)} that are kept spare, not all of them fit"
    elif needed and free < needed * (1 + SHARE_OF_WORK) + SPARE_BYTES:
        status = "warning"
    if status != "ok" and not step:
        step = "Free space, choose fewer datasets, set hub.max_bytes_per_dataset, or another --base-path."
    return diagnosis("disk", str(there), status, message, step, free_bytes=free, needed_bytes=needed)
