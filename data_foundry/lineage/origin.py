"""Derivation: one silver row made again from its raw row, and one gold row from its silver row, by the phases' code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.dataset_registry import dataset_entry
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, LakeFile, Layer, Manifest
from data_foundry.lineage.find import Place, rows_where
from data_foundry.preprocessing.standardize import FILES, raw_paths, standardizer_of
from data_foundry.records import AIEngine, Rejected, RejectedRow, SilverRow, arrow_schema

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from data_foundry.preprocessing.readers import RawRow
    from data_foundry.preprocessing.utterance import Row, Standardizer

_SEEN = ("text_group", "audio_group", "translation", "label", "dialect", "district", "gender", "speaker")
"""What `SeenRows.mark` reads of an earlier row."""
_ORDER = ("source_file", "source_row")


@dataclass
class Origin:
    """The raw data of one dataset, and what makes silver rows of it."""

    lake: Lake
    settings: Settings
    entry: DatasetEntry
    raw: Manifest

    @classmethod
    def of(cls, lake: Lake, settings: Settings, dataset: str) -> Origin:
        """Return the origin of a dataset's rows. Raises FoundryError where its raw data is not there."""
        entry = dataset_entry(dataset)
        raw = lake.manifest(Layer.RAW, dataset)
        if raw is None:
            raise FoundryError(f"The raw data of {dataset} is not in the lake.", "Run phase 1 for it.")
        return cls(lake, settings, entry, raw)

    @cached_property
    def standardizer(self) -> Standardizer:
        return standardizer_of(self.settings, self.raw, self.entry)

    def raw_rows(self) -> Iterator[RawRow]:
        """Yield every raw row as phase 2 reads it. Raises FoundryError and OSError."""
        from data_foundry.preprocessing.readers import read_rows

        return read_rows(self.entry, self.lake.folder(Layer.RAW, self.entry.repo_id) / FILES, *raw_paths(self.raw))

    def raw_row(self, source_file: str, source_row: int) -> RawRow:
        """Return a raw row as phase 2 reads it. Raises FoundryError where the raw data has none there."""
        from data_foundry.preprocessing.readers import read_row

        folder = self.lake.folder(Layer.RAW, self.entry.repo_id) / FILES
        try:
            row = read_row(self.entry, folder, *raw_paths(self.raw), (source_file, source_row))
        except OSError as error:
            raise FoundryError(f"{folder / source_file} can't be read: {error}.", "Run `verify`.") from None
        if row is None:
            raise FoundryError(
                f"The raw data of {self.entry.repo_id} has no row {source_row} in {source_file}.",
                "It was ingested anew since silver was made: run phase 2.",
            )
        return row

    def silver_row(self, raw: RawRow, row_id: str) -> Row:
        """Return the row with this id that a raw row becomes, refused ones with a `reason`; not yet judged by others.

        Raises FoundryError where it becomes none with this id.
        """
        from data_foundry.preprocessing.silver_audio import silver_audio

        ids = []
        for row in self.standardizer.rows(raw, silver_audio(raw, self.settings.audio)):
            if row["row_id"] == row_id:
                return row
            ids.append(row["row_id"])
        raise FoundryError(
            f"Row {raw.source_row} of {raw.source_file} becomes {len(ids)} silver rows, none with the id {row_id}.",
            "It is cut otherwise now: run phase 2.",
        )

    def among_others(self, row: Row, place: Place) -> Row:
        """Return a derived row after it was held against the earlier rows of its dataset, which silver holds.

        Only those with the same text or the same samples are looked at; `place` is where silver keeps the row.
        """
        import pyarrow.compute as pc

        from data_foundry.preprocessing.duplicates import SeenRows
        from data_foundry.preprocessing.utterance import refused

        groups = {name: row[name] for name in ("text_group", "audio_group") if row[name]}
        if row["reason"] is not None or not groups:
            return row
        same = None
        for name, value in groups.items():
            equal = pc.field(name) == value
            same = equal if same is None else same | equal
        here = (row["source_file"], row["source_row"])
        seen = SeenRows(self.settings.duplicates)
        found = rows_where(self.lake, Layer.SILVER, self.entry.repo_id, (*_ORDER, *_SEEN), same)
        # Pieces of one recording lie in one split, in their order.
        order = [((other["source_file"], other["source_row"]), (at.file.path, at.row), other) for at, other in found]
        for origin, at, other in sorted(order, key=lambda each: each[:2]):
            if origin < here or (origin == here and at < (place.file.path, place.row)):
                seen.mark({"flags": [], **dict.fromkeys(_SEEN), **other})
        try:
            seen.mark(row)
        except Rejected as refusal:
            return refused(row, refusal)
        return row


def recording_file(raw: Manifest, payload: Path) -> LakeFile:
    """Return the listed file that a raw row's recording is."""
    return next(file for file in raw.files if payload.as_posix().endswith(f"/{raw.name}/{file.path}"))


def silver_table(row: Row, rejected: bool) -> pa.Table:
    """Return a derived row as silver, or its rejected rows, hold it."""
    import pyarrow as pa

    from data_foundry.preprocessing.silver_files import array

    schema = arrow_schema(RejectedRow if rejected else SilverRow)
    return pa.Table.from_arrays([array(field, [row[field.name]]) for field in schema], schema=schema)


def gold_table(settings: Settings, engine: AIEngine, split: str, silver: pa.Table, stored: pa.Table) -> pa.Table | None:
    """Return the gold row that a silver row becomes in a split, or None where the settings want no such row.

    What the split gives (`group`, `sampling_weight`) is taken from the stored row: it depends on all others.
    """
    from data_foundry.allocation.gold import _process_for_target_engine
    from data_foundry.allocation.phone_rows import SUFFIX, phone_versions
    from data_foundry.engines.spec import SPLIT_COLUMNS

    made = {name: stored[name].to_pylist() for name in SPLIT_COLUMNS if name in stored.column_names}
    rows = _process_for_target_engine(engine, silver, made)
    if not split.endswith(SUFFIX):
        return rows
    versions = phone_versions(settings, engine, split.removesuffix(SUFFIX), rows)
    return next((table for name, table in versions if name == split), None)
