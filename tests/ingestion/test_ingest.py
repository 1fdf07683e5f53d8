"""Ingestion: what lies in the raw layer afterwards, what is fetched again, and what a failure costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_foundry.__main__ import main
from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.errors import FoundryError
from data_foundry.hub import hash_file
from data_foundry.ingestion import disk, ingest
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action, Outcome, StepResult
from tests.ingestion.builders import COMMENTS, DIALECTS, FOLDER_SPEECH, NEWS, comments, news, tone, write_hub
from tests.lake.builders import tree
from tests.loopback_hub import Fault

SCRIPT = PROJECT_ROOT / "phase1-ingestion" / "ingest_hf_data.py"


def only(settings: Settings, *repo_ids: str) -> Settings:
    return settings.model_copy(update={"datasets": repo_ids})


def run(settings: Settings, repo_id: str = NEWS) -> StepResult:
    (step,) = ingest.plan(only(settings, repo_id), Lake(settings))
    return ingest.run_step(settings, step)


def planned(settings: Settings, repo_id: str = NEWS) -> tuple[Action, str]:
    (step,) = ingest.plan(only(settings, repo_id), Lake(settings))
    return step.action, step.reason


def raw(settings: Settings, repo_id: str = NEWS) -> Path:
    return Lake(settings).folder(Layer.RAW, repo_id)


def metadata(settings: Settings, repo_id: str = NEWS) -> dict:
    return json.loads((raw(settings, repo_id) / "metadata.json").read_text(encoding="utf-8"))


def test_files_lie_in_the_lake_byte_for_byte_with_hashes_and_metadata(from_folder):
    settings = from_folder({NEWS: news()})
    result = run(settings)
    assert (result.rows_in, result.rows_out, result.rejected) == (8, 8, {})
    for name, data in news().items():
        assert (raw(settings) / "files" / name).read_bytes() == data
    found = metadata(settings)
    assert {file["path"]: file["sha256"] for file in found["files"]} == {
        name: hash_file(raw(settings) / "files" / name)[1] for name in news()
    }
    assert found["splits"] == {"test": {"rows": 3, "files": 1}, "train": {"rows": 5, "files": 1}}
    assert found["schemas"] == [
        {"columns": {"news": "string", "class": "int64"}, "files": ["malayalam-test.jsonl", "malayalam-train.jsonl"]}
    ]
    assert found["licence"]["found"] == "cc-by-nc-4.0" and found["licence"]["effective"] == "cc-by-nc-sa-4.0"
    assert found["metrics"]["content_ratio"] == 1.0 and found["metrics"]["completeness_score"] == 1.0
    assert set(found["metric_definitions"]) == set(found["metrics"])
    manifest = Lake(settings).manifest(Layer.RAW, NEWS)
    assert {file.path: file.rows for file in manifest.files} == {
        "README.md": None, "files/README.md": None, "metadata.json": None, "files/malayalam-train.jsonl": 5,
        "files/malayalam-test.jsonl": 3,
    }  # fmt: skip
    assert {path.name for path in raw(settings).iterdir()} == {"files", "README.md", "metadata.json", "manifest.json"}


def test_the_report_is_read_from_the_lake(from_folder):
    settings = only(from_folder({NEWS: news()}), NEWS, COMMENTS)
    run(settings, NEWS)
    reports, engines = ingest.describe(settings, Lake(settings))
    assert engines == {}
    assert reports[COMMENTS].status == "not ingested" and reports[COMMENTS].rows is None
    report = reports[NEWS]
    assert (report.status, report.rows, report.declared_engine) == ("ingested", 8, "nlu")
    assert report.licence == "cc-by-nc-sa-4.0" and report.bytes == sum(map(len, news().values()))
    assert report.revision == metadata(settings)["revision"] and report.metrics["content_ratio"] == 1.0


def test_a_second_run_has_nothing_to_do_and_says_why(from_folder):
    settings = from_folder({NEWS: news()})
    assert planned(settings)[0] is Action.RUN and "nothing there yet" in planned(settings)[1]
    key = run(settings).key
    assert planned(settings) == (Action.SKIP, f"its manifest matches (key {key[:8]})")


def test_equal_input_leaves_equal_bytes(from_folder, tmp_path):
    settings = from_folder({NEWS: news()})
    other = settings.model_copy(update={"base_path": tmp_path / "elsewhere"})
    run(settings), run(other)
    for name in ("manifest.json", "metadata.json"):
        assert (raw(settings) / name).read_bytes() == (raw(other) / name).read_bytes()


def test_a_new_revision_is_named_and_unchanged_files_are_kept(from_folder, tmp_path):
    settings = from_folder({NEWS: news()})
    run(settings)
    before = (raw(settings) / "files/malayalam-test.jsonl").stat().st_ino
    write_hub(tmp_path / "hub", {NEWS: news(train=7)})
    action, reason = planned(settings)
    assert action is Action.RUN and reason.startswith("revision ") and " -> " in reason
    result = run(settings)
    assert result.rows_out == 10 and "1 fetched" in result.reason and "2 unchanged" in result.reason
    assert (raw(settings) / "files/malayalam-test.jsonl").stat().st_ino == before
    assert Lake(settings).manifest(Layer.RAW, NEWS).files[3].rows == 7


def test_a_file_that_vanished_from_the_commit_vanishes_from_the_lake(from_folder, tmp_path):
    settings = from_folder({NEWS: {**news(), "old.jsonl": news()["malayalam-test.jsonl"]}})
    run(settings)
    (tmp_path / "hub/datasets" / NEWS / "old.jsonl").unlink()
    run(settings)
    assert not (raw(settings) / "files/old.jsonl").exists()


def test_a_raw_file_that_was_lost_is_brought_again(from_folder):
    settings = from_folder({NEWS: news()})
    run(settings)
    (raw(settings) / "files/malayalam-test.jsonl").unlink()
    action, reason = planned(settings)
    assert action is Action.RUN and "is missing" in reason
    run(settings)
    assert (raw(settings) / "files/malayalam-test.jsonl").read_bytes() == news()["malayalam-test.jsonl"]


def test_a_torn_manifest_is_written_anew_and_whole_files_are_not_fetched_again(from_folder):
    settings = from_folder({NEWS: news()})
    run(settings)
    manifest = raw(settings) / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:100])
    action, reason = planned(settings)
    assert action is Action.RUN and "can't be read as a manifest" in reason
    assert "0 fetched, 0 found from an earlier try, 3 unchanged" in run(settings).reason
    assert manifest.read_bytes() == whole
    # As the other phases advise.
    manifest.unlink()
    assert "0 fetched, 0 found from an earlier try, 3 unchanged" in run(settings).reason
    assert manifest.read_bytes() == whole


def test_new_rules_and_a_new_registry_entry_inspect_again_without_fetching(from_folder, monkeypatch):
    settings = from_folder({NEWS: news()})
    run(settings)
    monkeypatch.setattr(ingest, "INGESTION_RULES", "ingestion-next")
    assert planned(settings) == (Action.RUN, "rules ingestion-3 -> ingestion-next")
    assert "0 fetched" in run(settings).reason
    changed = DATASET_REGISTRY[NEWS].model_copy(update={"licence": "cc0-1.0"})
    monkeypatch.setitem(DATASET_REGISTRY, NEWS, changed)
    assert planned(settings) == (Action.RUN, "its entry in the registry changed")


def test_an_unknown_dataset_is_the_users_mistake():
    settings = load_settings(flags={"datasets": ["owner/unknown"]}, environ={})
    with pytest.raises(FoundryError, match="'owner/unknown' is not in the dataset registry") as raised:
        ingest.plan(settings, Lake(settings))
    assert NEWS in raised.value.hint


def test_adding_a_dataset_takes_one_entry(from_folder, monkeypatch):
    entry = DATASET_REGISTRY[NEWS].model_copy(
        update={"repo_id": "owner/calls", "roles": {"text": ("utterance",), "label": ("intent",)}, "labels": {"x": "x"}}
    )
    monkeypatch.setitem(DATASET_REGISTRY, "owner/calls", entry)
    settings = from_folder(
        {"owner/calls": {"calls.jsonl": b'{"utterance": "\xe0\xb4\x85\xe0\xb4\xa4\xe0\xb5\x86", "intent": "x"}\n'}}
    )
    assert run(settings, "owner/calls").rows_out == 1
    assert metadata(settings, "owner/calls")["labels"] == {"x": 1}


def test_a_layout_that_is_not_the_registrys_is_an_error_and_publishes_nothing(from_folder):
    settings = from_folder({NEWS: {"README.md": b"moved", "data.parquet": b"PAR1"}})
    with pytest.raises(
        FoundryError, match=r"no file of its commit fits the layout jsonl; it holds README\.md, data\.parquet"
    ):
        run(settings)
    assert Lake(settings).manifest(Layer.RAW, NEWS) is None


def test_a_full_disk_is_seen_before_anything_is_fetched(from_folder, monkeypatch):
    settings = from_folder({NEWS: news()})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    needed = sum(map(len, news().values()))
    with pytest.raises(FoundryError, match=rf"{NEWS} needs {needed} B more on .*, and 1\.00 kB are free") as raised:
        run(settings)
    assert "--max-bytes-per-dataset" in raised.value.hint and "--max-rows-per-dataset" in raised.value.hint
    assert not raw(settings).exists() and not (settings.base_path / "storage" / ingest.CLAIMS).exists()


def test_a_finished_dataset_costs_no_file_request(hub, from_loopback):
    hub.add("datasets", NEWS, news())
    settings = from_loopback()
    assert run(settings).outcome is Outcome.DONE
    assert len([request for request in hub.file_requests() if request.startswith("GET")]) == 3
    hub.requests.clear()
    result = run(settings)
    assert result.outcome is Outcome.SKIPPED and "nothing to fetch" in result.reason
    assert hub.file_requests() == []


def test_a_moved_ref_fetches_only_what_changed(hub, from_loopback):
    hub.add("datasets", NEWS, news())
    settings = from_loopback()
    run(settings)
    hub.requests.clear()
    moved = hub.add("datasets", NEWS, news(test=4))
    assert run(settings).rows_out == 9
    assert {request.rpartition("/")[2] for request in hub.file_requests()} == {"malayalam-test.jsonl"}
    assert all(f"/resolve/{moved}/" in request for request in hub.file_requests())


def test_a_pinned_dataset_is_read_at_its_pin_and_needs_no_request_afterwards(hub, from_loopback):
    pin = DATASET_REGISTRY[DIALECTS].revision
    hub.add("datasets", DIALECTS, {"Dialects - Sheet1.csv": b"id,translation\n1,one\n"}, sha=pin)
    hub.add("datasets", DIALECTS, {"Dialects - Sheet1.csv": b"id,translation\n1,two\n2,three\n"})
    settings = from_loopback()
    assert run(settings, DIALECTS).rows_out == 1 and metadata(settings, DIALECTS)["revision"] == pin
    hub.requests.clear()
    assert planned(settings, DIALECTS)[0] is Action.SKIP
    assert hub.requests == []


def test_wrong_bytes_of_the_right_length_are_never_published(hub, from_loopback):
    hub.add("datasets", NEWS, news())
    hub.faults = [Fault("malayalam-test.jsonl", "corrupt", times=99)]
    settings = from_loopback()
    with pytest.raises(FoundryError, match=r"malayalam-test\.jsonl has git hash"):
        run(settings)
    assert Lake(settings).manifest(Layer.RAW, NEWS) is None and not (raw(settings) / "files").exists()
    hub.faults, hub.requests = [], []
    assert run(settings).rows_out == 8
    assert {request.rpartition("/")[2] for request in hub.file_requests()} == {"malayalam-test.jsonl"}


def test_a_corrupt_update_leaves_the_old_revision_in_place(hub, from_loopback):
    first = hub.add("datasets", NEWS, news())
    settings = from_loopback()
    run(settings)
    hub.add("datasets", NEWS, news(test=4))
    hub.faults = [Fault("malayalam-test.jsonl", "corrupt", times=99)]
    with pytest.raises(FoundryError):
        run(settings)
    assert metadata(settings)["revision"] == first
    assert (raw(settings) / "files/malayalam-test.jsonl").read_bytes() == news()["malayalam-test.jsonl"]


def test_the_same_bytes_come_from_a_folder_and_from_a_hub(hub, from_loopback, from_folder, tmp_path):
    files = {
        "metadata.jsonl": b'{"file_name": "Data/Train/a.wav", "sentence": "x"}\n',
        "Data/Train/a.wav": tone(1, 8000),
    }
    hub.add("datasets", FOLDER_SPEECH, files, sha=DATASET_REGISTRY[FOLDER_SPEECH].revision)
    over_http = from_loopback(base_path=str(tmp_path / "http"))
    in_folder = from_folder({FOLDER_SPEECH: files})
    run(over_http, FOLDER_SPEECH), run(in_folder, FOLDER_SPEECH)
    one, other = metadata(over_http, FOLDER_SPEECH), metadata(in_folder, FOLDER_SPEECH)
    assert {name for name in one if one[name] != other[name]} == {"revision", "hub", "homepage"}


def phase1(base: Path, *arguments: str, **environ: str) -> subprocess.Popen:
    values = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HUGGINGFACE_TOKEN")}
    values |= {"PYTHONPATH": str(PROJECT_ROOT), "NO_PROXY": "127.0.0.1", "HF_HOME": str(base / "hf-home"), **environ}
    command = [sys.executable, str(SCRIPT), "--base-path", str(base / "base"), "--workers", "1", *arguments]
    return subprocess.Popen(command, env=values, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_killed_run_is_taken_up_where_it_was(hub, tmp_path):
    files = {f"part-{number:02}.jsonl": news(train=number + 1)["malayalam-train.jsonl"] for number in range(12)}
    hub.add("datasets", NEWS, files)
    config = tmp_path / "config.json"
    config.write_text('{"hub": {"max_parallel_downloads": 1}}')
    arguments = ("--datasets", NEWS, "--config", str(config))
    hub.delay = 0.3
    process = phase1(tmp_path, *arguments, HF_ENDPOINT=hub.url)
    deadline = time.monotonic() + 60
    while len(hub.file_requests()) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hub.delay = 0.0
    # The file that was on its way may be asked for twice; those before it may not.
    first = [request for request in hub.file_requests() if request.startswith("GET")]
    assert 3 <= len(first) < 12
    hub.requests.clear()
    again = phase1(tmp_path, *arguments, HF_ENDPOINT=hub.url)
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    assert not set(first[:-1]) & set(hub.file_requests())
    base = load_settings(flags={"base_path": str(tmp_path / "base")}, environ={})
    for name, data in files.items():
        assert (raw(base) / "files" / name).read_bytes() == data
    assert not (raw(base) / ingest.FETCHED).exists()


def test_one_failing_dataset_does_not_stop_the_others_and_the_token_shows_nowhere(hub, tmp_path):
    hub.allow("hf_very_secret_token")
    hub.add("datasets", NEWS, news())
    hub.add("datasets", COMMENTS, comments(), sha=DATASET_REGISTRY[COMMENTS].revision, gated=True)
    process = phase1(
        tmp_path, "--datasets", COMMENTS, DIALECTS, NEWS, HF_ENDPOINT=hub.url, HUGGINGFACE_TOKEN="hf_very_secret_token"
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "is gated (403)" in output and "no such repository" in output
    report = json.loads((tmp_path / "base/reports/phase1_report.json").read_text())
    assert report["status"] == "partial"
    assert {step["name"]: step["outcome"] for step in report["steps"]} == {
        f"ingest {COMMENTS}": "failed", f"ingest {DIALECTS}": "failed", f"ingest {NEWS}": "done",
    }  # fmt: skip
    assert report["datasets"][NEWS]["rows"] == 8 and report["datasets"][COMMENTS]["rows"] is None
    assert "Bearer hf_very_secret_token" in hub.seen_tokens
    assert "hf_very_secret_token" not in output
    for path in (tmp_path / "base").rglob("*"):
        assert path.is_dir() or b"hf_very_secret_token" not in path.read_bytes(), path


def test_a_dry_run_writes_nothing_and_asks_nobody(hub, tmp_path):
    process = phase1(tmp_path, "--dry-run", HF_ENDPOINT=hub.url)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert f"phase1 ingestion: {len(DATASET_REGISTRY)} would run" in output
    assert hub.requests == [] and not (tmp_path / "base").exists()


def test_an_unknown_dataset_on_the_command_line_exits_with_2(tmp_path):
    process = phase1(tmp_path, "--datasets", "owner/unknown")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and NEWS in output and "Traceback" not in output


def test_a_backup_that_failed_or_was_enabled_late_is_made_by_the_next_run(from_folder, tmp_path):
    plain = from_folder({NEWS: news()})
    run(plain)
    assert planned(plain)[0] is Action.SKIP
    storage = plain.storage.model_copy(update={"backup_enabled": True, "backup_path": tmp_path / "backup"})
    settings = plain.model_copy(update={"storage": storage})
    (tmp_path / "backup").write_text("")
    with pytest.raises(OSError):
        run(settings)
    assert planned(settings)[0] is Action.RUN and "backup" in planned(settings)[1]
    (tmp_path / "backup").unlink()
    run(settings)
    for name, data in news().items():
        assert (tmp_path / "backup" / "raw" / NEWS / "files" / name).read_bytes() == data
    assert planned(settings)[0] is Action.SKIP


def test_flipped_bytes_are_verified_removed_and_only_their_file_is_fetched_again(hub, from_loopback, capfd):
    hub.add("datasets", NEWS, news())
    settings = from_loopback(datasets=[NEWS])
    run(settings)
    before = tree(raw(settings))
    damaged = raw(settings) / "files/malayalam-train.jsonl"
    data = bytearray(damaged.read_bytes())
    data[100] ^= 1
    damaged.write_bytes(data)
    flags = ["verify", "--base-path", str(settings.base_path), NEWS]
    assert "nothing to fetch" in run(settings).reason, "of the right length, so no run sees it"
    assert main(flags) == 1 and "files/malayalam-train.jsonl has other bytes" in capfd.readouterr().out
    assert main([*flags, "--repair"]) == 1 and not damaged.exists()
    asked = len(hub.file_requests())
    assert planned(settings)[0] is Action.RUN and "1 fetched" in run(settings).reason
    assert len(hub.file_requests()) == asked + 1 and tree(raw(settings)) == before
    assert main(flags) == 0


def test_a_manifest_of_older_rules_is_described_by_what_it_holds(from_folder):
    settings = from_folder({NEWS: news()})
    run(settings)
    path = raw(settings) / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for name in ("selection", "splits", "metric_definitions"):
        del manifest["details"][name]
    del manifest["details"]["licence"]["no_derivatives"], manifest["details"]["licence"]["flags"], manifest["checksum"]
    manifest["rule_sets"]["ingestion"] = "ingestion-1"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    report = ingest.describe(only(settings, NEWS), Lake(settings))[0][NEWS]
    assert report.status == "ingested" and report.rows == 8 and "older rules (ingestion-1" in report.reason
