"""Checkpoints of a training: each complete or not there, each of exactly one training.

Whatever writes into a checkpoint's folder need not be careful: it writes beside the checkpoint's place, then every file
is fsynced and hashed, then the folder gets its name. A killed or a full disk leaves a folder without a seal, which
the next run removes.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data_foundry.errors import FoundryError
from data_foundry.finetuning.training.memory import is_out_of_memory
from data_foundry.lake.durable import fsync, fsync_folder, make_folder, sha256_file, storage_error, write_through

SEAL = "complete.json"
KEY_DIGITS = 12
KEPT = 2
"""How many checkpoints are kept: the last, and the one before it in case the last one's files are damaged."""
UNFINISHED_DAYS = 14
"""How long an interrupted training that is no longer asked for is kept, since it was last written to."""
SECONDS_A_DAY = 86_400
TRAINING = "training"
log = logging.getLogger("data_foundry")


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of the training that `key` names, under `work`; those of any other key are none of its."""

    work: Path
    key: str

    @property
    def folder(self) -> Path:
        return self.work / self.key[:KEY_DIGITS]

    def latest(self) -> Path | None:
        """Return the last complete checkpoint of this training, and remove its damaged ones."""
        for other in sorted(self.work.glob("*/step-*")):
            if other.parent != self.folder:
                log.warning("%s: not taken up, it belongs to a training of other rows, settings or libraries", other)
        found = sorted(self.folder.glob("step-*"), reverse=True)
        chosen = None
        for place in found:
            fault = _fault(place, self.key)
            if fault:
                log.warning("%s: %s; it is not used", place, fault)
                shutil.rmtree(place)
            elif chosen is None:
                chosen = place
        return chosen

    def staging(self, step: int) -> Path:
        """Return where a checkpoint is written before it counts."""
        return self.folder / f"writing-{step:08d}"

    @contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """Give an empty folder to write a checkpoint into; without an error inside, it counts from then on.

        Raises FoundryError when the disk takes no more; the checkpoints before it stay as they are.
        """
        make_folder(self.folder)
        for left in self.folder.glob("writing-*"):
            shutil.rmtree(left)
        place = self.staging(step)
        try:
            place.mkdir()
            yield place
            self._seal(place, step)
        except BaseException as error:
            shutil.rmtree(place, ignore_errors=True)
            _tell_full_disk(error, self.folder)
            raise
        for older in sorted(self.folder.glob("step-*"))[:-KEPT]:
            shutil.rmtree(older)

    def _seal(self, place: Path, step: int) -> None:
        files = sorted(path for path in place.iterdir() if path.is_file())
        for path in files:
            fsync(path)
        content = {"key": self.key, "step": step, "files": {path.name: sha256_file(path) for path in files}}
        write_through(place / SEAL, json.dumps(content, indent=1, sort_keys=True) + "\n")
        fsync_folder(place)
        target = self.folder / f"step-{step:08d}"
        if target.exists():
            shutil.rmtree(target)
        place.rename(target)
        fsync_folder(self.folder)


def _fault(place: Path, key: str) -> str:
    """Return why a checkpoint can't be used, or nothing."""
    try:
        seal = json.loads((place / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it was never completed"
    if seal.get("key") != key:
        return "it belongs to another training"
    for name, expected in seal["files"].items():
        file = place / name
        if not file.is_file() or sha256_file(file) != expected:
            return f"its {name} is damaged"
    return ""


def _tell_full_disk(error: BaseException, folder: Path) -> None:
    """Raise FoundryError for a disk that takes no more.

    torch and safetensors put that into errors of their own, in many words ("iostream error", "unexpected pos"), and
    have nothing else to raise while they write.
    """
    from safetensors import SafetensorError

    told = storage_error(error, folder) if isinstance(error, OSError) else None
    if isinstance(error, RuntimeError | SafetensorError) and not is_out_of_memory(error):
        told = FoundryError(
            f"A checkpoint can't be written into {folder}: {str(error).splitlines()[0]}",
            "Free space on that disk, or choose another with --base-path DIR; the same command then goes on.",
        )
    if told is not None:
        raise told from error


def work_folder(base_path: Path, name: str) -> Path:
    """Return where the training of a version is kept until it is done; `name` is such as "stt-1a2b3c4d5e6f"."""
    return base_path / TRAINING / name


def clear_work(base_path: Path, name: str) -> None:
    """Remove what a published version no longer needs to be trained."""
    shutil.rmtree(work_folder(base_path, name), ignore_errors=True)
    folder = base_path / TRAINING
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def sweep_work(base_path: Path, adapter: str, keep: str) -> None:
    """Say which interrupted trainings of an adapter lie there besides `keep`, and remove the long abandoned."""
    folder = base_path / TRAINING
    others = sorted(folder.glob(f"{adapter}-*")) if folder.is_dir() else []
    for other in others:
        # A version is 12 digits: "stt-..." is not "stt.malabar-...", and neither is "nlu-..." of another adapter.
        if other.name == keep or other.name.rpartition("-")[0] != adapter:
            continue
        files = [path for path in other.rglob("*") if path.is_file()]
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        days = (time.time() - max(path.stat().st_mtime for path in [other, *files])) / SECONDS_A_DAY
        if days > UNFINISHED_DAYS:
            log.info("%s: an interrupted training of %.0f days ago removed (%.1f MB)", other, days, megabytes)
            shutil.rmtree(other)
        else:
            log.info(
                "%s: an interrupted training with other gold or settings (%.1f MB); it goes on when they come back, "
                "and is removed when it is %d days old",
                other, megabytes, UNFINISHED_DAYS,
            )  # fmt: skip
