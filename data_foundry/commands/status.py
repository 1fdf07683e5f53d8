"""status: what lies in the lake and which adapters stand at which stage."""

from __future__ import annotations

import argparse
import json
from typing import Any

from data_foundry.commands.tables import print_table
from data_foundry.config import Settings
from data_foundry.lake import Lake, Layer


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print every complete folder of the lake, and the deployments."""
    from data_foundry.serving.standings import status as deployments

    lake = Lake(settings)
    layers = {
        layer.value: [_held(lake, layer, name) for name in lake.names(layer)]
        for layer in (Layer.RAW, Layer.SILVER, Layer.GOLD)
    }
    deployed = deployments(settings)
    if arguments.json:
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
