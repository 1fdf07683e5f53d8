import logging
import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from data_foundry import compute
from data_foundry.compute import run_steps
from data_foundry.errors import FoundryError
from data_foundry.report import Action, Outcome, Step, StepResult
from tests.processes import alive, wait_for


def act(settings, step):
    """What a step does in these tests is its subject."""
    if step.subject == "complain":
        raise FoundryError("no such row", "look elsewhere")
    if step.subject == "crash":
        raise ZeroDivisionError("division by zero")
    if step.subject == "fill":
        raise OSError(28, "No space left on device", "/disk/file")
    if step.subject == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return StepResult(name=step.name, key=step.key, outcome=Outcome.DONE, reason="done", rows_in=1, rows_out=1)


def steps(*subjects: str) -> list[Step]:
    return [
        Step(name=f"{index} {subject}", key="k", action=Action.RUN, reason="", subject=subject)
        for index, subject in enumerate(subjects)
    ]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_failing_step_costs_no_other_step(with_settings, workers):
    results = {
        r.subject: r for r in run_steps(act, with_settings(workers=workers), steps("complain", "a", "crash", "b"))
    }
    assert {name: r.outcome for name, r in results.items()} == {
        "complain": Outcome.FAILED, "a": Outcome.DONE, "crash": Outcome.FAILED, "b": Outcome.DONE,
    }  # fmt: skip
    assert "look elsewhere" in results["complain"].reason
    assert "ZeroDivisionError" in results["crash"].reason


def test_a_killed_worker_fails_its_own_step_only(with_settings):
    results = {r.subject: r for r in run_steps(act, with_settings(workers=2), steps("a", "die", "b", "c", "d"))}
    assert results.pop("die").outcome is Outcome.FAILED
    assert set(results) == {"a", "b", "c", "d"} and all(r.outcome is Outcome.DONE for r in results.values())


@pytest.mark.parametrize(("workers", "subjects"), [(1, ("a", "die", "b")), (2, ("die",))])
def test_a_step_that_is_killed_ends_neither_its_run_nor_the_others(with_settings, workers, subjects):
    results = {r.subject: r for r in run_steps(act, with_settings(workers=workers), steps(*subjects))}
    killed = results.pop("die")
    assert killed.outcome is Outcome.FAILED and "out of memory" in killed.reason
    assert set(results) == set(subjects) - {"die"} and all(r.outcome is Outcome.DONE for r in results.values())


def test_a_failing_disk_is_told_with_the_path_and_the_way_out(with_settings):
    result = next(run_steps(act, with_settings(workers=0), steps("fill")))
    assert result.outcome is Outcome.FAILED
    assert "/disk/file: No space left on device." in result.reason and "Free space" in result.reason


def linger(settings, step):
    """Write down this process's id, then work for a long time."""
    (settings.base_path / step.subject).write_text(str(os.getpid()))
    time.sleep(60)


def run_until_killed(settings):
    list(run_steps(linger, settings, steps("a", "b")))


def test_workers_do_not_outlive_a_killed_run(with_settings):
    settings = with_settings(workers=2)
    settings.base_path.mkdir()
    run = multiprocessing.get_context("spawn").Process(target=run_until_killed, args=(settings,))
    run.start()
    wait_for(lambda: all((settings.base_path / name).exists() and pid(settings, name) for name in "ab"))
    run.kill()
    run.join()
    wait_for(lambda: not any(alive(pid(settings, name)) for name in "ab"))


def pid(settings, name):
    return int((settings.base_path / name).read_text() or 0)


def test_steps_that_no_worker_has_begun_when_a_pool_breaks_go_to_a_new_pool(with_settings, monkeypatch):
    class Broken(ProcessPoolExecutor):
        def submit(self, *arguments):
            raise BrokenProcessPool

    pools = [Broken(2)]
    usual = compute.process_pool
    monkeypatch.setattr(compute, "process_pool", lambda workers: pools.pop() if pools else usual(workers))
    results = list(run_steps(act, with_settings(workers=2), steps("a", "b")))
    assert not pools and [r.outcome for r in results] == [Outcome.DONE, Outcome.DONE]


def test_a_disk_too_full_for_the_log_fills_no_terminal_with_tracebacks(tmp_path, capsys, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    handler = compute.LogFile(tmp_path / "log")
    with monkeypatch.context() as patched:
        patched.setattr(handler, "flush", full)
        handler.handle(logging.makeLogRecord({"msg": "one line"}))
        handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("a mistake of the program",)}))
    handler.close()
    told = capsys.readouterr().err
    assert "No space left" not in told and "a mistake of the program" in told
