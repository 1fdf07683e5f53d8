"""status: which versions answer callers and how they do, what is tried, and what lies in the lake.

Needs no running gateway: what one counted and judged lies on the disk, with the time. --engines NAME shows an adapter
with all its versions, failures, trials and drift; --json everything."""

from __future__ import annotations

import argparse
import json
import shutil
from typing import Any

from data_foundry.adapter_name import is_of
from data_foundry.commands.status_text import adapter_text, overview
from data_foundry.config import Settings
from data_foundry.lake import Lake, Layer

LAYERS = (Layer.RAW, Layer.SILVER, Layer.GOLD)
NARROWEST, WIDEST = 72, 120


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print how the deployments stand and what the lake holds."""
    from data_foundry.serving.standings import status as deployments
    from data_foundry.serving.watch.health import health

    lake = Lake(settings)
    layers = {layer.value: [_held(lake, layer, name) for name in lake.names(layer)] for layer in LAYERS}
    told, standing = health(settings), deployments(settings)
    if arguments.json:
        whole = {"base_path": str(settings.base_path), **layers, "deployments": standing, "health": told}
        print(json.dumps(whole, indent=1, ensure_ascii=False))
        return 0
    width = min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST)
    if settings.engines:
        for entry in told["adapters"]:
            if any(is_of(entry["adapter"], name) for name in settings.engines):
                measured = next(one for one in standing if one["engine"] == entry["adapter"])
                print("\n".join(adapter_text(entry, measured, told, width)), end="\n\n")
        return 0
    print(f"base path {settings.base_path}")
    print("\n".join(overview(told, standing, layers, width)))
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
