"""Damage in a Parquet file: which of its rows and columns a changed byte can touch, by the checksums of its pages.

Silver and gold are written with a CRC-32 of each page. A page is read by one row group and column, so these are what a
failing checksum names. Headers of pages and the footer have no checksum: a byte there that still lets every page be
read may change what any row means, so that all rows are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.parquet as pq

ROW_ID = "row_id"


@dataclass(frozen=True)
class DamagedRows:
    """Rows `first` to `last` of a file, counted from 0, and why they are damaged or may be.

    `columns`: those whose values are; empty: any. `row_ids`: whose rows they are, empty where that can't be read.
    """

    first: int
    last: int
    why: str
    columns: tuple[str, ...] = ()
    row_ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = f"row {self.first}" if self.first == self.last else f"rows {self.first} to {self.last}"
        columns = f", column{'s' if len(self.columns) > 1 else ''} {', '.join(self.columns)}" if self.columns else ""
        return f"{rows}{columns}: {self.why}"


def damaged_rows(path: Path, rows: int) -> list[DamagedRows]:
    """Return which rows of a damaged Parquet file with page checksums are damaged, or may be; never empty.

    `rows` is how many it held when it was whole. Whatever its bytes are, it is read a column of a row group at a time.
    """
    if not rows:
        return []
    try:
        with path.open("rb") as handle:
            found = _damaged_groups(handle, rows)
    except _unreadable() as error:
        return [DamagedRows(0, rows - 1, f"its footer can't be read ({_first_line(error)})")]
    return found or [DamagedRows(0, rows - 1, "no page's checksum fails: it is the footer, or the header of a page")]


def _damaged_groups(handle: Any, rows: int) -> list[DamagedRows]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(handle, page_checksum_verification=True, pre_buffer=False)
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    if sum(sizes) != rows or min(sizes) < 0:
        return [DamagedRows(0, rows - 1, f"its footer tells of {sum(sizes)} rows instead of {rows}")]
    found, first = [], 0
    for group, size in enumerate(sizes):
        faults = dict(_faults(file, group, size))
        if faults:
            why = "; ".join(dict.fromkeys(faults.values()))
            ids = () if ROW_ID in faults else _row_ids(file, group)
            found.append(DamagedRows(first, first + size - 1, why, tuple(faults), ids))
        first += size
    return found


def _faults(file: pq.ParquetFile, group: int, rows: int) -> Iterator[tuple[str, str]]:
    """Yield the columns of a row group that can't be read, with what is wrong."""
    for name in file.schema_arrow.names:
        try:
            read = file.read_row_group(group, columns=[name], use_threads=False)
            if read.num_columns != 1 or read.num_rows != rows:
                yield name, f"{read.num_rows} values instead of {rows}"
                continue
            read.validate(full=True)
        except _unreadable() as error:
            crc = "crc" in str(error).lower() or "checksum" in str(error).lower()
            yield name, "the checksum of a page differs" if crc else f"can't be read ({_first_line(error)})"


def _row_ids(file: pq.ParquetFile, group: int) -> tuple[str, ...]:
    if ROW_ID not in file.schema_arrow.names:
        return ()
    return tuple(str(each) for each in file.read_row_group(group, columns=[ROW_ID]).column(0).to_pylist())


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what reading hostile bytes may raise."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError, KeyError, IndexError)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
