"""Frames follow each other to the end of a payload; what a decoder passes over is refused, or decoded by another."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from data_foundry.preprocessing.audio import decode
from data_foundry.preprocessing.containers import examine

from .audio_builders import encoded, reason, through_ffmpeg, tone

MP3S = [("-b:a", "64k"), ("-q:a", "5"), ("-b:a", "64k", "-write_xing", "0")]
APE = b"APETAGEX" + struct.pack("<4I", 2000, 32, 0, 0) + bytes(8) + bytes(32)
ID3V1 = b"TAG" + bytes(125)


def test_an_amr_stream_is_held_to_its_frames():
    frame = b"\x3c" + bytes(31)  # mode 7, 12.2 kbit/s
    assert examine(b"#!AMR\n" + frame * 3).name == "amr"
    assert reason(b"#!AMR\n" + frame * 3 + frame[:9]) == "audio_truncated"
    assert reason(b"#!AMR\n" + frame + b"\x5c" + bytes(31)) == "audio_corrupt"
    assert reason((b"#!AMR\n" + frame * 3) * 2) == "audio_corrupt"


@pytest.mark.parametrize("options", MP3S)
def test_mp3_files_that_were_joined_are_decoded_all(tmp_path, options):
    first = through_ffmpeg(tone(4.0, 48_000), 48_000, "a.mp3", tmp_path, *options)
    second = through_ffmpeg(tone(3.0, 22_050), 22_050, "b.mp3", tmp_path, *options)
    assert decode(first + first).seconds == pytest.approx(8.0, abs=0.1)
    assert decode(first + ID3V1 + second).seconds == pytest.approx(7.0, abs=0.15)


@pytest.mark.parametrize("options", MP3S)
def test_an_mp3_with_a_hole_or_a_blank_end_is_refused_and_one_with_tags_is_not(tmp_path, options):
    payload = through_ffmpeg(tone(4.0, 48_000), 48_000, "a.mp3", tmp_path, *options)
    half = len(payload) // 2
    assert reason(payload[:half] + bytes(half)) == "audio_truncated"
    assert reason(payload[:half] + bytes(150) + payload[half + 150 :]) == "audio_corrupt"
    assert reason(payload[:half] + payload[half + 150 :]) in ("audio_corrupt", "audio_truncated")
    assert reason(payload + np.random.default_rng(0).bytes(2_000)) == "audio_corrupt"
    for tags in (ID3V1, APE, APE + ID3V1, bytes(100)):
        assert np.array_equal(decode(payload + tags).samples, decode(payload).samples)


def test_an_mp3_that_lost_whole_frames_declares_more_than_it_holds(tmp_path):
    payload = through_ffmpeg(
        tone(4.0, 48_000), 48_000, "a.mp3", tmp_path, "-b:a", "64k", "-id3v2_version", "0", "-write_id3v1", "0"
    )
    frame = 192  # 64 kbit/s at 48 kHz
    assert len(payload) % frame == 0
    assert reason(payload[: 40 * frame] + payload[44 * frame :]) == "audio_truncated"


def test_an_aac_stream_is_walked_to_its_end(tmp_path):
    payload = through_ffmpeg(tone(4.0, 48_000), 48_000, "a.aac", tmp_path)
    third = len(payload) // 3
    noise = np.random.default_rng(0).bytes(third)
    assert reason(payload[: 2 * third] + bytes(third)) == "audio_truncated"
    assert reason(payload[:third] + bytes(third) + payload[2 * third :]) == "audio_corrupt"
    assert reason(payload[:third] + noise + payload[2 * third :]) == "audio_corrupt"
    assert reason(payload + b"\xff") == reason(payload[:-3]) == "audio_truncated"
    assert decode(payload + payload).seconds == pytest.approx(2 * decode(payload).seconds)
    assert decode(payload + ID3V1).seconds == decode(payload).seconds


def test_a_frame_of_aac_that_cannot_be_decoded_is_corrupt_not_left_out(tmp_path):
    payload = bytearray(through_ffmpeg(tone(4.0, 48_000), 48_000, "a.aac", tmp_path))
    at = payload.index(b"\xff\xf1", len(payload) // 2)
    payload[at + 7 : at + 47] = np.random.default_rng(0).bytes(40)
    assert examine(bytes(payload)).name == "aac"
    assert reason(bytes(payload)) == "audio_corrupt"


@pytest.mark.parametrize("declared", [1, 48_000, 190_000, 191_999])
def test_a_flac_that_understates_its_length_is_decoded_in_full(declared, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 192_000).astype(np.float32)
    whole = encoded(noise, 48_000, "flac")
    payload = bytearray(whole)
    packed = int.from_bytes(payload[18:26]) >> 36 << 36
    payload[18:26] = (packed | declared).to_bytes(8)
    (tmp_path / "file").write_bytes(payload)
    for given in (bytes(payload), tmp_path / "file"):
        assert np.array_equal(decode(given).samples, decode(whole).samples)


def test_every_flac_of_libsndfile_is_left_to_it():
    rng = np.random.default_rng(0)
    for length in (1, 15, 16, 17, 4_095, 4_096, 4_097, 50_000):
        for rate in (8_000, 11_025, 16_000, 44_056, 48_000, 96_000):
            for sound in (np.zeros(length), rng.normal(0, 0.1, length), rng.normal(0, 0.1, (length, 2))):
                payload = encoded(sound, rate, "flac")
                assert examine(payload).by_soundfile
                assert len(decode(payload).samples) == length
