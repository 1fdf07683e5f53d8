"""Readers: the files of a raw dataset, as a stream of rows whose columns are resolved to roles.

One row at a time or one small batch at a time, whatever the size of a file. A row that can't be read as one is still a
row: it carries the reason, so that it is counted and kept among the rejected.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from data_foundry.dataset_entry import AUDIO_SUFFIXES, TABLE_SUFFIXES, DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.preprocessing.text import malayalam_ratio
from data_foundry.records import Rejected

BATCH_ROWS = 64
"""Rows read at once from Parquet: a few megabytes of audio."""


@dataclass(slots=True)
class RawRow:
    """One row as the dataset holds it.

    `values` maps a role of the registry (text, label, speaker, chunks, ...) to the cell as found, only for roles that
    the file has a column for. `payload` is encoded audio, `has_audio_column` whether the file promises some. `codes`
    are the codec layers. `fault` says why the row can't be read.
    """

    source_file: str
    source_row: int
    source_split: str
    values: dict[str, Any] = field(default_factory=dict)
    has_audio_column: bool = False
    payload: bytes | None = None
    codes: list[list[int] | None] | None = None
    fault: Rejected | None = None


def read_rows(entry: DatasetEntry, folder: Path, paths: Sequence[str]) -> Iterator[RawRow]:
    """Yield every row of a raw dataset, by file name and place in the file.

    `paths` are the files below `folder`, POSIX style. Raises FoundryError when none of them holds rows in the entry's
    layout, or a table can't be read.
    """
    tables = sorted(path for path in paths if entry.is_table(path))
    if not tables:
        wanted = " or ".join(f"*{suffix}" for suffix in TABLE_SUFFIXES[entry.layout])
        raise FoundryError(
            f"{entry.repo_id} holds no file {wanted} among its {len(paths)} files.",
            f"Its layout in the dataset registry is {entry.layout!r}: correct it, or ingest another revision.",
        )
    if entry.layout == "parquet":
        for path in tables:
            yield from _parquet_rows(entry, path, folder / path)
    elif entry.layout == "audiofolder":
        yield from _audiofolder_rows(entry, folder, tables, paths)
    else:
        for path in tables:
            for number, record in enumerate(_records(entry, path, folder / path)):
                yield _table_row(entry, path, number, record)


def _parquet_rows(entry: DatasetEntry, path: str, local: Path) -> Iterator[RawRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with local.open("rb") as handle:
            # A buffered reader holds a batch; the default holds whole row groups, several times over.
            file = pq.ParquetFile(handle, buffer_size=1 << 20, pre_buffer=False)
            schema = file.schema_arrow
            columns = _columns(entry, schema.names)
            audio = _audio_column(entry, schema)
            layers = entry.code_columns(schema.names)
            wanted = [*dict.fromkeys(columns.values()), *([audio] if audio else []), *layers]
            if "text" not in columns:
                columns = _with_detected_text(columns, file, [name for name in schema.names if name not in wanted])
                wanted = [*dict.fromkeys([*columns.values(), *wanted])]
            number = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                for record in batch.to_pylist():
                    row = RawRow(path, number, entry.split_of(path))
                    row.values = {role: record[name] for role, name in columns.items()}
                    if audio:
                        row.has_audio_column = True
                        cell = record[audio]
                        row.payload = cell.get("bytes") if isinstance(cell, dict) else cell
                    if layers:
                        row.codes = [record[name] for name in layers]
                    yield row
                    number += 1
    except pa.ArrowException as error:
        raise FoundryError(f"{path} can't be read as Parquet: {error}.", "Ingest the dataset again.") from None


def _columns(entry: DatasetEntry, names: Sequence[str]) -> dict[str, str]:
    """Return the column of every role that has one, audio and codes apart."""
    found = {role: entry.column(role, list(names)) for role in entry.roles if role not in ("audio", "codes")}
    return {role: name for role, name in found.items() if name is not None}


def _audio_column(entry: DatasetEntry, schema: Any) -> str | None:
    """Return the column that holds audio bytes; a column of that name that holds paths of another machine is none."""
    import pyarrow as pa

    name = entry.column("audio", schema.names)
    if name is None:
        return None
    kind = schema.field(name).type
    has_bytes = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    return name if has_bytes or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def _with_detected_text(columns: dict[str, str], file: Any, others: Sequence[str]) -> dict[str, str]:
    """Let the column with most Malayalam be the text where none has a name for it; half of its letters must be."""
    strings = [name for name in others if str(file.schema_arrow.field(name).type) in ("string", "large_string")]
    if not strings:
        return columns
    first = next(file.iter_batches(batch_size=BATCH_ROWS, columns=strings), None)
    cells = first.to_pydict() if first is not None else {}
    ratios = {name: malayalam_ratio(" ".join(cell or "" for cell in cells.get(name, []))) for name in strings}
    best = max(strings, key=lambda name: ratios[name])
    return {**columns, "text": best} if ratios[best] >= 0.5 else columns


def _audiofolder_rows(
    entry: DatasetEntry, folder: Path, tables: Sequence[str], paths: Sequence[str]
) -> Iterator[RawRow]:
    """Yield the rows of the metadata files with their audio, then the audio files that no row names."""
    listed = set(paths)
    named: set[str] = set()
    for path in tables:
        for number, record in enumerate(_records(entry, path, folder / path)):
            row = _table_row(entry, path, number, record)
            row.has_audio_column = True
            name = row.values.get("file_name")
            if row.fault is None and isinstance(name, str):
                target = str(PurePosixPath(path).parent / name)
                row.source_split = entry.split_of(target)
                named.add(target)
                # Only files of the dataset's own manifest are opened, whatever a row says.
                if target in listed:
                    row.payload = (folder / target).read_bytes()
                else:
                    row.fault = Rejected("audio_missing", f"the dataset holds no file {name}")
            yield row
    for path in sorted(listed - named):
        if PurePosixPath(path).suffix.lower() in AUDIO_SUFFIXES:
            yield RawRow(
                path, 0, entry.split_of(path), has_audio_column=True,
                fault=Rejected("no_metadata", "no row of the metadata names this file"),
            )  # fmt: skip


def _table_row(entry: DatasetEntry, path: str, number: int, record: Mapping[str, Any] | Rejected) -> RawRow:
    row = RawRow(path, number, entry.split_of(path))
    if isinstance(record, Rejected):
        row.fault = record
    else:
        row.values = {role: record.get(name) for role, name in _columns(entry, list(record)).items()}
    return row


def _records(entry: DatasetEntry, path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    if path.lower().endswith((".csv", ".tsv")):
        return _delimited_records(entry, path, local)
    return _json_records(path, local)


def _json_records(path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    with local.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Rejected("malformed_row", f"{path} line {number} is not JSON: {error}")
                continue
            yield record if isinstance(record, dict) else Rejected("malformed_row", f"{path} line {number}: no object")


def _delimited_records(entry: DatasetEntry, path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    """Yield the rows of a CSV or TSV file; blank lines are none. Cells beyond the header's last are a malformed row."""
    csv.field_size_limit(1 << 30)
    quoting: Any = csv.QUOTE_MINIMAL if entry.quoted else csv.QUOTE_NONE
    with local.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter="\t" if path.lower().endswith(".tsv") else ",", quoting=quoting)
        header: list[str] | None = None
        try:
            for cells in reader:
                if not cells:
                    continue
                if header is None:
                    header = cells
                    if not entry.lacks_header(cells):
                        continue
                    header = list(entry.headerless_columns)
                if any(cell.strip() for cell in cells[len(header) :]):
                    detail = f"{path} line {reader.line_num}: {len(cells)} cells under {len(header)} columns"
                    yield Rejected("malformed_row", detail)
                else:
                    yield {**dict.fromkeys(header), **dict(zip(header, cells, strict=False))}
        except csv.Error as error:
            raise FoundryError(
                f"{path} line {reader.line_num} can't be read: {error}.", "Ingest the dataset again, or mend its file."
            ) from None
