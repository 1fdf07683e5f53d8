"""The lake's lock: one run works, another is refused, and a dead one's lock is nobody's."""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from data_foundry import endings
from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.lake import LEASE_SECONDS, Lake, LeaseLost, lock
from tests.processes import alive, wait_for

KINDS = ("local", "shared")


@pytest.fixture
def spawned():
    """Start processes that are killed in the end: spawned(function, *arguments)."""
    context, started = multiprocessing.get_context("spawn"), []

    def start(function, *arguments):
        started.append(context.Process(target=function, args=arguments))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()


def hold(settings, ready, done):
    with Lake(settings).lock("first"):
        ready.set()
        done.wait(60)


def age(settings):
    """Make the lease as old as one whose process died long ago."""
    lease = settings.base_path / "storage" / ".lock.lease"
    stale = time.time() - LEASE_SECONDS - 1
    os.utime(lease, (stale, stale))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_run_is_refused_with_the_holders_name_and_let_in_when_that_is_killed(with_settings, spawned, kind):
    settings = with_settings(storage={"type": kind})
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = spawned(hold, settings, ready, done)
    assert ready.wait(60)
    with pytest.raises(FoundryError) as refused, Lake(settings).lock("second"):
        pass
    for part in (
        "Another run",
        "first",
        f"process {holder.pid}",
        os.uname().nodename,
        "since 20",
        "Wait until it ends",
    ):
        assert part in str(refused.value)
    holder.kill()
    holder.join()
    if kind == "shared":
        with pytest.raises(FoundryError, match="Another run"), Lake(settings).lock("too early to tell"):
            pass
        age(settings)
    with Lake(settings).lock("third"):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_is_let_go_at_the_end_and_after_an_error(with_settings, kind):
    settings = with_settings(storage={"type": kind})
    with pytest.raises(ZeroDivisionError), Lake(settings).lock("first"):
        raise ZeroDivisionError
    with Lake(settings).lock("second"):
        pass
    left = [path.name for path in (settings.base_path / "storage").iterdir() if path.is_file() and path.stat().st_size]
    assert not left


CHILD = """
import sys
from data_foundry.config import load_settings
from data_foundry.lake import Lake
with Lake(load_settings(flags={"base_path": sys.argv[1], "storage": {"type": sys.argv[2]}}, environ={})).lock("child"):
    print("working", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_of_the_holder_works_under_its_lock_and_leaves_it_to_it(with_settings, kind):
    settings = with_settings(storage={"type": kind})
    command = [sys.executable, "-c", CHILD, str(settings.base_path), kind]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    with Lake(settings).lock("parent"):
        done = subprocess.run(command, env=environment, input="", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "working\n"), done.stderr
        with pytest.raises(FoundryError, match="parent"), Lake(settings).lock("other"):
            pass


def parent(settings, kind, child):
    with Lake(settings).lock("parent"):
        command = [sys.executable, "-c", CHILD, str(settings.base_path), kind]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        process.stdout.readline()
        child.put(process.pid)
        time.sleep(60)


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_ends_when_the_holder_whose_lock_it_works_under_is_killed(with_settings, spawned, kind):
    settings = with_settings(storage={"type": kind})
    child = multiprocessing.get_context("spawn").Queue()
    holder = spawned(parent, settings, kind, child)
    pid = child.get(timeout=60)
    holder.kill()
    holder.join()
    wait_for(lambda: not alive(pid))


def race(settings, rounds, barrier, results):
    """Take the lease in every round if it can be had; inside, nobody else may be."""
    lease, inside = settings.base_path / "storage" / ".lock.lease", settings.base_path / "inside"
    won, together = 0, 0
    for _ in range(rounds):
        if barrier.wait() == 0:
            lease.write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "dead"}))
            age(settings)
        barrier.wait()
        try:
            with Lake(settings).lock("race"):
                won += 1
                try:
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    together += 1
                barrier.wait()  # All have tried while the winner holds it.
                inside.unlink(missing_ok=True)
        except FoundryError as error:
            assert "Another run" in error.message
            barrier.wait()
        barrier.wait()
    results.put((won, together))


def test_of_many_processes_that_take_over_one_stale_lease_exactly_one_gets_it(with_settings, spawned):
    settings = with_settings(storage={"type": "shared"})
    (settings.base_path / "storage").mkdir(parents=True)
    context, racers, rounds = multiprocessing.get_context("spawn"), 3, 150
    barrier, results = context.Barrier(racers, timeout=60), context.Queue()
    for _ in range(racers):
        spawned(race, settings, rounds, barrier, results)
    won, together = zip(*(results.get(timeout=120) for _ in range(racers)), strict=True)
    assert sum(won) == rounds and sum(together) == 0


LOSER = """
import sys, time
from pathlib import Path
from data_foundry import endings
from data_foundry.config import load_settings
from data_foundry.lake import Lake, lock
lock.LEASE_SECONDS = 0.6
def work():
    with Lake(load_settings(flags={"base_path": sys.argv[1], "storage": {"type": "shared"}}, environ={})).lock("loser"):
        print("working", flush=True)
        time.sleep(60)
sys.exit(endings.ended("phase1", work))
"""


@pytest.mark.parametrize("taken", [True, False], ids=["taken over", "removed"])
def test_a_run_whose_lease_is_gone_stops_and_says_why_and_leaves_the_new_one_alone(tmp_path, taken):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    run = subprocess.Popen(
        [sys.executable, "-c", LOSER, str(tmp_path)], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    run.stdout.readline()
    lease = tmp_path / "storage" / ".lock.lease"
    other = tmp_path / "other"
    other.write_text(json.dumps({"host": "elsewhere", "pid": 7, "purpose": "phase2", "token": "another"}))
    if taken:
        other.replace(lease)
    else:
        lease.unlink()
    _, told = run.communicate(timeout=60)
    assert run.returncode == 1 and "lost its lease" in told and "Traceback" not in told
    assert ("process 7 on elsewhere" in told and lease.exists()) if taken else "someone removed it" in told


def test_a_lost_lease_is_told_where_the_run_takes_its_signal_for_the_users(with_settings, monkeypatch, capfd):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.6)
    settings = with_settings(storage={"type": "shared"})
    lease = settings.base_path / "storage" / ".lock.lease"

    def work():
        with Lake(settings).lock("all phases"):
            lease.write_text(json.dumps({"host": "elsewhere", "pid": 7, "token": "another"}))
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                # As the orchestrator does, which then ends its child and reports.
                return endings.TERMINATED

    assert endings.ended("run", work) == 1
    assert "lost its lease" in capfd.readouterr().err and json.loads(lease.read_text())["token"] == "another"


def test_a_lease_that_vanishes_while_it_is_read_or_holds_nonsense_is_no_traceback(with_settings, monkeypatch):
    settings = with_settings(storage={"type": "shared"})
    lease = settings.base_path / "storage" / ".lock.lease"
    lease.parent.mkdir(parents=True)
    lease.write_text("nonsense")
    with pytest.raises(FoundryError, match="Another run"), Lake(settings).lock("second"):
        pass
    # It vanishes between the try to make it and the look at its age and its holder.
    real = lock._link

    def vanish(source, target):
        made = real(source, target)
        lease.unlink(missing_ok=True)
        return made

    monkeypatch.setattr(lock, "_link", vanish)
    with pytest.raises(FoundryError, match="only begun or just ended"), Lake(settings).lock("third"):
        pass
    assert issubclass(LeaseLost, FoundryError)


def test_a_file_system_without_locks_names_the_setting(with_settings, monkeypatch):
    def refuse(file, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(FoundryError, match=r"storage\.type to shared"), Lake(with_settings()).lock("first"):
        pass
