import argparse
import json
from dataclasses import replace

import pytest

from data_foundry.cli import Phase, add_common_flags, run_phase, settings_from
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.errors import FoundryError
from data_foundry.lake import Layer
from data_foundry.report import Action, DatasetReport, Outcome, PhaseReport, Step, StepResult, planned

CHAIN = ("o/first", "o/second")


def plan(settings, lake):
    """Two steps, the second of which waits for what the first publishes; a third fails when it is asked for."""
    if "o/unknown" in settings.datasets:
        raise FoundryError("o/unknown is unknown.", "Name another.")
    steps = []
    for name in (*CHAIN, *settings.datasets):
        before = CHAIN[0] if name == CHAIN[1] else None
        if manifest := lake.manifest(Layer.RAW, name):
            action, reason = Action.SKIP, f"its manifest matches (key {manifest.key})"
        elif before and lake.manifest(Layer.RAW, before) is None:
            action, reason = Action.WAIT, f"waiting for {before}"
        else:
            action, reason = Action.RUN, "nothing there yet"
        steps.append(Step(name=f"make {name}", key="k", action=action, reason=reason, subject=name))
    return steps


def run_step(settings, step):
    from data_foundry.lake import Lake

    if step.subject.startswith("o/away"):
        raise FoundryError(f"{step.subject}: nobody answers.", f"Look at hub/{step.subject}.")
    if step.subject == "o/broken":
        raise FoundryError("its file is garbage", "fetch it again")
    with Lake(settings).commit(Layer.RAW, step.subject, step.key) as commit:
        commit.path("a").write_text(step.subject)
        commit.publish(rows_in=2, rows_out=1, rejected={"empty_text": 1})
    return StepResult(
        name=step.name,
        key=step.key,
        outcome=Outcome.DONE,
        reason="made",
        rows_in=2,
        rows_out=1,
        rejected={"empty_text": 1},
    )


def describe(settings, lake):
    return {name: DatasetReport(status="ingested") for name in (*CHAIN, *settings.datasets)}, {}


PHASE = Phase(name="phase1", title="test", plan=plan, run_step=run_step, describe=describe)


@pytest.fixture
def run(tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    # Set, because a run on a folder Hub would leave it set for the tests after this one.
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    def start(*flags):
        code = run_phase(PHASE, "Help.", ["--base-path", str(tmp_path), "--workers", "0", *flags])
        output = capfd.readouterr()
        report = tmp_path / "reports" / "phase1_report.json"
        return (
            code,
            output.out + output.err,
            PhaseReport.model_validate_json(report.read_bytes()) if report.exists() else None,
        )

    return start


def test_a_dry_run_prints_every_step_with_its_reason_and_writes_nothing(run, tmp_path):
    code, output, report = run("--dry-run")
    assert code == 0 and report is None and not list(tmp_path.iterdir())
    assert "run   make o/first" in output and "nothing there yet" in output
    assert "wait  make o/second" in output and "waiting for o/first" in output


def test_steps_that_waited_run_when_what_they_waited_for_is_there(run):
    code, _, report = run()
    assert code == 0 and report.status == "completed"
    assert [step.outcome for step in report.steps] == [Outcome.DONE, Outcome.DONE]


def test_a_second_run_skips_everything_and_still_reports_the_rows(run):
    run()
    code, output, report = run()
    assert code == 0 and {step.outcome for step in report.steps} == {Outcome.SKIPPED}
    assert "its manifest matches" in output


def test_a_failed_step_gives_exit_code_1_and_its_reason_while_the_others_are_done(run):
    code, output, report = run("--datasets", "o/broken")
    assert code == 1 and report.status == "partial" and report.exit_code == 1
    assert [step.outcome for step in report.steps] == [Outcome.DONE, Outcome.DONE, Outcome.FAILED]
    assert "its file is garbage" in output and "fetch it again" in output
    assert report.datasets["o/broken"].status == "failed" and "garbage" in report.datasets["o/broken"].reason


def test_a_cause_that_steps_share_is_told_once_and_then_referred_to(run):
    code, output, report = run("--datasets", "o/away", "o/away2")
    assert code == 1 and output.count("nobody answers") == 1
    assert "failed make o/away2: for the same reason as make o/away" in output
    assert report.reasons == ["make 2 datasets: nobody answers.\n  -> Look at hub/<name>.\n  (o/away, o/away2)"]
    assert "o/away2: nobody answers" in report.datasets["o/away2"].reason


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--engines", "speech"], "Unknown engine: speech"),
        (["--engines", "speech.malabar"], "Unknown engine: speech.malabar"),
        (["--engines", "stt.nowhere"], "Of this engine: stt, stt.travancore, stt.cochin, stt.malabar"),
        (["--engines", "stt.Malabar"], "is not 1 to 32 small letters"),
        (["--profile", "nonsense"], "No config file"),
        (["--config", "/nowhere/c.json"], "No config file"),
        (["--profile", ""], "The profile has no name"),
        (["--max-bytes-per-dataset", "5XB"], 'hub.max_bytes_per_dataset = "5XB" in the flags'),
        (["--max-bytes-per-dataset", "0"], "max_bytes_per_dataset"),
        (["--max-rows-per-dataset", "0"], "hub.max_rows_per_dataset = 0 in the flags"),
        (["--workers", "-1"], "workers = -1"),
        (
            ["--max-bytes-per-dataset", "abc"],
            '= "abc" in the flags: it must be a size, such as 500MB (decimal) or 1.5GiB',
        ),
    ],
)
def test_a_users_mistake_gives_exit_code_2_one_message_and_no_traceback(run, flags, words, tmp_path):
    code, output, report = run(*flags)
    assert code == 2 and report is None and not list(tmp_path.iterdir())
    assert words in output and "Traceback" not in output


def test_data_of_another_hub_is_not_mixed_into_a_lake(run, tmp_path):
    assert run()[0] == 0
    code, output, _ = run("--profile", "sample")
    assert code == 2 and "--base-path" in output
    assert "came from the Hub at https://huggingface.co; this run would read from the folder storage/sample" in output
    assert "must not be mixed" in output


def test_data_of_two_hubs_at_different_addresses_is_not_mixed_either(run, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org/")
    assert run()[0] == 0
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org")
    assert run()[0] == 0
    monkeypatch.delenv("HF_ENDPOINT")
    code, output, _ = run()
    assert code == 2 and "came from the Hub at https://hub.example.org; this run would read from the Hub at" in output
    assert "set HF_ENDPOINT=https://hub.example.org, or delete" in output


def test_a_lake_that_an_earlier_version_stamped_stays_readable_and_gets_the_address(run, tmp_path):
    assert run()[0] == 0
    stamp = tmp_path / "storage" / "hub_source.json"
    stamp.write_text('{"hub_source": "hub"}')
    code, output, _ = run("--profile", "sample")
    assert code == 2 and "came from a Hub on the network" in output and "leave out the profile" in output
    assert run()[0] == 0 and json.loads(stamp.read_text())["hub_source"] == "https://huggingface.co"


def test_a_mistake_in_the_command_is_told_before_what_the_lake_holds(run):
    assert run()[0] == 0
    _, output, _ = run("--profile", "sample", "--datasets", "o/unknown")
    assert "o/unknown is unknown" in output and "must not be mixed" not in output


def test_the_log_lies_under_the_base_path_and_holds_the_traceback_of_a_failure(run, tmp_path):
    run("--datasets", "o/broken")
    logs = list((tmp_path / "logs").glob("data_foundry_*.log"))
    assert len(logs) == 1
    assert "its file is garbage" in logs[0].read_text() and "Traceback" in logs[0].read_text()


def test_the_report_says_what_a_step_did(run, tmp_path):
    run()
    step = json.loads((tmp_path / "reports" / "phase1_report.json").read_text())["steps"][0]
    assert (step["rows_in"], step["rows_out"], step["rejected"]) == (2, 1, {"empty_text": 1})
    assert step["name"] == "make o/first" and step["key"] == "k" and step["seconds"] >= 0


def test_a_lake_that_a_failed_run_left_empty_may_change_its_hub(run, tmp_path):
    (tmp_path / "storage").mkdir()
    stamp = tmp_path / "storage" / "hub_source.json"
    stamp.write_text('{"hub_source": "elsewhere"}')
    assert run()[0] == 0 and json.loads(stamp.read_text())["hub_source"] == "https://huggingface.co"


def test_a_lake_of_bundled_datasets_alone_may_change_its_hub_until_other_data_is_in_it(run, tmp_path):
    bundled = next(name for name, entry in DATASET_REGISTRY.items() if entry.bundled)
    raw, stamp = tmp_path / "storage" / "raw", tmp_path / "storage" / "hub_source.json"
    (raw / bundled).mkdir(parents=True)
    (raw / bundled / "manifest.json").write_text("{}")
    stamp.write_text('{"hub_source": "https://elsewhere.example"}')
    (raw / "o/first").mkdir(parents=True)
    (raw / "o/first" / "manifest.json").write_text("{}")
    assert run()[0] == 2
    (raw / "o/first" / "manifest.json").unlink()
    assert run()[0] == 0 and json.loads(stamp.read_text())["hub_source"] == "https://huggingface.co"


@pytest.mark.parametrize("content", [None, "", "[]"], ids=["no folder", "empty", "no object"])
def test_a_base_path_that_can_not_hold_a_lake_is_refused_without_a_traceback(run, tmp_path, content):
    if content is None:
        (tmp_path / "storage").write_text("")
    else:
        (tmp_path / "storage").mkdir()
        (tmp_path / "storage" / "hub_source.json").write_text(content)
    code, output, report = run()
    assert code == 2 and report is None and "--base-path" in output and "Traceback" not in output
    assert content is not None or f"{tmp_path / 'storage'} is a file, not a folder" in output


def test_a_report_that_can_not_be_written_is_exit_code_1_and_no_traceback(run, tmp_path):
    (tmp_path / "reports").write_text("")
    code, output, _ = run()
    assert code == 1 and "phase1 stopped" in output and "Traceback" not in output


def test_a_step_that_can_not_be_done_is_a_failed_step_and_the_others_run(tmp_path, capfd):
    def plan_with_a_fault(settings, lake):
        def refuse():
            raise FoundryError("its manifest is garbage", "delete it")

        return [*plan(settings, lake), planned("make o/garbage", "o/garbage", refuse)]

    phase = replace(PHASE, plan=plan_with_a_fault)
    flags = ["--base-path", str(tmp_path), "--workers", "0"]
    assert run_phase(phase, "Help.", [*flags, "--dry-run"]) == 0
    assert "fail  make o/garbage" in capfd.readouterr().out
    assert run_phase(phase, "Help.", flags) == 1
    report = PhaseReport.model_validate_json((tmp_path / "reports" / "phase1_report.json").read_bytes())
    assert [step.outcome for step in report.steps] == [Outcome.DONE, Outcome.DONE, Outcome.FAILED]
    assert "its manifest is garbage" in report.reasons[0] and "delete it" in report.reasons[0]


@pytest.mark.parametrize(
    ("given", "size"), [("500MB", 500_000_000), ("2GB", 2_000_000_000), ("1.5GiB", 1_610_612_736), ("123", 123)]
)
def test_a_limit_of_bytes_may_have_a_unit(given, size):
    parser = argparse.ArgumentParser()
    add_common_flags(parser)
    settings = settings_from(parser.parse_args(["--max-bytes-per-dataset", given, "--max-rows-per-dataset", "7"]))
    assert (settings.hub.max_bytes_per_dataset, settings.hub.max_rows_per_dataset) == (size, 7)


def test_nothing_temporary_is_left_and_nothing_that_a_run_writes_holds_a_token(run, tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HUGGINGFACE_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, "hf_secret_of_this_test")
    run("--datasets", "o/broken")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".tmp", ".part") or ".staging" in str(path)]
    assert {path.name for path in files if path.name.startswith(".")} == {".lock"}
    assert not [path for path in files if b"hf_secret" in path.read_bytes()]
