"""Builders that every test folder uses."""

from __future__ import annotations

from collections.abc import Callable
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
