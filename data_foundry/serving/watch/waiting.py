"""What waits for a person, with the commands to paste: the same for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from data_foundry.config import Settings
from data_foundry.serving.shell_command import shell_command
from data_foundry.serving.trials.decision import AFTER_HARM, APPROVAL, Act

_BY_WHOM = "--actor WHO --reason WHY"


def waiting(settings: Settings, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what waits for a person, harm first: {"name", "why", "commands": in the order to run them}.

    `entries` are the adapters as health.py tells of them.
    """
    found = [each for entry in entries for each in (*_of_trials(entry), *_of_versions(entry))]
    return [
        {"name": name, "why": why, "commands": [shell_command(settings, words) for words in commands]}
        for _, name, why, commands in sorted(found, key=lambda each: each[0])
    ]


def _of_trials(entry: Mapping[str, Any]) -> Iterator[tuple[int, str, str, list[str]]]:
    for trial in entry["trials"]:
        name = f"{entry['adapter']}/{trial['candidate']}"
        why = trial["decision"] or trial["reason"]
        if trial["act"] == Act.NOTE or trial["waits_for"] == AFTER_HARM:
            yield 0, name, why, [f"rollback {name} {_BY_WHOM}"]
        elif trial["waits_for"] == APPROVAL:
            yield 1, name, why, [f"approve {name} --dry-run", f"approve {name} {_BY_WHOM}"]


def _of_versions(entry: Mapping[str, Any]) -> Iterator[tuple[int, str, str, list[str]]]:
    for version in entry["versions"]:
        if version["stage"] == "none" and version["reason"].startswith("not decided"):
            name = f"{entry['adapter']}/{version['version']}"
            yield 2, name, version["reason"], [f"models show {name}", f"models admit {name} {_BY_WHOM}"]
