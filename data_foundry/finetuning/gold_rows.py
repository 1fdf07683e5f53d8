"""Gold rows on their way into training: chosen, encoded, and refused with a reason where the base can't take them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.task import Features, Task
from data_foundry.records import Rejected

READ_ROWS = 64
REFUSED_EXAMPLES = 5
LEFT_OUT = "left_out_by_only"


@dataclass
class Encoded:
    """Rows of one split as features.

    `rows` keeps the rows themselves only where they were asked for; `sources` counts the used rows by dataset,
    revision and licence; `examples` names a few refused rows for each reason.
    """

    features: list[Features] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    sources: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def refuse(self, row_id: str, reason: str, detail: str = "") -> None:
        self.refused[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < REFUSED_EXAMPLES:
            shown.append(f"{row_id}: {detail}" if detail else row_id)


def read_rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield the rows of Parquet files, a few at a time in memory."""
    import pyarrow.parquet as pq

    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=READ_ROWS):
                yield from batch.to_pylist()


def chosen(row: Mapping[str, Any], only: Mapping[str, str | bool]) -> bool:
    """Return whether a row has the value that `only` wants in each of its columns."""
    return all(row.get(column) == value for column, value in only.items())


def check_columns(spec: EngineSpec, only: Mapping[str, str | bool]) -> None:
    """Raise FoundryError for a column that the gold of an engine does not have."""
    unknown = sorted(set(only) - set(spec.gold_columns))
    if unknown:
        raise FoundryError(
            f"training.engines.{spec.engine}.only names {', '.join(unknown)}: no column of the gold of {spec.engine}.",
            f"Its columns: {', '.join(spec.gold_columns)}.",
        )


def labels_of(
    files: Sequence[Path], column: str, only: Mapping[str, str | bool] | None = None, *, heard: bool = False
) -> tuple[str, ...]:
    """Return the distinct values of a column among the rows to use, sorted; `heard`: among those with audio.

    No audio is read.
    """
    import pyarrow.parquet as pq

    found: set[str] = set()
    for path in files:
        with pq.ParquetFile(path) as file:
            table = file.read(columns=[column, *(only or {}), *(["audio.path"] if heard else [])])
        table = table.filter(table["audio"].is_valid()) if heard else table
        found |= {row[column] for row in table.to_pylist() if chosen(row, only or {})}
    return tuple(sorted(found - {None, ""}))


def encode_rows(task: Task, files: Sequence[Path], *, keep_rows: bool = False, at_most: int | None = None) -> Encoded:
    """Encode every row of some gold files once.

    A row that the base can't take is refused with its reason, never cut; one that the configuration's `only` does not
    want is refused as "left_out_by_only". With `at_most`, the rows to use are drawn by a hash of seed and row id, and
    the others are refused as "beyond_max_train_rows".
    """
    only = task.config.only
    drawn = _drawn(files, at_most, task.config.seed, only) if at_most else None
    found = Encoded()
    for row in read_rows(files):
        if not chosen(row, only):
            found.refuse(row["row_id"], LEFT_OUT, ", ".join(f"{column} {row.get(column)}" for column in only))
            continue
        if drawn is not None and row["row_id"] not in drawn:
            found.refuse(row["row_id"], "beyond_max_train_rows")
            continue
        try:
            features = task.encode(row)
        except Rejected as refusal:
            found.refuse(row["row_id"], refusal.reason, refusal.detail)
            continue
        found.features.append(features)
        found.sources[str(row.get("dataset")), str(row.get("revision")), str(row.get("licence"))] += 1
        if keep_rows:
            found.rows.append(row)
    return found


def replay_features(
    task: Task, base_folder: Path, share: float, train_rows: int
) -> tuple[list[Features], Counter[str]]:
    """Return features of rows of the base's own domain, `share` of the training rows, and what was refused of them.

    They come from replay.parquet in the base's repository, never from its control rows. Raises FoundryError when a
    share is asked for and the base's repository holds no such rows.
    """
    if not share:
        return [], Counter()
    file = base_folder / "replay.parquet"
    if not file.is_file():
        raise FoundryError(
            f"replay_share is {share:g}, but {task.config.base} has no replay.parquet.",
            "Put rows of the base's own training domain there, in the columns of this engine's gold, or set it to 0.",
        )
    wanted = round(share * train_rows)
    encoded: list[Features] = []
    refused = Counter[str]()
    for row in read_rows([file]):
        if len(encoded) == wanted:
            break
        try:
            encoded.append(task.encode(row))
        except Rejected as refusal:
            refused[refusal.reason] += 1
    return encoded, refused


def control_rows(task: Task, base_folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Return held-out rows of the base's own domain, and what they are, or why there are none."""
    if task.base_kind == "linear_probe":
        return [], f"{task.config.base} was published without this ability, so there is no domain of its own to lose"
    file = Path(task.config.control) if task.config.control else base_folder / "control.parquet"
    if not file.is_file():
        return [], f"{task.config.base} has no control rows ({file.name}), so a loss in its own domain can't be seen"
    usable, refused = [], 0
    for row in read_rows([file]):
        try:
            task.encode(row)
        except (Rejected, KeyError):
            refused += 1
            continue
        usable.append(row)
    left_out = f" ({refused} more can't be scored)" if refused else ""
    if not usable:
        return [], f"none of the {refused} control rows of {task.config.base} can be scored for {task.spec.engine}"
    return usable, f"{len(usable)} control rows of the base's own domain{left_out}"


def _drawn(files: Sequence[Path], at_most: int, seed: int, only: Mapping[str, str | bool]) -> set[str]:
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["row_id", *only]) for path in files]
    ids = [row["row_id"] for table in tables for row in table.to_pylist() if chosen(row, only)]
    return set(sorted(ids, key=lambda row_id: hashlib.sha256(f"{seed} {row_id}".encode()).digest())[:at_most])
