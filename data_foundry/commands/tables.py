"""Tables for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 120


def print_table(title: str, entries: Sequence[dict[str, Any]]) -> None:
    """Print dictionaries as an aligned table; what does not fit on a line stands below it, each value with its name."""
    print(f"\n{title}" if entries else f"\n{title}: none")
    if not entries:
        return
    rows = [{name: _cell(value) for name, value in entry.items()} for entry in entries]
    columns = list(dict.fromkeys(name for row in rows for name in row if any(other.get(name) for other in rows)))
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in columns}
    beside = [name for at, name in enumerate(columns) if sum(widths[c] + 2 for c in columns[: at + 1]) <= WIDTH]
    print("  " + "  ".join(name.ljust(widths[name]) for name in beside).rstrip())
    for row in rows:
        print("  " + "  ".join(row.get(name, "").ljust(widths[name]) for name in beside).rstrip())
        below = [f"{name}: {row[name]}" for name in columns if name not in beside and row.get(name)]
        if below:
            print(textwrap.fill("; ".join(below), WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)
