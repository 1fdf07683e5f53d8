"""Up to which frequency a clip holds speech: what finds telephone audio inside a 48 kHz file."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from data_foundry.preprocessing.noise import DIGITAL_SILENCE
from data_foundry.records import Decibels, Hertz, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_foundry.preprocessing.audio import Samples

_FRAME: Seconds = 0.032
_BAND: Hertz = 125
_MOST_FRAMES = 64
_FEWEST_FRAMES = 4
_PRESENT = 0.95
_PAUSES = 0.15
_OVER_NOISE: Decibels = 10.0
_BELOW_PEAK: Decibels = 60.0
_MASKED: Decibels = 55.0


def bandwidth(samples: Samples, rate: Hertz) -> float | None:
    """Return the highest frequency with speech in it, in Hz; None for less than 4 frames of sound.

    The level of each band of 125 Hz is its 95 % quantile over up to 64 frames of at most 32 ms, spread over the clip
    (a click is no speech); its noise the mean over the quietest 15 % of these frames. A band holds speech when its
    level is within 60 dB of the strongest band's and 10 dB above its noise. Where the noise itself is within 55 dB of
    the strongest band, what it hides can't be told, and the band counts as speech.
    """
    if rate < 2 * _BAND:
        return None
    # A power of two: other lengths cost the transform several times as much.
    size = 2 ** int(math.log2(_FRAME * rate))
    bins = round(_BAND * size / rate)
    whole = len(samples) // size
    frames = samples[: whole * size].reshape(whole, size)[:: max(1, -(-whole // _MOST_FRAMES))]
    spectrum = np.fft.rfft(frames * _window(size), axis=1)
    # The lowest bin is the DC offset.
    bands = (spectrum.shape[1] - 1) // bins
    parts = spectrum[:, 1 : 1 + bands * bins].view(np.float32).reshape(len(frames), bands, 2 * bins)
    powers = np.einsum("ijk,ijk->ij", parts, parts)
    totals = powers.sum(axis=1)
    powers, totals = powers[totals > DIGITAL_SILENCE], totals[totals > DIGITAL_SILENCE]
    if len(powers) < _FEWEST_FRAMES:
        return None
    quiet = np.argsort(totals, kind="stable")[: max(1, int(_PAUSES * len(totals)))]
    noise = powers[quiet].mean(axis=0)
    place = int(_PRESENT * (len(powers) - 1))
    level = np.partition(powers, place, axis=0)[place]
    strongest = level.max()
    speech = (level > 10 ** (_OVER_NOISE / 10) * noise) | (noise > 10 ** (-_MASKED / 10) * strongest)
    top = np.flatnonzero(speech & (level > 10 ** (-_BELOW_PEAK / 10) * strongest))
    return float((top[-1] + 1) * bins * rate / size) if len(top) else None


@cache
def _window(size: int) -> NDArray[np.float32]:
    """Return a Hann window, scaled so that the squares of a one-sided spectrum sum to the power of the frame."""
    window = np.hanning(size + 1)[:size]
    return (window / np.sqrt(np.dot(window, window) * size / 2)).astype(np.float32)
