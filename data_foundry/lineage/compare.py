"""Comparison of a stored row with a derived one: every column, in its name, its type and every byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN, _BYTES_SHOWN = 60, 8
"""How many characters of a value, or bytes of one, a difference quotes."""


@dataclass(frozen=True)
class Difference:
    """A column whose stored value is not the derived one; both as a person reads them."""

    where: str
    column: str
    stored: str
    derived: str


def differences(where: str, stored: pa.Table, derived: pa.Table) -> Iterator[Difference]:
    """Yield the columns in which two tables of one row differ in a name, a type or a byte."""
    for name in dict.fromkeys([*stored.column_names, *derived.column_names]):
        if name not in stored.column_names or name not in derived.column_names:
            here, there = (
                "a column" if name in table.column_names else "no such column" for table in (stored, derived)
            )
            yield Difference(where, name, here, there)
            continue
        kinds = [table.schema.field(name).type for table in (stored, derived)]
        values = [table[name][0].as_py() for table in (stored, derived)]
        # repr tells -0.0 from 0.0, and one NaN is like the other.
        if repr(values[0]) != repr(values[1]):
            yield Difference(where, name, _shown(*values), _shown(*reversed(values)))
        elif kinds[0] != kinds[1]:
            yield Difference(where, name, str(kinds[0]), str(kinds[1]))


def _shown(value: Any, other: Any) -> str:
    """Return a value short enough for a line; of bytes and of long texts, from where the other differs."""
    if isinstance(value, dict) and isinstance(other, dict):
        differing = [name for name in value if repr(value[name]) != repr(other.get(name))]
        return ", ".join(f"{name}: {_shown(value[name], other.get(name))}" for name in differing)
    if isinstance(value, bytes) and isinstance(other, bytes):
        at = _first_difference(value, other)
        return f"{len(value)} bytes, at {at} {value[at : at + _BYTES_SHOWN].hex() or 'none'}"
    text = repr(value)
    start = max(0, _first_difference(text, repr(other)) - _SHOWN // 2)
    end = start + _SHOWN
    return f"{'...' if start else ''}{text[start:end]}{'...' if len(text) > end else ''}"


def _first_difference(first: Any, second: Any) -> int:
    shorter = min(len(first), len(second))
    return next((at for at in range(shorter) if first[at] != second[at]), shorter)
