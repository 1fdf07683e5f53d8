"""The folder of a Ray goes with its command, also where that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from data_foundry.config import PROJECT_ROOT
from data_foundry.serving.ray_folder import OWNER, ray_folder

HOLDS_ONE = """
import sys, time
from pathlib import Path
from data_foundry.serving.ray_folder import ray_folder
with ray_folder(Path(sys.argv[1])) as folder:
    (folder / "session").mkdir()
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_folder_is_gone_with_its_command_and_nobody_elses_is_touched(tmp_path: Path) -> None:
    other = tmp_path / "ray-of-another-program"
    other.mkdir()
    with ray_folder(tmp_path) as folder, ray_folder(tmp_path) as second:
        (folder / "session").mkdir()
        assert folder != second and (folder / OWNER).exists() and second.exists()
    assert [*tmp_path.iterdir()] == [other]


def test_what_a_killed_command_left_is_removed_by_the_next_one_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS_ONE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        with ray_folder(tmp_path):
            assert (left / "session").exists()
        holder.kill()
        holder.wait()
    assert left.exists(), "or this proves nothing"
    with ray_folder(tmp_path):
        assert not left.exists()
    assert not [*tmp_path.iterdir()]
