"""The trials that stand: which version is tried against which, as the registry says it."""

from __future__ import annotations

from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.trials.trial import BASE, Source, Trial

TRIED = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)
"""Stages at which a version is tried, in the order in which it goes through them."""


def standing_trials(registry: Registry, source: Source = "live") -> list[Trial]:
    """Return the trials that stand now, by adapter and stage; every gateway on one registry returns the same.

    What is in production is tried against the version whose place it took, as long as a rollback would restore that
    one, and against the base otherwise; what comes up, against what is in production, or the base.
    """
    versions = [version for version in registry.versions() if version.stage in TRIED]
    serving = {version.engine: version.version for version in versions if version.stage is Stage.PRODUCTION}
    found = []
    for version in sorted(versions, key=lambda each: (each.engine, TRIED.index(each.stage))):
        if version.stage is Stage.PRODUCTION:
            before = registry.replaced(version.engine, version.version)
            incumbent = before.version if before else BASE
        else:
            incumbent = serving.get(version.engine, BASE)
        found.append(
            Trial(version.engine, version.version, incumbent, version.stage, version.stage_since, source=source)
        )
    return found
