"""A gateway that is killed at any moment comes back on the versions that the registry says: real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from finetuning import tiny_bases
from processes import wait_for
from serving.real_versions import CONFIG, hub_of_topics, train

from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake

TOPIC = "nlu.topic"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    hub = hub_of_topics(tmp_path / "hub")
    config = {
        "base_path": str(tmp_path / "base"),
        "hub": {"source": str(hub)},
        "training": {"gpu_enabled": False, "engines": {"nlu": CONFIG}, "variants": {TOPIC: CONFIG}},
        "serving": {"require_api_key": False, "poll_seconds": 0.2},
        "deployment": {"shadow_testing": False},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return load_settings(config=tmp_path / "config.json", environ={})


class Served:
    """A gateway in a process of its own, and what it answers."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def version(self) -> str:
        said = httpx.post(f"{self.url}/v1/understand", json={"text": tiny_bases.SENTENCES[0]}, timeout=60)
        assert said.status_code == 200, said.text
        found: str = said.json()["topic"]["version"]
        return found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(30) == -signal.SIGKILL


@contextmanager
def served(tmp_path: Path) -> Iterator[Served]:
    """Start the command and yield what it serves; it is killed at the end."""
    command = [sys.executable, "-m", "data_foundry", "serve", "--port", "0", "--engines", TOPIC]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--config", str(tmp_path / "config.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.match(r"served at (\S+)", line):
                    yield Served(process, found.group(1))
                    return
            raise AssertionError(f"it ended with {process.wait()} before it served")
        finally:
            process.kill()


@pytest.mark.slow
def test_a_gateway_that_is_killed_comes_back_on_what_the_registry_has_in_production(
    settings: Settings, tmp_path: Path
) -> None:
    registry = Registry(Lake(settings))
    old, new = (train(settings, TOPIC, name, weight, tmp_path) for name, weight in (("old", 0.5), ("new", -0.5)))

    def produce(version: str, *stages: Stage) -> None:
        for stage in stages:
            registry.transition(TOPIC, version, stage, actor="a test", reason=f"on to {stage}")

    up = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)
    with served(tmp_path) as gateway:
        assert gateway.version() == "base"
        produce(old.version, *up)
        wait_for(lambda: gateway.version() == old.version)
        # The registry says it, and the gateway is killed before or while it loads.
        produce(new.version, *up)
        gateway.kill()
    with served(tmp_path) as gateway:
        assert gateway.version() == new.version
        restored = registry.replaced(TOPIC, new.version)
        assert restored is not None and restored.version == old.version
        registry.roll_back(TOPIC, new.version, actor="a test", reason="a drill", restore=restored)
        gateway.kill()
    with served(tmp_path) as gateway:
        assert gateway.version() == old.version
    assert registry.verify_history() == []
