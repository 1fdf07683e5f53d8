"""The settings that gateways go by, which need not be those of who asks how they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_foundry.config import Settings

RULES = {
    "deployment": ("shadow_testing", "shadow_share", "rollback_enabled"),
    "rollout": ("staging_share", "alpha", "min_calls", "approval_days"),
    "serving": ("stand_in_heads",),
}
"""Those that what is told depends on, by their section."""


def rules_of(settings: Settings) -> dict[str, Any]:
    """Return the rules of some settings, as a gateway tells them and the disk keeps them."""
    return {name: getattr(getattr(settings, section), name) for section, names in RULES.items() for name in names}


def under(settings: Settings, rules: Mapping[str, Any]) -> Settings:
    """Return settings with a gateway's rules in place of their own; what it told nothing of stays."""
    sections = {
        section: getattr(settings, section).model_copy(update={name: rules[name] for name in names if name in rules})
        for section, names in RULES.items()
    }
    return settings.model_copy(update=sections)


def differing(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return in what the rules of several gateways differ, a sentence each."""
    found = []
    for section, names in RULES.items():
        for name in names:
            values = dict.fromkeys(str(rules[name]).lower() for rules in told if name in rules)
            if len(values) > 1:
                found.append(f"The gateways that run differ in {section}.{name}: {' and '.join(values)}.")
    return found
