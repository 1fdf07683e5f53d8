"""The trials that stand: which version is tried against which, as the registry says it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.versions import files_fault
from data_foundry.lake import Lake
from data_foundry.serving.trials.trial import BASE, Source, Trial

TRIED = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)
"""Stages at which a version is tried, in the order in which it goes through them."""


@dataclass(frozen=True)
class Tried:
    """The trials of one version, by the registry alone, of which one stands.

    What comes up is tried against what is in production, or the base. What is in production is tried against the
    version whose place it took, as long as that stands retired for it (`before`), and against the base where there is
    none or its files are gone: harm is to be found there, too. Files go without a word of the registry and gateways
    notice at different times, so what was heard of either trial counts.
    """

    trials: tuple[Trial, ...]
    before: Version | None = None

    def standing(self, lake: Lake) -> Trial:
        """Return the trial that stands now. Of the files only manifest and sizes are looked at, each time."""
        there = self.before is None or files_fault(lake, self.before, hashed=False) is None
        return self.trials[0 if there else 1]


def tried_versions(registry: Registry, source: Source = "live") -> list[Tried]:
    """Return the versions on trial by adapter and stage; every gateway on one registry returns the same."""
    versions = [version for version in registry.versions() if version.stage in TRIED]
    serving = {version.engine: version.version for version in versions if version.stage is Stage.PRODUCTION}
    found = []
    for each in sorted(versions, key=lambda each: (each.engine, TRIED.index(each.stage))):
        base = Trial(each.engine, each.version, BASE, each.stage, each.stage_since, source, each.stage_entry)
        if each.stage is not Stage.PRODUCTION:
            found.append(Tried((replace(base, incumbent=serving.get(each.engine, BASE)),)))
        elif before := registry.replaced(each.engine, each.version):
            found.append(Tried((replace(base, incumbent=before.version), base), before))
        else:
            found.append(Tried((base,)))
    return found


def standing_trials(registry: Registry, source: Source = "live") -> list[Trial]:
    """Return the trials that stand now, by adapter and stage."""
    return [tried.standing(registry.lake) for tried in tried_versions(registry, source)]
