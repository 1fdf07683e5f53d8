"""Rollback: a version is taken back, and what it had replaced serves again, if its files are what they were, its gates
do not refuse it, and nobody revoked its approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Conflict, Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.finetuning.versions.versions import files_fault
from data_foundry.lake import Lake, Layer
from data_foundry.serving.admission import check_person
from data_foundry.serving.registry_backup import back_up
from data_foundry.serving.routing import Wish, stand_ins_of, who_answers
from data_foundry.serving.shell_command import shell_command
from data_foundry.serving.trials.approval import revoked

TAKEN_BACK = (Stage.PRODUCTION, Stage.STAGING, Stage.SHADOW)
"""Stages from which a version can be taken back; of an adapter that is named alone, the first of them is meant."""


@dataclass(frozen=True)
class Rollback:
    """What a rollback comes to, or came to: `serves` is the version that answers every caller then, BASE, or None.

    None is nobody, and `not_served` says why. `restored` is the version that comes back for it; `not_restored` why the
    one whose place it had taken does not.
    """

    version: Version
    restored: Version | None
    not_restored: str | None
    serves: str | None
    not_served: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it JSON-like."""
        return {
            "name": f"{self.version.engine}/{self.version.version}",
            "stage": self.version.stage.value,
            "restored": self.restored.version if self.restored else None,
            "not_restored": self.not_restored,
            "serves": self.serves,
            "not_served": self.not_served or None,
        }


def foreseen(settings: Settings, registry: Registry, version: Version) -> Rollback:
    """Return what taking a version back would come to. Writes nothing; the files of what would serve are hashed.

    Raises FoundryError for a version that neither answers nor is heard.
    """
    if version.stage not in TAKEN_BACK:
        name = f"{version.engine}/{version.version}"
        bars = shell_command(settings, f"approve {name} --revoke --actor WHO --reason WHY")
        raise FoundryError(
            f"{name} is in {version.stage}: there is nothing to take it back from.",
            f"What keeps it from coming back: {bars}",
        )
    before, restored, fault = registry.replaced(version.engine, version.version), None, None
    if before is not None and (fault := _unfit(registry, before)) is None:
        restored = before
    serving = [each for each in registry.versions(version.engine, Stage.PRODUCTION) if each.version != version.version]
    answering = tuple(serving or ([restored] if restored else []))
    left = replace(version, stage=Stage.ROLLED_BACK)
    own = [left if each.version == left.version else each for each in registry.versions(version.engine)]
    wish = Wish(version.engine, answering, stand_ins_of(own), ())
    serves, why = who_answers(settings, registry.lake, wish)
    return Rollback(version, restored, fault, serves, why)


def take_back(
    settings: Settings, registry: Registry, version: Version, *, actor: str, reason: str, evidence: Mapping[str, Any]
) -> Rollback:
    """Roll a version back as it was seen, and restore what is fit to serve in its place; return what was done.

    Raises Conflict where somebody moved it since, and FoundryError where it is at no stage to be taken back from.
    """
    plan = foreseen(settings, registry, version)
    hashes = {"artefact_hash": version.artefact_hash, "evaluation_hash": version.evaluation_hash}
    outcome = {"restored": plan.restored.version if plan.restored else None, "not_restored": plan.not_restored}

    def check(entries: Sequence[HistoryEntry]) -> None:
        if plan.restored and (word := revoked(entries, plan.restored)):
            raise Conflict(f"{plan.restored.version} may not serve again: {word}", "Look again.")

    rolled_back, restored = registry.roll_back(
        version.engine,
        version.version,
        actor=actor,
        reason=reason,
        evidence={**evidence, **hashes, **outcome},
        restore=plan.restored,
        expected=version,
        check=check,
    )
    back_up(registry)
    return replace(plan, version=rolled_back, restored=restored)


def roll_back(settings: Settings, version: Version, *, actor: str, reason: str) -> Rollback:
    """Take a version back on a person's word. Raises FoundryError."""
    actor, reason = check_person("A rollback", actor, reason)
    said = f"{actor} rolled it back: {reason}"
    return take_back(settings, Registry(Lake(settings)), version, actor=actor, reason=said, evidence={"by_hand": True})


def meant_by(settings: Settings, registry: Registry, adapter: str) -> Version:
    """Return the version of an adapter that is named without one: what answers callers, or else what comes nearest.

    Raises FoundryError where nothing of it answers or is heard.
    """
    for stage in TAKEN_BACK:
        if at_stage := registry.versions(adapter, stage):
            return at_stage[-1]
    raise FoundryError(
        f"No version of {adapter} is in production, staging or shadow.",
        f"See `{shell_command(settings, 'models list')}` for what there is.",
    )


def _unfit(registry: Registry, before: Version) -> str | None:
    """Return why the version that would serve again can't, or None."""
    name = f"{before.engine}/{before.version}"
    if fault := files_fault(registry.lake, before):
        return f"{name} can't serve again: {fault}"
    if word := revoked(registry.history(before.engine, before.version), before):
        return f"{name} can't serve again: {word}"
    model = registry.lake.manifest(Layer.MODELS, name)
    if model is not None and model.details.get("verdict") == "fail":
        return f"{name} can't serve again: its gates refused it since"
    return None
