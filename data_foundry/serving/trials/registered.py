"""What the registry says of the trials that stand, and what is told of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Conflict, Registry, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.serving.trials.decision import APPROVAL, Act, Decision, decide
from data_foundry.serving.trials.followed import FollowedTrial
from data_foundry.serving.trials.judgement import Judgement
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.trial import Source, Trial


@dataclass(frozen=True)
class Registered:
    """What the registry said when its latest entry had the hash `head`."""

    head: str
    trials: list[Trial]
    versions: list[Version]
    history: list[HistoryEntry]

    def candidate(self, trial: Trial) -> Version:
        """Return a trial's candidate. Raises Conflict where it has left the stage that it is tried at."""
        for version in self.versions:
            stands = (version.engine, version.version, version.stage, version.stage_since)
            if stands == (trial.adapter, trial.candidate, trial.stage, trial.since):
                return version
        raise Conflict(f"{trial.adapter}/{trial.candidate} is in {trial.stage} no more.", "Look again.")

    def decide(self, settings: Settings, trial: Trial, judgement: Judgement) -> Decision:
        """Return what a judgement leads to."""
        own = [version for version in self.versions if version.engine == trial.adapter]
        return decide(settings, trial, judgement, own, self.history)


def registered(registry: Registry, source: Source = "live") -> Registered:
    """Return what a registry says of its trials, and what decisions on them need."""
    head = registry.head()
    return Registered(head, standing_trials(registry, source), registry.versions(), registry.history())


def not_followed(followed: FollowedTrial, judgement: Judgement | None, error: str) -> dict[str, Any]:
    """Return what is told of a trial whose observations can't be read or judged."""
    why = f"its trial can't be followed: {error}"
    return {**told(followed, judgement, Decision(Act.HOLD, why, waits_for=why)), "error": error}


def told(followed: FollowedTrial, judgement: Judgement | None, decision: Decision) -> dict[str, Any]:
    """Return all that is known of a trial, JSON-like: its observations, the judgement, and what it leads to."""
    trial = followed.trial
    approve = f"python -m data_foundry approve {trial.adapter}/{trial.candidate} --actor WHO --reason WHY"
    return {
        **followed.as_json(judgement),
        "act": decision.act.value,
        "decision": decision.reason,
        "waits_for": decision.waits_for,
        "command": approve if decision.waits_for == APPROVAL else None,
        "error": None,
    }
