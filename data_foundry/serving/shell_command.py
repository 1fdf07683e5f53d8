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
    return f"python -m data_foundry {words}{_flags(settings)}"


def phase4_command(settings: Settings) -> str:
    """Return the command that runs phase 4, to paste.

    >>> phase4_command(Settings(profile="sample"))
    'python phase4-finetuning/train_deploy_models.py --profile sample'
    """
    return f"python phase4-finetuning/train_deploy_models.py{_flags(settings)}"


def _flags(settings: Settings) -> str:
    profile = f" --profile {shlex.quote(settings.profile)}" if settings.profile else ""
    place = "" if settings.base_path == PROJECT_ROOT else f" --base-path {shlex.quote(str(settings.base_path))}"
    return profile + place
