"""Rollback: a version is taken back, and what it had replaced serves again, if its files are what they were, its gates
do not refuse it, and nobody revoked its approval."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.versions import files_fault
from data_foundry.lake import Lake, Layer
from data_foundry.serving.admission import check_person
from data_foundry.serving.trials.approval import revoked
from data_foundry.serving.trials.trial import BASE

log = logging.getLogger("data_foundry")

TAKEN_BACK = (Stage.PRODUCTION, Stage.STAGING, Stage.SHADOW)
"""Stages from which a version can be taken back; of an adapter that is named alone, the first of them is meant."""


@dataclass(frozen=True)
class Rollback:
    """What a rollback comes to, or came to: `serves` is the version that answers every caller then, or BASE.

    `restored` is the version that comes back for it; `not_restored` why the one whose place it had taken does not.
    """

    version: Version
    restored: Version | None
    not_restored: str | None
    serves: str

    def as_json(self) -> dict[str, Any]:
        """Return it JSON-like."""
        return {
            "name": f"{self.version.engine}/{self.version.version}",
            "stage": self.version.stage.value,
            "restored": self.restored.version if self.restored else None,
            "not_restored": self.not_restored,
            "serves": self.serves,
        }


def foreseen(lake: Lake, registry: Registry, version: Version) -> Rollback:
    """Return what taking a version back would come to. Writes nothing; the files of what would serve are hashed.

    Raises FoundryError for a version that neither answers nor is heard.
    """
    if version.stage not in TAKEN_BACK:
        name = f"{version.engine}/{version.version}"
        raise FoundryError(f"{name} is in {version.stage}: there is nothing to take it back from.")
    if version.stage is not Stage.PRODUCTION:
        serving = registry.versions(version.engine, Stage.PRODUCTION)
        return Rollback(version, None, None, serving[-1].version if serving else BASE)
    before = registry.replaced(version.engine, version.version)
    fault = _unfit(lake, registry, before) if before else None
    restored = before if fault is None else None
    return Rollback(version, restored, fault, restored.version if restored else BASE)


def take_back(
    lake: Lake, registry: Registry, version: Version, *, actor: str, reason: str, evidence: Mapping[str, Any]
) -> Rollback:
    """Roll a version back as it was seen, and restore what is fit to serve in its place; return what was done.

    Raises Conflict where somebody moved it since, and FoundryError where it is at no stage to be taken back from.
    """
    plan = foreseen(lake, registry, version)
    hashes = {"artefact_hash": version.artefact_hash, "evaluation_hash": version.evaluation_hash}
    outcome = {"restored": plan.restored.version if plan.restored else None, "not_restored": plan.not_restored}
    rolled_back, restored = registry.roll_back(
        version.engine,
        version.version,
        actor=actor,
        reason=reason,
        evidence={**evidence, **hashes, **outcome},
        restore=plan.restored,
        expected=version,
    )
    back_up(lake, registry)
    return Rollback(rolled_back, restored, plan.not_restored, plan.serves)


def roll_back(settings: Settings, version: Version, *, actor: str, reason: str) -> Rollback:
    """Take a version back on a person's word. Raises FoundryError."""
    check_person("A rollback", actor, reason)
    lake = Lake(settings)
    said = f"{actor.strip()} rolled it back: {reason.strip()}"
    return take_back(lake, Registry(lake), version, actor=actor.strip(), reason=said, evidence={"by_hand": True})


def meant_by(registry: Registry, adapter: str) -> Version:
    """Return the version of an adapter that is named without one: what answers callers, or else what comes nearest.

    Raises FoundryError where nothing of it answers or is heard.
    """
    for stage in TAKEN_BACK:
        if at_stage := registry.versions(adapter, stage):
            return at_stage[-1]
    raise FoundryError(
        f"No version of {adapter} is in production, staging or shadow.",
        "See `python -m data_foundry models list` for what there is.",
    )


def back_up(lake: Lake, registry: Registry) -> None:
    """Copy the registry to the backup, where one is asked for; a move that was made stands, whatever the copy does."""
    try:
        lake.back_up_database(registry.path)
    except FoundryError as error:
        log.error("the registry's backup is not up to date: %s", error)


def _unfit(lake: Lake, registry: Registry, before: Version) -> str | None:
    """Return why the version that would serve again can't, or None."""
    name = f"{before.engine}/{before.version}"
    if fault := files_fault(lake, before):
        return f"{name} can't serve again: {fault}"
    if word := revoked(registry.history(before.engine, before.version), before):
        return f"{name} can't serve again: {word}"
    model = lake.manifest(Layer.MODELS, name)
    if model is not None and model.details.get("verdict") == "fail":
        return f"{name} can't serve again: its gates refused it since"
    return None
