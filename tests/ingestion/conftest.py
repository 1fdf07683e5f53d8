"""Runs over folder Hubs and loopback Hubs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import Settings, load_settings
from data_foundry.hub.patience import Halted
from tests.ingestion.builders import write_hub
from tests.ingestion.hostile import Stage, stock
from tests.loopback_hub import LoopbackHub


@pytest.fixture
def from_folder(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a run over a folder Hub that holds these datasets: from_folder({id: files}, workers=2)."""

    def build(datasets: Mapping[str, Mapping[str, bytes]], **flags: Any) -> Settings:
        source = write_hub(tmp_path / "hub", datasets)
        values = {"base_path": str(tmp_path / "base"), "workers": 0, "hub": {"source": str(source)}, **flags}
        return load_settings(flags=values, environ={})

    return build


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let retries wait no time on a clock of their own, and list the seconds that they would have waited."""
    asked: list[float] = []
    start = time.time()

    def pause(seconds: float, halt: threading.Event | None = None) -> None:
        asked.append(seconds)
        if halt is not None and halt.is_set():
            raise Halted

    for module in ("patience", "explain"):
        monkeypatch.setattr(f"data_foundry.hub.{module}.now", lambda: start + sum(asked))
    monkeypatch.setattr("data_foundry.hub.patience.pause", pause)
    return asked


@pytest.fixture
def from_loopback(
    hub: LoopbackHub, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Settings]:
    """Settings of a run over the loopback Hub."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)

    def build(**flags: Any) -> Settings:
        return load_settings(flags={"base_path": str(tmp_path / "base"), "workers": 0, **flags}, environ={})

    return build


@pytest.fixture(autouse=True)
def hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token, no proxy and an empty cache: the machine's own must not matter."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_TOKEN", "HUGGINGFACE_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    # A failure of Xet turns it off for the whole process.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture(scope="module")
def hostile_hub() -> Iterator[LoopbackHub]:
    """One Hub for all tests of a file, so that its address, which metadata.json names, is the same in all lakes."""
    with LoopbackHub() as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(hostile_hub: LoopbackHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The lake's raw and silver layers after phases 1 and 2 that nothing disturbed."""
    stock(hostile_hub)
    stage = Stage(tmp_path_factory.mktemp("undisturbed") / "base", hostile_hub)
    stage.runs_through()
    return stage.tree()


@pytest.fixture
def stage(hostile_hub: LoopbackHub, undisturbed: object, waits: object, tmp_path: Path) -> Iterator[Stage]:
    """An empty lake and a Hub that is well; in this process retries wait no time."""
    stock(hostile_hub)
    stage = Stage(tmp_path / "base", hostile_hub)
    yield stage
    for process in stage.started:
        # Only where its test failed.
        if process.poll() is None:
            process.kill()
            process.communicate()
