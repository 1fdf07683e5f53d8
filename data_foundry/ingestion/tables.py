"""Raw tables read in blocks: Parquet, JSON lines, CSV and TSV, with what is wrong in their form counted."""

from __future__ import annotations

import csv
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.ingestion.columns import Column
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.text_lines import LONGEST_LINE, array_elements, is_json_array, text_lines
from data_foundry.preprocessing.text import malayalam_ratio

Block = dict[str, Column]
BLOCK_ROWS = 2048
# Rows of a text file are Python objects while they are looked at, several times as large as in the file.
TEXT_BLOCK_ROWS = 256
# A block ends with the row that reaches this size, however few its rows are: bytes of Parquet, characters of text.
BLOCK_BYTES = 8 * 1024 * 1024
PEEKED_ROWS = 200
# How much of a column is looked at where only its script can tell that it is the text.
DETECTED_ROWS = 64
BUFFER_BYTES = 1024 * 1024
BROKEN = (OSError, ValueError, csv.Error, pa.ArrowException)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]+)?")
_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string", list: "list", dict: "struct"}


class ParquetTable:
    """A Parquet file; only the columns that are asked for are read, through a small buffer.

    `nulls` are those of the file's own statistics (for audio: of its bytes), for columns that have them.
    """

    def __init__(self, path: str, local: Path) -> None:
        self.path = path
        self.handle: IO[bytes] = local.open("rb")
        try:
            # Without a buffer of its own the reader holds whole row groups, however small a batch is asked for.
            self.file = pq.ParquetFile(self.handle, buffer_size=BUFFER_BYTES, pre_buffer=False)
        except BaseException:
            self.handle.close()
            raise
        self.names: list[str] = self.file.schema_arrow.names
        self.types = {field.name: str(field.type) for field in self.file.schema_arrow}
        self.rows: int = self.file.metadata.num_rows
        self.nulls = self._nulls()

    def blocks(self, columns: list[str]) -> Iterator[Block]:
        """Yield the columns in blocks of rows."""
        for batch in self.batches(columns) if columns else ():
            yield {name: batch.column(name) for name in columns}

    def batches(self, columns: list[str], rows: int = BLOCK_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield the columns in batches of at most so many rows, and of fewer where rows are large."""
        size = max(1, min(rows, int(BLOCK_BYTES / max(1.0, self._row_bytes(columns)))))
        return self.file.iter_batches(batch_size=size, columns=columns, use_threads=False)

    def _row_bytes(self, columns: list[str]) -> float:
        """Return the mean size of a row's cells in the heaviest row group, uncompressed, by the footer."""
        heaviest = 0.0
        for group in map(self.file.metadata.row_group, range(self.file.metadata.num_row_groups)):
            chunks = map(group.column, range(group.num_columns))
            ours = [each for each in chunks if any(f"{each.path_in_schema}.".startswith(f"{c}.") for c in columns)]
            size = sum(chunk.total_uncompressed_size for chunk in ours)
            heaviest = max(heaviest, size / max(1, group.num_rows))
        return heaviest

    def most_malayalam(self) -> str | None:
        """Return the column of strings that has most Malayalam script, at least half, in the first rows; or None."""
        names = [name for name, kind in self.types.items() if kind in ("string", "large_string")]
        if not names:
            return None
        batch = next(self.batches(names, DETECTED_ROWS), None)
        cells = batch.to_pydict() if batch is not None else {}
        ratios = {name: malayalam_ratio(" ".join(cell or "" for cell in cells.get(name, ()))) for name in names}
        best = max(names, key=lambda name: ratios[name])
        return best if ratios[best] >= 0.5 else None

    def _nulls(self) -> dict[str, int]:
        totals: dict[str, int | None] = dict.fromkeys(self.names, 0)
        for group in range(self.file.metadata.num_row_groups):
            chunks = self.file.metadata.row_group(group)
            by_path = {chunks.column(i).path_in_schema: chunks.column(i) for i in range(chunks.num_columns)}
            for name, before in totals.items():
                chunk = by_path.get(name) or by_path.get(f"{name}.bytes")
                statistics = chunk.statistics if chunk is not None else None
                if before is not None and statistics is not None and statistics.has_null_count:
                    totals[name] = before + statistics.null_count
                else:
                    totals[name] = None
        return {name: count for name, count in totals.items() if count is not None}


class TextTable(ABC):
    """A text file with a row per record; types and nulls are known once its blocks have been read."""

    mixed = "mixed"

    def __init__(self, path: str, names: list[str]) -> None:
        self.path = path
        self.names = names
        self.types: dict[str, str] = dict.fromkeys(names, "null")
        self.nulls: dict[str, int] = dict.fromkeys(names, 0)
        self.rows = 0

    def blocks(self, columns: list[str]) -> Iterator[Block]:
        """Yield the columns in blocks of rows; a cell that a row lacks, or leaves empty, is None."""
        block: list[dict[str, Any]] = []
        size = 0
        for record, length in self.records():
            self._see(record)
            block.append(record)
            size += length
            if len(block) == TEXT_BLOCK_ROWS or size >= BLOCK_BYTES:
                yield {name: [record.get(name) for record in block] for name in columns}
                block, size = [], 0
        if block:
            yield {name: [record.get(name) for record in block] for name in columns}

    @abstractmethod
    def records(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield the rows of the file, by column, with the characters that each has there."""

    def _see(self, record: dict[str, Any]) -> None:
        for name in record.keys() - self.types.keys():
            self.types[name], self.nulls[name] = "null", self.rows
        for name, before in self.types.items():
            value = record.get(name)
            if value is None or value == "":
                self.nulls[name] += 1
                continue
            kind = _TYPES.get(type(value), "string")
            if before != kind:
                self.types[name] = kind if before == "null" else self._wider(before, kind)
        self.rows += 1

    def _wider(self, one: str, other: str) -> str:
        return "float64" if {one, other} == {"int64", "float64"} else self.mixed


class JsonLinesTable(TextTable):
    """A file with one JSON object per line, or one array of objects, which is a finding."""

    def __init__(self, path: str, local: Path, findings: Findings) -> None:
        self.local, self.is_array = local, is_json_array(local)
        # The first rows are looked at twice; what is wrong with them counts once.
        self.findings = Findings()
        peeked = itertools.islice(self._objects(path), PEEKED_ROWS)
        super().__init__(path, list(dict.fromkeys(name for record, _ in peeked for name in record)))
        self.findings = findings
        text = "Files are one JSON array, not an object per line: a reader of lines finds no row."
        findings.add("json_array", "warning", text, path, int(self.is_array))

    def records(self) -> Iterator[tuple[dict[str, Any], int]]:
        return self._objects(self.path)

    def _objects(self, path: str) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield every object; what is none is counted and yields an empty row, so that no row vanishes."""
        if self.is_array:
            for number, (element, length) in enumerate(array_elements(path, self.local, self.findings)):
                yield self._object(element, f"{path} element {number}"), length
            return
        for number, line in enumerate(text_lines(path, self.local, self.findings), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            yield self._object(record, f"{path} line {number}"), len(line)

    def _object(self, record: Any, where: str) -> dict[str, Any]:
        if isinstance(record, dict):
            return record
        self.findings.add("broken_line", "warning", "Lines are not JSON objects.", where)
        return {}


class DelimitedTable(TextTable):
    """A CSV or TSV file; cells that are plain numbers come out as such."""

    mixed = "string"

    def __init__(self, entry: DatasetEntry, path: str, local: Path, findings: Findings) -> None:
        self.entry, self.local, self.findings = entry, local, findings
        self.delimiter = "\t" if local.suffix.lower() == ".tsv" else ","
        header: list[str] = next((row for row in self._reader(path, Findings()) if row), [])
        self.has_header = not entry.lacks_header(header)
        if not self.has_header:
            text = "The first line is a row, not column names: a reader that expects a header loses it."
            findings.add("header_missing", "warning", text, path)
            header = list(self.entry.headerless_columns)
        blank = [number for number, name in enumerate(header) if not name.strip()]
        findings.add("blank_column", "info", "Columns have no name.", path, len(blank))
        twice = len(header) - len(blank) - len({name for name in header if name.strip()})
        findings.add(
            "repeated_column", "warning", "Columns have the name of another: only the last counts.", path, twice
        )
        super().__init__(path, [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(header)])

    def records(self) -> Iterator[tuple[dict[str, Any], int]]:
        reader = self._reader(self.path, self.findings)
        rows = (row for row in reader if row)
        if self.has_header:
            next(rows, None)
        for row in rows:
            where = f"{self.path} line {reader.line_num}"
            if len(row) != len(self.names):
                text = f"Rows do not have {len(self.names)} cells like the header."
                self.findings.add("ragged_row", "warning", text, where)
            if any("\n" in cell for cell in row):
                text = "Cells hold line breaks: a quote mark may have swallowed rows."
                self.findings.add("multi_line_cell", "warning", text, where)
                self._swallowed(row, where)
            if not self.entry.quoted and sum(cell.count('"') for cell in row) % 2:
                text = "Rows hold a lone quote mark: a reader that honours quotes merges them with the next."
                self.findings.add("lone_quote", "info", text, where)
            cells = {name: _number(cell) for name, cell in zip(self.names, row, strict=False)}
            yield cells, sum(map(len, row))

    def _swallowed(self, row: list[str], where: str) -> None:
        """Count the lines inside cells that have as many delimiters as a row of their own would have."""
        inside = [line for cell in row for line in cell.splitlines()[1:-1]]
        count = sum(line.count(self.delimiter) == len(self.names) - 1 for line in inside)
        text = "Lines inside quoted cells look like rows of their own: a quote mark swallowed them."
        self.findings.add("swallowed_row", "warning", text, where, count)

    def _reader(self, path: str, findings: Findings) -> Any:
        csv.field_size_limit(LONGEST_LINE)
        quoting: Any = csv.QUOTE_MINIMAL if self.entry.quoted else csv.QUOTE_NONE
        return csv.reader(text_lines(path, self.local, findings), delimiter=self.delimiter, quoting=quoting)


Table = ParquetTable | JsonLinesTable | DelimitedTable


def open_table(entry: DatasetEntry, path: str, local: Path, findings: Findings) -> Table | None:
    """Open a table of a raw dataset; one that can't be read, or is empty, is a finding, and None is returned."""
    if not local.stat().st_size:
        findings.add("empty_file", "warning", "Files of the dataset hold no rows.", path)
        return None
    name = path.lower()
    try:
        if name.endswith(".parquet"):
            return ParquetTable(path, local)
        if name.endswith((".csv", ".tsv")):
            return DelimitedTable(entry, path, local, findings)
        return JsonLinesTable(path, local, findings)
    except BROKEN as error:
        unreadable(findings, path, error)
        return None


def unreadable(findings: Findings, path: str, error: BaseException, rows: int = 1) -> None:
    """Add the finding that a file, or the rest of it, can't be read; `rows` of it are lost where that is known."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    findings.add("unreadable_file", "error", f"Files can't be read to their end: {reason}", path, max(1, rows))


def row_count(entry: DatasetEntry, path: str, local: Path) -> int:
    """Return how many rows a table holds: by its footer where it has one, otherwise by reading it."""
    table = open_table(entry, path, local, Findings())
    if table is None:
        return 0
    try:
        return table.rows if isinstance(table, ParquetTable) else sum(1 for _ in table.records())
    except BROKEN:
        return table.rows
    finally:
        close(table)


def close(table: Table) -> None:
    """Close the file of a table; a text file is open only while its rows are read."""
    if isinstance(table, ParquetTable):
        table.handle.close()


def _number(cell: str) -> Any:
    """Read a cell that is a plain whole or decimal number as one; every other cell stays as it is."""
    text = cell.strip()
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return cell
