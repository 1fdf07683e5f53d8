"""Measures of a clip against signals whose figures are known, and the gates with their reasons.

No native speaker checked the Malayalam of these tests.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import soxr

from data_foundry.config import AudioGates
from data_foundry.errors import FoundryError
from data_foundry.preprocessing import mos
from data_foundry.preprocessing.audio import decode
from data_foundry.preprocessing.bandwidth import bandwidth
from data_foundry.preprocessing.loudness import active_level, clipping_share, decibels, frame_powers, power, true_peak
from data_foundry.preprocessing.noise import snr
from data_foundry.preprocessing.quality import (
    Measures,
    check_measures,
    check_speaking_rate,
    measure,
    measure_flags,
    speaking_rate,
)
from data_foundry.records import SAMPLE_RATE, Rejected, SilverRow

from .audio_builders import encoded, tone

TEXT = "മഴ, പെയ്യുന്നു!"


def white(seconds: float, level: float, rate: int = SAMPLE_RATE, seed: int = 0) -> np.ndarray:
    """White noise with an RMS of `level` dBov."""
    return np.random.default_rng(seed).normal(0, 10 ** (level / 20), round(seconds * rate)).astype(np.float32)


def speech_like(syllables: int, level: float = -20, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Bursts of noise of 0.2 s at changing levels, a quarter of a second apart."""
    rng = np.random.default_rng(1)
    parts = []
    for number in range(syllables):
        parts += [white(0.2, level + rng.uniform(-6, 3), rate, number), np.zeros(rate // 4, np.float32)]
    return np.concatenate(parts)


def band_limited(samples: np.ndarray, low: float, high: float, rate: int) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def p56_by_definition(samples: np.ndarray) -> float:
    """Active speech level, sample by sample as ITU-T P.56 method B writes it."""
    decay = math.exp(-1 / (SAMPLE_RATE * 0.03))
    hangover = math.ceil(0.2 * SAMPLE_RATE)
    thresholds = [2.0**-power for power in range(21, -1, -1)]
    active, quiet = [0] * len(thresholds), [hangover] * len(thresholds)
    first = second = energy = 0.0
    for sample in samples.tolist():
        energy += sample * sample
        first = decay * first + (1 - decay) * abs(sample)
        second = decay * second + (1 - decay) * first
        for at, threshold in enumerate(thresholds):
            if second >= threshold:
                active[at] += 1
                quiet[at] = 0
            elif quiet[at] < hangover:
                active[at] += 1
                quiet[at] += 1
    before = None
    for count, threshold in zip(active, thresholds, strict=True):
        level = 10 * math.log10(energy / count)
        margin = level - 20 * math.log10(threshold)
        if before is not None and margin <= 15.9:
            share = (before[1] - 15.9) / (before[1] - margin)
            return before[0] + share * (level - before[0])
        before = level, margin
    raise AssertionError("no threshold fits")


def refused(measures: Measures, gates: AudioGates | None = None) -> str:
    with pytest.raises(Rejected) as refusal:
        check_measures(measures, gates or AudioGates())
    assert refusal.value.detail
    return refusal.value.reason


def test_every_measure_is_a_column_of_silver():
    names = [field.name for field in fields(Measures)]
    assert set(names) <= set(SilverRow.model_fields)
    assert list(measure(tone(1.0)).columns()) == names


def test_a_sine_has_the_rms_the_peak_and_the_offset_of_a_sine():
    found = measure(tone(1.0, amplitude=1.0) * np.float32(0.5) + np.float32(0.25))
    assert found.duration == 1.0
    assert found.rms == pytest.approx(10 * math.log10(0.5**2 / 2), abs=0.02)
    assert found.dc_offset == pytest.approx(0.25, abs=1e-4)
    assert found.peak == pytest.approx(20 * math.log10(0.75), abs=0.05)
    assert measure(np.sign(tone(1.0)).astype(np.float32)).rms == pytest.approx(0.0, abs=0.02)


def test_a_peak_between_samples_is_found():
    # A quarter of the sampling rate, sampled 45 degrees off its peaks: every sample is 3 dB below the peak.
    sine = np.sin(np.pi / 2 * np.arange(4_000) + np.pi / 4).astype(np.float32)
    assert 20 * math.log10(np.abs(sine).max()) == pytest.approx(-3.01, abs=0.01)
    # The ends of the tone overshoot: without them the filter of the standard is exact to 0.2 dB.
    assert true_peak(sine * np.hanning(4_000).astype(np.float32)) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 12, 19, 1_000, 300_000])
def test_the_true_peak_of_promising_places_is_that_of_all_places(length):
    samples = np.random.default_rng(length).laplace(0, 0.1, length).astype(np.float32)
    phases = ((14, 90, -161, 272, -487, 1125, 7964, -838, 390, -218, 122, -68),
              (-239, 240, -424, 730, -1364, 3810, 6388, -1641, 832, -477, 271, -155))  # fmt: skip
    every = [np.convolve(samples, np.array(taps) / 8192) for phase in phases for taps in (phase, phase[::-1]) if length]
    highest = max((float(np.abs(values).max()) for values in [samples, *every] if len(values)), default=0.0)
    found = true_peak(samples)
    assert found is None if highest == 0 else found == pytest.approx(20 * math.log10(highest), abs=1e-4)


@pytest.mark.parametrize("level", [-10.0, -40.0])
def test_sound_without_pauses_has_its_rms_as_active_level(level):
    noise = white(5.0, level)
    found = active_level(noise)
    assert found is not None
    assert found.level == pytest.approx(decibels(power(noise)), abs=0.2)
    assert found.activity > 0.95


def test_pauses_change_the_rms_and_not_the_active_level():
    spoken = speech_like(20)
    alone, padded = active_level(spoken), active_level(np.pad(spoken, 5 * SAMPLE_RATE))
    assert alone is not None and padded is not None
    assert padded.level == pytest.approx(alone.level, abs=0.2)
    assert decibels(power(np.pad(spoken, 5 * SAMPLE_RATE))) < decibels(power(spoken)) - 2


@pytest.mark.parametrize("gain", [1.0, 0.37, 0.01])
def test_the_active_level_is_that_of_the_definition(gain):
    clip = (speech_like(6) + white(2.7, -70)) * np.float32(gain)
    found = active_level(clip)
    assert found is not None
    assert found.level == pytest.approx(p56_by_definition(clip), abs=0.05)


def test_silence_share_is_the_share_of_pauses():
    assert measure(speech_like(20)).silence_share == pytest.approx(0.25 / 0.45, abs=0.03)
    assert measure(white(3.0, -20)).silence_share == 0.0


@pytest.mark.parametrize("ratio", [0.0, 5.0, 15.0, 30.0])
def test_the_estimated_snr_is_near_the_one_that_was_mixed(ratio):
    spoken = speech_like(20)
    level = active_level(spoken)
    assert level is not None
    mixed = spoken + white(len(spoken) / SAMPLE_RATE, level.level - ratio, seed=99)
    assert measure(mixed).snr == pytest.approx(ratio, abs=1.5)


def test_zeros_around_a_clip_do_not_hide_its_noise():
    spoken = speech_like(20)
    mixed = spoken + white(len(spoken) / SAMPLE_RATE, -45, seed=99)
    alone, padded = measure(mixed).snr, measure(np.pad(mixed, len(mixed))).snr
    assert padded == pytest.approx(alone, abs=1.0)


def test_where_a_gate_put_zeros_for_the_noise_the_ratio_is_unknown():
    spoken = speech_like(20)
    noise = white(len(spoken) / SAMPLE_RATE, -25, seed=99)
    assert measure(spoken + noise).snr is not None
    assert measure(np.where(spoken == 0, 0, spoken + noise).astype(np.float32)).snr is None


def test_steady_sound_is_all_noise_to_the_estimate():
    assert measure(tone(2.0)).snr == measure(white(2.0, -30)).snr == -20.0
    assert snr(frame_powers(tone(0.1)), -9.0) is None


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
def test_telephone_audio_is_found_at_any_rate(rate):
    at_8k = band_limited(speech_like(20, rate=8_000), 300, 3_400, 8_000)
    coded = decode(encoded(at_8k, 8_000, "mulaw")).samples
    source = soxr.resample(coded, 8_000, rate)
    found = measure(soxr.resample(coded, 8_000, 16_000), source, rate)
    assert 3_300 <= found.bandwidth <= 4_000
    assert "narrowband" in measure_flags(found, AudioGates())


@pytest.mark.parametrize(("rate", "edge"), [(16_000, 5_500), (48_000, 5_500), (48_000, 12_000), (48_000, 20_000)])
def test_bandwidth_is_where_a_filter_cut(rate, edge):
    assert bandwidth(band_limited(speech_like(20, rate=rate), 100, edge, rate), rate) == pytest.approx(edge, abs=300)


def test_a_full_band_clip_is_not_narrowband_clean_or_noisy():
    clip = speech_like(20)
    for noisy in (clip, clip + white(len(clip) / SAMPLE_RATE, -35, seed=99)):
        found = measure(noisy)
        assert found.bandwidth > 7_500
        assert measure_flags(found, AudioGates()) == []


def test_a_click_is_not_bandwidth():
    clip = band_limited(speech_like(20), 100, 3_400, 16_000)
    clip[len(clip) // 2] = 0.9
    assert bandwidth(clip, 16_000) < 4_000


@pytest.mark.parametrize("codec", ["wav8", "wav16", "float", "mulaw", "alaw", "flac"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_flat_tops_are_found_at_any_level_and_a_loud_clean_clip_has_none(codec, rate):
    loud = tone(1.0, rate, 300, 3.0)
    for level_of_top in (1.0, 0.6):
        clipped = decode(encoded(np.clip(loud, -1, 1) * np.float32(level_of_top), rate, codec)).samples
        # A sine three times too loud is above the top for 1 - 2 / pi * arcsin(1 / 3) of the time.
        assert clipping_share(clipped) == pytest.approx(0.78, abs=0.05)
        assert refused(measure(soxr.resample(clipped, rate, 16_000), clipped, rate)) == "audio_clipped"
    rng = np.random.default_rng(0)
    bursts = np.cumsum(rng.laplace(0, 1, rate)) % 7 * np.sin(np.arange(rate) / 9) * rng.exponential(1, rate)
    clean = (0.99 * bursts / np.abs(bursts).max()).astype(np.float32)
    assert clipping_share(decode(encoded(clean, rate, codec)).samples) < 0.001


@pytest.mark.parametrize("offset", [0.01, -0.2])
def test_an_offset_is_no_sound(offset):
    hiss = white(3.0, -80) + np.float32(offset)
    found = measure(hiss)
    assert found.rms == pytest.approx(-80, abs=0.1) and found.dc_offset == pytest.approx(offset, abs=1e-5)
    assert refused(found) == "audio_silent"
    clip = speech_like(10) + white(4.5, -60)
    with_offset, without = measure(clip + np.float32(offset)), measure(clip)
    for name in ("rms", "speech_level", "silence_share", "snr"):
        assert getattr(with_offset, name) == pytest.approx(getattr(without, name), abs=0.2), name


@pytest.mark.parametrize("level", [0.3, -0.9])
def test_a_constant_is_silence_and_not_clipping(level):
    found = measure(np.full(SAMPLE_RATE, level, np.float32))
    assert found.clipping_share == 0.0 and refused(found) == "audio_silent"


@pytest.mark.parametrize("frequency", [50, 80, 120])
@pytest.mark.parametrize("amplitude", [0.4, 1.0])
def test_the_round_top_of_a_low_tone_is_not_flat_and_a_dithered_flat_top_is(frequency, amplitude):
    low = tone(1.0, 48_000, frequency, amplitude)
    assert clipping_share(decode(encoded(low, 48_000)).samples) < 0.02
    cut = np.clip(low, -0.8 * amplitude, 0.8 * amplitude)
    # Off above 0.8 for 1 - 2 / pi * arcsin(0.8) of the time; triangular dither of a step.
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, len(cut))).sum(axis=0) / 32768
    dithered = (cut + noise).astype(np.float32)
    assert clipping_share(decode(encoded(dithered, 48_000)).samples) == pytest.approx(0.41, abs=0.06)


@pytest.mark.parametrize("codec", ["mulaw", "alaw", "wav8"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("amplitude", [0.3, 0.5, 0.9, 0.97])
def test_the_steps_of_a_coarse_coding_make_no_flat_top_of_a_round_one(codec, rate, amplitude):
    for frequency in (50, 60, 100, 150, 200, 250, 313, 400, 500, 1_000):
        clip = decode(encoded(tone(1.0, rate, frequency, amplitude), rate, codec)).samples
        assert clipping_share(clip) < 0.01, frequency
    for factor in (1.5, 3.0):
        cut = np.clip(tone(1.0, rate, 313, factor), -1, 1) * np.float32(amplitude)
        share = 1 - 2 / np.pi * np.arcsin(1 / factor)
        assert clipping_share(decode(encoded(cut, rate, codec)).samples) == pytest.approx(share, abs=0.1)


def test_what_resampling_pushes_beyond_full_scale_is_clipping():
    square = np.sign(tone(1.0, 48_000, 300, 1.0)).astype(np.float32)
    clip = soxr.resample(square, 48_000, 16_000)
    beyond = np.count_nonzero(np.abs(clip) > 1) / len(clip)
    assert beyond > 0.05 and measure(clip, np.zeros(48_000, np.float32), 48_000).clipping_share >= round(beyond, 6)


def test_clipping_on_one_side_of_zero_is_clipping():
    sine = tone(1.0, frequency=300, amplitude=1.0)
    for side in (np.minimum(sine, 0.5), np.maximum(sine, -0.5)):
        assert clipping_share(side) == pytest.approx(1 / 3, abs=0.02)


def test_quiet_coarse_audio_is_not_clipped():
    quiet = encoded(tone(1.0, 8_000, amplitude=1.5 / 128), 8_000, "wav8")
    assert clipping_share(decode(quiet).samples) == 0.0


@pytest.mark.parametrize("length", [0, 1, 2, 15, 319, 320, 1_599, 1_600, 3_200])
@pytest.mark.parametrize("signal", ["zeros", "constant", "noise", "full scale", "tiny"])
def test_measures_of_any_clip_are_finite_or_none(length, signal):
    samples = {
        "zeros": np.zeros(length),
        "constant": np.full(length, 0.3),
        "noise": np.random.default_rng(0).normal(0, 0.1, length),
        "full scale": np.resize([1.0, -1.0], length),
        "tiny": np.full(length, 1e-30),
    }[signal].astype(np.float32)
    for found in (measure(samples, text=TEXT), measure(samples, np.repeat(samples, 3), 48_000, TEXT)):
        assert all(value is None or math.isfinite(value) for value in found.columns().values())
        assert found.duration == length / SAMPLE_RATE


def test_silence_has_no_level_and_nothing_that_follows_from_one():
    found = measure(np.zeros(16_000, np.float32), text=TEXT)
    assert (found.peak, found.rms, found.speech_level, found.silence_share, found.snr, found.bandwidth) == (None,) * 6


@pytest.mark.parametrize("rate", [1, 30, 100, 999, 8_000, 11_025, 192_000])
def test_a_source_of_any_rate_is_measured(rate):
    source = white(2.0, -20, rate)
    found = measure(white(2.0, -20), source, rate).bandwidth
    assert found is None or found <= rate / 2


def test_a_clip_is_measured_the_same_every_time_and_is_not_changed():
    clip = speech_like(10) + white(4.5, -50)
    before = clip.copy()
    assert measure(clip, text=TEXT) == measure(clip, text=TEXT)
    assert np.array_equal(clip, before)
    for offset in range(1, 4):
        elsewhere = np.concatenate([np.zeros(offset, np.float32), clip])[offset:]
        assert measure(elsewhere, text=TEXT) == measure(clip, text=TEXT)


def test_the_speaking_rate_counts_the_time_of_speech():
    assert speaking_rate(TEXT, 2.0) == pytest.approx(5 / 2)
    spoken = speech_like(10)
    alone = measure(spoken, text=TEXT)
    assert alone.speaking_rate == pytest.approx(5 / 2.0, rel=0.1)
    assert measure(np.pad(spoken, 3 * SAMPLE_RATE), text=TEXT).speaking_rate == pytest.approx(
        alone.speaking_rate, rel=0.1
    )
    assert measure(spoken).speaking_rate is None
    assert measure(spoken).with_text(TEXT) == alone
    assert measure(spoken, text="?!").speaking_rate is None


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (tone(0.1), "too_short"),
        (np.zeros(0, np.float32), "too_short"),
        (tone(1.0, amplitude=0.0005), "audio_silent"),
        (np.zeros(16_000, np.float32), "audio_silent"),
    ],
)
def test_a_clip_outside_the_limits_is_refused_with_its_reason(samples, expected):
    assert refused(measure(samples)) == expected


def test_a_normal_clip_passes():
    check_measures(measure(speech_like(4), text=TEXT * 2), AudioGates())


def test_a_transcript_that_does_not_fit_the_speech_is_refused():
    spoken = speech_like(30)
    assert refused(measure(spoken, text=TEXT * 40)) == "transcript_too_long"
    assert refused(measure(spoken, text="മഴ")) == "transcript_too_short"
    assert measure_flags(measure(spoken, text=TEXT * 2), AudioGates()) == ["unusual_speaking_rate"]


def test_a_text_of_known_duration_alone_is_only_judged_for_being_too_long():
    check_speaking_rate(TEXT * 10, 10.0, AudioGates())
    check_speaking_rate(TEXT, 1_000.0, AudioGates())
    with pytest.raises(Rejected) as refusal:
        check_speaking_rate(TEXT * 10, 1.0, AudioGates())
    assert refusal.value.reason == "transcript_too_long"


def test_noise_is_refused_only_where_the_settings_ask():
    noisy = replace(measure(speech_like(10)), snr=3.0)
    check_measures(noisy, AudioGates())
    assert refused(noisy, AudioGates(min_snr_db=5.0)) == "low_snr"


def test_a_score_without_its_packages_is_a_clear_error(monkeypatch):
    mos._session.cache_clear()
    monkeypatch.setattr(mos, "find_spec", lambda name: None)
    with pytest.raises(FoundryError, match="onnxruntime and speechmos") as error:
        measure(tone(1.0), mos=True)
    assert "audio.mos" in str(error.value.hint)
    assert measure(tone(1.0)).mos is None


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnxruntime", "speechmos")), reason="the extra mos is missing"
)
def test_the_predicted_opinion_falls_with_noise():
    clip = speech_like(20)
    scores = [measure(sound, mos=True).mos for sound in (clip, clip + white(len(clip) / SAMPLE_RATE, -20))]
    assert all(1.0 <= score <= 5.0 for score in scores)
    assert measure(clip, mos=True).mos == scores[0]
