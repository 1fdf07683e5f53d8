"""Damaged recordings: a raw file that holds sound alone says no row; the table beside it does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from data_foundry.lake.damage import DamagedRows
from data_foundry.lake.verify import Damage
from data_foundry.lineage.origin import Origin
from data_foundry.records import row_id


def with_rows(lake: Lake, settings: Settings, damages: Iterable[Damage]) -> list[Damage]:
    """Return the damages, those of raw recordings with the rows of the tables that name them.

    Where the table can't be read either, its own damage says so.
    """
    named: dict[str, dict[str, tuple[DamagedRows, ...]]] = {}
    found = []
    for damage in damages:
        if damage.layer == Layer.RAW and not damage.damaged and damage.expected is not None:
            if damage.name not in named:
                named[damage.name] = _rows_by_recording(lake, settings, damage.name)
            damage = replace(damage, damaged=named[damage.name].get(damage.file, ()))
        found.append(damage)
    return found


def _rows_by_recording(lake: Lake, settings: Settings, dataset: str) -> dict[str, tuple[DamagedRows, ...]]:
    rows: dict[str, list[DamagedRows]] = defaultdict(list)
    try:
        origin = Origin.of(lake, settings, dataset)
        if origin.entry.layout != "audiofolder":
            return {}
        for row in origin.raw_rows():
            if isinstance(row.payload, Path):
                path = row.payload.relative_to(lake.folder(Layer.RAW, dataset)).as_posix()
                why = f"of {row.source_file}, whose recording it is"
                ids = (row_id(dataset, row.source_file, row.source_row),)
                rows[path].append(DamagedRows(row.source_row, row.source_row, why, row_ids=ids))
    except (FoundryError, OSError):
        return {}
    return {path: tuple(each) for path, each in rows.items()}
