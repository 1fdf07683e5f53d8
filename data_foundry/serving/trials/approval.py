"""Approval: a person's word that a version may answer every caller, given on its weights and its evaluation.

It is a note in the registry's chained history. It counts for some days, until somebody revokes it, and as long as
weights and evaluation are the same and the version has not left the way up: what is evaluated again, rolled back or
retired is approved anew. It may be given before the evidence of calls has come; both are needed for production.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Check, Conflict, Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.finetuning.versions.versions import files_fault
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.serving.admission import check_person, standing
from data_foundry.serving.registry_backup import back_up
from data_foundry.serving.shell_command import shell_command
from data_foundry.serving.trials.followed import TRIAL, FollowedTrial
from data_foundry.serving.trials.judgement import unscorable
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving_settings import Rollout

APPROVED, REVOKED = "approved", "revoked"
UNTIL = "until"
# Events after which an approval of before counts no more, and how they are told.
CHANGED = {"evaluated again": "it was evaluated again", "weights changed": "its weights changed"}
APPROVABLE = (Stage.SHADOW, Stage.STAGING)
CLOCKS_DIFFER = timedelta(hours=1)
STILL_ANSWERS = {Stage.STAGING: "a share of the callers", Stage.PRODUCTION: "every caller"}


@dataclass(frozen=True)
class Approval:
    """A person's word that stands; times are UTC, ISO 8601; `hash` is that of its entry in the history."""

    version: str
    approver: str
    reason: str
    at: str
    until: str
    artefact_hash: str
    evaluation_hash: str
    hash: str


def approval_of(entries: Sequence[HistoryEntry], version: Version, rollout: Rollout) -> tuple[Approval | None, str]:
    """Return the approval of a version that stands by its history (oldest first), or None and why there is none."""
    name = f"{version.engine}/{version.version}"
    for entry in reversed(entries):
        if (entry.engine, entry.version) != (version.engine, version.version):
            continue
        if REVOKED in entry.evidence:
            return None, f"{entry.actor} revoked the approval of {name}: {entry.evidence.get('reason', entry.reason)}"
        if entry.event in CHANGED:
            return None, f"nobody has approved {name} since {CHANGED[entry.event]}"
        if entry.from_stage != entry.to_stage and entry.to_stage in (Stage.ROLLED_BACK, Stage.RETIRED):
            return None, f"nobody has approved {name} since it was {entry.to_stage.replace('_', ' ')}"
        if APPROVED in entry.evidence:
            return _standing(entry, version, rollout)
    return None, f"nobody has approved {name}"


def approve(
    settings: Settings, engine: str, version: str, *, actor: str, reason: str
) -> tuple[Approval, dict[str, Any]]:
    """Record a person's approval; return it with what it was given on. Raises FoundryError as `proposal` does."""
    actor, reason = check_person("An approval", actor, reason)
    lake = Lake(settings)
    registry = Registry(lake)
    known, given_on = _proposed(settings, lake, registry, engine, version)
    evidence = {
        APPROVED: [known.artefact_hash, known.evaluation_hash],
        "approver": actor,
        UNTIL: given_on[UNTIL],
        **{name: given_on[name] for name in ("stage", "gates", "score", "trials")},
    }
    said = f"{actor} approved it for production: {reason}"
    evidence["reason"] = reason
    # What was looked at is what is approved: if it changed meanwhile, nothing is.
    registry.note(engine, version, actor=actor, reason=said, evidence=evidence, expected=known)
    back_up(registry)
    entries = registry.history(engine, version)
    given, why = approval_of(entries, known, settings.rollout)
    if given is None:
        raise Conflict(f"{engine}/{version} was approved, and the approval does not stand: {why}.", "Look again.")
    # Somebody else may have approved it since.
    own = next(entry for entry in reversed(entries) if APPROVED in entry.evidence and entry.actor == actor)
    return _recorded(own, settings.rollout), given_on


def proposal(settings: Settings, engine: str, version: str) -> dict[str, Any]:
    """Return what an approval would be given on: hashes, gates, figures, and what the calls say so far. Writes nothing.

    Raises FoundryError for a version that is not in shadow or staging, that its gates did not pass (nor a person
    admitted), or whose files are not those that were registered.
    """
    lake = Lake(settings)
    return _proposed(settings, lake, Registry(lake), engine, version)[1]


def latest_approval(settings: Settings, engine: str, version: str) -> Approval:
    """Return the approval that a revocation takes back: the latest, whether or not it counts still.

    One that expired, or whose version retired, lets a rollback bring the version back all the same. Raises FoundryError
    where there is none, or it was revoked already.
    """
    registry = Registry(Lake(settings))
    known = _registered(settings, registry, engine, version)
    entries = registry.history(engine, version)
    given = next((entry for entry in reversed(entries) if APPROVED in entry.evidence), None)
    if given is None or revoked(entries, known):
        why = approval_of(entries, known, settings.rollout)[1] if given else f"nobody has approved {engine}/{version}"
        hint = goes_on(settings, known) or f"see `{shell_command(settings, f'models show {engine}/{version}')}`"
        raise FoundryError(f"There is no approval to revoke: {why}.", f"{hint[0].upper()}{hint[1:]}.")
    return _recorded(given, settings.rollout)


def revoke(settings: Settings, engine: str, version: str, *, actor: str, reason: str) -> Approval:
    """Take the latest approval of a version back and return it, whatever the version's stage: see `latest_approval`.

    What answers callers goes on; no rollback brings the version back to them. Raises FoundryError.
    """
    actor, reason = check_person("A revocation", actor, reason)
    given = latest_approval(settings, engine, version)
    said = f"{actor} revoked the approval by {given.approver}: {reason}"
    evidence = {REVOKED: given.hash, "reason": reason}
    registry = Registry(Lake(settings))
    registry.note(engine, version, actor=actor, reason=said, evidence=evidence)
    back_up(registry)
    return given


def revoked(entries: Sequence[HistoryEntry], version: Version) -> str | None:
    """Return who revoked the approval of a version, and why, where that is the latest word on it; None otherwise."""
    for entry in reversed(entries):
        if (entry.engine, entry.version) != (version.engine, version.version):
            continue
        if APPROVED in entry.evidence:
            return None
        if REVOKED in entry.evidence:
            return f"{entry.actor} revoked its approval: {entry.evidence.get('reason', entry.reason)}"
    return None


def goes_on(settings: Settings, version: Version) -> str | None:
    """Return that a version goes on answering without its approval, and what ends that; None if it answers nobody."""
    if version.stage not in STILL_ANSWERS:
        return None
    rollback = shell_command(settings, f"rollback {version.engine}/{version.version} --actor WHO --reason WHY")
    return f"it goes on answering {STILL_ANSWERS[version.stage]} in {version.stage}; what stops it is: {rollback}"


def still(given: Approval, version: Version, rollout: Rollout) -> Check:
    """Return a check that stops a move with a Conflict where an approval does not stand any more."""

    def check(entries: Sequence[HistoryEntry]) -> None:
        now_standing, why = approval_of(entries, version, rollout)
        if now_standing != given:
            raise Conflict(f"The approval of {version.engine}/{version.version} stands no more: {why}.", "Look again.")

    return check


def _standing(entry: HistoryEntry, version: Version, rollout: Rollout) -> tuple[Approval | None, str]:
    """Return the approval that an entry records where it counts now, or None and why it does not."""
    approved = entry.evidence[APPROVED]
    for what, was, is_now in zip(
        ("weights", "evaluation"), approved, (version.artefact_hash, version.evaluation_hash), strict=True
    ):
        if was != is_now:
            return None, f"{entry.actor} approved other {what} of {version.version} ({was[:12]}, not {is_now[:12]})"
    found, until, now = _recorded(entry, rollout), _until(entry, rollout), datetime.now(UTC)
    if datetime.fromisoformat(entry.at) > now + CLOCKS_DIFFER:
        return None, f"{entry.actor} approved it at {entry.at}, which is still to come: a clock was wrong"
    if now >= until:
        return None, f"the approval by {entry.actor} expired at {found.until}"
    return found, f"{entry.actor} approved it until {found.until}"


def _recorded(entry: HistoryEntry, rollout: Rollout) -> Approval:
    """Return the approval that an entry records, whether or not it counts."""
    said, (weights, evaluation) = entry.evidence.get("reason", entry.reason), entry.evidence[APPROVED]
    until = _iso(_until(entry, rollout))
    return Approval(entry.version, entry.actor, said, entry.at, until, weights, evaluation, entry.hash)


def _until(entry: HistoryEntry, rollout: Rollout) -> datetime:
    # A setting that was made stricter holds for what was approved before, too.
    given = datetime.fromisoformat(entry.at)
    return min(datetime.fromisoformat(entry.evidence[UNTIL]), given + timedelta(days=rollout.approval_days))


def _proposed(
    settings: Settings, lake: Lake, registry: Registry, engine: str, version: str
) -> tuple[Version, dict[str, Any]]:
    known = _registered(settings, registry, engine, version)
    name = f"{engine}/{version}"
    if known.stage not in APPROVABLE:
        look = shell_command(settings, f"models show {name}")
        raise FoundryError(
            f"{name} is at stage {known.stage}: an approval is for what is on its way to production. Why it is there: "
            f"{known.reason}.",
            f"It must be in {' or '.join(APPROVABLE)}; `{look}` says what it lacks.",
        )
    if fault := files_fault(lake, known):
        look = shell_command(settings, "verify --layer models")
        raise FoundryError(f"{name} can't be approved: {fault}.", f"Run `{look}`.")
    model = lake.manifest(Layer.MODELS, name)
    if model is None:
        raise FoundryError(f"{name} can't be approved: its files are gone.", "Put them back from a backup.")
    refused, why = standing(registry, known, model)
    if refused:
        raise FoundryError(f"{name} can't be approved: {why}.", "Its gates come first; phase 4 judges them again.")
    until = datetime.now(UTC) + timedelta(days=settings.rollout.approval_days)
    given, said = approval_of(registry.history(engine, version), known, settings.rollout)
    return known, {
        "name": name,
        "stage": known.stage.value,
        "artefact_hash": known.artefact_hash,
        "evaluation_hash": known.evaluation_hash,
        UNTIL: _iso(until),
        "verdict": why,
        "gates": [{key: gate.get(key) for key in ("gate", "verdict", "reason")} for gate in model.details["gates"]],
        "score": _score(model),
        "trials": _trials(settings, lake, registry, known),
        "unscorable": unscorable(engine),
        "approved_already": asdict(given) if given else None,
        "approval": said,
    }


def _trials(settings: Settings, lake: Lake, registry: Registry, version: Version) -> list[dict[str, Any]]:
    """Return what calls say of a version: at the stage before, by its history, and at this one so far."""
    moves = [e for e in registry.history(version.engine, version.version) if e.from_stage != e.to_stage]
    earned = moves[-1].evidence.get(TRIAL) if moves else None
    store = TrialStore(lake)
    now_tried = [
        FollowedTrial(trial, settings.rollout).looked_at(store)
        for trial in standing_trials(registry)
        if (trial.adapter, trial.candidate) == (version.engine, version.version)
    ]
    return [*([earned] if earned else []), *now_tried]


def _registered(settings: Settings, registry: Registry, engine: str, version: str) -> Version:
    known = registry.version(engine, version)
    if known is None:
        raise FoundryError(
            f"No version {engine}/{version} is registered.",
            f"{shell_command(settings, 'models list')} shows those that are.",
        )
    return known


def _score(model: Manifest) -> dict[str, Any]:
    """Return the primary figure of the base and of the adapted model, with their difference and intervals."""
    measured: dict[str, Any] = model.details.get("measures", {}).get("score", {})
    return measured


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
