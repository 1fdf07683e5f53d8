"""Placement: turns what the registry says into routes, with versions in memory and processes for what is on trial."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage, Version
from data_foundry.lake import Lake, Layer
from data_foundry.serving.calls import NotServed
from data_foundry.serving.candidate.mirror import Mirror
from data_foundry.serving.candidate.staging import StagingProcess
from data_foundry.serving.host import Host
from data_foundry.serving.hosts import Hosts, NotOpen
from data_foundry.serving.residents import Resident
from data_foundry.serving.routing import Route, Wish, task_of
from data_foundry.serving.trials.trial import BASE, Pair, Trial
from data_foundry.serving.weights import base_weights, version_weights

log = logging.getLogger("data_foundry")


class Placement:
    """Makes routes of what is in memory; used by one thread at a time.

    `record` keeps a pair, `paired` is told both outputs of one, `key_of` chooses the calls of an adapter. `stand_ins`
    lets a head that was fitted on a frozen base answer where nothing else can.
    """

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        *,
        key_of: Callable[[str], bytes],
        record: Callable[[Pair], bool],
        paired: Callable[[Trial, str, Any, Any], None],
        stand_ins: bool,
    ) -> None:
        self._settings, self._lake, self._stand_ins = settings, lake, stand_ins
        self._key_of, self._record, self._paired = key_of, record, paired
        self.hosts = Hosts(settings)

    def route(self, wish: Wish, old: Route | None) -> tuple[Route | None, NotOpen | None]:
        """Return who answers for an adapter now; what stands in the way of what the registry says is in `error`.

        The second is what is to be brought into memory first, if anything: meanwhile what answered goes on, with the
        trials that the registry has now, unless it was rolled back and a whole base is to be opened: then what is in
        memory answers in its place, or nobody.
        """
        missing: NotOpen | None = None
        try:
            resident, host, why, error = self._answering(wish, old)
        except NotOpen as lacking:
            missing = lacking
            if old is None:
                return None, missing
            if lacking.beside or not _was_rolled_back(wish, old.incumbent):
                mirrors, staging, stopped = self._trials(wish, old, answered=old.answering is not None)
                known = replace(old.wish, trials=tuple(mirrors))
                return replace(old, wish=known, error=stopped or old.error, mirrors=mirrors, staging=staging), missing
            resident, host, why, error = self._answering(wish, None, waits=False)
        task = task_of(wish, resident, self._settings)
        mirrors, staging, stopped = self._trials(wish, old, answered=resident is not None)
        told = "; ".join(each for each in (error, stopped) if each) or None
        return Route(wish.adapter, task, wish, resident, host, why, told, mirrors, staging), missing

    def let_go(self, old: Mapping[str, Route], new: Mapping[str, Route]) -> None:
        """End what the old routes have and the new ones have not; calls on their way end as they began."""
        self.hosts.retire_others({route.answering for route in new.values() if route.answering})
        kept = {id(part) for route in new.values() for part in _parts(route)}
        for part in (part for route in old.values() for part in _parts(route)):
            if id(part) not in kept:
                part.close()

    def close(self, table: Mapping[str, Route], drain_seconds: float) -> None:
        """Answer what came, for at most so many seconds, and end everything; staged calls go to the incumbents."""
        for route in table.values():
            if route.staging is not None:
                route.staging[1].close()
        self.hosts.close(drain_seconds)
        for route in table.values():
            for mirror in route.mirrors.values():
                mirror.close()

    def _answering(
        self, wish: Wish, old: Route | None, waits: bool = True
    ) -> tuple[Resident | None, Host | None, str, str | None]:
        """Return what answers, where, why nothing does, and what could not be loaded.

        `waits`: raise NotOpen for what is not in memory, rather than have what comes after it answer.
        """
        now = old if old is not None and old.host is not None and old.host.takes_calls else None
        if now is not None and not now.error and now.wish.known == wish.known:
            return now.answering, now.host, "", None
        wrong: list[str] = []
        for version in wish.answering:
            # One that was evaluated again may be calibrated otherwise.
            kept = now if now is not None and _is(now.answering, version) else None
            if kept is not None and _is_evaluated(kept.answering, version):
                return kept.answering, kept.host, "", _all(wrong)
            try:
                return *self.hosts.resident(version_weights(self._settings, self._lake, version)), "", _all(wrong)
            except Exception as error:
                if waits and isinstance(error, NotOpen):
                    raise
                wrong.append(_failure(wish.adapter, version.version, error))
                if kept is not None:
                    return kept.answering, kept.host, "", _all(wrong)
        try:
            weights = base_weights(self._settings, self._lake, wish.adapter, wish.stand_ins, heads=self._stand_ins)
            return *self.hosts.resident(weights), "", _all(wrong)
        except NotServed as error:
            names = [f"{version.engine}/{version.version}" for version in wish.stand_ins]
            if now is not None and now.incumbent == BASE:
                # What can't be read may have what is lacking: it is looked at again, and what answers goes on.
                faults = [fault for name in names if (fault := self._lake.fault(Layer.MODELS, name))]
                if wrong or faults:
                    return now.answering, now.host, "", _all([*wrong, *faults])
            return None, None, error.message, _all(wrong)
        except Exception as error:
            if waits and isinstance(error, NotOpen):
                raise
            wrong.append(_failure(wish.adapter, BASE, error))
        if now is not None and now.incumbent == BASE:
            return now.answering, now.host, "", _all(wrong)
        return None, None, wrong[-1], _all(wrong)

    def _trials(
        self, wish: Wish, old: Route | None, *, answered: bool
    ) -> tuple[dict[Trial, Mirror], tuple[Trial, StagingProcess] | None, str | None]:
        """Return the processes of what is on trial, those of before where the trial is the same.

        What is in staging answers callers only where they are `answered`: somebody must stand behind it.
        """
        mirrors: dict[Trial, Mirror] = {}
        staging: tuple[Trial, StagingProcess] | None = None
        wrong: list[str] = []
        for trial in wish.trials:
            try:
                if old is not None and trial in old.mirrors:
                    mirrors[trial] = old.mirrors[trial]
                else:
                    key = self._key_of(trial.adapter)
                    mirror = Mirror(
                        self._settings,
                        trial,
                        key=key,
                        record=self._record,
                        paired=self._paired,
                        worked=self.hosts.worked_seconds,
                    )
                    mirror.start()
                    mirrors[trial] = mirror
                if trial.stage is Stage.STAGING and answered:
                    staging = old.staging if old is not None else None
                    if staging is None or staging[0] != trial:
                        staging = trial, StagingProcess(self._settings, trial)
                        staging[1].start()
            except Exception as error:
                wrong.append(f"its trial can't begin: {_failure(trial.adapter, trial.candidate, error)}")
        return mirrors, staging, _all(wrong)


def _parts(route: Route) -> list[Mirror | StagingProcess]:
    return [*route.mirrors.values(), *([route.staging[1]] if route.staging else [])]


def _was_rolled_back(wish: Wish, version: str) -> bool:
    return any(v.version == version and v.stage is Stage.ROLLED_BACK for v in wish.stand_ins)


def _is(resident: Resident | None, version: Version) -> bool:
    known = resident.weights if resident is not None else None
    return known is not None and (known.version, known.artefact_hash) == (version.version, version.artefact_hash)


def _is_evaluated(resident: Resident | None, version: Version) -> bool:
    return resident is not None and resident.weights.evaluation_hash == version.evaluation_hash


def _all(wrong: list[str]) -> str | None:
    return "; ".join(wrong) or None


def _failure(adapter: str, version: str, error: Exception) -> str:
    """Return what went wrong with a version, which goes on being told: one adapter's error is not the others' end."""
    said = error.message if isinstance(error, FoundryError) else f"{type(error).__name__}: {error}"
    log.error("%s/%s can't be served: %s", adapter, version, said)
    return f"{version} can't be served: {said}"
