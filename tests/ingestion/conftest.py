"""Runs over folder Hubs and loopback Hubs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_foundry.config import Settings, load_settings
from tests.ingestion.builders import write_hub
from tests.loopback_hub import LoopbackHub


@pytest.fixture
def from_folder(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a run over a folder Hub that holds these datasets: from_folder({id: files}, workers=2)."""

    def build(datasets: Mapping[str, Mapping[str, bytes]], **flags: Any) -> Settings:
        source = write_hub(tmp_path / "hub", datasets)
        values = {"base_path": str(tmp_path / "base"), "workers": 1, "hub": {"source": str(source)}, **flags}
        return load_settings(flags=values, environ={})

    return build


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let retries wait no time, and list the seconds that they would have waited."""
    asked: list[float] = []
    monkeypatch.setattr("data_foundry.hub.remote.time", SimpleNamespace(sleep=asked.append))
    return asked


@pytest.fixture
def from_loopback(
    hub: LoopbackHub, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Settings]:
    """Settings of a run over the loopback Hub."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)

    def build(**flags: Any) -> Settings:
        return load_settings(flags={"base_path": str(tmp_path / "base"), "workers": 1, **flags}, environ={})

    return build


@pytest.fixture(autouse=True)
def hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token, no proxy and an empty cache: the machine's own must not matter."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_TOKEN", "HUGGINGFACE_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
