"""Ogg pages: what is damaged or missing is refused, and what follows the first stream is decoded."""

from __future__ import annotations

import numpy as np
import pytest

from data_foundry.preprocessing.audio import decode
from data_foundry.records import Rejected

from .audio_builders import encoded, reason, tone


def test_an_ogg_stream_that_lost_a_page_in_the_middle_is_corrupt():
    payload = encoded(np.random.default_rng(0).normal(0, 0.1, 5 * 48_000).astype(np.float32), 48_000, "opus")
    pages = [b"OggS" + page for page in payload.split(b"OggS")[1:]]
    assert len(pages) > 5
    assert reason(b"".join(pages[:3] + pages[4:])) == "audio_corrupt"
    assert reason(b"".join(pages[:-1])) == "audio_truncated"
    assert reason(b"".join(pages[:-1]) + b"garbage") == "audio_truncated"


@pytest.mark.parametrize("codec", ["vorbis", "opus"])
def test_one_wrong_byte_anywhere_in_an_ogg_stream_is_refused_and_does_not_shorten_it(codec):
    payload = encoded(tone(4.0, 48_000), 48_000, codec)
    assert decode(payload).seconds == pytest.approx(4.0, abs=0.01)
    for at in range(0, len(payload), len(payload) // 40):
        damaged = bytearray(payload)
        damaged[at] ^= 0x55
        with pytest.raises(Rejected) as refusal:
            decode(bytes(damaged))
        assert refusal.value.reason in ("audio_corrupt", "audio_truncated"), at


@pytest.mark.parametrize("codec", ["vorbis", "opus"])
def test_zeros_for_the_end_of_an_ogg_stream_are_a_broken_download(codec):
    payload = encoded(tone(4.0, 48_000), 48_000, codec)
    end = len(payload) // 10
    assert reason(payload[:-end] + bytes(end)) in ("audio_corrupt", "audio_truncated")


@pytest.mark.parametrize("codec", ["vorbis", "opus"])
@pytest.mark.parametrize("rate", [48_000, 24_000])
def test_ogg_streams_that_follow_each_other_are_decoded_all(codec, rate):
    chained = encoded(tone(2.0, 48_000), 48_000, codec) + encoded(tone(3.0, rate, 500), rate, codec)
    assert decode(chained).seconds == pytest.approx(5.0, abs=0.05)


def test_an_ogg_stream_behind_junk_is_not_dropped_in_silence():
    payload = encoded(tone(2.0, 48_000), 48_000, "opus")
    assert decode(payload + bytes(100)).seconds == decode(payload).seconds
    assert reason(payload + b"junk" + payload) == "audio_corrupt"
