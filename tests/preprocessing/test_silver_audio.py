"""Which recordings are too long to be worked on as a whole: by what their headers say, not by their bytes alone."""

from __future__ import annotations

import numpy as np
import pytest

from data_foundry.preprocessing.readers import RawRow
from data_foundry.preprocessing.silver_audio import LONG_PAYLOAD, LONG_SECONDS, is_long

from .audio_builders import encoded, through_ffmpeg, tone


def raw(payload) -> RawRow:
    return RawRow("f", 0, "train", has_audio_column=True, payload=payload)


def test_a_long_recording_in_few_bytes_is_long():
    payload = encoded(np.full(int(LONG_SECONDS + 1) * 16_000, 0.01, np.float32), 16_000, "flac")
    assert len(payload) < 100_000
    assert is_long(raw(payload))


@pytest.mark.parametrize("codec", ["wav16", "flac", "mp3", "opus"])
def test_a_short_recording_that_says_so_is_not(codec, tmp_path):
    payload = encoded(tone(2.0), 16_000, codec)
    path = tmp_path / "a"
    path.write_bytes(payload)
    assert not is_long(raw(payload))
    assert not is_long(raw(path))


def test_one_whose_length_nobody_knows_is_worked_on_alone(tmp_path):
    assert is_long(raw(through_ffmpeg(tone(2.0), 16_000, "a.m4a", tmp_path)))
    assert is_long(raw(b"no sound"))
    assert is_long(raw(bytes(LONG_PAYLOAD + 1)))
    assert not is_long(raw(None))
