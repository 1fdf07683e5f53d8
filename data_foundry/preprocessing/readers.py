"""Readers: the files of a raw dataset, as a stream of rows whose columns are resolved to roles.

One row at a time or one small batch at a time, whatever the size of a file. A row that can't be read as one is still a
row: it carries the reason, so that it is counted and kept among the rejected.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from data_foundry.dataset_entry import AUDIO_SUFFIXES, TABLE_SUFFIXES, DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.preprocessing.delimited import delimited_cells
from data_foundry.preprocessing.json_records import encodable, json_records
from data_foundry.preprocessing.text import malayalam_ratio
from data_foundry.records import Rejected

BATCH_BYTES = 8 << 20
BATCH_ROWS = 2048
"""What is read at once from Parquet, at most: a row group may be far larger than should lie in memory."""

_DETECTED_ROWS = 64
_JUDGED_RECORDS = 16
_CONTENT = ("text", "source_text", "translation", "chunks", "audio", "file_name")
"""Roles of which a table must have a column to hold rows at all."""
_ONE_LINE = ("label", "dialect", "gender", "district", "speaker")
"""Roles whose cells have no line break, but where a stray quote swallowed one."""


class UnknownColumns(Rejected):
    """A table of which no column holds a text or a recording: none of its rows is read."""


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
        unknown = []
        for path in tables:
            for row in _table_rows(entry, path, folder / path):
                if isinstance(row.fault, UnknownColumns):
                    unknown.append(row.fault.detail)
                yield row
        if len(unknown) == len(tables):
            raise FoundryError(
                f"{entry.repo_id} can't be read: {unknown[0]}.",
                "Save it as UTF-8 in its registered layout, or name its columns in `roles` of its registry entry.",
            )


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
            if any("dictionary<" in str(kind) for kind in file.schema_arrow.types):
                file = pq.ParquetFile(handle, metadata=_plain_metadata(handle), buffer_size=1 << 20, pre_buffer=False)
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


def _plain_metadata(handle: Any) -> Any:
    """Return a file's metadata without the Arrow schema, so that strings are read as strings, not as dictionaries.

    Arrow refuses a whole dictionary for one entry that is no UTF-8. The schema stands under a key in the footer, which
    gets another name here: 4 bytes with the footer's length and the magic number end a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = handle.size()
    handle.seek(size - 8)
    length = int.from_bytes(handle.read(4), "little") + 8
    handle.seek(size - length)
    footer = handle.read(length).replace(b"ARROW:schema", b"ARROW:ignore")
    return pq.read_metadata(pa.BufferReader(b"PAR1" + footer))


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
    """Return a column as Python values; strings that are no UTF-8, in lists too, with U+FFFD for what is none."""
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = _repaired(column.cast(_undecoded(column.type)).to_pylist())
    return values


def _undecoded(kind: Any) -> Any:
    """Return an Arrow type with bytes where it has strings."""
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_undecoded(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(kind.field(place).name, _undecoded(kind.field(place).type)) for place in range(len(kind))])
    return kind


def _repaired(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {name: _repaired(item) for name, item in value.items()}
    return value


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
    cells = {name: _cells(first.column(name)) for name in strings} if first is not None else {}
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
        found = {role: record.get(name) for role, name in _columns(entry, list(record)).items()}
        if not _is_delimited(path):
            # A record of JSON that lacks a key is one whose cell is empty: there are no columns to lack.
            found = {role: None for role in entry.required if role not in ("audio", "codes")} | found
        try:
            row.values = {role: encodable(value) for role, value in found.items()}
        except Rejected as refusal:
            row.fault = refusal
            return row
        if row.values != found:
            row.flags = ("lone_surrogate",)
        for role in _ONE_LINE:
            value = row.values.get(role)
            if isinstance(value, str) and "\n" in value.strip():
                row.fault = Rejected("malformed_row", f"the {role} has {value.strip().count(chr(10)) + 1} lines")
    return row


def _records(entry: DatasetEntry, path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    """Yield the records of a table, or instead of them all one UnknownColumns where none can hold a row."""
    records = _delimited_records(entry, path, local) if _is_delimited(path) else json_records(path, local)
    first: list[Mapping[str, Any] | Rejected] = []
    names: dict[str, None] = {}
    known = False
    for record in records:
        first.append(record)
        names |= dict.fromkeys(() if isinstance(record, Rejected) else record)
        known = any(entry.column(role, [*names]) for role in _CONTENT)
        if known or len(first) == _JUDGED_RECORDS:
            break
    if names and not known:
        yield UnknownColumns("malformed_row", _unknown_columns(path, [*names]))
        return
    yield from first
    yield from records


def _is_delimited(path: str) -> bool:
    return path.lower().endswith((".csv", ".tsv"))


def _unknown_columns(path: str, names: Sequence[str]) -> str:
    joined = " ".join(names)
    hint = ""
    if "\0" in joined or "\ufffd" in joined:
        hint = "; it is no UTF-8" + " but, by its NUL bytes, UTF-16" * ("\0" in joined)
    elif len(names) == 1 and (sign := next((sign for sign in ";\t|," if sign in joined), None)):
        hint = f"; its cells seem to be parted by {sign!r}"
    shown = ", ".join(repr(name.replace("\0", "")[:40]) for name in names[:8])
    return f"of the columns of {path} ({shown}) none holds a text or a recording{hint}"


def _delimited_records(entry: DatasetEntry, path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    """Yield the rows of a CSV or TSV file; blank lines are none. Cells beyond the header's last are a malformed row."""
    with local.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header: list[str] = []
        is_row = partial(_is_row, entry, header)
        delimiter = "\t" if path.lower().endswith(".tsv") else ","
        for number, cells in delimited_cells(file, delimiter, entry.quoted, is_row):
            if isinstance(cells, str):
                yield Rejected("malformed_row", f"{path} line {number}: {cells}")
                continue
            if not cells:
                continue
            if not header:
                lacks = entry.lacks_header(cells)
                header += entry.headerless_columns if lacks else cells
                if not lacks:
                    continue
            if any(cell.strip() for cell in cells[len(header) :]):
                detail = f"{path} line {number}: {len(cells)} cells under {len(header)} columns"
                yield Rejected("malformed_row", detail)
            else:
                yield {**dict.fromkeys(header), **dict(zip(header, cells, strict=False))}


def _is_row(entry: DatasetEntry, header: Sequence[str], cells: Sequence[str]) -> bool:
    """Return whether the cells of a single line are a row for sure: as many as columns, with a label of the dataset.

    Without a table of labels nobody can tell a row from the first line of a quoted text.
    """
    if len(cells) != len(header):
        return False
    named = dict(zip(header, cells, strict=True))
    columns = (entry.column(role, list(header)) for role in ("label", "dialect"))
    return any(column is not None and entry.canonical_label(named[column]) for column in columns)
