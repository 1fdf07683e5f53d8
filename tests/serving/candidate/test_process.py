"""A candidate's process: whatever its versions do, who asks gets an answer or a reason, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from misbehaving import GARBAGE
from processes import alive, wait_for

from data_foundry.config import PROJECT_ROOT
from data_foundry.serving.candidate.process import Asked, CandidateProcess
from data_foundry.serving.candidate.said import CandidateFailed

Start = Callable[..., CandidateProcess]
CALL = {"text": "call"}


def ask(process: CandidateProcess, text: str = "call", version: str = "new") -> Any:
    assert process.wait_ready(30), process.state()
    return process.submit(version, {"text": text}).result(30)


def failure(process: CandidateProcess, text: str = "call") -> str:
    with pytest.raises(CandidateFailed) as caught:
        ask(process, text)
    assert text not in str(caught.value), "an error quotes the caller"
    return caught.value.kind


def test_a_version_answers_and_its_time_is_measured(candidate: Start) -> None:
    said = ask(candidate("slow"))
    assert (said.output, said.confidence, dict(said.classes)) == ("heard call", 0.9, {})
    assert said.milliseconds >= 300


def test_it_gives_way_to_everything_else_and_computes_in_one_thread(candidate: Start) -> None:
    process = candidate("who")
    pid, nice, scheduler, threads, _ = ask(process).output.split()
    assert (int(nice), int(scheduler), threads) == (19, os.SCHED_IDLE, "1")
    assert process.state()["pid"] == int(pid) != os.getpid()


def test_one_that_answers_callers_has_the_gateways_priority(candidate: Start) -> None:
    _, nice, scheduler, threads, _ = ask(candidate("who", idle=False, threads=2)).output.split()
    assert (int(nice), int(scheduler), threads) == (os.nice(0), os.sched_getscheduler(0), "2")


@pytest.mark.parametrize(
    ("act", "kind", "ends"),
    [
        ("hang", "timed_out", True),
        ("spin", "timed_out", True),
        ("leave", "died", True),
        ("fall", "died", True),
        ("eat", "out_of_memory", True),
        ("swallow", "MemoryError", False),
        ("raise_error", "RuntimeError", False),
        ("give_up", "SystemExit", False),
    ],
)
def test_a_version_that_fails_says_how_and_only_what_no_process_survives_ends_it(
    candidate: Start, act: str, kind: str, ends: bool
) -> None:
    process = candidate(act, timeout_seconds=0.3 if kind == "timed_out" else 30.0, memory_mib=256)
    assert failure(process) == kind
    wait_for(lambda: process.state()["restarts"] == int(ends))
    assert process.state()["deaths"] == ({kind: 1} if ends else {})


def test_what_is_no_answer_is_not_believed(candidate: Start) -> None:
    process = candidate("garbage", task="text-classification")
    for act in GARBAGE:
        assert failure(process, act) == ("AttributeError" if act == "nothing" else "InvalidAnswer"), act
    assert process.state()["restarts"] == 0


def test_a_label_that_the_model_does_not_know_is_not_believed(candidate: Start) -> None:
    task = "text-classification"
    assert failure(candidate("good", task=task, labels=("billing", "network"))) == "InvalidAnswer"
    assert ask(candidate("good", task=task, labels=("billing", "heard call"))).output == "heard call"


def test_it_comes_back_after_a_hang_and_after_a_death(candidate: Start) -> None:
    process = candidate("hang_on_demand", timeout_seconds=0.2)
    assert ask(process, "one").output == "heard one"
    assert failure(process, "hang") == "timed_out"
    assert ask(process, "two").output == "heard two"
    os.kill(process.state()["pid"], signal.SIGKILL)
    wait_for(lambda: process.state()["deaths"] == {"timed_out": 1, "died": 1})
    assert ask(process, "three").output == "heard three"
    assert process.state()["restarts"] == 2


def test_a_death_from_outside_while_nothing_is_asked_is_no_calls_failure(candidate: Start) -> None:
    process = candidate()
    ask(process)
    os.kill(process.state()["pid"], signal.SIGKILL)
    with pytest.raises(CandidateFailed) as caught:
        process.submit("new", CALL).result(30)
    assert caught.value.dropped


def test_whoever_asks_never_waits_and_what_is_too_much_is_refused_at_once(candidate: Start) -> None:
    process = candidate("hang", queue_size=3)
    assert process.wait_ready(30)
    first = process.submit("new", CALL)
    wait_for(first.running)
    asked = [process.submit("new", CALL) for _ in range(10)]
    kinds = [future.exception().kind for future in asked if future.done()]
    assert kinds == ["queue_full"] * 7
    process.close()
    assert {future.exception().kind for future in [first, *asked[:3]]} == {"closed"}


def test_before_it_is_ready_it_refuses_at_once(candidate: Start) -> None:
    process = candidate("endless")
    assert process.submit("new", CALL).exception(0).kind == "not_ready"
    assert process.state()["state"] == "loading"


def test_a_call_that_nobody_waits_for_any_more_is_not_asked(candidate: Start) -> None:
    process = candidate("slow")
    assert process.wait_ready(30)
    first, second, third = (process.submit("new", CALL) for _ in range(3))
    assert second.cancel()
    assert first.result(30).output == third.result(30).output == "heard call"


def test_files_that_are_not_those_registered_are_told_with_the_reason_and_tried_ever_more_rarely(
    candidate: Start,
) -> None:
    process = candidate("broken", backoff=(0.2, 60.0))
    assert not process.wait_ready(30)
    found = process.failure
    assert found and (found.version, found.reason) == ("new", "not_loaded: The files of new are not those registered.")
    assert process.submit("new", CALL).exception(0).kind == "not_loaded"
    assert process.submit("old", CALL).exception(0).kind == "not_ready"
    assert "not those registered" in process.state()["reason"]
    wait_for(lambda: process.state()["restarts"] == 2)
    # The third process comes 0.2 + 0.4 s after the first at the earliest, the fourth 0.8 s after that.
    assert process.state()["deaths"] == {"not_loaded": 2}


def test_what_can_be_loaded_again_is_loaded_again(candidate: Start, tmp_path: Any) -> None:
    process = candidate(f"broken until {tmp_path / 'disk'}")
    assert not process.wait_ready(30) and "the disk is away" in process.failure.reason
    (tmp_path / "disk").touch()
    wait_for(lambda: process.ready)
    assert ask(process).output == "heard call" and process.failure is None


def test_a_process_that_dies_while_it_loads_is_the_versions_fault_only_the_third_time(candidate: Start) -> None:
    process = candidate("fatal")
    assert not process.wait_ready(30)
    assert process.failure.version == "new" and "exit code 9" in process.failure.reason
    assert process.state()["restarts"] >= 2


def test_one_that_never_ends_loading_is_ended(candidate: Start) -> None:
    process = candidate("endless", load_seconds=0.3)
    assert not process.wait_ready(30)
    assert process.failure.reason == "not_loaded: loading took over 0.3 s"


def test_a_process_imports_nothing_heavy_of_its_own() -> None:
    heavy = {"torch", "transformers", "numpy", "pyarrow", "pydantic", "fastapi"}
    program = f"import sys, data_foundry.serving.candidate.worker; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PROJECT_ROOT)


def test_closing_leaves_no_process_and_no_thread(candidate: Start) -> None:
    processes = [candidate(act) for act in ("good", "hang", "endless")]
    for process in processes[:2]:
        assert process.wait_ready(30)
    hanging = processes[1].submit("new", CALL)
    wait_for(lambda: all(process.state()["pid"] for process in processes))
    pids = [process.state()["pid"] for process in processes]
    for process in processes:
        process.close()
        process.close()
    assert not any(map(alive, pids))
    assert hanging.exception(0).kind == "closed"
    assert processes[0].submit("new", CALL).exception(0).kind == "closed"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("candidate ")]


def test_calls_without_number_reach_it_in_order(candidate: Start) -> None:
    process = candidate(queue_size=500)
    assert process.wait_ready(30)
    asked = [process.submit("new", {"text": str(number), "audio": b"x" * 10_000}) for number in range(300)]
    assert [future.result(30).output for future in asked] == [f"heard {number}" for number in range(300)]
    assert process.state()["restarts"] == 0


def test_memory_held_when_nothing_is_asked_counts_too(candidate: Start) -> None:
    process = candidate(memory_mib=5)
    assert not process.wait_ready(30)
    assert process.failure.reason.startswith("out_of_memory: it held") and process.failure.reason.endswith("MiB of 5")


def test_neither_its_time_nor_its_time_out_counts_what_others_had_the_processor(candidate: Start) -> None:
    """It shares one processor with a program that spins, and gets next to nothing until that is gone."""
    process = candidate("compute", timeout_seconds=0.5)
    assert process.wait_ready(30)
    one = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(process.state()["pid"], one)
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {one})\nwhile True: pass"]
    ) as hog:
        asked = process.submit("new", CALL)
        # Twice the time-out; a processor of its own would have done in a tenth of it.
        with pytest.raises(TimeoutError):
            asked.result(1.0)
        hog.kill()
    said = asked.result(30)
    assert said.output == "heard call"
    assert said.milliseconds < (time.monotonic() - started) * 1000 / 2


def test_a_process_that_reads_nothing_blocks_nobody_and_is_ended(candidate: Start) -> None:
    """As one does whose model holds the interpreter; what is sent is far more than a socket holds."""
    process = candidate(timeout_seconds=0.3)
    assert process.wait_ready(30)
    os.kill(process.state()["pid"], signal.SIGSTOP)
    asked = [process.submit("new", {"text": "call", "audio": bytes(5 * 2**20)}) for _ in range(3)]
    assert asked[0].exception(30).kind == "timed_out"
    assert {future.exception(30).kind for future in asked[1:]} == {"not_ready"}
    assert ask(process).output == "heard call"


def test_a_fault_of_the_gateways_own_ends_no_thread_and_leaves_nobody_waiting(
    candidate: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(message: dict[str, Any], *given: Any) -> Any:
        raise ZeroDivisionError(message["output"])

    process = candidate()
    assert ask(process).output == "heard call"
    with monkeypatch.context() as patched:
        patched.setattr("data_foundry.serving.candidate.process.said_in", fault)
        assert process.submit("new", CALL).exception(30).dropped
    wait_for(lambda: process.ready and process.state()["restarts"] == 1)
    assert ask(process).output == "heard call"
    assert "ZeroDivisionError" in caplog.text and "heard" not in caplog.text


def test_a_machine_that_can_start_no_process_is_no_versions_fault(
    candidate: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("sys.executable", "/nowhere/python")
        process = candidate()
        wait_for(lambda: process.state()["restarts"] >= 5)
        assert process.failure is None and "no process can be started" in process.state()["reason"]
        assert process.submit("new", CALL).exception(0).kind == "not_ready"
    assert ask(process).output == "heard call"


def test_when_memory_runs_out_the_kernel_takes_it_first_and_it_leaves_no_core(candidate: Start) -> None:
    process = candidate()
    assert process.wait_ready(30)
    folder = Path("/proc") / str(process.state()["pid"])
    assert (folder / "oom_score_adj").read_text() == "1000\n"
    limits = {line[:26].strip(): line[26:].split()[0] for line in (folder / "limits").read_text().splitlines()}
    assert limits["Max core file size"] == "0"
    assert limits["Max data size"] == str(2 * 1024 * 2**20)


def test_a_version_that_is_asked_alone_is_asked_where_no_other_was_heard_and_who_waits_is_answered_then(
    candidate: Start,
) -> None:
    process = candidate("who", old="who")
    assert process.wait_ready(30)

    def pid(asked: Asked) -> int:
        return int(asked.result(30).output.split()[0])

    first = pid(process.submit("old", CALL))
    assert pid(process.submit("old", CALL, alone=True)) == first, "it was alone"
    both = process.submit("new", CALL), process.submit("old", CALL, alone=True), process.submit("new", CALL)
    in_company, alone, waiting = map(pid, both)
    assert in_company == first != alone == waiting
    assert (process.state()["restarts"], process.state()["deaths"]) == (1, {"renewed": 1})


@pytest.mark.parametrize(("steady", "waits"), [(100, ["0.1", "0.2"]), (1, ["0.0", "0.0"])])
def test_a_process_that_is_started_anew_for_one_version_after_few_calls_is_so_ever_more_rarely(
    candidate: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, steady: int, waits: list[str]
) -> None:
    monkeypatch.setattr("data_foundry.serving.candidate.process.STEADY_CALLS", steady)
    process = candidate(old="good", backoff=(0.1, 60.0))
    for _ in waits:
        ask(process)
        assert process.submit("old", CALL, alone=True).result(30).output == "heard call"
    assert process.state()["deaths"] == {"renewed": 2}
    assert [line.split("again in ")[1] for line in caplog.messages] == [f"{seconds} s." for seconds in waits]


@pytest.mark.parametrize(
    ("old", "doubtful"), [("leave", True), ("swallow", True), ("raise_error", False), ("garbage", False)]
)
def test_what_a_version_fails_at_may_be_anothers_doing_only_where_that_was_heard_and_could_have_done_it(
    candidate: Start, old: str, doubtful: bool
) -> None:
    process = candidate("good", old=old)
    assert process.wait_ready(30)
    process.submit("new", CALL).result(30)
    assert process.submit("old", CALL).exception(30).doubtful is doubtful
    assert process.wait_ready(30)
    assert process.submit("old", CALL, alone=True).exception(30).doubtful is False


def test_what_libraries_raise_may_be_anothers_doing_where_that_took_much_memory(candidate: Start) -> None:
    process = candidate("take", old="raise_error", memory_mib=256)
    assert process.wait_ready(30)
    assert process.submit("old", CALL).exception(30).doubtful is False, "nothing is taken yet"
    process.submit("new", CALL).result(30)
    failed = process.submit("old", CALL).exception(30)
    assert (failed.kind, failed.scarce, failed.doubtful) == ("RuntimeError", True, True)
    alone = process.submit("old", CALL, alone=True).exception(30)
    assert (alone.scarce, alone.doubtful) == (False, False)


def test_what_a_version_raises_of_its_own_is_nobody_elses_doing_wherever_memory_is_scarce(candidate: Start) -> None:
    process = candidate("take", old="raise_value_error", memory_mib=256)
    assert process.wait_ready(30)
    process.submit("new", CALL).result(30)
    failed = process.submit("old", CALL).exception(30)
    assert (failed.kind, failed.scarce, failed.doubtful) == ("ValueError", True, False)


def test_how_long_a_version_has_had_a_call_is_told_and_of_one_that_waits_that_it_waits(candidate: Start) -> None:
    process = candidate("hang")
    assert process.wait_ready(30)
    hangs, waits = process.submit("new", CALL), process.submit("new", CALL)
    wait_for(lambda: (hangs.own_seconds or 0.0) > 0.1)
    assert waits.own_seconds is None
