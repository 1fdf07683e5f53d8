"""What training looked like: the distributions of a version's own training rows, sampled once and kept.

A reference belongs to the gold that the version was trained on, by its hash: where that gold is gone or was made again
since, and nothing was kept of it in time, there is no reference, and drift is not judged. The gold of today is never
taken for that of yesterday.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_foundry.adapter_name import engine_of
from data_foundry.engines.adapters import spec_of
from data_foundry.engines.spec import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.gold_rows import chosen
from data_foundry.finetuning.versions.version_lineage import gold_hash
from data_foundry.lake import Lake, Layer, Manifest, fingerprint
from data_foundry.serving.watch.features import FEATURES, columns_of, features_of, noise_of, of_training_row

MOST_ROWS, MOST_CLIPS = 2000, 300
_ROW_GROUPS, _CLIP_GROUPS = 500, 40
RULES = "reference-1"


@dataclass
class Reference:
    """Counts of training rows by feature and bucket, or why there are none."""

    rows: int = 0
    clips: int = 0
    shapes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def as_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "clips": self.clips, "shapes": {name: dict(c) for name, c in self.shapes.items()}}


def reference_key(adapter: str, model: Manifest) -> str | None:
    """Return the key under which a version's reference is kept; None where its manifest names no gold."""
    gold = model.details.get("lineage", {}).get("gold")
    if gold is None:
        return None
    only = model.details["config"].get("only", {})
    edges = {name: feature.edges for name, feature in FEATURES.items()}
    return fingerprint(
        {"gold": gold, "engine": engine_of(adapter), "task": model.details.get("task"), "only": only,
         "rules": RULES, "edges": edges}
    )  # fmt: skip


def why_none(lake: Lake, adapter: str, model: Manifest | None) -> str | None:
    """Return why a version's reference can't be computed from what lies there, None where it can."""
    if model is None:
        return "the version's files are gone"
    trained_on = model.details.get("lineage", {}).get("gold")
    if trained_on is None:
        return "the version does not say which gold it was trained on"
    try:
        gold = lake.manifest(Layer.GOLD, engine_of(adapter))
    except FoundryError as error:
        return f"its gold can't be read: {error.message}"
    if gold is None:
        return "its training rows are gone"
    if gold_hash(gold) != trained_on:
        return "its training rows were made again since"
    return None


def sampled(lake: Lake, adapter: str, model: Manifest) -> Iterator[Reference]:
    """Yield a version's reference as it grows, a row group at a time, so that who computes it can rest between.

    At most 2,000 rows, of up to 500 row groups drawn by lot, and the sound of at most 300, of up to 40 row groups: the
    rest of the gold is not read. Raises FoundryError where the files are not what the manifest lists.
    """
    spec = spec_of(adapter, model.details.get("task"))
    only: Mapping[str, str | bool] = model.details["config"].get("only", {})
    files = lake.files(Layer.GOLD, engine_of(adapter), under="train")
    groups = _row_groups(files)
    lot = random.Random(0)
    drawn = lot.sample(groups, min(len(groups), _ROW_GROUPS))
    found = Reference()
    each = -(-MOST_ROWS // max(len(drawn), 1))
    columns = tuple(dict.fromkeys((*columns_of(spec), *only)))
    for path, group in drawn:
        rows = [row for row in _rows(path, group, columns) if chosen(row, only)]
        for row in lot.sample(rows, min(len(rows), each)):
            found.rows += 1
            for feature, place in of_training_row(spec, row).items():
                found.shapes[feature][place] += 1
        yield found
    if "snr" in features_of(spec.task):
        yield from _sounds(spec, drawn[:_CLIP_GROUPS], only, lot, found)


def _sounds(
    spec: EngineSpec, drawn: list[tuple[Path, int]], only: Mapping[str, str | bool], lot: random.Random,
    found: Reference,
) -> Iterator[Reference]:  # fmt: skip
    from data_foundry.finetuning.tasks.speech import decode_audio
    from data_foundry.records import Rejected

    each = -(-MOST_CLIPS // max(len(drawn), 1))
    for path, group in drawn:
        rows = [row for row in _rows(path, group, ("audio", *only)) if row["audio"] and chosen(row, only)]
        for row in lot.sample(rows, min(len(rows), each)):
            try:
                ratio = noise_of(decode_audio(row))
            except Rejected:
                continue
            found.clips += 1
            if ratio is not None:
                found.shapes["snr"][FEATURES["snr"].place(ratio)] += 1
            yield found


def _row_groups(files: list[Path]) -> list[tuple[Path, int]]:
    import pyarrow.parquet as pq

    return [(path, group) for path in files for group in range(pq.read_metadata(path).num_row_groups)]


def _rows(path: Path, group: int, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        rows: list[dict[str, Any]] = file.read_row_group(group, columns=there).to_pylist()
        return rows
