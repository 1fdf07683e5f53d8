"""Packets that never arrive, and what a phone plays in their place."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from data_foundry.telephony.codecs import PHONE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_foundry.telephony_settings import Concealment

    Samples = NDArray[np.float32]
    Flags = NDArray[np.bool_]

# G.711 Appendix I, at 8 kHz: pitch periods of 5 to 15 ms, found by comparing the last 20 ms.
_SHORTEST_PERIOD, _LONGEST_PERIOD, _COMPARED = 40, 120, 160
_HELD = PHONE_RATE // 100
"""Samples of the first 10 ms, which are not attenuated; after them 20 % of the amplitude go every 10 ms."""
_SILENT_AFTER = 6 * _HELD


def lost_frames(frames: int, share: float, burst: float, seed: int) -> Flags:
    """Return which of `frames` packets are lost, shape (frames,): `share` of them, in bursts of `burst` on average.

    The model of Gilbert and Elliott with two states, good (every packet arrives) and bad (none does): the lengths of
    stay in both are geometric, with the means `burst` for bad and `burst * (1 - share) / share` for good. The first
    state is drawn with the shares that both have in the long run. `share` is at most 0.5, so that no gap need be
    shorter than a packet.
    """
    lost = np.zeros(frames, bool)
    if not frames or share <= 0:
        return lost
    random = np.random.Generator(np.random.PCG64([seed, 1]))
    gap = burst * (1 - share) / share
    bad = random.random() < share
    at = 0
    while at < frames:
        stay = int(random.geometric(1 / (burst if bad else gap)))
        lost[at : at + stay] = bad
        at += stay
        bad = not bad
    return lost


def concealed(samples: Samples, lost: Flags, frame: int, method: Concealment) -> Samples:
    """Return 8 kHz samples with the lost frames (of `frame` samples) replaced: "repeat" a pitch period, or "silence".

    "repeat" is ITU-T G.711 Appendix I, simplified. As there: the pitch period (5 to 15 ms) is where the last 20 ms
    correlate best with what came before; it is repeated with its seams cross-faded over a quarter of it; after 10 ms it
    loses 20 % of its amplitude every 10 ms, so that 60 ms are followed by silence; and it is cross-faded into the
    first packet that arrives, over a quarter of the period and 4 ms more for each lost 10 ms, 10 ms at most.
    Simplified: it repeats one period throughout, where the standard takes two and three from the second and third
    10 ms on. It works on decoded samples with every codec: the decoders of GSM and Opus have concealments of their own,
    and their first frames after a loss suffer from what they missed, which these do not.
    """
    edges = np.flatnonzero(np.diff(lost, prepend=False, append=False)).tolist()
    if not edges:
        return samples
    samples = samples.copy()
    for first, last in list(pairwise(edges))[::2]:
        start, end = first * frame, min(last * frame, len(samples))
        if method == "silence" or start < _LONGEST_PERIOD + _COMPARED:
            samples[start:end] = 0
        else:
            _repeat(samples, start, end)
    return samples


def _repeat(samples: Samples, start: int, end: int) -> None:
    """Fill samples[start:end] with the pitch period before it, and join both ends."""
    period = _pitch_period(samples[start - _LONGEST_PERIOD - _COMPARED : start])
    quarter = period // 4
    cycle = samples[start - period : start].copy()
    rise = np.arange(1, quarter + 1, dtype=np.float32) / np.float32(quarter + 1)
    # The last quarter becomes what precedes the period, so that its end meets its beginning.
    cycle[-quarter:] += rise * (samples[start - period - quarter : start - period] - cycle[-quarter:])
    samples[start - quarter : start] = cycle[-quarter:]
    wanted = end - start
    overlap = min(quarter + 32 * max(0, -(-wanted // _HELD) - 1), _HELD, len(samples) - end)
    made = np.resize(cycle, wanted + overlap)
    gone = np.arange(wanted + overlap, dtype=np.float32)
    made *= np.clip(1 - np.float32(0.2) * (gone - _HELD) / _HELD, 0, 1)
    made[_SILENT_AFTER:] = 0
    samples[start:end] = made[:wanted]
    rise = np.arange(1, overlap + 1, dtype=np.float32) / np.float32(overlap + 1)
    samples[end : end + overlap] = rise * samples[end : end + overlap] + (1 - rise) * made[wanted:]


def _pitch_period(history: Samples) -> int:
    """Return the lag at which the last 20 ms of the history correlate best with it, normalised by its power there."""
    recent = history[-_COMPARED:]
    windows = np.lib.stride_tricks.sliding_window_view(history, _COMPARED)
    # Window w ends `_LONGEST_PERIOD - w` samples before the history does.
    earlier = windows[: _LONGEST_PERIOD - _SHORTEST_PERIOD + 1]
    products = np.einsum("ij,j->i", earlier, recent)
    powers = np.einsum("ij,ij->i", earlier, earlier)
    score = products / np.sqrt(np.maximum(powers, np.float32(1e-12)))
    return _LONGEST_PERIOD - int(np.argmax(score))
