"""Runs that end in the middle: killed anywhere, out of disk, overtaken by a new commit. The next one goes on."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.errors import FoundryError
from data_foundry.hub import open_hub
from data_foundry.hub.fetching import PARTS, part_name
from data_foundry.hub.folder import FolderHub
from data_foundry.ingestion import ingest
from data_foundry.ingestion.bring import bring
from data_foundry.ingestion.selection import Cap
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action, StepResult
from tests.ingestion.builders import FOLDER_SPEECH, NEWS, SENTENCES, json_lines, news, tone, write_hub
from tests.loopback_hub import Fault

CLIPS = {f"Data/{split}/{n}.wav": tone(0.2 + n / 10, 8000) for split in ("Train", "Valid") for n in range(3)}
FILES = {
    "README.md": b"---\nlicense: cc-by-4.0\n---\n",
    "metadata.jsonl": json_lines([{"file_name": name, "sentence": SENTENCES[0]} for name in CLIPS]),
    **CLIPS,
}
# Runs phase 1 and kills its own process at the Nth change of the disk.
KILLED = """
import os, pathlib, signal, sys
from data_foundry.config import load_settings
from data_foundry.ingestion import ingest
from data_foundry.lake import Lake
left = int(sys.argv[3])
def dies(function):
    def wrapped(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return wrapped
for module, names in ((os, ("link", "fsync", "replace", "rename")), (pathlib.Path, ("replace", "rename", "unlink"))):
    for name in names:
        setattr(module, name, dies(getattr(module, name)))
flags = {"base_path": sys.argv[1], "hub": {"source": sys.argv[2]}, "datasets": [sys.argv[4]]}
settings = load_settings(flags=flags, environ={})
with Lake(settings).lock("test"):
    for step in ingest.plan(settings, Lake(settings)):
        if step.action == "run":
            print(ingest.run_step(settings, step).reason)
print("changes left:", left)
"""


def tree(base: Path) -> dict[str, str]:
    """The lake's raw layer by path and content."""
    root = base / "storage" / "raw"
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(root.rglob("*"))
    }


def phase1(base: Path, source: Path, kill_at: int, repo_id: str = FOLDER_SPEECH) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", KILLED, str(base), str(source), str(kill_at), repo_id]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_that_was_killed_anywhere_leaves_in_the_end_what_an_undisturbed_one_leaves(tmp_path):
    source = write_hub(tmp_path / "hub", {FOLDER_SPEECH: FILES})
    whole = phase1(tmp_path / "whole", source, 10**6)
    assert whole.returncode == 0, whole.stderr
    changes = 10**6 - int(whole.stdout.rpartition(":")[2])
    assert changes > 20
    undisturbed = tree(tmp_path / "whole")
    assert not [path for path in undisturbed if "/." in f"/{path}"]
    for kill_at in sorted({1, changes, *range(2, changes, max(1, changes // 4))}):
        base = tmp_path / f"killed-{kill_at}"
        assert phase1(base, source, kill_at).returncode == -signal.SIGKILL, kill_at
        manifest = base / "storage/raw" / FOLDER_SPEECH / "manifest.json"
        complete = manifest.exists()
        again = phase1(base, source, 10**6)
        assert again.returncode == 0, again.stderr
        assert tree(base) == undisturbed, kill_at
        assert not complete or "fetched" not in again.stdout, kill_at


def test_a_kill_while_a_new_commit_comes_leaves_the_old_one_whole_until_the_new_one_is(tmp_path):
    source = write_hub(tmp_path / "hub", {NEWS: news()})
    assert phase1(tmp_path / "base", source, 10**6, NEWS).returncode == 0
    before = tree(tmp_path / "base")
    write_hub(tmp_path / "hub", {NEWS: {"malayalam-train.jsonl": news(train=9)["malayalam-train.jsonl"]}})
    assert phase1(tmp_path / "base", source, 3, NEWS).returncode == -signal.SIGKILL
    after = tree(tmp_path / "base")
    assert {path: after.get(path) for path in before} == before
    finished = phase1(tmp_path / "base", source, 10**6, NEWS)
    assert finished.returncode == 0 and "2 unchanged" in finished.stdout
    assert phase1(tmp_path / "fresh", source, 10**6, NEWS).returncode == 0
    assert tree(tmp_path / "base") == tree(tmp_path / "fresh")


def run(settings: Settings, repo_id: str) -> StepResult:
    (step,) = ingest.plan(settings.model_copy(update={"datasets": (repo_id,)}), Lake(settings))
    return ingest.run_step(settings, step)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_stops_the_dataset_and_the_next_run_goes_on(from_folder, monkeypatch, number):
    settings = from_folder({FOLDER_SPEECH: FILES})
    settings = settings.model_copy(update={"hub": settings.hub.model_copy(update={"max_parallel_downloads": 1})})
    real, calls = FolderHub.bring, []

    def bring(self, snapshot, file, part, again, halt=None):
        calls.append(file.path)
        if len(calls) == 4:
            part.write_bytes(b"half")
            raise OSError(number, os.strerror(number), str(part))
        return real(self, snapshot, file, part, again, halt)

    monkeypatch.setattr(FolderHub, "bring", bring)
    with pytest.raises(FoundryError) as full:
        run(settings, FOLDER_SPEECH)
    assert os.strerror(number) in str(full.value) or "full" in str(full.value)
    assert Lake(settings).manifest(Layer.RAW, FOLDER_SPEECH) is None
    assert "5 fetched, 3 found from an earlier try" in run(settings, FOLDER_SPEECH).reason


def test_files_of_an_older_commit_that_an_unfinished_run_left_are_swept(from_folder):
    settings = from_folder({NEWS: news()})
    area = Lake(settings).folder(Layer.RAW, NEWS) / ingest.FETCHED
    (area / "old").mkdir(parents=True)
    (area / "old" / "gone.jsonl").write_bytes(b"{}\n")
    run(settings, NEWS)
    assert not area.exists()


def test_parts_of_an_older_commit_are_swept_and_not_counted_as_fetched_and_parts_of_this_one_stay(from_folder):
    settings = from_folder({NEWS: news()})
    hub, entry, folder = open_hub(settings), DATASET_REGISTRY[NEWS], Lake(settings).folder(Layer.RAW, NEWS)
    snapshot = hub.snapshot("datasets", NEWS, None)
    parts = folder / ".fetched" / PARTS
    (parts / "random.xet").mkdir(parents=True)
    for stale in ("e" * 40, "random.xet/chunk"):
        (parts / stale).write_bytes(b"x" * 50_000)
    train = next(file for file in snapshot.files if "train" in file.path)
    (parts / part_name(train)).write_bytes(news()[train.path][:100])
    asked, seen = [], []

    class Claim:
        backed_up = False

        def reserve(self, size: int) -> None:
            asked.append(size)
            seen.extend(path.name for path in parts.glob("*"))

    whole = sum(file.bytes for file in snapshot.files)
    brought = bring(hub, snapshot, entry, Cap(), folder, Claim(), 2)
    assert asked == [whole - 100] and seen == [part_name(train)] and len(brought.fetched) == 3
    # What lies there whole needs no room again, but its copy does.
    Claim.backed_up = True
    bring(hub, snapshot, entry, Cap(), folder, Claim(), 2)
    assert asked == [whole - 100, whole]


def test_leftovers_beside_a_finished_dataset_are_swept_by_the_next_run(from_folder):
    settings = from_folder({NEWS: news()}).model_copy(update={"datasets": (NEWS,)})
    run(settings, NEWS)
    area = Lake(settings).folder(Layer.RAW, NEWS) / ingest.FETCHED
    area.mkdir()
    (area / "malayalam-train.jsonl").write_bytes(b"newer\n")
    (step,) = ingest.plan(settings, Lake(settings))
    assert (step.action, step.reason) == (Action.RUN, "an unfinished run left files that are to be swept")
    assert ingest.run_step(settings, step).outcome == "skipped" and not area.exists()


def test_a_dataset_that_is_gone_names_what_could_stand_in_for_it(from_folder):
    settings = from_folder({NEWS: news()})
    (step,) = ingest.plan(settings.model_copy(update={"datasets": (FOLDER_SPEECH,)}), Lake(settings))
    with pytest.raises(FoundryError) as gone:
        ingest.run_step(settings, step)
    assert "asr-malayalam/indicvoices-v1a and ai4bharat/IndicVoices could be registered instead" in gone.value.hint


def test_a_hub_that_is_away_is_no_reason_to_register_another_dataset(from_loopback, hub, waits):
    hub.faults = [Fault("/api/", 503, times=99)]
    settings = from_loopback(datasets=[FOLDER_SPEECH])
    (step,) = ingest.plan(settings, Lake(settings))
    with pytest.raises(FoundryError, match="answers 503") as away:
        ingest.run_step(settings, step)
    assert "registered instead" not in str(away.value)


def test_what_lies_here_complete_is_said_when_the_hub_can_not_be_asked(from_loopback, hub, waits):
    hub.add("datasets", NEWS, news())
    settings = from_loopback(datasets=[NEWS])
    run(settings, NEWS)
    hub.faults = [Fault("/api/", 503, times=99)]
    (step,) = ingest.plan(settings, Lake(settings))
    with pytest.raises(
        FoundryError, match=r"Revision \w{10} lies here complete; only whether main has moved on can't be"
    ):
        ingest.run_step(settings, step)


def test_nothing_is_hashed_or_inspected_twice(from_folder, monkeypatch):
    settings = from_folder({NEWS: news()})
    hashed: list[str] = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: hashed.append(file.name) or real(file, name))
    run(settings, NEWS)
    # What the lake hashes is what was written here; the fetched files' hashes came with their bytes.
    assert {Path(name).name for name in hashed} <= {"metadata.json", "README.md", "manifest.json"}
