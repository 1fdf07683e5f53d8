"""What is to be loaded so that a version, or the base in its place, answers: checked against what was registered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_foundry.config import Settings
from data_foundry.engines.adapters import adapters, spec_of
from data_foundry.engines.spec import EngineSpec, Task
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.calibration import served_temperature
from data_foundry.finetuning.evaluation.predict import read_labels
from data_foundry.finetuning.versions.registry import Stage, Version
from data_foundry.finetuning.versions.version_files import ADAPTER, CALIBRATION, PROBE, version_hashes
from data_foundry.hub import model_folder, model_revision
from data_foundry.lake import Lake, Layer, Manifest, fingerprint
from data_foundry.serving.calls import NotServed
from data_foundry.serving.trials.trial import BASE
from data_foundry.training_config import TrainingConfig, recorded_config

LABELLED = ("text-classification", "audio-classification")


@dataclass(frozen=True)
class Weights:
    """What answers for an adapter under a version's name: a base, and the folder of what is laid over it.

    `folder` None is the base as it was published; `version` is "base" for that and for the head that training fitted
    on the frozen base. `config` is what the version was trained with. `temperature` calibrates its confidence.
    `artefact_hash` is the registered hash of the adapter's files, which they were checked against, `head_hash` that of
    a head's in their place; `evaluation_hash` that of the evaluation, and the calibration with it.
    """

    adapter: str
    version: str
    task: Task
    config: TrainingConfig
    base_revision: str | None
    base_folder: Path
    folder: Path | None = None
    labels: tuple[str, ...] = ()
    temperature: float | None = None
    artefact_hash: str | None = None
    head_hash: str | None = None
    evaluation_hash: str | None = None

    @property
    def spec(self) -> EngineSpec:
        """The contract that it answers under."""
        return spec_of(self.adapter, self.task)

    @property
    def name(self) -> str | None:
        """Its name among the adapters in memory, unique to its bytes; None: the base alone."""
        if self.folder is None:
            return None
        its_bytes = self.artefact_hash or self.head_hash
        parts = [self.adapter, self.folder.parent.name, self.folder.name, its_bytes, self.temperature]
        # What is loaded becomes a module, whose name can't hold a dot.
        return "-".join(str(part)[:12] for part in parts if part).replace(".", "_")


def version_weights(settings: Settings, lake: Lake, version: Version) -> Weights:
    """Return what a registered version is loaded from, after hashing all of its files.

    Raises FoundryError where they are gone, are not those that were registered, or its base is another by now.
    """
    name = f"{version.engine}/{version.version}"
    manifest = _manifest(lake, version)
    if version_hashes(manifest)[0] != version.artefact_hash:
        raise FoundryError(
            f"The weights in models/{name} are not those that were registered.",
            "Put the registered ones back from a backup, or take the version back.",
        )
    lake.files(Layer.MODELS, name, under=ADAPTER, hashed=True)
    lake.files(Layer.MODELS, name, under=CALIBRATION, hashed=True)
    folder = lake.folder(Layer.MODELS, name)
    return _weights(settings, version, manifest, version.version, folder / ADAPTER, served_temperature(folder))


@dataclass(frozen=True)
class StandIn:
    """What answers in the place of a version: the base that this one was trained on, and the head fitted on it.

    Without a version it is the base that the settings name for the adapter.
    """

    version: Version | None = None
    manifest: Manifest | None = None
    head: bool = False


def stand_in(
    settings: Settings, lake: Lake, adapter: str, versions: Sequence[Version] = (), *, heads: bool = True
) -> StandIn:
    """Return what answers for an adapter where none of its versions does; reads manifests alone, and loads nothing.

    `versions` are the adapter's, those that matter most first: the base is the first one's. A head is taken from a
    version that hears or has heard calls, and only with `heads`. Raises NotServed where the base can't do the task.
    """
    for version in versions:
        manifest = lake.readable(Layer.MODELS, f"{version.engine}/{version.version}")
        if manifest is None:
            continue
        if not _files(manifest, PROBE):
            if version.stage is not Stage.NONE or _task(version, manifest) in LABELLED:
                return StandIn(version, manifest)
        elif version.stage is not Stage.NONE:
            if not heads:
                raise NotServed(
                    f"{adapter} has no version in production, and {version.base} alone can't do its task "
                    "(serving.stand_in_heads lets the head that was fitted on it answer meanwhile)."
                )
            return StandIn(version, manifest, head=True)
    spec = adapters(settings.training).get(adapter)
    if spec is None:
        raise NotServed(f"{adapter} has no version that may answer, and the settings name no base for it.", _TRAIN)
    if spec.task in LABELLED:
        raise NotServed(
            f"{adapter} has no version that may answer, and {spec.training.base} alone knows none of its labels.",
            _TRAIN,
        )
    return StandIn()


def base_weights(
    settings: Settings, lake: Lake, adapter: str, versions: Sequence[Version] = (), *, heads: bool = True
) -> Weights:
    """Return what the `stand_in` of an adapter is loaded from: its base, or a head fitted on that, frozen.

    Raises NotServed where the base can't do the task, and FoundryError where it can't be loaded.
    """
    found = stand_in(settings, lake, adapter, versions, heads=heads)
    if found.version is not None and found.manifest is not None:
        name = f"{found.version.engine}/{found.version.version}"
        if found.head:
            lake.files(Layer.MODELS, name, under=PROBE, hashed=True)
        folder = lake.folder(Layer.MODELS, name) / PROBE if found.head else None
        return _weights(settings, found.version, found.manifest, BASE, folder)
    spec = adapters(settings.training)[adapter]
    config = spec.training
    revision = model_revision(settings, config.base, config.revision)
    return Weights(
        adapter, BASE, spec.task, config, revision, base_folder=model_folder(settings, config.base, config.revision)
    )


_TRAIN = "Run phase 4; a version that passes its gates enters the shadow."


def _weights(
    settings: Settings,
    version: Version,
    manifest: Manifest,
    name: str,
    folder: Path | None = None,
    temperature: float | None = None,
) -> Weights:
    """Return what a version is loaded from, by the configuration that it was trained with."""
    there = model_revision(settings, version.base, version.base_revision)
    if version.base_revision is not None and there != version.base_revision:
        raise FoundryError(
            f"{version.engine}/{version.version} was trained on {version.base} at {version.base_revision}; what is "
            f"there is {there}.",
            "Bring the base back that it was trained on, or train on the new one.",
        )
    return Weights(
        version.engine,
        name,
        _task(version, manifest),
        recorded_config(manifest.details["config"]),
        version.base_revision,
        model_folder(settings, version.base, version.base_revision),
        folder,
        labels=read_labels(folder) if folder else (),
        temperature=temperature,
        artefact_hash=version.artefact_hash if name != BASE else None,
        evaluation_hash=version.evaluation_hash if name != BASE else None,
        head_hash=fingerprint(_files(manifest, PROBE)) if name == BASE and folder else None,
    )


def _task(version: Version, manifest: Manifest) -> Task:
    return spec_of(version.engine, manifest.details.get("task")).task


def _files(manifest: Manifest, folder: str) -> list[tuple[str, str]]:
    return [(file.path, file.sha256) for file in manifest.files if file.path.startswith(f"{folder}/")]


def _manifest(lake: Lake, version: Version) -> Manifest:
    manifest = lake.manifest(Layer.MODELS, f"{version.engine}/{version.version}")
    if manifest is None:
        raise FoundryError(
            f"{version.engine}/{version.version} is registered in {version.stage}, but its files are gone.",
            "Put them back from a backup, or run phase 4 with the settings that it was trained with.",
        )
    return manifest
