"""Commands of this program that a person is told to run, with the profile and the base path that are meant."""

from __future__ import annotations

import shlex

from data_foundry.config import PROJECT_ROOT, Settings


def shell_command(settings: Settings, words: str) -> str:
    """Return a command to paste; `words` are what follows the program's name.

    A --config or --engines that was given is not in it: settings don't tell where they come from.

    >>> shell_command(Settings(base_path="/srv/line one"), "serve")
    "python -m data_foundry serve --base-path '/srv/line one'"
    """
    profile = f" --profile {shlex.quote(settings.profile)}" if settings.profile else ""
    place = "" if settings.base_path == PROJECT_ROOT else f" --base-path {shlex.quote(str(settings.base_path))}"
    return f"python -m data_foundry {words}{profile}{place}"
