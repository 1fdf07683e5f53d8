"""The fingerprint of a clip's sound: what stays when the same recording comes back by telephone or as MP3.

After J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): a bit says whether the
difference of the energies of two neighbouring bands is positive. Changed for speech of a few seconds: the bands lie
within a telephone's, a frame is the sum of eight short spectra (which costs less than their one long one), and besides
the difference's change over time a word holds the difference itself. Frames without speech have no bits at all: what
would be compared there is noise.

Chromaprint, the library that is kept best, was tried first: it needs 2.8 s of sound for its first word, so that 221 of
994 clips of 1.4 to 11.6 s got none, and costs four times as much (benchmarks/near).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from data_foundry.records import Decibels, Hertz

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE: Hertz = 16_000
HOP = 384
"""Samples from one word to the next: 24 ms, 41.7 words of 4 bytes a second."""
FEWEST_WORDS = 20
"""Words with speech below which a clip has no fingerprint: 0.48 s of speech in 0.75 s at least."""

_SPECTRUM = 512
_SPECTRA = 8
_LAG = 4
_BANDS = 17
_LOWEST: Hertz = 300
_HIGHEST: Hertz = 3400
_BELOW_SPEECH: Decibels = 15.0
_LOUD_SHARE = 0.05
_SILENCE: Decibels = -80.0


def fingerprint(samples: NDArray[Any]) -> bytes | None:
    """Return the fingerprint of 16 kHz mono samples (float, or int16): one little-endian 32-bit word for each 24 ms.

    167 bytes a second. The low 16 bits of a word say of each two neighbouring bands of 17 (300 to 3400 Hz) whether the
    difference of their energies rises over 96 ms, the high 16 whether it is positive half-way. Energies are sums over
    0.2 s. A word is 0 where they lie 15 dB under the clip's loud frames, and for speech never.

    None for a clip too short to be told from others (0.75 s, see FEWEST_WORDS) or silent. The same samples give the
    same bytes; the level does not matter, and two fingerprints of one recording differ in few bits (see
    `allocation.near_audio`).
    """
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / 32768
    energies = _band_energies(samples.astype(np.float32, copy=False))
    count = len(energies) - _SPECTRA + 1 - _LAG
    if count < FEWEST_WORDS:
        return None
    sums = np.concatenate((np.zeros((1, _BANDS)), np.cumsum(energies, axis=0, dtype=np.float64)))
    frames = sums[_SPECTRA:] - sums[:-_SPECTRA]
    slopes = frames[:, :-1] - frames[:, 1:]
    bits = np.concatenate((slopes[_LAG:] > slopes[:-_LAG], slopes[_LAG // 2 :][:count] > 0), axis=1)
    words: NDArray[np.uint32] = np.packbits(bits, axis=1, bitorder="little").view("<u4").ravel()
    power = frames[_LAG // 2 :][:count].sum(axis=1)
    place = int((1 - _LOUD_SHARE) * (count - 1))
    loud = np.partition(power, place)[place]
    heard = power > max(loud * 10 ** (-_BELOW_SPEECH / 10), 10 ** (_SILENCE / 10))
    if np.count_nonzero(heard) < FEWEST_WORDS:
        return None
    return np.where(heard, np.maximum(words, 1), 0).astype("<u4").tobytes()


def _band_energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the energies of the bands in each spectrum, shape (spectra, 17), as mean squares of the samples."""
    # scipy's transform takes several spectra at once: half the time of numpy's.
    from scipy.fft import rfft

    if len(samples) < _SPECTRUM:
        return np.zeros((0, _BANDS), np.float32)
    window, edges = _window(), _edges()
    frames = np.lib.stride_tricks.sliding_window_view(samples, _SPECTRUM)[::HOP] * window
    spectra = rfft(frames, axis=1, overwrite_x=True)
    # Real and imaginary parts lie side by side. Sums in this order, not by a matrix product, whose last digits depend
    # on the machine.
    parts = spectra.view(np.float32)[:, : 2 * edges[-1]]
    np.square(parts, out=parts)
    energies: NDArray[np.float32] = np.add.reduceat(parts, 2 * edges[:-1], axis=1)
    return energies


@cache
def _edges() -> NDArray[np.int64]:
    """Return the first bin of each band, and the end of the last: equal ratios, to whole bins."""
    edges = np.geomspace(_LOWEST, _HIGHEST, _BANDS + 1) * _SPECTRUM / RATE
    return np.round(edges).astype(np.int64)


@cache
def _window() -> NDArray[np.float32]:
    """Return a Hann window, scaled so that the squares of a one-sided spectrum sum to the power of the frame."""
    window = np.hanning(_SPECTRUM + 1)[:_SPECTRUM]
    return (window / np.sqrt(np.dot(window, window) * _SPECTRUM / 2)).astype(np.float32)
