"""A commit: one all-or-nothing change of a folder in the lake."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.lake.durable import fsync, make_folder, naming, sha256_file
from data_foundry.lake.manifest import LakeFile, Layer, Manifest
from data_foundry.lake.publication import publish, staging_folder

if TYPE_CHECKING:
    from data_foundry.lake.lake import Lake


class Commit:
    """One all-or-nothing change of a folder in the lake."""

    def __init__(self, lake: Lake, layer: Layer, name: str, key: str) -> None:
        self.lake, self.layer, self.name, self.key = lake, layer, name, key
        self.folder = lake.folder(layer, name)
        self.staging = staging_folder(self.folder)
        self._kept: list[LakeFile] = []
        self._adopted: dict[str, str] = {}

    def path(self, relative: str) -> Path:
        """Return where to write a file of this commit; its folder exists."""
        make_folder(self.folder)
        path = self.staging / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def keep(self, file: LakeFile) -> None:
        """Carry a file that the previous manifest lists over to this commit, untouched."""
        self._kept.append(file)

    def adopt(self, source: Path, relative: str, sha256: str) -> None:
        """Take over a file whose sha256 was just verified, so that publishing does not hash it again.

        It is linked, and stays where it is too; where links can't be made it is copied and the copy is hashed.
        Raises FoundryError when the copy has another hash.
        """
        target = self.path(relative)
        try:
            os.link(source, target)
        except OSError:
            with naming(target):
                shutil.copyfile(source, target)
            if sha256_file(target) != sha256:
                raise FoundryError(
                    f"{target} was copied from {source}, and its bytes differ.",
                    "Check the disk, then run again; nothing was published.",
                ) from None
        self._adopted[relative] = sha256

    def publish(
        self,
        *,
        rows: Mapping[str, int] | None = None,
        inputs: Mapping[str, str] | None = None,
        rule_sets: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        rows_in: int = 0,
        rows_out: int = 0,
        rejected: Mapping[str, int] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Fsync and rename every staged file, write the manifest, sweep what it does not list; return it.

        `rows` gives rows per relative path. Raises FoundryError when rows_in != rows_out + rejected, and when a file
        that was staged or kept is not there.
        """
        refused = {reason: count for reason, count in sorted((rejected or {}).items()) if count}
        if rows_in != rows_out + sum(refused.values()):
            raise FoundryError(
                f"{self.name}: {rows_in} rows in, but {rows_out} out and {sum(refused.values())} rejected {refused}.",
                "This is a defect of the step, nothing was published; please report it.",
            )
        files = [*self._kept_files(), *self._staged_files(rows or {})]
        self._check_that_none_vanished({*(rows or {}), *self._adopted}, files)
        manifest = Manifest(
            layer=self.layer,
            name=self.name,
            key=self.key,
            inputs=dict(inputs or {}),
            rule_sets=dict(rule_sets or {}),
            settings=dict(settings or {}),
            files=tuple(sorted(files, key=lambda file: file.path)),
            rows_in=rows_in,
            rows_out=rows_out,
            rejected=refused,
            details=dict(details or {}),
        )
        make_folder(self.staging)
        publish(self.folder, self.staging, manifest, read_back=self.lake.storage.type == "shared")
        self.lake.back_up(self.layer, self.name)
        return manifest

    def _staged_files(self, rows: Mapping[str, int]) -> list[LakeFile]:
        files = []
        for source in sorted(path for path in self.staging.rglob("*") if path.is_file()):
            relative = source.relative_to(self.staging).as_posix()
            fsync(source)
            sha256 = self._adopted.get(relative) or sha256_file(source)
            files.append(LakeFile(path=relative, sha256=sha256, bytes=source.stat().st_size, rows=rows.get(relative)))
        return files

    def _kept_files(self) -> list[LakeFile]:
        """The kept files that are there."""
        there = [file for file in self._kept if (self.folder / file.path).is_file()]
        return [file for file in there if (self.folder / file.path).stat().st_size == file.bytes]

    def _check_that_none_vanished(self, expected: set[str], files: list[LakeFile]) -> None:
        lost = (expected | {file.path for file in self._kept}) - {file.path for file in files}
        if lost:
            raise FoundryError(
                f"{self.name}: {', '.join(sorted(lost))} vanished before publication; nothing was published.",
                "Another process works on this lake without its lock; end it and run again.",
            )
