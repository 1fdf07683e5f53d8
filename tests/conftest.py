"""Builders that every test folder uses."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_foundry.config import Settings, load_settings
from data_foundry.lake import Lake


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default settings with a base path of the test's own."""
    return load_settings(flags={"base_path": str(tmp_path / "base"), "workers": 0}, environ={})


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings)


@pytest.fixture
def with_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with some sections changed: with_settings(storage={"type": "shared"})."""

    def build(**flags: object) -> Settings:
        return load_settings(flags={"base_path": str(tmp_path / "base"), "workers": 0, **flags}, environ={})

    return build


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a disk of so many KiB: disk(1024); mounted again it has another size and the same content."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted: list[Path] = []

    def mount(kib: int) -> Path:
        options = f"size={kib}k" + (",remount" if mounted else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("a small disk can't be mounted: there is no mount command")
        if done.returncode:
            pytest.skip(f"a small disk can't be mounted: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)
