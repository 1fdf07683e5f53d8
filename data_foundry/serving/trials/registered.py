"""What the registry says of the trials that stand, and what is told of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Conflict, Registry, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.lake import Lake
from data_foundry.serving.trials.decision import Act, Decision, decide
from data_foundry.serving.trials.followed import FollowedTrial
from data_foundry.serving.trials.judgement import Judgement
from data_foundry.serving.trials.standing import Tried, tried_versions
from data_foundry.serving.trials.trial import Source, Trial


@dataclass(frozen=True)
class Registered:
    """What the registry said when its latest entry had the hash `head`; `history` is by version, oldest first."""

    head: str
    tried: list[Tried]
    versions: list[Version]
    history: Mapping[tuple[str, str], Sequence[HistoryEntry]]

    @property
    def trials(self) -> list[Trial]:
        """The trials whose observations count, by adapter and stage: those that stand, and those that may have."""
        return [trial for tried in self.tried for trial in tried.trials]

    def candidate(self, trial: Trial) -> Version:
        """Return a trial's candidate. Raises Conflict where it left the stage, or is tried against another by now."""
        for version in self.versions:
            stands = (version.engine, version.version, version.stage, version.stage_entry)
            if stands == (trial.adapter, trial.candidate, trial.stage, trial.entry):
                if trial in self.trials:
                    return version
                raise Conflict(f"{trial.adapter}/{trial.candidate} is tried against another by now.", "Look again.")
        raise Conflict(f"{trial.adapter}/{trial.candidate} is in {trial.stage} no more.", "Look again.")

    def decide(self, settings: Settings, trial: Trial, judgement: Judgement) -> Decision:
        """Return what a judgement leads to."""
        own = [version for version in self.versions if version.engine == trial.adapter]
        return decide(settings, trial, judgement, own, self.history_of(trial))

    def history_of(self, trial: Trial) -> Sequence[HistoryEntry]:
        """Return the history of a trial's candidate."""
        return self.history.get((trial.adapter, trial.candidate), ())

    def worth_telling(self, lake: Lake, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Return, of what was found of each trial, what is told: of those that stand, and where calls were counted."""
        standing = {tried.standing(lake).id for tried in self.tried}
        told = ((trial.id, found[trial.id]) for trial in self.trials)
        return [each for known, each in told if known in standing or each["pairs"] or each["losses"]]


def registered(registry: Registry, source: Source = "live", adapters: Collection[str] = ()) -> Registered:
    """Return what a registry says of its trials, or of those of some adapters, and what decisions on them need."""
    head = registry.head()
    tried = [e for e in tried_versions(registry, source) if not adapters or e.trials[0].adapter in adapters]
    history: dict[tuple[str, str], list[HistoryEntry]] = {}
    for entry in registry.history():
        history.setdefault((entry.engine, entry.version), []).append(entry)
    return Registered(head, tried, registry.versions(), history)


def not_followed(followed: FollowedTrial, judgement: Judgement | None, error: str) -> dict[str, Any]:
    """Return what is told of a trial whose observations can't be read or judged."""
    why = f"its trial can't be followed: {error}"
    return {**told(followed, judgement, Decision(Act.HOLD, why, waits_for=why)), "error": error}


def told(followed: FollowedTrial, judgement: Judgement | None, decision: Decision) -> dict[str, Any]:
    """Return all that is known of a trial, JSON-like: its observations, the judgement, and what it leads to."""
    return {
        **followed.as_json(judgement),
        "act": decision.act.value,
        "decision": decision.reason,
        "waits_for": decision.waits_for,
        "error": None,
    }
