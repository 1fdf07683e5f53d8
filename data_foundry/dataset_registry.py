"""DATASET_REGISTRY: one entry per dataset, everything that is known of it before its first byte arrives.

Adding an entry is all it takes to add a dataset.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from data_foundry.records import AIEngine, Hertz

Layout = Literal["parquet", "audiofolder", "csv", "tsv", "jsonl"]
RatioPolicy = Literal["per_utterance", "malayalam_side", "code_mixed"]


class Codec(BaseModel):
    """The neural codec that made a dataset's tokens: codes are 0 <= code < codebook_size in every layer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    layers: int
    codebook_size: int
    frames_per_second: float
    sample_rate: Hertz


class DatasetEntry(BaseModel):
    """One dataset.

    `revision`: the commit that is pinned, or None to follow `ref`. `roles` maps a role of the unified schema (audio,
    text, label, translation, speaker, gender, district, dialect, chunks, codes, encoded_len, ...) to the column names
    it goes by, most likely first; `codes` is a prefix of numbered layer columns. `labels` maps a label as found
    (stripped, lower case) to its canonical name. `splits` maps split or folder names as found to ours.
    `licence` is what the parents' licences amount to, `licence_found` the tag on the Hub (None: no tag).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo_id: str
    revision: str | None = None
    ref: str = "main"
    layout: Layout
    declared_engine: AIEngine
    priority: Literal["high", "medium", "low"] = "high"
    roles: dict[str, tuple[str, ...]]
    labels: dict[str, str] = {}
    splits: dict[str, str] = {}
    evaluation_splits: tuple[str, ...] = ()
    ratio_policy: RatioPolicy = "per_utterance"
    direction: str | None = None
    synthetic_reference: bool = False
    codec: Codec | None = None
    licence_found: str | None = None
    licence: str = "unknown"
    licence_note: str = ""
    non_commercial: bool | None = None
    share_alike: bool | None = None
    gated: bool = False
    traps: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()


DATASET_REGISTRY: dict[str, DatasetEntry] = {}
