"""Every version of every adapter, as its files, its registration, its history and its deployment tell of it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data_foundry.adapter_name import is_of
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.registry_history import HistoryEntry
from data_foundry.finetuning.versions.version_files import ADAPTER, CALIBRATION, EVALUATION, version_hashes
from data_foundry.lake import Lake, Layer, Manifest

DEPLOYMENT = "-deployment"
UNREGISTERED = "published, and not registered yet: run phase 4 again"
SHOWN = 12


@dataclass(frozen=True)
class VersionRecord:
    """All that is known of one version; `model` is its manifest, None where its files are gone or can't be read."""

    name: str
    registered: Version | None
    model: Manifest | None
    deployment: Manifest | None
    history: tuple[HistoryEntry, ...]

    @property
    def adapter(self) -> str:
        return self.name.partition("/")[0]

    @property
    def version(self) -> str:
        return self.name.partition("/")[2]

    @property
    def details(self) -> dict[str, Any]:
        return self.model.details if self.model else {}

    def as_json(self) -> dict[str, Any]:
        """Return everything, JSON-like: what is registered, the manifest, the deployment, and the history."""
        return {
            "name": self.name,
            "registered": asdict(self.registered) if self.registered else None,
            "manifest": self.model.model_dump(mode="json") if self.model else None,
            "deployment": self.deployment.details if self.deployment else None,
            "history": [asdict(entry) for entry in self.history],
        }


def version_names(lake: Lake, wished: Sequence[str] = ()) -> list[str]:
    """Return "<adapter>/<version>" of all that is registered or published, oldest change first; of what was never
    registered last. `wished` names adapters, an engine standing for its variants too; empty: all."""
    registered = [f"{each.engine}/{each.version}" for each in Registry(lake).versions()]
    published = [name for name in lake.names(Layer.MODELS) if not name.endswith(DEPLOYMENT)]
    names = dict.fromkeys([*registered, *published])
    return [name for name in names if not wished or any(is_of(name.partition("/")[0], each) for each in wished)]


def version_record(lake: Lake, name: str) -> VersionRecord:
    """Return what is known of the version with exactly this name."""
    adapter, _, version = name.partition("/")
    registry = Registry(lake)
    return VersionRecord(
        name,
        registry.version(adapter, version),
        lake.readable(Layer.MODELS, name),
        lake.readable(Layer.MODELS, f"{name}{DEPLOYMENT}"),
        tuple(registry.history(adapter, version)),
    )


def find_version(lake: Lake, wished: str) -> VersionRecord:
    """Return the version that a person names: "nlu/eae4383689ca", a start of it such as "nlu/eae" or "eae", or "nlu"
    where it has one version. Raises FoundryError with what comes near where none or several are meant."""
    names = version_names(lake)
    adapter, slash, start = wished.partition("/")
    if wished in names:
        return version_record(lake, wished)
    if slash:
        meant = [name for name in names if start and name.startswith(wished)]
    else:
        meant = [name for name in names if name.startswith(f"{wished}/")]
        meant = meant or [name for name in names if adapter and name.partition("/")[2].startswith(adapter)]
    if len(meant) == 1:
        return version_record(lake, meant[0])
    if meant:
        raise FoundryError(f"{wished} names {len(meant)} versions.", f"Give more of one: {_shown(meant)}.")
    if not names:
        raise FoundryError(f"There is no version {wished}: nothing is registered.", "Run phase 4 first.")
    near = difflib.get_close_matches(wished, names, n=3, cutoff=0.5)
    near += [name for name in names if name.startswith(f"{adapter}/") and name not in near]
    said = f"Did you mean {_shown(near)}?" if near else f"There are {_shown(names)}."
    raise FoundryError(f"There is no version {wished}.", said)


def version_entry(record: VersionRecord) -> dict[str, Any]:
    """Return one line on a version: how far it has come, its primary score with the interval, and its verdict."""
    registered, details = record.registered, record.details
    score = details.get("measures", {}).get("score", {}).get("adapted", {})
    value, low, high = (score.get(which) for which in ("value", "low", "high"))
    return {
        "name": record.adapter,
        "version": record.version,
        "stage": registered.stage.value if registered else None,
        "score": None if value is None else round(value, 6),
        "interval": None if low is None or high is None else [round(low, 6), round(high, 6)],
        "rows": details.get("rows", {}).get("test"),
        "verdict": details.get("verdict"),
        "since": registered.stage_since if registered else None,
        "reason": registered.reason if registered else UNREGISTERED,
        **({} if record.model else {"fault": "its files are gone or can't be read: see verify"}),
    }


def files_fault(lake: Lake, version: Version, *, hashed: bool = True) -> str | None:
    """Return why a version's weights, evaluation and calibration are not those that were registered; None if they are.

    Their bytes are read and hashed; without `hashed` only what the manifest says of them, and their sizes.
    """
    name = f"{version.engine}/{version.version}"
    try:
        model = lake.manifest(Layer.MODELS, name)
        if model is None:
            return f"the files of {name} are gone"
        if version_hashes(model) != (version.artefact_hash, version.evaluation_hash):
            return f"what lies in models/{name} is not what was registered"
        for part in (ADAPTER, EVALUATION, CALIBRATION):
            lake.files(Layer.MODELS, name, under=part, hashed=hashed)
    except FoundryError as error:
        return error.message
    except OSError as error:
        return str(error)
    return None


def registry_faults(lake: Lake) -> list[str]:
    """Return what is wrong with the registry, as sentences: its history, and where it and the files disagree.

    The files of a version that is heard or answers must be there; those of any other may be gone.
    """
    registry = Registry(lake)
    wrong = registry.verify_history()
    for version in registry.versions():
        name = f"{version.engine}/{version.version}"
        model = lake.readable(Layer.MODELS, name)
        if model is None:
            if version.stage in (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION):
                wrong.append(f"{name} is in {version.stage}, and its files are gone or can't be read")
            continue
        weights, evaluation = version_hashes(model)
        if weights != version.artefact_hash:
            registered = version.artefact_hash[:12]
            wrong.append(f"{name} is registered with weights {registered}, published are others: {weights[:12]}")
        elif evaluation != version.evaluation_hash:
            wrong.append(f"{name} was evaluated again since it was registered: phase 4 was cut off, run it again")
    return wrong


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
