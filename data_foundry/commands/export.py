"""export: write an engine's gold in a format that training toolkits read; its rows keep their lineage and licences.

The same gold gives the same bytes. A folder that holds the same export already is left as it is."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.export.export import ExportPlan, export, plan
from data_foundry.export.formats import FORMATS
from data_foundry.figures import counted, readable_size
from data_foundry.lake import Lake, storage_error

PROGRESS_SECONDS = 2.0
SHARD_SIZE = "256MB"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("engine", choices=[engine.value for engine in ENGINES], help="the engine whose gold it is")
    parser.add_argument("--format", required=True, choices=list(FORMATS), help="what the reader wants")
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="a folder that is new or empty")
    parser.add_argument("--split", nargs="+", metavar="NAME", help="only these splits (default: all that have rows)")
    parser.add_argument(
        "--shard-size", default=SHARD_SIZE, metavar="SIZE", help=f"bound of a tar file (default {SHARD_SIZE})"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Export, or with --dry-run say what would be. Returns 1 when the disk fails."""
    lake = Lake(settings)
    planned = plan(
        lake, AIEngine(arguments.engine), arguments.format, arguments.to, arguments.split,
        _size_in_bytes(arguments.shard_size),
    )  # fmt: skip
    if arguments.dry_run:
        return _preview(planned, arguments.json)
    try:
        made = export(lake, planned, _Progress(sum(planned.rows.values())))
    except OSError as error:
        fault = storage_error(error, planned.target, other="or choose another with --to DIR; nothing was left there")
        if fault is None:
            raise
        print(f"error: export stopped: {fault}", file=sys.stderr)
        return 1
    outcome = "done" if planned.whole is None else "nothing to do"
    if arguments.json:
        print(json.dumps({"outcome": outcome, "to": str(planned.target), **made}, indent=1))
        return 0
    if planned.whole is not None:
        print(f"nothing to do: {planned.target} holds this export, of the same gold")
        return 0
    size = f"{counted(made['files'], 'file')}, {readable_size(made['bytes'])}"
    print(f"{planned.engine} as {FORMATS[planned.format].title} in {planned.target}: {size}")
    for split, line in made["splits"].items():
        print(f"  {split}: {_said(line)}")
    return 0


def _said(line: dict[str, Any]) -> str:
    parts = [counted(line["rows"], "row")]
    if "seconds" in line:
        parts.append(f"{line['seconds'] / 3600:.2f} hours")
    if line.get("shards"):
        parts.append(counted(line["shards"], "shard"))
    parts += [f"{counted(count, 'row')} left in gold ({reason})" for reason, count in line["left_out"].items()]
    return ", ".join(parts)


def _preview(planned: ExportPlan, as_json: bool) -> int:
    would = "skip" if planned.whole is not None else "run"
    if as_json:
        print(json.dumps({"would": would, "to": str(planned.target), "key": planned.key, "rows": planned.rows}))
        return 0
    rows = ", ".join(f"{split} {counted(count, 'row')}" for split, count in planned.rows.items())
    print(f"would {would}: {planned.engine} as {FORMATS[planned.format].title} to {planned.target}: {rows}")
    return 0


def _size_in_bytes(size: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    from data_foundry.mistakes import in_words

    try:
        found = int(TypeAdapter(ByteSize).validate_python(size))
    except ValidationError as error:
        raise FoundryError(f"--shard-size {size}: {in_words(error.errors()[0])}.", "Such as 256MB.") from None
    if found <= 0:
        raise FoundryError(f"--shard-size {size}: it must be more than nothing.", "Such as 256MB.")
    return found


class _Progress:
    """Prints how many rows are written to stderr, every few seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.told = total, 0, time.monotonic()

    def __call__(self, rows: int) -> None:
        self.done += rows
        if time.monotonic() - self.told > PROGRESS_SECONDS:
            self.told = time.monotonic()
            print(f"exported {self.done:,} of {counted(self.total, 'row')}", file=sys.stderr, flush=True)
