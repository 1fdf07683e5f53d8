"""The versions of the rules that make silver, and which datasets each of them touches.

A version is part of the key of every dataset that its rules can touch, and of no other: a changed rule for audio reruns
no set of texts. The same holds for settings. Whoever changes what a rule does raises its version here.
"""

from __future__ import annotations

from collections.abc import Collection
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
    "rows": RuleSet("rows-4", _ALL),
    "text": RuleSet(TEXT_RULES, _TEXT, ("text",)),
    "content": RuleSet(CONTENT_RULES, _TEXT),
    "audio": RuleSet("audio-3", _AUDIO, ("audio",)),
    "segmentation": RuleSet("segmentation-2", _AUDIO),
    "quality": RuleSet("quality-2", _AUDIO),
    "speaking_rate": RuleSet("speaking_rate-1", frozenset({"codes"}), ("audio.max_aksharas_per_second",)),
    "codec": RuleSet("codec-2", frozenset({"codes"})),
    "labels": RuleSet("labels-2", frozenset({"labels"})),
    "duplicate_text": RuleSet("duplicate_text-1", _TEXT, ("duplicates.text",)),
    "duplicate_audio": RuleSet("duplicate_audio-1", _AUDIO, ("duplicates.audio",)),
}

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
    """Return the version of every rule set that touches a dataset with these kinds of content."""
    return {name: rules.version for name, rules in RULE_SETS.items() if rules.needs & set(kinds)}


def settings_that_matter(settings: Settings, entry: DatasetEntry, kinds: Collection[str]) -> dict[str, Any]:
    """Return the settings and registry fields that decide a dataset's rows, flat, as the manifest keeps them."""
    sections: dict[str, Any] = settings.model_dump(mode="json", include={"audio", "text", "duplicates"})
    values = {f"{section}.{name}": value for section, named in sections.items() for name, value in named.items()}
    read = [name for rules in RULE_SETS.values() if rules.needs & set(kinds) for name in rules.settings]
    matters = {name: value for name, value in values.items() if name in read or name.split(".")[0] in read}
    if "text" in kinds:
        # Its rules are compiled when it is imported, which a preview of an empty lake should not pay for.
        from data_foundry.preprocessing.content import key_settings

        matters |= key_settings(settings.content)
    registered = entry.model_dump(mode="json", include=set(_ENTRY_FIELDS))
    return matters | {f"registry.{name}": fingerprint(value)[:16] for name, value in registered.items()}
