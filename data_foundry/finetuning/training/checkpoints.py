"""Checkpoints of a training: each complete or not there, each of exactly one training.

Whatever writes into a checkpoint's folder need not be careful: it writes beside the checkpoint's place, then every file
is fsynced and hashed, then the folder gets its name. A killed or a full disk leaves a folder without a seal, which
the next run removes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

        Files are written into it within `writing_files`. Raises FoundryError when the disk takes no more; the
        checkpoints before it stay as they are.
        """
        place = self.staging(step)
        with writing_files(place):
            make_folder(self.folder)
            for left in self.folder.glob("writing-*"):
                shutil.rmtree(left)
            place.mkdir()
        try:
            yield place
            with writing_files(place):
                self._seal(place, step)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
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


@contextmanager
def writing_files(folder: Path) -> Iterator[None]:
    """Raise FoundryError for a disk that takes no more, around what writes a checkpoint's files and nothing else.

    torch and safetensors put that into errors of their own, in many words ("iostream error", "unexpected pos"), and
    have nothing else to raise while they write; processes that wait for each other have.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        told = storage_error(error, folder) if isinstance(error, OSError) else None
        if not isinstance(error, OSError):
            told = FoundryError(
                f"A checkpoint can't be written into {folder}: {str(error).partition(chr(10))[0]}",
                "Free space on that disk, or choose another with --base-path DIR; the same command then goes on.",
            )
        if told is None:
            raise
        raise told from error


def work_folder(base_path: Path, name: str) -> Path:
    """Return where the training of a version is kept until it is done; `name` is such as "stt-1a2b3c4d5e6f"."""
    return base_path / TRAINING / name


def clear_work(base_path: Path, name: str) -> None:
    """Remove what a published version no longer needs to be trained."""
    shutil.rmtree(work_folder(base_path, name), ignore_errors=True)


def sweep_work(base_path: Path, adapter: str, keep: str) -> None:
    """Say which interrupted trainings of an adapter lie there besides `keep`, and remove the long abandoned."""
    folder = base_path / TRAINING
    others = sorted(folder.glob(f"{adapter}-*")) if folder.is_dir() else []
    for other in others:
        # A version is 12 digits: "stt-..." is not "stt.malabar-...", and neither is "nlu-..." of another adapter.
        if other.name == keep or other.name.rpartition("-")[0] != adapter:
            continue
        found = _sizes_and_times(other)
        if not found:
            continue
        megabytes = sum(size for size, _ in found) / 1e6
        days = (time.time() - max(changed for _, changed in found)) / SECONDS_A_DAY
        if days > UNFINISHED_DAYS:
            log.info("%s: an interrupted training of %.0f days ago removed (%.1f MB)", other, days, megabytes)
            shutil.rmtree(other, ignore_errors=True)
        else:
            log.info(
                "%s: an interrupted training with other gold or settings (%.1f MB); it goes on when they come back, "
                "and is removed when it is %d days old",
                other, megabytes, UNFINISHED_DAYS,
            )  # fmt: skip


def _sizes_and_times(folder: Path) -> list[tuple[int, float]]:
    """Return bytes (0 for a folder) and time of the last change of a folder and all in it that is still there."""
    found = []
    for place, _, names in os.walk(folder):
        for path in [Path(place), *(Path(place) / name for name in names)]:
            with suppress(FileNotFoundError):  # whoever trains there has removed it meanwhile
                state = path.stat()
                found.append((state.st_size if path != Path(place) else 0, state.st_mtime))
    return found
