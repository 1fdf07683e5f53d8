"""lineage: the path of a row from gold and silver back to its raw row, with every rule that touched it; --check walks
it again: the row is derived from its raw file, and every column is compared byte for byte."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from data_foundry.adapter_name import engine_of
from data_foundry.config import Settings
from data_foundry.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("row_id", metavar="ROW_ID", help="the row's id, or a start of it that no other id has")
    parser.add_argument("--check", action="store_true", help="derive the row again and compare bytes")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print where a row came from and what was made of it; 1 where --check finds another row than is stored."""
    from data_foundry.lineage.check import Checker
    from data_foundry.lineage.find import find
    from data_foundry.lineage.show import shown, verdict_shown
    from data_foundry.lineage.trace import trace

    lake = Lake(settings)
    found = find(
        lake, arguments.row_id, arguments.datasets or (), [engine_of(name) for name in arguments.engines or ()]
    )
    lineage = trace(lake, settings, found)
    verdict = Checker(lake, settings).check(found) if arguments.check else None
    if arguments.json:
        checked = {} if verdict is None else {"check": {"holds": verdict.holds, **asdict(verdict)}}
        print(json.dumps({**lineage, **checked}, ensure_ascii=False, indent=1))
    else:
        for line in shown(lineage):
            print(line)
        if verdict is not None:
            print(*verdict_shown(verdict), sep="\n")
            print("the check holds" if verdict.holds else "the check fails")
    return 0 if verdict is None or verdict.holds else 1
