"""How loud a clip is: its power frame by frame, true peak, active speech level, clipping.

Levels are in dBov (ITU-T G.100.1): 0 is the power of a full-scale square wave, so a full-scale sine has -3.01 dBov.
None stands for what can't be measured: the level of nothing, or of digital silence.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from data_foundry.records import SAMPLE_RATE, Decibels, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_foundry.preprocessing.audio import Samples

    Values = NDArray[np.float64]

FRAME: Seconds = 0.02
_FRAME = round(FRAME * SAMPLE_RATE)

_PHASES = (
    (14, 90, -161, 272, -487, 1125, 7964, -838, 390, -218, 122, -68),
    (-239, 240, -424, 730, -1364, 3810, 6388, -1641, 832, -477, 271, -155),
)
"""The first two phases of the interpolating filter of BS.1770-4, annex 2, in 1/8192; the others are their mirrors."""
_TAPS = 12
_BLOCK = 8
_AT_ONCE = 4096
"""Places: 1 MB of spans and interpolated values at a time, however long the clip is."""

_ENVELOPE_STEP = 25
"""Samples per value of the envelope: 640 Hz, where P.56 asks for 600 at least."""
_TIME_CONSTANT: Seconds = 0.03
_HANGOVER: Seconds = 0.2
MARGIN: Decibels = 15.9
"""How far below the active speech level P.56 puts the threshold of activity."""
_LOWEST = -20
"""Thresholds are powers of two, from 2**-21 to 1."""
_SHORTEST: Seconds = 0.1

_DITHER = 2 / 32768
"""What dither adds to a flat top, and what rounding leaves of one: two steps of 16 bits."""
_FLAT_RUN = 3
_LARGEST_STEP = 1 / 32
"""Between the two largest values of mu-law, and of A-law (ITU-T G.711); 8 bits have steps of 1/128."""
_FINEST = 1 << 14
"""Every value of these codings is a whole number of steps of 14 bits, those of 16 bits and more are not."""
_ROUND = 1 / 4
_LOUD = 0.25


def frame_powers(samples: Samples) -> Values:
    """Return the mean squares of the whole 20 ms frames of a 16 kHz clip, shape (n // 320,)."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return np.einsum("ij,ij->i", frames, frames).astype(np.float64) / _FRAME


def power(samples: Samples) -> float:
    """Return the mean square of samples, 0 for none; summed by frames, since BLAS may split a long sum by threads."""
    rest = samples[len(samples) // _FRAME * _FRAME :]
    total = float(frame_powers(samples).sum()) * _FRAME + float(np.einsum("i,i->", rest, rest))
    return total / max(1, len(samples))


_OFFSET_SHARE = 0.01


def sound_of(samples: Samples) -> tuple[Samples, float]:
    """Return samples without their mean where it has over 1 % of their power, and the power of what is returned.

    A constant is no sound. Below 1 % it changes no level by 0.05 dB, and samples that are exactly 0 stay so, which
    tells of a noise gate.
    """
    level = power(samples)
    mean = float(samples.mean()) if len(samples) else 0.0
    if mean * mean <= _OFFSET_SHARE * level:
        return samples, level
    sound = samples - np.float32(mean)
    return sound, power(sound)


def decibels(ratio: float) -> Decibels | None:
    """Return a ratio of powers in dB, None for 0."""
    return 10 * math.log10(ratio) if ratio > 0 else None


def true_peak(samples: Samples) -> Decibels | None:
    """Return the largest magnitude in dBTP, between the samples too (ITU-R BS.1770-4, annex 2: 4 times oversampled).

    Only places that could hold the peak are interpolated: an interpolated value is at most the filter's sum of
    magnitudes times the largest sample under it, so the answer is that of the whole clip.
    """
    blocks = -(-len(samples) // _BLOCK) + 4
    padded = np.zeros(blocks * _BLOCK, np.float32)
    padded[2 * _BLOCK : 2 * _BLOCK + len(samples)] = samples
    largest = np.abs(padded)
    while len(largest) > blocks:
        largest = np.maximum(largest[0::2], largest[1::2])
    peak = float(largest.max())
    filters = _interpolators()
    # The windows that begin in a block end in the next one or in the one after it.
    reach = np.maximum(np.maximum(largest[:-2], largest[1:-1]), largest[2:]) * np.abs(filters).sum(axis=0).max()
    spans = np.lib.stride_tricks.sliding_window_view(padded, len(filters))[::_BLOCK]

    def highest(places: NDArray[np.intp]) -> float:
        return float(np.abs(spans[places] @ filters).max())

    # The most promising place first: it raises the bar for the rest.
    peak = max(peak, highest(reach.argmax()[None]))
    places = np.flatnonzero(reach > peak)
    for first in range(0, len(places), _AT_ONCE):
        peak = max(peak, highest(places[first : first + _AT_ONCE]))
    return decibels(peak * peak)


@cache
def _interpolators() -> NDArray[np.float32]:
    """Return the matrix that takes 19 samples to the 4 interpolated values of each of the 8 windows in them."""
    matrix = np.zeros((_BLOCK + _TAPS - 1, _BLOCK, 4), np.float32)
    for start in range(_BLOCK):
        matrix[start : start + _TAPS, start] = np.array([*_PHASES, *(taps[::-1] for taps in _PHASES)]).T / 8192
    return matrix.reshape(len(matrix), -1)


class ActiveLevel(NamedTuple):
    """Active speech level in dBov, and the share of the time in which P.56 finds activity."""

    level: Decibels
    activity: float


def active_level(samples: Samples) -> ActiveLevel | None:
    """Return the active speech level of a 16 kHz clip by method B of ITU-T P.56; None under 0.1 s and for silence.

    The level of the clip without its pauses: its energy over the time in which the envelope (two exponential averages
    of 0.03 s, held for 0.2 s) is above a threshold 15.9 dB below that level. Sound without pauses has its RMS as its
    active level. The envelope is computed at 640 Hz, on means of 25 magnitudes.
    """
    energy = power(samples) * len(samples)
    if len(samples) < _SHORTEST * SAMPLE_RATE or energy <= 0:
        return None
    magnitudes = np.abs(samples[: len(samples) // _ENVELOPE_STEP * _ENVELOPE_STEP]).reshape(-1, _ENVELOPE_STEP)
    envelope = np.einsum("ij->i", magnitudes).astype(np.float64) / _ENVELOPE_STEP
    decay = math.exp(-_ENVELOPE_STEP / SAMPLE_RATE / _TIME_CONSTANT)
    envelope = _averaged(_averaged(envelope, decay), decay)
    envelope = held(envelope, round(_HANGOVER * SAMPLE_RATE / _ENVELOPE_STEP))
    # A value of at least 2**(e - 1) and less than 2**e has the exponent e.
    exponents = np.frexp(np.maximum(envelope, 2.0 ** (_LOWEST - 1)))[1]
    counts = np.cumsum(np.bincount(np.minimum(exponents, 1) - _LOWEST)[::-1])[::-1] * _ENVELOPE_STEP
    levels = 10 * np.log10(energy / counts)
    margins = levels - 20 * math.log10(2) * (np.arange(len(counts)) + _LOWEST - 1)
    # From the lowest threshold up, the margin shrinks until it is the one asked for.
    after = int(np.argmax(margins <= MARGIN))
    if not after:
        return None
    share = (margins[after - 1] - MARGIN) / (margins[after - 1] - margins[after])
    level = float(levels[after - 1] + share * (levels[after] - levels[after - 1]))
    return ActiveLevel(level, min(1.0, energy / (10 ** (level / 10) * len(samples))))


def _averaged(values: Values, decay: float) -> Values:
    """Return y[i] = decay * y[i - 1] + (1 - decay) * x[i]: 1 / (1 - d z) is the product of all 1 + (d z)**(2**k)."""
    result = values * (1 - decay)
    shift = 1
    while shift < len(result) and decay**shift > 1e-9:
        result[shift:] += decay**shift * result[:-shift]
        shift *= 2
    return result


def held(values: Values, hold: int) -> Values:
    """Return at each place the largest of the value there and of the `hold` values before it."""
    result = values.copy()
    reach = 0
    while reach < hold:
        shift = min(reach + 1, hold - reach)
        result[shift:] = np.maximum(result[shift:], result[:-shift])
        reach += shift
    return result


def clipping_share(samples: Samples) -> float:
    """Return the share of samples in flat tops: three and more in a row with the value of the peak on their side.

    To be asked of a clip as decoded, since resampling rounds flat tops off. The peak need not be full scale: a clip
    that was recorded too loud may have been turned down since. A side that peaks less than a quarter of full scale from
    the mean has none. Equal is what differs by no more than two steps of 16 bits: the round top of a low tone, of which
    a share of the peak would take in more the lower it is, has few such samples. A coarse coding (8 bits, mu-law,
    A-law) makes flat tops of round ones: there the step below the peak holds 0.4 times as many samples as the peak or
    more (a parabola), below a clipped one it holds far fewer. From a quarter on the top is round.
    """
    if not len(samples):
        return 0.0
    top, bottom = samples.max(), samples.min()
    if top - bottom < _LOUD:
        return 0.0
    mean = samples.mean()
    flat = _in_flat_tops(samples, top, 1) if top - mean >= _LOUD else 0
    flat += _in_flat_tops(samples, bottom, -1) if mean - bottom >= _LOUD else 0
    return flat / len(samples)


def _in_flat_tops(samples: Samples, peak: float, side: Literal[1, -1]) -> int:
    """Return how many samples lie in flat tops with the value of the peak, of the side above 0 or of that below."""
    at_peak = samples >= peak - _DITHER if side > 0 else samples <= peak + _DITHER
    runs = _runs(at_peak)
    flat = int(runs.sum())
    return 0 if flat and _is_round(side * samples[~at_peak], side * peak, at_peak, float(runs.mean())) else flat


def _runs(at_peak: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the lengths of the runs that are long enough for a flat top."""
    places = np.flatnonzero(at_peak)
    if len(places) < _FLAT_RUN:
        return places[:0]
    # Runs of neighbours: a new one begins where the distance to the one before is not 1.
    lengths = np.diff(np.flatnonzero(np.concatenate(([True], np.diff(places) != 1, [True]))))
    return lengths[lengths >= _FLAT_RUN]


def _is_round(others: Samples, peak: float, at_peak: NDArray[np.bool_], run: float) -> bool:
    """Return whether the steps of a coarse coding alone make flat tops, in runs of a mean length, of round ones.

    `others` are the samples that are not at the peak. On a parabola whose runs of n samples are one step deep, the
    samples beside them are at most ((n + 1) / (n - 1))**2 steps down.
    """
    below = others.max(initial=-1.0)
    if not 0 < peak - below <= _LARGEST_STEP * ((run + 1) / (run - 1)) ** 2:
        return False
    codes = others * np.float32(_FINEST)
    if np.count_nonzero(others == below) < _ROUND * np.count_nonzero(at_peak):
        return False
    return bool(np.array_equal(codes, np.rint(codes)))
