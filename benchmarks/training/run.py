"""Measure our LoRA training of speech to text against the way of the public examples, on the CPU.

  python -m benchmarks.training.run WORK [--base FOLDER] [--gold FOLDER] [--clips 48] [--epochs 3] [--rounds 3]

WORK is a folder for what the runs write. FOLDER of --base is a Whisper checkpoint as transformers saves it; without it,
one of whisper-tiny's size with random weights is made. FOLDER of --gold is the gold of stt that a run left
(storage/gold/stt under its base path); without it, phases 1 to 3 make it from the bundled sample. Every way runs in a
process of its own and takes turns with the others; figures are medians over the rounds, ratios are taken round by
round. The losses on held-out clips are those of the first round. `--shares` says instead where the time of each way
goes, from one run of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.config import PROJECT_ROOT

WAYS = ("features", "ours", "plain", "features and states", "ours, decoder", "plain, decoder")
FASTER = 1.5
"""How many times as fast as the examples ours is asked to be."""
LIBRARIES = ("torch", "transformers", "peft", "accelerate", "datasets")


def main() -> None:
    """Run every way in turn, print the tables, write WORK/results.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--base", type=Path, help="a Whisper checkpoint")
    parser.add_argument("--gold", type=Path, help="gold of stt")
    for name, default in {"clips": 48, "held-out": 16, "epochs": 3, "batch": 4, "rounds": 3, "threads": 1,
                          "workers": 2, "rank": 32, "alpha": 64, "seed": 0}.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--warmup", type=float, default=0.1)
    parser.add_argument("--shares", action="store_true", help="say where the time goes")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="only these")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    base = options.base.resolve() if options.base else random_whisper(work / "whisper-of-random-weights")
    gold = options.gold.resolve() if options.gold else gold_of_the_sample(work / "sample")
    rows, held_out = clips(gold, work, options.clips, options.held_out)
    told = ("clips", "epochs", "batch", "threads", "workers", "rank", "alpha", "seed", "rate", "warmup")
    given = {name: getattr(options, name) for name in told} | {"base": str(base), "rows": str(rows)}
    if options.shares:
        print(shares(options.ways, given, work))
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in options.ways}
    loads = []
    for turn in range(options.rounds):
        measured = str(held_out) if turn == 0 else None
        for name in options.ways:
            loads.append(os.getloadavg()[0])
            found[name].append(once(name, given | {"held_out": measured}, work, fresh=name == options.ways[0]))
            print(f"round {turn + 1} {name}: {json.dumps(found[name][-1])}", file=sys.stderr, flush=True)
    untrained = once("base", given | {"held_out": str(held_out)}, work, fresh=False)["held_out_loss"]
    results = {
        "options": given | {"base": base.name, "rounds": options.rounds},
        "machine": {"processor": processor(), "cores": os.cpu_count(), "load": [min(loads), max(loads)]},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "audio_seconds": audio_seconds(rows),
        "held_out_loss_of_the_base": untrained,
        "ways": found,
    }
    (work / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(tables(results))


def once(name: str, given: dict[str, Any], work: Path, *, fresh: bool) -> dict[str, float]:
    """Run one way in a process of its own; `fresh` starts a round, whose features are computed anew."""
    store, folder = work / "store", work / "out"
    shutil.rmtree(folder, ignore_errors=True)
    if fresh:
        shutil.rmtree(store, ignore_errors=True)
    way = {"features and states": "features, states"}.get(name, name)
    asked = given | {"way": way, "store": str(store), "folder": str(folder)}
    environ = {
        **os.environ,
        "OMP_NUM_THREADS": str(given["threads"]),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    command = [sys.executable, "-m", "benchmarks.training.ways", json.dumps(asked)]
    done = subprocess.run(command, env=environ, cwd=PROJECT_ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    said: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def clips(gold: Path, work: Path, train: int, held_out: int) -> tuple[Path, Path]:
    """Write the first rows of gold's train and test splits as files of their own, and return them."""
    places = []
    for split, count in (("train", train), ("test", held_out)):
        table = pa.concat_tables(pq.read_table(file) for file in sorted((gold / split).glob("*.parquet")))
        table = table.filter(pa.compute.is_valid(table["audio"])).slice(0, count)
        if len(table) < count:
            raise SystemExit(
                f"{gold / split} has {len(table)} rows with audio; --clips or --held-out asks for {count}."
            )
        places.append(work / f"{split}.parquet")
        pq.write_table(table, places[-1], row_group_size=16)
    return places[0], places[1]


def audio_seconds(rows: Path) -> float:
    return sum(pq.read_table(rows, columns=["duration"])["duration"].to_pylist())


def random_whisper(folder: Path) -> Path:
    """Make a Whisper of whisper-tiny's size with random weights, and the tokenizer of the sample's tiny one."""
    from transformers import (
        AutoConfig,
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
        set_seed,
    )

    tiny = PROJECT_ROOT / "storage" / "sample-hub" / "models" / "data-foundry" / "tiny-whisper-ml"
    known = AutoConfig.from_pretrained(tiny)
    ids = {
        name: getattr(known, name)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
    }
    set_seed(0)
    model = WhisperForConditionalGeneration(WhisperConfig(vocab_size=known.vocab_size, **ids))
    model.generation_config = GenerationConfig.from_pretrained(tiny)
    for part in (model, WhisperTokenizer.from_pretrained(tiny), WhisperFeatureExtractor()):
        part.save_pretrained(folder)
    return folder


def gold_of_the_sample(base_path: Path) -> Path:
    """Run phases 1 to 3 on the bundled sample, for speech to text alone."""
    command = [sys.executable, "run_data_foundry.py", "--profile", "sample", "--base-path", str(base_path)]
    subprocess.run(
        [*command, "--engines", "stt", "--phases", "phase1", "phase2", "phase3"], cwd=PROJECT_ROOT, check=True
    )
    return base_path / "storage" / "gold" / "stt"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def tables(results: dict[str, Any]) -> str:
    """Return the figures as Markdown: every way, every comparison, and after how many epochs the features are paid."""
    ways, options = results["ways"], results["options"]
    middle = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0] if key in runs[-1]}
              for name, runs in ways.items()}  # fmt: skip
    audio = results["audio_seconds"]
    low, high = results["machine"]["load"]
    lines = [
        f"{options['base']}: {options['clips']} clips ({audio:.0f} s), batches of {options['batch']}, "
        f"{options['epochs']} epochs, {options['threads']} thread(s), rank {options['rank']}; medians of "
        f"{options['rounds']} interleaved rounds, load {low:.1f} to {high:.1f} on {results['machine']['cores']} cores.",
        "",
        "| way | samples/s | samples/CPU s | loop s | trained parameters | peak MB | held-out loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in ways.items():
        if name.startswith("features"):
            continue
        m = middle[name]
        lines.append(
            f"| {name} | {m['per_second']:.3f} | {m['per_cpu_second']:.3f} | {m['wall']:.1f} | {m['trainable']:.0f} | "
            f"{m['peak_mb']:.0f} | {runs[0]['held_out_loss']:.4f} |"
        )
    lines += ["", f"Held-out loss of the base: {results['held_out_loss_of_the_base']:.4f}.", ""]
    lines += ["| computed once | s | CPU s | MB a clip | peak MB |", "|---|---|---|---|---|"]
    for name in (name for name in ways if name.startswith("features")):
        m = middle[name]
        lines.append(
            f"| {name} | {m['wall']:.1f} | {m['cpu']:.1f} | {m['bytes_a_row'] / 1e6:.2f} | {m['peak_mb']:.0f} |"
        )
    lines += ["", "| figure | each round | median | asked |", "|---|---|---|---|"]
    for what, ours, plain, made in (
        ("full LoRA", "ours", "plain", ("features",)),
        ("LoRA on the decoder", "ours, decoder", "plain, decoder", ("features", "features and states")),
    ):
        if ours in ways and plain in ways:
            lines += comparison(what, ways, ours, plain, [name for name in made if name in ways], options)
    return "\n".join(lines)


def shares(names: list[str], given: dict[str, Any], work: Path) -> str:
    """Return a table of where the CPU time of each loop goes; making features on the fly is part of drawing batches."""
    lines = []
    for name in names:
        run: dict[str, Any] = once(name, given | {"shares": True}, work, fresh=name == names[0])
        if "shares" in run:
            if not lines:
                lines = [f"| way | CPU s | {' | '.join(run['shares'])} |", "|---|---|" + "---|" * len(run["shares"])]
            parts = " | ".join(f"{100 * share:.1f} %" for share in run["shares"].values())
            lines.append(f"| {name} | {run['cpu']:.1f} | {parts} |")
    return "\n".join(lines)


def comparison(
    what: str, ways: dict[str, list[dict[str, float]]], ours: str, plain: str, made: list[str], options: dict[str, Any]
) -> list[str]:
    """Return the rows of one comparison; what is computed once is counted apart, and in the totals."""

    def row(figure: str, values: list[float], asked: str = "") -> str:
        each = " ".join(f"{value:.2f}" for value in values)
        return f"| {what}: {figure} | {each} | {statistics.median(values):.2f} | {asked} |"

    mine, theirs = ways[ours], ways[plain]
    once_made = [sum(ways[name][turn]["wall"] for name in made) for turn in range(len(mine))]
    saved = [(b["wall"] - a["wall"]) / options["epochs"] for a, b in zip(mine, theirs, strict=True)]
    totals = [m + a["wall"] for m, a in zip(once_made, mine, strict=True)]
    return [
        row("samples per second, times the examples'",
            [a["per_second"] / b["per_second"] for a, b in zip(mine, theirs, strict=True)], f"{FASTER}"),
        row("samples per CPU second, times the examples'",
            [a["per_cpu_second"] / b["per_cpu_second"] for a, b in zip(mine, theirs, strict=True)]),
        row("peak memory, of the examples'", [a["peak_mb"] / b["peak_mb"] for a, b in zip(mine, theirs, strict=True)]),
        row(f"everything over {options['epochs']} epochs, s, ours", totals),
        row(f"everything over {options['epochs']} epochs, s, the examples'", [b["wall"] for b in theirs]),
        row("the same as a ratio", [b["wall"] / t for b, t in zip(theirs, totals, strict=True)]),
        row("epochs after which what was computed once is paid back",
            [m / s if s > 0 else float("inf") for m, s in zip(once_made, saved, strict=True)]),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
