"""Rollouts that are killed: python killed_rollouts.py FOLDER runs each to its moment and ends it with SIGKILL."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trial_builders import UP, FakeGateway, Line

from data_foundry.config import load_settings
from data_foundry.finetuning.versions import registry
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.trials import rollout
from data_foundry.serving.trials.approval import approve
from data_foundry.serving.trials.followed import FollowedTrial

ENOUGH, BOUND = 800, 40
WHO = {"actor": "Asha", "reason": "listened to 50 of its answers"}


def line_of(folder: Path) -> Line:
    return Line(load_settings(flags={"base_path": str(folder)}, environ={}))


def passed_in_shadow(line: Line) -> None:
    line.version("first", *UP)
    line.call(line.version("second", Stage.SHADOW), ENOUGH)


def approved_in_staging(line: Line) -> None:
    line.version("first", *UP)
    second = line.version("second", Stage.SHADOW, Stage.STAGING)
    line.call(second, ENOUGH)
    approve(line.settings, "nlu", second.version, **WHO)


def harmful_in_production(line: Line) -> None:
    line.version("first", *UP)
    line.call(line.version("second", *UP), BOUND, failing=1.0)


def in_staging(line: Line) -> None:
    line.version("first", *UP)
    line.call(line.version("second", Stage.SHADOW, Stage.STAGING), 5)


def tick(line: Line) -> None:
    line.controller.tick()
    assert line.controller.state()["errors"] == [], line.controller.state()


def say(line: Line) -> None:
    (staging,) = line.registry.versions("nlu", Stage.STAGING)
    approve(line.settings, "nlu", staging.version, **WHO)


SCENARIOS: dict[str, tuple[Callable[[Line], None], Callable[[Line], None]]] = {
    "to staging": (passed_in_shadow, tick),
    "to production": (approved_in_staging, tick),
    "rolled back": (harmful_in_production, tick),
    "approved": (in_staging, say),
}


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(owner: Any, name: str, times: int = 1) -> Callable[[], None]:
    """Let the process die when a call has come to its end for the nth time."""

    def arrange() -> None:
        called, calls = getattr(owner, name), []

        def call(*args: Any, **options: Any) -> Any:
            found = called(*args, **options)
            calls.append(name)
            if len(calls) == times:
                die()
            return found

        setattr(owner, name, call)

    return arrange


# What a process dies at, in order; an entry of the history is written before the versions table, in one transaction.
MOMENTS: dict[str, Callable[[], None]] = {
    "after the judgement": _after(FollowedTrial, "read"),
    "after the probe": _after(FakeGateway, "probe"),
    "after the files were hashed": _after(rollout, "files_fault"),
    "inside the change": _after(registry, "append"),
    "inside the change, all but committed": _after(registry, "append", 2),
    "after the change": _after(Registry, "transition"),
    "after the rollback": _after(Registry, "roll_back"),
    "after the note": _after(Registry, "note"),
}
KILLS = [
    *(("to staging", moment) for moment in ("after the probe", "inside the change", "after the change")),
    *(("to production", moment) for moment in list(MOMENTS)[:6]),
    *(
        ("rolled back", moment)
        for moment in (
            "after the judgement", "inside the change", "inside the change, all but committed", "after the rollback",
        )
    ),
    *(("approved", moment) for moment in ("inside the change", "after the note")),
]  # fmt: skip


def main(folder: Path) -> None:
    for scenario, (prepare, _) in SCENARIOS.items():
        line = line_of(folder / scenario / "undisturbed")
        prepare(line)
        line.store.close()
    ended = {}
    for scenario, moment in KILLS:
        there = folder / scenario / moment
        shutil.copytree(folder / scenario / "undisturbed", there)
        process = os.fork()
        if process == 0:
            try:
                MOMENTS[moment]()
                SCENARIOS[scenario][1](line_of(there))
            finally:
                os._exit(3)
        ended[f"{scenario} {moment}"] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    for scenario, (_, act) in SCENARIOS.items():
        act(line_of(folder / scenario / "undisturbed"))
    print(json.dumps(ended))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
