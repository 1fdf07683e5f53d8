"""Settings as they were: those with which the rows of a folder were made, out of its manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from data_foundry.config import Settings
from data_foundry.lake import Manifest
from data_foundry.section import Section

_EXCLUDED = "content.exclude."
_ABUSE_LIST = "content.abuse_list"


def settings_then(settings: Settings, made: Mapping[str, Any]) -> Settings:
    """Return the settings in force with those laid over that a manifest keeps, `made`, by their names in a config file.

    What it does not keep decides nothing there. What can't be given back stays as it is in force: an abuse list, which
    is kept by its hash, and values that are none any more.
    """
    given: dict[str, dict[str, Any]] = {}
    for name, value in made.items():
        section, _, key = name.partition(".")
        given.setdefault(section, {})[key] = value
    if "content" in given:
        # As `content.key_settings` writes them: each excluded rule by itself, an abuse list by what it holds.
        given["content"]["exclude"] = [name.removeprefix(_EXCLUDED) for name in made if name.startswith(_EXCLUDED)]
        if given["content"].pop("abuse_list", None) is None:
            given["content"] |= {"abuse_list": None, "abuse_list_licence": None}
    if "splits" in given and "telephony" not in given:
        # Gold without phone rows keeps nothing of how they would be made.
        given["telephony"] = {"splits": ()}
    sections = {name: _then(getattr(settings, name, None), values) for name, values in given.items()}
    return settings.model_copy(update={name: section for name, section in sections.items() if section is not None})


def told(manifest: Manifest, now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """Say which settings are others now than those a manifest keeps and which `then` holds again."""
    made = manifest.settings
    names = [
        name for name in sorted({*made, *now})
        if made.get(name) != now.get(name) and made.get(name) == then.get(name)
    ]  # fmt: skip
    return [f"{name} {_shown(made.get(name))} -> {_shown(now.get(name))}" for name in names]


def _then(section: Any, values: Mapping[str, Any]) -> Section | None:
    if not isinstance(section, Section):
        return None
    known = {name: value for name, value in values.items() if name in type(section).model_fields}
    try:
        return type(section).model_validate({**section.model_dump(), **known})
    except ValidationError:
        return None


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
