"""Other published estimates of the signal-to-noise ratio, for comparison with the one in use."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from mixtures import Samples
from numpy.typing import NDArray

from data_foundry.preprocessing.loudness import frame_powers
from data_foundry.records import Decibels

_SHAPE = 0.4
_RATIOS = np.arange(-20, 101)


def wada(samples: Samples) -> Decibels:
    """WADA-SNR (Kim and Stern, Interspeech 2008): by the distribution of amplitudes, speech being gamma of shape 0.4.

    The statistic is log E|z| - E log|z|; noise is taken to be Gaussian.
    """
    magnitudes = np.maximum(np.abs(samples), 1e-10)
    statistic = math.log(magnitudes.mean(dtype=float)) - float(np.log(magnitudes).mean(dtype=float))
    return float(np.interp(statistic, _wada_table(), _RATIOS))


@cache
def _wada_table() -> NDArray[np.float64]:
    """Return the statistic at each ratio from -20 to 100 dB, by quadrature over speech (in its logarithm) and noise."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    logarithm, weights = nodes * 17.5 - 12.5, weights * 17.5
    speech = np.exp(logarithm)
    density = weights * np.exp(_SHAPE * logarithm - speech - math.lgamma(_SHAPE))
    nodes, weights = np.polynomial.legendre.leggauss(2001)
    noise, normal = nodes * 9, weights * 9 * np.exp(-((nodes * 9) ** 2) / 2) / math.sqrt(2 * math.pi)
    table = []
    for ratio in _RATIOS:
        deviation = math.sqrt(_SHAPE * (_SHAPE + 1) / 10 ** (ratio / 10))
        heard = np.abs(speech[:, None] + deviation * noise)
        table.append(math.log(density @ (heard @ normal)) - density @ (np.log(heard) @ normal))
    return np.maximum.accumulate(table)


def stnr(samples: Samples) -> Decibels:
    """After NIST's STNR: the 95 % quantile of the frame levels over the lowest mode of their histogram."""
    powers = frame_powers(samples)
    levels = 10 * np.log10(powers[powers > 10**-9.5])
    counts, edges = np.histogram(levels, bins=np.arange(-100, 1, 0.5))
    smooth = np.convolve(counts, np.ones(7) / 7, "same")
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(smooth, 3), 7).max(axis=1)
    mode = np.flatnonzero((smooth >= wide) & (smooth >= 0.3 * smooth.max()))[0]
    return float(np.quantile(levels, 0.95) - edges[mode] - 0.25)
