"""Codec tokens in a raw table: layers of equal length, codes inside the codebook, lengths as stated."""

from __future__ import annotations

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.tables import ParquetTable


def inspect_codes(
    entry: DatasetEntry, table: ParquetTable, layers: list[str], length: str | None, findings: Findings
) -> int:
    """Add findings on the rows whose codes break the codec's contract; return how many cells hold codes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    codec = entry.codec
    if codec is not None and len(layers) != codec.layers:
        text = f"Rows have {len(layers)} codec layers; {codec.name} has {codec.layers}."
        findings.add("codec_layers", "warning", text, table.path)
    layers = [name for name in layers if pa.types.is_list(table.file.schema_arrow.field(name).type)]
    if not layers:
        return 0
    start = filled = 0
    for batch in table.batches([*layers, *([length] if length else [])]):
        lengths = np.stack([pc.fill_null(pc.list_value_length(batch[name]), 0).to_numpy() for name in layers])
        filled += int((lengths > 0).sum())
        checks = {
            "codes_empty": (lengths.max(axis=0) == 0, "Rows have no codes."),
            "codes_ragged": (lengths.min(axis=0) != lengths.max(axis=0), "Layers of a row differ in length."),
        }
        if length:
            stated = pc.fill_null(pc.cast(batch[length], pa.int64()), -1).to_numpy()
            checks["codes_length"] = (stated != lengths[0], f"{length} is not the number of codes.")
        if codec is not None:
            outside = np.zeros(batch.num_rows, dtype=bool)
            for name in layers:
                values = pc.fill_null(pc.cast(pc.list_flatten(batch[name]), pa.int64()), -1).to_numpy()
                rows = pc.list_parent_indices(batch[name]).to_numpy()
                outside[rows[(values < 0) | (values >= codec.codebook_size)]] = True
            checks["codes_outside"] = (outside, f"Codes lie outside 0..{codec.codebook_size - 1}.")
        for kind, (bad, text) in checks.items():
            findings.add_rows(kind, "warning", text, table.path, (np.flatnonzero(bad) + start).tolist())
        start += batch.num_rows
    return filled
