"""Phase 2 as a step: what it plans and why, the same bytes every time, what it reports, and its script."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq
import pytest

from data_foundry.compute import guarded
from data_foundry.config import PROJECT_ROOT, ContentRuleName, load_settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.errors import FoundryError
from data_foundry.lake import Commit, Lake, Layer
from data_foundry.preprocessing import rule_sets, standardize
from data_foundry.preprocessing.reasons import REASONS
from data_foundry.records import SilverRow
from data_foundry.report import Action

from .audio_builders import tone
from .raw_builders import (
    NEWS,
    STT,
    TEXT,
    TOKEN_ROW,
    TOKEN_TYPES,
    TOKENS,
    clip,
    entry,
    ingest,
    mixed_rows,
    parquet_bytes,
    speech,
    wav,
)  # fmt: skip


def test_the_same_raw_data_gives_the_same_bytes_in_another_lake(with_settings, tmp_path):
    hashes, files = [], speech(*mixed_rows(40))
    for place in ("one", "two"):
        settings = with_settings(base_path=str(tmp_path / place), datasets=[STT])
        lake = Lake(settings)
        ingest(lake, STT, files)
        (step,) = standardize.plan(settings, lake)
        result = standardize.run_step(settings, step)
        assert (result.rows_in, result.rows_out) == (40, 40 - sum(result.rejected.values()))
        hashes.append((lake.manifest(Layer.SILVER, STT).model_dump_json(), step.key))
    assert hashes[0] == hashes[1]


def test_the_hubs_own_library_opens_silver(run, lake, tmp_path):
    import datasets

    run(STT, speech(*mixed_rows(10)))
    files = [str(path) for path in lake.files(Layer.SILVER, STT, under="train")]
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.features["audio"] == datasets.Audio(sampling_rate=16_000)
    assert loaded.cast_column("audio", datasets.Audio(decode=False))[0]["audio"]["bytes"][:4] == b"RIFF"
    assert set(loaded.column_names) == set(SilverRow.model_fields)


def test_a_plan_waits_runs_skips_and_says_why(settings, lake, with_settings):
    only = settings.model_copy(update={"datasets": (STT,)})
    (waiting,) = standardize.plan(only, lake)
    assert (waiting.action, waiting.reason) == (Action.WAIT, f"waiting for phase1: {STT} is not ingested")
    ingest(lake, STT, speech(clip(wav(tone(2.0)))))
    (first,) = standardize.plan(only, lake)
    assert (first.action, first.reason) == (Action.RUN, "nothing there yet")
    standardize.run_step(only, first)
    (again,) = standardize.plan(only, lake)
    assert (again.action, again.key) == (Action.SKIP, first.key)
    stricter = with_settings(audio={"min_seconds": 0.5}, datasets=[STT])
    assert standardize.plan(stricter, lake)[0].reason == "audio.min_seconds changed"
    assert standardize.plan(with_settings(datasets=[STT], workers=7), lake)[0].action is Action.SKIP
    ingest(lake, STT, speech(clip(wav(tone(3.0)))))
    assert standardize.plan(only, lake)[0].reason == "the raw data changed"


THREE = {
    STT: speech(clip(wav(tone(2.0)))),
    NEWS: {"malayalam-train.jsonl": json.dumps({"news": TEXT, "class": 0})},
    TOKENS: {"data/train-0.parquet": parquet_bytes([TOKEN_ROW], TOKEN_TYPES)},
}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The settings and the lake of a speech, a text and a token dataset in silver; tests only plan on it."""
    base = tmp_path_factory.mktemp("three")
    chosen = load_settings(flags={"base_path": str(base), "datasets": list(THREE), "workers": 0}, environ={})
    lake = Lake(chosen)
    for name, files in THREE.items():
        ingest(lake, name, files)
    for step in standardize.plan(chosen, lake):
        standardize.run_step(chosen, step)
    assert {step.action for step in standardize.plan(chosen, lake)} == {Action.SKIP}
    return chosen, lake


def reruns(settings, lake) -> dict[str, str]:
    return {s.subject: s.reason for s in standardize.plan(settings, lake) if s.action is Action.RUN}


TOUCHED = {
    "rows": {STT, NEWS, TOKENS}, "text": {STT, NEWS, TOKENS}, "content": {STT, NEWS, TOKENS}, "prompts": {TOKENS},
    "audio": {STT},
    "segmentation": {STT}, "quality": {STT}, "fingerprint": {STT}, "speaking_rate": {TOKENS}, "codec": {TOKENS},
    "labels": {STT, NEWS, TOKENS}, "duplicate_text": {STT, NEWS, TOKENS}, "duplicate_audio": {STT},
}  # fmt: skip


def test_the_touched_datasets_of_every_rule_set_are_listed_here():
    assert set(TOUCHED) == set(rule_sets.RULE_SETS)


@pytest.mark.parametrize("name", TOUCHED)
def test_a_changed_rule_reruns_the_datasets_it_touches_and_no_other_and_is_named(name, three, monkeypatch):
    before = rule_sets.RULE_SETS[name]
    monkeypatch.setitem(rule_sets.RULE_SETS, name, before._replace(version="next"))
    assert reruns(*three) == dict.fromkeys(TOUCHED[name], f"rules {before.version} -> next")


@pytest.mark.parametrize(
    ("section", "key", "value", "touched"),
    [
        ("audio", "min_seconds", 0.4, {STT}),
        ("audio", "max_aksharas_per_second", 15.0, {STT, TOKENS}),
        ("duplicates", "audio", "keep", {STT}),
        ("duplicates", "text", "drop", {STT, NEWS, TOKENS}),
        ("text", "min_malayalam_ratio", 0.8, {STT, NEWS, TOKENS}),
        ("content", "mask_personal_data", False, {STT, NEWS, TOKENS}),
    ],
)
def test_a_changed_setting_reruns_the_datasets_it_touches_and_no_other(
    section, key, value, touched, three, with_settings
):
    changed = with_settings(**{section: {key: value}}, datasets=list(THREE))
    assert reruns(changed, three[1]) == dict.fromkeys(touched, f"{section}.{key} changed")


def test_what_a_dataset_has_is_what_phase_1_found_in_it_not_what_its_entry_hopes_for(three):
    raw = three[1].manifest(Layer.RAW, STT)
    found = raw.model_copy(update={"details": {**raw.details, "roles": {"text": "transcript"}}})
    assert rule_sets.kinds(found, entry(STT)) == {"text"}
    assert rule_sets.kinds(raw, entry(STT)) == {"text", "audio", "labels"}


def test_a_changed_registry_entry_is_named_by_its_field(three, monkeypatch):
    changed = entry(NEWS).model_copy(update={"labels": {"0": "business"}})
    monkeypatch.setitem(DATASET_REGISTRY, NEWS, changed)
    assert reruns(*three) == {NEWS: "registry.labels changed"}


def test_the_report_reads_the_same_from_the_manifest_later(settings, lake, run):
    run(STT, speech(clip(wav(tone(2.0)), "അവന്\u200d വന്നു"), clip(b"junk"), clip(wav(tone(4.0)))))
    only = settings.model_copy(update={"datasets": (STT, NEWS)})
    reports, engines = standardize.describe(only, lake)
    assert engines == {}
    assert reports[NEWS].status == "not standardized"
    report = reports[STT]
    assert report.status == "standardized"
    assert report.metrics["silver_hours"] == round(6 / 3600, 4)
    assert (report.metrics["raw_rows"], report.metrics["silver_rows"]) == (3, 2)
    assert report.metrics["malayalam_ratio_mean"] == 1.0
    assert report.metrics["text_changes"] == {"legacy_chillu": 1}
    assert report.metrics["malayalam_fidelity"] == 1.0
    assert report.metrics["measures"]["duration"] == {"p5": 2.0, "p50": 2.0, "p95": 4.0}
    assert set(report.model_dump()["metric_definitions"]) == set(report.metrics)
    (finding,) = report.findings
    assert (finding["kind"], finding["count"]) == ("rejected_audio_corrupt", 1)
    assert "row 1" in finding["examples"][0]


def test_a_damaged_file_of_silver_is_a_finding_and_no_end_of_the_report(settings, lake, run):
    for name in (STT, NEWS):
        run(name, THREE[name])
    lake.files(Layer.SILVER, STT)[0].unlink()
    reports, _ = standardize.describe(settings.model_copy(update={"datasets": (STT, NEWS)}), lake)
    (finding,) = reports[STT].findings
    assert (finding["kind"], finding["severity"]) == ("silver_damaged", "error") and "is missing" in finding["message"]
    assert "rows_shared_with" not in reports[STT].metrics
    assert reports[NEWS].metrics["rows_shared_with"] == {"text": {}, "audio": {}}


def test_a_dataset_with_unreadable_files_fails_whole_and_leaves_what_was_there(settings, lake, run):
    run(STT, speech(clip(wav(tone(2.0)))))
    before = lake.manifest(Layer.SILVER, STT)
    ingest(lake, STT, {"data/train-0.parquet": b"PAR1"})
    only = settings.model_copy(update={"datasets": (STT,)})
    with pytest.raises(FoundryError, match=r"train-0\.parquet"):
        standardize.run_step(only, standardize.plan(only, lake)[0])
    assert lake.manifest(Layer.SILVER, STT) == before


def test_raw_bytes_that_changed_at_equal_length_since_they_were_verified_never_reach_silver(settings, lake, run):
    run(STT, speech(clip(wav(tone(2.0)))))
    before = lake.manifest(Layer.SILVER, STT)
    (file,) = [path for path in lake.files(Layer.RAW, STT) if path.suffix == ".parquet"]
    payload = bytearray(file.read_bytes())
    payload[len(payload) // 2] ^= 1
    file.write_bytes(payload)
    only = settings.model_copy(update={"datasets": (STT,)})
    with pytest.raises(FoundryError, match="other bytes than were published"):
        standardize.run_step(only, standardize.plan(only, lake)[0])
    assert lake.manifest(Layer.SILVER, STT) == before


def test_an_unknown_dataset_is_the_users_mistake(settings, lake):
    with pytest.raises(FoundryError, match="nobody/nothing"):
        standardize.plan(settings.model_copy(update={"datasets": ("nobody/nothing",)}), lake)


def test_large_sets_are_written_in_several_groups_and_parts(settings, lake, run, monkeypatch):
    from data_foundry.preprocessing import silver_files

    monkeypatch.setattr(silver_files, "PART_BYTES", 1_000_000)
    payload = wav(tone(0.5))
    _, silver, _ = run(STT, speech(*[clip(payload, f"മഴ വന്നു {i}") for i in range(200)]))
    manifest = lake.manifest(Layer.SILVER, STT)
    assert [(file.path, file.rows) for file in manifest.files] == [
        ("train/part-00000.parquet", 64), ("train/part-00001.parquet", 64), ("train/part-00002.parquet", 64),
        ("train/part-00003.parquet", 8),
    ]  # fmt: skip
    assert [row["source_row"] for row in silver] == list(range(200))
    footer = pq.ParquetFile(lake.files(Layer.SILVER, STT)[0]).metadata.row_group(0)
    leaves = {footer.column(i).path_in_schema: footer.column(i) for i in range(footer.num_columns)}
    assert leaves["audio.bytes"].compression == "UNCOMPRESSED"
    assert leaves["audio.bytes"].statistics is None
    assert {leaf.compression for name, leaf in leaves.items() if name != "audio.bytes"} == {"ZSTD"}


def test_two_workers_write_the_bytes_of_one(with_settings, tmp_path):
    from data_foundry.compute import run_steps

    files = {STT: speech(*mixed_rows(12)), NEWS: {"malayalam-train.jsonl": json.dumps({"news": TEXT, "class": 0})}}
    manifests = []
    for workers in (1, 2):
        settings = with_settings(base_path=str(tmp_path / str(workers)), datasets=list(files), workers=workers)
        lake = Lake(settings)
        for name, content in files.items():
            ingest(lake, name, content)
        results = list(run_steps(standardize.run_step, settings, standardize.plan(settings, lake)))
        assert not any(result.failed for result in results)
        manifests.append([lake.manifest(Layer.SILVER, name) for name in files])
    assert manifests[0] == manifests[1]


ELSEWHERE = """
import sys
from data_foundry.config import load_settings
from data_foundry.lake import Lake
from data_foundry.preprocessing import standardize
base, workers = sys.argv[1], int(sys.argv[2])
settings = load_settings(flags={"base_path": base, "datasets": sys.argv[3:], "workers": workers})
for step in standardize.plan(settings, Lake(settings)):
    standardize.run_step(settings, step)
"""


def standardize_elsewhere(base: Path, *names: str, program: str = ELSEWHERE, workers: int = 1, **environ: str):
    """Run the steps of datasets in another process."""
    command = [sys.executable, "-c", program, str(base), str(workers), *names]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=base)


def test_hash_seed_locale_time_zone_and_workers_leave_no_trace(with_settings, tmp_path):
    files = {STT: speech(*mixed_rows(24)), NEWS: THREE[NEWS]}
    settings = with_settings(base_path=str(tmp_path), datasets=list(files))
    lake = Lake(settings)
    for name, content in files.items():
        ingest(lake, name, content)
    manifests = set()
    for environ in (
        {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC", "workers": 1},
        {"PYTHONHASHSEED": "77", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kolkata", "workers": 3},
    ):
        shutil.rmtree(tmp_path / "storage" / "silver", ignore_errors=True)
        done = standardize_elsewhere(tmp_path, *files, **environ)
        assert done.returncode == 0, done.stderr
        manifests.add("".join(lake.manifest(Layer.SILVER, name).model_dump_json() for name in files))
    assert len(manifests) == 1


KILLED = (
    """
import os, signal
from data_foundry.preprocessing.silver_files import SilverFiles
add, count = SilverFiles.add, 0
def dies(self, row):
    global count
    count += 1
    add(self, row)
    if count == 100:
        os.kill(os.getpid(), signal.SIGKILL)
SilverFiles.add = dies
"""
    + ELSEWHERE
)


def test_a_part_whose_process_was_killed_is_never_seen_and_is_made_again(with_settings, tmp_path):
    payload = wav(tone(0.5))
    files = speech(*[clip(payload, f"മഴ വന്നു {i}") for i in range(150)])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for base in (whole, killed):
        ingest(Lake(with_settings(base_path=str(base))), STT, files)
    assert standardize_elsewhere(killed, STT, program=KILLED).returncode == -signal.SIGKILL
    lake = Lake(with_settings(base_path=str(killed)))
    folder = lake.folder(Layer.SILVER, STT)
    assert [path.stat().st_size > 0 for path in folder.rglob("*.parquet")] == [True], "it died in mid-part"
    assert lake.manifest(Layer.SILVER, STT) is None
    assert standardize_elsewhere(killed, STT).returncode == 0
    assert standardize_elsewhere(whole, STT).returncode == 0
    again = {path.relative_to(killed): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    there = Lake(with_settings(base_path=str(whole))).folder(Layer.SILVER, STT)
    assert again == {path.relative_to(whole): path.read_bytes() for path in there.rglob("*") if path.is_file()}


def test_a_full_disk_in_mid_part_fails_the_step_and_leaves_what_was_there(settings, lake, run, monkeypatch):
    run(STT, speech(clip(wav(tone(2.0)))))
    before = lake.manifest(Layer.SILVER, STT)
    ingest(lake, STT, speech(*[clip(wav(tone(1.0)), f"മഴ വന്നു {i}") for i in range(70)]))
    path_of = Commit.path

    def full(self, relative):
        path = path_of(self, relative)
        path.symlink_to("/dev/full")
        return path

    only = settings.model_copy(update={"datasets": (STT,)})
    (step,) = standardize.plan(only, lake)
    with monkeypatch.context() as patch:
        patch.setattr(Commit, "path", full)
        result = guarded(standardize.run_step, only, step)
    assert result.failed and "No space left on device" in result.reason
    assert lake.manifest(Layer.SILVER, STT) == before
    assert [path for path in lake.folder(Layer.SILVER, STT).iterdir() if path.name.startswith(".")] == []
    assert lake.files(Layer.SILVER, STT)
    result = guarded(standardize.run_step, only, step)
    assert (result.failed, result.rows_out) == (False, 70)


def test_every_reason_in_the_source_is_in_the_table_and_in_the_readme_and_no_other():
    package = Path(standardize.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in sorted(package.rglob("*.py")))
    raised = set(re.findall(r'Rejected\(\s*"([a-z_]+)"', source)) | {"audio_truncated", "audio_corrupt"}
    raised |= {f"content_{rule}" for rule in get_args(ContentRuleName)}
    raised -= {"audio_unsupported"}  # only where ffmpeg may not read, which phase 2 always lets it
    assert set(REASONS) == raised
    readme = (PROJECT_ROOT / "phase2-preprocessing" / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z_]+)`", readme[readme.index("Reasons:") :].split("\n\n")[0]))
    assert told == {reason for reason in REASONS if not reason.startswith("content_")}


def test_the_script_previews_without_writing_and_runs_from_any_folder(tmp_path):
    script = PROJECT_ROOT / "phase2-preprocessing" / "standardize_data.py"
    base = tmp_path / "base"
    done = subprocess.run(
        [sys.executable, str(script), "--dry-run", "--base-path", str(base), "--datasets", STT],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"waiting for phase1: {STT} is not ingested" in done.stdout
    assert not base.exists()
