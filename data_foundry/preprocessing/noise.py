"""How far speech stands above the noise of its clip."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from data_foundry.preprocessing.loudness import MARGIN, held
from data_foundry.records import Decibels

if TYPE_CHECKING:
    from data_foundry.preprocessing.loudness import Values

_QUANTILE = 0.15
DIGITAL_SILENCE = 10**-9.5
"""Mean square of frames that hold no noise but zeros, or the rounding to 16 bits: they were put in, not recorded."""
_FEWEST = 10
_MOST_SILENCE = 0.2
_ABOVE_NOISE = 1.5
_HANGOVER = 10
"""Frames: the 0.2 s of P.56."""
_LOWEST_RATIO = 0.01


def snr(powers: Values, level: Decibels) -> Decibels | None:
    """Estimate the ratio of active speech to noise, in dB, from a clip's frame powers and its active speech level.

    The noise is the 15 % quantile of the powers of 20 ms frames (quantile based noise estimation: Stahl, Fischer and
    Bippus, ICASSP 2000, here over all frequencies at once), frames of digital silence apart. The speech is the active
    level of ITU-T P.56 less the noise. Noise within 15.9 dB of the speech keeps P.56 active in the pauses: then the
    speech is what stands above the noise, over the time in which frames are 1.5 times the noise, held for 0.2 s.

    None for fewer than 10 frames of sound, and where zeros stand for more than a fifth of the clip and what is left
    shows no pause: a noise gate took the noise, and the quantile would be that of speech. -20 dB at least: sound
    without a pause or a change is all noise to this estimate, and speech cut without pauses is underestimated.
    benchmarks/quality holds it against mixtures of known ratio.
    """
    heard = powers[powers > DIGITAL_SILENCE]
    if len(heard) < _FEWEST:
        return None
    place = int(_QUANTILE * (len(heard) - 1))
    noise = float(np.partition(heard, place)[place])
    if 10 ** ((level - MARGIN) / 10) > _ABOVE_NOISE * noise:
        speech = 10 ** (level / 10) - noise
    elif len(heard) < (1 - _MOST_SILENCE) * len(powers):
        return None
    else:
        activity = float(held(np.where(heard > _ABOVE_NOISE * noise, 1.0, 0.0), _HANGOVER).mean())
        speech = float(heard.mean() - noise) / activity if activity else 0.0
    return 10 * math.log10(max(speech / noise, _LOWEST_RATIO))
