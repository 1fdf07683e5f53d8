"""What a raw dataset holds, read in one pass with bounded memory: rows, schema, splits, metrics, findings."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from data_foundry.dataset_entry import AUDIO_SUFFIXES, DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.ingestion.codes import inspect_codes
from data_foundry.ingestion.columns import digests, filled, trimmed, values_of
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.measures import MOSTLY_MALAYALAM, TEXT_ROLES, LabelCounts, TextMeasures
from data_foundry.ingestion.payloads import (
    LARGEST_GROUP,
    MOST_CLIPS,
    SAMPLED,
    WHOLE_BYTES,
    AudioProfile,
    Digests,
    digest,
    large_groups,
    parquet_payloads,
    spread,
)
from data_foundry.ingestion.schemas import Schemas
from data_foundry.ingestion.tables import BROKEN, Block, ParquetTable, Table, close, open_table, unreadable

DEFINITIONS = {
    "content_ratio": "Mean Malayalam ratio (letters and marks of the Malayalam script among all of them) over the "
    "rows with text; of the side that has more of it where rows have two sides.",
    "completeness_score": "Share of cells that are neither null nor empty, among the columns that play a role. Of "
    "audio in tables the files' own count of nulls is taken; the clips of a folder are no cells.",
    "mostly_malayalam_share": f"Share of the rows with text whose Malayalam ratio is at least {MOSTLY_MALAYALAM}.",
    "text_share": "Share of rows that have a non-empty text.",
    "duplicate_share": "Share of the rows with text whose text (both sides, where there are two) an earlier row had.",
    "label_share": "Share of rows whose label is one that the registry knows.",
}

# Of a place, the bits that hold the row; those above hold the number of the file.
ROW_BITS = 40


@dataclass
class Inspection:
    """The result: `rows` in all files, by file and by split; schemas; metrics; findings.

    `rows_without_audio`: those of an audio folder whose clip is not there, left out by a limit or missing.
    """

    rows: int = 0
    rows_without_audio: int = 0
    rows_per_file: dict[str, int] = field(default_factory=dict)
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    schemas: list[dict[str, Any]] = field(default_factory=list)
    nulls: dict[str, int] = field(default_factory=dict)
    roles: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    unknown_labels: dict[str, int] = field(default_factory=dict)
    ratio_histogram: dict[str, int] = field(default_factory=dict)
    speakers: int | None = None
    audio: dict[str, Any] | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def definitions(self) -> dict[str, str]:
        """What each of the metrics means."""
        return {name: DEFINITIONS[name] for name in self.metrics}


def inspect_dataset(
    entry: DatasetEntry,
    files: Mapping[str, Path],
    findings: Findings,
    sha256: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
) -> Inspection:
    """Inspect the files of one commit, {path in the repository: local path}; add to `findings` what is remarkable.

    `sha256` holds the files' hashes, where they are known; `left_out` the files of the commit that a cap left out.
    Raises FoundryError when no file fits the layout of the registry.
    """
    tables = sorted(path for path in files if entry.is_table(path))
    clips = sorted(path for path in files if path.lower().endswith(AUDIO_SUFFIXES))
    if not tables and not (entry.layout == "audiofolder" and clips):
        there = ", ".join(sorted(files)[:8]) or "nothing"
        raise FoundryError(
            f"{entry.repo_id}: no file of its commit fits the layout {entry.layout}; it holds {there}.",
            "The dataset changed its form: correct its entry in data_foundry/dataset_registry.py.",
        )
    return _Inspector(entry, files, findings, sha256 or {}, frozenset(left_out)).run(tables, clips)


class _Inspector:
    def __init__(
        self,
        entry: DatasetEntry,
        files: Mapping[str, Path],
        findings: Findings,
        sha256: Mapping[str, str],
        left_out: frozenset[str],
    ) -> None:
        self.entry, self.files, self.findings = entry, files, findings
        self.sha256, self.left_out = sha256, left_out
        self.folder_of_audio = entry.layout == "audiofolder"
        self.result = Inspection()
        self.schemas = Schemas()
        self.audio = AudioProfile()
        self.texts, self.payloads, self.speakers = Digests(), Digests(), Digests()
        self.ratios, self.labels = TextMeasures(entry, findings), LabelCounts(entry, findings)
        self.cells = self.filled = 0
        self.split_rows: Counter[str] = Counter()
        self.split_files: Counter[str] = Counter()
        self.without_audio: Counter[str] = Counter()
        self.described: set[str] = set()
        self.paths: list[str] = []

    def run(self, tables: list[str], clips: list[str]) -> Inspection:
        result = self.result
        self.paths = [*tables, *clips]
        self.numbers = {path: number for number, path in enumerate(self.paths)}
        with_audio: dict[str, int] = {}
        for path in tables:
            table = open_table(self.entry, path, self.files[path], self.findings)
            if table is None:
                continue
            try:
                self._read(table)
            finally:
                close(table)
            result.rows_per_file[path] = table.rows
            result.rows += table.rows
            if not table.rows:
                self.findings.add("empty_file", "warning", "Files of the dataset hold no rows.", path)
            if isinstance(table, ParquetTable) and not self.folder_of_audio:
                with_audio[path] = table.rows
        self._payloads(with_audio)
        if self.folder_of_audio:
            self._audio_folder(clips, bool(tables))
        self.schemas.drift(self.findings)
        result.schemas = self.schemas.found
        self._declared_engine(bool(clips) and self.folder_of_audio)
        self._repeats()
        if self.audio.seen:
            self.audio.conclude(self.findings)
            result.audio = self.audio.described()
        names = sorted(set(self.split_rows) | set(self.split_files))
        result.splits = {name: self._split(name) for name in names}
        result.rows_without_audio = self.without_audio.total()
        result.labels, result.unknown_labels = self.labels.counts(), self.labels.unknown_counts()
        self._metrics()
        return result

    def _split(self, name: str) -> dict[str, int]:
        lacking = {"without_audio": self.without_audio[name]} if self.without_audio[name] else {}
        return {"rows": self.split_rows[name], "files": self.split_files[name], **lacking}

    def _place(self, path: str, row: int = 0) -> int:
        """Return a row's place among all, or that of a clip, which `_where` reads."""
        return self.numbers[path] << ROW_BITS | row

    def _where(self, place: int) -> str:
        path = self.paths[place >> ROW_BITS]
        return f"{path} row {place & ((1 << ROW_BITS) - 1)}" if self.entry.is_table(path) else path

    def _read(self, table: Table) -> None:
        entry, codes = self.entry, self.entry.code_columns(table.names)
        columns = {role: name for role in entry.roles if (name := entry.column(role, table.names))}
        self._detect_text(table, columns)
        audio = columns.get("audio")
        light = list(dict.fromkeys(name for role, name in columns.items() if role != "audio"))
        nulls = dict(table.nulls)
        read = 0
        try:
            for block in table.blocks(light):
                read += self._block(table, block, columns, light, read)
            if codes and isinstance(table, ParquetTable):
                self.cells += table.rows * len(codes)
                self.filled += inspect_codes(entry, table, codes, columns.get("encoded_len"), self.findings)
        except BROKEN as error:
            unreadable(self.findings, table.path, error, table.rows - read)
        if audio is not None and nulls.get(audio) is not None:
            self.cells += table.rows
            self.filled += table.rows - nulls[audio]
        if not self.folder_of_audio:
            self.split_rows[entry.split_of(table.path)] += table.rows
            self.split_files[entry.split_of(table.path)] += 1
        self.schemas.add(table.path, table.types)
        for name, count in table.nulls.items():
            self.result.nulls[name] = self.result.nulls.get(name, 0) + count
        self.result.roles |= {role: name for role, name in columns.items() if role not in self.result.roles}
        if codes:
            self.result.roles["codes"] = codes

    def _detect_text(self, table: Table, columns: dict[str, str]) -> None:
        if any(role in columns for role in TEXT_ROLES) or not isinstance(table, ParquetTable):
            return
        name = table.most_malayalam()
        if name is not None and name not in columns.values():
            columns["text"] = name
            text = f"No column has a name that is known for text; {name} is mostly Malayalam and is taken for it."
            self.findings.add("text_column_detected", "warning", text, table.path)

    def _block(self, table: Table, block: Block, columns: Mapping[str, str], light: list[str], first: int) -> int:
        size = len(next(iter(block.values()), ()))
        for name in light:
            self.cells += size
            self.filled += int(filled(block[name]).sum())
        splits = self._splits(table, block, columns, size, first)
        label = columns.get("dialect" if "dialect" in self.entry.required else "label")
        if label is not None:
            self.labels.add(values_of(block[label]), table.path, first)
        sides = {role: trimmed(block[columns[role]]) for role in TEXT_ROLES if role in columns}
        if sides:
            self.ratios.add(sides, table.path, first)
        group = [sides[role] for role in self.entry.text_group if role in sides]
        if group:
            self.texts.add_rows(splits, digests(group), self._place(table.path, first))
        if "speaker" in columns:
            voices = digests([trimmed(block[columns["speaker"]])])
            self.speakers.add_rows(splits, voices, self._place(table.path, first))
        return size

    def _splits(self, table: Table, block: Block, columns: Mapping[str, str], size: int, first: int) -> str | list[str]:
        """Return the split of all rows or, counted, that of each row where its clip tells it."""
        if "file_name" in columns and self.folder_of_audio:
            names = enumerate(values_of(block[columns["file_name"]]), start=first)
            return [self._named_file(table, str(name or ""), row) for row, name in names]
        split = self.entry.split_of(table.path)
        if self.folder_of_audio:
            self.split_rows[split] += size
        return split

    def _named_file(self, table: Table, name: str, row: int) -> str:
        """Count a row of an audio folder under the split of its clip; return the split."""
        # As the reader of rows: "../a.wav" may name a clip beside the table's folder.
        path = posixpath.normpath(PurePosixPath(table.path).parent / name)
        split = self.entry.split_of(path)
        self.split_rows[split] += 1
        if path in self.files:
            self.described.add(path)
            return split
        self.without_audio[split] += 1
        if path in self.left_out:
            text = "Rows name an audio file that the limit on the dataset left out."
            self.findings.add("left_out_by_selection", "info", text, path)
        else:
            # The cell may hold anything, however long, so its place is told.
            text = "Rows name an audio file that is not in the commit."
            self.findings.add("missing_clip", "warning", text, f"{table.path} row {row}")
        return split

    def _audio_folder(self, clips: list[str], has_table: bool) -> None:
        for path in clips:
            split = self.entry.split_of(path)
            self.split_files[split] += 1
            if path in self.sha256:
                self.payloads.add(split, int(self.sha256[path][:16], 16), self._place(path))
            folder = PurePosixPath(path).parent
            if split != "train" and folder.name != folder.name.lower():
                text = (
                    f"The Hub's loader does not know the folder {folder} for a split: its rows come out inside train."
                )
                self.findings.add("hidden_split", "warning", text, path)
            if path not in self.described:
                self.result.rows += 1
                self.result.rows_per_file[path] = 1
                self.split_rows[split] += 1
                if has_table:
                    self.findings.add("clip_without_row", "warning", "Audio files have no row of metadata.", path)
        self.audio.total += len(clips)
        for index in spread(len(clips), MOST_CLIPS):
            self.audio.add(self.files[clips[index]], clips[index], self.findings)

    def _payloads(self, rows: Mapping[str, int]) -> None:
        """Look at the audio of Parquet tables: at all of it where it is small, else at rows spread over the tables."""
        whole = sum(self.files[path].stat().st_size for path in rows) <= WHOLE_BYTES
        total = max(1, sum(rows.values()))
        for path, count in rows.items():
            table = ParquetTable(path, self.files[path])
            try:
                column = self.entry.column("audio", table.names)
                if column is None or not _holds_audio(table.types[column]):
                    continue
                self.audio.total += count
                split = self.entry.split_of(path)
                budget = None if whole else max(1, SAMPLED * count // total)
                text = f"Row groups hold more than {LARGEST_GROUP >> 20} MiB: their audio is not looked at."
                self.findings.add("large_row_group", "warning", text, path, len(large_groups(table.file)))
                for row, payload in parquet_payloads(table.file, column, budget):
                    self.audio.add(payload, f"{path} row {row}", self.findings)
                    if whole:
                        self.payloads.add(split, digest(payload or b""), self._place(path, row))
            except BROKEN as error:
                unreadable(self.findings, path, error)
            finally:
                close(table)

    def _declared_engine(self, has_clips: bool) -> None:
        columns, roles = self.schemas.columns(), self.result.roles
        audio = has_clips or ("audio" in roles and _holds_audio(columns[roles["audio"]]))
        has = {**dict.fromkeys(roles, True), "audio": audio}
        lacking = [role for role in self.entry.required if not has.get(role)]
        if lacking:
            text = (
                f"Declared for {self.entry.declared_engine}, but no column holds {' or '.join(lacking)} "
                f"(columns: {', '.join(columns) or 'none'})."
            )
            self.findings.add("declared_engine_not_served", "warning", text)
        if roles.get("codes") and self.entry.declared_engine != "tts":
            text = f"Declared for {self.entry.declared_engine}, but it holds codec tokens: data for tts."
            self.findings.add("codec_tokens_found", "warning", text)

    def _repeats(self) -> None:
        leaks = (
            ("text", "texts", self.texts),
            ("audio", "clips", self.payloads),
            ("speaker", "speakers", self.speakers),
        )
        for kind, what, found in leaks:
            for one, other, count in found.shared():
                text = f"The same {what} stand in two splits: what is trained on is tested on."
                self.findings.add(f"{kind}_in_two_splits", "warning", text, f"{one} and {other}: {count} {what}", count)
        self.result.speakers = self.speakers.different() if "speaker" in self.result.roles else None
        repeats = (
            ("text", self.texts, "Rows repeat the text of an earlier row."),
            ("audio", self.payloads, "Audio payloads repeat an earlier one."),
        )
        for kind, found, text in repeats:
            examples = found.examples()
            for place, first in examples:
                example = f"{self._where(place)} = {self._where(first)}"
                self.findings.add(f"duplicate_{kind}", "info", text, example)
            self.findings.add(f"duplicate_{kind}", "info", text, count=found.repeats()[1] - len(examples))
        by_hash: dict[str, str] = {}
        for path in sorted(self.result.rows_per_file):
            original = by_hash.setdefault(self.sha256.get(path, path), path)
            if original != path and not self.folder_of_audio:
                text = "Tables are copies of another, byte for byte."
                self.findings.add("duplicate_file", "warning", text, f"{path} = {original}")

    def _metrics(self) -> None:
        result = self.result
        shares: dict[str, tuple[float, int]] = {"completeness_score": (self.filled, self.cells)}
        if any(role in result.roles for role in TEXT_ROLES):
            every, repeated = self.texts.repeats()
            shares |= self.ratios.shares(result.rows) | {"duplicate_share": (repeated, every)}
            result.ratio_histogram = self.ratios.histogram()
        else:
            text = "No column is known to hold text; its ratio is not measured."
            self.findings.add("no_text_column", "warning", text)
        if result.labels:
            shares["label_share"] = (self.labels.known, result.rows)
        result.metrics = {name: round(part / whole, 4) for name, (part, whole) in sorted(shares.items()) if whole}


def _holds_audio(kind: str) -> bool:
    """Tell whether a column's type can hold encoded audio: bytes, or the Hub's struct of bytes and path."""
    return "binary" in kind
