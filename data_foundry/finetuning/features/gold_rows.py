"""Gold rows on their way into training: chosen, encoded, and refused with a reason where the base can't take them."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.feature_store import FeatureStore
from data_foundry.finetuning.features.features import FeatureSet
from data_foundry.finetuning.tasks.task import Features, Task, row_name
from data_foundry.records import Rejected
from data_foundry.training_config import TrainingConfig

READ_ROWS = 64
REFUSED_EXAMPLES = 5
LOGGED_ROW_IDS = 20
LEFT_OUT = "left_out_by_only"
NOT_DRAWN = "beyond_max_train_rows"
SOURCE = ("dataset", "revision", "licence")
# What a task reads of a row besides its engine's label.
ENCODED_COLUMNS: dict[str, tuple[str, ...]] = {
    "speech-to-text": ("audio", "text"),
    "audio-classification": ("audio",),
    "text-classification": ("text",),
    "text-to-text": ("text", "translation", "direction"),
    "text-to-codes": ("text", "codes"),
}

log = logging.getLogger("data_foundry")


@dataclass
class Encoded:
    """Rows of one split as features.

    `rows` keeps the rows themselves only where they were asked for, without audio where a store has the features;
    `sources` counts the used rows by dataset, revision and licence; `refused` counts the others by reason, `examples`
    names a few for each, and `unusable` every one that the base can't take: row id and detail by reason.
    """

    features: Sequence[Features] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    sources: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unusable: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def refuse(self, row_id: str, reason: str, detail: str = "") -> None:
        self.refused[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < REFUSED_EXAMPLES:
            shown.append(f"{row_id}: {detail}" if detail else row_id)
        if reason not in (LEFT_OUT, NOT_DRAWN):
            self.unusable[reason].append((row_id, detail))

    def log_unusable(self, engine: str, what: str) -> None:
        """Name the rows that the base can't take, in one line for each reason."""
        for reason, rows in sorted(self.unusable.items()):
            named = [f"{row_id} ({detail})" if detail else row_id for row_id, detail in rows[:LOGGED_ROW_IDS]]
            more = f" and {len(rows) - len(named)} more" if len(rows) > len(named) else ""
            log.warning("%s: %d %s rows refused, %s: %s%s", engine, len(rows), what, reason, ", ".join(named), more)


def read_rows(files: Sequence[Path], *, without: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the rows of Parquet files, a few at a time in memory, without some of their columns."""
    import pyarrow.parquet as pq

    for path in files:
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name not in without]
            for batch in file.iter_batches(batch_size=READ_ROWS, columns=columns):
                yield from batch.to_pylist()


def chosen(row: Mapping[str, Any], only: Mapping[str, str | bool]) -> bool:
    """Return whether a row has the value that `only` wants in each of its columns."""
    return all(row.get(column) == value for column, value in only.items())


def check_columns(spec: EngineSpec, only: Mapping[str, str | bool]) -> None:
    """Raise FoundryError for a column that the gold of an engine does not have."""
    unknown = sorted(set(only) - set(spec.gold_columns))
    if unknown:
        raise FoundryError(
            f"{spec.configured_at}.only names {', '.join(unknown)}: no column of the gold of {spec.engine}.",
            f"Its columns: {', '.join(spec.gold_columns)}.",
        )


def labels_of(
    files: Sequence[Path], column: str, only: Mapping[str, str | bool] | None = None, *, heard: bool = False
) -> tuple[str, ...]:
    """Return the distinct values of a column among the rows to use, sorted: those with text, or, `heard`, with audio.

    No audio is read.
    """
    import pyarrow.parquet as pq

    found: set[str] = set()
    for path in files:
        with pq.ParquetFile(path) as file:
            text = [] if heard or "text" not in file.schema_arrow.names else ["text"]
            wanted = dict.fromkeys([column, *(only or {}), *text, *(["audio.path"] if heard else [])])
            table = file.read(columns=list(wanted))
        table = table.filter(table["audio"].is_valid()) if heard else table
        found |= {
            row[column]
            for row in table.to_pylist()
            if chosen(row, only or {}) and all((row[name] or "").strip() for name in text)
        }
    return tuple(sorted(found - {None, ""}))


def encode_rows(
    task: Task,
    files: Sequence[Path],
    *,
    keep_rows: bool = False,
    at_most: int | None = None,
    store: FeatureStore | None = None,
    what: str = "train",
    frozen: bool = True,
    only: Mapping[str, str | bool] | None = None,
) -> Encoded:
    """Encode every row of some gold files once; with a `store` the features lie on disk, without one in memory.

    A row that the base can't take is refused with its reason, never cut, and named in the log; one that `only`, by
    default the configuration's, does not want is refused as "left_out_by_only". With `at_most`, the rows to use are
    drawn by a hash of seed and row id, and the others are refused as "beyond_max_train_rows". Where the task freezes
    modules, features hold their output, unless `frozen` is false: rows to be predicted, not learnt from. `what` is the
    split.
    """
    found = Encoded()
    only = task.config.only if only is None else only
    listed = list(_listed(files, only))
    wanted = _wanted(listed, only, at_most, task.config.seed, found)
    features: Sequence[Features]
    if store is None:
        features, unusable = _in_memory(task, files, set(wanted))
    else:
        features = store.encoded(task, files, wanted, what)
        chosen_places = set(wanted)
        unusable = [refusal for refusal in features.refused if refusal[0] in chosen_places]
    for _, row_id, reason, detail in sorted(unusable):
        found.refuse(row_id, reason, detail)
    found.log_unusable(task.spec.name, what)
    left_out = {place for place, *_ in unusable}
    used = [place for place in wanted if place not in left_out]
    for place in used:
        dataset, revision, licence = (str(listed[place].get(name)) for name in SOURCE)
        found.sources[dataset, revision, licence] += 1
    found.features = _frozen(task, features, store, what) if task.frozen_modules and frozen else features
    if keep_rows:
        kept = set(used)
        # Sound takes far more memory than all else, and the features on disk hold what is needed of it.
        rows = read_rows(files, without=("audio",) if store else ())
        found.rows = [row for place, row in enumerate(rows) if place in kept]
    return found


def replay_features(
    task: Task, base_folder: Path, share: float, train_rows: int, store: FeatureStore | None = None
) -> tuple[Sequence[Features], Counter[str]]:
    """Return features of rows of the base's own domain, `share` of the training rows, and what was refused of them.

    They come from replay.parquet in the base's repository, never from its control rows, drawn by a hash of the seed and
    their ids; no more are encoded than it takes. Raises FoundryError as `replay_file` does.
    """
    if not share:
        return [], Counter()
    file = replay_file(task.spec, task.config, base_folder)
    wanted, there = round(share * train_rows), _row_count(file)
    what = f"replay ({task.config.base})"
    drawn, encoded = wanted, Encoded()
    while drawn:
        drawn = min(drawn, there)
        encoded = encode_rows(task, [file], at_most=drawn, store=store, what=what, frozen=False, only={})
        short = wanted - len(encoded.features)
        if not short or drawn == there:
            break
        # As many more, never too many: what was drawn stays.
        drawn += short
    found = len(encoded.features)
    if found < wanted or not wanted:
        log.warning(
            "%s: replay_share %g asks for %d rows, replay.parquet of %s gives %d that the base can take",
            task.spec.name, share, wanted, task.config.base, found,
        )  # fmt: skip
    features = encoded.features
    if task.frozen_modules and found:
        features = _frozen(task, features, store, what)
    return features, Counter({reason: n for reason, n in encoded.refused.items() if reason != NOT_DRAWN})


def replay_file(spec: EngineSpec, config: TrainingConfig, base_folder: Path) -> Path:
    """Return the file of a base's own rows. Raises FoundryError where there is none, or none that can be encoded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = base_folder / "replay.parquet"
    hint = "Put rows of the base's own training domain there, in the columns of this engine's gold, or set it to 0."
    if not file.is_file():
        raise FoundryError(f"replay_share is {config.replay_share:g}, but {config.base} has no replay.parquet.", hint)
    try:
        columns = set(pq.read_schema(file).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise FoundryError(f"replay.parquet of {config.base} can't be read: {error}", hint) from None
    lacking = [column for column in (*ENCODED_COLUMNS[spec.task], spec.label) if column and column not in columns]
    if lacking:
        raise FoundryError(f"replay.parquet of {config.base} lacks the columns {', '.join(lacking)}.", hint)
    return file


def _row_count(file: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)


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


def _frozen(task: Task, features: Sequence[Features], store: FeatureStore | None, what: str) -> Sequence[Features]:
    if not isinstance(features, FeatureSet) or store is None:
        raise FoundryError(f"{task.spec.name} with freeze_encoder keeps its features on disk.", "Give a FeatureStore.")
    return store.frozen(task, features, what)


def _wanted(
    listed: Sequence[Mapping[str, Any]],
    only: Mapping[str, str | bool],
    at_most: int | None,
    seed: int,
    found: Encoded,
) -> list[int]:
    """Return the places of the rows to encode; the others are refused."""
    asked = [place for place, row in enumerate(listed) if chosen(row, only)]
    drawn = set(asked)
    if at_most:
        digests = {
            place: hashlib.sha256(f"{seed} {row_name(listed[place], place)}".encode()).digest() for place in asked
        }
        drawn = set(sorted(asked, key=digests.__getitem__)[:at_most])
    wanted_by = set(asked)
    for place, row in enumerate(listed):
        if place not in wanted_by:
            values = ", ".join(f"{column} {row.get(column)}" for column in only)
            found.refuse(row_name(row, place), LEFT_OUT, values)
        elif place not in drawn:
            found.refuse(row_name(row, place), NOT_DRAWN)
    return sorted(drawn)


def _listed(files: Sequence[Path], only: Mapping[str, str | bool]) -> Iterator[dict[str, Any]]:
    """Yield what chooses a row and says where it is from, of every row; no text and no audio."""
    import pyarrow.parquet as pq

    for path in files:
        with pq.ParquetFile(path) as file:
            there = [name for name in ("row_id", *SOURCE, *only) if name in file.schema_arrow.names]
            rows = file.read(columns=list(dict.fromkeys(there))).to_pylist() if there else [{}] * file.metadata.num_rows
        yield from rows


def _in_memory(
    task: Task, files: Sequence[Path], wanted: set[int]
) -> tuple[list[Features], list[tuple[int, str, str, str]]]:
    features: list[Features] = []
    unusable: list[tuple[int, str, str, str]] = []
    for place, row in enumerate(read_rows(files)):
        if place in wanted:
            try:
                features.append(task.encode(row))
            except Rejected as refusal:
                unusable.append((place, row_name(row, place), refusal.reason, refusal.detail))
    return features, unusable
