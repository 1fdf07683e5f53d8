"""What lies in the lake and in the registry, looked at and checked from the terminal.

python -m data_foundry COMMAND --help says what a command does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from data_foundry.cli import add_common_flags, settings_from
from data_foundry.commands import COMMANDS
from data_foundry.endings import ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands. Returns 0, 1 when it finds something wrong, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m data_foundry", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    modules = {name: import_module(f"data_foundry.commands.{name}") for name in COMMANDS}
    for name, module in modules.items():
        about = (module.__doc__ or "").split(": ", 1)[1]
        command = commands.add_parser(
            name, help=about.split(";")[0].split(".")[0], description=about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.add_argument("--json", action="store_true", help="print JSON instead of tables")
        add_common_flags(command)
        if hasattr(module, "add_arguments"):
            module.add_arguments(command)
    arguments = parser.parse_args(argv)
    return ended(arguments.command, lambda: modules[arguments.command].run(arguments, settings_from(arguments)))


if __name__ == "__main__":
    sys.exit(main())
