"""python -m data_foundry status | doctor | verify [NAME ...]

  status   what lies in the lake and which adapters stand at which stage
  doctor   what is missing on this machine, and per dataset on the Hub, before a run; writes nothing
  verify   whether every file of the lake still has the bytes that its manifest lists, or those of the datasets,
           engines and models that are named; --repair removes what is damaged, so that its phase makes it again

All take --json and the flags of the phase scripts.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

from data_foundry.cli import add_common_flags, settings_from
from data_foundry.config import Settings
from data_foundry.endings import ended
from data_foundry.figures import counted, readable_size
from data_foundry.lake import Lake, Layer

WIDTH = 120
PROGRESS_SECONDS = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands. Returns 0, 1 when doctor finds an error or verify a damage, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m data_foundry", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("status", "doctor", "verify"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="verify only these datasets, engines or models")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--layer", choices=tuple(Layer), action="append", help="verify only this layer; may be given again"
    )
    parser.add_argument("--repair", action="store_true", help="with verify: remove the damaged files")
    add_common_flags(parser)
    arguments = parser.parse_intermixed_args(argv)
    if arguments.command != "verify" and (arguments.names or arguments.layer or arguments.repair):
        parser.error("NAME, --layer and --repair are verify's")
    commands: dict[str, Callable[[Settings, bool], int]] = {
        "status": status,
        "doctor": doctor,
        "verify": partial(verify, arguments),
    }
    return ended(arguments.command, lambda: commands[arguments.command](settings_from(arguments), arguments.json))


def status(settings: Settings, as_json: bool) -> int:
    """Print every complete folder of the lake, and the deployments."""
    from data_foundry.serving.deploy import status as deployments

    lake = Lake(settings)
    layers = {
        layer.value: [_held(lake, layer, name) for name in lake.names(layer)]
        for layer in (Layer.RAW, Layer.SILVER, Layer.GOLD)
    }
    deployed = deployments(settings)
    if as_json:
        print(json.dumps({"base_path": str(settings.base_path), **layers, "deployments": deployed}, indent=1))
        return 0
    print(f"base path {settings.base_path}")
    for layer, entries in layers.items():
        print_table(layer, entries)
    print_table("deployments", deployed)
    return 0


def _held(lake: Lake, layer: Layer, name: str) -> dict[str, Any]:
    manifest = lake.readable(layer, name)
    if manifest is None:
        return {"name": name, "fault": lake.fault(layer, name)}
    return {
        "name": manifest.name,
        "rows": manifest.rows_out,
        "rejected": sum(manifest.rejected.values()),
        "bytes": manifest.total_bytes,
        "key": manifest.key[:12],
    }


def doctor(settings: Settings, as_json: bool) -> int:
    """Print what a run would miss."""
    from data_foundry.ingestion.doctor import diagnose

    diagnoses = diagnose(settings)
    if as_json:
        print(json.dumps(diagnoses, indent=1))
    for each in () if as_json else diagnoses:
        print(f"{each['status']:<8} {each['check']:<8} {each['subject']}: {each['message']}")
        if each["next_step"]:
            print(f"{'':<18}-> {each['next_step']}")
    return 1 if any(each["status"] == "error" for each in diagnoses) else 0


def verify(arguments: argparse.Namespace, settings: Settings, as_json: bool) -> int:
    """Print which files of the lake are damaged, and with --repair remove them."""
    from data_foundry.lake.verify import chosen, repair, verify

    lake, damages, seen = Lake(settings), [], Counter[str]()
    names = [*arguments.names, *(arguments.datasets or ()), *(arguments.engines or ())]
    with lake.lock("verify --repair") if arguments.repair else nullcontext():
        folders = chosen(lake, [Layer(name) for name in arguments.layer or Layer], names)
        tell = _Progress(sum(held.total_bytes for each in folders if (held := lake.readable(*each))))
        for layer, name in folders:
            damages += verify(lake, layer, name, tell)
            held = lake.readable(layer, name)
            seen += Counter(folders=1, files=len(held.files) if held else 0, bytes=held.total_bytes if held else 0)
        if arguments.repair:
            repair(lake, damages)
    if as_json:
        found = [{key: value for key, value in asdict(each).items() if value is not None} for each in damages]
        print(
            json.dumps({"base_path": str(settings.base_path), **seen, "repaired": arguments.repair, "damages": found})
        )
        return 1 if damages else 0
    for each in damages:
        print(f"{each.layer} {each.name}: {each.file} {each.fault}")
        if each.found:
            print(f"  expected sha256 {each.expected}\n  found    sha256 {each.found}")
    total = f"{counted(seen['files'], 'file')} in {counted(seen['folders'], 'folder')}, {readable_size(seen['bytes'])}"
    sound = "every file has the bytes of its manifest" if folders else "nothing complete lies there"
    print(f"{total}: {counted(len(damages), 'damage') if damages else sound}")
    for command in dict.fromkeys(each.way_out for each in damages):
        print(f"  -> {'' if arguments.repair else 'verify --repair removes what is damaged; then '}{command}")
    return 1 if damages else 0


class _Progress:
    """Prints how far the hashing is to stderr, every few seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.told = total, 0, time.monotonic()

    def __call__(self, size: int) -> None:
        self.done += size
        if time.monotonic() - self.told > PROGRESS_SECONDS:
            self.told = time.monotonic()
            print(f"verified {readable_size(self.done)} of {readable_size(self.total)}", file=sys.stderr, flush=True)


def print_table(title: str, entries: Sequence[dict[str, Any]]) -> None:
    """Print dictionaries as an aligned table; what does not fit on a line stands below it, each value with its name."""
    print(f"\n{title}" if entries else f"\n{title}: none")
    if not entries:
        return
    rows = [{name: _cell(value) for name, value in entry.items()} for entry in entries]
    columns = list(dict.fromkeys(name for row in rows for name in row if any(other.get(name) for other in rows)))
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in columns}
    beside = [name for at, name in enumerate(columns) if sum(widths[c] + 2 for c in columns[: at + 1]) <= WIDTH]
    print("  " + "  ".join(name.ljust(widths[name]) for name in beside).rstrip())
    for row in rows:
        print("  " + "  ".join(row.get(name, "").ljust(widths[name]) for name in beside).rstrip())
        below = [f"{name}: {row[name]}" for name in columns if name not in beside and row.get(name)]
        if below:
            print(textwrap.fill("; ".join(below), WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
