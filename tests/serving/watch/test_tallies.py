"""Counts that outlive the process, add up over gateways, and say which gateway was heard when."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.serving.watch.tallies import (
    FLUSH_SECONDS,
    KEEP_GATEWAY_HOURS,
    KEEP_MINUTES,
    TallyReader,
    TallyWriter,
    tallies_path,
)

NOW = 1_800_000_030.0
MINUTE = int(NOW // 60)


@pytest.fixture
def writer(lake):
    writers = []

    def make(gateway="a", source="live", now=NOW):
        writers.append(TallyWriter(lake, gateway, source, now))
        return writers[-1]

    yield make
    for each in writers:
        each.close(NOW)


def test_calls_are_added_up_over_gateways_and_a_row_written_twice_counts_once(lake, writer):
    one, other = writer("a"), writer("b")
    for milliseconds in (10, 20, 3000):
        one.answered("stt", "v1", NOW, milliseconds, False)
    one.flush(NOW)
    one.answered("stt", "v1", NOW, 11, True)
    one.failed("stt", "v1", NOW, "timed_out")
    one.flush(NOW)
    one.flush(NOW)
    other.answered("stt", "v1", NOW, 12, False)
    other.flush(NOW)
    (found,) = TallyReader(lake).by_minute(MINUTE).values()
    assert (found.calls, found.fallbacks, found.failures) == (5, 1, {"timed_out": 1})
    assert sum(found.latencies.values()) == 5


@pytest.mark.parametrize("minutes", [3, 90])
def test_a_call_counted_into_a_minute_that_was_written_long_ago_is_added_to_it(lake, writer, minutes):
    one = writer("a")
    for _ in range(100):
        one.answered("stt", "v1", NOW, 10, False)
        one.shape("stt", "v1", "snr", NOW, "3")
    one.flush(NOW)
    later = NOW + 60 * minutes
    one.answered("stt", "v1", later, 10, False)
    one.flush(later)
    one.flush(later + 2)
    # The clock went back, or a call waited so long to be counted.
    for _ in range(2):
        one.answered("stt", "v1", NOW, 10, False)
        one.shape("stt", "v1", "snr", NOW, "3")
        one.flush(later + 4)
        one.flush(later + 6)
    found = TallyReader(lake).by_minute(0)
    assert found["stt", "v1", MINUTE].calls == 102 and sum(found["stt", "v1", MINUTE].latencies.values()) == 102
    assert sum(tally.calls for tally in found.values()) == 103
    assert TallyReader(lake).shapes(0) == {("stt", "v1", "snr"): {"3": 102}}


def test_a_look_reads_the_gateways_that_run_and_the_latest_that_ended_and_no_others(lake, writer):
    for n in range(30):
        writer(f"ended{n}").close(NOW - 3600 + n)
    writer("replay", source="replay").flush(NOW - 1)
    writer("runs").flush(NOW)
    names = [heard.gateway for heard in TallyReader(lake).gateways(NOW - 10, live=3)]
    assert names == ["ended28", "ended29", "replay", "runs"]
    writer("last").fold(NOW + (KEEP_GATEWAY_HOURS + 2) * 3600)
    assert TallyReader(lake).gateways() == []


def test_a_replay_is_told_apart_from_callers(lake, writer):
    replay = writer("a", source="replay")
    replay.answered("stt", "v1", NOW, 10, False)
    replay.flush(NOW)
    reader = TallyReader(lake)
    assert not reader.by_minute(0) and len(reader.by_minute(0, "replay")) == 1


def test_reading_writes_nothing_where_no_gateway_ever_ran(lake):
    reader = TallyReader(lake)
    assert reader.gateways() == [] and reader.by_minute(0) == {} and reader.shapes(0) == {}
    assert reader.reference("x") is None and not lake.base_path.exists()


def test_a_damaged_file_is_told_with_the_way_out(lake, writer):
    tallies_path(lake).parent.mkdir(parents=True)
    tallies_path(lake).write_bytes(b"not a database, " * 100)
    with pytest.raises(FoundryError, match="can't be used") as refused:
        TallyReader(lake).gateways()
    assert "move the file away" in refused.value.hint
    broken = writer("a")
    assert broken.flush(NOW) is False and "not a database" in broken.fault


def test_a_full_disk_loses_nothing_that_fits_later(disk, with_settings):
    from data_foundry.lake import Lake

    place = disk(256)
    lake = Lake(with_settings(base_path=str(place)))
    kept = TallyWriter(lake, "a", "live", NOW)
    kept.answered("stt", "v1", NOW, 10, False)
    assert kept.flush(NOW)
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            if file.write(b"\0" * 4096) < 4096:
                raise OSError("No space for all of it")
    for version in range(2000):
        kept.answered("stt", f"v{version}", NOW, 10, False)
    assert kept.flush(NOW + 2) is False and kept.fault
    filler.unlink()
    assert kept.flush(NOW + 4) and kept.fault is None
    kept.close(NOW + 6)
    assert sum(tally.calls for tally in TallyReader(lake).by_minute(0).values()) == 2001


def test_old_minutes_become_hours_with_the_same_sums_and_very_old_ones_go(lake, writer):
    old = NOW - (KEEP_MINUTES + 300) * 60
    for gateway in ("a", "b"):
        each = writer(gateway)
        for minute in range(120):
            each.answered("stt", "v1", old + minute * 60, 10, False)
        each.answered("stt", "v1", NOW, 10, False)
        each.answered("stt", "v1", NOW - 500 * 86400, 10, False)
        each.shape("stt", "v1", "snr", NOW - 40 * 86400, "3")
        each.shape("stt", "v1", "snr", NOW, "4")
        each.flush(NOW)
    each.fold(NOW)
    each.fold(NOW)
    found = TallyReader(lake).by_minute(0)
    assert sum(tally.calls for tally in found.values()) == 2 * 120 + 2
    assert len(found) == 3 and all(minute % 60 == 0 for _, _, minute in found if minute != MINUTE)
    assert TallyReader(lake).shapes(0) == {("stt", "v1", "snr"): {"4": 2}}


def test_a_gateway_that_stopped_writing_does_not_run_and_one_that_closed_says_so(lake, writer):
    gone, closed = writer("a"), writer("b")
    gone.flush(NOW, {"gateway": "a", "missing": ["nothing"]})
    closed.flush(NOW)
    closed.close(NOW + 1)
    first, second = TallyReader(lake).gateways()
    assert first.running(NOW + 5) and not first.running(NOW + 60) and first.state["missing"] == ["nothing"]
    assert not second.running(NOW + 1) and second.closed == NOW + 1


_KILLED = """
import sys, time
from pathlib import Path
from data_foundry.config import Settings
from data_foundry.lake import Lake
from data_foundry.serving.watch.tallies import TallyWriter
writer = TallyWriter(Lake(Settings(base_path=Path(sys.argv[1]))), "a", "live", time.time())
for call in range(1_000_000):
    writer.answered("stt", "v1", 1_800_000_000.0, 10, False)
    if call % 100 == 99:
        assert writer.flush(1_800_000_000.0)
        print(call + 1, flush=True)
"""


def test_what_was_flushed_is_there_after_kill_9_and_can_be_written_on(lake):
    program = [sys.executable, "-c", _KILLED, str(lake.base_path)]
    with subprocess.Popen(program, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        told = process.stdout.read().split()
    flushed = int(told[-1]) if told else 500
    (found,) = TallyReader(lake).by_minute(0).values()
    # The last flush may have reached the disk and not its print.
    assert found.calls in (flushed, flushed + 100)
    after = TallyWriter(lake, "b", "live", time.time())
    after.answered("stt", "v1", 1_800_000_000.0, 10, False)
    assert after.flush(1_800_000_000.0)
    after.close(1_800_000_000.0)
    assert FLUSH_SECONDS <= 5
    with sqlite3.connect(tallies_path(lake)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


def test_a_gateway_whose_process_is_dead_does_not_run_although_it_wrote_lately(lake, writer, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: ended.pid)
        writer("a").flush(NOW)
    (found,) = TallyReader(lake).gateways()
    assert found.pid == ended.pid and not found.running(NOW + 1)
    assert replace(found, pid=os.getpid()).running(NOW + 1)
    assert replace(found, host="another").running(NOW + 1), "of another host only its silence tells"
