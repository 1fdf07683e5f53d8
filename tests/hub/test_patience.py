"""The retry policy: bounded per request and per run, jittered, and as patient as the server asks."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from email.utils import formatdate

import pytest

import run_data_foundry
from data_foundry.config import PROJECT_ROOT
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.hub import ledger, patience
from data_foundry.hub.ledger import Ledger
from data_foundry.hub.patience import GaveUp, Halted, Patience, Setback, server_wish
from tests.ingestion.builders import COMMENTS, NEWS, comments, news
from tests.loopback_hub import Fault

NOON = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": formatdate(NOON + 90, usegmt=True)}, 90.0),
        ({"Retry-After": formatdate(NOON - 90, usegmt=True)}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({"RateLimit": '"api";r=0;t=55', "Retry-After": "3"}, 55.0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "8"}, 8.0),
        ({"RateLimit-Remaining": "5", "RateLimit-Reset": "8"}, None),
        ({"RateLimit-Reset": "²"}, None),
    ],
)
def test_what_a_server_asks_for_is_read_from_every_header(headers, seconds):
    assert server_wish(headers, NOON) == seconds


class Failing:
    """Fails `times` times, then answers."""

    def __init__(self, times: int) -> None:
        self.times, self.calls = times, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise OSError(f"failure {self.calls}")
        return "answer"


def passing(error):
    return Setback(str(error))


def test_waits_double_at_most_and_are_drawn_at_random(waits):
    drawn = set()
    for _ in range(20):
        waits.clear()
        assert Patience(10, 999).call("it", Failing(9), passing) == "answer"
        assert all(0 <= seconds <= min(60, 2**number) for number, seconds in enumerate(waits))
        drawn.add(tuple(waits))
    assert len(drawn) == 20


def test_a_request_is_tried_again_only_so_often(waits):
    request = Failing(99)
    with pytest.raises(GaveUp, match=r"hub\.retries = 3 allows no more") as raised:
        Patience(3, 99).call("it", request, passing)
    assert request.calls == raised.value.tries == 4 and str(raised.value.error) == "failure 4"


def test_a_hopeless_failure_is_not_tried_again(waits):
    request = Failing(99)
    with pytest.raises(GaveUp) as raised:
        Patience(3, 99).call("it", request, lambda error: None)
    assert request.calls == 1 and raised.value.reason == "" and waits == []


def test_all_requests_of_a_run_share_one_budget(waits):
    limits = Patience(retries=9, budget=5)
    limits.call("one", Failing(3), passing)
    request = Failing(99)
    with pytest.raises(GaveUp, match=r"the run has spent all its retries \(hub.retry_budget = 5\)"):
        limits.call("two", request, passing)
    assert request.calls == 3 and len(waits) == 5
    assert limits.call("three", Failing(0), passing) == "answer"


def test_progress_gives_a_request_its_tries_back_but_not_the_run(waits):
    came = iter(range(0, 10**9, patience.PROGRESS_BYTES))
    request = Failing(6)
    assert Patience(2, 99).call("it", request, passing, progress=lambda: next(came)) == "answer"
    came = iter(range(0, 10**9, patience.PROGRESS_BYTES))
    with pytest.raises(GaveUp, match="spent all"):
        Patience(2, 5).call("it", Failing(6), passing, progress=lambda: next(came))


def test_when_one_is_turned_away_the_others_wait_too(waits, tmp_path):
    file = tmp_path / "ledger"
    Patience(3, 9, Ledger(file)).call("one", Failing(1), lambda error: Setback("429", wish=40.0, crowded=True))
    (own,) = waits
    assert 40 <= own < 41
    Ledger(file).cool_down(patience.now() + 25)
    Patience(3, 9, Ledger(file)).call("two", Failing(0), passing)
    assert len(waits) == 2 and 25 <= waits[1] < 26.01


def test_a_server_that_asks_for_no_wait_does_not_shorten_ours(waits, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    Patience(9, 99).call("it", Failing(4), lambda error: Setback("503", wish=0.0))
    assert waits == [1, 2, 4, 8]


def test_a_wait_ends_at_once_when_the_work_is_called_off():
    halt = threading.Event()
    threading.Timer(0.1, halt.set).start()
    started = time.monotonic()
    with pytest.raises(Halted):
        Patience(3, 9).call("it", Failing(1), lambda error: Setback("busy", wish=300.0), halt=halt)
    assert time.monotonic() - started < 30


def spend_all(file: str, tries: int) -> int:
    """Spend retries in a process of its own; return how many were granted."""
    return sum(Ledger(file=__import__("pathlib").Path(file)).spend(50) for _ in range(tries))


def test_worker_processes_spend_from_one_budget(tmp_path):
    ledger.run_id()
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        granted = pool.starmap(spend_all, [(str(tmp_path / "ledger"), 30)] * 3)
    assert sum(granted) == 50
    assert Ledger(tmp_path / "ledger").spent() == 50


def test_another_run_starts_with_a_budget_of_its_own_even_after_kill_9(tmp_path):
    file = tmp_path / "ledger"
    code = (
        "import os, signal, sys; from pathlib import Path; from data_foundry.hub.ledger import Ledger;"
        "entry = Ledger(Path(sys.argv[1])); [entry.spend(9) for _ in range(7)]; entry.cool_down(4e9);"
        "context = entry._entry(); context.__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environ = {name: value for name, value in os.environ.items() if name != ledger.RUN_VARIABLE}
    environ["PYTHONPATH"] = str(PROJECT_ROOT)
    killed = subprocess.run([sys.executable, "-c", code, str(file)], env=environ, check=False)
    assert killed.returncode == -9 and json.loads(file.read_text())["spent"] == 7
    mine = Ledger(file)
    assert mine.spent() == 0 and mine.cool_until() == 0 and mine.spend(9)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 1}', "\0" * 20])
def test_a_broken_ledger_counts_as_empty(tmp_path, text):
    file = tmp_path / "ledger"
    file.write_text(text)
    assert Ledger(file).spend(1) and not Ledger(file).spend(1)


def test_a_ledger_that_can_not_be_written_counts_for_this_process(tmp_path):
    (tmp_path / "file").write_text("")
    entry = Ledger(tmp_path / "file" / "ledger")
    assert entry.spend(1) and not entry.spend(1) and entry.spent() == 1


def test_a_ledger_on_a_disk_that_fills_up_goes_on_in_this_process(tmp_path, monkeypatch):
    file = tmp_path / "ledger"
    entry = Ledger(file)
    assert entry.spend(3)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("data_foundry.hub.ledger.os.pwrite", full)
    assert entry.spend(3) and entry.spend(3) and not entry.spend(3) and entry.spent() == 3
    # What was counted before is still there for the others.
    assert Ledger(file).spent() == 1


def test_what_is_longer_in_a_ledger_is_overwritten_wholly(tmp_path):
    file = tmp_path / "ledger"
    file.write_text("x" * 5000)
    assert Ledger(file).spend(1) and not Ledger(file).spend(1)


def test_the_phases_of_one_run_spend_from_one_budget(tmp_path, monkeypatch):
    monkeypatch.delenv(ledger.RUN_VARIABLE)
    runs = []

    def phase(command, **options):
        runs.append(options["env"].get(ledger.RUN_VARIABLE))
        return real([sys.executable, "-c", ""], **options)

    real = subprocess.Popen
    monkeypatch.setattr("run_data_foundry.subprocess.Popen", phase)
    run_data_foundry.main(["--phases", "phase1", "phase2", "--base-path", str(tmp_path / "base")])
    assert len(runs) == 2 and runs[0] and runs[0] == runs[1]


def test_the_worker_processes_of_a_run_keep_to_its_budget(hub, tmp_path):
    for name in (NEWS, COMMENTS):
        hub.add("datasets", name, {NEWS: news, COMMENTS: comments}[name](), sha=DATASET_REGISTRY[name].revision or "")
    hub.faults = [Fault("/resolve/", 503, times=99)]
    environ = {name: value for name, value in os.environ.items() if name != ledger.RUN_VARIABLE}
    environ |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(PROJECT_ROOT)}
    environ |= {"DATA_FOUNDRY_HUB__RETRY_BUDGET": "3", "DATA_FOUNDRY_HUB__MAX_PARALLEL_DOWNLOADS": "1"}
    environ |= {"DATA_FOUNDRY_WORKERS": "2", "NO_PROXY": "127.0.0.1"}
    script = str(PROJECT_ROOT / "phase1-ingestion/ingest_hf_data.py")
    command = [sys.executable, script, "--base-path", str(tmp_path / "base"), "--datasets", NEWS, COMMENTS]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "hub.retry_budget = 3" in done.stderr, done.stderr
    # The first try of each dataset, and the retries that they share.
    assert len(hub.struck) == 2 + 3
