"""The ways to do the job, each run in a process of its own: `python ways.py WAY CORPUS OUT WORKERS`.

The job is: read Parquet rows with encoded audio, decode, mix to mono, resample to 16 kHz, write PCM16 WAV into Parquet.
Prints one JSON object: seconds of audio, CPU and clock seconds of the work, and CPU seconds of the start before it
(interpreter, imports, first use); child processes are counted where a way has some.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

RATE = 16_000
STT = "ayush-shunyalabs/malayalam-speech-dataset"


class Clock:
    """CPU seconds (children too) and the clock's, from `start` on."""

    def __init__(self) -> None:
        self.begun = _cpu(), time.perf_counter()

    def start(self) -> None:
        """Begin: what was spent so far is the cost of the start."""
        self.begun = _cpu(), time.perf_counter()

    def told(self, seconds: float) -> dict[str, float]:
        cpu, wall = self.begun
        return {"seconds": seconds, "cpu": _cpu() - cpu, "wall": time.perf_counter() - wall, "start": cpu}


def _cpu() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def shards(corpus: Path) -> list[Path]:
    return sorted(corpus.glob("train-*.parquet"))


def ours(corpus: Path, out: Path, workers: int, clock: Clock) -> float:
    """The package's reader, decoder, resampler and WAV writer, and Parquet as silver has it; no measures, no text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_foundry.dataset_registry import dataset_entry
    from data_foundry.preprocessing.audio import decode, to_16k, wav_bytes
    from data_foundry.preprocessing.readers import RawRow, read_rows
    from data_foundry.preprocessing.silver_files import ROWS_PER_GROUP, array
    from data_foundry.preprocessing.stream import in_order
    from data_foundry.records import Rejected

    def wav(raw: RawRow) -> Iterator[bytes]:
        with contextlib.suppress(Rejected):
            clip = decode(raw.payload or b"")
            yield wav_bytes(to_16k(clip.samples, clip.rate))

    paths = [path.name for path in shards(corpus)]
    schema = pa.schema([("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    for raw in islice(read_rows(dataset_entry(STT), corpus, paths), 5):
        list(wav(raw))
    total = 0
    clock.start()
    with pq.ParquetWriter(out / "ours.parquet", schema, **options) as writer:
        group: list[dict[str, Any]] = []
        stream = in_order(wav, read_rows(dataset_entry(STT), corpus, paths), workers, lambda _: False, lambda _: True)
        for raw, found in stream:
            for payload in found:
                total += len(payload) - 44
                group.append({"bytes": payload, "path": f"{raw.source_row}.wav"})
            if len(group) == ROWS_PER_GROUP:
                writer.write_table(pa.table([array(schema.field(0), group)], schema))
                group = []
        writer.write_table(pa.table([array(schema.field(0), group)], schema))
    return total / 2 / RATE


def phase(corpus: Path, out: Path, workers: int, clock: Clock) -> float:
    """The whole of phase 2 on the corpus as a raw dataset: measures, gates, text, content, hashes, lineage, commit.

    Hashing the raw files, which is phase 1's, is counted too.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    warm = out / "warm"
    warm.mkdir()
    rows = next(pq.ParquetFile(shards(corpus)[0]).iter_batches(batch_size=5))
    pq.write_table(pa.Table.from_batches([rows]), warm / "train-0.parquet")
    _standardized(warm, out / "first", workers)
    clock.start()
    return _standardized(corpus, out / "second", workers)


def _standardized(corpus: Path, base: Path, workers: int) -> float:
    from data_foundry.config import Settings
    from data_foundry.lake import Lake, Layer
    from data_foundry.preprocessing import standardize

    settings = Settings.model_validate({"base_path": base, "datasets": [STT], "workers": workers})
    lake = Lake(settings)
    with lake.commit(Layer.RAW, STT, "0") as commit:
        for path in shards(corpus):
            os.link(path, commit.path(f"files/data/{path.name}"))
        commit.publish(details={"roles": {"audio": "audio", "text": "transcript"}})
    (step,) = standardize.plan(settings, lake)
    result = standardize.run_step(settings, step)
    if result.rows_out < 0.97 * result.rows_in:
        raise SystemExit(f"too many rows were rejected to call it the same job: {result}")
    manifest = lake.manifest(Layer.SILVER, STT)
    assert manifest is not None
    return float(manifest.details["metrics"]["silver_hours"]) * 3600


def first_row(corpus: Path, out: Path, workers: int, clock: Clock) -> float:
    """The script of phase 2 on the lake in `out`; with no worker its start ends where the first raw row was read."""
    from data_foundry.preprocessing import readers

    read = readers.read_rows

    def timed(*arguments: Any) -> Iterator[Any]:
        for row in read(*arguments):
            clock.start()
            yield row

    readers.read_rows = timed
    script = Path(__file__).parents[2] / "phase2-preprocessing" / "standardize_data.py"
    sys.argv = [str(script), "--base-path", str(out), "--datasets", STT, "--workers", str(workers)]
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
        runpy.run_path(str(script), run_name="__main__")
    return 0.0


def hf_datasets(corpus: Path, out: Path, workers: int, clock: Clock) -> float:
    """datasets.map over its Audio feature, which torchcodec decodes and resamples."""
    import datasets
    import soundfile
    import torch

    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    files = [str(path) for path in shards(corpus)]
    warm = datasets.load_dataset("parquet", data_files=files[:1], split="train[:2]", cache_dir=str(out / "warm"))
    warm.cast_column("audio", datasets.Audio(sampling_rate=RATE, num_channels=1)).map(_hf_wav, remove_columns="audio")
    del soundfile
    clock.start()
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(out / "cache"))
    rows = rows.cast_column("audio", datasets.Audio(sampling_rate=RATE, num_channels=1))
    rows = rows.map(_hf_wav, remove_columns="audio", num_proc=workers if workers > 1 else None)
    rows.to_parquet(str(out / "datasets.parquet"))
    return sum(rows["samples"]) / RATE


def _hf_wav(row: dict[str, Any]) -> dict[str, Any]:
    samples = row["audio"].get_all_samples().data.numpy()[0]
    return {"wav": _wav(samples), "samples": len(samples)}


def _wav(samples: Any) -> bytes:
    import soundfile

    sink = io.BytesIO()
    soundfile.write(sink, samples, RATE, "PCM_16", format="WAV")
    return sink.getvalue()


def lhotse(corpus: Path, out: Path, workers: int, clock: Clock) -> float:
    """Lhotse recordings from bytes, resampled by Lhotse."""
    import torch
    from lhotse import Recording

    torch.set_num_threads(1)

    def load(payload: bytes) -> Any:
        return Recording.from_bytes(payload, "clip").resample(RATE).load_audio().mean(axis=0)

    return _script(load, corpus, out / "lhotse.parquet", clock)


def librosa(corpus: Path, out: Path, workers: int, clock: Clock) -> float:
    """librosa.load and soundfile.write, as scripts do it."""
    import librosa

    return _script(lambda payload: librosa.load(io.BytesIO(payload), sr=RATE)[0], corpus, out / "rosa.parquet", clock)


def _script(load: Callable[[bytes], Any], corpus: Path, target: Path, clock: Clock) -> float:
    import pyarrow as pa
    import pyarrow.parquet as pq

    total, writer = 0, None
    first = next(pq.ParquetFile(shards(corpus)[0]).iter_batches(batch_size=5, columns=["audio"]))
    for row in first.to_pylist():
        _wav(load(row["audio"]["bytes"]))
    clock.start()
    for path in shards(corpus):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=64, columns=["audio"]):
            made = []
            for row in batch.to_pylist():
                samples = load(row["audio"]["bytes"])
                total += len(samples)
                made.append({"audio": {"bytes": _wav(samples), "path": row["audio"]["path"]}})
            table = pa.Table.from_pylist(made)
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_table(table)
    assert writer is not None
    writer.close()
    return total / RATE


WAYS = {
    "ours": ours,
    "phase": phase,
    "first_row": first_row,
    "datasets": hf_datasets,
    "lhotse": lhotse,
    "librosa": librosa,
}


def main() -> None:
    way, corpus, out, workers = sys.argv[1:]
    clock = Clock()
    seconds = WAYS[way](Path(corpus), Path(out), int(workers), clock)
    print(json.dumps(clock.told(seconds)))


if __name__ == "__main__":
    main()
