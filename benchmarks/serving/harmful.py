"""A gateway whose candidates do harm: as `data_foundry.serving.gateway_process`, with HARM in the environment.

HARM is hang, crash, garbage or eat. What answers callers, and the incumbent in the candidate's process, are real.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from data_foundry.config import Settings
from data_foundry.serving import gateway_process
from data_foundry.serving.candidate import mirror, versions
from data_foundry.serving.candidate.loading import Loaded, Loading, Progress

MODULE = "benchmarks.serving.harmful"


def hang(row: Any) -> Any:
    """Spin, so that time passes on the processor too."""
    while True:
        time.monotonic()


def crash(row: Any) -> Any:
    os.abort()


def garbage(row: Any) -> Any:
    return SimpleNamespace(output=b"\xff\x00", confidence=float("nan"), classes={"": float("inf")})


def eat(row: Any) -> Any:
    """Take memory, touching every page of it, until nothing gives any more."""
    eaten = []
    while True:
        eaten.append(bytearray(b"x") * 2**25)


HARMS: Mapping[str, Callable[[Any], Any]] = {"hang": hang, "crash": crash, "garbage": garbage, "eat": eat}


def load(settings: Settings, adapter: str, names: Sequence[str], harm: str, progress: Progress) -> Loaded:
    """Load versions as they are, and let the last one, the candidate, do harm."""
    loaded = versions.load(settings, adapter, names, progress)
    return Loaded(loaded.task, {**loaded.answers, names[-1]: HARMS[harm]}, loaded.labels)


def loading_of(settings: Settings, adapter: str, names: Sequence[str], *, threads: int) -> Loading:
    """Stand in for the function of that name in `data_foundry.serving.candidate.versions`."""
    function = versions.loading_of(settings, adapter, names, threads=threads)
    return Loading(f"{MODULE}:load", (*function.arguments, os.environ["HARM"]))


def main() -> int:
    mirror.loading_of = loading_of
    return gateway_process.main()


if __name__ == "__main__":
    sys.exit(main())
