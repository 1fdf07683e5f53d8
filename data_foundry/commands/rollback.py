"""rollback: take a version back by hand, from production, staging or shadow; what it had replaced in production serves
again if its files are what was registered and nobody revoked its approval. Otherwise the base answers, or nobody where
it can't do the task alone. NAME alone means what answers callers.
A gateway that runs does so at its next look at the registry; --dry-run says what would serve."""

from __future__ import annotations

import argparse
import json

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.versions import find_version
from data_foundry.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar="NAME[/VERSION]", help="an adapter, or one of its versions")
    parser.add_argument("--actor", metavar="WHO", default="", help="the person who decides")
    parser.add_argument("--reason", metavar="WHY", default="", help="why, for the history")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Roll a version back, or say what that would come to, and what serves then."""
    from data_foundry.finetuning.versions.registry import Registry
    from data_foundry.serving.trials.rollback import foreseen, meant_by, roll_back
    from data_foundry.serving.trials.trial import BASE

    lake = Lake(settings)
    registry = Registry(lake)
    named = find_version(lake, arguments.version) if "/" in arguments.version else None
    known = named.registered if named else meant_by(settings, registry, arguments.version)
    if known is None:
        raise FoundryError(f"{arguments.version} is published, and not registered yet.", "Run phase 4 first.")
    if arguments.dry_run:
        done, start = foreseen(settings, registry, known), "would roll back"
    else:
        done = roll_back(settings, known, actor=arguments.actor, reason=arguments.reason)
        start = "rolled back"
    told = {"would": "roll back", **done.as_json()} if arguments.dry_run else done.as_json()
    if arguments.json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return 0
    serves = {None: "nobody", BASE: "the base"}.get(done.serves, f"{known.engine}/{done.serves}")
    again = " again" if done.restored else ""
    verb = "would answer" if arguments.dry_run else "answers"
    print(f"{start} {told['name']} from {known.stage}; {serves} {verb} callers{again}")
    for why in filter(None, (done.not_restored, done.not_served)):
        print(f"  {why}")
    return 0
