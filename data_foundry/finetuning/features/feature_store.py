"""Where features are kept between trainings: storage/features, each set made once, by several processes where it pays.

A set is named by what it depends on: the gold files' hashes, the base's revision, how the task encodes, and which rows.
A set made for more rows serves a training on fewer of them. It is complete or not used: a part has a report when it is
whole, a set has an index when all its parts have, so a killed run goes on with the parts that it finished, and a part
whose bytes have changed is made again. What the gold of an engine no longer holds is removed, and beyond
training.feature_cache_gib what was used longest ago. Engines that are trained at once share the store: who removes
sets holds its lock alone, and who makes or looks up a set's folder holds it too, until the folder's own is held.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from data_foundry.compute import process_pool
from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.figures import readable_size
from data_foundry.finetuning.features.feature_parts import (
    EncodeRows,
    FreezeRows,
    Part,
    encode_part,
    freeze_part,
    let_go_of_model,
)
from data_foundry.finetuning.features.features import FORMAT, INDEX, MAKING, FeatureSet, FolderLock, read_index
from data_foundry.finetuning.tasks.task import Task
from data_foundry.lake import fingerprint, sha256_file
from data_foundry.lake.durable import make_folder, write_atomically

PART_ROWS = 128
FROZEN_PART_ROWS = 32
"""Rows of a part: what one process makes at a time, and what a kill can cost. Frozen output is megabytes a row."""
WORTH_A_PROCESS = 10.0
"""Seconds of work for which another process is started: it takes some itself to import what it needs."""
ABOUT = "about.json"
LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "soundfile", "sentencepiece")
"""What rows are read, cut up and computed by."""
UNFINISHED_SECONDS = 86_400

log = logging.getLogger("data_foundry")


class FeatureStore:
    """The features of one engine's gold for one base ("repo@revision")."""

    def __init__(self, settings: Settings, engine: str, base: str) -> None:
        self.root = settings.base_path / "storage" / "features"
        self.settings, self.engine, self.base = settings, engine, base

    def encoded(self, task: Task, files: Sequence[Path], places: Sequence[int], what: str) -> FeatureSet:
        """Return the features of some rows of gold files, by their numbers over all files; `what` names the split.

        Rows that the base can't take are not in it; its `refused` names them. Raises FoundryError.
        """
        about = {
            "engine": self.engine,
            "what": what,
            "files": [sha256_file(file) for file in files],
            "base": self.base,
            "encoding": task.encoding,
            "libraries": _libraries(),
        }

        def jobs(folder: Path) -> list[EncodeRows]:
            return _encode_jobs(task, files, places, folder)

        return self._ready(about, places, jobs, encode_part, self.settings.workers)

    def frozen(self, task: Task, features: FeatureSet, what: str) -> FeatureSet:
        """Return features that hold the output of the frozen modules, as training computes it, for the same rows."""
        from data_foundry.finetuning.training.training_arguments import precision_switches, uses_gpu

        training = self.settings.training
        switches = precision_switches(training)
        dtype = "bfloat16" if switches["bf16"] else "float16" if switches["fp16"] else "float32"
        gpu = uses_gpu(training)
        source = {name: value for name, value in features.details.items() if name not in ("parts", "refused", "format")}
        about = {**source, "what": what, "frozen": list(task.frozen_modules), "dtype": dtype, "gpu": gpu}

        def jobs(folder: Path) -> list[FreezeRows]:
            return [
                FreezeRows(task, features[start : start + FROZEN_PART_ROWS], _part(folder, number), dtype, gpu)
                for number, start in enumerate(range(0, len(features), FROZEN_PART_ROWS))
            ]

        workers = 1 if gpu else min(self.settings.workers, _models_in_memory(task.folder))
        try:
            return self._ready(about, features.places, jobs, freeze_part, workers)
        finally:
            let_go_of_model()

    def _ready(
        self,
        about: dict[str, Any],
        places: Sequence[int],
        jobs: Callable[[Path], list[Any]],
        make: Callable[[Any], Part],
        workers: int,
    ) -> FeatureSet:
        make_folder(self.root)
        set_folder = self.root / fingerprint({key: v for key, v in about.items() if key not in ("engine", "what")})[:16]
        with FolderLock(self.root):
            sets = _inside(set_folder)
        if (found := _serving(sets, places)) is not None:
            log.info("%s: %d %s rows: their features are there already", self.engine, len(found), _words(about))
            (found.folder / INDEX).touch()
            return found
        folder = set_folder / fingerprint(list(places))[:8]
        started = time.monotonic()
        with ExitStack() as locks:
            with FolderLock(self.root):
                make_folder(folder)
                locks.enter_context(FolderLock(folder))
            # The first is against removal, this against another process that wants to make the same.
            locks.enter_context(FolderLock(folder, MAKING, alone=True))
            if read_index(folder) is None or not _intact(folder):
                processes = _make(folder, about, jobs(folder), make, workers)
                log.info(
                    "%s: features of %d %s rows computed in %.1f s by %d process%s",
                    self.engine, len(places), _words(about), time.monotonic() - started, processes,
                    "es" if processes > 1 else "",
                )  # fmt: skip
            found = _chosen(FeatureSet.open(folder), places)
        assert found is not None, "a set that was made for these rows has them"
        self._clean(about)
        log.info("%s: they take %s; %s in all lie in %s", self.engine, readable_size(found.nbytes),
                 readable_size(_bytes(self.root)), self.root)  # fmt: skip
        return found

    def _clean(self, current: dict[str, Any]) -> None:
        """Remove the sets that this gold has made useless, and beyond the bound the longest unused; none in use."""
        kept: list[tuple[float, Path]] = []
        with FolderLock(self.root, alone=True):
            for folder in [folder for set_folder in _inside(self.root) for folder in _inside(set_folder)]:
                about = _about(folder)
                same = [about.get(name) == current[name] for name in ("engine", "what")]
                if all(same) and about.get("files") != current["files"]:
                    _remove(folder)
                else:
                    kept.append((max(_changed(folder), _changed(folder / INDEX)), folder))
            for file in self.root.glob(".*once-*"):
                if 0 < _changed(file) < time.time() - UNFINISHED_SECONDS:
                    file.unlink(missing_ok=True)  # of a process that was killed while it wrote it
            bound = self.settings.training.feature_cache_gib * 2**30
            for _, folder in sorted(kept):
                if _bytes(self.root) <= bound:
                    break
                _remove(folder)


def _make(folder: Path, about: dict[str, Any], jobs: list[Any], make: Callable[[Any], Part], workers: int) -> int:
    """Make the parts that are not there whole, and the index; return by how many processes."""
    write_atomically(folder / ABOUT, json.dumps(about))
    (folder / INDEX).unlink(missing_ok=True)
    parts = {job.target: part for job in jobs if (part := _finished(job.target)) is not None}
    if parts:
        log.info("%d of %d parts of an interrupted run are whole: it goes on with the others", len(parts), len(jobs))
    for file in folder.iterdir():
        if file.name.startswith(".part-"):
            file.unlink()  # what a killed process had begun
    missing = [job for job in jobs if job.target not in parts]
    processes, made = _in_processes(make, missing, workers) if missing else (1, [])
    for target, part in made:
        write_atomically(_report(target), part.model_dump_json())
        parts[target] = part
    found = [parts[job.target] for job in jobs]
    index = {
        **about,
        "format": FORMAT,
        "parts": [part.model_dump(exclude={"refused"}) for part in found if part.rows],
        "refused": [list(refusal) for part in found for refusal in part.refused],
    }
    write_atomically(folder / INDEX, json.dumps(index))
    return processes


def _in_processes(
    make: Callable[[Any], Part], jobs: list[Any], workers: int
) -> tuple[int, Iterable[tuple[Path, Part]]]:
    """Do the first job here; by the time that it takes, the rest here too or in several processes."""
    started = time.monotonic()
    first = make(jobs[0])
    seconds = (time.monotonic() - started) * (len(jobs) - 1)
    _check_room(first, jobs)
    processes = max(1, min(workers, len(jobs) - 1, int(seconds / WORTH_A_PROCESS) if WORTH_A_PROCESS else workers))

    def results() -> Iterator[tuple[Path, Part]]:
        yield jobs[0].target, first
        if processes == 1:
            yield from ((job.target, make(job)) for job in jobs[1:])
            return
        let_go_of_model()
        with process_pool(processes) as pool:
            waiting = {pool.submit(make, job): job.target for job in jobs[1:]}
            try:
                for future in as_completed(waiting):
                    yield waiting[future], future.result()
            except BrokenProcessPool:
                raise FoundryError(
                    f"A process that computed features was killed, one of {processes} (out of memory?).",
                    "Set workers lower, or train where there is more memory; what is done is kept.",
                ) from None
            finally:
                pool.shutdown(cancel_futures=True)

    return processes, results()


def _check_room(first: Part, jobs: Sequence[Any]) -> None:
    """Raise FoundryError where the disk can't hold the other parts, before hours are spent on them."""
    folder = jobs[0].target.parent
    needed = first.bytes * (len(jobs) - 1)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FoundryError(
            f"The features take {readable_size(needed)} more, and {folder} has {readable_size(free)} free.",
            "Free space there, lower max_train_rows, or, where freeze_encoder is set, don't keep the encoder's output.",
        )


def _encode_jobs(task: Task, files: Sequence[Path], places: Sequence[int], folder: Path) -> list[EncodeRows]:
    """Cut gold files into parts of whole row groups, leaving out those of which no row is wanted."""
    import pyarrow.parquet as pq

    wanted = set(places)
    jobs: list[EncodeRows] = []
    first = 0
    for file in files:
        metadata = pq.read_metadata(file)
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        groups: list[int] = []
        start = first
        for number, size in enumerate(sizes):
            groups.append(number)
            first += size
            if first - start >= PART_ROWS or number == len(sizes) - 1:
                here = tuple(place for place in range(start, first) if place in wanted)
                if here:
                    jobs.append(EncodeRows(task, file, tuple(groups), start, here, _part(folder, len(jobs))))
                groups, start = [], first
    return jobs


def _serving(folders: Sequence[Path], places: Sequence[int]) -> FeatureSet | None:
    """Return a complete and undamaged set among some folders that has all these rows, as a view of them."""
    for folder in folders:
        try:
            found = _chosen(FeatureSet.open(folder), places) if read_index(folder) else None
        except (FoundryError, OSError, ValueError):
            continue
        if found is not None and _intact(folder):
            return found
    return None


def _chosen(found: FeatureSet, places: Sequence[int]) -> FeatureSet | None:
    """Return the rows at some places of a set, None where it knows nothing of one."""
    numbers = {place: number for number, place in enumerate(found.places)}
    refused = {place for place, *_ in found.refused}
    if not set(places) <= numbers.keys() | refused:
        return None
    wanted = [numbers[place] for place in places if place in numbers]
    return found if len(wanted) == len(found) else found.select(wanted)


def _intact(folder: Path) -> bool:
    """Return whether every part of a set has the bytes that were written; a part that has not loses its report."""
    index = read_index(folder) or {"parts": []}
    damaged = [part for part in index["parts"] if _finished(folder / part["file"]) is None]
    for part in damaged:
        log.warning("%s is damaged: it is made again", folder / part["file"])
    return not damaged


def _finished(target: Path) -> Part | None:
    """Return the report of a part whose bytes are those that were written."""
    try:
        part = Part.model_validate_json(_report(target).read_text(encoding="utf-8"))
        whole = not part.rows or (target.stat().st_size == part.bytes and sha256_file(target) == part.sha256)
    except (OSError, ValueError):
        return None
    return part if whole else None


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.arrow"


def _report(target: Path) -> Path:
    return target.with_suffix(".json")


def _about(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _remove(folder: Path) -> None:
    """Remove a set that nobody uses; the store's lock is held."""
    try:
        lock = FolderLock(folder, alone=True, wait=False)
    except OSError:
        return
    if not lock.held:
        return
    log.info("removed features that are no longer needed: %s (%s)", folder, readable_size(_bytes(folder)))
    (folder / INDEX).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()  # if there is no other set in it
    lock.release()


def _bytes(folder: Path) -> int:
    sizes = []
    for place, _, names in os.walk(folder):
        sizes += [size for name in names if (size := _size(Path(place) / name))]
    return sum(sizes)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another run's, removed meanwhile
        return 0


def _changed(path: Path) -> float:
    """Return when a file or folder was last changed, 0 for one that is not there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _inside(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; none where it is not there."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def _words(about: dict[str, Any]) -> str:
    return f"{about['what']}{' (encoder states)' if 'frozen' in about else ''}"


def _libraries() -> dict[str, str]:
    from data_foundry.finetuning.versions.version_lineage import library_versions

    return library_versions(LIBRARIES)


def _models_in_memory(folder: Path) -> int:
    """Return how many processes can each hold a base: its weights in float32, and as much again to load and use it."""
    import psutil

    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors")) or 1
    return max(1, int(psutil.virtual_memory().available // (3 * weights)))
