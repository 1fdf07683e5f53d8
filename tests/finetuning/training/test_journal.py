"""The journal of a training: added to while it goes on, over kills and full disks, and never published."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from data_foundry.finetuning.training.journal import Journal, journal_callback, journal_of, training_run
from data_foundry.finetuning.training.train import train_adapter
from data_foundry.lake import sha256_file
from data_foundry.records import AIEngine
from data_foundry.training_config import Training
from finetuning.evaluation.test_predict import task_for
from finetuning.gold_builders import rows

QUIET = Training(gpu_enabled=False, mixed_precision=False)


def train(hub: Path, folder: Path, journal: Journal, callbacks: Any = ()) -> Any:
    task = task_for(hub, AIEngine.NLU, epochs=2, batch_size=4, learning_rate=1e-2)
    features = [task.encode(one) for one in rows(AIEngine.NLU, 10)]
    folder.mkdir(parents=True)
    seen = journal_callback(journal, "adapter", rows=10, tokens=40)
    return train_adapter(task, task.config, QUIET, features, features[:4], folder, callbacks=[seen, *callbacks])


def test_a_training_leaves_its_curve_and_what_it_used(hub: Path, tmp_path: Path) -> None:
    journal = journal_of(tmp_path, "nlu-1")
    record = train(hub, tmp_path / "adapter", journal)
    lines = list(journal.lines())
    assert [line["event"] for line in lines] == ["start", *["point"] * (len(lines) - 2), "end"]
    points = [line for line in lines if line["event"] == "point"]
    assert [point["loss"] for point in points if "loss" in point] == [p["loss"] for p in record.curve if "loss" in p]
    assert [p["eval_loss"] for p in points if "eval_loss" in p] == [
        p["eval_loss"] for p in record.curve if "eval_loss" in p
    ]
    end = lines[-1]
    assert (end["steps"], end["samples"], end["processes"]) == (6, 20, 1)
    assert end["samples_per_second"] == pytest.approx(20 / end["seconds"], rel=0.02)
    assert end["tokens_per_second"] == pytest.approx(80 / end["seconds"], rel=0.02)
    assert end["cpu_seconds"] > 0 and end["peak_rss_bytes"] > 50_000_000
    assert "peak_gpu_bytes" not in end


def test_lines_are_there_while_the_training_goes_on(hub: Path, tmp_path: Path) -> None:
    from transformers import TrainerCallback

    journal, seen = journal_of(tmp_path, "nlu-1"), []

    class Reader(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.append(len(list(journal.lines())))

    train(hub, tmp_path / "adapter", journal, [Reader()])
    assert seen[0] == 1 and seen[-1] > seen[2] > seen[1]


def test_equal_runs_publish_equal_bytes_whatever_their_journals_say(hub: Path, tmp_path: Path) -> None:
    for run in ("a", "b"):
        train(hub, tmp_path / run / "adapter", journal_of(tmp_path / run, "nlu-1"))
    one, other = (
        {file.name: sha256_file(file) for file in (tmp_path / run / "adapter").iterdir()} for run in ("a", "b")
    )
    assert one == other
    assert training_run(tmp_path / "a", "nlu-1") != training_run(tmp_path / "b", "nlu-1")


def test_a_line_that_a_kill_tore_costs_no_other(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, "nlu-1")
    journal.write("start", part="adapter", step=0)
    with journal.file.open("a") as file:
        file.write('{"event": "poi')
    journal.write("resume", part="adapter", step=3)
    assert [line["event"] for line in journal.lines()] == ["start", "resume"]


def test_a_disk_that_takes_nothing_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    journal = journal_of(tmp_path, "nlu-1")
    with caplog.at_level(logging.WARNING, "data_foundry"):
        journal.write("start")
        journal.write("end")
    assert len(caplog.records) == 1 and "the training goes on" in caplog.text


def test_the_headline_counts_resumes_and_halvings_and_takes_the_last_end_of_each_part(tmp_path: Path) -> None:
    assert training_run(tmp_path, "nlu-1") is None
    journal = journal_of(tmp_path, "nlu-1")
    journal.write("start", part="adapter", step=0)
    journal.write("batch_halved", part="adapter", per_device_batch_size=2)
    journal.write("resume", part="adapter", step=3)
    journal.write("end", part="adapter", seconds=1.0, samples_per_second=5.0)
    journal.write("end", part="adapter", seconds=2.0, samples_per_second=9.0)
    with journal.wall("evaluation"):
        pass
    run = training_run(tmp_path, "nlu-1")
    assert run is not None
    assert run["journal"] == "logs/training/nlu-1.jsonl"
    assert run["parts"] == {"adapter": {"seconds": 2.0, "samples_per_second": 9.0}}
    assert (run["resumes"], run["batch_halvings"], list(run["wall_seconds"])) == (1, 1, ["evaluation"])


def test_a_training_that_started_again_with_smaller_batches_is_told_as_one(tmp_path: Path) -> None:
    from types import SimpleNamespace

    journal = journal_of(tmp_path, "nlu-1")
    callback: Any = journal_callback(journal, "adapter", rows=8, tokens=None)
    state = SimpleNamespace(epoch=0.0, global_step=0, is_world_process_zero=True)
    for size in (8, 4):
        device = SimpleNamespace(type="cpu")
        sizes = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size}
        callback.on_train_begin(SimpleNamespace(world_size=1, device=device, **sizes), state, None)
    assert [line["event"] for line in journal.lines()] == ["start", "batch_halved", "start"]
    assert training_run(tmp_path, "nlu-1")["batch_halvings"] == 1  # type: ignore[index]


def test_a_deleted_version_s_earlier_training_is_not_told_with_the_one_that_made_it_again(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, "nlu-1")
    for seconds in (1.0, 2.0):
        for part in ("adapter", "linear_probe"):
            journal.write("start", part=part, step=0)
            if seconds == 1.0:
                journal.write("batch_halved", part=part, per_device_batch_size=2)
                journal.write("resume", part=part, step=3)
            journal.write("end", part=part, seconds=seconds)
    run = training_run(tmp_path, "nlu-1")
    assert run is not None
    assert run["parts"] == {"adapter": {"seconds": 2.0}, "linear_probe": {"seconds": 2.0}}
    assert (run["resumes"], run["batch_halvings"]) == (0, 0)
