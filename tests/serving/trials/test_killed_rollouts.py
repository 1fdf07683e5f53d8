"""A kill at any moment of a promotion, a rollback or an approval leaves the old or the new state, and the next look
ends as if there was none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from killed_rollouts import KILLS, SCENARIOS, line_of
from trial_builders import Line

from data_foundry.config import PROJECT_ROOT
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.finetuning.versions.versions import registry_faults

STAGES = {
    "to staging": ({"first": "production", "second": "shadow"}, {"first": "production", "second": "staging"}),
    "to production": ({"first": "production", "second": "staging"}, {"first": "retired", "second": "production"}),
    "rolled back": ({"first": "retired", "second": "production"}, {"first": "production", "second": "rolled_back"}),
    "approved": ({"first": "production", "second": "staging"}, {"first": "production", "second": "staging"}),
}
"""The state before and after what is killed."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake for every scenario and moment, as a SIGKILL at that moment left it, and one undisturbed."""
    folder = tmp_path_factory.mktemp("killed")
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "killed_rollouts.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (PROJECT_ROOT, PROJECT_ROOT / "tests", here)))},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(done.stdout) == {f"{scenario} {moment}": -signal.SIGKILL for scenario, moment in KILLS}
    return folder


def stages(line: Line) -> dict[str, str]:
    """The stage of each version by the order in which it was registered."""
    names = [entry.version for entry in line.registry.history() if entry.event == "registered"]
    return {which: line.now(name).stage.value for which, name in zip(("first", "second"), names, strict=True)}


def told(line: Line) -> list[dict[str, Any]]:
    """The history without times, hashes of it, and which gateway did it."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            gone = ("at", "since", "until", "gateway", "hash", "trial", "call")
            kept = {
                name: timeless(each) for name, each in value.items() if not (name in gone and isinstance(each, str))
            }
            return kept
        return [timeless(each) for each in value] if isinstance(value, list) else value

    return [
        {"event": e.event, "version": e.version, "to": e.to_stage, "actor": e.actor, "evidence": timeless(e.evidence)}
        for e in line.registry.history()
    ]


@pytest.mark.parametrize(("scenario", "moment"), KILLS)
def test_what_a_kill_cut_off_is_old_or_new_and_ends_the_same(killed: Path, scenario: str, moment: str) -> None:
    undisturbed, line = line_of(killed / scenario / "undisturbed"), line_of(killed / scenario / moment)
    assert registry_faults(line.lake) == []
    old, new = STAGES[scenario]
    done = moment in ("after the change", "after the rollback", "after the note")
    assert stages(line) == (new if done else old)
    if not done:
        SCENARIOS[scenario][1](line)
    line.controller.tick()
    undisturbed.controller.tick()
    assert line.controller.state()["errors"] == []
    assert stages(line) == new == stages(undisturbed)
    assert told(line) == told(undisturbed), "nothing is told twice"
    assert registry_faults(line.lake) == []
    assert len(line.registry.versions("nlu", Stage.PRODUCTION)) == 1
