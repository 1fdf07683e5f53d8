"""The channel a gold row with audio is heard through: clean as it was recorded, until a phone line is laid over it."""

from __future__ import annotations

from data_foundry.engines.spec import Kind, Row

CLEAN = "clean"

# `channel_parameters` is None for a clean row, and says all that was done to another one.
CHANNEL_COLUMNS: dict[str, Kind] = {"channel": "string", "channel_parameters": "string"}


def as_recorded(row: Row) -> Row:
    """Return the channel columns of a silver row: clean, or None where there is nothing to hear."""
    return {"channel": None if row["duration"] is None else CLEAN, "channel_parameters": None}
