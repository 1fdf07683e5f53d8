"""The lineage of a version: what it was made of and by, so that it can be made again or told from another."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import data_foundry
from data_foundry.lake import Manifest, fingerprint, sha256_file
from data_foundry.training_config import JUDGING, TrainingConfig

# What computes weights and figures: another version of one of them may give other digits.
LIBRARIES = (
    "torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "numpy", "datasets", "jiwer",
    "sacrebleu", "scikit-learn",
)  # fmt: skip
NOT_INSTALLED = "not installed"


def lineage_of(config: TrainingConfig, gold: Manifest, base_folder: Path, revision: str) -> dict[str, Any]:
    """Return where a version comes from, JSON-like; equal inputs, code and libraries give an equal value.

    `gold` is the manifest of the rows, `base_folder` holds the base's files at `revision`. "config" covers what the
    training depends on, not what it is judged by; "hash" covers the rest.
    """
    lineage = {
        "gold": gold_hash(gold),
        "config": config_hash(config.model_dump(mode="json")),
        "seed": config.seed,
        "base": {"name": config.base, "revision": revision, "files": folder_hash(base_folder)},
        "code": {"version": data_foundry.__version__, "sources": source_hash()},
        "python": platform.python_version(),
        "libraries": library_versions(),
    }
    return {**lineage, "hash": fingerprint(lineage)}


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the hash of a configuration, JSON-like, without the settings that only judge: judged again, it agrees."""
    return fingerprint({name: value for name, value in config.items() if name not in JUDGING})


def gold_hash(gold: Manifest) -> str:
    """Return the hash of a gold manifest: its rows, what they were made from, by which rules and settings."""
    return fingerprint(gold.model_dump(mode="json"))


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Return the installed version of each library, without importing any."""
    return {name: _installed(name) for name in names}


@cache
def source_hash() -> str:
    """Return the hash of the package's own Python files: two checkouts with one version number can differ."""
    root = Path(data_foundry.__file__).parent
    return _hash_of(root, root.rglob("*.py"))


def folder_hash(folder: Path) -> str:
    """Return the hash of every file of a folder, by path and content; hidden ones, such as a cache's, are left out."""
    return _hash_of(folder, folder.rglob("*"))


def _hash_of(root: Path, paths: Iterable[Path]) -> str:
    names = {path.relative_to(root).as_posix(): path for path in paths if path.is_file()}
    shown = {name: path for name, path in names.items() if not any(part.startswith(".") for part in name.split("/"))}
    return fingerprint([(name, sha256_file(shown[name])) for name in sorted(shown)])


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return NOT_INSTALLED
