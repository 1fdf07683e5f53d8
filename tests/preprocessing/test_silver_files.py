"""The Arrow columns that silver's parts are written from."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from data_foundry.preprocessing.silver_files import array
from data_foundry.records import SilverRow, arrow_schema

AUDIO = arrow_schema(SilverRow).field("audio")


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [None, None],
        [{"bytes": b"", "path": "empty.wav"}],
        [None, {"bytes": b"RIFF", "path": "a.wav"}, None, {"bytes": b"\x00" * 9, "path": "b.wav"}],
        [{"bytes": bytes([number]) * number, "path": f"{number}.wav"} for number in range(70)],
    ],
)
def test_a_column_of_audio_is_what_a_list_of_dicts_would_be(cells: list[Any]) -> None:
    column = array(AUDIO, cells)
    column.validate(full=True)
    assert column.type == AUDIO.type
    assert column.to_pylist() == cells
    assert column.equals(pa.array(cells, AUDIO.type))
    assert column.null_count == cells.count(None)
