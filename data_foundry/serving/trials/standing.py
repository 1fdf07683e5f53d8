"""The trials that stand: which version is tried against which, as the registry says it."""

from __future__ import annotations

from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.finetuning.versions.versions import files_fault
from data_foundry.serving.trials.trial import BASE, Source, Trial

TRIED = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)
"""Stages at which a version is tried, in the order in which it goes through them."""


def standing_trials(registry: Registry, source: Source = "live") -> list[Trial]:
    """Return the trials that stand now, by adapter and stage; every gateway on one registry returns the same.

    What is in production is tried against the version whose place it took, as long as that one stands retired for it
    and its files lie there, and against the base otherwise: harm is to be found there, too. What comes up is tried
    against what is in production, or the base. (Of the files only manifest and sizes are looked at, each time.)
    """
    versions = [version for version in registry.versions() if version.stage in TRIED]
    serving = {version.engine: version.version for version in versions if version.stage is Stage.PRODUCTION}
    found = []
    for version in sorted(versions, key=lambda each: (each.engine, TRIED.index(each.stage))):
        if version.stage is Stage.PRODUCTION:
            before = registry.replaced(version.engine, version.version)
            there = before is not None and files_fault(registry.lake, before, hashed=False) is None
            incumbent = before.version if before and there else BASE
        else:
            incumbent = serving.get(version.engine, BASE)
        found.append(
            Trial(version.engine, version.version, incumbent, version.stage, version.stage_since, source=source)
        )
    return found
