"""What every engine that hears derives of a row: the region of its speaker, and the channel it is heard through.

The channel is clean, as it was recorded, until a phone line is laid over it.
"""

from __future__ import annotations

from data_foundry.engines.regions import REGION_COLUMNS, REGION_SOURCES, with_region
from data_foundry.engines.spec import Kind, Row

CLEAN = "clean"

# `channel_parameters` is None for a clean row, and says all that was done to another one.
CHANNEL_COLUMNS: dict[str, Kind] = {"channel": "string", "channel_parameters": "string"}
HEARD_COLUMNS: dict[str, Kind] = {**REGION_COLUMNS, **CHANNEL_COLUMNS}
HEARD_SOURCES = (*REGION_SOURCES, "duration")


def as_heard(row: Row) -> Row:
    """Return HEARD_COLUMNS of a silver row; no channel where there is nothing to hear."""
    channel = None if row["duration"] is None else CLEAN
    return {**with_region(row), "channel": channel, "channel_parameters": None}
