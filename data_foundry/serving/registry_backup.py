"""The registry's backup, after every move: by a gateway, or on a person's word."""

from __future__ import annotations

import logging

from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry

log = logging.getLogger("data_foundry")


def back_up(registry: Registry) -> None:
    """Copy the registry to the backup, where one is asked for; a move that was made stands, whatever the copy does."""
    try:
        registry.lake.back_up_database(registry.path)
    except (FoundryError, OSError) as error:
        log.error("the registry's backup is not up to date: %s", error)
