"""Containers: a payload that holds less than it declares is refused, one written to a pipe is not."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from data_foundry.preprocessing.audio import decode
from data_foundry.records import Rejected

from .audio_builders import encoded, reason, through_ffmpeg, tone


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("codec", ["wav16", "wav24", "mulaw", "float", "flac", "mp3", "vorbis", "opus"])
def test_a_payload_that_was_cut_off_is_truncated_not_short(codec, share):
    noise = np.random.default_rng(0).normal(0, 0.1, 96_000).astype(np.float32)
    payload = encoded(noise, 48_000, codec)
    assert reason(payload[: int(len(payload) * share)]) == "audio_truncated"


@pytest.mark.parametrize(
    ("container", "endian"),
    [
        ("WAV", None),
        ("WAV", "BIG"),
        ("WAVEX", None),
        ("RF64", None),
        ("W64", None),
        ("NIST", None),
        ("AIFF", None),
        ("AU", None),
        ("CAF", None),
    ],
)
def test_every_container_of_plain_samples_is_held_to_the_size_it_declares(container, endian):
    whole = io.BytesIO()
    soundfile.write(whole, tone(1.0), 16_000, "PCM_16", endian, container)
    payload = whole.getvalue()
    assert len(decode(payload).samples) == 16_000
    for length in (len(payload) * 2 // 3, len(payload) - 2):
        assert reason(payload[:length]) == "audio_truncated"


def test_chunks_of_a_negative_size_are_corrupt_and_no_endless_loop():
    assert reason(b"caff\0\1\0\0" + struct.pack(">4sq", b"free", -12) + bytes(64)) == "audio_corrupt"


@pytest.mark.parametrize(
    ("name", "options", "reasons"),
    [
        ("a.mp3", ("-write_xing", "0"), ("audio_truncated",)),
        ("a.m4a", ("-movflags", "+faststart"), ("audio_truncated",)),
        ("a.m4a", (), ("audio_truncated",)),  # the index stands at the end: nothing could be decoded
        ("a.wma", (), ("audio_truncated",)),
        ("a.mka", (), ("audio_truncated",)),
        ("a.webm", ("-c:a", "libopus"), ("audio_truncated",)),
        ("a.aac", (), ("audio_truncated",)),
    ],
)
def test_a_cut_off_payload_of_ffmpegs_formats_is_refused(tmp_path, name, options, reasons):
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * 48_000).astype(np.float32)
    payload = through_ffmpeg(noise, 48_000, name, tmp_path, *options)
    assert reason(payload[: len(payload) * 2 // 3]) in reasons


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFF000, 0xFFFFFFFF, 0])
def test_a_wav_written_to_a_pipe_declares_no_length_and_is_whole(size):
    payload = bytearray(encoded(tone(1.0), 16_000))
    payload[4:8] = payload[40:44] = size.to_bytes(4, "little")
    assert len(decode(bytes(payload)).samples) == 16_000


def test_an_empty_data_chunk_before_other_chunks_is_empty_not_a_pipes():
    payload = bytearray(encoded(np.zeros(0, np.float32), 16_000))
    assert reason(bytes(payload) + b"LIST\x04\0\0\0abcd") == "audio_empty"


def test_chunks_of_odd_sizes_and_chunks_after_the_samples_are_passed_over():
    plain = encoded(tone(1.0), 16_000)
    odd = b"note\x03\0\0\0abc\0"
    for payload in (plain[:12] + odd + plain[12:], plain + odd, plain[:36] + odd + plain[36:] + odd):
        whole = bytearray(payload)
        whole[4:8] = (len(payload) - 8).to_bytes(4, "little")
        assert np.array_equal(decode(bytes(whole)).samples, decode(plain).samples)


def test_a_webm_written_to_a_pipe_declares_no_size_and_is_whole(tmp_path):
    payload = through_ffmpeg(tone(1.0), 16_000, "a.webm", tmp_path, "-c:a", "libopus", "-live", "1")
    assert decode(payload).seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("codec", ["wav16", "flac", "mp3", "opus", "aiff", "w64"])
def test_every_length_of_a_payload_is_whole_or_refused(codec):
    payload = encoded(np.random.default_rng(0).normal(0, 0.1, 4_800).astype(np.float32), 48_000, codec)
    frame = 1_000 if codec == "mp3" else 2  # encoders differ by up to a frame in what an MP3's header counts
    for length in range(0, len(payload) - frame, max(1, len(payload) // 150)):
        with pytest.raises(Rejected) as refusal:
            decode(payload[:length])
        assert refusal.value.reason in ("audio_empty", "audio_corrupt", "audio_truncated")


@pytest.mark.parametrize("codec", ["wav16", "extensible", "aiff", "au", "caf", "w64", "nist", "rf64", "flac"])
def test_a_second_file_behind_the_first_is_not_dropped_in_silence(codec):
    assert reason(encoded(tone(1.0), 16_000, codec) + encoded(tone(2.0), 16_000, codec)) == "audio_corrupt"


@pytest.mark.parametrize(
    ("name", "options"), [("a.m4a", ()), ("a.webm", ("-c:a", "libopus")), ("a.mka", ()), ("a.wma", ())]
)
def test_a_second_file_behind_one_that_ffmpeg_decodes_is_not_dropped_in_silence(tmp_path, name, options):
    payload = through_ffmpeg(tone(1.0), 16_000, name, tmp_path, *options)
    assert reason(payload + payload) == "audio_corrupt"


def test_a_wav_that_understates_its_samples_is_corrupt_not_short():
    payload = bytearray(encoded(tone(4.0), 16_000))
    payload[40:44] = (2 * 32_000).to_bytes(4, "little")
    assert reason(bytes(payload)) == "audio_corrupt"
    payload[-len(payload) // 2 :] = bytes(len(payload) // 2)
    # Zeros behind the samples are padding: no sound is lost with them.
    assert decode(bytes(payload)).seconds == 2.0


def test_an_odd_chunk_of_samples_may_come_without_the_byte_that_pads_it():
    payload = encoded(tone(1.0)[:-1], 16_000, "wav8")[: 44 + 15_999]
    for pad in (b"", b"\0"):
        assert len(decode(payload + pad + b"LIST\x04\0\0\0abcd").samples) == 15_999


@pytest.mark.parametrize("options", [(), ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000")])
def test_an_mp4_with_a_hole_is_refused_wherever_it_is(tmp_path, options):
    payload = through_ffmpeg(tone(4.0, 48_000), 48_000, "a.mp4", tmp_path, *options)
    for at in range(len(payload) // 10, len(payload) - 600, len(payload) // 10):
        damaged = payload[:at] + bytes(600) + payload[at + 600 :]
        assert reason(damaged) in ("audio_corrupt", "audio_truncated")
    assert reason(payload[: len(payload) // 2] + bytes(len(payload) // 2)) in ("audio_corrupt", "audio_truncated")


def test_a_webm_without_a_length_that_has_a_hole_is_corrupt_not_short(tmp_path):
    payload = through_ffmpeg(tone(4.0, 48_000), 48_000, "a.webm", tmp_path, "-c:a", "libopus", "-live", "1")
    for share in (0.2, 0.5, 0.8):
        at = int(len(payload) * share)
        assert reason(payload[:at] + bytes(300) + payload[at + 300 :]) == "audio_corrupt"
