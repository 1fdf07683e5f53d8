"""The versions of the rules that make silver, and which datasets each of them touches.

A version is part of the key of every dataset that its rules can touch, and of no other: a changed rule for audio reruns
no set of texts. The same holds for settings, and for the versions of the libraries that decode, resample and cut: a new
one may give other samples. Whoever changes what a rule does raises its version here; a test holds each version to a
digest of what its rules make of a fixed corpus, and fails where that changed and the version did not.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection
from functools import cache
from importlib import metadata
from typing import Any, NamedTuple

from data_foundry.config import Settings
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.lake import Manifest, fingerprint
from data_foundry.preprocessing import CONTENT_RULES, TEXT_RULES


class RuleSet(NamedTuple):
    """A version, what a dataset must have for the rules to touch it, and the settings that they read."""

    version: str
    needs: frozenset[str]
    settings: tuple[str, ...] = ()


_ALL = frozenset({"text", "audio", "codes", "labels"})
_AUDIO = frozenset({"audio"})
_TEXT = frozenset({"text"})

RULE_SETS: dict[str, RuleSet] = {
    # What a row is at all: readers, columns, the order of the gates, which rows serve nobody.
    "rows": RuleSet("rows-6", _ALL),
    "text": RuleSet(TEXT_RULES, _TEXT, ("text",)),
    "content": RuleSet(CONTENT_RULES, _TEXT),
    # The manners of what the phone line itself would say: codec tokens with their text.
    "prompts": RuleSet("prompts-1", frozenset({"codes"})),
    "audio": RuleSet("audio-5", _AUDIO, ("audio",)),
    "segmentation": RuleSet("segmentation-3", _AUDIO),
    "quality": RuleSet("quality-4", _AUDIO),
    "fingerprint": RuleSet("fingerprint-1", _AUDIO),
    "speaking_rate": RuleSet("speaking_rate-1", frozenset({"codes"}), ("audio.max_aksharas_per_second",)),
    "codec": RuleSet("codec-3", frozenset({"codes"})),
    "labels": RuleSet("labels-2", frozenset({"labels"})),
    "duplicate_text": RuleSet("duplicate_text-3", _TEXT, ("duplicates.text",)),
    "duplicate_audio": RuleSet("duplicate_audio-2", _AUDIO, ("duplicates.audio",)),
}

LIBRARIES = ("soxr", "libsndfile", "ffmpeg", "webrtcvad")
"""What makes the samples of silver audio."""

_ROLES = {
    "text": ("text", "source_text", "translation", "chunks"),
    "audio": ("audio", "file_name"),
    "codes": ("codes",),
    "labels": ("label", "dialect", "gender", "district"),
}
# What of a registry entry decides the rows; notes, traps and priorities do not.
_ENTRY_FIELDS = (
    "layout", "roles", "required", "labels", "splits", "headerless_columns", "quoted", "ratio_policy", "direction",
    "codec",
)  # fmt: skip


def kinds(raw: Manifest, entry: DatasetEntry) -> set[str]:
    """Return what a dataset has of text, audio, codes and labels, by the roles that its columns were found to play.

    A Parquet set without a named text column may still have a text: the reader looks for one by its script.
    """
    roles: Collection[str] = raw.details.get("roles") or entry.roles
    found = {kind for kind, names in _ROLES.items() if any(name in roles for name in names)}
    return found | {"text"} if entry.layout == "parquet" else found


def versions(kinds: Collection[str]) -> dict[str, str]:
    """Return the version of every rule set and library that touches a dataset with these kinds of content."""
    found = {name: rules.version for name, rules in RULE_SETS.items() if rules.needs & set(kinds)}
    libraries = {name: f"{name} {library_version(name)}" for name in LIBRARIES} if "audio" in kinds else {}
    return found | libraries


@cache
def library_version(name: str) -> str:
    """Return the version of one of LIBRARIES as installed, "none" where it is not."""
    if name == "ffmpeg":
        program = shutil.which("ffmpeg")
        if program is None:
            return "none"
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stdout
        return said.removeprefix("ffmpeg version ").split(" ")[0] or "unknown"
    if name == "libsndfile":
        import soundfile

        return str(soundfile.__libsndfile_version__)
    try:
        return metadata.version({"webrtcvad": "webrtcvad-wheels"}.get(name, name))
    except metadata.PackageNotFoundError:
        return "none"


def settings_that_matter(settings: Settings, entry: DatasetEntry, kinds: Collection[str]) -> dict[str, Any]:
    """Return the settings and registry fields that decide a dataset's rows, flat, as the manifest keeps them."""
    sections: dict[str, Any] = settings.model_dump(mode="json", include={"audio", "text", "duplicates"})
    values = {f"{section}.{name}": value for section, named in sections.items() for name, value in named.items()}
    read = [name for rules in RULE_SETS.values() if rules.needs & set(kinds) for name in rules.settings]
    matters = {name: value for name, value in values.items() if name in read or name.split(".")[0] in read}
    if "text" in kinds:
        # Its rules are compiled when it is imported, which a preview of an empty lake should not pay for.
        from data_foundry.preprocessing.content import key_settings

        matters |= key_settings(settings.content, kinds)
    registered = entry.model_dump(mode="json", include=set(_ENTRY_FIELDS))
    return matters | {f"registry.{name}": fingerprint(value)[:16] for name, value in registered.items()}
