"""One engine's gold, made in two passes over silver: decide, then write."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from data_foundry.allocation import card, gold
from data_foundry.allocation.candidates import Candidates, scan
from data_foundry.allocation.keys import RULE_SETS, TRAINING_CONFIG, resolved_training, row_settings, rows_key
from data_foundry.allocation.licences import obligation_table
from data_foundry.allocation.splits import LEAKS, REJECTED, SPLITS, Assignment, assign
from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.lake import Commit, Lake, Layer, Manifest

DUPLICATE = "duplicate"


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
) -> Manifest:
    """Read silver of the datasets in `inputs`, and publish the engine's gold, even when it holds no row.

    Reads silver twice, once for the small columns (and audio, where sounds are compared) and once to copy rows.
    """
    spec = ENGINES[engine]
    files = [
        path
        for dataset in sorted(inputs)
        for path in lake.files(Layer.SILVER, dataset)
        if path.suffix == ".parquet" and path.parent.name != "rejected"
    ]
    with lake.commit(Layer.GOLD, engine, key) as commit:
        rejected = RejectedRows(commit)
        candidates, matrix = scan(engine, files, settings.licensing.commercial_use, rejected.add)
        assignment = assign(candidates.linked_rows(), settings.splits)
        own = candidates["own"].astype(bool)
        repeated = candidates.duplicates(own & (assignment.side != REJECTED))
        chosen = np.where(own & ~repeated, assignment.side, REJECTED)
        writers = {split: gold.PartWriter(commit, split, gold.gold_schema(spec)) for split in SPLITS}
        for number, path in enumerate(files):
            here = np.flatnonzero(own & (candidates["file"] == number))
            _copy(path, engine, candidates, here, chosen, assignment, writers, rejected)
        for writer in writers.values():
            writer.close()
        rejected.close()
        rows = {split: sum(writer.rows.values()) for split, writer in writers.items()}
        reasons: Counter[str] = sum(rejected.counts.values(), Counter())
        names = candidates.datasets.names
        used = Counter(names[code] for code in candidates["dataset"][chosen != REJECTED].tolist())
        licences = obligation_table(_licence_counts(candidates, chosen))
        certified = card.certificate(spec, candidates, assignment, chosen, settings.splits)
        routing = matrix.table()
        texts = {
            "README.md": card.dataset_card(
                spec, rows, routing, used, reasons, licences, certified, settings.licensing.commercial_use
            ),
            "splits.json": card.to_json(certified),
            TRAINING_CONFIG: card.to_json(resolved_training(settings, engine)),
        }
        for name, text in texts.items():
            commit.path(name).write_text(text, encoding="utf-8")
        return commit.publish(
            rows=sum((writer.rows for writer in (*writers.values(), rejected.writer)), Counter()),
            inputs=inputs,
            rule_sets=RULE_SETS,
            settings=row_settings(settings),
            rows_in=sum(matrix.rows.values()),
            rows_out=sum(rows.values()),
            rejected=reasons,
            details={
                "rows": rows,
                "rows_key": rows_key(settings, engine, inputs),
                "missing": missing,
                "routing": routing,
                "used": dict(sorted(used.items())),
                "rejected": {
                    dataset: dict(sorted(counts.items())) for dataset, counts in sorted(rejected.counts.items())
                },
                "licences": licences,
                "splits": certified,
            },
        )


def _copy(
    path: Any,
    engine: AIEngine,
    candidates: Candidates,
    here: np.ndarray,
    chosen: np.ndarray,
    assignment: Assignment,
    writers: dict[str, gold.PartWriter],
    rejected: RejectedRows,
) -> None:
    """Write one silver file's own candidates (`here`: their numbers) to their split, or to the rejected rows."""
    columns = gold.silver_columns(ENGINES[engine])
    for places, table in gold.read_rows(path, columns, candidates["offset"][here]):
        numbers = here[places]
        sides = chosen[numbers]
        for at in np.flatnonzero(sides == REJECTED).tolist():
            leak = int(assignment.leak[numbers[at]])
            reason = DUPLICATE if leak == REJECTED else LEAKS[leak]
            rejected.add(table["row_id"][at].as_py(), table["dataset"][at].as_py(), reason)
        for side, split in enumerate(SPLITS):
            chosen_here = np.flatnonzero(sides == side)
            if len(chosen_here):
                groups = [f"{key:016x}" for key in assignment.group[numbers[chosen_here]].tolist()]
                writers[split].write(gold._process_for_target_engine(engine, table.take(chosen_here), groups))


def _licence_counts(candidates: Candidates, chosen: np.ndarray) -> list[tuple[str, str, int]]:
    kept = chosen != REJECTED
    pairs = Counter(zip(candidates["dataset"][kept].tolist(), candidates["licence"][kept].tolist(), strict=True))
    return [
        (candidates.datasets.names[dataset], candidates.licences.names[licence], count)
        for (dataset, licence), count in pairs.items()
    ]
