"""Disk claims: what datasets that run at once may take together."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_foundry.errors import FoundryError
from data_foundry.ingestion import disk
from data_foundry.ingestion.disk import SPARE_BYTES, DiskClaim


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch):
    """Set how many bytes the disk has free beyond what is kept spare."""

    def build(size: int) -> None:
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=size + SPARE_BYTES))

    return build


def claim(tmp_path: Path, name: str, rank: int = 0) -> DiskClaim:
    return DiskClaim(tmp_path / "claims", name, rank, tmp_path / name)


def test_what_others_were_promised_is_taken_and_given_back_when_they_end(tmp_path, free):
    free(1000)
    with claim(tmp_path, "one") as one, claim(tmp_path, "two", rank=1) as two:
        one.reserve(700)
        with pytest.raises(FoundryError, match=r"two needs 301 B more on .*, and 67\.1 MB are free") as no:
            two.reserve(301)
        assert "700 B of it promised" in no.value.message and "--max-rows-per-dataset" in no.value.hint
        two.reserve(300)
    with claim(tmp_path, "two") as two:
        two.reserve(1000)
    assert not (tmp_path / "claims").exists()


def test_what_another_has_written_since_counts_no_more(tmp_path, free):
    free(1000)
    with claim(tmp_path, "one") as one, claim(tmp_path, "two", rank=1) as two:
        one.reserve(700)
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "a.wav").write_bytes(bytes(600))
        free(400)
        two.reserve(300)
        with pytest.raises(FoundryError):
            two.reserve(301)


def test_what_lies_there_already_when_it_is_claimed_is_not_counted_twice(tmp_path, free):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.wav").write_bytes(bytes(600))
    free(1000)
    with claim(tmp_path, "one") as one, claim(tmp_path, "two", rank=1) as two:
        one.reserve(700)
        with pytest.raises(FoundryError):
            two.reserve(301)


def test_who_needs_nothing_is_never_refused(tmp_path, free):
    free(-SPARE_BYTES)
    with claim(tmp_path, "one") as one:
        one.reserve(0)


def test_the_less_important_wait_until_the_more_important_know_their_need(tmp_path, free):
    free(1000)
    refused: list[FoundryError] = []

    def second() -> None:
        with claim(tmp_path, "two", rank=5) as two:
            try:
                two.reserve(600)
            except FoundryError as error:
                refused.append(error)

    with claim(tmp_path, "one", rank=1) as one:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        one.reserve(600)
        thread.join()
    assert len(refused) == 1 and "two needs 600 B more" in refused[0].message


def test_a_more_important_one_that_never_answers_holds_nobody_up_for_ever(tmp_path, free, monkeypatch):
    free(1000)
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.2)
    with claim(tmp_path, "one", rank=1), claim(tmp_path, "two", rank=5) as two:
        two.reserve(600)


def hold(tmp_path: Path, ready) -> None:
    held = claim(tmp_path, "one")
    held.__enter__()
    held.reserve(700)
    ready.set()
    time.sleep(60)


def test_the_claim_of_a_killed_process_counts_no_more(tmp_path, free):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    free(1000)
    with claim(tmp_path, "two", rank=1) as two:
        with pytest.raises(FoundryError):
            two.reserve(900)
        process.kill()
        process.join()
        two.reserve(900)


def test_a_disk_too_full_for_a_claim_is_named_and_disturbs_no_other_claim(tmp_path, free, monkeypatch):
    def full(record):
        raise OSError(errno.ENOSPC, "No space left on device")

    free(1000)
    with (
        monkeypatch.context() as patched,
        pytest.raises(FoundryError, match=r"^full: .*No space left on device") as told,
    ):
        patched.setattr(disk.json, "dumps", full)
        claim(tmp_path, "full").__enter__()
    assert "the same command then goes on" in told.value.hint
    with claim(tmp_path, "one") as one:
        # That of a process that could not write it and has not ended yet.
        with (tmp_path / "claims" / "other.json").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            one.reserve(1000)
            other.write('{"rank": 0, "nee')
            other.flush()
            one.reserve(1000)


def test_a_refusal_says_that_the_backup_takes_room_too(tmp_path, free):
    free(100)
    with DiskClaim(tmp_path / "claims", "one", 0, tmp_path / "one", backed_up=True) as one:
        with pytest.raises(FoundryError, match="its backup lies there too"):
            one.reserve(101)
