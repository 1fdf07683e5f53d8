"""Audio: what comes in at any rate and format comes out the same sound; what is broken is refused with its reason."""

from __future__ import annotations

import io
import struct
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from data_foundry.config import AudioGates
from data_foundry.errors import FoundryError
from data_foundry.preprocessing import audio
from data_foundry.preprocessing.audio import decode, to_16k, to_mono, wav_bytes
from data_foundry.preprocessing.quality import (
    check_clip,
    check_clipping,
    check_speaking_rate,
    clipping_share,
    loudness,
    speaking_rate,
)
from data_foundry.preprocessing.segmentation import segments
from data_foundry.records import SAMPLE_RATE, Rejected

from .audio_builders import SOUNDFILE_FORMATS, encoded, level, peak_frequency, through_ffmpeg, tone

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]
NOT_AT = {"mp3": {96_000}, "opus": {11_025, 22_050, 32_000, 44_100, 96_000}}


def reason(payload: bytes, **limits: float) -> str:
    with pytest.raises(Rejected) as refusal:
        decode(payload, **limits)
    assert refusal.value.detail
    return refusal.value.reason


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
    check_tone(encoded(tone(1.0, rate), rate, codec), rate, 1, level(tone(1.0, rate)))


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


def test_pcm16_at_16_khz_passes_bit_for_bit():
    values = np.arange(-32768, 32768, 3).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, values, 16_000, format="WAV", subtype="PCM_16")
    clip = decode(file.getvalue())
    again, rate = soundfile.read(io.BytesIO(wav_bytes(to_16k(clip.samples, clip.rate))), dtype="int16")
    assert rate == SAMPLE_RATE
    assert np.array_equal(again, values)


def test_the_wav_header_is_one_that_the_standard_library_reads_and_over_full_scale_is_clipped_not_wrapped():
    import wave

    with wave.open(io.BytesIO(wav_bytes(np.array([2.0, -2.0, 0.0], np.float32)))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert struct.unpack("<3h", file.readframes(3)) == (32767, -32768, 0)


@pytest.mark.parametrize("frequency", [9_000, 12_000, 15_500, 20_000, 23_000])
def test_what_lies_above_8_khz_leaves_no_alias_above_minus_100_db(frequency):
    samples = to_16k(tone(1.0, 48_000, frequency, 1.0), 48_000)
    middle = samples[1_600:-1_600].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) / (0.42 * len(middle) / 2)
    assert 20 * np.log10(spectrum.max()) < -100


def test_opposite_phase_does_not_cancel_and_is_told():
    left = tone(1.0)
    samples, opposite = to_mono(np.stack([left, -left], axis=1))
    assert opposite
    assert level(samples) == pytest.approx(level(left), abs=0.01)
    assert decode(encoded(np.stack([left, -left], axis=1), 16_000)).opposite_phase


def test_a_dead_channel_does_not_halve_the_level():
    left = tone(1.0)
    samples, opposite = to_mono(np.stack([left, np.zeros_like(left)], axis=1))
    assert not opposite
    assert np.array_equal(samples, left)


def test_two_speakers_on_two_channels_are_both_kept():
    left, right = tone(1.0, frequency=300), tone(1.0, frequency=1_000)
    samples, opposite = to_mono(np.stack([left, right], axis=1))
    assert not opposite
    np.testing.assert_allclose(samples, (left + right) / 2, atol=1e-6)


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


def test_samples_that_are_not_numbers_are_corrupt():
    samples = tone(0.5)
    samples[100] = np.nan
    assert reason(encoded(samples, 16_000, "float")) == "audio_corrupt"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("codec", ["wav16", "wav24", "mulaw", "float", "flac", "mp3", "vorbis", "opus"])
def test_a_payload_that_was_cut_off_is_truncated_not_short(codec, share):
    noise = np.random.default_rng(0).normal(0, 0.1, 96_000).astype(np.float32)
    payload = encoded(noise, 48_000, codec)
    assert reason(payload[: int(len(payload) * share)]) == "audio_truncated"


@pytest.mark.parametrize(
    ("container", "endian"),
    [("WAV", None), ("WAV", "BIG"), ("WAVEX", None), ("RF64", None), ("AIFF", None), ("AU", None), ("CAF", None)],
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
        ("a.m4a", (), ("audio_corrupt",)),  # the index stands at the end: nothing can be decoded
        ("a.webm", ("-c:a", "libopus"), ("audio_truncated",)),
        ("a.aac", (), ("audio_truncated",)),
    ],
)
def test_a_cut_off_payload_of_ffmpegs_formats_is_refused(tmp_path, name, options, reasons):
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * 48_000).astype(np.float32)
    payload = through_ffmpeg(noise, 48_000, name, tmp_path, *options)
    assert reason(payload[: len(payload) * 2 // 3]) in reasons


def test_a_wav_written_to_a_pipe_declares_no_length_and_is_whole():
    payload = bytearray(encoded(tone(1.0), 16_000))
    payload[4:8] = payload[40:44] = b"\xff\xff\xff\xff"
    assert len(decode(bytes(payload)).samples) == 16_000


def test_too_long_is_judged_before_decoding(monkeypatch):
    payload = encoded(tone(2.0, 8_000), 8_000)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("it was decoded"))
    assert reason(payload, max_seconds=1.9) == "audio_too_long"


def test_ffmpeg_decodes_no_more_than_the_limit(tmp_path):
    payload = through_ffmpeg(tone(5.0), 16_000, "a.m4a", tmp_path)
    assert reason(payload, max_seconds=2.0) == "audio_too_long"


def test_a_missing_ffmpeg_is_the_installations_fault_not_the_rows(tmp_path, monkeypatch):
    payload = through_ffmpeg(tone(1.0), 16_000, "a.m4a", tmp_path)
    monkeypatch.setattr(audio.shutil, "which", lambda _: None)
    with pytest.raises(FoundryError, match="ffmpeg"):
        decode(payload)


def test_the_same_payload_gives_the_same_bytes_every_time():
    payload = encoded(tone(1.0, 44_100), 44_100, "mp3")
    once, again = (wav_bytes(to_16k(*decode(payload)[:2])) for _ in range(2))
    assert once == again


def test_loudness_of_known_signals():
    sine = loudness(tone(1.0, amplitude=1.0))
    assert sine.rms == pytest.approx(-3.01, abs=0.01)
    assert loudness(np.zeros(16_000, np.float32)).rms == -np.inf
    square = loudness(np.sign(tone(1.0)).astype(np.float32))
    assert square.rms == pytest.approx(0.0, abs=0.01)
    assert square.peak == 1.0


@pytest.mark.parametrize("codec", ["wav8", "wav16", "float", "mulaw", "alaw", "flac"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_flat_tops_are_found_at_any_level_and_a_loud_clean_clip_has_none(codec, rate):
    loud = tone(1.0, rate, 300, 3.0)
    for level_of_top in (1.0, 0.6):
        clipped = encoded(np.clip(loud, -1, 1) * np.float32(level_of_top), rate, codec)
        # A sine three times too loud is above the top for 1 - 2 / pi * arcsin(1 / 3) of the time.
        assert clipping_share(decode(clipped).samples) == pytest.approx(0.78, abs=0.05)
        with pytest.raises(Rejected) as refusal:
            check_clipping(decode(clipped).samples, AudioGates())
        assert refusal.value.reason == "audio_clipped"
    rng = np.random.default_rng(0)
    speech_like = np.cumsum(rng.laplace(0, 1, rate)) % 7 * np.sin(np.arange(rate) / 9) * rng.exponential(1, rate)
    clean = (0.99 * speech_like / np.abs(speech_like).max()).astype(np.float32)
    assert clipping_share(decode(encoded(clean, rate, codec)).samples) < 0.001


def test_quiet_coarse_audio_is_not_clipped():
    quiet = encoded(tone(1.0, 8_000, amplitude=1.5 / 128), 8_000, "wav8")
    assert clipping_share(decode(quiet).samples) == 0.0
    assert clipping_share(np.zeros(0, np.float32)) == 0.0


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (tone(0.1), "too_short"),
        (tone(1.0, amplitude=0.0005), "audio_silent"),
        (np.zeros(16_000, np.float32), "audio_silent"),
    ],
)
def test_a_clip_outside_the_limits_is_refused_with_its_reason(samples, expected):
    with pytest.raises(Rejected) as refusal:
        check_clip(loudness(samples), AudioGates())
    assert refusal.value.reason == expected


def test_a_normal_clip_passes():
    check_clip(loudness(tone(1.0)), AudioGates())


def test_a_transcript_that_nobody_could_say_in_time_is_refused():
    text = "മഴ പെയ്യുന്നു" * 10
    assert speaking_rate("മഴ, പെയ്യുന്നു!", 2.0) == pytest.approx(5 / 2)
    check_speaking_rate(text, 10.0, AudioGates())
    with pytest.raises(Rejected) as refusal:
        check_speaking_rate(text, 1.0, AudioGates())
    assert refusal.value.reason == "transcript_too_long"


def bursts(spoken: float, silent: float, times: int) -> np.ndarray:
    """Voice-like harmonics with pauses: the detector hears the harmonics as speech."""
    voice = sum(tone(spoken, frequency=140 * k, amplitude=0.3 / k) for k in range(1, 20))
    voice = voice * (1 + 0.5 * tone(spoken, frequency=4, amplitude=1.0))
    pause = np.random.default_rng(0).normal(0, 1e-4, int(silent * 16_000)).astype(np.float32)
    return np.concatenate([np.concatenate([voice, pause]) for _ in range(times)]).astype(np.float32)


def test_a_long_clip_is_cut_in_its_pauses_end_to_end():
    samples = bursts(2.5, 0.5, 20)
    ranges = segments(samples, 10.0)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(samples)
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    assert all(end - start <= 160_000 for start, end in ranges)
    for _, end in ranges[:-1]:
        assert (end / 16_000) % 3.0 >= 2.4  # every cut lies in a pause of the last half second


def test_a_clip_without_pauses_is_still_cut_into_pieces_that_fit():
    samples = tone(25.0)
    ranges = segments(samples, 10.0)
    assert sum(end - start for start, end in ranges) == len(samples)
    assert all(0 < end - start <= 160_000 for start, end in ranges)


def test_a_clip_that_fits_is_not_cut():
    assert segments(tone(3.0), 30.0) == [(0, 48_000)]
