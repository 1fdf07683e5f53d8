"""Readers: the files of a raw dataset, as a stream of rows whose columns are resolved to roles.

One row at a time or one small batch at a time, whatever the size of a file. A row that can't be read as one is still a
row: it carries the reason, so that it is counted and kept among the rejected.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from data_foundry.dataset_entry import AUDIO_SUFFIXES, TABLE_SUFFIXES, DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.preprocessing.delimited import MAX_LINE, delimited_cells
from data_foundry.preprocessing.text import malayalam_ratio
from data_foundry.records import Rejected

BLOCK = 1 << 20
"""Characters of a JSON array that are read at once."""
BATCH_BYTES = 8 << 20
BATCH_ROWS = 2048
"""What is read at once from Parquet, at most: a row group may be far larger than should lie in memory."""

_DETECTED_ROWS = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_ONE_LINE = ("label", "dialect", "gender", "district", "speaker")
"""Roles whose cells have no line break, but where a stray quote swallowed one."""


@dataclass(slots=True)
class RawRow:
    """One row as the dataset holds it.

    `values` maps a role of the registry (text, label, speaker, chunks, ...) to the cell as found, only for roles that
    the file has a column for. `payload` is encoded audio, or the file that holds it; `has_audio_column` says
    whether the dataset promises some. `codes` are the codec layers. `fault` says why the row can't be read. `flags`
    say what was repaired: `lone_surrogate`, half a character of UTF-16 that no file can hold, is U+FFFD now.
    """

    source_file: str
    source_row: int
    source_split: str
    values: dict[str, Any] = field(default_factory=dict)
    has_audio_column: bool = False
    payload: bytes | Path | None = None
    codes: list[list[int] | None] | None = None
    fault: Rejected | None = None
    flags: tuple[str, ...] = ()


def read_rows(
    entry: DatasetEntry, folder: Path, paths: Sequence[str], left_out: Collection[str] = ()
) -> Iterator[RawRow]:
    """Yield every row of a raw dataset, by file name and place in the file.

    `paths` are the files below `folder`, POSIX style, `left_out` those that a size limit left on the Hub. Raises
    FoundryError when none of them holds rows in the entry's layout, or a table can't be read.
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
        yield from _audiofolder_rows(entry, folder, tables, paths, set(left_out))
    else:
        for path in tables:
            yield from _table_rows(entry, path, folder / path)


def read_row(
    entry: DatasetEntry, folder: Path, paths: Sequence[str], left_out: Collection[str], place: tuple[str, int]
) -> RawRow | None:
    """Return one row of a raw dataset as `read_rows` yields it, or None where there is none.

    `place` is its file and its number in it. Only that file is read, up to the row, and of Parquet only its row group.
    Raises FoundryError as `read_rows` does.
    """
    path, number = place
    if path not in paths:
        return None
    if entry.layout == "audiofolder":
        tables = sorted(each for each in paths if entry.is_table(each)) if not entry.is_table(path) else [path]
        rows = _audiofolder_rows(entry, folder, tables, paths, set(left_out))
    elif entry.layout == "parquet":
        rows = _parquet_rows(entry, path, folder / path, number)
    else:
        rows = _table_rows(entry, path, folder / path)
    return next((row for row in rows if (row.source_file, row.source_row) == place), None)


def _table_rows(entry: DatasetEntry, path: str, local: Path) -> Iterator[RawRow]:
    for number, record in enumerate(_records(entry, path, local)):
        yield _table_row(entry, path, number, record)


def _parquet_rows(entry: DatasetEntry, path: str, local: Path, start: int = 0) -> Iterator[RawRow]:
    """Yield the rows of a file from `start` on; row groups before it are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not local.stat().st_size:
        # Phase 1 found and reported it; it holds no rows.
        return
    try:
        with pa.OSFile(str(local), "rb") as handle:
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
            number, groups = _from_group(file.metadata, start)
            split = entry.split_of(path)
            for batch in file.iter_batches(
                _batch_rows(file.metadata), row_groups=groups, columns=wanted, use_threads=False
            ):
                if number + batch.num_rows <= start:
                    number += batch.num_rows
                    continue
                payloads = _payloads(batch.column(audio)) if audio else None
                cells = {name: _cells(batch.column(name)) for name in wanted if name != audio}
                for place in range(batch.num_rows):
                    row = RawRow(path, number, split)
                    row.values = {role: cells[name][place] for role, name in columns.items()}
                    if payloads is not None:
                        row.has_audio_column = True
                        row.payload = payloads[place].as_py()
                    if layers:
                        row.codes = [cells[name][place] for name in layers]
                    if number >= start:
                        yield row
                    number += 1
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise FoundryError(f"{path} can't be read as Parquet: {error}.", "Ingest the dataset again.") from None


def _from_group(metadata: Any, start: int) -> tuple[int, list[int]]:
    """Return the number of the first row of the row group that holds row `start`, and that group with all after it."""
    number = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if number + rows > start:
            return number, list(range(group, metadata.num_row_groups))
        number += rows
    return number, []


def _cells(column: Any) -> list[Any]:
    """Return a column as Python values; strings that are no UTF-8, with U+FFFD for what is none."""
    import pyarrow as pa

    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise
        payloads = column.cast(pa.large_binary()).to_pylist()
        values = [None if payload is None else payload.decode("utf-8", errors="replace") for payload in payloads]
    return values


def _batch_rows(metadata: Any) -> int:
    """Return how many rows of a file to read at once, by the mean size of a row in its heaviest row group."""
    groups = (metadata.row_group(place) for place in range(metadata.num_row_groups))
    heaviest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=0)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1.0, heaviest))))


def _payloads(column: Any) -> Any:
    """Return the encoded bytes of an audio column as a binary array, without a copy."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


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
    first = next(file.iter_batches(batch_size=_DETECTED_ROWS, columns=strings), None)
    cells = first.to_pydict() if first is not None else {}
    ratios = {name: malayalam_ratio(" ".join(cell or "" for cell in cells.get(name, []))) for name in strings}
    best = max(strings, key=lambda name: ratios[name])
    return {**columns, "text": best} if ratios[best] >= 0.5 else columns


def _audiofolder_rows(
    entry: DatasetEntry, folder: Path, tables: Sequence[str], paths: Sequence[str], left_out: Collection[str]
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
                target = posixpath.normpath(PurePosixPath(path).parent / name)
                row.source_split = entry.split_of(target)
                named.add(target)
                # Only files of the dataset's own manifest are opened, whatever a row says.
                if target in listed:
                    row.payload = folder / target
                elif target in left_out:
                    row.fault = Rejected(
                        "left_out_by_selection", f"hub.max_bytes_per_dataset or its like left {name} out"
                    )
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
        repaired = {role: _encodable(value) for role, value in row.values.items()}
        if repaired != row.values:
            row.values, row.flags = repaired, ("lone_surrogate",)
        for role in _ONE_LINE:
            value = row.values.get(role)
            if isinstance(value, str) and "\n" in value.strip():
                row.fault = Rejected("malformed_row", f"the {role} has {value.strip().count(chr(10)) + 1} lines")
    return row


def _encodable(value: Any) -> Any:
    """Return a JSON value with U+FFFD for each lone surrogate, which JSON may write and UTF-8 can't."""
    if isinstance(value, str):
        return value if value.isascii() or not _SURROGATE.search(value) else _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    return value


def _records(entry: DatasetEntry, path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    if path.lower().endswith((".csv", ".tsv")):
        return _delimited_records(entry, path, local)
    return _json_records(path, local)


def _json_records(path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    """Yield the objects of a file with one JSON value a line, or of a file that is one array."""
    with local.open(encoding="utf-8-sig", errors="replace") as file:
        if _first_character(file) == "[":
            yield from _array_records(path, file)
            return
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), start=1):
            if len(line) == MAX_LINE:
                yield Rejected(
                    "malformed_row", f"{path} line {number} is longer than {MAX_LINE >> 20} MiB; not read on"
                )
                return
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Rejected("malformed_row", f"{path} line {number} is not JSON: {error}")
                continue
            yield record if isinstance(record, dict) else Rejected("malformed_row", f"{path} line {number}: no object")


def _first_character(file: TextIO) -> str:
    """Return the first character of a file that is no blank, and go back to the start."""
    while (character := file.read(1)).isspace():
        pass
    file.seek(0)
    return character


def _array_records(path: str, file: TextIO) -> Iterator[Mapping[str, Any] | Rejected]:
    for number, value in enumerate(_array_items(path, file)):
        yield value if isinstance(value, dict) else Rejected("malformed_row", f"{path} item {number}: no object")


def _array_items(path: str, file: TextIO) -> Iterator[Any]:
    """Yield the items of a JSON array, of which memory holds one and a block. Raises FoundryError where it is none."""
    decode = json.JSONDecoder().raw_decode
    while file.read(1) != "[":
        pass
    text, place, ended = "", 0, False
    while True:
        place += _blanks(text, place)
        if text[place : place + 1] == "]":
            return
        fault: Exception | str = "it does not end"
        try:
            value, end = decode(text, place)
            end += _blanks(text, end)
            follows = text[end : end + 1]
            if follows in (",", "]"):
                yield value
                place = end + (follows == ",")
                continue
            if follows:
                ended, fault = True, f"an item is followed by {follows!r}"
        except (ValueError, RecursionError) as error:
            fault = error
        if ended or len(text) - place > MAX_LINE:
            raise FoundryError(f"{path} can't be read as a JSON array: {fault}.", "Ingest the dataset again.") from None
        block = file.read(BLOCK)
        text, place, ended = text[place:] + block, 0, not block


def _blanks(text: str, place: int) -> int:
    """Return how many blanks stand at a place of a JSON text."""
    start = place
    while text[place : place + 1] in (" ", "\n", "\r", "\t"):
        place += 1
    return place - start


def _delimited_records(entry: DatasetEntry, path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    """Yield the rows of a CSV or TSV file; blank lines are none. Cells beyond the header's last are a malformed row."""
    with local.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header: list[str] | None = None
        for number, cells in delimited_cells(file, "\t" if path.lower().endswith(".tsv") else ",", entry.quoted):
            if isinstance(cells, str):
                yield Rejected("malformed_row", f"{path} line {number}: {cells}")
                continue
            if not cells:
                continue
            if header is None:
                header = cells
                if not entry.lacks_header(cells):
                    continue
                header = list(entry.headerless_columns)
            if any(cell.strip() for cell in cells[len(header) :]):
                detail = f"{path} line {number}: {len(cells)} cells under {len(header)} columns"
                yield Rejected("malformed_row", detail)
            else:
                yield {**dict.fromkeys(header), **dict(zip(header, cells, strict=False))}
