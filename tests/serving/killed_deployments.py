"""Deployments that are killed: python killed_deployments.py FOLDER runs each to its moment and ends it with SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_deploy import Classifier, World

from data_foundry.config import Settings, load_settings
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Commit
from data_foundry.serving import deploy, replay

HARMLESS, HARMFUL = "harmless", "harmful"


def settings_of(folder: Path, candidate: str, moment: str) -> Settings:
    return load_settings(flags={"base_path": str(folder / candidate / moment), "workers": 0}, environ={})


def world_of(folder: Path, candidate: str, moment: str) -> World:
    """A deployment of one candidate, in a folder of its own."""
    world = World(settings_of(folder, candidate, moment), pytest.MonkeyPatch())
    world.candidate = Classifier(broken=candidate == HARMFUL)
    return world


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(owner: Any, name: str, so: Callable[..., bool] = lambda *_, **__: True) -> Callable[[World], None]:
    """Let a process die when a call has come to its end, where the call is `so`."""

    def arrange(world: World) -> None:
        called = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            result = called(*args, **options)
            if so(*args, **options):
                die()
            return result

        world.monkeypatch.setattr(owner, name, call)

    return arrange


def _before(owner: Any, name: str) -> Callable[[World], None]:
    return lambda world: world.monkeypatch.setattr(owner, name, die)


def _to(stage: Stage) -> Callable[..., bool]:
    return lambda registry, engine, version, to_stage, **_: to_stage is stage


def _judged(world: World) -> None:
    _after(Registry, "note")(world)
    _after(Registry, "transition", _to(Stage.ROLLED_BACK))(world)


# What the process dies at: each moment lies between two writes that belong together, in the order of the deployment.
MOMENTS: dict[str, Callable[[World], None]] = {
    "before the version is registered": _before(Registry, "register"),
    "between registration and shadow": _after(Registry, "register"),
    "between shadow and replay": _after(Registry, "transition", _to(Stage.SHADOW)),
    "between replay and verdict": _after(replay, "replay_version"),
    "between verdict and record": _judged,
    "while the record is published": _before(Commit, "publish"),
    "after the record": _after(Commit, "publish"),
}


# Up to the replay nobody knows that a candidate does harm.
KILLS = [(HARMLESS, moment) for moment in MOMENTS] + [(HARMFUL, moment) for moment in list(MOMENTS)[3:]]


def run_to(folder: Path, candidate: str, moment: str) -> None:
    world = world_of(folder, candidate, moment)
    world.train()
    MOMENTS[moment](world)
    deploy.run_step(world.settings, world.planned())


def main(folder: Path) -> None:
    # What takes seconds is the imports, so they are made once; their one thread, jemalloc's own, minds forks.
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    ended = {}
    for candidate, moment in KILLS:
        process = os.fork()
        if process == 0:
            try:
                run_to(folder, candidate, moment)
            finally:
                os._exit(3)
        ended[f"{candidate} {moment}"] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    print(json.dumps(ended))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
