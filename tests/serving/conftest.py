"""Builders that the tests of serving share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving.gateway_world import World

from data_foundry.config import Settings


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """A lake with versions that only pretend, and gateways over it that look at the registry when they are told to."""
    made = World(settings, monkeypatch, tmp_path)
    made.change("serving", poll_seconds=3600.0)
    yield made
    made.close()
