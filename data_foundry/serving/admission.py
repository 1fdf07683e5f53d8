"""Admission: a person lets a version hear calls whose gates could not decide, and the registry keeps who and why.

An admission counts for the weights and the evaluation that the person saw. After another evaluation it is asked anew.
"""

from __future__ import annotations

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.finetuning.versions.version_files import version_hashes
from data_foundry.lake import Lake, Layer, Manifest

ADMITTED = "admitted"
REFUSED, INCONCLUSIVE = "refused", "inconclusive"
"""What becomes of a version that did not pass: kept out for good, or until a person admits it."""


def admit(settings: Settings, engine: str, version: str, *, actor: str, reason: str) -> Version:
    """Record that a person admits an inconclusive version to the shadow; the next phase 4 lets it hear calls.

    Raises FoundryError for a version that is not registered or not inconclusive (one that failed stays refused), and
    where what lies in its folder is not what was registered.
    """
    if not actor.strip() or not reason.strip():
        raise FoundryError("An admission names who decides and why.", "Give --actor NAME and --reason TEXT.")
    lake = Lake(settings)
    registry = Registry(lake)
    known = registry.version(engine, version)
    if known is None:
        raise FoundryError(
            f"No version {engine}/{version} is registered.", "python -m data_foundry models list shows those that are."
        )
    model = lake.manifest(Layer.MODELS, f"{engine}/{version}")
    if model is None or version_hashes(model) != (known.artefact_hash, known.evaluation_hash):
        raise FoundryError(
            f"What lies in models/{engine}/{version} is not what was registered.",
            "Run phase 4, which registers it as it is, then look at it again.",
        )
    verdict = model.details["verdict"]
    if verdict != INCONCLUSIVE:
        why = {"fail": "its gates refused it, and a refused version stays refused", "pass": "it passed its gates"}
        raise FoundryError(f"{engine}/{version} can't be admitted: {why[verdict]}.", "Only what no gate could decide.")
    if known.stage in (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION):
        raise FoundryError(f"{engine}/{version} is in {known.stage} already.", "There is nothing to admit it to.")
    evidence = {
        ADMITTED: [known.artefact_hash, known.evaluation_hash],
        "gates": [gate for gate in model.details["gates"] if gate["verdict"] != "pass"],
    }
    return registry.note(engine, version, actor=actor, reason=f"{actor} admitted it: {reason}", evidence=evidence)


def admission_of(registry: Registry, version: Version, hashes: tuple[str, str] | None = None) -> HistoryEntry | None:
    """Return the latest admission of a version with these hashes (weights, evaluation), or None.

    Without `hashes` those that it is registered with are meant.
    """
    wanted = list(hashes or (version.artefact_hash, version.evaluation_hash))
    entries = registry.history(version.engine, version.version)
    return next((entry for entry in reversed(entries) if entry.evidence.get(ADMITTED) == wanted), None)


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
