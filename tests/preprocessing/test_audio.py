"""Audio: what comes in at any rate and channel layout comes out the same sound, and the same bytes every time."""

from __future__ import annotations

import io
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from data_foundry.config import AudioGates
from data_foundry.preprocessing.audio import (
    Mix,
    blocks_to_16k,
    decode,
    length_at_16k,
    pcm16,
    read_blocks,
    to_16k,
    wav_bytes,
)
from data_foundry.preprocessing.decoding import open_recording
from data_foundry.preprocessing.quality import measure
from data_foundry.preprocessing.speech import pieces
from data_foundry.records import SAMPLE_RATE, Rejected

from .audio_builders import encoded, level, tone


def to_mono(frames: np.ndarray) -> tuple[np.ndarray, bool]:
    mix = Mix(frames.shape[1])
    mix.hear(frames)
    return mix.of(frames), mix.opposite_phase


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


@pytest.mark.parametrize("rate", [22_050, 24_000, 32_000, 44_056, 44_100, 48_000, 96_000, 192_000])
def test_a_sweep_above_8_khz_leaves_no_alias_above_minus_100_db(rate):
    # From 8.2 kHz, where the filter's stop band begins, to the source's Nyquist frequency, at full scale.
    seconds, low, high = 4.0, 8_200.0, rate / 2 * 0.999
    time = np.arange(int(seconds * rate)) / rate
    sweep = np.sin(2 * np.pi * (low * time + (high - low) / (2 * seconds) * time**2)).astype(np.float32)
    middle = to_16k(sweep, rate)[1_600:-1_600].astype(np.float64)
    assert 20 * np.log10(np.abs(middle).max()) < -100


@pytest.mark.parametrize("frequency", [9_000, 12_000, 15_500, 20_000, 23_000])
def test_a_tone_above_8_khz_leaves_no_alias_above_minus_100_db(frequency):
    middle = to_16k(tone(1.0, 48_000, frequency, 1.0), 48_000)[1_600:-1_600].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) / (0.42 * len(middle) / 2)
    assert 20 * np.log10(spectrum.max()) < -100


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_056, 44_100, 48_000, 96_000])
def test_what_lies_below_7_khz_keeps_its_level(rate):
    for frequency in (50, 440, 0.44 * min(rate, SAMPLE_RATE)):
        assert level(to_16k(tone(1.0, rate, frequency), rate)) == pytest.approx(level(tone(1.0, rate)), abs=0.05)


@pytest.mark.parametrize("rate", [7_350, 8_000, 11_025, 16_000, 22_050, 44_056, 44_100, 48_000, 96_000, 192_000])
def test_blocks_of_any_size_are_resampled_to_the_very_bits_of_the_whole(rate):
    noise = np.random.default_rng(rate).normal(0, 0.2, 3 * rate + 17).astype(np.float32)
    whole = to_16k(noise, rate)
    assert len(whole) == length_at_16k(len(noise), rate)
    for size in (1_000, rate // 7, len(noise), len(noise) + 1):
        blocks = [noise[at : at + size] for at in range(0, len(noise), size)]
        sources, samples = zip(*blocks_to_16k(blocks, rate), strict=True)
        assert np.array_equal(np.concatenate(samples), whole)
        assert np.array_equal(np.concatenate(sources), noise)
    for length in (1, 2, 3, 50, 441):
        assert len(to_16k(noise[:length], rate)) == length_at_16k(length, rate)


@pytest.mark.parametrize("codec", ["wav16", "wav24", "float", "mulaw", "flac", "mp3", "vorbis", "opus"])
def test_blocks_of_any_size_decode_to_the_very_bits_of_the_whole(codec):
    payload = encoded(np.random.default_rng(0).normal(0, 0.1, (48_000, 2)).astype(np.float32), 48_000, codec)
    with open_recording(payload, 60.0) as recording:
        whole = recording.read(1 << 20)
    for values in (2_000, 3_001, 31_000):
        with open_recording(payload, 60.0) as recording:
            blocks = list(read_blocks(recording, values))
        assert len(blocks) > 2
        assert np.array_equal(np.concatenate(blocks), whole)


def test_rounding_is_to_the_nearest_without_dither():
    values = np.array([0.4, 0.6, -0.4, -0.6, 100.49, 32766.6, -32768.4], np.float32) / np.float32(32768)
    assert pcm16(values).tolist() == [0, 1, 0, -1, 100, 32767, -32768]


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


@pytest.mark.parametrize(("gain", "cancels"), [(-1.0, True), (-0.5, True), (-0.2, False), (0.5, False), (1.0, False)])
def test_a_channel_that_cancels_part_of_the_other_is_left_out(gain, cancels):
    left = tone(1.0)
    samples, opposite = to_mono(np.stack([left, np.float32(gain) * left], axis=1))
    assert opposite is cancels
    if cancels:
        assert np.array_equal(samples, left)
    else:
        assert np.abs(samples).max() >= 0.39 * np.abs(left).max()


@pytest.mark.parametrize("channels", range(1, 9))
def test_any_number_of_channels_is_mixed_without_clipping_or_a_change_of_level(channels):
    loud = tone(1.0, amplitude=1.0)
    samples, opposite = to_mono(np.stack([loud] * channels, axis=1))
    assert not opposite
    np.testing.assert_allclose(samples, loud, atol=1e-6)
    noise = np.random.default_rng(channels).normal(0, 0.1, (16_000, channels)).astype(np.float32)
    assert not to_mono(noise)[1]
    clip = decode(encoded(np.stack([loud] * channels, axis=1), 16_000))
    assert clip.channels == channels
    assert level(clip.samples) == pytest.approx(level(loud), abs=0.01)


def test_the_mix_does_not_depend_on_the_blocks_it_was_heard_in():
    noise = np.random.default_rng(0).normal(0, 0.1, (16_000, 3)).astype(np.float32)
    noise[:, 2] = 0
    whole, parts = Mix(3), Mix(3)
    whole.hear(noise)
    for at in range(0, 16_000, 700):
        parts.hear(noise[at : at + 700])
    assert whole.channels == parts.channels == [0, 1]
    blocks = [parts.of(noise[at : at + 700]) for at in range(0, 16_000, 700)]
    assert np.array_equal(np.concatenate(blocks), whole.of(noise))


def test_digital_silence_on_every_channel_is_silence():
    samples, opposite = to_mono(np.zeros((100, 2), np.float32))
    assert not opposite
    assert np.array_equal(samples, np.zeros(100, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 30_000.0, 1e30])
def test_samples_that_are_no_sound_are_corrupt(value):
    samples = tone(0.5)
    samples[100] = value
    if value == 30_000.0:
        samples *= np.float32(value)
    with pytest.raises(Rejected) as refusal:
        decode(encoded(samples, 16_000, "float"))
    assert refusal.value.reason == "audio_corrupt"


def test_two_speakers_on_two_channels_are_both_kept():
    left, right = tone(1.0, frequency=300), tone(1.0, frequency=1_000)
    samples, opposite = to_mono(np.stack([left, right], axis=1))
    assert not opposite
    np.testing.assert_allclose(samples, (left + right) / 2, atol=1e-6)


def test_the_same_payload_gives_the_same_bytes_every_time():
    payload = encoded(tone(1.0, 44_100), 44_100, "mp3")
    once, again = (wav_bytes(to_16k(*decode(payload)[:2])) for _ in range(2))
    assert once == again


def test_a_long_mp3_without_an_index_is_whole_though_its_length_is_an_estimate():
    whole = tone(25.0, 44_100)
    form = ["-f", "mp3", "-b:a", "32k", "-write_xing", "0", "pipe:1"]
    command = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", "44100", "-ac", "1", "-i", "pipe:0", *form]
    payload = subprocess.run(command, input=whole.tobytes(), capture_output=True, check=True).stdout
    assert decode(payload).seconds == pytest.approx(25.0, abs=0.1)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_opposite_phase_in_a_part_of_a_recording_does_not_silence_that_part(part):
    left = tone(6.0)
    right = left.copy()
    right[int(len(left) * (1 - part)) :] *= -1
    samples, opposite = to_mono(np.stack([left, right], axis=1))
    assert opposite
    assert np.array_equal(samples, left)


def test_a_moment_in_opposite_phase_that_nobody_would_miss_leaves_the_mix_as_it_is():
    left = tone(120.0) + tone(120.0, frequency=700) * 0.1
    right = tone(120.0)
    right[:8_000] *= -1
    samples, opposite = to_mono(np.stack([left, right], axis=1))
    assert not opposite
    np.testing.assert_allclose(samples, (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("amplitude", [1.02, 1.9])
def test_a_recording_beyond_full_scale_is_turned_down_as_a_whole_and_that_is_told(rate, amplitude):
    loud = tone(4.0, rate, 200, amplitude) * np.repeat([1, 0.25], 2 * rate).astype(np.float32)
    (piece,) = pieces(encoded(loud, rate, "float"), [], AudioGates())
    assert piece.flags == ("turned_down",)
    assert np.allclose(piece.source, loud / amplitude, atol=1e-4)
    assert measure(piece.samples, piece.source, rate).clipping_share < 0.02
    assert np.count_nonzero(np.abs(pcm16(piece.samples)) >= 32767) < 0.02 * len(piece.samples)
    (quiet,) = pieces(encoded(tone(4.0, rate, 200, 1.0), rate, "float"), [], AudioGates())
    assert quiet.flags == ()


def test_channels_beyond_full_scale_whose_mean_is_not_are_turned_down_the_same_in_any_blocks():
    frames = np.stack([tone(1.0, amplitude=1.5), tone(1.0, frequency=300, amplitude=0.5)], axis=1)
    whole, parts = Mix(2), Mix(2)
    whole.hear(frames)
    for at in range(0, len(frames), 999):
        parts.hear(frames[at : at + 999])
    assert whole.peak == parts.peak == pytest.approx(1.5, abs=0.01)
    assert np.array_equal(whole.of(frames)[:999], parts.of(frames[:999]))
    assert np.allclose(whole.of(frames), frames.mean(axis=1) / whole.peak, atol=1e-6)


def test_a_click_far_beyond_full_scale_is_cut_off_and_takes_the_speech_down_by_12_db_at_most():
    clip = tone(1.0, amplitude=0.5)
    clip[8_000] = 100.0
    mix = Mix(1)
    mix.hear(clip[:, None])
    mixed = mix.of(clip[:, None])
    assert mixed.max() == 1.0 and np.abs(mixed[:7_000]).max() == pytest.approx(0.125, abs=0.001)
