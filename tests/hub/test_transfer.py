"""Files on their way: cut, stalled, left in part by a killed run, interrupted, and taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.hub import HubFile, Snapshot, fetch, fetch_all, fetching
from data_foundry.hub.fetching import PARTS
from tests.hub.builders import FILES, ID, LARGE, file_of, remote, whole
from tests.loopback_hub import Fault

BIG = bytes(range(256)) * 4 * 4096


def test_a_long_fetch_tells_how_far_it_is(hub, waits, tmp_path, caplog, monkeypatch):
    hub.add("datasets", ID, FILES)
    hub.delay = 0.05
    monkeypatch.setattr("data_foundry.hub.fetching.PROGRESS_SECONDS", 0.01)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    with caplog.at_level("INFO", logger="data_foundry"):
        fetch_all(client, snapshot, snapshot.files, tmp_path, 1)
    assert "owner/name: 0 of 3 files, 0 B of 131 kB" in caplog.text


def test_a_part_that_becomes_whole_while_progress_is_told_disturbs_nothing(tmp_path, caplog, monkeypatch):
    snapshot = Snapshot("datasets", ID, "0" * 40, "folder", (HubFile("a.csv", 9, sha256="0" * 64),))
    # It was there a moment ago.
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: True)
    with caplog.at_level("INFO", logger="data_foundry"):
        fetching._tell_progress(snapshot, snapshot.files, {}, tmp_path)
    assert "owner/name: 0 of 1 files" in caplog.text


def test_a_cut_transfer_is_taken_up_where_it_was(hub, waits, tmp_path):
    hub.add("datasets", ID, {LARGE: BIG})
    hub.faults = [Fault(LARGE, "reset"), Fault(LARGE, "hangup")]
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    fetch(client, snapshot, snapshot.files[0], tmp_path)
    starts = [int(each.removeprefix("bytes=").rstrip("-")) for each in hub.ranges]
    # A reset may lose what was under way, an orderly end loses nothing.
    assert len(starts) == 2 and 0 < starts[0] < starts[1] < len(BIG)
    assert whole(tmp_path, {LARGE: BIG})


def test_a_transfer_that_moves_on_between_its_cuts_is_never_given_up_for_their_number(hub, waits, tmp_path):
    files = {LARGE: BIG * 8}
    hub.add("datasets", ID, files)
    hub.faults = [Fault(LARGE, "hangup", times=4)]
    client = remote(hub, retries=1)
    snapshot = client.snapshot("datasets", ID, None)
    fetch(client, snapshot, snapshot.files[0], tmp_path)
    assert len(waits) == 4 and whole(tmp_path, files)


@pytest.mark.parametrize("act", ["stall", "trickle", "silent"])
def test_a_transfer_that_brings_next_to_nothing_is_cut_and_tried_again(hub, waits, tmp_path, act):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault(LARGE, act)]
    client = remote(hub, stall_seconds=0.3)
    snapshot = client.snapshot("datasets", ID, None)
    fetch(client, snapshot, file_of(snapshot, LARGE), tmp_path)
    assert len(waits) == 1 and (tmp_path / LARGE).read_bytes() == FILES[LARGE]


@pytest.mark.parametrize("found", [b"x" * 131072, b"", b"shorter"], ids=["other bytes", "empty", "short"])
def test_what_lies_wrong_at_a_files_place_is_healed(hub, waits, tmp_path, found):
    hub.add("datasets", ID, FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    (tmp_path / "data").mkdir()
    (tmp_path / LARGE).write_bytes(found)
    assert fetch(client, snapshot, file_of(snapshot, LARGE), tmp_path).travelled
    assert (tmp_path / LARGE).read_bytes() == FILES[LARGE]


@pytest.mark.parametrize("keep", [70_000, 131_072, 200_000])
@pytest.mark.parametrize("good", [True, False])
def test_a_part_that_a_killed_run_left_is_taken_up_only_as_far_as_it_is_right(hub, waits, tmp_path, keep, good):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault(LARGE, "reset", times=99)]
    client = remote(hub, retries=0)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError):
        fetch(client, snapshot, file_of(snapshot, LARGE), tmp_path)
    (part,) = (tmp_path / PARTS).iterdir()
    part.write_bytes((FILES[LARGE] * 2)[:keep] if good else b"?" * keep)
    hub.faults = []
    fetch(remote(hub), snapshot, file_of(snapshot, LARGE), tmp_path)
    assert (tmp_path / LARGE).read_bytes() == FILES[LARGE]


CHILD = """
import sys
from pathlib import Path
from data_foundry.hub import fetch_all
from data_foundry.hub.remote import RemoteHub
client = RemoteHub(sys.argv[1], environ={})
snapshot = client.snapshot("datasets", "owner/name", None)
try:
    fetch_all(client, snapshot, snapshot.files, Path(sys.argv[2]), 2)
except KeyboardInterrupt:
    sys.exit(130)
"""


def child(hub, folder):
    env = {**os.environ, "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", CHILD, hub.url, str(folder)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_an_interrupt_does_not_wait_for_an_answer_that_never_comes(hub, tmp_path):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault("/resolve/", "silent", times=9)]
    process = child(hub, tmp_path)
    wait_until(lambda: hub.struck)
    process.send_signal(signal.SIGINT)
    # Far less than the 30 s for which a stall is borne.
    said = process.communicate(timeout=15)[0]
    assert process.returncode == 130, said


def test_after_kill_9_finished_files_stay_and_the_cut_one_goes_on(hub, tmp_path):
    files = {"small.csv": b"id\n1\n", LARGE: BIG}
    hub.add("datasets", ID, files)
    hub.faults = [Fault(LARGE, "stall")]
    process = child(hub, tmp_path)
    wait_until(lambda: (tmp_path / "small.csv").exists() and any((tmp_path / PARTS).glob("*")))
    wait_until(lambda: sum(part.stat().st_size for part in (tmp_path / PARTS).iterdir()) == len(BIG) // 2)
    process.kill()
    process.communicate()
    hub.requests.clear()
    again = child(hub, tmp_path)
    assert (again.communicate()[0], again.returncode) == ("", 0)
    assert [request.rpartition("/")[2] for request in hub.file_requests()] == ["train-00000.parquet"]
    assert hub.ranges == [f"bytes={len(BIG) // 2}-"] and whole(tmp_path, files)


def test_the_first_failure_ends_the_others(hub, waits, tmp_path):
    files = {f"data/{number:03}.csv": b"%d" % number for number in range(50)}
    hub.add("datasets", ID, files)
    hub.faults = [Fault("/resolve/", 403)]
    hub.delay = 0.02
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError, match="403"):
        fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert len(hub.file_requests()) < 50
