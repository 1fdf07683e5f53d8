"""Phase 2 as a step: what it plans and why, the same bytes every time, what it reports, and its script."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing import standardize
from data_foundry.records import SilverRow
from data_foundry.report import Action

from .audio_builders import tone
from .raw_builders import NEWS, STT, TEXT, clip, ingest, mixed_rows, speech, wav


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
    assert loaded[0]["audio"]["bytes"][:4] == b"RIFF"
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


def test_a_changed_rule_set_reruns_and_is_named(settings, lake, monkeypatch):
    only = settings.model_copy(update={"datasets": (STT,)})
    ingest(lake, STT, speech(clip(wav(tone(2.0)))))
    standardize.run_step(only, standardize.plan(only, lake)[0])
    monkeypatch.setitem(standardize.RULE_SETS, "text", "text-next")
    assert "-> text-next" in standardize.plan(only, lake)[0].reason


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
    (finding,) = report.findings
    assert (finding["kind"], finding["count"]) == ("rejected_audio_corrupt", 1)
    assert "row 1" in finding["examples"][0]


def test_a_dataset_with_unreadable_files_fails_whole_and_leaves_what_was_there(settings, lake, run):
    run(STT, speech(clip(wav(tone(2.0)))))
    before = lake.manifest(Layer.SILVER, STT)
    ingest(lake, STT, {"data/train-0.parquet": b"PAR1"})
    only = settings.model_copy(update={"datasets": (STT,)})
    with pytest.raises(FoundryError, match=r"train-0\.parquet"):
        standardize.run_step(only, standardize.plan(only, lake)[0])
    assert lake.manifest(Layer.SILVER, STT) == before


def test_an_unknown_dataset_is_the_users_mistake(settings, lake):
    with pytest.raises(FoundryError, match="nobody/nothing"):
        standardize.plan(settings.model_copy(update={"datasets": ("nobody/nothing",)}), lake)


def test_large_sets_are_written_in_several_groups_and_parts(settings, lake, run, monkeypatch):
    from data_foundry.preprocessing import silver_files

    monkeypatch.setattr(silver_files, "PART_BYTES", 1_000_000)
    payload = wav(tone(0.5))
    _, silver, _ = run(STT, speech(*[clip(payload, "മഴ വന്നു") for _ in range(200)]))
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


def test_every_reason_of_the_readme_is_raised_somewhere_and_no_other_is():
    package = Path(standardize.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in package.glob("*.py"))
    raised = set(re.findall(r'Rejected\(\s*"([a-z_]+)"', source)) | {"audio_truncated", "audio_empty", "audio_corrupt"}
    raised |= {f"{kind}_{role}" for kind, role in (("unknown", "label"), ("empty", "label"), ("unknown", "dialect"))}
    readme = (PROJECT_ROOT / "phase2-preprocessing" / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z_]+)`", readme[readme.index("Reasons:") :])) - {"audio", "text"}
    assert told == raised


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
