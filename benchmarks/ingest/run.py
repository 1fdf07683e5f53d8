"""Compare phase 1 with `snapshot_download` and `hf cache verify` on one loopback Hub, run by run in turn.

python benchmarks/ingest/run.py [--gigabytes 3] [--small-files 400] [--runs 5] [--folder DIR]

Prints JSON: per way the wall seconds, CPU seconds and peak memory of each run, the medians, and their ratio; then the
rerun of the finished dataset: seconds and requests for files.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

ROOT = Path(__file__).resolve().parents[2]
REPO_ID = "Be-win/malayalam-speech-with-english-translation"
SHARD_BYTES = 500_000_000
ROWS_PER_GROUP = 100
SYLLABLES = ["മ", "ല", "യാ", "ളം", "നാ", "ട്", "കേ", "ര", "ളം", "പു", "ഴ", "വ", "ന്നു", "പോ", "യി"]
PEER = """
import subprocess, sys
from huggingface_hub import snapshot_download
snapshot_download(sys.argv[1], repo_type="dataset", max_workers=8)
sys.exit(subprocess.run(["hf", "cache", "verify", sys.argv[1], "--repo-type", "dataset"]).returncode)
"""


def build(folder: Path, gigabytes: float, small_files: int) -> None:
    """Write Parquet shards of 16 kHz speech-long noise with two texts a row, and many small files."""
    rng = np.random.default_rng(0)
    for shard in range(max(1, round(gigabytes * 1e9 / SHARD_BYTES))):
        file = folder / "data" / f"train-{shard:05d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        writer, written = None, 0
        while written < SHARD_BYTES:
            rows = []
            for _ in range(ROWS_PER_GROUP):
                clip = io.BytesIO()
                soundfile.write(clip, rng.integers(-3000, 3000, 290_000, dtype=np.int16), 16_000, format="WAV")
                words = [" ".join(rng.choice(SYLLABLES, 3)) for _ in range(6)]
                audio = {"bytes": clip.getvalue(), "path": "clip.wav"}
                rows.append({"audio": audio, "text": " ".join(words), "translation": "a sentence in English"})
                written += len(clip.getvalue())
            table = pa.Table.from_pylist(rows)
            writer = writer or pq.ParquetWriter(file, table.schema, compression="none")
            writer.write_table(table)
        assert writer is not None
        writer.close()
    for number in range(small_files):
        (folder / "notes").mkdir(exist_ok=True)
        (folder / "notes" / f"{number:04d}.txt").write_bytes(rng.bytes(int(rng.integers(200, 60_000))))
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n", encoding="utf-8")


def measured(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command; return its wall and CPU seconds and the peak resident memory, of all its processes together and
    of the largest, in MB (sampled every 20 ms; shared pages count once, by PSS)."""
    before = os.times()
    started = time.monotonic()
    child = psutil.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    together = largest = 0
    log: list[bytes] = []
    threading.Thread(target=lambda: log.extend(child.stdout), daemon=True).start()
    while child.poll() is None:
        sizes = []
        try:
            for process in (child, *child.children(recursive=True)):
                sizes.append(process.memory_full_info().pss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            pass
        together, largest = max(together, sum(sizes)), max(largest, *sizes, 0)
        time.sleep(0.02)
    after = os.times()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}:\n" + b"".join(log).decode()[-3000:])
    return {
        "wall_s": round(time.monotonic() - started, 2),
        "cpu_s": round(after.children_user + after.children_system - before.children_user - before.children_system, 2),
        "peak_mb": round(together / 1e6),
        "peak_mb_largest_process": round(largest / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--small-files", type=int, default=400)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to build the data and run (default: a temporary folder)")
    arguments = parser.parse_args()
    work = arguments.folder or Path(tempfile.mkdtemp(prefix="ingest-benchmark-"))
    data = work / f"data-{arguments.gigabytes:g}-{arguments.small_files}"
    if not data.exists():
        building = data.with_suffix(".part")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        build(building, arguments.gigabytes, arguments.small_files)
        building.rename(data)
    port_file = work / "port"
    port_file.unlink(missing_ok=True)
    server = subprocess.Popen([sys.executable, str(Path(__file__).with_name("server.py")), data, REPO_ID, port_file])
    try:
        while not port_file.exists():
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port_file.read_text()}"
        print(json.dumps(compare(url, work, arguments.runs), indent=1))
    finally:
        server.terminate()
        server.wait()
        if arguments.folder is None:
            shutil.rmtree(work)


def compare(url: str, work: Path, runs: int) -> dict[str, Any]:
    """Run both ways in turn; return every figure, the medians and their ratio."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("TOKEN")} | {
        "HF_ENDPOINT": url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ours, theirs = work / "ours", work / "theirs"
    script = str(ROOT / "phase1-ingestion" / "ingest_hf_data.py")
    ways = {
        "data_foundry": [sys.executable, script, "--datasets", REPO_ID, "--base-path", str(ours)],
        "snapshot_download+verify": [sys.executable, "-c", PEER, REPO_ID],
    }
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, command in ways.items():
            for folder in (ours, theirs):
                shutil.rmtree(folder, ignore_errors=True)
            os.sync()
            figures[name].append(measured(command, environment | {"HF_HOME": str(theirs)}))
            print(name, figures[name][-1], file=sys.stderr)
    measured(ways["data_foundry"], environment | {"HF_HOME": str(theirs)})
    before = count(url)
    rerun = measured(ways["data_foundry"], environment | {"HF_HOME": str(theirs)})
    after = count(url)
    rerun |= {"file_requests": after["files"] - before["files"], "requests": after["requests"] - before["requests"]}
    medians = {
        name: {key: statistics.median(run[key] for run in of_one) for key in of_one[0]}
        for name, of_one in figures.items()
    }
    first, second = medians.values()
    ratio = {key: round(first[key] / second[key], 3) for key in first}
    for folder in (ours, theirs):
        shutil.rmtree(folder, ignore_errors=True)
    return {"runs": figures, "medians": medians, "ratio": ratio, "rerun_of_a_finished_dataset": rerun}


def count(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/count") as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
