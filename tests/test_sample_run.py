"""The pipeline on the bundled sample, by the commands a person types; one engine is trained, and briefly."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_foundry.bundled import FOLDER as BUNDLED
from data_foundry.config import PROJECT_ROOT, load_settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES
from data_foundry.engines.adapters import adapters
from data_foundry.preprocessing.content.rules import RULES as CONTENT
from data_foundry.preprocessing.reasons import ASKED_FOR, REASONS
from data_foundry.report import PipelineReport

SAMPLE = PROJECT_ROOT / "storage" / "sample-hub"
BRIEF = {"DATA_FOUNDRY_TRAINING__ENGINES__SENTIMENT__EPOCHS": "2"}


def run(base: Path, *flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT_ROOT / "run_data_foundry.py"), "--base-path", str(base), *flags]
    return subprocess.run(
        command,
        cwd=base.parent,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def report_of(base: Path) -> PipelineReport:
    return PipelineReport.model_validate_json((base / "reports" / "latest_pipeline_summary.json").read_bytes())


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """One run of all four phases; phase 4 for sentiment alone."""
    base = tmp_path_factory.mktemp("sample") / "base"
    first = run(base, "--profile", "sample", "--phases", "phase1", "phase2", "phase3")
    assert first.returncode == 0, first.stderr
    data = report_of(base)
    done = run(base, "--profile", "sample", "--engines", "sentiment", **BRIEF)
    assert done.returncode == 0, done.stderr
    return base, data, report_of(base)


def test_all_datasets_reach_the_lake_and_all_six_engines_get_rows(sample):
    _, report, _ = sample
    assert report.status == "completed" and report.profile == "sample"
    assert set(report.datasets) == set(DATASET_REGISTRY)
    for name, dataset in report.datasets.items():
        assert len(dataset.revision) == 40 and dataset.rows > 0 and dataset.bytes > 0, name
        assert dataset.metrics["content_ratio"] is not None and dataset.metrics["completeness_score"] > 0
        assert dataset.declared_engine == DATASET_REGISTRY[name].declared_engine
    assert set(report.engines) == set(map(str, ENGINES))
    for engine in report.engines.values():
        assert min(engine.rows[split] for split in ("train", "validation", "test")) > 0


def test_rows_are_conserved_at_every_step(sample):
    for report in sample[1:]:
        for phase in report.phases.values():
            for step in phase.steps:
                assert step.rows_in == step.rows_out + sum(step.rejected.values()), step.name


def test_what_a_dataset_can_not_do_is_a_finding_and_what_it_can_is_used(sample):
    datasets = sample[1].datasets
    for name in ("Be-win/IndicST-malayalam-only", "Praha-Labs/rasa-malayalam-nano-codec", "Aby003/Malayalam_Dialects"):
        assert "declared_engine_unable" in {finding["kind"] for finding in datasets[name].findings}, name
    # Unlabelled Malayalam text adapts understanding to its domain, wherever it comes from.
    for name, engines in {
        "Be-win/IndicST-malayalam-only": {"translation", "nlu"},
        "Praha-Labs/rasa-malayalam-nano-codec": {"tts", "nlu"},
        "Aby003/Malayalam_Dialects": set(),
        "CXDuncan/Malayalam-IndicVoices": {"stt", "dialect", "nlu"},
        "Be-win/malayalam-speech-with-english-translation": {"stt", "translation", "nlu"},
    }.items():
        assert set(datasets[name].served_engines) == engines, name


# What refuses rows where settings ask for it.
STRICT = {
    "DATA_FOUNDRY_DUPLICATES__TEXT": "drop",
    "DATA_FOUNDRY_AUDIO__MIN_SNR_DB": "15",
    "DATA_FOUNDRY_HUB__MAX_BYTES_PER_DATASET": "1MB",
}


def rejected_in(base: Path) -> set[str]:
    manifests = (base / "storage" / "silver").rglob("manifest.json")
    return {reason for path in manifests for reason in json.loads(path.read_bytes())["rejected"]}


def test_every_reason_to_reject_a_row_that_no_setting_must_ask_for_occurs_in_the_sample(sample):
    assert rejected_in(sample[0]) == set(REASONS) - ASKED_FOR


def test_strict_settings_refuse_rows_for_the_reasons_they_ask_for(tmp_path):
    names = ("CXDuncan/Malayalam-IndicVoices", "wlkla/Malayalam_first_ready_for_sentiment")
    base = tmp_path / "strict"
    done = run(base, "--profile", "sample", "--phases", "phase1", "phase2", "--datasets", *names, **STRICT)
    assert done.returncode == 0, done.stderr
    assert rejected_in(base) >= {reason for reason in ASKED_FOR if not reason.startswith("content_")}


def test_every_content_rule_refuses_its_row_where_the_settings_name_it(tmp_path):
    """The sample's comments and prompts, with a row that each rule finds something in: by its own first example."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    comments, prompts = "wlkla/Malayalam_first_ready_for_sentiment", "Praha-Labs/rasa-malayalam-nano-codec"
    hub = tmp_path / "hub"
    for name in (comments, prompts):
        shutil.copytree(SAMPLE / "datasets" / name, hub / "datasets" / name)
    said = {rule.name: rule.finds[0] for rule in CONTENT}
    said |= {"abuse_list": "അവൻ ഒരു ചപ്പടാച്ചി ആണ്", "abuse_homograph": "ഒരു കഴുത വന്നു"}
    to_callers = {rule.name for rule in CONTENT if rule.group == "prompts"}
    (table,) = (hub / "datasets" / comments).glob("*.tsv")
    with table.open("a", encoding="utf-8") as lines:
        lines.writelines(f"Negative\t{said[rule]}\n" for rule in said if rule not in to_callers)
    (part,) = (hub / "datasets" / prompts).rglob("*.parquet")
    rows = pq.read_table(part)
    texts = [said[rule] for rule in sorted(to_callers)] + rows["text"].to_pylist()[len(to_callers) :]
    pq.write_table(rows.set_column(0, rows.schema.field("text"), pa.array(texts)), part)
    (tmp_path / "words.txt").write_text("ചപ്പടാച്ചി\nകഴുത\n", encoding="utf-8")
    asked = {reason for reason in REASONS if reason.startswith("content_")}
    settings = {
        "DATA_FOUNDRY_HUB__SOURCE": str(hub),
        "DATA_FOUNDRY_CONTENT__EXCLUDE": json.dumps([reason.removeprefix("content_") for reason in sorted(asked)]),
        "DATA_FOUNDRY_CONTENT__ABUSE_LIST": str(tmp_path / "words.txt"),
        "DATA_FOUNDRY_CONTENT__ABUSE_LIST_LICENCE": "cc0-1.0",
    }
    base = tmp_path / "base"
    done = run(base, "--phases", "phase1", "phase2", "--datasets", comments, prompts, **settings)
    assert done.returncode == 0, done.stderr
    assert {reason for reason in rejected_in(base) if reason.startswith("content_")} == asked


def test_raw_is_byte_for_byte_what_the_hub_holds(sample):
    base = sample[0]
    for name, entry in DATASET_REGISTRY.items():
        source = (BUNDLED if entry.bundled else SAMPLE) / "datasets" / name
        raw = base / "storage" / "raw" / name / "files"
        files = [path for path in source.rglob("*") if path.is_file()]
        assert files, name
        for file in files:
            assert (raw / file.relative_to(source)).read_bytes() == file.read_bytes(), file


def test_load_dataset_opens_silver_and_gold(sample):
    from datasets import Audio, load_dataset

    base = sample[0]
    silver = base / "storage" / "silver" / "CXDuncan" / "Malayalam-IndicVoices" / "train"
    rows = load_dataset("parquet", data_files=str(silver / "*.parquet"), cache_dir=str(base / "cache"))["train"]
    assert {"row_id", "text", "text_raw", "audio", "district", "flags"} <= set(rows.column_names)
    assert rows.features["audio"] == Audio(sampling_rate=16_000)
    assert rows.cast_column("audio", Audio(decode=False))[0]["audio"]["bytes"][:4] == b"RIFF"
    gold = load_dataset(str(base / "storage" / "gold" / "sentiment"), cache_dir=str(base / "cache"))
    assert set(gold) == {"train", "validation", "test"} and len(gold["test"]) > 30


def test_the_splits_are_found_disjoint_from_the_files_alone(sample):
    said = subprocess.run(
        [sys.executable, "-m", "data_foundry", "verify", "--splits", "--base-path", str(sample[0])],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0 and "no split shares anything that it must not share" in said.stdout, said.stdout


def test_silver_audio_is_16_khz_mono_pcm16(sample):
    import io

    import pyarrow.parquet as pq
    import soundfile

    base = sample[0]
    for name in ("ayush-shunyalabs/malayalam-speech-dataset", "CXDuncan/Malayalam-IndicVoices"):
        for part in (base / "storage" / "silver" / name).rglob("train/*.parquet"):
            for row in pq.read_table(part, columns=["audio", "duration"]).to_pylist():
                info = soundfile.info(io.BytesIO(row["audio"]["bytes"]))
                assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "WAV", "PCM_16")
                assert info.frames / 16000 == pytest.approx(row["duration"], abs=1e-4)


def test_the_adapter_is_measured_beside_its_base_and_opens_with_peft(sample):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    base, _, report = sample
    engine = report.engines["sentiment"]
    assert engine.base["rows"] == engine.adapted["rows"] == engine.rows["test"]
    assert 0 <= engine.base["score"] <= 1 and 0 <= engine.adapted["score"] <= 1
    assert {gate.gate for gate in engine.gates} >= {"minimum_score", "improvement", "base_domain", "enough_test_rows"}
    assert engine.stage in ("none", "shadow") and engine.reason
    (adapter,) = (base / "models" / "sentiment").glob("*/adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    folder = SAMPLE / "models" / config["base_model_name_or_path"]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    adapted = PeftModel.from_pretrained(model, adapter)
    assert any("lora_B" in name and weight.abs().sum() > 0 for name, weight in adapted.named_parameters())


def test_a_second_run_does_nothing_says_so_and_leaves_every_byte(sample):
    base = sample[0]
    before = {
        path: path.stat().st_mtime_ns for part in ("storage", "models") for path in (base / part).rglob("*.parquet")
    }
    again = run(base, "--profile", "sample", "--engines", "sentiment", **BRIEF)
    assert again.returncode == 0 and "Nothing to do" in again.stdout, again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}
    steps = [step for phase in report_of(base).phases.values() for step in phase.steps]
    assert {step.outcome.value for step in steps} == {"skipped"} and sum(step.rows_in for step in steps) > 1000


def test_the_logs_and_reports_lie_under_the_base_path(sample):
    base = sample[0]
    assert list((base / "logs").glob("data_foundry_*.log")) and list((base / "reports").glob("pipeline_report_*.json"))


def test_status_tells_what_lies_in_the_lake(sample):
    base = sample[0]
    command = [sys.executable, "-m", "data_foundry", "status", "--json", "--base-path", str(base)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    status = json.loads(done.stdout)
    assert len(status["raw"]) == len(status["silver"]) == len(DATASET_REGISTRY) and len(status["gold"]) == 6
    assert {each["engine"] for each in status["deployments"]} == set(adapters(load_settings(environ={}).training))


def test_a_broken_dataset_fails_alone_with_its_name_and_the_run_is_partial(tmp_path):
    hub = tmp_path / "hub"
    for name in ("Aby003/Malayalam_Dialects", "wlkla/Malayalam_first_ready_for_sentiment"):
        shutil.copytree(SAMPLE / "datasets" / name, hub / "datasets" / name)
    for tsv in (hub / "datasets" / "wlkla").rglob("*.tsv"):
        tsv.unlink()
    base = tmp_path / "base"
    names = ["Aby003/Malayalam_Dialects", "wlkla/Malayalam_first_ready_for_sentiment", "Be-win/IndicST-malayalam-only"]
    done = run(base, "--phases", "phase1", "--datasets", *names, DATA_FOUNDRY_HUB__SOURCE=str(hub))
    report = report_of(base)
    assert done.returncode == 1 and report.status == "partial" and "Traceback" not in done.stderr
    assert report.datasets[names[0]].status == "ingested"
    for name in names[1:]:
        assert report.datasets[name].status == "failed" and any(name in reason for reason in report.reasons)


def test_a_table_that_can_not_be_read_fails_its_dataset_and_nothing_of_it_enters_the_lake(tmp_path):
    name = "Praha-Labs/rasa-malayalam-nano-codec"
    shutil.copytree(SAMPLE / "datasets" / name, tmp_path / "hub" / "datasets" / name)
    (part,) = (tmp_path / "hub").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    base = tmp_path / "base"
    done = run(base, "--phases", "phase1", "--datasets", name, DATA_FOUNDRY_HUB__SOURCE=str(tmp_path / "hub"))
    assert done.returncode == 1 and "no row can be read" in report_of(base).datasets[name].reason
    assert not list((base / "storage" / "raw").rglob("manifest.json"))


def test_a_hub_folder_that_is_not_there_starts_nothing(tmp_path):
    done = run(tmp_path / "base", DATA_FOUNDRY_HUB__SOURCE=str(tmp_path / "nowhere"))
    assert done.returncode == 2 and "nowhere is not a folder" in done.stderr and not (tmp_path / "base").exists()


def test_an_unreachable_hub_is_said_with_its_address_and_exit_code_1(tmp_path):
    environ = {"HF_ENDPOINT": "http://127.0.0.1:9", "DATA_FOUNDRY_HUB__RETRIES": "0", "HF_HOME": str(tmp_path / "home")}
    name = "Aby003/Malayalam_Dialects"
    done = run(tmp_path / "base", "--phases", "phase1", "--datasets", name, **environ)
    report = report_of(tmp_path / "base")
    assert done.returncode == 1 and report.status == "failed" and "Traceback" not in done.stderr
    assert "127.0.0.1:9" in report.datasets[name].reason and report.datasets[name].revision is None


def test_a_wrong_key_in_the_configuration_starts_nothing(tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"deployment": {"shadow_test": true}}')
    done = run(tmp_path / "base", "--config", str(config))
    assert done.returncode == 2 and "deployment.shadow_test in" in done.stderr and "unknown key" in done.stderr
    assert not (tmp_path / "base").exists() and "Traceback" not in done.stderr
