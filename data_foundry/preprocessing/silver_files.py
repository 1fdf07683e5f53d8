"""Writing silver: rows in small batches to Parquet parts, a series of parts per split and one for rejected rows."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from data_foundry.records import ContentFlag, RejectedRow, SilverRow, arrow_schema, with_features

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_foundry.lake import Commit

REJECTED = "rejected"
ROWS_PER_GROUP = 64
GROUP_BYTES = 16 << 20
"""Small row groups: a reader holds one at a time. 64 clips of 8 s are 16 MB; of longer clips a group holds fewer."""
PART_BYTES = 256 << 20
_CONTENT = [f"content.list.element.{name}" for name in ContentFlag.model_fields]


class SilverFiles:
    """The Parquet parts of one commit; `rows` counts what each holds. Call `close` before publishing."""

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self.rows: dict[str, int] = {}
        self._series: dict[str, _Series] = {}

    def add(self, row: dict[str, Any]) -> None:
        """Write a row to the parts of its split, or to the rejected ones where it has a reason."""
        split = REJECTED if row["reason"] else row["source_split"]
        series = self._series.get(split)
        if series is None:
            schema = with_features(arrow_schema(RejectedRow if split == REJECTED else SilverRow))
            series = self._series[split] = _Series(self, split, schema)
        series.add(row)

    def close(self) -> None:
        for series in self._series.values():
            series.close()


class _Series:
    def __init__(self, files: SilverFiles, split: str, schema: pa.Schema) -> None:
        self.files, self.split, self.schema = files, split, schema
        self.batch: list[dict[str, Any]] = []
        self.batch_bytes = 0
        self.part = -1
        self.bytes = 0
        self.writer: pq.ParquetWriter | None = None

    def add(self, row: dict[str, Any]) -> None:
        self.batch.append(row)
        self.batch_bytes += len(row["audio"]["bytes"]) if row["audio"] else 0
        # Rows without audio or codes are small: groups of 64 of them would cost more than they hold.
        full = len(self.batch) >= (ROWS_PER_GROUP if row["audio"] or row["codes"] else ROWS_PER_GROUP * 32)
        if full or self.batch_bytes >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self.batch:
            return
        import pyarrow as pa

        arrays = [array(field, [row[field.name] for row in self.batch]) for field in self.schema]
        table = pa.Table.from_arrays(arrays, schema=self.schema)
        if self.writer is None or self.bytes >= PART_BYTES:
            self._next_part()
        assert self.writer is not None
        self.writer.write_table(table)
        self.files.rows[self.name] += len(self.batch)
        self.bytes += table.nbytes
        self.batch, self.batch_bytes = [], 0

    @property
    def name(self) -> str:
        return f"{self.split}/part-{self.part:05d}.parquet"

    def _next_part(self) -> None:
        import pyarrow.parquet as pq

        if self.writer is not None:
            self.writer.close()
        self.part += 1
        self.bytes = 0
        self.files.rows[self.name] = 0
        # Audio neither compresses nor repeats, and statistics of it would copy whole clips into the footer.
        small = [name for name in self.schema.names if name not in ("audio", "codes", "content")]
        compression = dict.fromkeys(small, "zstd") | {
            "audio.bytes": "none", "audio.path": "zstd", "codes.list.element.list.element": "zstd",
            "flags.list.element": "zstd", **dict.fromkeys(_CONTENT, "zstd"),
        }  # fmt: skip
        compression.pop("flags", None)
        self.writer = pq.ParquetWriter(
            self.files.commit.path(self.name),
            self.schema,
            compression=compression,
            use_dictionary=[
                name for name in small if name not in ("text", "text_raw", "row_id", "translation", "flags")
            ],
            write_statistics=[name for name in small if name != "flags"],
            # By these a verification names the rows that a damaged byte touches.
            write_page_checksum=True,
        )

    def close(self) -> None:
        self.flush()
        if self.writer is not None:
            self.writer.close()


def array(field: pa.Field, cells: list[Any]) -> pa.Array:
    """Return a column as Arrow; audio by its two children, which takes a fraction of the time of a list of dicts."""
    import pyarrow as pa

    if field.name != "audio":
        return pa.array(cells, type=field.type)
    there = pa.array([cell is not None for cell in cells], pa.bool_())
    payloads = _binary([cell["bytes"] if cell else b"" for cell in cells], there)
    paths = pa.array([cell and cell["path"] for cell in cells], pa.string())
    return pa.StructArray.from_arrays(
        [payloads, paths], fields=list(field.type), mask=pa.array([cell is None for cell in cells], pa.bool_())
    )


def _binary(payloads: list[bytes], there: pa.Array) -> pa.Array:
    """Return a column of bytes, copied once; `pa.array` grows its buffer payload by payload and copies it again."""
    import pyarrow as pa

    ends = pa.array(accumulate(map(len, payloads), initial=0), pa.int32())
    buffers = [there.buffers()[1], ends.buffers()[1], pa.py_buffer(b"".join(payloads))]
    return pa.Array.from_buffers(pa.binary(), len(payloads), buffers)
