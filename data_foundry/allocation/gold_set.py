"""One engine's gold, made in two passes over silver: decide, then write."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_foundry.allocation import assignments, card, gold
from data_foundry.allocation.assignments import Memory, Remembered, Sides
from data_foundry.allocation.candidates import LABELLED, UNLABELLED, Candidates, measure, scan
from data_foundry.allocation.certificate import certificate, changes, sampling_weights
from data_foundry.allocation.groups import DOMAIN, REJECTED, SIDES, SPLITS, TRAIN
from data_foundry.allocation.keys import TRAINING_CONFIG, resolved_training, row_settings, rows_key, rule_sets
from data_foundry.allocation.licences import obligation_table
from data_foundry.allocation.phone_rows import phone_splits, phone_versions
from data_foundry.allocation.routing import refuse_mismatch
from data_foundry.allocation.splits import LEAKS, Assignment, assign
from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.lake import Commit, Lake, Layer, Manifest

DUPLICATE = "duplicate"
# No stratum counts more than so many times an equal share, or less than one so manieth.
LARGEST_WEIGHT = 10.0
EXAMPLES = 10


class RejectedRows:
    """Writes refused rows with their reason as they come, and counts them by dataset."""

    def __init__(self, commit: Commit) -> None:
        self.writer = gold.PartWriter(commit, "rejected", gold.REJECTED_SCHEMA)
        self.counts: dict[str, Counter[str]] = {}
        self._rows: list[tuple[str, str, str]] = []

    def add(self, row_id: str, dataset: str, reason: str) -> None:
        """Write one row."""
        self._rows.append((row_id, dataset, reason))
        self.counts.setdefault(dataset, Counter())[reason] += 1
        if len(self._rows) >= gold.TEXT_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what waits and finish the file."""
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [pa.array(values) for values in zip(*self._rows, strict=True)]
            self.writer.write(pa.Table.from_arrays(columns, schema=gold.REJECTED_SCHEMA))
            self._rows = []


def make_gold(
    lake: Lake,
    settings: Settings,
    engine: AIEngine,
    inputs: dict[str, str],
    missing: list[str],
    key: str,
    memory: Memory | None = None,
) -> Manifest:
    """Read silver of the datasets in `inputs`, and publish the engine's gold, even when it holds no row.

    Rows stay on the side where `memory` has them. Reads silver twice, once for the small columns and once to copy rows.
    """
    files = [
        path
        for dataset in sorted(inputs)
        for path in lake.files(Layer.SILVER, dataset)
        if path.suffix == ".parquet" and path.parent.name != "rejected"
    ]
    # The commit will replace what is remembered: it is read first.
    before = assignments.read_memory(lake, engine, memory.sha256) if memory else None
    with lake.commit(Layer.GOLD, engine, key) as commit:
        rejected = RejectedRows(commit)
        strict = settings.routing.on_mismatch == "fail"
        withheld = refuse_mismatch(engine, measure(files).table()) if strict else frozenset()
        candidates, matrix = scan(engine, files, settings.licensing.commercial_use, rejected.add, withheld)
        routing = matrix.table()
        linked = candidates.linked_rows(before)
        assignment = assign(linked, settings.splits)
        kept = _remember(commit, before, candidates, assignment.side)
        own = candidates["own"]
        repeated = candidates.duplicates((own != 0) & (assignment.side != REJECTED))
        chosen = np.where((own != 0) & ~repeated, assignment.side, REJECTED)
        moves, moved = changes(linked, assignment, (own == LABELLED) & ~repeated)
        weights = sampling_weights(candidates["stratum"], chosen == TRAIN, LARGEST_WEIGHT)
        copy = _Copy(settings, commit, candidates, assignment, chosen, moved, weights, rejected)
        for number, path in enumerate(files):
            copy.file(path, np.flatnonzero((own != 0) & (candidates["file"] == number)))
        copy.close()
        rejected.close()
        phone = phone_splits(settings, engine)
        rows = {split: copy.rows(split) for split in SIDES if split in SPLITS or copy.rows(split)}
        certified = certificate(candidates, linked, assignment, chosen, settings.splits)
        certified["changed"] = {"rows": sum(moves.values()), "moves": moves, "examples": copy.moved_ids[:EXAMPLES]}
        certified["weights"] = copy.weight_table(LARGEST_WEIGHT)
        details = {
            "rows": rows,
            "rows_key": rows_key(settings, engine, inputs, memory.sha256 if memory else None),
            "generation": memory.generation + 1 if memory else 1,
            "remembered": kept,
            "missing": missing,
            "routing": routing,
            "used": _by_dataset(candidates, (chosen >= TRAIN) & (chosen != DOMAIN)),
            "domain": _by_dataset(candidates, chosen == DOMAIN),
            "phone_rows": {split: copy.rows(split) for split in phone},
            "phone_without_audio": {
                split: rows.get(split.removesuffix("_phone"), 0) - copy.rows(split) for split in phone
            },
            "rejected": {dataset: dict(sorted(counts.items())) for dataset, counts in sorted(rejected.counts.items())},
            "licences": obligation_table(_licence_counts(candidates, chosen)),
            "splits": certified,
        }
        texts = {
            "README.md": card.dataset_card(ENGINES[engine], details, settings.licensing.commercial_use),
            "splits.json": card.to_json(certified),
            TRAINING_CONFIG: card.to_json(resolved_training(settings, engine)),
        }
        for name, text in texts.items():
            commit.path(name).write_text(text, encoding="utf-8")
        return commit.publish(
            rows=sum((writer.rows for writer in (*copy.writers.values(), rejected.writer)), Counter()),
            inputs={**inputs, **({assignments.NOW: memory.sha256} if memory else {})},
            rule_sets=rule_sets(settings, engine),
            settings=row_settings(settings, engine),
            rows_in=sum(matrix.rows.values()),
            rows_out=sum(rows.values()),
            rejected=sum(rejected.counts.values(), Counter()),
            details=details,
        )


def _remember(commit: Commit, before: Remembered | None, candidates: Candidates, side: np.ndarray) -> int:
    """Write which anchor and which row is on which side, and keep what was remembered before; return how many anchors
    that was."""
    kept, rows = (side != REJECTED) & (side != DOMAIN), candidates["own"] != UNLABELLED
    memory = Remembered(
        Sides.of(candidates["anchor"][kept], side[kept], before.anchors if before else None),
        Sides.of(candidates["row"][rows], side[rows], before.rows if before else None),
    )
    assignments.write_memory(commit.path(assignments.NOW), memory)
    if before:
        commit.path(assignments.BEFORE).write_bytes(before.content)
    return len(before.anchors.key) if before else 0


class _Copy:
    """The second pass: writes each silver file's own candidates to their split, or to the rejected rows."""

    def __init__(
        self,
        settings: Settings,
        commit: Commit,
        candidates: Candidates,
        assignment: Assignment,
        chosen: np.ndarray,
        moved: np.ndarray,
        weights: np.ndarray,
        rejected: RejectedRows,
    ) -> None:
        self.settings, self.commit, self.candidates, self.assignment = settings, commit, candidates, assignment
        self.chosen, self.moved, self.weights, self.rejected = chosen, moved, weights, rejected
        self.spec = candidates.spec
        self.writers: dict[str, gold.PartWriter] = {}
        self.moved_ids: list[str] = []

    def file(self, path: Path, here: np.ndarray) -> None:
        """Copy one silver file's rows; `here`: the numbers of its candidates, in their order in the file."""
        columns = gold.silver_columns(self.spec)
        for places, table in gold.read_rows(path, columns, self.candidates["offset"][here]):
            numbers = here[places]
            self._refuse(numbers, table)
            self._collect_moved(numbers, table)
            for side, split in enumerate(SIDES):
                at = np.flatnonzero(self.chosen[numbers] == side)
                if len(at):
                    self._write(split, numbers[at], table.take(at))

    def close(self) -> None:
        """Finish all files."""
        for writer in self.writers.values():
            writer.close()

    def rows(self, split: str) -> int:
        """Return how many rows of a split were written."""
        return sum(self.writers[split].rows.values()) if split in self.writers else 0

    def weight_table(self, cap: float) -> dict[str, Any]:
        """Return the weight of each stratum in train, and what holds it."""
        train = self.chosen == TRAIN
        codes, first = np.unique(self.candidates["stratum"][train], return_index=True)
        of = {
            self.candidates.strata.names[code] or "all": round(float(weight), 6)
            for code, weight in zip(codes.tolist(), self.weights[train][first].tolist(), strict=True)
        }
        return {"column": self.spec.stratum, "cap": cap, "train": dict(sorted(of.items()))}

    def _refuse(self, numbers: np.ndarray, table: pa.Table) -> None:
        refused = np.flatnonzero(self.chosen[numbers] == REJECTED)
        for at, row_id, dataset in zip(
            refused.tolist(), *(table[name].take(refused).to_pylist() for name in ("row_id", "dataset")), strict=True
        ):
            leak = int(self.assignment.leak[numbers[at]])
            self.rejected.add(row_id, dataset, DUPLICATE if leak == REJECTED else LEAKS[leak])

    def _collect_moved(self, numbers: np.ndarray, table: pa.Table) -> None:
        moved = np.flatnonzero(self.moved[numbers])
        if len(moved):
            self.moved_ids = sorted([*self.moved_ids, *table["row_id"].take(moved).to_pylist()])[:EXAMPLES]

    def _write(self, split: str, numbers: np.ndarray, rows: pa.Table) -> None:
        made = {
            "group": [f"{key:016x}" for key in self.assignment.group[numbers].tolist()],
            "sampling_weight": self.weights[numbers].tolist(),
        }
        engine = self.candidates.engine
        written = gold._process_for_target_engine(engine, rows, made)
        self._writer(split).write(written)
        for name, heard in phone_versions(self.settings, engine, split, written):
            self._writer(name).write(heard)

    def _writer(self, split: str) -> gold.PartWriter:
        if split not in self.writers:
            self.writers[split] = gold.PartWriter(self.commit, split, gold.gold_schema(self.spec))
        return self.writers[split]


def _by_dataset(candidates: Candidates, which: np.ndarray) -> dict[str, int]:
    counted = Counter(candidates["dataset"][which].tolist())
    return dict(sorted((candidates.datasets.names[at], count) for at, count in counted.items()))


def _licence_counts(candidates: Candidates, chosen: np.ndarray) -> list[tuple[str, str, int]]:
    kept = chosen != REJECTED
    pairs = Counter(zip(candidates["dataset"][kept].tolist(), candidates["licence"][kept].tolist(), strict=True))
    return [
        (candidates.datasets.names[dataset], candidates.licences.names[licence], count)
        for (dataset, licence), count in pairs.items()
    ]
