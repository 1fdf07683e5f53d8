"""verify: whether every file of the lake still has the bytes that its manifest lists, or those of the datasets, engines
and models that are named, and which rows a damage touches; with models the registry's history, too. --repair removes
what is damaged, so that its phase makes it again."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from data_foundry.adapter_name import engine_of
from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.figures import counted, readable_size
from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine

PROGRESS_SECONDS = 2.0
IDS_SHOWN = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these datasets, engines or models")
    parser.add_argument("--layer", choices=tuple(Layer), action="append", help="only this layer; may be given again")
    parser.add_argument("--repair", action="store_true", help="remove the damaged files")
    parser.add_argument(
        "--splits", action="store_true", help="whether gold's splits are disjoint, found out from its files alone"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print which files of the lake are damaged, and with --repair remove them; with --splits which rows leak."""
    from data_foundry.lake.verify import chosen, repair, verify
    from data_foundry.lineage.recordings import with_rows

    lake, damages, seen = Lake(settings), [], Counter[str]()
    names = [*arguments.names, *(arguments.datasets or ()), *(arguments.engines or ())]
    if arguments.splits:
        # Variants have no gold of their own.
        names = [name if "/" in name else engine_of(name).value for name in names]
        if arguments.repair or arguments.layer:
            asked = "--repair" if arguments.repair else "--layer"
            raise FoundryError(
                f"verify --splits reads gold and changes nothing: {asked} does not go with it.",
                f"Leave out {asked}, or --splits.",
            )
        return _verify_splits(lake, names, arguments.json)
    with lake.lock("verify --repair") if arguments.repair else nullcontext():
        folders = chosen(lake, [Layer(name) for name in arguments.layer or Layer], names)
        tell = _Progress(sum(held.total_bytes for each in folders if (held := lake.readable(*each))))
        for layer, name in folders:
            damages += verify(lake, layer, name, tell)
            held = lake.readable(layer, name)
            seen += Counter(folders=1, files=len(held.files) if held else 0, bytes=held.total_bytes if held else 0)
        damages = with_rows(lake, settings, damages)
        models = any(layer is Layer.MODELS for layer, _ in folders)
        whole = not names and Layer.MODELS in (arguments.layer or Layer)
        told = registry_told(lake) if models or whole else {}
        if arguments.repair:
            repair(lake, damages)
    if arguments.json:
        found = [{key: value for key, value in asdict(each).items() if value not in (None, ())} for each in damages]
        about = {"base_path": str(settings.base_path), **seen, "repaired": arguments.repair}
        print(json.dumps({**about, "damages": found, **told}))
        return 1 if damages or told.get("registry", {}).get("faults") else 0
    for each in damages:
        print(f"{each.layer} {each.name}: {each.file} {each.fault}")
        if each.found:
            print(f"  expected sha256 {each.expected}\n  found    sha256 {each.found}")
        for rows in each.damaged:
            print(f"  {rows}")
            if rows.row_ids:
                others = len(rows.row_ids) - IDS_SHOWN
                more = f" and {counted(others, 'more row')}" if others > 0 else ""
                print(f"    {', '.join(rows.row_ids[:IDS_SHOWN])}{more}")
    total = f"{counted(seen['files'], 'file')} in {counted(seen['folders'], 'folder')}, {readable_size(seen['bytes'])}"
    sound = "every file has the bytes of its manifest" if folders else "nothing complete lies there"
    print(f"{total}: {counted(len(damages), 'damage') if damages else sound}")
    for command in dict.fromkeys(each.way_out for each in damages):
        print(f"  -> {'' if arguments.repair else 'verify --repair removes what is damaged; then '}{command}")
    faults = told.get("registry", {}).get("faults", [])
    for fault in faults:
        print(f"registry: {fault}")
    if "registry" in told and not faults:
        print(f"registry: {counted(told['registry']['entries'], 'change')}, their chain is whole")
    return 1 if damages or faults else 0


def registry_told(lake: Lake) -> dict[str, Any]:
    """Return {"registry": {"entries": how many changes, "faults": sentences}}, or {} where nothing was registered."""
    from data_foundry.finetuning.versions.registry import Registry
    from data_foundry.finetuning.versions.versions import registry_faults

    registry = Registry(lake)
    if not registry.path.exists():
        return {}
    try:
        return {"registry": {"entries": len(registry.history()), "faults": registry_faults(lake)}}
    except FoundryError as error:
        return {"registry": {"entries": None, "faults": [str(error)]}}


def _verify_splits(lake: Lake, names: list[str], as_json: bool) -> int:
    """Print which rows of gold share with rows of another split what must not be shared."""
    from data_foundry.commands.split_check import split_faults
    from data_foundry.lake.verify import chosen

    engines = [AIEngine(name) for _, name in chosen(lake, [Layer.GOLD], names)]
    rows, faults = split_faults(lake, engines)
    if as_json:
        print(json.dumps({"base_path": str(lake.base_path), "rows": rows, "faults": [asdict(each) for each in faults]}))
        return 1 if faults else 0
    for each in faults:
        print(f"{each.engine}: {each.kind}: {each.message}")
        for row in each.rows:
            print(f"  {row}")
        if each.rows and each.count > len(each.rows):
            print(f"  and {each.count - len(each.rows)} more")
    for engine, counts in rows.items():
        print(f"{engine}: " + (", ".join(f"{count} {split}" for split, count in counts.items()) or "no rows"))
    sound = "no split shares anything that it must not share" if rows else "there is no gold"
    print(counted(len(faults), "fault") if faults else sound)
    return 1 if faults else 0


class _Progress:
    """Prints how far the hashing is to stderr, every few seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.told = total, 0, time.monotonic()

    def __call__(self, size: int) -> None:
        self.done += size
        if time.monotonic() - self.told > PROGRESS_SECONDS:
            self.told = time.monotonic()
            print(f"verified {readable_size(self.done)} of {readable_size(self.total)}", file=sys.stderr, flush=True)
