"""CONTRIBUTING's engine is all it takes: its three blocks, put into a copy of the package, go from silver to gold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from data_foundry.config import PROJECT_ROOT

TEXT = (PROJECT_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RUN = """
import json, sys
from allocation.silver_builders import COMMENTS, publish_silver, silver_row, words
from data_foundry.allocation import allocate
from data_foundry.config import load_settings
from data_foundry.lake import Lake, Layer
import pyarrow.parquet as pq

settings = load_settings(flags={"base_path": sys.argv[1], "workers": 0, "engines": ["script"]}, environ={})
lake = Lake(settings)
scripts = (("romanised", 0.0), ("code_mixed", 0.5), ("none", 1.0), ("none", 0.5))
rows = [
    silver_row(COMMENTS, n, text=words(n, 8), flags=[scripts[n % 4][0]], malayalam_ratio=scripts[n % 4][1])
    for n in range(80)
]
publish_silver(lake, rows)
(step,) = allocate.plan(settings, lake)
result = allocate.run_step(settings, step)
splits = {s: [pq.read_table(f).to_pylist() for f in lake.files(Layer.GOLD, "script", s)] for s in ("train", "test")}
print(json.dumps({
    "step": step.name, "outcome": result.outcome, "rows": [result.rows_in, result.rows_out],
    "rejected": result.rejected,
    "scripts": {split: sorted({r["script"] for part in parts for r in part}) for split, parts in splits.items()},
    "columns": list(splits["train"][0][0]), "able": lake.manifest(Layer.GOLD, "script").details["routing"],
    "again": allocate.plan(settings, lake)[0].action,
}))
"""


def block(marker: str) -> str:
    """Return the one Python block of CONTRIBUTING that holds a text."""
    (found,) = [code for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if marker in code]
    return found


def copied_package(folder: Path) -> None:
    """Copy the package and make the three edits that CONTRIBUTING shows."""
    package = folder / "data_foundry"
    shutil.copytree(PROJECT_ROOT / "data_foundry", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "engines" / "script.py").write_text(block("# data_foundry/engines/script.py"), encoding="utf-8")
    head, member = block("class AIEngine(StrEnum)").rstrip().split("\n")
    records = (package / "records.py").read_text(encoding="utf-8")
    last = re.search(r'    TTS = "tts"\n', records)
    assert head in records and last is not None
    (package / "records.py").write_text(records.replace(last[0], last[0] + member + "\n"), encoding="utf-8")
    importing, line = [part for part in block("import SCRIPT").split("\n") if part]
    table = (package / "engines" / "__init__.py").read_text(encoding="utf-8")
    edited = re.sub(r"^_SPECS = .*$", line, table, flags=re.MULTILINE)
    assert edited != table
    edited = edited.replace("from data_foundry.engines.sentiment", f"{importing}\nfrom data_foundry.engines.sentiment")
    (package / "engines" / "__init__.py").write_text(edited, encoding="utf-8")


def test_the_engine_that_contributing_shows_goes_from_silver_to_gold(tmp_path):
    copied_package(tmp_path)
    path = os.pathsep.join([str(tmp_path), str(PROJECT_ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "base")],
        env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["step"], found["outcome"], found["again"]) == ("allocate script", "done", "skip")
    assert found["rows"] == [80, 60] and found["rejected"] == {"no_clear_script": 20}
    assert set(found["scripts"]["train"]) == {"latin", "malayalam", "mixed"} and found["scripts"]["test"]
    assert found["columns"][-2:] == ["text", "script"] and "sampling_weight" in found["columns"]
    (line,) = found["able"].values()
    assert line["engines"]["script"] == {"able": 60, "domain": 0, "why_not": {"no_clear_script": 20}}
    assert line["engines"]["stt"]["able"] == 0


def test_what_contributing_shows_passes_the_linter_as_it_stands(tmp_path):
    copied_package(tmp_path)
    shutil.copy(PROJECT_ROOT / "pyproject.toml", tmp_path)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "data_foundry/engines", "data_foundry/records.py"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_engines_line_in_contributing_holds_every_engine_that_there_is():
    from data_foundry.engines import ENGINES

    named = re.search(r"_SPECS = \((.*?)\)", block("import SCRIPT"))
    assert named is not None and named[1].lower().split(", ") == ["script", *ENGINES]
