"""What a caller's line and surroundings add to speech; both are shaped and scaled where they are mixed (`line`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_foundry.preprocessing.loudness import power
from data_foundry.records import Hertz
from data_foundry.telephony.codecs import PHONE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

MAINS: Hertz = 50
VOICES = 6
_SPEEDS = (0.85, 1.15)

# Poles and zeros alternate along the frequency axis, which makes a slope of 3 dB an octave: J. O. Smith, Spectral
# Audio Signal Processing, "Example: Synthesis of 1/F Noise (Pink Noise)".
_PINK_ZEROS = (0.049922035, -0.095993537, 0.050612699, -0.004408786)
_PINK_POLES = (1.0, -2.494956002, 2.017265875, -0.522189400)


def line_noise(size: int, seed: int) -> Samples:
    """Return 8 kHz noise of a telephone line: white hiss, pink hiss and mains hum, a third of the power each.

    The hum is 50 Hz (the mains in India) with all its harmonics at 1/k of its amplitude: of those, what lies in the
    band is what is heard on a phone.
    """
    from scipy.signal import lfilter

    random = np.random.Generator(np.random.PCG64(seed))
    period = PHONE_RATE // MAINS
    harmonics = np.arange(1, period // 2)
    spectrum = np.zeros(period // 2 + 1, np.complex64)
    spectrum[harmonics] = np.exp(2j * np.pi * random.random(len(harmonics))) / harmonics
    hum = np.fft.irfft(spectrum).astype(np.float32)
    white = random.standard_normal(size, dtype=np.float32)
    pink = lfilter(
        np.array(_PINK_ZEROS, np.float32),
        np.array(_PINK_POLES, np.float32),
        random.standard_normal(size, dtype=np.float32),
    )
    mixed = np.resize(_unit(hum), size)
    mixed += _unit(white)
    mixed += _unit(pink)
    return mixed


def babble(speech: Samples, seed: int) -> Samples:
    """Return 8 kHz babble as long as the speech, made of the speech itself: six voices that speak backwards.

    Each is the whole clip reversed, begun elsewhere (round and round), at 0.85 to 1.15 times its speed and pitch. So no
    other speaker's voice comes into a row, which would undo the split by speaker and let other rows change this one,
    and no word of it can be understood. It is not the babble of a street: the voices share a timbre.
    """
    import soxr

    random = np.random.Generator(np.random.PCG64(seed))
    mixed = np.zeros(len(speech), np.float32)
    backwards = np.ascontiguousarray(speech[::-1])
    for _ in range(VOICES):
        speed, place = random.uniform(*_SPEEDS), random.random()
        # Cubic interpolation: what it adds above the band is filtered out.
        voice = soxr.resample(backwards, PHONE_RATE, PHONE_RATE / speed, quality="QQ")
        if len(voice):
            start = int(place * len(voice))
            rounds = -(-(start + len(speech)) // len(voice))
            mixed += np.tile(voice, rounds)[start : start + len(speech)]
    return mixed


def _unit(samples: Samples) -> Samples:
    """Return samples scaled to an RMS of 1; silence stays silence."""
    present = power(samples)
    return samples / np.float32(present**0.5) if present else samples
