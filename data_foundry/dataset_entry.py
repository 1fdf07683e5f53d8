"""DatasetEntry: what is known of a dataset before its first byte arrives, and how its files and columns are read."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from data_foundry.errors import FoundryError
from data_foundry.mistakes import in_words
from data_foundry.records import AIEngine, Hertz

Layout = Literal["parquet", "audiofolder", "csv", "tsv", "jsonl"]
RatioPolicy = Literal["per_utterance", "malayalam_side", "code_mixed"]

SPLITS = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "devel": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "eval": "test",
    "test": "test",
    "testing": "test",
}
TABLE_SUFFIXES: dict[Layout, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "audiofolder": ("metadata.jsonl", "metadata.csv"),
    "csv": (".csv",),
    "tsv": (".tsv",),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}
NOT_TABLES = frozenset({"metadata.json", "dataset_infos.json", "dataset_info.json"})
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".aac", ".webm", ".amr", ".aiff", ".aif", ".au", ".caf",
)  # fmt: skip


class Codec(BaseModel):
    """The neural codec that made a dataset's tokens: codes are 0 <= code < codebook_size in every layer."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    layers: int
    codebook_size: int
    frames_per_second: float
    sample_rate: Hertz


class DatasetEntry(BaseModel):
    """One dataset.

    `revision`: the commit that is pinned, or None to follow `ref`. `roles` maps a role of the unified schema (audio,
    text, label, translation, speaker, gender, district, dialect, chunks, codes, encoded_len, ...) to the column names
    it goes by, most likely first; `codes` is a prefix of numbered layer columns. `required` names the roles without
    which a row is of no use to the declared engine. `labels` maps a label as found (stripped, lower case) to its
    canonical name. `splits` maps split or folder names as found (lower case) to ours, over the common ones.
    `headerless_columns`: the columns of a table file, in order, should it come without its header row; `quoted` says
    whether quote marks delimit fields in it. `text_group` names roles whose equal values must not stand in two splits;
    the role `speaker` names the column that tells voices apart. `label_kind`: what the labels say
    of a text, a caller's intent or a topic, for which NLU learns them; None where they say neither.
    `synthetic_reference`: whether the target side of a pair, in either language, is a machine's translation; None where
    nobody states it.

    `licence` is what the licences of the `parents` ({corpus: its licence}) amount to, `licence_found` the tag on the
    Hub (None: no tag seen); of the three flags None means that nobody states it. `traps` are known ways to misread the
    data. `fallbacks` are other repositories with the same data: named when this one is gone, never used by themselves.

    `bundled`: its files come with the package (`data_foundry.bundled`), whatever Hub or folder the others come from;
    its revision is that of those files, and no limit on what is fetched applies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    repo_id: str
    revision: str | None = None
    ref: str = "main"
    layout: Layout
    declared_engine: AIEngine
    priority: Literal["high", "medium", "low"] = "high"
    roles: dict[str, tuple[str, ...]]
    required: tuple[str, ...] = ("text",)
    labels: dict[str, str] = {}
    label_kind: Literal["intent", "topic"] | None = Field(default=None, validate_default=True)
    splits: dict[str, str] = {}
    evaluation_splits: tuple[str, ...] = ()
    headerless_columns: tuple[str, ...] = ()
    quoted: bool = True
    text_group: tuple[str, ...] = ("text",)
    ratio_policy: RatioPolicy = "per_utterance"
    direction: str | None = None
    synthetic_reference: bool | None = None
    codec: Codec | None = None
    licence_found: str | None = None
    licence: str = "unknown"
    licence_note: str = ""
    parents: dict[str, str] = {}
    non_commercial: bool | None = None
    share_alike: bool | None = None
    no_derivatives: bool | None = None
    gated: bool = False
    traps: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    bundled: bool = False

    @field_validator("label_kind")
    @classmethod
    def _kind_of_labels_is_stated(cls, kind: str | None, info: ValidationInfo) -> str | None:
        if kind is None and info.data.get("declared_engine") is AIEngine.NLU and "label" in info.data.get("roles", {}):
            raise ValueError("must say what the labels are that NLU is to learn, intent or topic")
        return kind

    @model_validator(mode="wrap")
    @classmethod
    def _without_mistakes(cls, given: Any, handler: ModelWrapValidatorHandler[DatasetEntry]) -> DatasetEntry:
        """Name the entry and every mistake in it. Raises FoundryError."""
        try:
            return handler(given)
        except ValidationError as error:
            name = given.get("repo_id") if isinstance(given, dict) else None
            mistakes = [
                f"  {'.'.join(map(str, each['loc']))} = {each['input']!r}: {in_words(each)}" for each in error.errors()
            ]
            raise FoundryError(
                "\n".join([f"The entry of {name or 'a dataset'} in the registry has mistakes:", *mistakes]),
                "Mend it in data_foundry/dataset_registry.py; data_foundry/dataset_entry.py says what each key means.",
            ) from None

    def column(self, role: str, columns: list[str]) -> str | None:
        """Return which of a file's columns plays a role, or None; letter case and outer blanks do not matter."""
        found = {name.strip().lower(): name for name in reversed(columns)}
        return next((found[alias.lower()] for alias in self.roles.get(role, ()) if alias.lower() in found), None)

    def code_columns(self, columns: list[str]) -> list[str]:
        """Return the codec layer columns, in the order of their numbers."""
        numbered = []
        for prefix in self.roles.get("codes", ()):
            matches = ((re.fullmatch(re.escape(prefix) + r"(\d+)", name), name) for name in columns)
            numbered += [(int(match.group(1)), name) for match, name in matches if match]
        return [name for _, name in sorted(numbered)]

    def split_of(self, path: str) -> str:
        """Return the split of a file by its path: its nearest folder that names one, a word of its name, or train.

        "Data/Valid/a.wav" is validation, "data/dev-00000-of-00001.parquet" validation, "rows.csv" train.
        """
        names = {**SPLITS, **self.splits}
        parts = PurePosixPath(path)
        folders = [folder.lower() for folder in reversed(parts.parent.parts)]
        words = re.split(r"[^0-9a-z]+", parts.name.lower())
        return next((names[word] for word in [*folders, *words] if word in names), "train")

    def is_table(self, path: str) -> bool:
        """Return whether a file holds rows of the dataset, by its layout and the file's name."""
        name = PurePosixPath(path).name
        return name.lower().endswith(TABLE_SUFFIXES[self.layout]) and name not in NOT_TABLES

    def lacks_header(self, first: list[str]) -> bool:
        """Return whether a table file's first line is a row: as many cells as expected, a label among them, no name."""
        cells = [cell.strip().lower() for cell in first]
        names = {alias.lower() for aliases in self.roles.values() for alias in aliases}
        if len(cells) != len(self.headerless_columns) or names & set(cells):
            return False
        return any(cell in self.labels for cell in cells)

    def canonical_label(self, value: Any) -> str | None:
        """Return a label's canonical name, or None for an empty or unknown one. 1, 1.0 and " 1" are the same label."""
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        name = str(value).strip().lower()
        return self.labels.get(name) or (name if name in self.labels.values() else None)
