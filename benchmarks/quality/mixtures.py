"""Speech with noise added at a known ratio: what the estimates are held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_foundry.preprocessing.loudness import active_level, power
from data_foundry.records import SAMPLE_RATE, Decibels

Samples = NDArray[np.float32]
NOISES = ("white", "pink", "hum", "babble")
_HARMONICS = 8
_VOICES = 6


def noise(kind: str, length: int, generator: np.random.Generator, voices: list[Samples]) -> Samples:
    """Return noise of a kind: white, pink (1/f above 50 Hz), hum (50 Hz and 7 harmonics), babble (6 of `voices`)."""
    if kind == "white":
        return generator.standard_normal(length).astype(np.float32)
    if kind == "pink":
        frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
        spectrum = np.fft.rfft(generator.standard_normal(length)) / np.sqrt(np.maximum(frequencies, 50))
        return np.fft.irfft(spectrum, length).astype(np.float32)
    if kind == "hum":
        time = np.arange(length) / SAMPLE_RATE
        phases = generator.uniform(0, 2 * np.pi, _HARMONICS)
        lines = [np.sin(2 * np.pi * 50 * k * time + phases[k - 1]) / k for k in range(1, _HARMONICS + 1)]
        return np.sum(lines, axis=0).astype(np.float32)
    chosen = generator.choice(len(voices), _VOICES, replace=False)
    return np.sum([_looped(voices[at], length, generator) for at in chosen], axis=0, dtype=np.float32)


def mixture(speech: Samples, added: Samples, snr: Decibels) -> Samples:
    """Return speech with noise `snr` dB below its active speech level (ITU-T P.56), scaled to peak at 0.5."""
    found = active_level(speech)
    assert found is not None, "speech without a level"
    gain = 10 ** ((found.level - snr) / 20) / np.sqrt(power(added))
    mixed = speech + np.float32(gain) * added
    return mixed * np.float32(0.5 / np.abs(mixed).max())


def _looped(voice: Samples, length: int, generator: np.random.Generator) -> Samples:
    """Return a voice at unit power from a random place on, so that no two voices pause together at the start."""
    return np.resize(np.roll(voice, generator.integers(len(voice))), length) / np.float32(np.sqrt(power(voice)))
