"""keys: the API keys of the gateway: make one for a caller (it is shown once), list them, revoke one; gateways that run
see the change at once. Only a hash of a key is kept."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from data_foundry.cli import add_common_flags
from data_foundry.commands.tables import print_table
from data_foundry.config import Settings
from data_foundry.errors import FoundryError

HELP = {
    "create": "make a key for a caller and print it, once",
    "list": "every key's name, and when it was made and revoked",
    "revoke": "let a key open nothing any more",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in HELP.items():
        # What is given before the action's name must not be undone by the defaults of its own flags.
        command = actions.add_parser(name, help=about, description=about, argument_default=argparse.SUPPRESS)
        if name != "list":
            command.add_argument("name", metavar="NAME", help="who calls with it")
        command.add_argument("--json", action="store_true", help="print JSON instead of text")
        add_common_flags(command)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do what the action says."""
    from data_foundry.serving.http.api_keys import ApiKeys

    keys = ApiKeys.of(settings)
    if arguments.dry_run and arguments.action != "list":
        raise FoundryError(f"keys {arguments.action} has no preview.", "Leave out --dry-run.")
    if arguments.action == "create":
        key = keys.create(arguments.name)
        if arguments.json:
            print(json.dumps({"name": arguments.name, "key": key}))
        else:
            print(key)
            # Beside the key, so that KEY=$(... keys create NAME) holds the key alone.
            told = f"The key of {arguments.name}; it can't be shown again. Send it as: Authorization: Bearer KEY"
            print(told, file=sys.stderr)
    elif arguments.action == "revoke":
        keys.revoke(arguments.name)
        print(json.dumps({"revoked": arguments.name}) if arguments.json else f"{arguments.name} opens nothing any more")
    else:
        entries = [{name: value for name, value in asdict(each).items() if name != "sha256"} for each in keys.entries()]
        if arguments.json:
            print(json.dumps(entries, indent=1))
        else:
            print_table(f"API keys of {settings.base_path}", entries)
    return 0
