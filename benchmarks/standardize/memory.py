"""Measure the memory of phase 2 on 2 workers over data that is heavy in each way.

  python -m benchmarks.standardize.memory WORK [--workers 2]

One dataset is a 500 MB Parquet shard in row groups of 58 MB; the other an audiofolder with a recording of two hours,
44.1 kHz stereo FLAC, without chunk times. Both run at once, as the phase's script runs them. Sampled every 50 ms: the
largest resident set of any one process, and the largest sum over all processes of the run of their proportional sets
(PSS: a page that several processes share counts once).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.config import PROJECT_ROOT, load_settings
from data_foundry.lake import Lake, Layer
from sample.speech import SPEAKING_RATE_HZ, encode, speak, voices

SHARDS, FOLDER = "ayush-shunyalabs/malayalam-speech-dataset", "CXDuncan/Malayalam-IndicVoices"
TEXT = "ഇന്ന് രാവിലെ മുതൽ നല്ല മഴ പെയ്യുന്നു"


def main() -> None:
    """Make the data where it is missing, run the phase, print both figures in MB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    base = given.work / "memory"
    lake = Lake(load_settings(flags={"base_path": str(base)}, environ={}))
    if lake.manifest(Layer.RAW, SHARDS) is None:
        heavy_shard(lake)
    if lake.manifest(Layer.RAW, FOLDER) is None:
        long_recording(lake)
    shutil.rmtree(base / "storage" / "silver", ignore_errors=True)
    script = PROJECT_ROOT / "phase2-preprocessing" / "standardize_data.py"
    command = [sys.executable, str(script), "--base-path", str(base), "--workers", str(given.workers)]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--datasets", SHARDS, FOLDER], env=environ)
    largest = total = 0
    while process.poll() is None:
        family = [process.pid, *descendants(process.pid)]
        largest = max([largest, *(memory(pid, "Rss") for pid in family)])
        total = max(total, sum(memory(pid, "Pss") for pid in family))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"the phase failed with {process.returncode}")
    print(json.dumps({"largest_process_mb": largest // 1024, "all_processes_pss_mb": total // 1024}))


def heavy_shard(lake: Lake) -> None:
    """860 clips of 3 s in 48 kHz stereo WAV, each with other samples, 100 to a row group, uncompressed."""
    voice = voices("train")[0]
    spoken = np.resize(speak(TEXT, voice), 3 * SPEAKING_RATE_HZ)
    wav = bytearray(encode(spoken, SPEAKING_RATE_HZ, "wav16", 48_000, 2))
    rows = []
    for number in range(860):
        wav[1000:1008] = number.to_bytes(8, "little")
        rows.append({"audio": {"bytes": bytes(wav), "path": f"{number}.wav"}, "transcript": f"{TEXT} {number}"})
    kinds = [("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("transcript", pa.string())]
    with lake.commit(Layer.RAW, SHARDS, "0") as commit:
        path = commit.path("files/data/train-00000-of-00001.parquet")
        table = pa.Table.from_pylist(rows, schema=pa.schema(kinds))
        pq.write_table(table, path, row_group_size=100, compression="none", use_dictionary=False)
        commit.publish(details={"roles": {"audio": "audio", "text": "transcript"}})


def long_recording(lake: Lake) -> None:
    """One sentence and a pause, over and over for two hours less a minute."""
    spoken = speak(TEXT, voices("train")[1])
    loop = np.concatenate([spoken, np.zeros(SPEAKING_RATE_HZ // 2, np.float32)])
    with lake.commit(Layer.RAW, FOLDER, "0") as commit:
        path = commit.path("files/Data/Train/long.flac")
        short = path.with_suffix(".wav")
        short.write_bytes(encode(loop, SPEAKING_RATE_HZ, "wav16", 44_100, 2))
        looped = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", short, "-t", "7140", "-y", path]
        subprocess.run(looped, check=True)
        short.unlink()
        row = {"file_name": "Data/Train/long.flac", "sentence": TEXT, "verbatim": [], "district": "Kollam"}
        commit.path("files/metadata.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
        commit.publish(details={"roles": {"file_name": "file_name", "text": "sentence", "district": "district"}})


def memory(pid: int, field: str) -> int:
    """Return a field of a process's memory in kB; 0 once it has gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return 0


def descendants(pid: int) -> list[int]:
    """Return the ids of a process's children, their children, and so on."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text(encoding="ascii").split()):
                found += [child, *descendants(child)]
    return found


if __name__ == "__main__":
    main()
