"""The operator's key: made once, whoever comes first, and readable by its owner alone."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.serving.candidate.key import serving_key


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.base_path / "serving" / "key"


def test_it_is_made_once_and_stays(settings: Settings, path: Path) -> None:
    key = serving_key(settings)
    assert len(key) == 32 and key == serving_key(settings)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["key"]


def test_another_base_path_has_another(settings: Settings, tmp_path: Path) -> None:
    assert serving_key(settings) != serving_key(settings.model_copy(update={"base_path": tmp_path / "other"}))


def test_threads_that_start_at_once_agree(settings: Settings) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(serving_key, [settings] * 64))) == 1


def test_gateways_that_start_at_once_agree(settings: Settings, path: Path) -> None:
    program = (
        "import sys; from data_foundry.config import Settings; from data_foundry.serving.candidate.key import *\n"
        f"settings = Settings(base_path={str(settings.base_path)!r})\n"
        "print('here', flush=True); sys.stdin.readline(); print(serving_key(settings).hex())"
    )
    gateways = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for gateway in gateways:
        assert gateway.stdout.readline() == "here\n"
    for gateway in gateways:
        gateway.stdin.write("\n")
        gateway.stdin.flush()
    assert {gateway.communicate()[0] for gateway in gateways} == {serving_key(settings).hex() + "\n"}
    assert [file.name for file in path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("content", ["", "no hex", "abcd", "12" * 31, "12" * 33, "വിളി"])
def test_a_damaged_one_is_told_and_not_replaced(settings: Settings, path: Path, content: str) -> None:
    serving_key(settings)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FoundryError, match="key"):
        serving_key(settings)
    assert path.read_text(encoding="utf-8") == content


def test_one_that_others_may_read_is_refused(settings: Settings, path: Path) -> None:
    serving_key(settings)
    path.chmod(0o640)
    with pytest.raises(FoundryError) as caught:
        serving_key(settings)
    assert caught.value.hint == f"chmod 600 {path}"
