"""The second pass over silver: projects the chosen rows to an engine's gold columns and writes Parquet that the Hub's
own clients open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_foundry.engines import ENGINES, AIEngine
from data_foundry.engines.spec import SPLIT_COLUMNS, EngineSpec
from data_foundry.records import SilverRow, arrow_schema, arrow_type, with_features

if TYPE_CHECKING:
    from data_foundry.lake import Commit

REJECTED_SCHEMA = pa.schema([("row_id", pa.string()), ("dataset", pa.string()), ("reason", pa.string())])
AUDIO_GROUP_ROWS = 64
TEXT_GROUP_ROWS = 2048
PART_BYTES = 512 << 20


def gold_schema(spec: EngineSpec) -> pa.Schema:
    """Return an engine's gold schema, with the feature types of `datasets` in its metadata (audio as Audio)."""
    silver = arrow_schema(SilverRow)
    made = {**SPLIT_COLUMNS, **spec.derived}
    fields = [
        pa.field(name, arrow_type(made[name])) if name in made else silver.field(name) for name in spec.gold_columns
    ]
    return with_features(pa.schema(fields))


def _process_for_target_engine(engine: AIEngine, rows: pa.Table, made: Mapping[str, list[Any]]) -> pa.Table:
    """Project silver rows that serve an engine to its gold rows.

    `made` holds one value per row for every column of `SPLIT_COLUMNS`, and for what else neither silver holds nor the
    engine derives; it comes before both. `rows` holds at least the columns of `silver_columns`.
    """
    spec = ENGINES[engine]
    if "audio" in spec.columns:
        # Of codec tokens silver knows how long they sound, too; here the time is that of the audio.
        heard = pc.if_else(rows["audio"].is_valid(), rows["duration"], None)
        rows = rows.set_column(rows.schema.get_field_index("duration"), "duration", heard)
    seen = [spec.view(row) for row in rows.select(spec.derived_from).to_pylist()] if spec.derived else []
    made = {**{name: [row[name] for row in seen] for name in spec.derived}, **made}
    schema = gold_schema(spec)
    columns = [
        pa.array(made[field.name], type=field.type) if field.name in made else rows.column(field.name)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def silver_columns(spec: EngineSpec) -> list[str]:
    """Return the silver columns that an engine's gold is made of, in the schema's order."""
    wanted = {*spec.gold_columns, *spec.derived_from}
    return [name for name in SilverRow.model_fields if name in wanted]


def read_rows(path: Path, columns: list[str], offsets: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Yield (places in `offsets`, their rows) batch by batch; row groups without a wanted row are not read.

    `offsets` are row numbers in the file, ascending.
    """
    with path.open("rb") as handle:
        file = pq.ParquetFile(handle, buffer_size=1 << 20, pre_buffer=False)
        start = 0
        for number in range(file.num_row_groups):
            end = start + file.metadata.row_group(number).num_rows
            if np.searchsorted(offsets, start) < np.searchsorted(offsets, end):
                rows = AUDIO_GROUP_ROWS if "audio" in columns else TEXT_GROUP_ROWS
                at = start
                for batch in file.iter_batches(batch_size=rows, row_groups=[number], columns=columns):
                    low, high = np.searchsorted(offsets, [at, at + batch.num_rows])
                    if low < high:
                        yield np.arange(low, high), pa.Table.from_batches([batch]).take(offsets[low:high] - at)
                    at += batch.num_rows
            start = end


class PartWriter:
    """Writes tables under a folder of a commit as part-00000.parquet and so on: small row groups, bounded parts.

    `rows` counts rows per relative path, as the manifest wants them.
    """

    def __init__(self, commit: Commit, folder: str, schema: pa.Schema) -> None:
        self._commit, self._folder, self._schema = commit, folder, schema
        self._audio = "audio" in schema.names
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self.rows: Counter[str] = Counter()

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        group = AUDIO_GROUP_ROWS if self._audio else TEXT_GROUP_ROWS
        if sum(part.num_rows for part in self._waiting) >= group:
            waiting = pa.concat_tables(self._waiting)
            whole = waiting.num_rows - waiting.num_rows % group
            for start in range(0, whole, group):
                self._write_group(waiting.slice(start, group))
            self._waiting = [waiting.slice(whole)]

    def close(self) -> None:
        """Write what waits and finish the last part."""
        rest = pa.concat_tables(self._waiting) if self._waiting else None
        if rest is not None and rest.num_rows:
            self._write_group(rest)
        self._waiting = []
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write_group(self, table: pa.Table) -> None:
        if self._writer is not None and self._bytes >= PART_BYTES:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._relative = f"{self._folder}/part-{len(self.rows):05d}.parquet"
            self._bytes = 0
            # Audio is not compressible this way: no compression, no dictionary and no statistics for it.
            leaves = {"audio.bytes": "NONE", "audio.path": "ZSTD"} if self._audio else {}
            others = [name for name in self._schema.names if name != "audio"]
            self._writer = pq.ParquetWriter(
                self._commit.path(self._relative),
                self._schema,
                compression={**dict.fromkeys(_leaf_paths(self._schema), "ZSTD"), **leaves},
                use_dictionary=[name for name in others if pa.types.is_string(self._schema.field(name).type)],
                write_statistics=others,
                # By these a verification names the rows that a damaged byte touches.
                write_page_checksum=True,
            )
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._bytes += table.nbytes
        self.rows[self._relative] += table.num_rows


def _leaf_paths(schema: pa.Schema) -> list[str]:
    """Return the Parquet column paths of a schema, as `ParquetWriter` wants them for per-column compression."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema):
        pass
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [parquet.column(number).path for number in range(len(parquet))]
