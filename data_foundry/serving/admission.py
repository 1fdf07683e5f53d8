"""Admission: a person lets a version hear calls that its gates could not decide on, or that was taken back.

The registry keeps who and why. An admission counts for the weights and the evaluation that the person saw, and until
the version is taken back: after another evaluation, or a rollback, it is asked anew.
"""

from __future__ import annotations

import unicodedata

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import REGISTRATIONS, REPLACED_BY, HistoryEntry
from data_foundry.finetuning.versions.version_files import version_hashes
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.serving.registry_backup import back_up
from data_foundry.serving.shell_command import shell_command

ACTOR, GATEWAY = "phase4", "gateway"
MACHINES = frozenset({ACTOR, GATEWAY})
"""Who moves a version where no person does: phase 4, and the gateways, on the evidence of calls."""
ADMITTED = "admitted"
DISTURBING = frozenset({"Cc", "Cs", "Zl", "Zp"})
TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Unicode's categories and bidirectional classes; joiners (Cf), which Malayalam is written with, are none of them."""
REFUSED, INCONCLUSIVE = "refused", "inconclusive"
"""What becomes of a version that did not pass: kept out for good, or until a person admits it."""


def admit(settings: Settings, engine: str, version: str, *, actor: str, reason: str) -> Version:
    """Record that a person admits a version to the shadow; the next phase 4 lets it hear calls.

    That is an inconclusive one, or one that was taken back and did not fail its gates. Raises FoundryError for any
    other (one that failed stays refused), and where what lies in its folder is not what was registered.
    """
    actor, reason = check_person("An admission", actor, reason)
    lake = Lake(settings)
    registry = Registry(lake)
    known = registry.version(engine, version)
    if known is None:
        raise FoundryError(
            f"No version {engine}/{version} is registered.",
            f"{shell_command(settings, 'models list')} shows those that are.",
        )
    model = lake.manifest(Layer.MODELS, f"{engine}/{version}")
    if model is None or version_hashes(model) != (known.artefact_hash, known.evaluation_hash):
        raise FoundryError(
            f"What lies in models/{engine}/{version} is not what was registered.",
            "Run phase 4, which registers it as it is, then look at it again.",
        )
    verdict = model.details["verdict"]
    left = taken_back(registry, known)
    if verdict != INCONCLUSIVE and not (verdict == "pass" and left):
        why = {"fail": "its gates refused it, and a refused version stays refused", "pass": "it passed its gates"}
        raise FoundryError(
            f"{engine}/{version} can't be admitted: {why[verdict]}.",
            "Only what no gate could decide, or what was taken back.",
        )
    if known.stage in (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION):
        raise FoundryError(f"{engine}/{version} is in {known.stage} already.", "There is nothing to admit it to.")
    evidence = {
        ADMITTED: [known.artefact_hash, known.evaluation_hash],
        "gates": [gate for gate in model.details["gates"] if gate["verdict"] != "pass"],
    }
    again = " after it was taken back" if left else ""
    said = f"{actor} admitted it{again}: {reason}"
    admitted = registry.note(engine, version, actor=actor, reason=said, evidence=evidence)
    back_up(registry)
    return admitted


def check_person(what: str, actor: str, reason: str) -> tuple[str, str]:
    """Return who decides and why as the history keeps it, without the blanks around it.

    Raises FoundryError where a decision names nobody, no reason, or a machine in place of a person, and for what is not
    plain text on one line: it is shown in tables and logs.
    """
    actor, reason = actor.strip(), reason.strip()
    if not actor or not reason:
        raise FoundryError(f"{what} names who decides and why.", "Give --actor NAME and --reason TEXT.")
    if actor.casefold() in MACHINES:
        raise FoundryError(f"{actor} is no person: it is what moves versions by itself.", "Give the name of a person.")
    for name, text in (("actor", actor), ("reason", reason)):
        if wrong := next((each for each in text if _disturbs(each)), None):
            raise FoundryError(f"--{name} holds {wrong!a}, which is no text.", "Write it on one line.")
    return actor, reason


def _disturbs(character: str) -> bool:
    """Say whether a character ends a line, steers a terminal, turns the order of letters, or is not Unicode at all."""
    return unicodedata.category(character) in DISTURBING or unicodedata.bidirectional(character) in TURNING


def admission_of(registry: Registry, version: Version, hashes: tuple[str, str] | None = None) -> HistoryEntry | None:
    """Return the latest admission of a version with these hashes (weights, evaluation), or None.

    Without `hashes` those that it is registered with are meant. One of before the version was taken back counts no
    more.
    """
    wanted = list(hashes or (version.artefact_hash, version.evaluation_hash))
    for entry in reversed(registry.history(version.engine, version.version)):
        if entry.evidence.get(ADMITTED) == wanted:
            return entry
        if _takes_back(entry):
            return None
    return None


def taken_back(registry: Registry, version: Version) -> HistoryEntry | None:
    """Return the entry that took a version back, where that stands: only other weights or an admission undo it.

    A version is taken back by a person who rolls it back or retires it, and by phase 4 or a gateway when it did harm.
    One that phase 4 retired because of a setting, or that retired for a newer one, is not. What befell other weights
    under the same name in between is theirs: those that come back come back as they left.
    """
    wanted = [version.artefact_hash, version.evaluation_hash]
    weights, left = None, None
    for entry in registry.history(version.engine, version.version):
        if entry.event in REGISTRATIONS:
            weights = entry.evidence.get("artefact_hash", weights)
        elif entry.evidence.get(ADMITTED) == wanted:
            left = None
        elif entry.from_stage != entry.to_stage and weights == version.artefact_hash:
            left = entry if _takes_back(entry) else None
    return left


def _takes_back(entry: HistoryEntry) -> bool:
    for_another = REPLACED_BY in entry.evidence
    by_a_person = entry.to_stage == Stage.RETIRED and entry.actor not in MACHINES and not for_another
    return entry.event == "moved" and (entry.to_stage == Stage.ROLLED_BACK or by_a_person)


def standing(registry: Registry, version: Version, model: Manifest) -> tuple[str | None, str]:
    """Return REFUSED, INCONCLUSIVE or None (it may be heard), and why, by its gates and a person's admission."""
    verdict = model.details["verdict"]
    if verdict == "pass":
        return None, "passed its gates"
    if verdict == INCONCLUSIVE and (admitted := admission_of(registry, version)):
        return None, admitted.reason
    against = [f"{gate['gate']}: {gate['reason']}" for gate in model.details["gates"] if gate["verdict"] == verdict]
    name = f"{version.engine}/{version.version}"
    start = "refused" if verdict == "fail" else f"not decided, a person must look (models admit {name})"
    why = f"{start}: {'; '.join(against) or 'no gate was measured'}"
    return (REFUSED if verdict == "fail" else INCONCLUSIVE), why


def to_a_person(stage: Stage, model: Manifest) -> str:
    """Return that a version answers callers, and what its gates say against it where they don't pass it."""
    said = f"it is in {stage}: a person decides from there"
    verdict = model.details["verdict"]
    if verdict == "pass":
        return said
    against = [f"{gate['gate']}: {gate['reason']}" for gate in model.details["gates"] if gate["verdict"] == verdict]
    return f"{said}; its gates now say {verdict}: {'; '.join(against) or 'no gate was measured'}"


def why_left(left: HistoryEntry) -> str:
    """Return why a version that was taken back stays out, and what would let it in."""
    who = "it did harm and was taken back" if left.actor in MACHINES else f"a person took it back: {left.actor}"
    admit = f"models admit {left.engine}/{left.version}"
    return f"{who}: {left.reason}; only other weights or a person ({admit}) bring it back"
