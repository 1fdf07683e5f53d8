"""A gateway's process: it ends with who started it, however that ends, and says why where it does not start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.errors import FoundryError
from data_foundry.serving import gateway_process
from data_foundry.serving.gateway_process import GatewayProcess

HERE = Path(__file__).parent
Start = Callable[[str], AbstractContextManager[GatewayProcess]]


@pytest.fixture
def start(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setenv("PYTHONPATH", str(HERE))

    def build(does: str) -> AbstractContextManager[GatewayProcess]:
        return gateway_process.gateway_process(settings, tmp_path / "logs" / "log", only=[does], module="light_gateway")

    return build


def is_gone(process_id: int) -> bool:
    """Whether a process ended within half a minute."""
    for _ in range(3000):
        try:
            if Path(f"/proc/{process_id}/stat").read_text().split(")")[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_a_gateway_answers_who_started_it_alone_and_ends_with_the_block(start: Start) -> None:
    with start("serve") as gateway:
        assert gateway.client.get("/ready").status_code == 200
        assert gateway.client.get("/ready", headers={"Authorization": "Bearer another"}).status_code == 401
        assert gateway.state() == {"key_in_arguments": False}
        assert gateway.key not in Path(f"/proc/{gateway.process.pid}/environ").read_text()
    assert gateway.process.returncode == 0


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("fail", r"it ended\. Its log ends: FoundryError: the base is gone"),
        ("fail late", r"ended with 1\. .* no memory"),
    ],
)
def test_a_gateway_that_does_not_start_says_why(start: Start, does: str, said: str) -> None:
    with pytest.raises(FoundryError, match=said):
        start(does).__enter__()


def test_what_libraries_print_in_a_gateway_goes_to_its_log_and_disturbs_no_answer(start: Start) -> None:
    with start("serve") as gateway:
        assert [gateway.state() for _ in range(2)] == [{"key_in_arguments": False}] * 2
    printed = gateway.log_file.read_text()
    assert all(said in printed for said in ("a library greets", "a program greets", "a library goes on"))


def test_a_gateway_that_hangs_before_it_listens_or_at_a_question_is_waited_for_so_long_and_no_longer(
    settings: Settings, tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = {"only": ["never listen"], "module": "light_gateway", "startup_seconds": 1.0}
    monkeypatch.setattr(gateway_process, "END_SECONDS", 0.1)
    with pytest.raises(FoundryError, match="did not start: it did not listen after 1 s"):
        gateway_process.gateway_process(settings, tmp_path / "log", **hangs).__enter__()
    monkeypatch.setattr(gateway_process, "STATE_SECONDS", 0.1)
    with start("never tell") as gateway, pytest.raises(FoundryError, match=r"did not tell its state in 0\.1 s"):
        gateway.state()


def test_a_gateway_that_ends_in_between_is_found_gone(start: Start) -> None:
    with start("serve") as gateway:
        gateway.process.kill()
        gateway.process.wait()
        with pytest.raises(FoundryError, match="ended while it was needed"):
            gateway.state()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_is_raised_in_the_block_ends_the_gateway(start: Start, error: type[BaseException]) -> None:
    with pytest.raises(error):
        with start("serve") as gateway:
            raise error
    assert gateway.process.returncode is not None


def test_a_gateway_that_does_not_end_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_process, "END_SECONDS", 0.1)
    with start("stay") as gateway:
        pass
    assert gateway.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_gateway_ends_when_who_started_it_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    program: list[Any] = [sys.executable, HERE / "light_gateway.py", tmp_path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), str(HERE)])}
    with subprocess.Popen(program, env=environment) as parent:
        try:
            while not (text := (tmp_path / "ready").read_text() if (tmp_path / "ready").exists() else ""):
                assert parent.poll() is None
                time.sleep(0.01)
        finally:
            parent.send_signal(number)
    assert parent.returncode == -number
    assert is_gone(int(text))
