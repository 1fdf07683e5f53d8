"""Builders of sound for tests of the phone channel."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from data_foundry.records import SAMPLE_RATE

Samples = np.ndarray


def voice(seconds: float, rate: int = SAMPLE_RATE, peak: float = 0.5, seed: int = 0) -> Samples:
    """A voice of its own for each seed: pulses of a gliding pitch through three formants, syllables and pauses."""
    random = np.random.default_rng(seed)
    size = round(seconds * rate)
    times = np.arange(size) / rate
    pitch = random.uniform(100, 180) * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * times))
    cycles = np.cumsum(pitch) / rate
    # Pulses and their opposites, so that there is no constant under the sound.
    sound = np.diff(np.floor(cycles), n=2, prepend=[0.0, 0.0]) + 0.01 * random.standard_normal(size)
    for formant, width in ((650, 90), (1400, 130), (2600, 200)):
        radius = np.exp(-np.pi * width / rate)
        sound = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * formant / rate), radius**2], sound)
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * times), 0, 1) * (np.sin(2 * np.pi * 0.35 * times) > -0.6)
    sound *= syllables
    return (peak * sound / max(1e-9, np.abs(sound).max(initial=0.0))).astype(np.float32)


def tone(frequency: float, seconds: float = 1.0, amplitude: float = 0.25, rate: int = SAMPLE_RATE) -> Samples:
    """A sine."""
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def decibels(samples: Samples) -> float:
    """Root mean square in dB re full scale."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def shift(before: Samples, after: Samples, most: int = 60) -> int:
    """By how many samples the second is behind the first: where their correlation is largest."""
    inner = before[most:-most].astype(np.float64)
    scores = [float(np.dot(inner, after[most + lag : len(after) - most + lag])) for lag in range(-most, most + 1)]
    return int(np.argmax(scores)) - most
