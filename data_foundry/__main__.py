"""python -m data_foundry status | doctor

  status   what lies in the lake and which adapters stand at which stage
  doctor   what is missing on this machine, and per dataset on the Hub, before a run; writes nothing

Both take --json and the flags of the phase scripts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from data_foundry.cli import add_common_flags, settings_from
from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands. Returns 0, 1 when doctor finds an error, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m data_foundry", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("status", "doctor"))
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_common_flags(parser)
    arguments = parser.parse_args(argv)
    try:
        settings = settings_from(arguments)
        return status(settings, arguments.json) if arguments.command == "status" else doctor(settings, arguments.json)
    except FoundryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def status(settings: Settings, as_json: bool) -> int:
    """Print every complete folder of the lake, and the deployments."""
    from data_foundry.serving.deploy import status as deployments

    lake = Lake(settings)
    layers = {
        layer.value: [
            {
                "name": manifest.name,
                "rows": manifest.rows_out,
                "rejected": sum(manifest.rejected.values()),
                "bytes": manifest.total_bytes,
                "key": manifest.key[:12],
            }
            for manifest in lake.manifests(layer)
        ]
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


def print_table(title: str, entries: Sequence[dict[str, Any]]) -> None:
    """Print dictionaries with the same keys as an aligned table."""
    print(f"\n{title}" if entries else f"\n{title}: none")
    if not entries:
        return
    columns = list(dict.fromkeys(key for entry in entries for key in entry))
    lines = [columns, *([_cell(entry.get(column)) for column in columns] for entry in entries)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
