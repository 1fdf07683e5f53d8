"""Training in several processes: the curve and the weights of one, every death told, and nobody left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from data_foundry.cli import check_started_once
from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.feature_store import FeatureStore
from data_foundry.finetuning.features.gold_rows import encode_rows
from data_foundry.finetuning.training import launch
from data_foundry.finetuning.training.journal import journal_of
from data_foundry.finetuning.training.launch import TrainingJob, check_processes, train_part
from data_foundry.finetuning.training.launch_folder import LaunchFolder
from data_foundry.finetuning.training.memory import OutOfMemory, too_many_rows
from data_foundry.finetuning.training.train import TrainingRecord
from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine
from data_foundry.training_config import Training
from finetuning import launched, tiny_bases
from finetuning.evaluation.test_predict import config_for, task_for
from finetuning.gold_builders import commit_gold, gold

TESTS = PROJECT_ROOT / "tests"
TRAINED = {AIEngine.NLU: 11, AIEngine.STT: 9}
"""Rows that fill up no batch of four, and leave the second process without any of the last one."""


def job_of(settings: Settings, engine: AIEngine, processes: int) -> TrainingJob:
    """A training on gold rows, whose features lie on disk and are mapped into memory by every process."""
    assert settings.hub.source is not None
    lake, base = Lake(settings), settings.base_path
    if lake.manifest(Layer.GOLD, engine) is None:
        commit_gold(lake, engine, gold(engine, train=TRAINED[engine], validation=5))
    task = task_for(settings.hub.source, engine, epochs=2, batch_size=4, learning_rate=1e-2)
    store = FeatureStore(settings, engine, "tiny@1")
    features = {
        split: encode_rows(task, lake.files(Layer.GOLD, engine, under=split), store=store, what=split).features
        for split in ("train", "validation")
    }
    return TrainingJob(
        part=engine.value,
        task=task,
        config=task.config,
        training=Training(gpu_enabled=False, mixed_precision=False, processes=processes),
        rows=features["train"],
        validation=features["validation"],
        folder=base / f"{engine}-{processes}",
        journal=journal_of(base, f"{engine}-{processes}"),
        work=base / "work" / str(processes),
    )


class Runs(NamedTuple):
    """What one process and two made of the same jobs."""

    base: Path
    one: dict[AIEngine, TrainingRecord]
    two: dict[AIEngine, TrainingRecord]


@pytest.fixture(scope="session")
def tests_importable() -> Any:
    """Let the processes import the jobs of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        yield


@pytest.fixture(scope="session")
def steady_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bases that drop nothing out: what is dropped at random can't be the same in one process and in two."""
    root = tmp_path_factory.mktemp("steady")
    tiny_bases.whisper(root / "models" / "tiny" / "whisper")
    folder = tiny_bases.bert(root / "models" / "tiny" / "bert-topics")
    config = json.loads((folder / "config.json").read_text())
    steady = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps({**config, **steady}))
    return root


@pytest.fixture(scope="session")
def runs(steady_hub: Path, tests_importable: None, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    base = tmp_path_factory.mktemp("runs")
    flags = {"base_path": str(base), "hub": {"source": str(steady_hub)}, "workers": 0}
    settings, found = load_settings(flags=flags, environ={}), {}
    for processes in (1, 2):
        jobs = [job_of(settings, engine, processes) for engine in TRAINED]
        found[processes] = dict(zip(TRAINED, train_part(launched.several(jobs)), strict=True))
    return Runs(base, found[1], found[2])


@pytest.mark.parametrize("engine", TRAINED)
def test_two_processes_have_the_loss_curve_of_one(engine: AIEngine, runs: Runs) -> None:
    one, two = runs.one[engine], runs.two[engine]
    assert two.arguments["processes"] == 2 and one.arguments["processes"] == 1
    assert len(one.curve) == len(two.curve) > 6
    for point, other in zip(one.curve, two.curve, strict=True):
        assert other == pytest.approx(point, rel=1e-4, abs=1e-6)
    assert (two.steps, two.best_epoch) == (one.steps, one.best_epoch)
    assert [point["eval_loss"] for point in two.curve if "eval_loss" in point] == pytest.approx(
        [point["eval_loss"] for point in one.curve if "eval_loss" in point], rel=1e-5
    )


@pytest.mark.parametrize("engine", TRAINED)
def test_two_processes_leave_the_adapter_of_one(engine: AIEngine, runs: Runs) -> None:
    from safetensors.numpy import load_file

    one, two = (load_file(runs.base / f"{engine}-{n}" / "adapter_model.safetensors") for n in (1, 2))
    assert one.keys() == two.keys()
    for name, weights in one.items():
        assert two[name] == pytest.approx(weights, abs=1e-5), name
    # And they have learnt: B starts at zero.
    assert max(abs(weights).max() for name, weights in two.items() if "lora_B" in name) > 1e-3


def test_validation_rows_count_once_whatever_the_processes(runs: Runs) -> None:
    """Five rows for two processes with batches of two: figures over a repeated row would differ."""
    one, two = (
        [point["eval_accuracy"] for point in record[AIEngine.NLU].curve if "eval_accuracy" in point]
        for record in (runs.one, runs.two)
    )
    assert one == two and all(round(5 * value, 6).is_integer() for value in two)


def test_the_journal_is_written_once_with_what_both_processes_used(runs: Runs) -> None:
    lines = list(journal_of(runs.base, "stt-2").lines())
    assert [line["event"] for line in lines if line["event"] != "point"] == ["start", "end"]
    assert lines[0]["processes"] == lines[-1]["processes"] == 2
    assert lines[-1]["samples"] == 2 * TRAINED[AIEngine.STT]
    points = [line["step"] for line in lines if "loss" in line]
    assert points == sorted(set(points))


def test_no_other_machine_can_reach_a_training(runs: Runs) -> None:
    addresses = [(runs.base / "work" / "2" / f"listening-{rank}").read_text().split() for rank in (0, 1)]
    assert {address for found in addresses for address in found} == {"127.0.0.1"}


def test_the_processes_leave_their_logs_beside_the_checkpoints(runs: Runs) -> None:
    logs = {path.name for path in (runs.base / "work" / "2").glob("*.log")}
    assert logs == {"launcher.log", "rank-0.log", "rank-1.log"}


def test_a_process_that_dies_is_named_with_its_last_lines_and_ends_the_others(
    tmp_path: Path, tests_importable: None
) -> None:
    with pytest.raises(FoundryError) as caught:
        train_part(launched.acting(tmp_path, launched.die_second))
    assert caught.value.message.startswith("Training process 1 ended with exit code 1.\n")
    assert "the last word" in caught.value.message and "ValueError: no such thing" in caught.value.message
    assert str(tmp_path / "work" / "rank-1.log") in caught.value.hint


def alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_that_is_killed_leaves_no_process_behind(tmp_path: Path, tests_importable: None) -> None:
    paths = os.pathsep.join([str(PROJECT_ROOT), str(TESTS)])
    run_that_stays = "import sys; from finetuning.launched import run_that_stays; run_that_stays(sys.argv[1])"
    command = [sys.executable, "-c", run_that_stays, str(tmp_path)]
    run = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
    try:
        wait_until(lambda: len(list(tmp_path.glob("pids-*"))) == 2)
    finally:
        run.kill()
        run.wait()
    pids = {int(pid) for file in tmp_path.glob("pids-*") for pid in file.read_text().split()}
    assert len(pids) == 3 and run.pid not in pids
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_an_interrupt_ends_the_launcher_first(
    tmp_path: Path, tests_importable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher that can be asked to end, and says when it is there."""
    script = tmp_path / "launcher.py"
    script.write_text("import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)")
    started = tmp_path / "started"
    monkeypatch.setattr(launch, "_command", lambda folder: [sys.executable, str(script), str(started)])
    main = threading.main_thread().ident or 0
    waiting, wait = threading.Event(), subprocess.Popen.wait

    def waited_for(launcher: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        waiting.set()
        return wait(launcher, timeout)

    # Before that there is nobody yet to end the launcher but its own watch over its parent, which this one has not.
    monkeypatch.setattr(subprocess.Popen, "wait", waited_for)

    def interrupt() -> None:
        waiting.wait()
        wait_until(lambda: started.is_file() and started.read_text() != "")
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        train_part(launched.acting(tmp_path, launched.stay))
    assert not alive(int(started.read_text()))


def test_what_a_process_raises_for_the_user_is_raised_as_it_is(tmp_path: Path) -> None:
    folder = LaunchFolder(tmp_path)
    folder.fail(1, None)
    folder.fail(0, FoundryError("A mistake.", "Mend it."))
    folder.set_exit_codes({0: 1, 1: 1})
    assert folder.first_death() == (1, 1)
    error = launch._failure(folder, tmp_path, 1)
    assert isinstance(error, FoundryError) and (error.message, error.hint) == ("A mistake.", "Mend it.")


def test_a_process_that_was_killed_is_the_first_to_blame(tmp_path: Path) -> None:
    folder = LaunchFolder(tmp_path)
    folder.fail(0, None)
    folder.set_exit_codes({0: -15, 1: -9})
    assert str(launch._failure(folder, tmp_path, 1)).startswith(
        "Training process 1 was ended by SIGKILL (out of memory?)."
    )


def test_what_others_raise_for_want_of_a_killed_process_is_not_told_in_its_place(tmp_path: Path) -> None:
    folder = LaunchFolder(tmp_path)
    folder.fail(0, FoundryError("A checkpoint can't be written.", "Free space."))
    folder.set_exit_codes({0: 1, 1: -9})
    assert str(launch._failure(folder, tmp_path, 1)).startswith("Training process 1 was ended by SIGKILL")
    folder.fail(0, OutOfMemory("full"))
    assert isinstance(launch._failure(folder, tmp_path, 1), OutOfMemory)


def test_a_launcher_that_dies_is_told_with_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "launcher.log").write_text("no module named accelerate")
    error = launch._failure(LaunchFolder(tmp_path), tmp_path, 3)
    assert "ended with exit code 3.\n    no module named accelerate" in str(error)


def test_a_process_without_memory_makes_all_start_again_with_half_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = launched.acting(tmp_path, launched.stay)
    tries: list[int | None] = []

    def full_at_first(job: TrainingJob, folder: LaunchFolder) -> Any:
        tries.append(too_many_rows(job.work))
        if len(tries) == 1:
            raise OutOfMemory("full")
        return "a record"

    monkeypatch.setattr(launch, "_launched", full_at_first)
    assert train_part(job) == "a record"
    assert tries == [None, 2]
    (line,) = job.journal.lines()
    assert (line["event"], line["per_device_batch_size"]) == ("batch_halved", 1)


def test_processes_that_cannot_share_a_batch_evenly_are_refused_with_both_numbers() -> None:
    with pytest.raises(FoundryError, match=r"16.*3 processes"):
        check_processes(Training(processes=3), config_for(AIEngine.NLU, batch_size=16))


def test_more_processes_than_gpus_are_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(FoundryError, match="processes is 2, and there is 1 GPU"):
        check_processes(Training(processes=2), config_for(AIEngine.NLU, batch_size=16))


def test_a_command_that_a_launcher_started_several_times_says_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_started_once()
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_started_once()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(FoundryError, match="started this command 2 times") as caught:
        check_started_once()
    assert "training.processes to 2" in caught.value.hint
    monkeypatch.setenv("WORLD_SIZE", "1")
    check_started_once()
