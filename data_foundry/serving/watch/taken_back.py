"""What was taken back, as it is shown: why, on which figures, and whether a person admitted it since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_foundry.finetuning.versions.registry import Stage, Version
from data_foundry.finetuning.versions.registry_history import RESTORED, HistoryEntry
from data_foundry.serving.admission import ADMITTED
from data_foundry.serving.trials.followed import TRIAL
from data_foundry.serving.trials.standing import TRIED
from data_foundry.serving.watch.trials_seen import seen_in

ROLLED_BACK = "rolled back: "
"""How a gateway's reason begins, which says it twice where it is told as that of a rollback."""


def taken_back(versions: Sequence[Version], history: Sequence[HistoryEntry]) -> dict[str, Any] | None:
    """Return an adapter's version that was taken back last, as long as nothing was tried or promoted since.

    What the rollback itself put back in its place is neither. `reason` is the rollback's own, whatever was noted of the
    version since; "admitted" says who admitted it anew, as long as that counts (see `admission`), and "trial" is what
    the calls said when a gateway took it back.
    """
    taken = {version.version: version for version in versions if version.stage is Stage.ROLLED_BACK}
    admitted: dict[str, str] = {}
    for entry in reversed(history):
        on = taken.get(entry.version)
        if on and entry.evidence.get(ADMITTED) == [on.artefact_hash, on.evaluation_hash]:
            admitted.setdefault(entry.version, entry.reason)
        if entry.from_stage == entry.to_stage:
            continue
        if entry.to_stage == Stage.ROLLED_BACK and entry.version in taken:
            return {
                "version": entry.version,
                "since": entry.at,
                "by": entry.actor,
                "reason": entry.reason.removeprefix(ROLLED_BACK),
                "admitted": admitted.get(entry.version),
                "trial": seen_in(entry.evidence.get(TRIAL)),
            }
        if entry.to_stage in TRIED and entry.event != RESTORED:
            return None
    return None
