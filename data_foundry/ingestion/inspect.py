"""What a raw dataset holds, read in one pass with bounded memory: rows, schema, splits, metrics, findings."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from data_foundry.dataset_entry import AUDIO_SUFFIXES, DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.ingestion.codes import inspect_codes
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.payloads import SAMPLED, AudioProfile, parquet_payloads, spread
from data_foundry.ingestion.tables import Block, ParquetTable, Table, open_table
from data_foundry.preprocessing.text import malayalam_ratio

# Roles that hold written language; which of them is the Malayalam side is told by script where a dataset has two.
TEXT_ROLES = ("text", "source_text", "translation")
MOSTLY_MALAYALAM = 0.70
DEFINITIONS = {
    "content_ratio": "Mean Malayalam ratio (letters and marks of the Malayalam script among all of them) over the "
    "rows with text; of the side that has more of it where rows have two sides.",
    "completeness_score": "Share of cells that are neither null nor empty, among the columns that play a role.",
    "mostly_malayalam_share": f"Share of the rows with text whose Malayalam ratio is at least {MOSTLY_MALAYALAM}.",
    "text_share": "Share of rows that have a non-empty text.",
    "duplicate_share": "Share of the rows with text whose text (both sides, where there are two) an earlier row had.",
    "label_share": "Share of rows whose label is one that the registry knows.",
}


@dataclass
class Inspection:
    """The result: `rows` in all files, by file and by split; schemas; metrics; findings."""

    rows: int = 0
    rows_per_file: dict[str, int] = field(default_factory=dict)
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    schemas: list[dict[str, Any]] = field(default_factory=list)
    nulls: dict[str, int] = field(default_factory=dict)
    roles: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    audio: dict[str, Any] | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def definitions(self) -> dict[str, str]:
        """What each of the metrics means."""
        return {name: DEFINITIONS[name] for name in self.metrics}


def inspect_dataset(entry: DatasetEntry, files: Mapping[str, Path], findings: Findings) -> Inspection:
    """Inspect the files of one commit, {path in the repository: local path}; add to `findings` what is remarkable.

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
    return _Inspector(entry, files, findings).run(tables, clips)


class _Inspector:
    def __init__(self, entry: DatasetEntry, files: Mapping[str, Path], findings: Findings) -> None:
        self.entry, self.files, self.findings = entry, files, findings
        self.result = Inspection()
        self.audio = AudioProfile()
        self.ratios = array("f")
        self.hashes: dict[str, array[int]] = {}
        self.cells = self.filled = self.known_labels = self.read = 0
        self.labels: Counter[str] = Counter()
        self.split_rows: Counter[str] = Counter()
        self.split_files: Counter[str] = Counter()
        self.described: set[str] = set()

    def run(self, tables: list[str], clips: list[str]) -> Inspection:
        result, folder_of_audio = self.result, self.entry.layout == "audiofolder"
        audio_tables: list[ParquetTable] = []
        for path in tables:
            table = open_table(self.entry, path, self.files[path], self.findings)
            if table is None:
                continue
            try:
                self._read(table)
            except (OSError, ValueError) as error:
                text = f"Files break off while they are read: {str(error).splitlines()[0][:200]}"
                self.findings.add("unreadable_file", "error", text, path)
            result.rows_per_file[path] = table.rows
            result.rows += table.rows
            if isinstance(table, ParquetTable) and not folder_of_audio:
                audio_tables.append(table)
        for table in audio_tables:
            self._sample(table, max(1, SAMPLED * table.rows // max(1, result.rows)))
        if folder_of_audio:
            self._audio_folder(clips, bool(tables))
        self._schema_drift()
        self._declared_engine(bool(clips) and folder_of_audio)
        self._leaks()
        if self.audio.sampled:
            self.audio.conclude(self.findings)
            result.audio = self.audio.described()
        names = sorted(set(self.split_rows) | set(self.split_files))
        result.splits = {name: {"rows": self.split_rows[name], "files": self.split_files[name]} for name in names}
        result.labels = dict(sorted(self.labels.items()))
        self._metrics()
        return result

    def _read(self, table: Table) -> None:
        entry, codes = self.entry, self.entry.code_columns(table.names)
        columns = {role: name for role in entry.roles if (name := entry.column(role, table.names))}
        audio = columns.get("audio")
        light = list(dict.fromkeys(name for role, name in columns.items() if role != "audio"))
        split = entry.split_of(table.path)
        self.read = 0
        for block in table.blocks(light):
            self._block(table, block, columns, light, split)
        if codes and isinstance(table, ParquetTable):
            self.cells += table.rows * len(codes)
            self.filled += inspect_codes(entry, table, codes, columns.get("encoded_len"), self.findings)
        if audio is not None and table.nulls.get(audio) is not None:
            self.cells += table.rows
            self.filled += table.rows - table.nulls[audio]
        if entry.layout != "audiofolder":
            self.split_rows[split] += table.rows
            self.split_files[split] += 1
        self._schema(table)
        for name, count in table.nulls.items():
            self.result.nulls[name] = self.result.nulls.get(name, 0) + count
        self.result.roles |= {role: name for role, name in columns.items() if role not in self.result.roles}
        if codes:
            self.result.roles["codes"] = codes

    def _block(self, table: Table, block: Block, columns: Mapping[str, str], light: list[str], split: str) -> None:
        size = len(next(iter(block.values()), []))
        for name in light:
            self.cells += size
            self.filled += sum(not _is_empty(value) for value in block[name])
        texts = [(role, block[columns[role]]) for role in TEXT_ROLES if role in columns]
        group = [block[columns[role]] for role in self.entry.text_group if role in columns]
        named = block[columns["file_name"]] if "file_name" in columns else None
        label = columns.get("dialect" if "dialect" in self.entry.required else "label")
        first, self.read = self.read, self.read + size
        for index in range(size):
            if named is not None:
                split = self._named_file(table, str(named[index] or ""))
            if label is not None:
                self._label(block[label][index], f"{table.path} row {first + index}")
            self._text({role: values[index] for role, values in texts}, table.path, first + index)
            parts = [str(values[index] or "").strip() for values in group]
            if any(parts):
                digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
                self.hashes.setdefault(split, array("Q")).append(int.from_bytes(digest, "little"))

    def _text(self, sides: dict[str, Any], path: str, row: int) -> None:
        if not sides:
            return
        where = f"{path} row {row}"
        if _is_empty(sides.get("text", "")):
            self.findings.add("empty_text", "warning", "Rows have no text.", where)
        ratios = {role: malayalam_ratio(str(value)) for role, value in sides.items() if not _is_empty(value)}
        if not ratios:
            return
        if self.entry.ratio_policy != "malayalam_side":
            self.ratios.append(ratios.get("text", 0.0))
            return
        best = max(ratios.values())
        self.ratios.append(best)
        if best == 0:
            self.findings.add("no_malayalam_side", "warning", "Rows have no Malayalam script on any side.", where)
        elif self.entry.direction and len(ratios) > 1 and min(ratios.values()) > MOSTLY_MALAYALAM:
            self.findings.add("no_english_side", "warning", "Rows have Malayalam script on every side.", where)
        if self.entry.direction == "ml-en" and ratios.get("translation", 0.0) > ratios.get("text", 0.0):
            self.findings.add("swapped_sides", "warning", "Rows have the Malayalam side in the English column.", where)

    def _label(self, value: Any, where: str) -> None:
        if _is_empty(value):
            self.findings.add("empty_label", "warning", "Rows have no label.", where)
            return
        canonical = self.entry.canonical_label(value)
        self.labels[canonical or "(unknown)"] += 1
        if canonical is None:
            self.findings.add("unknown_label", "warning", "Rows have a label that the registry does not know.", where)
        else:
            self.known_labels += 1

    def _named_file(self, table: Table, name: str) -> str:
        """Count a row of an audio folder under the split of its clip; return the split."""
        path = (PurePosixPath(table.path).parent / name).as_posix()
        split = self.entry.split_of(path)
        self.split_rows[split] += 1
        self.cells += 1
        if path in self.files:
            self.filled += 1
            self.described.add(path)
        else:
            self.findings.add("missing_clip", "warning", "Rows name an audio file that is not in the commit.", path)
        return split

    def _audio_folder(self, clips: list[str], has_table: bool) -> None:
        for path in clips:
            split = self.entry.split_of(path)
            self.split_files[split] += 1
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
        for index in spread(len(clips)):
            self.audio.add(self.files[clips[index]], clips[index], self.findings)

    def _sample(self, table: ParquetTable, budget: int) -> None:
        column = self.entry.column("audio", table.names)
        if column is None or not _holds_audio(table.types[column]):
            return
        self.audio.total += table.rows
        try:
            for row, payload in parquet_payloads(table.file, column, budget):
                self.audio.add(payload, f"{table.path} row {row}", self.findings)
        except (OSError, ValueError) as error:
            text = f"Files break off while they are read: {str(error).splitlines()[0][:200]}"
            self.findings.add("unreadable_file", "error", text, table.path)

    def _schema(self, table: Table) -> None:
        schemas = self.result.schemas
        same = next((schema for schema in schemas if schema["columns"] == table.types), None)
        if same is None:
            schemas.append({"columns": dict(table.types), "files": [table.path]})
        else:
            same["files"].append(table.path)

    def _schema_drift(self) -> None:
        # A column that is empty throughout one text file has no type there, which is no drift.
        first, *others = self.result.schemas or [{"columns": {}, "files": []}]
        for other in others:
            names = first["columns"].keys() ^ other["columns"].keys()
            names |= {
                name
                for name in first["columns"].keys() & other["columns"].keys()
                if "null" not in (kinds := {first["columns"][name], other["columns"][name]}) and len(kinds) > 1
            }
            if names:
                text = (
                    f"Files differ in the columns {', '.join(sorted(names))}: a loader that expects one schema stops."
                )
                self.findings.add("schema_drift", "warning", text, other["files"][0], len(other["files"]))

    def _declared_engine(self, has_clips: bool) -> None:
        columns = {name: kind for schema in self.result.schemas for name, kind in schema["columns"].items()}
        roles = self.result.roles
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

    def _leaks(self) -> None:
        import numpy as np

        unique = {split: np.unique(np.frombuffer(values, dtype=np.uint64)) for split, values in self.hashes.items()}
        train = unique.get("train")
        for split in sorted(unique.keys() - {"train"}):
            shared = 0 if train is None else int(np.intersect1d(train, unique[split], assume_unique=True).size)
            text = "Texts of train stand in a held-out split too."
            self.findings.add("text_in_two_splits", "warning", text, f"{split}: {shared} texts", shared)

    def _metrics(self) -> None:
        import numpy as np

        result = self.result
        with_text = len(self.ratios)
        hashes = [np.frombuffer(values, dtype=np.uint64) for values in self.hashes.values()]
        every = np.concatenate(hashes) if hashes else np.empty(0, dtype=np.uint64)
        shares: dict[str, tuple[float, int]] = {"completeness_score": (self.filled, self.cells)}
        if "text" in result.roles or "source_text" in result.roles:
            ratios = np.frombuffer(self.ratios, dtype=np.float32).astype(np.float64)
            shares["content_ratio"] = (float(ratios.sum()), with_text)
            # Ratios are kept in single precision; 0.7 is not exact in it.
            shares["mostly_malayalam_share"] = (int((ratios > MOSTLY_MALAYALAM - 1e-6).sum()), with_text)
            shares["text_share"] = (with_text, result.rows)
            shares["duplicate_share"] = (every.size - np.unique(every).size, every.size)
        else:
            self.findings.add(
                "no_text_column", "warning", "No column is known to hold text; its ratio is not measured."
            )
        if self.labels:
            shares["label_share"] = (self.known_labels, result.rows)
        result.metrics = {name: round(part / whole, 4) for name, (part, whole) in sorted(shares.items()) if whole}
        repeated = int(every.size - np.unique(every).size)
        self.findings.add("duplicate_text", "info", "Rows repeat the text of an earlier row.", count=repeated)


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, list | dict) and not value)


def _holds_audio(kind: str) -> bool:
    """Tell whether a column's type can hold encoded audio: bytes, or the Hub's struct of bytes and path."""
    return "binary" in kind
