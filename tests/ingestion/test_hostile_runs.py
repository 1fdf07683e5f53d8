"""Phase 1 as a whole when runs are killed, overlap, lose their ref, share a budget, fill the disk or are capped."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.ingestion.disk import SPARE_BYTES
from data_foundry.lake import Layer
from tests.ingestion.builders import NEWS
from tests.ingestion.hostile import OTHERS, SHARD, VICTIM, Stage, forget, shard, stock, victim
from tests.loopback_hub import Fault
from tests.processes import alive, wait_for

ALWAYS = 10**6
KILLER = PROJECT_ROOT / "tests" / "ingestion" / "killed"
ONE_BY_ONE = {"max_parallel_downloads": 1}


def held(stage: Stage, path: str) -> tuple[threading.Event, threading.Event]:
    """Hold the next request for a path back: (set once it came, to be set when it may be answered)."""
    came, go = threading.Event(), threading.Event()
    stage.hub.faults.append(Fault(path, lambda: (came.set(), go.wait(60))))
    return came, go


def killed_at(stage: Stage, path: str) -> None:
    """Run phase 1 and kill it when it asks for a path."""
    came, go = held(stage, path)
    process = stage.start(**ONE_BY_ONE)
    assert came.wait(120)
    process.kill()
    assert stage.ended(process).code == -signal.SIGKILL
    go.set()


def check_rerun(stage: Stage, undisturbed: dict[str, str]) -> None:
    """Check that what a killed run left is right, and that the next one fetches what is missing and no more."""
    stage.check_manifests()
    lacking, others = stage.missing(), [name for name in OTHERS if stage.lake.manifest(Layer.RAW, name) is None]
    stage.hub.faults = []
    forget(stage.hub)
    stage.runs_through()
    assert stage.tree() == undisturbed
    asked = stage.asked()
    assert [path for path in asked if path.startswith(VICTIM)] == lacking
    assert all(path.startswith((VICTIM, *others)) for path in asked)
    forget(stage.hub)
    assert stage.run().code == 0
    assert stage.hub.file_requests() == []


@pytest.mark.parametrize(
    "path", [f"/api/datasets/{VICTIM}/tree", "README.md", SHARD, "data/test-00000.parquet", "malayalam-train.jsonl"]
)
def test_a_run_killed_at_a_request_is_taken_up_there(path, stage, undisturbed):
    killed_at(stage, path)
    check_rerun(stage, undisturbed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_that_is_interrupted_while_the_hub_stalls_ends_at_once_and_is_taken_up(
    workers, number, code, stage, undisturbed
):
    came, go = held(stage, SHARD)
    process = stage.start("--workers", workers, **ONE_BY_ONE)
    assert came.wait(120)
    process.send_signal(number)
    # The Hub holds its answer back for longer than this waits.
    printed, _ = process.communicate(timeout=30)
    go.set()
    assert process.returncode == code and "Traceback" not in printed, printed
    assert "the same command goes on where it was" in printed
    check_rerun(stage, undisturbed)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="whose children run is read from /proc")
def test_the_workers_of_a_killed_run_die_with_it(stage, undisturbed):
    came, go = held(stage, SHARD)
    process = stage.start("--workers", "2", **ONE_BY_ONE)
    assert came.wait(120)
    workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.kill()
    process.communicate(timeout=30)
    assert len(workers) >= 2
    wait_for(lambda: not any(map(alive, workers)))
    go.set()
    check_rerun(stage, undisturbed)


def test_a_run_killed_in_the_middle_of_a_file_goes_on_in_the_middle(stage, undisturbed):
    stage.hub.faults = [Fault(SHARD, "stall")]
    process = stage.start(**ONE_BY_ONE)
    half = len(victim()[SHARD]) // 2
    parts = stage.raw() / ".fetched" / ".partial"
    while not any(part.stat().st_size == half for part in parts.glob("*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    stage.ended(process)
    assert f"{VICTIM}/{SHARD}" in stage.missing()
    stage.hub.faults = []
    forget(stage.hub)
    stage.runs_through()
    assert stage.hub.ranges == [f"bytes={half}-"]
    assert stage.tree() == undisturbed


def test_a_run_killed_while_it_inspects_or_commits_ends_in_the_same_lake(stage, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("CHANGES", str(tmp_path / "changes"))
    monkeypatch.setenv("KILL_AT", "0")
    whole = Stage(tmp_path / "whole" / "base", stage.hub)
    assert whole.run(typed=True, modules=KILLER, **ONE_BY_ONE).code == 0
    changes = int((tmp_path / "changes").read_text())
    assert changes > 40
    for at in range(changes // 8, changes, changes // 7):
        forget(stage.hub)
        base = Stage(tmp_path / str(at) / "base", stage.hub)
        monkeypatch.setenv("KILL_AT", str(at))
        assert base.run(typed=True, modules=KILLER, **ONE_BY_ONE).code == -signal.SIGKILL, at
        check_rerun(base, undisturbed)


def test_of_two_runs_at_once_one_works_and_the_other_is_told_who_does(stage, undisturbed):
    came, go = held(stage, SHARD)
    first = stage.start(**ONE_BY_ONE)
    assert came.wait(120)
    asked = len(stage.hub.requests)
    second = stage.run(typed=True)
    assert second.code == 2 and "Traceback" not in second.printed
    assert re.search(rf"error: .*process {first.pid}\b", second.printed), second.printed
    assert "\n  -> " in second.printed and len(stage.hub.requests) == asked
    go.set()
    assert stage.ended(first).code == 0
    assert stage.run(phase="phase2").code == 0
    assert stage.tree() == undisturbed


def test_a_finished_dataset_whose_ref_has_not_moved_costs_no_request_for_a_file(stage, undisturbed):
    stage.runs_through()
    forget(stage.hub)
    run = stage.run(typed=True)
    assert run.code == 0 and {step["outcome"] for step in run.report["steps"]} == {"skipped"}
    assert stage.hub.file_requests() == []
    # Who follows a ref asks where it stands; the pinned one asks nothing at all.
    assert not any(OTHERS[0] in request for request in stage.hub.requests)
    assert stage.run(phase="phase2").code == 0
    assert stage.tree() == undisturbed


def test_the_old_commit_stays_complete_while_the_new_one_comes_and_only_changes_travel(stage, undisturbed):
    stage.runs_through()
    newer = victim(t1=shard("newer", 1), t2=shard("newer", 2))
    sha = stage.hub.add("datasets", VICTIM, newer)
    forget(stage.hub)
    lacking = stage.missing(newer)
    assert lacking == [f"{VICTIM}/{path}" for path in (SHARD, "data/train-00002.parquet")]
    came, go = held(stage, "data/train-00002.parquet")
    process = stage.start(**ONE_BY_ONE)
    assert came.wait(120)
    process.kill()
    stage.ended(process)
    go.set()
    # In the middle of the update phase 2 still finds all of the old commit.
    stage.check_raw()
    assert stage.lake.manifest(Layer.RAW, VICTIM).inputs["revision"] != sha
    assert stage.run(phase="phase2").code == 0
    assert stage.tree("silver") == {path: sha256 for path, sha256 in undisturbed.items() if path.startswith("silver/")}
    rest = stage.missing(newer)
    forget(stage.hub)
    stage.runs_through()
    assert stage.asked() == rest
    assert all(f"/resolve/{sha}/" in request for request in stage.hub.file_requests())
    stage.check_raw()
    fresh = Stage(stage.base.with_name("fresh"), stage.hub)
    fresh.runs_through()
    assert stage.tree() == fresh.tree()


@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize(("before", "after"), [("notes", "notes/a.txt"), ("notes/a.txt", "notes")])
def test_a_path_that_was_a_file_can_become_a_folder_and_the_other_way_round(before, after, unfinished, stage):
    stage.hub.add("datasets", VICTIM, {**victim(), before: b"1"})
    if unfinished:
        stage.hub.faults = [Fault("test-00000.parquet", 404)]
    assert stage.run(datasets=[VICTIM], **ONE_BY_ONE).code == int(unfinished)
    if unfinished:
        (stage.raw() / ".fetched" / before).parent.mkdir(parents=True, exist_ok=True)
        (stage.raw() / ".fetched" / before).write_bytes(b"1")
    stage.hub.add("datasets", VICTIM, {**victim(), after: b"2"})
    run = stage.run(datasets=[VICTIM])
    assert run.code == 0, run.printed
    stage.check_raw()
    fresh = Stage(stage.base.with_name("fresh"), stage.hub)
    assert fresh.run(datasets=[VICTIM]).code == 0
    assert stage.tree() == fresh.tree()


def test_two_workers_share_one_budget_of_retries_and_both_give_up(stage):
    stage.hub.faults = [Fault("/resolve/", 503, times=ALWAYS)]
    budget, parallel = 2, 2
    run = stage.run(
        "--workers", "2", typed=True, datasets=[VICTIM, NEWS], retries=9, retry_budget=budget,
        max_parallel_downloads=parallel,
    )  # fmt: skip
    assert run.code == 1 and "Traceback" not in run.printed
    for dataset in (VICTIM, NEWS):
        reason = run.of(dataset)["reason"]
        assert re.search(r"answers 503.*spent all its retries \(hub\.retry_budget = 2\)", reason), reason
    # Every request that was under way when the budget ran out, and the budget.
    assert 2 + budget <= len(stage.hub.file_requests()) <= 2 * parallel + budget
    stage.hub.faults = []
    assert stage.run(datasets=[VICTIM, NEWS]).code == 0
    stage.check_raw()


@pytest.mark.parametrize("spare", [0, 64 * 1024])
def test_a_disk_that_fills_up_in_the_middle_stops_cleanly_and_the_next_run_goes_on(spare, stage, undisturbed, disk):
    root = disk(SPARE_BYTES // 1024 + 8 * 1024)
    stage = Stage(root / "base", stage.hub)
    big = os.urandom(256 * 1024)

    def fill() -> None:
        for log in (root / "base" / "logs").iterdir():
            # To the end of its page, so that not one line more fits.
            log.write_bytes(log.read_bytes() + b"\n" * (-log.stat().st_size % 4096))
        system = os.statvfs(root)
        with (root / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, system.f_bavail * system.f_frsize - spare)

    stock(stage.hub, {**victim(), "large.bin": big})
    stage.hub.faults = [Fault(f"{VICTIM}/resolve", fill)]
    run = stage.run(typed=True, **ONE_BY_ONE)
    assert run.code == 1, run.printed
    assert "Traceback" not in run.printed, run.printed
    assert re.search(rf"{VICTIM}: large.bin: .*No space left on device", run.printed), run.printed
    assert "the same command then goes on" in run.printed
    assert re.search(rf"{OTHERS[0]}: .*No space left on device", run.printed) or spare
    (root / "filler").unlink()
    stage.check_raw()
    forget(stage.hub)
    stage.runs_through()
    stage.check_raw()
    fresh = Stage(root.with_name("fresh") / "base", stage.hub)
    fresh.runs_through()
    assert stage.tree() == fresh.tree()


@pytest.mark.parametrize(
    ("limit", "wider"),
    [
        (("--max-rows-per-dataset", "15"), ("--max-rows-per-dataset", "25")),
        (("--max-bytes-per-dataset", "3100"), ("--max-bytes-per-dataset", "4.5kB")),
    ],
)
def test_a_limit_chooses_the_same_files_everywhere_is_recorded_and_when_raised_fetches_only_new_ones(
    limit, wider, stage, tmp_path
):
    def brought() -> set[str]:
        return {path.relative_to(stage.raw() / "files").as_posix() for path in stage.raw().rglob("files/**/*.parquet")}

    run = stage.run(*limit, typed=True, datasets=[VICTIM])
    assert run.code == 0, run.printed
    first = brought()
    assert 0 < len(first) < 4
    told = json.loads((stage.raw() / "metadata.json").read_text(encoding="utf-8"))["selection"]
    assert set(told["left_out"]["paths"]) == {path for path in victim() if path.endswith("parquet")} - first
    assert told["max_rows"] == 15 or told["max_bytes"] == 3100
    other = Stage(tmp_path / "other" / "base", stage.hub)
    assert other.run(*limit, datasets=[VICTIM]).code == 0
    assert other.tree() == stage.tree()
    forget(stage.hub)
    assert stage.run(*wider, datasets=[VICTIM]).code == 0
    assert first < brought()
    assert stage.asked() == sorted(f"{VICTIM}/{path}" for path in brought() - first)
