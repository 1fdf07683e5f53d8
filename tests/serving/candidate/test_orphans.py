"""A gateway that is killed with -9 leaves no candidate's process behind, whatever that is doing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import alive, wait_for

from data_foundry.config import PROJECT_ROOT

GATEWAY = Path(__file__).with_name("gateway_to_kill.py")

WITHOUT_PRCTL = """
import ctypes, types
library = ctypes.CDLL
ctypes.CDLL = lambda name: library(name) if name else types.SimpleNamespace(prctl=lambda *given: 0)
"""


@pytest.mark.parametrize("watched_by_the_kernel", [True, False])
def test_kill_9_of_the_gateway_leaves_no_orphan(watched_by_the_kernel: bool, tmp_path: Path) -> None:
    """Without the kernel's signal too, for the systems that have none: there the closed socket ends the process."""
    path = [str(PROJECT_ROOT), str(GATEWAY.parent)]
    if not watched_by_the_kernel:
        # Imported by every Python at its start, before anything of ours.
        (tmp_path / "sitecustomize.py").write_text(WITHOUT_PRCTL)
        path.insert(0, str(tmp_path))
    gateway = subprocess.Popen(
        [sys.executable, str(GATEWAY)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
    )
    with gateway:
        candidates = json.loads(gateway.stdout.readline())
        assert len(candidates) == 4 and all(map(alive, candidates.values()))
        gateway.kill()
    wait_for(lambda: not any(map(alive, candidates.values())), 20)
