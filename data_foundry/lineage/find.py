"""Where a row lies: its id looked up in the files of silver and gold, of which one small column is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, LakeFile, Layer

if TYPE_CHECKING:
    import pyarrow as pa

ROW_ID = "row_id"
REJECTED = "rejected"
BATCH_ROWS = 1 << 16
_NAMED = 5
"""How many ids are named where a prefix fits several."""


@dataclass(frozen=True)
class Place:
    """A row's place: a file that a manifest lists, and the row's number in it, from 0."""

    layer: Layer
    name: str
    file: LakeFile
    row: int

    @property
    def split(self) -> str:
        """The folder that the file lies in: a split, or "rejected"."""
        return self.file.path.split("/")[0]

    @property
    def rejected(self) -> bool:
        return self.split == REJECTED

    def __str__(self) -> str:
        return f"{self.layer}/{self.name}/{self.file.path} row {self.row}"


@dataclass
class Found:
    """One row's id and its places; `unreadable` are files that could not be looked into, with the reason."""

    row_id: str
    silver: list[Place] = field(default_factory=list)
    gold: list[Place] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def find(lake: Lake, row_id: str, datasets: Sequence[str] = (), engines: Sequence[str] = ()) -> Found:
    """Return where the row with this id, or with the only id that starts so, lies in silver and gold.

    Reads the column of ids of every file, of these datasets and engines alone where some are named. Raises FoundryError
    when no id or several start so.
    """
    import pyarrow as pa

    wanted = row_id.strip()
    if not wanted or not wanted.isprintable():
        raise FoundryError(f"{row_id!r} is no row id.", "Give the `row_id` of a row of gold or silver, or its start.")
    hits: dict[str, Found] = {}
    unreadable = []
    for layer, names in ((Layer.SILVER, datasets), (Layer.GOLD, engines)):
        for name in names or lake.names(layer):
            manifest = lake.readable(layer, name)
            if manifest is None:
                unreadable.append(lake.fault(layer, name) or f"{layer} holds no complete {name}.")
                continue
            for file in manifest.files:
                # Beside the splits' folders lie files that are about rows, and hold none.
                if not file.path.endswith(".parquet") or "/" not in file.path:
                    continue
                try:
                    for number, found in _ids(lake.folder(layer, name) / file.path, wanted):
                        place = Place(layer, name, file, number)
                        hit = hits.setdefault(found, Found(found))
                        (hit.silver if layer is Layer.SILVER else hit.gold).append(place)
                except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                    unreadable.append(f"{layer}/{name}/{file.path} can't be read: {str(error).splitlines()[0]}")
    if wanted in hits:
        hits = {wanted: hits[wanted]}
    if len(hits) == 1:
        (found_row,) = hits.values()
        found_row.unreadable = unreadable
        return found_row
    raise _not_one(wanted, sorted(hits), unreadable)


def _not_one(wanted: str, ids: list[str], unreadable: list[str]) -> FoundryError:
    if ids:
        more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        return FoundryError(
            f"{len(ids)} rows have an id that starts with {wanted}: {', '.join(ids[:_NAMED])}{more}.",
            "Give more of its digits.",
        )
    where = "\n".join([f"No row of silver or gold has the id {wanted}, or one that starts so.", *unreadable])
    return FoundryError(where, "The column `row_id` of silver and gold holds the ids; --base-path says which lake.")


def _ids(path: Path, wanted: str) -> Iterator[tuple[int, str]]:
    """Yield (row number, id) of the rows of a file whose id is the wanted one or starts with it."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with path.open("rb") as handle:
        file = pq.ParquetFile(handle, pre_buffer=False)
        if ROW_ID not in file.schema_arrow.names:
            return
        start = 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[ROW_ID]):
            ids = batch.column(0)
            for number in pc.indices_nonzero(pc.starts_with(ids, wanted)).to_pylist():
                yield start + number, ids[number].as_py()
            start += batch.num_rows


def read(lake: Lake, place: Place, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the row at a place as a table of one row; its row group alone is read. Raises FoundryError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = lake.folder(place.layer, place.name) / place.file.path
    try:
        with path.open("rb") as handle:
            file = pq.ParquetFile(handle, pre_buffer=False)
            start = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if place.row < start + rows:
                    return file.read_row_group(group, columns=columns).slice(place.row - start, 1)
                start += rows
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from None
    raise FoundryError(f"{path} holds {start} rows, none with number {place.row}.", "Run `verify`.")


def unreadable(path: Path, error: Exception) -> FoundryError:
    return FoundryError(
        f"{path} can't be read: {error}.", "Run `python -m data_foundry verify`, which names what is damaged."
    )


def rows_where(lake: Lake, layer: Layer, name: str, columns: Sequence[str], keep: Any) -> Iterator[tuple[Place, dict]]:
    """Yield the accepted rows of a complete folder for which `keep` (an Arrow expression) holds, as dictionaries.

    Reads `columns` of every split, batch by batch. Raises FoundryError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    manifest = lake.manifest(layer, name)
    for file in manifest.files if manifest else ():
        if not file.path.endswith(".parquet") or "/" not in file.path or file.path.startswith(f"{REJECTED}/"):
            continue
        path = lake.folder(layer, name) / file.path
        start = 0
        try:
            with path.open("rb") as handle:
                parquet = pq.ParquetFile(handle, pre_buffer=False)
                there = [each for each in columns if each in parquet.schema_arrow.names]
                for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=there):
                    numbered = pa.Table.from_batches([batch]).append_column(
                        "number", pa.array(range(start, start + batch.num_rows), pa.int64())
                    )
                    for row in numbered.filter(keep).to_pylist():
                        yield Place(layer, name, file, row.pop("number")), row
                    start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, error) from None
