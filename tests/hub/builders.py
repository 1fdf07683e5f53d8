"""What the tests of the Hub share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_foundry.hub import HubFile, Snapshot
from data_foundry.hub.fetching import PARTS
from data_foundry.hub.patience import Patience
from data_foundry.hub.remote import RemoteHub
from tests.loopback_hub import LoopbackHub

ID = "owner/name"
LARGE = "data/train-00000.parquet"
SMALL = "data/b.csv"
FILES = {"README.md": b"# Card\n", LARGE: bytes(range(256)) * 512, SMALL: b"id\n1\n"}


def remote(hub: LoopbackHub, token: str = "", retries: int = 3, budget: int = 99, **options: Any) -> RemoteHub:
    """Return a client of a loopback Hub with a patience of its own."""
    environ = {"HF_TOKEN": token} if token else {}
    return RemoteHub(hub.url, Patience(retries, budget), environ=environ, **options)


def file_of(snapshot: Snapshot, path: str) -> HubFile:
    return next(file for file in snapshot.files if file.path == path)


def whole(folder: Path, files: Mapping[str, bytes] = FILES) -> bool:
    """Return whether a folder holds these files with these bytes."""
    return all((folder / name).is_file() and (folder / name).read_bytes() == data for name, data in files.items())


def kept(folder: Path) -> set[str]:
    """Return the names of what lies in a folder, apart from parts of files."""
    return {path.name for path in folder.rglob("*") if path.is_file() and PARTS not in path.parts}
