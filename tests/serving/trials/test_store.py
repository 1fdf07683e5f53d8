"""The trial store: durable on return, once per call, one order for every gateway, and a bad disk harms no caller."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from trial_builders import BEGIN, simulated

from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Losses, Pair, Side


@pytest.fixture
def store(lake: Lake) -> Iterator[TrialStore]:
    found = TrialStore(lake)
    yield found
    found.close()


def test_what_was_kept_is_read_back_as_it_was_given_in_the_order_in_which_it_was_kept(
    store: TrialStore, lake: Lake
) -> None:
    given = [each for both in simulated("t", 9, failing=0.5) for each in both]
    assert any(isinstance(each, Pair) and each.candidate.error for each in given)
    for each in given:
        assert store.keep(each)
    assert store.keep(Pair("other", "c", 1.5, Side(None), Side(None, "timed_out"), None))
    found = list(TrialStore(lake).observations("t"))
    assert [each for _, each in found] == given
    assert [at for at, _ in found] == sorted({at for at, _ in found})
    half = found[7][0]
    assert list(store.observations("t", after=half)) == found[8:]


def test_the_first_of_a_call_counts_and_telling_it_again_is_no_fault(store: TrialStore) -> None:
    first = Pair("t", "call", 1.0, Side(5.0), Side(6.0), 0.0)
    assert store.keep(first) and store.keep(first)
    assert store.keep(Pair("t", "call", 2.0, Side(7.0), Side(None, "died"), None))
    assert store.keep(Losses("t", "call", 3.0, 0.0, 1.0)) and store.keep(Losses("t", "call", 4.0, 1.0, 0.0))
    assert [each for _, each in store.observations("t")] == [first, Losses("t", "call", 3.0, 0.0, 1.0)]


def test_opening_and_reading_write_nothing(lake: Lake) -> None:
    store = TrialStore(lake)
    assert list(store.observations("t")) == [] and store.counts() == {} and store.prune((), 1e12) == 0
    store.close()
    assert not lake.base_path.exists()


def test_reading_and_closing_leave_one_file(store: TrialStore, lake: Lake) -> None:
    assert store.keep(next(simulated("t", 1))[0])
    store.close()
    assert len(list(TrialStore(lake).observations("t"))) == 1
    assert [path.name for path in store.path.parent.iterdir()] == ["trials.sqlite"]


def test_more_than_one_reading_holds_come_all_and_once(store: TrialStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_foundry.serving.trials.store.CHUNK", 4)
    given = [pair for pair, _ in simulated("t", 8)]
    assert store.keep(*given)
    assert [each for _, each in store.observations("t")] == given


WRITER = """
import sys
from trial_builders import simulated
from data_foundry.config import load_settings
from data_foundry.lake import Lake
from data_foundry.serving.trials.store import TrialStore
store = TrialStore(Lake(load_settings(flags={"base_path": sys.argv[1]}, environ={})))
for pair, losses in simulated("t", 40, slower=int(sys.argv[2])):
    assert store.keep(pair), store.fault
    assert store.keep(losses), store.fault
"""


def child(program: str, *words: str) -> subprocess.Popen[bytes]:
    paths = [str(PROJECT_ROOT), str(PROJECT_ROOT / "tests"), str(Path(__file__).parent)]
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
    )


def test_two_gateways_that_write_the_same_calls_at_once_leave_each_once_in_one_order(lake: Lake) -> None:
    writers = [child(WRITER, str(lake.base_path), str(slower)) for slower in (1, 2)]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    found = list(TrialStore(lake).observations("t"))
    calls = [(type(each), each.call) for _, each in found]
    assert len(found) == 80 and len(set(calls)) == 80
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    assert list(TrialStore(lake).observations("t")) == found, "another gateway reads the same"


def test_many_threads_of_one_gateway_share_a_store(store: TrialStore) -> None:
    given = [pair for pair, _ in simulated("t", 48)]
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(store.keep, given))
    assert sorted(each.call for _, each in store.observations("t")) == sorted(each.call for each in given)


KILLED = """
import os, signal, sys
from trial_builders import simulated
from data_foundry.config import load_settings
from data_foundry.lake import Lake
from data_foundry.serving.trials import store as module
store = module.TrialStore(Lake(load_settings(flags={"base_path": sys.argv[1]}, environ={})))
pairs = [pair for pair, _ in simulated("t", 3)]
assert store.keep(pairs[0]) and store.keep(pairs[1])
sys.stdout.write("kept"); sys.stdout.flush()
if sys.argv[2] == "inside":
    insertion = module._insertion
    def once(observation):
        if observation is pairs[2]:
            os.kill(os.getpid(), signal.SIGKILL)
        return insertion(observation)
    module._insertion = once
    store.keep(*[pair for pair, _ in simulated("t", 9, first=5)], pairs[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["after", "inside"])
def test_what_add_said_is_kept_outlives_a_kill_and_half_a_batch_does_not(lake: Lake, moment: str) -> None:
    killed = child(KILLED, str(lake.base_path), moment)
    said, _ = killed.communicate()
    assert (said, killed.returncode) == (b"kept", -signal.SIGKILL)
    store = TrialStore(lake)
    assert [each for _, each in store.observations("t")] == [pair for pair, _ in simulated("t", 3)][:2]
    assert store.keep([pair for pair, _ in simulated("t", 3)][2]), "the next gateway goes on"
    store.close()


def test_a_full_disk_is_said_and_what_was_kept_before_stays(disk: Callable[[int], Path]) -> None:
    lake = Lake(load_settings(flags={"base_path": str(disk(400))}, environ={}))
    store = TrialStore(lake)
    pairs = [pair for pair, _ in simulated("t", 20_000)]
    assert store.keep(*pairs[:5])
    filler = lake.base_path / "filler"
    with filler.open("wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left"):
            while True:
                file.write(b"x" * 4096)
    kept = [store.keep(*pairs[at : at + 100]) for at in range(5, 2005, 100)]
    assert not all(kept) and store.fault and "full" in store.fault and store.unkept >= 100
    assert "callers are answered" in store._database.hint
    filler.unlink()
    assert store.keep(pairs[-1]) and store.fault is None
    found = [each for _, each in store.observations("t")]
    assert found[:5] == pairs[:5] and found[-1] == pairs[-1]
    assert len(found) == 6 + 100 * sum(kept)
    store.close()


def test_a_store_that_another_program_holds_is_said_and_used_again_when_it_lets_go(
    store: TrialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [pair for pair, _ in simulated("t", 2)]
    monkeypatch.setattr(store._database, "_busy_seconds", 0.05)
    assert store.keep(pairs[0])
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert not store.keep(pairs[1]) and store.fault and "locked" in store.fault
    holder.execute("COMMIT")
    holder.close()
    assert store.keep(pairs[1]) and store.fault is None and store.unkept == 1
    assert len(list(store.observations("t"))) == 2


def test_a_damaged_file_is_said_in_full_once_and_reading_it_is_a_clear_error(
    store: TrialStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.path.parent.mkdir(parents=True)
    store.path.write_bytes(b"this is no database, whatever its name says" * 100)
    pair = next(simulated("t", 1))[0]
    assert not store.keep(pair) and not store.keep(pair)
    assert store.fault == f"The trial store {store.path} can't be used: file is not a database."
    assert [record.message for record in caplog.records] == [f"trials are not kept: {store.fault}"]
    with pytest.raises(FoundryError, match="file is not a database") as raised:
        list(store.observations("t"))
    assert "moved away while no gateway runs" in raised.value.hint
    store.path.unlink()
    assert store.keep(pair) and store.fault is None


def test_a_file_that_is_moved_away_is_made_anew_and_no_observation_goes_where_nobody_reads(store: TrialStore) -> None:
    pairs = [pair for pair, _ in simulated("t", 2)]
    assert store.keep(pairs[0])
    for path in store.path.parent.iterdir():
        path.rename(path.with_name(f"old-{path.name}"))
    assert store.keep(pairs[1])
    assert [each for _, each in store.observations("t")] == [pairs[1]]


def test_a_folder_that_can_not_be_made_is_said(lake: Lake, store: TrialStore) -> None:
    lake.base_path.mkdir()
    (lake.base_path / "serving").write_text("a file in its place")
    assert not store.keep(next(simulated("t", 1))[0]) and store.fault and "serving" in store.fault


def test_trials_that_are_over_and_old_are_pruned_and_no_others(store: TrialStore) -> None:
    for trial in ("old", "standing", "recent"):
        assert store.keep(*(each for both in simulated(trial, 6) for each in both))
    late = BEGIN + 10_000
    assert store.keep(Pair("recent", "late", late, Side(1.0), Side(1.0), 0.0))
    counts = store.counts()
    assert counts["old"] == {"pairs": 6, "losses": 6, "last": BEGIN + 5} and counts["recent"]["last"] == late
    sequence = list(store.observations("recent"))[-1][0]
    assert store.prune({"standing"}, before=late - 1) == 12
    assert set(store.counts()) == {"standing", "recent"}
    assert store.keep(Pair("old", "again", late, Side(1.0), Side(1.0), 0.0))
    assert next(store.observations("old"))[0] > sequence, "a sequence is never given twice"


def test_a_store_on_shared_storage_keeps_no_write_ahead_log(with_settings: Callable[..., Settings]) -> None:
    store = TrialStore(Lake(with_settings(storage={"type": "shared"})))
    assert store.keep(next(simulated("t", 1))[0]) and len(list(store.observations("t"))) == 1
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.close()
    store.close()


def test_a_store_of_its_own_lies_where_it_is_told_to(settings: Settings, tmp_path: Path) -> None:
    lake = Lake(settings)
    store = TrialStore(lake, tmp_path / "replay" / "trials.sqlite")
    assert store.keep(next(simulated("t", 1))[0])
    store.close()
    assert TrialStore(lake).counts() == {} and len(list(store.observations("t"))) == 1
