"""The gold rows that an adapter is made of: how many there are, and a hash of what they say.

Rows to learn from that are not chosen may come and go without an adapter being made again, so the hash leaves them out;
where all rows of the gold are chosen, its files' hashes stand for them. Test rows are never looked at here: the hashes
of their files, from gold's manifest, stand for them, so an adapter is made again where any of those change. A plan
reads no rows: what was chosen last is written down beside the adapter's versions, for the gold that it was chosen from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.finetuning.features.gold_rows import chosen
from data_foundry.finetuning.versions.version_files import PHONE, SPLITS
from data_foundry.lake import Lake, Layer, Manifest, fingerprint, write_atomically
from data_foundry.training_config import Task

FILE_NAME = "selection.json"
READ_ROWS = 64
USED = (*SPLITS, PHONE)
"""Splits that an adapter is trained or measured on."""
LEARNT = ("train", "validation")
HELD_OUT = ("test", PHONE)
"""Those of them that may be read before it is trained, and those that may not."""

# The columns that say where a row was found, and what the split made of it: they change with rows that are not chosen,
# and neither training nor the figures read them.
PLACE_COLUMNS = frozenset({"revision", "source_file", "source_row", "source_split", "group", "sampling_weight"})
# What a row must have for a task, where the gold of an engine holds rows without it.
READ_COLUMNS: dict[Task, str] = {"audio-classification": "audio", "text-classification": "text"}


@dataclass(frozen=True)
class Selection:
    """`rows` by split, and the `hash` of what they say; `of` stands for the gold and the wish they were chosen by.

    Of test rows, how many there are at most, as far as gold's manifest tells.
    """

    of: str
    hash: str
    rows: dict[str, int]

    def lacks(self, spec: EngineSpec) -> str | None:
        """Return why these rows are too few to make an adapter of, or None."""
        train, least = self.rows.get("train", 0), spec.training.min_train_rows
        which = " and ".join(f"{column} {value}" for column, value in spec.training.only.items())
        which = f" with {which}" if which else ""
        if train < least:
            return f"{train} training rows{which} of the {least} that {spec.configured_at}.min_train_rows asks for"
        if not self.rows.get("test"):
            return f"no test rows{which}"
        return None


def rows_hash(gold: Manifest) -> str:
    """Hash the rows of a gold alone: its card and its copy of the configuration don't make an adapter another one."""
    return fingerprint([(f.path, f.sha256) for f in gold.files if f.path.split("/")[0] in USED])


def held_out_hash(gold: Manifest) -> str:
    """Hash the test rows of a gold by what its manifest says of their files."""
    return fingerprint([(f.path, f.sha256) for f in gold.files if f.path.split("/")[0] in HELD_OUT])


def known_selection(lake: Lake, spec: EngineSpec, gold: Manifest) -> Selection | None:
    """Return what an adapter is made of, None where that takes a look at the rows of this gold."""
    if _whole(spec):
        rows = {split: sum(f.rows or 0 for f in gold.files if f.path.startswith(f"{split}/")) for split in USED}
        return Selection(_of(spec, gold), rows_hash(gold), rows)
    try:
        found = Selection(**json.loads(_file(lake, spec).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.of == _of(spec, gold) else None


def choose_rows(lake: Lake, spec: EngineSpec, gold: Manifest) -> Selection:
    """Return what an adapter is made of, from the rows themselves where need be, and write it down for plans.

    Raises FoundryError for gold whose files are gone.
    """
    known = known_selection(lake, spec, gold)
    if known is not None:
        return known
    digest, rows = hashlib.sha256(held_out_hash(gold).encode()), dict.fromkeys(LEARNT, 0)
    for split in LEARNT:
        for row in _rows(lake.files(Layer.GOLD, spec.engine, under=split), spec):
            rows[split] += 1
            digest.update(json.dumps([split, row], default=_bytes_hash, sort_keys=True, ensure_ascii=False).encode())
    rows["test"] = _test_rows_at_most(spec, gold)
    found = Selection(_of(spec, gold), digest.hexdigest(), rows)
    write_atomically(_file(lake, spec), json.dumps(asdict(found), indent=1) + "\n")
    return found


def _rows(files: list[Path], spec: EngineSpec) -> Iterator[Mapping[str, Any]]:
    """Yield the chosen rows without the columns of their place; row groups without any are not read."""
    import pyarrow.parquet as pq

    only, needed = spec.training.only, READ_COLUMNS.get(spec.task)
    for path in files:
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name not in PLACE_COLUMNS]
            for number in range(file.num_row_groups):
                keys = file.read_row_group(number, columns=list(only)).to_pylist() if only else None
                if keys is not None and not any(chosen(row, only) for row in keys):
                    continue
                for batch in file.iter_batches(batch_size=READ_ROWS, row_groups=[number], columns=columns):
                    for row in batch.to_pylist():
                        if chosen(row, only) and (needed is None or row[needed]):
                            yield row


def _test_rows_at_most(spec: EngineSpec, gold: Manifest) -> int:
    """Return how many test rows can be chosen, by the counts in gold's manifest of the columns that it counts by."""
    counts = [sum(f.rows or 0 for f in gold.files if f.path.startswith("test/"))]
    balance: Mapping[str, Any] = gold.details.get("splits", {}).get("balance", {})
    for column, value in spec.training.only.items():
        if column != "label" and (by_value := balance.get(column)):
            counts.append(by_value.get(str(value), {}).get("test", 0))
    return min(counts)


def _bytes_hash(value: Any) -> str:
    return hashlib.sha256(value).hexdigest()


def _whole(spec: EngineSpec) -> bool:
    return not spec.variant and not spec.training.only


def _of(spec: EngineSpec, gold: Manifest) -> str:
    return fingerprint(["test rows by their files", rows_hash(gold), spec.training.only, spec.task])


def _file(lake: Lake, spec: EngineSpec) -> Path:
    return lake.folder(Layer.MODELS, spec.name) / FILE_NAME
