"""models: the versions of every adapter: listed, shown whole, compared, exported to a folder or to an MLflow server,
and admitted by a person. A version is named NAME/VERSION; a start of it that no other has is enough."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_foundry.cli import add_common_flags
from data_foundry.commands.tables import print_table
from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.figures import counted, readable_size
from data_foundry.finetuning.versions.version_difference import version_difference
from data_foundry.finetuning.versions.versions import find_version, version_entry, version_names, version_record
from data_foundry.lake import Lake, storage_error

HELP = {
    "list": "every version: how far it came, its score with the interval, and what its gates say",
    "show": "everything on one version: gates, figures, data, lineage and history",
    "diff": "what two versions differ in, and whether their figures can be compared",
    "export": "one version as a plain adapter folder, or to an MLflow server",
    "admit": "let a version into the shadow that its gates left to a person",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    # What is given before the action's name must not be undone by the defaults of its own flags.
    commands = {name: actions.add_parser(name, help=about, description=about, argument_default=argparse.SUPPRESS)
                for name, about in HELP.items()}  # fmt: skip
    for name, command in commands.items():
        if name != "list":
            command.add_argument("version", metavar="NAME/VERSION")
        if name == "diff":
            command.add_argument("other", metavar="NAME/VERSION")
        command.add_argument("--json", action="store_true", help="print JSON instead of text")
        add_common_flags(command)
    target = commands["export"].add_mutually_exclusive_group(required=True)
    target.add_argument("--to", type=Path, metavar="DIR", default=None, help="a folder that is new or empty")
    target.add_argument("--mlflow", metavar="URI", default=None, help="an MLflow server, http://host:port")
    commands["admit"].add_argument("--actor", required=True, metavar="WHO", help="the person who decides")
    commands["admit"].add_argument("--reason", required=True, metavar="WHY", help="why, for the history")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do what the action says. Returns 1 when the disk fails."""
    return ACTIONS[arguments.action](arguments, settings)


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    lake = Lake(settings)
    entries = [version_entry(version_record(lake, name)) for name in version_names(lake, settings.engines)]
    if arguments.json:
        print(json.dumps(entries, ensure_ascii=False, indent=1))
        return 0
    shown = [{**each, "score": _score(each), "interval": None} for each in entries]
    print_table(f"models in {settings.base_path}", shown)
    return 0


def _score(entry: dict[str, Any]) -> str | None:
    if entry["score"] is None:
        return None
    low, high = entry["interval"] or (None, None)
    return f"{entry['score']:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def _show(arguments: argparse.Namespace, settings: Settings) -> int:
    from data_foundry.commands.version_text import version_lines

    record = find_version(Lake(settings), arguments.version)
    if arguments.json:
        print(json.dumps(record.as_json(), ensure_ascii=False, indent=1))
    else:
        print(*version_lines(record), sep="\n")
    return 0


def _diff(arguments: argparse.Namespace, settings: Settings) -> int:
    from data_foundry.commands.version_text import difference_lines

    lake = Lake(settings)
    found = version_difference(find_version(lake, arguments.version), find_version(lake, arguments.other))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print(*difference_lines(found), sep="\n")
    return 0


def _export(arguments: argparse.Namespace, settings: Settings) -> int:
    from data_foundry.export.version_folder import export_version_folder, plan_version_folder, published

    lake = Lake(settings)
    record = find_version(lake, arguments.version)
    if arguments.mlflow is not None:
        return _export_to_mlflow(arguments, lake, record)
    target = arguments.to.resolve()
    whole = plan_version_folder(lake, record, target)
    if arguments.dry_run:
        size = readable_size(published(lake, record).total_bytes)
        would = "skip" if whole is not None else "run"
        said = {"would": would, "name": record.name, "to": str(target)}
        print(json.dumps(said) if arguments.json else f"would {would}: {record.name} to {target}: {size}")
        return 0
    try:
        made = export_version_folder(lake, record, target)
    except OSError as error:
        fault = storage_error(error, target, other="or choose another with --to DIR; nothing was left there")
        if fault is None:
            raise
        print(f"error: export stopped: {fault}", file=sys.stderr)
        return 1
    outcome = "done" if whole is None else "nothing to do"
    if arguments.json:
        print(json.dumps({"outcome": outcome, "to": str(target), **made}, indent=1))
    elif whole is not None:
        print(f"nothing to do: {target} holds {record.name} as it stands")
    else:
        size = f"{counted(made['files'], 'file')}, {readable_size(made['bytes'])}"
        print(f"{record.name} in {target}: {size}; `sha256sum -c SHA256SUMS` checks them")
    return 0


def _export_to_mlflow(arguments: argparse.Namespace, lake: Lake, record: Any) -> int:
    from data_foundry.export.mlflow_export import export_to_mlflow
    from data_foundry.export.mlflow_record import model_name
    from data_foundry.export.mlflow_server import MlflowServer

    with MlflowServer(arguments.mlflow) as server:
        if arguments.dry_run:
            model = model_name(record.adapter)
            would = {"would": "run", "name": record.name, "to": server.uri, "model": model}
            print(json.dumps(would) if arguments.json else f"would bring {record.name} to {model} at {server.uri}")
            return 0
        done = export_to_mlflow(lake, record, server)
    if arguments.json:
        print(json.dumps({"name": record.name, **done}, indent=1))
        return 0
    compared = ", ".join(f"{count} {what}" for what, count in done["compared"].items())
    print(f"{done['outcome']}: {record.name} is version {done['version']} of {done['model']} at {done['server']}")
    print(f"  read back and compared: {compared}, every tag and the whole history")
    return 0


def _admit(arguments: argparse.Namespace, settings: Settings) -> int:
    from data_foundry.serving.admission import admit
    from data_foundry.serving.shell_command import phase4_command

    if arguments.dry_run:
        raise FoundryError("models admit has no preview: it asks nothing and trains nothing.", "Leave out --dry-run.")
    record = find_version(Lake(settings), arguments.version)
    version = admit(settings, record.adapter, record.version, actor=arguments.actor, reason=arguments.reason)
    if arguments.json:
        print(json.dumps(version_entry(version_record(Lake(settings), record.name)), ensure_ascii=False, indent=1))
    else:
        print(f"{record.name}: {version.reason}; the next phase 4 lets it hear calls in the shadow:")
        print(f"  {phase4_command(settings)}")
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace, Settings], int]] = {
    "list": _list, "show": _show, "diff": _diff, "export": _export, "admit": _admit,
}  # fmt: skip
