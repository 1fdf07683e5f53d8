"""Figures as people read them: sizes in the unit that fits, counts with their noun."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def readable_size(size: float) -> str:
    """Return a number of bytes with three digits and a decimal unit: 999 B, 1.20 kB, 67.1 MB, 1.46 GB."""
    value, unit = float(size), 0
    # What would be rounded to 1000 of a unit is 1.00 of the next.
    while value >= 999.5 and unit + 1 < len(_UNITS):
        value, unit = value / 1000, unit + 1
    digits = 0 if unit == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {_UNITS[unit]}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is not one: 1 file, 1,200 rows."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
