"""The rollout: judgements of trials become moves, each at most once whatever number of gateways look.

Harm takes a version back from any stage. A version leaves the shadow for staging by the evidence of calls alone, and
staging for production by that and a person's approval; each time its files must be what was registered and it must
answer a few calls first. Whatever is missing, broken or unclear holds, and the state says what is waited for.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Conflict, Registry, Stage, Version
from data_foundry.finetuning.versions.versions import files_fault
from data_foundry.lake import Lake, Layer
from data_foundry.report import now
from data_foundry.serving.admission import GATEWAY, standing
from data_foundry.serving.registry_backup import back_up
from data_foundry.serving.trials.decision import HARM, Act, Decision, harm_noted, unchanged, while_counting
from data_foundry.serving.trials.followed import TRIAL, FollowedTrial
from data_foundry.serving.trials.judgement import Judgement
from data_foundry.serving.trials.registered import Registered, not_followed, registered, told
from data_foundry.serving.trials.rollback import take_back
from data_foundry.serving.trials.standing import tried_versions
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Source, Trial

log = logging.getLogger("data_foundry")

AGAIN_SECONDS = 60.0
"""How long a version that was kept from a stage waits until it is looked at again: a probe costs calls."""
CLOSING_SECONDS = 5.0
ROUND = 5000
"""How many observations of a trial are counted in one look, so that harm in one is not found after all of another."""
ROUND_SECONDS = 0.1
"""How long to wait before the next look where more is kept than a round: callers' threads need the interpreter, too."""
KEPT_DAYS, DAY_SECONDS = 30, 86_400.0
"""How long the observations of a trial that is over are kept."""


class Prober(Protocol):
    """What the rollout needs of a gateway."""

    def probe(self, adapter: str, version: str) -> tuple[bool, str]:
        """Say whether a version answers `rollout.probe_calls` calls, and what it did."""

    def look(self) -> None:
        """Look at the registry now; what it says is loaded by others, so that this waits for no model."""


class RolloutController:
    """Judges the trials that stand, in a thread of its own between `start` and `close`, and moves versions.

    `adapters` limits it to some (empty: all). With source "replay" it judges and moves nothing.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        store: TrialStore,
        gateway: Prober,
        *,
        source: Source = "live",
        adapters: Collection[str] = (),
    ) -> None:
        self._settings, self._registry, self._store, self._gateway = settings, registry, store, gateway
        self._source, self._adapters = source, frozenset(adapters)
        self._lake = Lake(settings)
        self.id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._followed: dict[str, FollowedTrial] = {}
        self._kept_out: dict[str, tuple[float, str]] = {}
        self._logged: dict[str, str] = {}
        self._ticking, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._pruned: float | None = None
        self._known: Registered | None = None
        self._file: tuple[int, int] | None = None
        self._behind = False
        self._trials: list[dict[str, Any]] = []
        self._errors: list[str] = []
        self._checked_at: str | None = None

    def start(self) -> None:
        """Look every `serving.poll_seconds` from now on."""
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking; a move that is being made is made first. A probe is not waited for: its gateway ends it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)
            self._thread = None

    def state(self) -> dict[str, Any]:
        """Return what the last look found, JSON-like: every trial with its judgement and what became of it."""
        kept = {"fault": self._store.fault, "unkept": self._store.unkept}
        found = {"trials": list(self._trials), "errors": list(self._errors), "store": kept}
        return {**found, "checked_at": self._checked_at, "gateway": self.id}

    def tick(self) -> None:
        """Look once: count a round of what is new, judge, move. What fails is told and logged once, never raised."""
        with self._ticking:
            self._errors = []
            try:
                self._look()
                self._prune()
                self._logged.pop("", None)
            except Exception as error:
                self._errors = [self._failed("", "the rollout", error)]
            self._checked_at = now()

    def _registered(self) -> Registered:
        """Return what the registry says, read again only where it changed."""
        head = self._registry.head()
        if self._known is None or self._known.head != head:
            self._known = registered(self._registry, self._source, self._adapters)
        return self._known

    def _run(self) -> None:
        seconds = self._settings.serving.poll_seconds
        while not self._stop.wait(min(ROUND_SECONDS, seconds) if self._behind and not self._errors else seconds):
            self.tick()

    def _look(self) -> None:
        seen = self._registered()
        trials = {trial.id: trial for trial in seen.trials}
        if (file := self._store.file()) != self._file:
            self._followed, self._file = {}, file
        self._followed = {known: each for known, each in self._followed.items() if known in trials}
        self._kept_out = {known: each for known, each in self._kept_out.items() if known in trials}
        found: dict[str, dict[str, Any]] = {}
        decided: list[tuple[FollowedTrial, Judgement, Decision]] = []
        for known, trial in trials.items():
            if known not in self._followed:
                self._followed[known] = FollowedTrial(trial, self._settings.rollout)
            followed = self._followed[known]
            try:
                judgement = followed.read(self._store, ROUND)
                decided.append((followed, judgement, seen.decide(self._settings, trial, judgement)))
            except Exception as error:
                found[known] = self._failed_trial(followed, None, error)
        self._behind = any(followed.behind for followed, _, _ in decided)
        # Harm first: a promotion waits for a probe, and for all that is kept, whichever trial it speaks of.
        for followed, judgement, decision in sorted(decided, key=lambda each: each[2].act is Act.PROMOTE):
            if followed.behind or (self._behind and decision.act is Act.PROMOTE):
                decision = while_counting(decision)
            try:
                decision = self._act(followed, judgement, decision)
                found[followed.trial.id] = told(followed, judgement, decision)
                self._logged.pop(followed.trial.id, None)
            except Exception as error:
                found[followed.trial.id] = self._failed_trial(followed, judgement, error)
        failed = (each for each in found.values() if each["error"])
        self._errors += dict.fromkeys(f"{each['adapter']}/{each['candidate']}: {each['error']}" for each in failed)
        self._trials = seen.worth_telling(self._lake, found)

    def _act(self, followed: FollowedTrial, judgement: Judgement, decision: Decision) -> Decision:
        """Do what was decided and return what became of it."""
        if decision.act is Act.HOLD:
            return decision
        trial = followed.trial
        evidence = {TRIAL: followed.as_json(judgement), "gateway": self.id}
        try:
            # A move of before, in this look or elsewhere, may have ended the trial.
            seen = self._registered()
            version = seen.candidate(trial)
            if decision.act is Act.NOTE and harm_noted(seen.history_of(trial), trial):
                return decision
            if decision.act is Act.ROLL_BACK:
                self._roll_back(trial, version, decision, evidence)
            elif decision.act is Act.NOTE:
                self._note(trial, version, decision, evidence)
                return decision
            elif why := self._kept(followed, version, decision, evidence):
                return Decision(Act.HOLD, why, waits_for=why)
        except Conflict as error:
            # Another gateway, or a person, was first; what stands now is looked at next time.
            log.debug("%s/%s: %s", trial.adapter, trial.candidate, error)
            decision = Decision(Act.HOLD, f"somebody else was first: {error.message}")
        self._gateway.look()
        return decision

    def _roll_back(self, trial: Trial, version: Version, decision: Decision, evidence: Mapping[str, Any]) -> None:
        said = f"rolled back: it did harm in {trial.stage}, compared with {trial.incumbent}: {decision.reason}"
        done = take_back(self._settings, self._registry, version, actor=GATEWAY, reason=said, evidence=evidence)
        why = [each for each in (done.not_restored, done.not_served) if each]
        serves = "; ".join([f"{done.serves or 'nobody'} answers callers", *why])
        log.error("%s/%s %s; %s", version.engine, version.version, said, serves)

    def _note(self, trial: Trial, version: Version, decision: Decision, evidence: Mapping[str, Any]) -> None:
        def once(entries: Any) -> None:
            if harm_noted(entries, trial):
                raise Conflict("It was noted already.")

        said = f"in {trial.stage} although {decision.reason}"
        found = {**evidence, HARM: trial.id}
        self._registry.note(
            version.engine, version.version, actor=GATEWAY, reason=said, evidence=found, expected=version, check=once
        )
        log.error("%s/%s is %s", version.engine, version.version, said)

    def _kept(
        self, followed: FollowedTrial, version: Version, decision: Decision, evidence: Mapping[str, Any]
    ) -> str | None:
        """Promote a version that is fit for the next stage, or return what keeps it out, for a while."""
        until, why = self._kept_out.get(followed.trial.id, (0.0, ""))
        if time.monotonic() < until:
            return why
        fault, probed = self._unfit(version), ""
        if fault is None:
            answers, probed = self._gateway.probe(version.engine, version.version)
            fault = None if answers else f"its probe failed: {probed}"
        if fault is not None:
            # Where another gateway promoted it meanwhile, its files and its probe here say nothing any more.
            self._registered().candidate(followed.trial)
            why = f"kept from {decision.to_stage}: {fault}"
            log.warning("%s/%s is %s", version.engine, version.version, why)
            self._kept_out[followed.trial.id] = (time.monotonic() + AGAIN_SECONDS, why)
            return why
        # Calls went on while it was probed.
        if (judgement := followed.read(self._store)).verdict != "pass":
            return f"{judgement.verdict} since it was probed: {judgement.reason}"
        found = {**evidence, TRIAL: followed.as_json(judgement), "probe": probed}
        self._promote(followed.trial, version, decision, found)
        return None

    def _promote(self, trial: Trial, version: Version, decision: Decision, evidence: Mapping[str, Any]) -> None:
        approval = decision.approval
        hashes = {"artefact_hash": version.artefact_hash, "evaluation_hash": version.evaluation_hash}
        self._registry.transition(
            version.engine,
            version.version,
            decision.to_stage or Stage.STAGING,
            actor=GATEWAY,
            reason=f"its calls speak for it: {decision.reason}",
            evidence={**evidence, **hashes, "approval": asdict(approval) if approval else None},
            expected=version,
            check=unchanged(trial, approval, version, self._settings.rollout),
        )
        log.info("%s/%s is in %s: %s", version.engine, version.version, decision.to_stage, decision.reason)
        back_up(self._registry)

    def _unfit(self, version: Version) -> str | None:
        """Return what speaks against a version besides its calls: its files, its gates, or an edited history."""
        if fault := files_fault(self._lake, version):
            return fault
        model = self._lake.manifest(Layer.MODELS, f"{version.engine}/{version.version}")
        refused, why = standing(self._registry, version, model) if model else ("gone", "its files are gone")
        if refused:
            return why
        faults = self._registry.verify_history()
        return f"the registry's history is not whole: {faults[0]}" if faults else None

    def _prune(self) -> None:
        if self._source != "live" or (self._pruned is not None and time.monotonic() - self._pruned < DAY_SECONDS):
            return
        self._pruned = time.monotonic()
        standing = {trial.id for tried in tried_versions(self._registry, self._source) for trial in tried.trials}
        if gone := self._store.prune(standing, time.time() - KEPT_DAYS * DAY_SECONDS):
            log.info("%d observations of trials that are over were deleted", gone)

    def _failed_trial(self, followed: FollowedTrial, judgement: Judgement | None, error: Exception) -> dict[str, Any]:
        trial = followed.trial
        said = self._failed(trial.id, f"the trial of {trial.adapter}/{trial.candidate}", error)
        return not_followed(followed, judgement, said)

    def _failed(self, key: str, what: str, error: Exception) -> str:
        """Return what an error says, after logging it where the last one was another."""
        said = error.message if isinstance(error, FoundryError) else f"{type(error).__name__}: {error}"
        if self._logged.get(key) != said:
            self._logged[key] = said
            log.error("%s: %s", what, said, exc_info=not isinstance(error, FoundryError))
        return said


def trials_of(settings: Settings) -> list[dict[str, Any]]:
    """Return every trial that stands as a controller's state has it, from the registry and the store alone."""
    lake = Lake(settings)
    store, known = TrialStore(lake), registered(Registry(lake))
    found = {}
    for trial in known.trials:
        followed = FollowedTrial(trial, settings.rollout)
        try:
            judgement = followed.read(store)
            found[trial.id] = told(followed, judgement, known.decide(settings, trial, judgement))
        except FoundryError as error:
            found[trial.id] = not_followed(followed, None, error.message)
    return known.worth_telling(lake, found)
