"""What export tests share: the command, run in place."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_foundry.__main__ import main
from data_foundry.lake import Lake
from tests.export.builders import publish_gold, splits


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., int]:
    """Run the command on the test's lake: export("stt", "shar", "out", "--split", "test") writes to tmp_path/out."""

    def run(engine: str, form: str, to: str | Path, *flags: str) -> int:
        base = ["--base-path", str(tmp_path / "base")]
        return main(["export", engine, "--format", form, "--to", str(tmp_path / to), *base, *flags])

    return run


@pytest.fixture
def gold(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Gold of speech to text in the lake, and its rows by split."""
    content = splits()
    publish_gold(lake, content)
    return content


@pytest.fixture
def collected_here() -> Iterator[None]:
    """Close what a reader left open before the test ends."""
    yield
    gc.collect()
