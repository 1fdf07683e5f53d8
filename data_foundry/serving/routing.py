"""Routing: which version answers for each adapter, and which are tried beside it, as the registry says it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from data_foundry.adapter_name import is_adapter
from data_foundry.config import Settings
from data_foundry.engines.adapters import adapters, spec_of
from data_foundry.engines.spec import Task
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.lake import Lake
from data_foundry.serving.calls import NotServed
from data_foundry.serving.residents import Resident
from data_foundry.serving.trials.approval import revoked
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.trial import BASE, Source, Trial
from data_foundry.serving.weights import stand_in

if TYPE_CHECKING:
    from data_foundry.serving.candidate.mirror import Mirror
    from data_foundry.serving.candidate.staging import StagingProcess
    from data_foundry.serving.host import Host

# Whose base, and whose head on it, stands in where nothing is in production: the candidates' first.
_STAND_IN = (Stage.STAGING, Stage.SHADOW, Stage.PRODUCTION, Stage.RETIRED, Stage.ROLLED_BACK, Stage.NONE)


@dataclass(frozen=True)
class Wish:
    """What the registry and the settings say of an adapter.

    `answering` may answer, the first that can be loaded; after them all the base of `stand_ins`, the first of them that
    has what it takes. `known` is what all of this rests on.
    """

    adapter: str
    answering: tuple[Version, ...]
    stand_ins: tuple[Version, ...]
    trials: tuple[Trial, ...]

    @property
    def known(self) -> tuple[tuple[str, str, str], ...]:
        """The same as long as another look at the files would find the same."""
        return tuple((v.version, v.artefact_hash, v.evaluation_hash) for v in (*self.answering, *self.stand_ins))


@dataclass(frozen=True, eq=False)
class Route:
    """Who answers for an adapter; one look at it serves a call to its end.

    `why` says why nobody answers, `error` what the registry wants in production and what stands in the way.
    """

    adapter: str
    task: Task
    wish: Wish
    answering: Resident | None = None
    host: Host | None = None
    why: str = ""
    error: str | None = None
    mirrors: Mapping[Trial, Mirror] = field(default_factory=dict)
    staging: tuple[Trial, StagingProcess] | None = None

    @property
    def incumbent(self) -> str:
        """The version that answers callers, or "base"."""
        return self.answering.weights.version if self.answering else BASE

    @property
    def lacks(self) -> bool:
        """Whether one should answer, and nobody can."""
        return self.answering is None and (bool(self.wish.answering) or self.why in (self.error or ""))

    @property
    def labels(self) -> tuple[str, ...]:
        return self.answering.labels if self.answering else ()

    @property
    def trials(self) -> tuple[Trial, ...]:
        return self.wish.trials

    @property
    def since(self) -> str | None:
        """Since when the version that answers is in production."""
        return next((v.stage_since for v in self.wish.answering if v.version == self.incumbent), None)


def wishes(
    settings: Settings, registry: Registry, source: Source = "live", only: Collection[str] = ()
) -> dict[str, Wish]:
    """Return what the registry and the settings say of every adapter, or of those in `only`.

    Calls that are replayed are heard by a version in shadow alone. With deployment.shadow_testing false nothing in
    shadow is tried; what answers callers, in staging and production, goes on being compared, so that harm takes it
    back. What took another one's place has that one behind it, unless a person revoked its approval. Raises
    FoundryError for a registry that can't be read.
    """
    versions = registry.versions()
    trials = [trial for trial in standing_trials(registry, source) if _is_tried(trial, settings)]
    engines = sorted({version.engine for version in versions if is_adapter(version.engine)})
    names = dict.fromkeys([*adapters(settings.training), *engines])
    found = {}
    for name in names:
        if only and name not in only:
            continue
        own = [version for version in versions if version.engine == name]
        production = [version for version in reversed(own) if version.stage is Stage.PRODUCTION]
        before = [replaced for version in production if (replaced := registry.replaced(name, version.version))]
        found[name] = Wish(
            name,
            (*production, *(version for version in before if not revoked(registry.history(name), version))),
            stand_ins_of(own),
            tuple(trial for trial in trials if trial.adapter == name),
        )
    return found


def stand_ins_of(versions: Sequence[Version]) -> tuple[Version, ...]:
    """Return an adapter's versions (latest change last) in the order in which their base may stand in."""
    latest_first = [*reversed(versions)]
    return tuple(sorted(latest_first, key=lambda version: _STAND_IN.index(version.stage)))


def who_answers(settings: Settings, lake: Lake, wish: Wish) -> tuple[str | None, str]:
    """Return who is to answer callers of an adapter, a version or "base", or None and why nobody does.

    As the gateway places it, but nothing is loaded: that something can't be loaded only a gateway can say.
    """
    if wish.answering:
        return wish.answering[0].version, ""
    try:
        stand_in(settings, lake, wish.adapter, wish.stand_ins, heads=settings.serving.stand_in_heads)
    except NotServed as error:
        return None, error.message
    return BASE, ""


def _is_tried(trial: Trial, settings: Settings) -> bool:
    in_shadow = trial.stage is Stage.SHADOW
    return settings.deployment.shadow_testing if in_shadow else trial.source == "live"


def task_of(wish: Wish, answering: Resident | None, settings: Settings) -> Task:
    """Return what an adapter does: as what answers was trained, or as the settings say."""
    if answering is not None:
        return answering.weights.task
    known = adapters(settings.training).get(wish.adapter)
    return known.task if known else spec_of(wish.adapter).task
