"""Held-out rows that the making of a version reads once, and only after the adapter that they measure is written.

Whoever looks at test rows while there is still something to choose tunes on them. So the way to the test files leads
through an object that asks for the adapter's files, opens once, and can say afterwards whether they are still the same.

That holds for the making of a version. Once it is published and in the shadow, test rows are read again, as calls: the
replay of serving plays them to it and to what answers callers. That can take a version back, but chooses no weights.
"""

from __future__ import annotations

from pathlib import Path

from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.version_files import PHONE
from data_foundry.lake import Lake, Layer, fingerprint, sha256_file

SPLITS = ("test", PHONE)
WEIGHTS = "adapter_model.safetensors"


class HeldOut:
    """The test splits of one engine's gold, for one version, until it is published.

    `opened_after` is the hash of the adapter that they were opened for, None while they are closed.
    """

    def __init__(self, lake: Lake, engine: str) -> None:
        self._lake, self._engine = lake, engine
        self._adapter: Path | None = None
        self.opened_after: str | None = None

    def open(self, adapter: Path) -> dict[str, list[Path]]:
        """Return the verified files of test and of its phone version, empty where gold has no such split.

        `adapter` is the folder that the trained adapter was written to. Raises FoundryError when it holds no weights
        yet, and when the splits were opened before.
        """
        if self.opened_after is not None:
            raise FoundryError(
                f"The held-out rows of {self._engine} were opened already, for the adapter "
                f"{self.opened_after[:12]}: a second look would choose by them.",
                "Measure everything at the one look, or train another version.",
            )
        if not (adapter / WEIGHTS).is_file():
            raise FoundryError(
                f"The held-out rows of {self._engine} stay closed: no adapter is written in {adapter} yet.",
                "Train first; what is chosen during training is chosen on validation rows.",
            )
        self._adapter, self.opened_after = adapter, adapter_hash(adapter)
        return {split: self._lake.files(Layer.GOLD, self._engine, under=split, hashed=True) for split in SPLITS}

    def check_unchanged(self) -> None:
        """Raise FoundryError when the adapter is not the one that the rows were opened for, byte for byte."""
        if self._adapter is None or adapter_hash(self._adapter) != self.opened_after:
            raise FoundryError(
                f"The adapter of {self._engine} is not the one that its held-out rows were opened for.",
                "Nothing may be trained after the test; run phase 4 again.",
            )


def adapter_hash(folder: Path) -> str:
    """Return one hash over the names and bytes of all files of an adapter."""
    return fingerprint([(path.name, sha256_file(path)) for path in sorted(folder.iterdir()) if path.is_file()])


def earlier_versions_on(lake: Lake, row_ids_hash: str, version: str) -> int:
    """Return how many other published versions were measured on exactly these rows.

    Choosing among versions by one test set, again and again, fits that set: the more looks, the less a gain means.
    """
    return sum(
        manifest.name != version and manifest.details.get("evaluation", {}).get("row_ids_hash") == row_ids_hash
        for manifest in lake.manifests(Layer.MODELS)
    )
