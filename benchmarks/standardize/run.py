"""Measure phase 2 against the floor and against what others use.

  python -m benchmarks.standardize.run WORK [--hours 1.05] [--runs 5] [--others PYTHON] [--ways floor ours phase ...]

WORK is a folder for the corpus, the compiled floor and what the runs write. PYTHON is an interpreter that also has
torchcodec, datasets, lhotse and librosa; without it the others are left out, and the table says so. The ways take
turns, so that what disturbs the machine disturbs all; figures are medians over the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.standardize.corpus import build
from data_foundry.config import PROJECT_ROOT, load_settings
from data_foundry.lake import Lake, Layer

HERE = Path(__file__).resolve().parent
STT = "ayush-shunyalabs/malayalam-speech-dataset"
# Name, way, workers, whether it needs the others' interpreter.
RUNS = {
    "floor": ("floor", 1, False), "ours": ("ours", 1, False), "phase": ("phase", 1, False),
    "datasets": ("datasets", 1, True), "lhotse": ("lhotse", 1, True), "librosa": ("librosa", 1, True),
    "ours, 2 workers": ("ours", 2, False), "phase, 2 workers": ("phase", 2, False),
    "datasets, 2 workers": ("datasets", 2, True),
}  # fmt: skip
# What is compared with what, by which figure, and what the ratio should reach.
ROWS = (
    ("decode to Parquet, of the floor's throughput", "ours", "floor", "cpu", 0.9),
    ("the same, times datasets.map", "ours", "datasets", "cpu", 1.8),
    ("the same, times Lhotse", "ours", "lhotse", "cpu", 2.0),
    ("the same, times a librosa script", "ours", "librosa", "cpu", 1.5),
    ("the same on 2 workers by the clock, times datasets", "ours, 2 workers", "datasets, 2 workers", "wall", 2.5),
    ("whole phase, of the floor's throughput", "phase", "floor", "cpu", 0.55),
    ("whole phase on 2 workers by the clock, times one worker", "phase, 2 workers", "phase", "wall", None),
)


def main() -> None:
    """Build what is missing, run every way in turn, print the table, write WORK/results.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--hours", type=float, default=1.05)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--others", type=Path, help="python with torchcodec, datasets, lhotse and librosa")
    parser.add_argument("--ways", nargs="+", choices=list(RUNS), help="only these")
    given = parser.parse_args()
    about = build(given.work / f"corpus-{given.hours:g}h", given.hours)
    corpus = given.work / f"corpus-{given.hours:g}h"
    floor = given.work / "floor"
    subprocess.run(["cc", "-O2", HERE / "floor.c", "-o", floor, "-lsndfile", "-lsoxr", "-lm"], check=True)
    names = [name for name in RUNS if (not given.ways or name in given.ways) and (given.others or not RUNS[name][2])]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    fixed_costs(given.work)  # writes the bytecode
    fixed = []
    for turn in range(given.runs):
        for name in names:
            found[name].append(once(name, given.work, corpus, floor, given.others))
            print(f"run {turn + 1} {name}: {json.dumps(found[name][-1])}", file=sys.stderr, flush=True)
        fixed.append(fixed_costs(given.work))
    results = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
               for name, runs in found.items()}  # fmt: skip
    fixed_cpu = {figure: statistics.median(cost[figure] for cost in fixed) for figure in fixed[0]}
    told = {"corpus": about, "runs": given.runs, "fixed_cpu_seconds": fixed_cpu, "ways": results}
    (given.work / "results.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(table(told))


def once(name: str, work: Path, corpus: Path, floor: Path, others: Path | None) -> dict[str, float]:
    """Run one way in a process and a folder of its own; return seconds of audio, cpu, wall and start."""
    way, workers, _ = RUNS[name]
    python = str(others) if RUNS[name][2] else sys.executable
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT_ROOT), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory(dir=work) as out:
        arguments = [corpus / "clips.pack", Path(out) / "floor.out"] if way == "floor" else [way, corpus, out, workers]
        command = [str(floor)] if way == "floor" else [python, str(HERE / "ways.py")]
        process = subprocess.Popen(
            [*command, *map(str, arguments)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said, complaint = process.communicate()
        if process.returncode:
            raise SystemExit(f"{name} failed:\n{complaint}")
    told: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return told


def fixed_costs(work: Path) -> dict[str, float]:
    """Return the CPU seconds of the phase's script on a dataset of one row.

    `before`: up to its first raw row, in one process. `whole`: until the end, report included, where a worker process
    does the work, as is the default. The interpreter may keep its bytecode, as it does for an installed package.
    """
    row = next(pq.ParquetFile(sorted(work.glob("corpus-*/train-*"))[0]).iter_batches(batch_size=1))
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(work / "bytecode")}
    found = {}
    for figure, workers in (("before", 0), ("whole", 2)):
        with tempfile.TemporaryDirectory(dir=work) as base:
            lake = Lake(load_settings(flags={"base_path": base}, environ={}))
            with lake.commit(Layer.RAW, STT, "0") as commit:
                pq.write_table(pa.Table.from_batches([row]), commit.path("files/data/train-00000-of-00001.parquet"))
                commit.publish(details={"roles": {"audio": "audio", "text": "transcript"}})
            command = [sys.executable, str(HERE / "ways.py"), "first_row", base, base, str(workers)]
            before = _children()
            said = subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout
            found[figure] = _children() - before if workers else json.loads(said.splitlines()[-1])["start"]
    return found


def _children() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def table(told: dict[str, Any]) -> str:
    """Return the figures as Markdown tables: every way, then every comparison with what it should reach."""
    ways = told["ways"]
    lines = [f"{told['corpus']['seconds'] / 3600:.2f} h of audio, medians of {told['runs']} interleaved runs", ""]
    lines += [
        "| way | CPU s per audio hour | audio s per CPU s | audio s per clock s | start-up CPU s |",
        "|---|---|---|---|---|",
    ]
    for name, way in ways.items():
        per_hour, rate, wall = (
            way["cpu"] / way["seconds"] * 3600,
            way["seconds"] / way["cpu"],
            way["seconds"] / way["wall"],
        )
        lines.append(f"| {name} | {per_hour:.2f} | {rate:.0f} | {wall:.0f} | {way['start']:.2f} |")
    lines += ["", "| figure | reached | wanted |", "|---|---|---|"]
    for text, ours, other, figure, wanted in ROWS:
        if ours in ways and other in ways:
            ratio = (ways[other][figure] / ways[other]["seconds"]) / (ways[ours][figure] / ways[ours]["seconds"])
            lines.append(f"| {text} | {ratio:.2f} | {wanted or ''} |")
        else:
            lines.append(f"| {text} | not measured | {wanted or ''} |")
    fixed = told["fixed_cpu_seconds"]
    lines.append(f"| fixed cost of the phase before the first row, CPU s | {fixed['before']:.2f} | 1.0 |")
    lines.append(f"| a whole run on one row in a worker process, report included, CPU s | {fixed['whole']:.2f} |  |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
