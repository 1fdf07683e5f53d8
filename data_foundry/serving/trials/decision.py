"""Decision: what a judgement of a trial leads to, by the settings, the approval and the places that are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Check, Conflict, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry, replayed
from data_foundry.serving.trials.approval import Approval, approval_of, still
from data_foundry.serving.trials.judgement import Judgement
from data_foundry.serving.trials.trial import BASE, Trial
from data_foundry.serving_settings import Rollout


class Act(StrEnum):
    """What is to be done. NOTE: harm is written down once, because the settings forbid to take the version back."""

    HOLD = "hold"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    NOTE = "note"


@dataclass(frozen=True)
class Decision:
    """What is to be done about a trial, and why. `waits_for`: what a HOLD waits for, None where for nothing.

    "approval" is a person's; anything else is a sentence.
    """

    act: Act
    reason: str
    waits_for: str | None = None
    to_stage: Stage | None = None
    approval: Approval | None = None


APPROVAL = "approval"
AFTER_HARM = "a rollback, and a person who admits it anew (models admit)"
"""What a trial waits for whose candidate did harm that the settings forbade to undo."""
COUNTING = "calls that were kept before are still to be counted"
HARM = "harm"
"""In the evidence of a note: the trial that found harm which the settings forbid to undo."""


def decide(
    settings: Settings,
    trial: Trial,
    judgement: Judgement,
    versions: Sequence[Version],
    history: Sequence[HistoryEntry],
) -> Decision:
    """Return what a judgement leads to. `versions` are the adapter's, and `history` holds the candidate's; reads no
    clock but the approval's, and writes nothing."""
    if trial.source != "live":
        return Decision(Act.HOLD, f"{judgement.verdict}: {judgement.reason}; replayed calls move nothing")
    noted = harm_noted(history, trial)
    if judgement.verdict == "fail":
        if settings.deployment.rollback_enabled:
            return Decision(Act.ROLL_BACK, judgement.reason)
        why = "it does harm, because deployment.rollback_enabled is false"
        return Decision(Act.NOTE, f"{why}: {judgement.reason}{f'; noted at {noted.at}' if noted else ''}")
    if trial.stage is Stage.PRODUCTION:
        return Decision(Act.HOLD, f"it answers callers, and goes on being compared with {trial.incumbent}")
    if noted is not None:
        why = f"it did harm at this stage, noted at {noted.at}: {noted.reason}"
        return Decision(Act.HOLD, why, waits_for=AFTER_HARM)
    if judgement.verdict != "pass":
        return Decision(Act.HOLD, judgement.reason, waits_for=judgement.reason)
    if not settings.deployment.shadow_testing:
        why = "deployment.shadow_testing is false: nothing is promoted"
        return Decision(Act.HOLD, why, waits_for=why)
    if trial.stage is Stage.SHADOW:
        there = [v.version for v in versions if v.stage is Stage.STAGING and v.version != trial.candidate]
        if there:
            why = f"its calls speak for it, and {there[-1]} is in staging: that is approved or rolled back first"
            return Decision(Act.HOLD, why, waits_for=why)
        return Decision(Act.PROMOTE, judgement.reason, to_stage=Stage.STAGING)
    (version,) = (v for v in versions if v.version == trial.candidate)
    approval, why = approval_of(history, version, settings.rollout)
    if approval is None:
        return Decision(Act.HOLD, f"its calls speak for it; {why}", waits_for=APPROVAL)
    return Decision(Act.PROMOTE, f"{judgement.reason}; {why}", to_stage=Stage.PRODUCTION, approval=approval)


def while_counting(decision: Decision) -> Decision:
    """Return what a decision comes to before all that is kept was counted: harm that showed stays, all else waits."""
    if decision.act in (Act.ROLL_BACK, Act.NOTE):
        return decision
    return Decision(Act.HOLD, COUNTING, waits_for=COUNTING)


def harm_noted(history: Sequence[HistoryEntry], trial: Trial) -> HistoryEntry | None:
    """Return the note of harm that a candidate did since it came to its stage, whatever it was tried against."""
    for entry in reversed(history):
        if (entry.engine, entry.version) != (trial.adapter, trial.candidate):
            continue
        if HARM in entry.evidence:
            return entry
        if entry.from_stage != entry.to_stage:
            return None
    return None


def unchanged(trial: Trial, approval: Approval | None, version: Version, rollout: Rollout) -> Check:
    """Return a check that stops a promotion with a Conflict where what it rests on does not stand any more.

    That is: what answers callers is what the candidate was tried against, no harm was noted, and the approval counts,
    where one is needed.
    """

    def check(entries: Sequence[HistoryEntry]) -> None:
        rows = replayed(entries)
        serving = next((name for (_, name), row in rows.items() if row["stage"] == Stage.PRODUCTION), BASE)
        if serving != trial.incumbent:
            raise Conflict(f"{serving} answers callers by now, not {trial.incumbent}.", "Look again.")
        if noted := harm_noted(entries, trial):
            raise Conflict(f"Harm was noted meanwhile: {noted.reason}", "Look again.")
        if approval is not None:
            still(approval, version, rollout)(entries)

    return check
