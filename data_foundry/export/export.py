"""An export: planned from gold's manifest, refused where its target is taken, made whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_foundry import __version__
from data_foundry.engines import ENGINES, AIEngine, EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.export.documents import licences_document, readme
from data_foundry.export.folder import ELSEWHERE, ExportFolder, fresh_folder, is_taken, read_export
from data_foundry.export.formats import EXPORT_RULES, FORMATS
from data_foundry.export.row import ExportRow, SplitWriter, read_split, safe_name
from data_foundry.lake import MANIFEST, Lake, Layer, Manifest, fingerprint, sha256_file

# What stands beside gold's rows goes along under this folder.
BESIDE_GOLD = "gold"
NOT_SPLITS = frozenset({"rejected"})
FIRST_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class ExportPlan:
    """What an export would hold: rows per split (of these, rows without audio may stay behind); `key` names it.

    `whole` is the manifest of the same export where it lies at `target` already.
    """

    engine: AIEngine
    format: str
    target: Path
    rows: dict[str, int]
    shard_bytes: int
    gold: Manifest
    key: str
    whole: dict[str, Any] | None

    @property
    def spec(self) -> EngineSpec:
        return ENGINES[self.engine]


def rows_by_split(gold: Manifest) -> dict[str, int]:
    """Return the rows of each split that has any: train, validation, test, then the others by name."""
    rows: Counter[str] = Counter()
    for file in gold.files:
        folder, _, name = file.path.partition("/")
        if name.endswith(".parquet") and folder not in NOT_SPLITS and file.rows:
            rows[safe_name(folder)] += file.rows
    order = {split: place for place, split in enumerate(FIRST_SPLITS)}
    return {split: rows[split] for split in sorted(rows, key=lambda name: (order.get(name, len(order)), name))}


def plan(
    lake: Lake, engine: AIEngine, format_name: str, target: Path, splits: Sequence[str] | None, shard_bytes: int
) -> ExportPlan:
    """Return what an export would hold, writing nothing. `splits` None: all that have rows.

    Raises FoundryError for gold that is not there, a split without rows, a format that can't hold the engine's rows,
    and a target that is taken.
    """
    spec, kind = ENGINES[engine], FORMATS[format_name]
    gold = lake.manifest(Layer.GOLD, engine)
    if gold is None:
        raise FoundryError(f"There is no gold of {engine} in {lake.base_path}.", "Run phase 3 first.")
    if kind.speech_only and "audio" not in spec.columns:
        raise FoundryError(
            f"Gold of {engine} holds no audio, and {kind.title} are made of recordings.",
            f"Use --format webdataset, or open it where it lies: "
            f'datasets.load_dataset("{lake.folder(Layer.GOLD, engine)}").',
        )
    there = rows_by_split(gold)
    if not there:
        raise FoundryError(f"Gold of {engine} holds no row.", "Its card says where the rows went; run phase 3 again.")
    absent = [split for split in splits or () if split not in there]
    if absent:
        raise FoundryError(
            f"Gold of {engine} has no rows in {', '.join(absent)}.", f"Splits with rows: {', '.join(there)}."
        )
    rows = {split: count for split, count in there.items() if splits is None or split in splits}
    key = fingerprint(
        {
            "rules": EXPORT_RULES,
            "format": format_name,
            "engine": engine,
            "splits": list(rows),
            "shard_bytes": shard_bytes if kind.sharded else None,
            "gold": fingerprint(gold.text),
        }
    )
    target = target.resolve()
    whole = _what_lies_at(lake, target, key)
    return ExportPlan(engine, format_name, target, rows, shard_bytes, gold, key, whole)


def _what_lies_at(lake: Lake, target: Path, key: str) -> dict[str, Any] | None:
    """Return the manifest of an equal export at the target, None where the place is free. Raises FoundryError."""
    if not is_taken(lake, target):
        return None
    manifest = read_export(target)
    if manifest is None:
        raise FoundryError(f"{target} is not empty, and what it holds is no export.", f"{ELSEWHERE}.")
    if manifest["key"] != key:
        held = f"{manifest.get('engine')} as {manifest.get('format')} ({', '.join(manifest.get('splits', ()))})"
        raise FoundryError(
            f"{target} holds another export: {held} of gold {manifest.get('gold', {}).get('key', '')[:8]}.",
            f"{ELSEWHERE}, or delete it to make it anew.",
        )
    return manifest


def export(lake: Lake, planned: ExportPlan, tell: Callable[[int], None] = lambda rows: None) -> dict[str, Any]:
    """Make what was planned and return its manifest; `tell` hears of the rows as they are written.

    Nothing stands at the target before all of it is there. Raises FoundryError, and OSError when the disk fails.
    """
    if planned.whole is not None:
        return planned.whole
    kind = FORMATS[planned.format]
    with fresh_folder(planned.target) as folder:
        splits: dict[str, dict[str, Any]] = {}
        terms: Counter[tuple[str, str]] = Counter()
        for split in planned.rows:
            with kind.writer(folder, split, planned.spec, planned.shard_bytes) as writer:
                splits[split] = _write_split(read_split(lake, planned.engine, split), planned, writer, terms, tell)
        if not terms:
            raise FoundryError(
                f"No row of {', '.join(splits)} has audio, which {kind.title} are made of.",
                f'Open them where they lie: datasets.load_dataset("{lake.folder(Layer.GOLD, planned.engine)}").',
            )
        licences = _licences(planned.gold, terms)
        for relative, text in {
            "README.md": readme(planned.spec, kind, splits, licences),
            "LICENCES.md": licences_document(licences),
        }.items():
            folder.write(relative, text.encode())
        _carry_gold(lake, planned, folder)
        return folder.finish(
            {
                "schema_version": 1,
                "engine": planned.engine,
                "format": planned.format,
                "key": planned.key,
                "rules": EXPORT_RULES,
                "code_version": __version__,
                "gold": {
                    "key": planned.gold.key,
                    "content_hash": planned.gold.content_hash,
                    "manifest_sha256": sha256_file(folder.staging / BESIDE_GOLD / MANIFEST),
                },
                "splits": splits,
                "shard_bytes": planned.shard_bytes if kind.sharded else None,
                "licences": licences,
            }
        )


def _write_split(
    rows: Iterator[ExportRow],
    planned: ExportPlan,
    writer: SplitWriter,
    terms: Counter[tuple[str, str]],
    tell: Callable[[int], None],
) -> dict[str, Any]:
    """Write a split's rows, count them by dataset and licence in `terms`, and return what to say of the split."""
    has_audio = "audio" in planned.spec.columns
    written, silent, seconds = 0, 0, 0.0
    for row in rows:
        # Readers want the same parts in every row; text rows beside speech are read from gold itself.
        if has_audio and row.audio is None:
            silent += 1
            continue
        writer.write(row)
        written += 1
        seconds += row.sound.duration if row.audio is not None else 0.0
        terms[row.values["dataset"], row.values["licence"]] += 1
        tell(1)
    said: dict[str, Any] = {"rows": written, "left_out": {"no_audio": silent} if silent else {}}
    if has_audio:
        said["seconds"] = round(seconds, 3)
    return said | ({"shards": writer.shards} if FORMATS[planned.format].sharded else {})


def _licences(gold: Manifest, terms: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return gold's table of licences and obligations with the counts of the exported rows."""
    known = {(line["dataset"], line["licence"]): line for line in gold.details["licences"]}
    return [{**known[pair], "rows": count} for pair, count in sorted(terms.items())]


def _carry_gold(lake: Lake, planned: ExportPlan, folder: ExportFolder) -> None:
    """Copy what stands beside gold's rows, its manifest too. Raises FoundryError when gold changed meanwhile."""
    for path in lake.files(Layer.GOLD, planned.engine):
        if path.suffix != ".parquet":
            folder.write(f"{BESIDE_GOLD}/{path.name}", path.read_bytes())
    now = lake.manifest(Layer.GOLD, planned.engine)
    if now != planned.gold:
        raise FoundryError(
            f"The gold of {planned.engine} changed while it was exported.", "Run the same command again."
        )
    held = lake.folder(Layer.GOLD, planned.engine) / MANIFEST
    folder.write(f"{BESIDE_GOLD}/{MANIFEST}", held.read_bytes())
