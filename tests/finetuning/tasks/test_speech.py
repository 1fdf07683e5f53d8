"""Speech tasks: what predictions of alike rows are batched by."""

from __future__ import annotations

from pathlib import Path

from data_foundry.records import AIEngine
from finetuning import tiny_bases
from finetuning.evaluation.test_predict import task_for


def test_longer_sound_is_more_effort_whether_or_not_its_bytes_are_at_hand(hub: Path) -> None:
    task = task_for(hub, AIEngine.STT)
    efforts = []
    for seconds in (0.3, 0.9, 1.7, 2.0):
        row = {"audio": tiny_bases.tone(seconds), "text": "ശരി", "duration": seconds}
        features = task.encode(row)
        bare = {name: value for name, value in row.items() if name != "audio"}
        assert task.effort(bare, features) == task.effort(row, features)
        efforts.append(task.effort(bare, features))
        frozen = task.with_frozen_output(features, [[0.0]])
        assert task.effort(bare, frozen) == round(100 * seconds)
    assert efforts == sorted(set(efforts)) and 30 <= efforts[0] <= 35 and efforts[-1] == 200
