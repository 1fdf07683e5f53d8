"""DATASET_REGISTRY: one entry per dataset, everything that is known of it before its first byte arrives.

Adding an entry is all it takes to add a dataset.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from data_foundry.errors import FoundryError
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
TOPICS = {
    **{topic: topic for topic in ("business", "entertainment", "sports", "technology")},
    **{"sport": "sports", "tech": "technology", "technologies": "technology"},
    # The corpus lists its classes in alphabetical order; no card says that the numbers follow it.
    **{"0": "business", "1": "entertainment", "2": "sports", "3": "technology"},
}
SENTIMENTS = {
    **dict.fromkeys(("positive", "pos", "positive_state"), "positive"),
    **dict.fromkeys(("negative", "neg", "negative_state"), "negative"),
    **dict.fromkeys(("mixed_feelings", "mixed feelings", "mixed-feelings", "mixed_feeling", "mixed"), "mixed"),
    **dict.fromkeys(("unknown_state", "unknown state", "unknown-state", "unknown", "neutral"), "unknown"),
    **dict.fromkeys(
        ("not-malayalam", "not_malayalam", "not malayalam", "non-malayalam", "other_language", "other language"),
        "not_malayalam",
    ),
}
DIALECTS = {
    **dict.fromkeys(
        ("travancore", "thiruvithamkoor", "trivandrum", "thiruvananthapuram", "south", "southern"), "travancore"
    ),
    **dict.fromkeys(("cochin", "kochi", "ernakulam", "thrissur", "trichur", "central"), "cochin"),
    **dict.fromkeys(("malabar", "kozhikode", "calicut", "kannur", "north", "northern"), "malabar"),
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
AUDIO = ("audio", "audio_filepath", "chunked_audio_filepath", "file", "wav")
TEXT = ("text", "transcript", "transcription", "sentence", "normalized", "raw_transcription", "verbatim")
SPEAKER = ("speaker_id", "speaker", "client_id", "spk", "spk_id")
GENDER = ("gender", "sex", "speaker_gender")


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
    whether quote marks delimit fields in it. `licence` is what the parents' licences amount to, `licence_found` the
    tag on the Hub (None: no tag seen). `text_group` names roles whose equal values must not stand in two splits.
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
    splits: dict[str, str] = {}
    evaluation_splits: tuple[str, ...] = ()
    headerless_columns: tuple[str, ...] = ()
    quoted: bool = True
    text_group: tuple[str, ...] = ("text",)
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


def dataset_entry(repo_id: str) -> DatasetEntry:
    """Return the entry of a dataset. Raises FoundryError that lists the known ones."""
    try:
        return DATASET_REGISTRY[repo_id]
    except KeyError:
        known = "\n     ".join(DATASET_REGISTRY)
        raise FoundryError(f"{repo_id!r} is not in the dataset registry.", f"Known datasets:\n     {known}") from None


NANO_CODEC = Codec(
    name="nvidia/nemo-nano-codec-22khz-0.6kbps-12.5fps",
    layers=4,
    codebook_size=4032,
    frames_per_second=12.5,
    sample_rate=22_050,
)
NANO_CODEC_ROLES = {
    "text": TEXT,
    "codes": ("nano_layer_",),
    "encoded_len": ("encoded_len",),
    "speaker": SPEAKER,
    "gender": GENDER,
    "style": ("style", "emotion"),
}

_ENTRIES = (
    DatasetEntry(
        repo_id="Be-win/IndicST-malayalam-only",
        layout="parquet",
        declared_engine=AIEngine.STT,
        roles={
            "text": ("text",),
            "source_text": ("source_text",),
            "source_language": ("source_language", "source_lang", "src_lang"),
            "target_language": ("tar_lang", "target_language", "tgt_lang"),
            "task": ("task",),
            "audio_reference": ("path",),
            "audio": AUDIO,
        },
        required=("audio", "text"),
        splits={"kathbath": "kathbath"},
        evaluation_splits=("kathbath",),
        text_group=("text", "source_text"),
        ratio_policy="malayalam_side",
        synthetic_reference=True,
        licence="krutrim-community-license-agreement-version-1.0",
        licence_note="Custom licence of the parent krutrim-ai-labs/IndicST, not OSI: needs a legal review.",
        traps=(
            "`path` is a string that leads nowhere: there is no audio in this dataset.",
            "Which side is Malayalam depends on source_language and tar_lang; codes and names both occur.",
            "The English side is machine translation (IndicTrans2): scores measure agreement with that system.",
            "The split kathbath is an evaluation set and must not be trained on.",
        ),
        fallbacks=("krutrim-ai-labs/IndicST",),
    ),
    DatasetEntry(
        repo_id="ayush-shunyalabs/malayalam-speech-dataset",
        revision="538d6dacc9172a4c738c143df22bdbbc9d64da14",
        layout="parquet",
        declared_engine=AIEngine.STT,
        roles={
            "audio": AUDIO,
            "text": ("transcript", *TEXT),
            "speaker": SPEAKER,
            "gender": GENDER,
            "duration": ("duration",),
        },
        required=("audio", "text"),
        licence_note="Provenance unstated: an aggregation of other corpora whose terms are not named.",
        traps=(
            "47 train shards of about 1.5 GB: needs a disk budget.",
            "No sample rate is promised.",
            "May hold other corpora's test sets and synthetic speech.",
        ),
    ),
    DatasetEntry(
        repo_id="CXDuncan/Malayalam-IndicVoices",
        revision="75527f6aa5f6a0c5a4b2a32832af38ef725d2768",
        layout="audiofolder",
        declared_engine=AIEngine.STT,
        roles={
            "file_name": ("file_name", "file_names", "audio_file", "path"),
            "audio": AUDIO,
            "text": ("sentence", *TEXT),
            "chunks": ("verbatim", "normalized"),
            "speaker": SPEAKER,
            "gender": GENDER,
            "district": ("district",),
            "scenario": ("scenario",),
            "task": ("task_name",),
            "duration": ("duration",),
        },
        required=("audio", "text"),
        licence="cc-by-4.0",
        licence_note="The copy has no card and no tag; the parent ai4bharat/IndicVoices is CC-BY-4.0 and gated.",
        non_commercial=False,
        share_alike=False,
        traps=(
            "Data/Valid is not a split to the Hub's loader: validation rows come out inside train.",
            "Recordings are often longer than 30 s; `verbatim` and `normalized` hold timed chunks.",
            "8 kHz telephone legs stand beside 16 and 48 kHz recordings.",
        ),
        fallbacks=("asr-malayalam/indicvoices-v1a", "ai4bharat/IndicVoices"),
    ),
    DatasetEntry(
        repo_id="Aby003/Malayalam_Dialects",
        revision="6ba0238294399b3e366a4647791f31bf5626d2eb",
        layout="csv",
        declared_engine=AIEngine.DIALECT,
        priority="medium",
        roles={
            "text": ("text", "sentence", "dialect_text", "malayalam", "translation"),
            "dialect": ("dialect", "region", "variety", "label"),
            "audio": AUDIO,
            "source_id": ("id",),
        },
        required=("audio", "dialect"),
        labels=DIALECTS,
        ratio_policy="code_mixed",
        traps=(
            "Nine rows with the columns id and translation: no audio and no dialect label.",
            "A spreadsheet export whose file name has spaces; blank columns and cells may occur.",
        ),
    ),
    DatasetEntry(
        repo_id="Praha-Labs/rasa-malayalam-nano-codec",
        layout="parquet",
        declared_engine=AIEngine.NLU,
        priority="medium",
        roles={**NANO_CODEC_ROLES, "label": ("intent", "label", "class")},
        required=("text", "label"),
        codec=NANO_CODEC,
        licence="cc-by-4.0",
        licence_note="The parent ai4bharat/Rasa is CC-BY-4.0 and gated; a third party lists it as CC-BY-ND-4.0.",
        non_commercial=False,
        share_alike=False,
        traps=(
            "Rasa is a speech synthesis corpus of AI4Bharat, not the NLU framework: codec tokens, no intents.",
            "Layers may differ in length; codes may lie outside the codebook; no speaker column is promised.",
        ),
        fallbacks=("ai4bharat/Rasa",),
    ),
    DatasetEntry(
        repo_id="Sakshamrzt/IndicNLP-Malayalam",
        layout="jsonl",
        declared_engine=AIEngine.NLU,
        roles={"text": ("news", "text", "article", "headline"), "label": ("class", "label", "category")},
        required=("text", "label"),
        labels=TOPICS,
        licence_found="cc-by-nc-4.0",
        licence="cc-by-nc-sa-4.0",
        licence_note="The copy says CC-BY-NC-4.0, the corpus it comes from CC-BY-NC-SA-4.0: the stricter one holds.",
        non_commercial=True,
        share_alike=True,
        traps=(
            "The class is a news topic, not an intent.",
            "Numbered classes are read in alphabetical order of the corpus's four topics: an assumption, on no card.",
            "The configuration is named train, like a split; there is no validation split.",
            "Articles are long: a 256-token input cuts most of them.",
        ),
    ),
    DatasetEntry(
        repo_id="wlkla/Malayalam_first_ready_for_sentiment",
        revision="e7a25fa7183efce754311c35e7762cb50d2be2a9",
        layout="tsv",
        declared_engine=AIEngine.SENTIMENT,
        priority="medium",
        roles={
            "text": ("query", "text", "comment", "sentence"),
            "label": ("label", "category", "sentiment", "class"),
        },
        required=("text", "label"),
        labels=SENTIMENTS,
        headerless_columns=("label", "query"),
        quoted=False,
        ratio_policy="code_mixed",
        licence="cc-by-4.0",
        licence_note="The copy has no tag; the corpus (Zenodo 4015234) is CC-BY-4.0.",
        non_commercial=False,
        share_alike=False,
        traps=(
            "Comments hold unbalanced quote marks: a reader that honours quotes merges rows.",
            "Mostly romanised Malayalam: a gate on Malayalam script would drop most rows.",
            "Polarity of film comments, not emotion; classes are unbalanced about 7 to 1.",
        ),
    ),
    DatasetEntry(
        repo_id="Be-win/malayalam-speech-with-english-translation",
        layout="parquet",
        declared_engine=AIEngine.TRANSLATION,
        roles={
            "audio": AUDIO,
            "text": ("text", "transcription", "transcript", "sentence", "malayalam", "ml", "ml_text", "source_text"),
            "translation": ("translation", "english_translation", "english", "en", "en_text", "target_text"),
            "speaker": SPEAKER,
            "gender": GENDER,
            "duration": ("duration",),
        },
        required=("text", "translation"),
        text_group=("text", "translation"),
        ratio_policy="malayalam_side",
        direction="ml-en",
        synthetic_reference=True,
        traps=(
            "No page states the columns: which side is Malayalam is to be checked by script, not by name.",
            "The English side is likely machine translation; it may be missing or equal to the Malayalam side.",
        ),
    ),
    DatasetEntry(
        repo_id="Praha-Labs/imasc_slr_Malayalam-nano-codec",
        layout="parquet",
        declared_engine=AIEngine.TTS,
        roles=NANO_CODEC_ROLES,
        required=("text", "codes"),
        codec=NANO_CODEC,
        licence="cc-by-sa-4.0",
        licence_note="No tag seen; the parents IMaSC and OpenSLR 63 are CC-BY-SA-4.0 (a clone between says CC-BY-4.0).",
        non_commercial=False,
        share_alike=True,
        traps=(
            "Several speakers without a speaker column.",
            "Made from 16 kHz audio with a 22.05 kHz codec: nothing above 8 kHz.",
            "More rows than its two parents are known to have: duplicates are likely.",
        ),
        fallbacks=("vrclc/imasc_slr", "thennal/IMaSC"),
    ),
)
DATASET_REGISTRY: dict[str, DatasetEntry] = {entry.repo_id: entry for entry in _ENTRIES}
