"""Rows of a base's own domain on their way into training: drawn, not the first ones, and as many as are asked for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from data_foundry.errors import FoundryError
from data_foundry.finetuning.features.gold_rows import replay_features
from data_foundry.finetuning.tasks.task import Features, Task
from data_foundry.records import AIEngine
from finetuning.evaluation.test_predict import task_for
from finetuning.gold_builders import rows


def replay(folder: Path, *, without: str = "", empty: int = 0) -> Path:
    """A folder with 20 rows to replay; the first `empty` have no text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept = [{name: row[name] for name in ("text", "label") if name != without} for row in rows(AIEngine.NLU, 20)]
    for row in kept[:empty]:
        row["text"] = " "
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(kept), folder / "replay.parquet")
    return folder


def drawn(task: Task, folder: Path, share: float = 0.5, train_rows: int = 8) -> list[Features]:
    return list(replay_features(task, folder, share, train_rows)[0])


def test_replayed_rows_are_drawn_by_the_seed_and_not_the_first_ones(hub: Path, tmp_path: Path) -> None:
    folder = replay(tmp_path / "base")
    every = drawn(task_for(hub, AIEngine.NLU, replay_share=0.5), folder, 1.0, 20)
    first, other = (drawn(task_for(hub, AIEngine.NLU, replay_share=0.5, seed=seed), folder) for seed in (0, 1))
    assert len(every) == 20 and len(first) == len(other) == 4
    assert first != other and every[:4] not in (first, other)
    assert first == drawn(task_for(hub, AIEngine.NLU, replay_share=0.5), folder)


def test_no_more_rows_are_encoded_than_are_replayed_and_refused_ones_are_made_up_for(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_for(hub, AIEngine.NLU, replay_share=0.5)
    encoded: list[str] = []
    encode = type(task).encode
    monkeypatch.setattr(type(task), "encode", lambda self, row, **k: encoded.append(row["text"]) or encode(self, row))
    assert len(drawn(task, replay(tmp_path / "base"))) == len(encoded) == 4
    features, refused = replay_features(task, replay(tmp_path / "base", empty=12), 0.5, 8)
    assert len(features) == 4 and set(refused) == {"empty_text"}


def test_fewer_rows_than_are_asked_for_are_told(hub: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = task_for(hub, AIEngine.NLU, replay_share=0.5)
    with caplog.at_level(logging.WARNING, "data_foundry"):
        assert len(drawn(task, replay(tmp_path / "base", empty=18))) == 2
    assert "asks for 4 rows, replay.parquet of tiny/bert-topics gives 2" in caplog.text


def test_replay_rows_without_a_column_of_the_task_are_refused(hub: Path, tmp_path: Path) -> None:
    task = task_for(hub, AIEngine.NLU, replay_share=0.5)
    with pytest.raises(FoundryError, match=r"replay\.parquet of tiny/bert-topics lacks the columns label\."):
        drawn(task, replay(tmp_path / "base", without="label"))
