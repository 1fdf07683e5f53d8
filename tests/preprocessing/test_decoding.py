"""Decoding: every format keeps frequency, duration and level; what is broken is refused with its reason."""

from __future__ import annotations

import random
import subprocess

import numpy as np
import pytest
import soundfile

from data_foundry.config import AudioGates
from data_foundry.errors import FoundryError
from data_foundry.preprocessing import decoding
from data_foundry.preprocessing.audio import decode, to_16k
from data_foundry.preprocessing.decoding import declared_seconds
from data_foundry.preprocessing.speech import pieces
from data_foundry.records import SAMPLE_RATE, Rejected

from .audio_builders import SOUNDFILE_FORMATS, bursts, encoded, level, peak_frequency, reason, through_ffmpeg, tone

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_056, 44_100, 48_000, 96_000, 192_000]
NOT_AT = {"mp3": {44_056, 96_000, 192_000}, "opus": {11_025, 22_050, 32_000, 44_056, 44_100, 96_000, 192_000}}


def check_tone(payload: bytes, rate: int, channels: int, decibels: float) -> None:
    clip = decode(payload)
    assert (clip.rate, clip.channels) == (rate, channels)
    samples = to_16k(clip.samples, clip.rate)
    # Lossy codecs pad up to one and a half of their blocks, 1152 sample frames and more at low rates.
    assert abs(len(samples) / SAMPLE_RATE - 1.0) < 0.15
    assert peak_frequency(samples, SAMPLE_RATE) == pytest.approx(440.0, abs=2)
    assert level(samples) == pytest.approx(decibels, abs=0.5)


@pytest.mark.parametrize(
    ("codec", "rate"),
    [(codec, rate) for codec in SOUNDFILE_FORMATS for rate in RATES if rate not in NOT_AT.get(codec, ())],
)
def test_a_tone_keeps_frequency_duration_and_level(codec, rate):
    # Low enough that what a lossy codec adds at the start does not go beyond full scale, for which all is turned down.
    sound = tone(1.0, rate) / 2
    check_tone(encoded(sound, rate, codec), rate, 1, level(sound))


@pytest.mark.parametrize("codec", ["wav16", "flac", "mp3", "vorbis", "opus"])
def test_stereo_is_mixed_down_without_a_change_of_level(codec):
    stereo = np.stack([tone(1.0, 48_000)] * 2, axis=1)
    check_tone(encoded(stereo, 48_000, codec), 48_000, 2, level(tone(1.0)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.m4a", ()), ("a.m4a", ("-movflags", "+faststart")), ("a.aac", ()), ("a.webm", ("-c:a", "libopus")),
        ("a.mka", ()),
        ("a.mp3", ("-write_xing", "0")), ("a.aiff", ()), ("a.au", ()), ("a.caf", ()), ("a.ogg", ("-c:a", "libvorbis")),
        ("a.wav", ("-c:a", "adpcm_ms")), ("a.wav", ("-c:a", "pcm_mulaw")),
        ("a.wma", ()), ("a.w64", ()), ("a.mp4", ("-movflags", "frag_keyframe+empty_moov")), ("a.mp2", ()),
    ],
)  # fmt: skip
def test_a_tone_keeps_frequency_duration_and_level_through_ffmpegs_formats(tmp_path, name, options):
    payload = through_ffmpeg(tone(1.0, 48_000), 48_000, name, tmp_path, *options)
    check_tone(payload, 48_000, 1, level(tone(1.0)))


def test_a_flac_without_a_length_is_decoded_by_ffmpeg():
    payload = bytearray(encoded(tone(1.0, 16_000), 16_000, "flac"))
    payload[21] &= 0xF0  # STREAMINFO's 36-bit count of samples: 0 means unknown
    payload[22:26] = bytes(4)
    check_tone(bytes(payload), 16_000, 1, level(tone(1.0)))


def test_a_payload_without_bytes_or_samples_is_empty():
    assert reason(b"") == "audio_empty"
    assert reason(encoded(np.zeros(0, np.float32), 16_000)) == "audio_empty"
    assert reason(encoded(np.zeros(0, np.float32), 16_000)[:36]) == "audio_empty"


@pytest.mark.parametrize("payload", [b"not audio at all", b"<html>404</html>", b"ID3\x03\0\0\0\0\0\0zzzz"])
def test_what_nothing_can_decode_is_corrupt(payload):
    assert reason(payload) == "audio_corrupt"


def test_a_flac_that_is_damaged_in_the_middle_is_corrupt():
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * 48_000).astype(np.float32)
    payload = bytearray(encoded(noise, 48_000, "flac"))
    payload[len(payload) // 2] ^= 0xFF
    assert reason(bytes(payload)) == "audio_corrupt"


def test_random_bytes_behind_a_good_signature_are_refused():
    noise = np.random.default_rng(0).bytes(4_000)
    for head in (b"fLaC\0\0\0\x22", b"OggS", b"\0\0\0\x20ftypM4A ", b"\x1aE\xdf\xa3"):
        assert reason(head + noise).startswith("audio_")


def test_too_long_is_judged_before_decoding(monkeypatch):
    payload = encoded(tone(2.0, 8_000), 8_000)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("it was decoded"))
    assert reason(payload, max_seconds=1.9) == "audio_too_long"


def test_ffmpeg_decodes_no_more_than_the_limit(tmp_path):
    payload = through_ffmpeg(tone(5.0), 16_000, "a.m4a", tmp_path)
    assert reason(payload, max_seconds=2.0) == "audio_too_long"


def test_a_missing_ffmpeg_is_the_installations_fault_not_the_rows(tmp_path, monkeypatch):
    payload = through_ffmpeg(tone(1.0), 16_000, "a.m4a", tmp_path)
    monkeypatch.setattr(decoding.shutil, "which", lambda _: None)
    with pytest.raises(FoundryError, match="ffmpeg"):
        decode(payload)


@pytest.mark.parametrize(
    "name_options",
    [("a.mp3", "-q:a", "9", "-write_xing", "0"), ("a.mp3", "-q:a", "5"), ("a.mp3", "-b:a", "32k", "-write_xing", "0")],
)
def test_an_mp3_keeps_its_length_with_and_without_an_index_at_a_variable_bit_rate(tmp_path, name_options):
    noise = np.random.default_rng(0).normal(0, 0.2, 5 * 48_000).astype(np.float32)
    samples = np.concatenate([np.zeros_like(noise), noise, tone(10.0, 48_000)])
    for turned in (samples, samples[::-1].copy()):
        clip = decode(through_ffmpeg(turned, 48_000, name_options[0], tmp_path, *name_options[1:]))
        assert clip.seconds == pytest.approx(20.0, abs=0.1)


def test_an_id3_tag_is_skipped_before_any_stream():
    tag = b"ID3\x04\0\0\0\0\0\x14" + bytes(20)
    for codec in ("mp3", "flac"):
        payload = encoded(tone(1.0, 48_000), 48_000, codec)
        assert np.array_equal(decode(tag + payload).samples, decode(payload).samples)
    assert reason(tag[:-10]) == "audio_truncated"


@pytest.mark.parametrize("codec", ["wav16", "flac", "mp3", "opus"])
def test_a_file_decodes_like_its_bytes_whatever_its_name_says(tmp_path, codec):
    payload = encoded(tone(1.0, 48_000), 48_000, codec)
    for name in ("a.raw", "a.m4a", "a"):
        (tmp_path / name).write_bytes(payload)
        assert np.array_equal(decode(tmp_path / name).samples, decode(payload).samples)
    (tmp_path / "cut").write_bytes(payload[: len(payload) // 2])
    assert reason(tmp_path / "cut") == "audio_truncated"


def test_a_file_that_needs_ffmpeg_decodes_like_its_bytes(tmp_path):
    payload = through_ffmpeg(tone(1.0), 16_000, "a.m4a", tmp_path)
    assert np.array_equal(decode(tmp_path / "a.m4a").samples, decode(payload).samples)


def test_too_long_is_found_while_decoding_where_nothing_is_declared():
    class Endless:
        rate, channels, declared, within_full_scale, taken = 48_000, 1, None, False, 0

        def take(self, frames):
            self.taken += frames
            return np.zeros((frames, 1), np.float32)

        def check_end(self, decoded):
            raise AssertionError("it has no end")

    decoder = Endless()
    recording = decoding.Recording(decoder, 1.0)
    with pytest.raises(Rejected) as refusal:
        while True:
            recording.read(4_800)
    assert refusal.value.reason == "audio_too_long"
    assert decoder.taken == 11 * 4_800


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (3_999, 1), (2_000_000_000, 1), (16_000, 0), (16_000, 33)])
def test_a_header_that_no_recording_has_is_corrupt(rate, channels):
    payload = bytearray(encoded(tone(1.0), 16_000))
    payload[22:24], payload[24:28] = channels.to_bytes(2, "little"), rate.to_bytes(4, "little")
    payload[32:34] = (2 * channels).to_bytes(2, "little")
    assert reason(bytes(payload)) in ("audio_corrupt", "audio_truncated")


def test_espeaks_pipe_is_whole():
    done = subprocess.run(
        ["espeak-ng", "-v", "ml", "--stdout", "\u0d2e\u0d34"], capture_output=True, check=True, timeout=60
    )
    assert len(decode(done.stdout).samples) == (len(done.stdout) - 44) // 2


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "ogg"])
def test_ffmpegs_pipe_is_whole(tmp_path, form):
    source = tmp_path / "source.wav"
    source.write_bytes(encoded(tone(2.0), 16_000))
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(source), "-f", form, "pipe:1"]
    payload = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    clip = decode(payload)
    assert clip.seconds == pytest.approx(2.0, abs=0.1)
    assert level(clip.samples) == pytest.approx(level(tone(2.0)), abs=0.5)


def test_ffmpeg_is_told_which_demuxer_to_use_so_that_a_playlist_opens_nothing(tmp_path):
    (tmp_path / "secret.wav").write_bytes(encoded(tone(1.0), 16_000))
    assert reason(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.wav\n".encode()) == "audio_corrupt"


def test_an_ffmpeg_that_hangs_is_given_up(tmp_path, monkeypatch):
    payload = through_ffmpeg(tone(1.0), 16_000, "a.m4a", tmp_path)
    hung = tmp_path / "ffmpeg"
    hung.write_text("#!/bin/sh\nexec sleep 60\n")
    hung.chmod(0o755)
    monkeypatch.setattr(decoding.shutil, "which", lambda _: str(hung))
    monkeypatch.setattr(decoding, "_FFMPEG_SECONDS", 0.1)
    assert reason(payload) == "audio_corrupt"


@pytest.mark.parametrize("codec", SOUNDFILE_FORMATS)
def test_a_damaged_payload_gives_a_clip_or_a_reason_and_nothing_else(codec):
    base = encoded(np.stack([tone(0.3, 48_000), tone(0.3, 48_000, 700)], axis=1), 48_000, codec)
    chance = random.Random(codec)
    for _ in range(40):
        payload = bytearray(base)
        if chance.random() < 0.3:
            at = chance.randrange(len(payload))
            payload[at : at + chance.randrange(1, 200)] = chance.randbytes(chance.randrange(200))
        for _ in range(chance.choice((1, 2, 8))):
            within = len(payload) if chance.random() < 0.5 else min(len(payload), 120)
            payload[chance.randrange(within)] = chance.choice((0, 127, 128, 255, chance.randrange(256)))
        try:
            found = list(pieces(bytes(payload), [], AudioGates()))
        except Rejected as refusal:
            assert refusal.reason.startswith("audio_")
        else:
            assert found
            assert all(np.isfinite(piece.samples).all() for piece in found)


@pytest.mark.parametrize("codec", ["flac", "vorbis", "opus"])
def test_a_stream_with_checksums_that_is_damaged_anywhere_in_the_middle_is_refused(codec):
    payload = encoded(bursts(0.9, 0.3, 4), 16_000, codec)
    rng = np.random.default_rng(0)
    for at in rng.integers(len(payload) // 4, len(payload) * 3 // 4, 5):
        size = int(rng.integers(1, 3_000))
        damaged = payload[:at] + bytes(byte ^ 0x55 for byte in payload[at : at + size]) + payload[at + size :]
        assert reason(damaged) in ("audio_corrupt", "audio_truncated")
        assert reason(payload[:at] + payload[at + size :]) in ("audio_corrupt", "audio_truncated")


@pytest.mark.parametrize("codec", ["wav16", "flac", "vorbis", "opus", "mp3"])
def test_a_header_tells_the_length_of_what_was_not_decoded(codec, tmp_path):
    payload = encoded(tone(3.0, 48_000), 48_000, codec)
    (tmp_path / "file").write_bytes(payload)
    assert declared_seconds(payload) == declared_seconds(tmp_path / "file") == pytest.approx(3.0, abs=0.06)


def test_a_length_that_no_header_tells_is_unknown(tmp_path):
    assert declared_seconds(through_ffmpeg(tone(1.0), 16_000, "a.m4a", tmp_path)) is None
    assert [declared_seconds(payload) for payload in (b"", b"junk", encoded(tone(1.0), 16_000)[:500])] == [None] * 3
