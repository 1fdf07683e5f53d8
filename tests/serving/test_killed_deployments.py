"""A kill at any moment of a deployment leaves the old or the new state, and the next run ends as if there was none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from killed_deployments import HARMFUL, HARMLESS, KILLS, world_of
from test_deploy import World

from data_foundry.config import PROJECT_ROOT
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.finetuning.versions.versions import registry_faults
from data_foundry.lake import Layer, fingerprint
from data_foundry.report import Action
from data_foundry.serving import deploy


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake for every candidate and moment, as a SIGKILL at that moment left it."""
    folder = tmp_path_factory.mktemp("killed")
    program = Path(__file__).with_name("killed_deployments.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), str(program.parent)]),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        },
        stdout=subprocess.PIPE,
        check=True,
    )
    ended = json.loads(done.stdout)
    assert ended == {f"{candidate} {moment}": -signal.SIGKILL for candidate, moment in KILLS}
    return folder


def left(world: World) -> dict[str, Any]:
    """What the registry and the record say, without times, hashes of times, and measured milliseconds."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            gone = ("milliseconds", "milliseconds_on_mirrored", "at", "hash", "previous_hash")
            return {name: timeless(each) for name, each in value.items() if name not in gone and "_at" not in name}
        return [timeless(each) for each in value] if isinstance(value, list) else value

    versions = [{**asdict(version), "stage_since": None} for version in world.registry.versions()]
    history = [asdict(entry) for entry in world.registry.history()]
    (name,) = [version["version"] for version in versions]
    record = world.lake.manifest(Layer.MODELS, f"nlu/{name}-deployment")
    found: dict[str, Any] = timeless({"versions": versions, "history": history, "record": record and record.details})
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a deployment of each candidate leaves that nothing disturbs."""
    found = {}
    for candidate in (HARMLESS, HARMFUL):
        world = world_of(tmp_path_factory.mktemp("undisturbed"), candidate, "none")
        world.train()
        world.deploy()
        found[candidate] = left(world)
        world.monkeypatch.undo()
    return found


@pytest.mark.parametrize(("candidate", "moment"), KILLS)
def test_what_a_kill_cut_off_ends_in_the_same_state_without_a_change_told_twice(
    killed: Path, undisturbed: dict[str, Any], moment: str, candidate: str
) -> None:
    world = world_of(killed, candidate, moment)
    try:
        name = fingerprint("first")[:12]
        # What is there is whole: a version whose files lie there, at a stage that its history leads to.
        assert world.lake.files(Layer.MODELS, f"nlu/{name}", hashed=True)
        assert registry_faults(world.lake) == []
        stages = {version.stage for version in world.registry.versions()}
        reached = {entry["to_stage"] for entry in undisturbed[candidate]["history"]}
        assert len(stages) <= 1 and stages <= {Stage(stage) for stage in reached}
        world.wish(fingerprint("first"))
        if moment != "after the record":
            assert world.planned().action is Action.RUN
            deploy.run_step(world.settings, world.planned())
        assert world.planned().action is Action.SKIP, world.planned().reason
        assert left(world) == undisturbed[candidate]
        assert registry_faults(world.lake) == []
    finally:
        world.monkeypatch.undo()
