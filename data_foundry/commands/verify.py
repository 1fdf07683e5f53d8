"""verify: whether every file of the lake still has the bytes that its manifest lists, or those of the datasets, engines
and models that are named; --repair removes what is damaged, so that its phase makes it again."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict

from data_foundry.config import Settings
from data_foundry.figures import counted, readable_size
from data_foundry.lake import Lake, Layer

PROGRESS_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these datasets, engines or models")
    parser.add_argument("--layer", choices=tuple(Layer), action="append", help="only this layer; may be given again")
    parser.add_argument("--repair", action="store_true", help="remove the damaged files")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
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
    if arguments.json:
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
