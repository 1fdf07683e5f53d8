"""Checkpoints: complete or not there, and none of another training; trainings by them are in test_resume.py."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from data_foundry.errors import FoundryError
from data_foundry.finetuning.training import checkpoints
from data_foundry.finetuning.training.checkpoints import (
    Checkpoints,
    clear_work,
    sweep_work,
    work_folder,
    writing_files,
)


def write(checkpoints: Checkpoints, step: int) -> None:
    with checkpoints.writing(step) as folder:
        (folder / "weights").write_text(f"of step {step}")


def test_the_last_two_are_kept_and_the_last_is_found(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path, "key")
    assert mine.latest() is None
    for step in (2, 10, 9):
        write(mine, step)
    found = mine.latest()
    assert found is not None and (found / "weights").read_text() == "of step 10"
    assert sorted(path.name for path in mine.folder.iterdir()) == ["step-00000009", "step-00000010"]


def test_a_folder_without_its_seal_or_with_another_training_s_is_none(tmp_path: Path) -> None:
    mine, other = Checkpoints(tmp_path, "key"), Checkpoints(tmp_path, "other")
    write(other, 5)
    write(mine, 3)
    (mine.folder / "step-00000004").mkdir()
    (other.folder / "step-00000005").rename(mine.folder / "step-00000005")
    found = mine.latest()
    assert found is not None and found.name == "step-00000003"
    assert [path.name for path in mine.folder.iterdir()] == ["step-00000003"]


def test_an_error_while_writing_leaves_nothing_and_passes(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path, "key")
    with pytest.raises(KeyError), mine.writing(1):
        raise KeyError("a mistake of ours")
    with pytest.raises(RuntimeError, match="out of memory"), mine.writing(1):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 MiB.")
    with pytest.raises(RuntimeError, match="Connection closed by peer"), mine.writing(1):
        raise RuntimeError("[../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:3412")
    assert list(mine.folder.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("basic_ios::clear: iostream error"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_has_one_answer_whichever_library_met_it(error: Exception, tmp_path: Path) -> None:
    """What torch and safetensors raised on a file system of 220 kB."""
    mine = Checkpoints(tmp_path, "key")
    write(mine, 1)
    with pytest.raises(FoundryError) as told, mine.writing(2) as folder, writing_files(folder):
        raise error
    assert str(mine.folder) in told.value.message and "Free space on that disk" in told.value.hint
    assert [path.name for path in mine.folder.iterdir()] == ["step-00000001"]


def test_the_work_of_a_published_version_goes_and_that_of_others_is_named_and_kept_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("nlu-0123456789ab", "nlu-ba9876543210", "nlu-000000000000", "nlu.topic-000000000000"):
        (work_folder(tmp_path, name) / "adapter").mkdir(parents=True)
    old = work_folder(tmp_path, "nlu-000000000000")
    for path in (old, old / "adapter"):
        os.utime(path, (0, 0))
    with caplog.at_level(logging.INFO, "data_foundry"):
        sweep_work(tmp_path, "nlu", keep="nlu-0123456789ab")
    assert "nlu-000000000000: an interrupted training of" in caplog.text and "removed" in caplog.text
    assert "nlu-ba9876543210: an interrupted training with other gold or settings" in caplog.text
    assert "topic" not in caplog.text
    clear_work(tmp_path, "nlu-0123456789ab")
    left = sorted(path.name for path in (tmp_path / "training").iterdir())
    assert left == ["nlu-ba9876543210", "nlu.topic-000000000000"]
    clear_work(tmp_path, left[0])
    clear_work(tmp_path, left[1])
    assert list((tmp_path / "training").iterdir()) == []


def test_what_another_process_removes_meanwhile_disturbs_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = work_folder(tmp_path, "nlu-ba9876543210")
    for name in ("a", "b"):
        work.joinpath("adapter").mkdir(parents=True, exist_ok=True)
        (work / "adapter" / name).write_text("x")
    walk = os.walk

    def removing(folder: Path) -> Any:
        for place, folders, names in walk(folder):
            shutil.rmtree(work / "adapter", ignore_errors=True)
            yield place, folders, names

    monkeypatch.setattr(checkpoints.os, "walk", removing)
    sweep_work(tmp_path, "nlu", keep="nlu-0123456789ab")
    shutil.rmtree(work)
    clear_work(tmp_path, "nlu-ba9876543210")
