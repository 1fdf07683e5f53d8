"""A fingerprint stays with its recording by every road, and tells it from others."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import pytest
import soundfile
import soxr

from data_foundry.preprocessing.fingerprint import FEWEST_WORDS, HOP, RATE, fingerprint
from tests.preprocessing.audio_builders import encoded, tone
from tests.preprocessing.voices import voice

MOST_ERRORS = 0.22


def bit_errors(ours: bytes | None, theirs: bytes | None) -> float:
    """The share of differing bits at the best offset, where both hold speech for FEWEST_WORDS at least."""
    assert ours and theirs
    a, b = np.frombuffer(ours, "<u4"), np.frombuffer(theirs, "<u4")
    best = 1.0
    for offset in range(-len(a) + FEWEST_WORDS, len(b) - FEWEST_WORDS + 1):
        left, right = a[max(0, -offset) :], b[max(0, offset) :]
        left, right = left[: len(right)], right[: len(left)]
        heard = (left != 0) & (right != 0)
        if heard.sum() >= FEWEST_WORDS:
            best = min(best, float(np.bitwise_count((left ^ right)[heard]).mean()) / 32)
    return best


def by_codec(samples: np.ndarray, codec: str, rate: int) -> np.ndarray:
    """The samples at 16 kHz after a codec at a rate."""
    heard, _ = soundfile.read(io.BytesIO(encoded(soxr.resample(samples, RATE, rate), rate, codec)), dtype="float32")
    return soxr.resample(heard, rate, RATE)


def by_telephone(samples: np.ndarray) -> np.ndarray:
    """The samples after a line of 300 to 3400 Hz and A-law."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum[(frequency < 300) | (frequency > 3400)] = 0
    return by_codec(np.fft.irfft(spectrum, len(samples)).astype(np.float32), "alaw", 8000)


def noisy(samples: np.ndarray, snr: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, len(samples))
    return (samples + noise * np.sqrt(np.mean(samples**2) / 10 ** (snr / 10))).astype(np.float32)


ROADS = {
    "48 kHz": lambda x: soxr.resample(soxr.resample(x, RATE, 48_000), 48_000, RATE),
    "8 kHz": lambda x: soxr.resample(soxr.resample(x, RATE, 8_000), 8_000, RATE),
    "20 dB quieter": lambda x: 0.1 * x,
    "16 bits": lambda x: np.round(x * 32767).astype(np.int16),
    "mp3": lambda x: by_codec(x, "mp3", 44_100),
    "opus": lambda x: by_codec(x, "opus", 16_000),
    "mu-law": lambda x: by_codec(x, "mulaw", 8_000),
    "telephone": by_telephone,
    "7 ms later": lambda x: x[112:],
    "half a word later": lambda x: x[HOP // 2 :],
    "silence around it": lambda x: np.concatenate([np.zeros(5000, np.float32), x, np.zeros(3000, np.float32)]),
    "0.3 s cut off": lambda x: x[4800:],
    "noise at 20 dB": lambda x: noisy(x, 20),
}


@pytest.mark.parametrize("road", ROADS)
def test_a_recording_keeps_its_fingerprint(road):
    for seed in range(3):
        samples = voice(3.0, seed)
        assert bit_errors(fingerprint(samples), fingerprint(ROADS[road](samples))) <= MOST_ERRORS


def test_other_recordings_have_other_fingerprints():
    prints = [fingerprint(voice(3.0, seed)) for seed in range(8)]
    errors = [bit_errors(a, b) for place, a in enumerate(prints) for b in prints[:place]]
    assert min(errors) > MOST_ERRORS + 0.05


def test_a_piece_of_a_recording_has_a_piece_of_its_fingerprint():
    whole = voice(6.0, seed=1)
    assert bit_errors(fingerprint(whole), fingerprint(whole[32_000:64_000])) <= MOST_ERRORS


def test_it_takes_at_most_200_bytes_a_second_and_is_the_same_each_time():
    samples = voice(10.0, seed=2)
    found = fingerprint(samples)
    assert found is not None and len(found) <= 2000
    assert fingerprint(samples.copy()) == found == fingerprint(samples[::-1].copy()[::-1])


@pytest.mark.parametrize("factor", [0.5, 0.125])
def test_a_level_that_is_a_power_of_two_changes_no_byte(factor):
    assert fingerprint(voice(2.0, seed=3)) == fingerprint(voice(2.0, seed=3) * np.float32(factor))


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0, np.float32), np.zeros(32_000, np.int16), tone(0.7), tone(3.0, amplitude=1e-5)],
    ids=["nothing", "silence", "too short", "under -80 dB"],
)
def test_what_is_too_short_or_silent_has_none(samples):
    assert fingerprint(samples) is None


def test_three_quarters_of_a_second_are_enough():
    assert fingerprint(tone(0.76)) is not None


def test_pauses_have_empty_words():
    pause = np.zeros(RATE, np.float32)
    words = np.frombuffer(fingerprint(np.concatenate([voice(1.0, 4), pause, voice(1.0, 5)])) or b"", "<u4")
    assert not words[RATE * 5 // 4 // HOP : RATE * 7 // 4 // HOP].any()
    assert words[: RATE // HOP // 2].any()


def test_gsm_of_a_telephone_network_keeps_it(tmp_path):
    samples = voice(3.0, seed=6)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "f32le", "-ar", "16000", "-ac", "1", "-i", "-"]
    gsm = subprocess.run([*command, "-ar", "8000", "-c:a", "libgsm", "-f", "gsm", "-"], input=samples.tobytes(),
                         capture_output=True, check=True).stdout  # fmt: skip
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "gsm", "-i", "-", "-ar", "16000", "-f", "f32le", "-"]
    heard = subprocess.run(command, input=gsm, capture_output=True, check=True).stdout
    assert bit_errors(fingerprint(samples), fingerprint(np.frombuffer(heard, "<f4"))) <= MOST_ERRORS
