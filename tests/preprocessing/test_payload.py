"""Payloads: a file is read like its bytes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from data_foundry.preprocessing.payload import FileBytes, find, is_blank


def test_a_file_is_sliced_like_its_bytes(tmp_path):
    data = np.random.default_rng(0).bytes(200_000)
    (tmp_path / "file").write_bytes(data)
    with FileBytes(tmp_path / "file") as view:
        assert len(view) == len(data)
        for at in (0, 5, 65_530, 199_999, 3, 150_000):
            assert view[at] == data[at]
            assert view[at : at + 70_000] == data[at : at + 70_000]
        assert view[200_000:] == view[10:5] == b""


@pytest.mark.parametrize("at", [0, 5, 65_400, 65_470, 65_533, 131_000, 199_990])
def test_what_is_looked_for_in_a_file_is_found_wherever_its_blocks_end(tmp_path, at):
    data = bytearray(200_000)
    data[at : at + 4] = b"fLaC"
    (tmp_path / "file").write_bytes(data)
    with FileBytes(tmp_path / "file") as view:
        for payload in (bytes(data), view):
            assert find(re.compile(b"fLaC"), payload, 0) == at
            assert find(re.compile(b"fLaC"), payload, at + 1) is None
            assert is_blank(payload, at + 4) and not is_blank(payload, at)
