"""Commands of this program that a person is told to run, whole: with the base path that is meant."""

from __future__ import annotations

import shlex

from data_foundry.config import PROJECT_ROOT, Settings


def shell_command(settings: Settings, words: str) -> str:
    """Return a command to paste; `words` are what follows the program's name.

    >>> shell_command(Settings(base_path="/srv/line one"), "serve")
    "python -m data_foundry serve --base-path '/srv/line one'"
    """
    place = "" if settings.base_path == PROJECT_ROOT else f" --base-path {shlex.quote(str(settings.base_path))}"
    return f"python -m data_foundry {words}{place}"
