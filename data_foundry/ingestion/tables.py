"""Raw tables read in blocks: Parquet, JSON lines, CSV and TSV, with what is wrong in their form counted."""

from __future__ import annotations

import csv
import itertools
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.ingestion.findings import Findings

Block = dict[str, list[Any]]
BLOCK_ROWS = 2048
PEEKED_ROWS = 200
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]+)?")
_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string", list: "list", dict: "struct"}


class ParquetTable:
    """A Parquet file; only the columns that are asked for are read."""

    def __init__(self, path: str, local: Path) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self.file = pq.ParquetFile(local)
        self.names: list[str] = self.file.schema_arrow.names
        self.types = {field.name: str(field.type) for field in self.file.schema_arrow}
        self.rows: int = self.file.metadata.num_rows
        self.nulls = {name: count for name in self.names if (count := self._nulls(name)) is not None}

    def blocks(self, columns: list[str]) -> Iterator[Block]:
        """Yield the columns in blocks of rows."""
        if not columns:
            return
        for batch in self.file.iter_batches(batch_size=BLOCK_ROWS, columns=columns):
            yield batch.to_pydict()

    def _nulls(self, name: str) -> int | None:
        """Return a column's nulls (for audio: of its bytes) by the file's own statistics, None where it has none."""
        total = 0
        for group in range(self.file.metadata.num_row_groups):
            chunks = self.file.metadata.row_group(group)
            by_path = {chunks.column(i).path_in_schema: chunks.column(i) for i in range(chunks.num_columns)}
            chunk = by_path.get(name) or by_path.get(f"{name}.bytes")
            if chunk is None or chunk.statistics is None or not chunk.statistics.has_null_count:
                return None
            total += chunk.statistics.null_count
        return total


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
        records = self.records()
        while block := list(itertools.islice(records, BLOCK_ROWS)):
            for record in block:
                self._see(record)
            yield {name: [record.get(name) for record in block] for name in columns}

    @abstractmethod
    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the file, by column."""

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
    """A file with one JSON object per line."""

    def __init__(self, path: str, local: Path, findings: Findings) -> None:
        self.local, self.findings = local, Findings()
        peeked = itertools.islice(self._objects(path), PEEKED_ROWS)
        super().__init__(path, list(dict.fromkeys(name for record in peeked for name in record)))
        self.findings = findings

    def records(self) -> Iterator[dict[str, Any]]:
        return self._objects(self.path)

    def _objects(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield every object; a line that is none is counted and yields an empty row, so that no row vanishes."""
        with self.local.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except ValueError:
                    record = None
                if not isinstance(record, dict):
                    self.findings.add("broken_line", "warning", "Lines are not JSON objects.", f"{path} line {number}")
                yield record if isinstance(record, dict) else {}


class DelimitedTable(TextTable):
    """A CSV or TSV file; cells that are plain numbers come out as such."""

    mixed = "string"

    def __init__(self, entry: DatasetEntry, path: str, local: Path, findings: Findings) -> None:
        self.entry, self.local, self.findings = entry, local, findings
        self.delimiter = "\t" if local.suffix.lower() == ".tsv" else ","
        with self._open() as file:
            header: list[str] = next(self._reader(file), [])
        self.has_header = not entry.lacks_header(header)
        if not self.has_header:
            findings.add(
                "header_missing",
                "warning",
                "The first line is a row, not column names: a reader that expects a header loses it.",
                path,
            )
            header = list(self.entry.headerless_columns)
        blank = [number for number, name in enumerate(header) if not name.strip()]
        findings.add("blank_column", "info", "Columns have no name.", path, len(blank))
        super().__init__(path, [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(header)])

    def records(self) -> Iterator[dict[str, Any]]:
        with self._open() as file:
            reader = self._reader(file)
            if self.has_header:
                next(reader, None)
            for row in reader:
                if not row:
                    continue
                where = f"{self.path} line {reader.line_num}"
                if len(row) != len(self.names):
                    text = f"Rows do not have {len(self.names)} cells like the header."
                    self.findings.add("ragged_row", "warning", text, where)
                if any("\n" in cell for cell in row):
                    text = "Cells hold line breaks: a quote mark may have swallowed rows."
                    self.findings.add("multi_line_cell", "warning", text, where)
                if any("\ufffd" in cell for cell in row):
                    self.findings.add("bad_encoding", "warning", "Bytes are not UTF-8.", where)
                if not self.entry.quoted and sum(cell.count('"') for cell in row) % 2:
                    text = "Rows hold a lone quote mark: a reader that honours quotes merges them with the next."
                    self.findings.add("lone_quote", "info", text, where)
                yield {name: _number(cell) for name, cell in zip(self.names, row, strict=False)}

    def _open(self) -> IO[str]:
        return self.local.open(encoding="utf-8-sig", errors="replace", newline="")

    def _reader(self, file: IO[str]) -> Any:
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        if self.entry.quoted:
            return csv.reader(file, delimiter=self.delimiter)
        return csv.reader(file, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)


Table = ParquetTable | JsonLinesTable | DelimitedTable


def open_table(entry: DatasetEntry, path: str, local: Path, findings: Findings) -> Table | None:
    """Open a table of a raw dataset; one that can't be read is a finding, and None is returned."""
    import pyarrow as pa

    try:
        if path.endswith(".parquet"):
            return ParquetTable(path, local)
        if path.endswith((".csv", ".tsv")):
            return DelimitedTable(entry, path, local, findings)
        return JsonLinesTable(path, local, findings)
    except (pa.ArrowException, OSError) as error:
        text = f"Files can't be read as a table: {str(error).splitlines()[0][:200]}"
        findings.add("unreadable_file", "error", text, path)
        return None


def _number(cell: str) -> Any:
    """Read a cell that is a plain whole or decimal number as one; every other cell stays as it is."""
    text = cell.strip()
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return cell
