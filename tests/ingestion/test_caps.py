"""Capped datasets in the lake: what is brought, recorded, brought in addition later, and refused for want of room."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.figures import readable_size
from data_foundry.ingestion import disk, ingest
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing import standardize
from data_foundry.report import Action, StepResult
from tests.ingestion.builders import FOLDER_SPEECH, NEWS, SENTENCES, SPEECH, json_lines, news, parquet, tone

SHARD = {
    f"data/{split}-{n:05}.parquet": parquet(
        {"text": [f"{SENTENCES[i % 6]} {split} {n} {i}" for i in range(10)], "translation": ["my balance"] * 10}
    )
    for split, count in (("train", 6), ("test", 2))
    for n in range(count)
}


def capped(settings: Settings, repo_id: str = SPEECH, **limits: int) -> Settings:
    hub = settings.hub.model_copy(update={f"max_{unit}_per_dataset": limit for unit, limit in limits.items()})
    return settings.model_copy(update={"datasets": (repo_id,), "hub": hub})


def run(settings: Settings) -> StepResult:
    (step,) = ingest.plan(settings, Lake(settings))
    return ingest.run_step(settings, step)


def planned(settings: Settings) -> tuple[Action, str]:
    (step,) = ingest.plan(settings, Lake(settings))
    return step.action, step.reason


def folder(settings: Settings) -> Path:
    return Lake(settings).folder(Layer.RAW, settings.datasets[0])


def brought(settings: Settings) -> set[str]:
    root = folder(settings) / "files"
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def described(settings: Settings) -> dict:
    return Lake(settings).manifest(Layer.RAW, settings.datasets[0]).details


def selection(settings: Settings) -> dict:
    found = json.loads((folder(settings) / "metadata.json").read_text(encoding="utf-8"))["selection"]
    assert Lake(settings).manifest(Layer.RAW, settings.datasets[0]).details["selection"] == found
    return found


def test_a_limit_on_bytes_brings_whole_files_of_every_split_and_records_the_rest(from_folder):
    size = max(map(len, SHARD.values()))
    settings = capped(from_folder({SPEECH: {"README.md": b"x", **SHARD}}), bytes=7 * size // 2)
    result = run(settings)
    assert result.rows_out == 30 and "(5 left out, limit " in result.reason
    found = selection(settings)
    assert found["files"] == 4 and found["left_out"]["files"] == 5
    assert set(found["left_out"]["paths"]) | brought(settings) == {"README.md", *SHARD}
    assert {path.split("-")[0] for path in brought(settings) - {"README.md"}} == {"data/train", "data/test"}
    size = found["left_out"]["bytes"]
    assert f"Left out: 5 files, {readable_size(size)} ({size:,} bytes)." in (folder(settings) / "README.md").read_text()


def test_a_limit_on_rows_ends_with_the_file_that_reaches_it(from_folder):
    settings = capped(from_folder({SPEECH: SHARD}), rows=21)
    assert run(settings).rows_out == 30
    assert selection(settings)["max_rows"] == 21 and len(brought(settings)) == 3


def test_what_is_chosen_does_not_depend_on_what_lies_on_the_disk(from_folder, tmp_path):
    settings = capped(from_folder({SPEECH: SHARD}), rows=21)
    run(settings)
    other = settings.model_copy(update={"base_path": tmp_path / "other"})
    run(capped(other.model_copy(update={"hub": from_folder({SPEECH: SHARD}).hub})))
    run(other)
    assert brought(settings) == brought(other)
    for name in ("manifest.json", "metadata.json", "README.md"):
        assert (folder(settings) / name).read_bytes() == (folder(other) / name).read_bytes()


def test_raising_the_limit_fetches_only_what_is_new(hub, from_loopback):
    hub.add("datasets", SPEECH, SHARD)
    settings = capped(from_loopback(), rows=21)
    run(settings)
    first = brought(settings)
    hub.requests.clear()
    wider = capped(from_loopback(), rows=41)
    assert "3 unchanged" in run(wider).reason
    assert first < brought(wider) and len(brought(wider)) == 5
    asked = {request.rpartition("/resolve/")[2].partition("/")[2] for request in hub.file_requests()}
    assert asked == brought(wider) - first
    hub.requests.clear()
    run(wider)
    assert hub.file_requests() == []


def test_a_plan_names_the_limit_and_what_it_was(from_folder):
    settings = from_folder({NEWS: news()})
    small = capped(settings, NEWS, rows=5, bytes=2_000_000)
    assert planned(small)[1].endswith(", whole files up to 2,000,000 bytes and until 5 rows are reached")
    run(small)
    assert planned(small)[0] is Action.SKIP
    assert planned(capped(settings, NEWS, rows=9)) == (Action.RUN, "limit 2,000,000 bytes and 5 rows -> 9 rows")
    assert planned(capped(settings, NEWS)) == (Action.RUN, "limit 2,000,000 bytes and 5 rows -> everything")


def test_rows_of_clips_that_were_left_out_are_rejected_under_their_own_reason(from_folder):
    clips = {f"Data/Train/{n}.wav": tone(1.0 + n / 10, 16000) for n in range(4)}
    rows = [{"file_name": name, "sentence": SENTENCES[n], "speaker_id": str(n)} for n, name in enumerate(clips)]
    settings = from_folder({FOLDER_SPEECH: {"metadata.jsonl": json_lines(rows), **clips}})
    settings = capped(settings, FOLDER_SPEECH, rows=2)
    result = run(settings)
    assert result.reason.startswith("4 rows, 2 of them without their audio, in 3 files (2 left out, limit 2 rows)")
    assert result.rows_out == 4
    assert len(brought(settings)) == 3 and selection(settings)["left_out"]["files"] == 2
    known = described(settings)
    assert known["splits"] == {"train": {"rows": 4, "files": 2, "without_audio": 2}}
    assert known["rows_without_audio"] == 2
    card = (folder(settings) / "README.md").read_text(encoding="utf-8")
    assert "| train | 2 | 4 | 2 |" in card and "Measured over all rows, those without their audio (2) included." in card
    (step,) = standardize.plan(settings, Lake(settings))
    result = standardize.run_step(settings, step)
    assert result.rejected == {"left_out_by_selection": 2}


def test_a_split_of_which_the_limit_leaves_no_file_is_told(from_folder):
    settings = capped(from_folder({NEWS: news()}), NEWS, rows=1)
    assert planned(settings)[1].endswith(", whole files until 1 row is reached")
    result = run(settings)
    assert "5 rows in 2 files (1 left out, limit 1 row; no file of test)" in result.reason
    (found,) = (one for one in described(settings)["findings"] if one["kind"] == "split_left_out")
    assert (found["severity"], found["count"], found["examples"]) == ("warning", 1, ["test: 1 file"])
    wider = capped(settings, NEWS, rows=6)
    assert "no file of" not in run(wider).reason
    assert "split_left_out" not in {one["kind"] for one in described(wider)["findings"]}


def test_datasets_that_do_not_fit_together_are_refused_by_priority_and_the_others_go_on(from_folder, monkeypatch):
    settings = from_folder({NEWS: news(), SPEECH: SHARD})
    settings = settings.model_copy(update={"datasets": (SPEECH, NEWS)})
    free = disk.SPARE_BYTES + sum(map(len, news().values()))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    steps = ingest.plan(settings, Lake(settings))
    assert [step.subject for step in steps] == [NEWS, SPEECH]
    # The more important one has claimed its room and not used it yet.
    claims = settings.base_path / "storage" / ingest.CLAIMS
    with disk.DiskClaim(claims, NEWS, 0, folder(settings) / "none") as first:
        first.reserve(free - disk.SPARE_BYTES)
        with pytest.raises(FoundryError, match=r"needs .* more on .* are free, .* of it promised"):
            ingest.run_step(settings, steps[1])
    assert ingest.run_step(settings, steps[0]).rows_out == 8


def test_what_an_earlier_try_brought_needs_no_room_again(from_folder, monkeypatch):
    settings = capped(from_folder({SPEECH: SHARD}))
    area = folder(settings) / ingest.FETCHED
    for name, data in list(SHARD.items())[:-1]:
        (area / name).parent.mkdir(parents=True, exist_ok=True)
        (area / name).write_bytes(data)
    last = len(list(SHARD.values())[-1])
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=disk.SPARE_BYTES + last))
    assert f"1 fetched, {len(SHARD) - 1} found from an earlier try" in run(settings).reason
