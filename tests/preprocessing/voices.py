"""Builder of a voice: syllables of changing pitch and vowels with short pauses, enough like speech for fingerprints."""

from __future__ import annotations

import numpy as np

RATE = 16_000


def voice(seconds: float, seed: int) -> np.ndarray:
    """What somebody might say, float32 of 16 kHz; another seed says something else."""
    random = np.random.default_rng(seed)
    length = round(seconds * RATE)
    said = np.zeros(0)
    while len(said) < length:
        said = np.concatenate((said, _syllable(random), np.zeros(round(random.choice([0, 0, 0.08]) * RATE))))
    said = said[:length]
    said += random.normal(0, 1e-3, length)
    return (0.3 * said / np.abs(said).max()).astype(np.float32)


def _syllable(random: np.random.Generator) -> np.ndarray:
    """A hiss, then a vowel that glides to another: harmonics under three formants."""
    count = round(random.uniform(0.1, 0.25) * RATE)
    glide = np.linspace(0, 1, count)
    pitch = random.uniform(100, 220) * (1 + random.uniform(-0.15, 0.15) * glide)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = [
        (random.uniform(low, high) + (random.uniform(low, high) - low) * 0.5 * glide, width)
        for low, high, width in ((300, 900, 90), (900, 2300, 120), (2300, 3300, 180))
    ]
    vowel = np.zeros(count)
    for harmonic in range(1, 34):
        frequency = harmonic * pitch
        gain = sum(1 / (1 + ((frequency - middle) / width) ** 2) for middle, width in formants)
        vowel += gain * np.sin(harmonic * phase)
    hiss = random.normal(0, 0.3, round(random.uniform(0.02, 0.06) * RATE))
    return np.concatenate((hiss, vowel * np.sin(np.pi * glide) ** 0.5))
