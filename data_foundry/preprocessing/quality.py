"""What is measured on a clip and a transcript, and the gates that hold them to the settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_foundry.preprocessing.text import aksharas, scoring_form
from data_foundry.records import SAMPLE_RATE, Decibels, Rejected, Seconds

if TYPE_CHECKING:
    from data_foundry.config import AudioGates
    from data_foundry.preprocessing.audio import Samples

_FLAT_TOP = 0.999
_FLAT_RUN = 3
_LOUD = 0.25


@dataclass(frozen=True, slots=True)
class Loudness:
    """Level measures of a 16 kHz clip.

    `rms`: 20 log10 of the root mean square, so a full-scale square wave is 0 dB and a full-scale sine -3.01 dB (dBov,
    ITU-T G.100.1); -inf for digital silence. `peak`: largest magnitude, 1 at full scale.
    """

    seconds: Seconds
    rms: Decibels
    peak: float


def loudness(samples: Samples) -> Loudness:
    """Measure a clip of 16 kHz mono float32 samples."""
    if not len(samples):
        return Loudness(0.0, -math.inf, 0.0)
    power = float(np.dot(samples, samples)) / len(samples)
    return Loudness(
        seconds=len(samples) / SAMPLE_RATE,
        rms=10 * math.log10(power) if power > 0 else -math.inf,
        peak=float(np.abs(samples).max()),
    )


def clipping_share(samples: Samples) -> float:
    """Return the share of samples in flat tops: three and more in a row within 0.1 % of the peak on their side of zero.

    To be asked of a clip as decoded, since resampling rounds flat tops off. The peak need not be full scale: a clip
    that was recorded too loud may have been turned down since. A side that peaks below a quarter of full scale has
    none.
    """
    return sum(_flat_top(side) for side in (samples, -samples)) / max(1, len(samples))


def _flat_top(samples: Samples) -> int:
    peak = samples.max(initial=0.0)
    if peak < _LOUD:
        return 0
    top = np.flatnonzero(samples >= _FLAT_TOP * peak)
    # Runs of neighbours: a new one begins where the distance to the one before is not 1.
    lengths = np.diff(np.flatnonzero(np.concatenate(([True], np.diff(top) != 1, [True]))))
    return int(lengths[lengths >= _FLAT_RUN].sum())


def check_clipping(samples: Samples, gates: AudioGates) -> None:
    """Raise Rejected("audio_clipped") for a decoded clip with more flat tops than the settings allow."""
    share = clipping_share(samples)
    if share > gates.max_clipping_share:
        raise Rejected("audio_clipped", f"{share:.1%} of the samples are cut off at the peak")


def check_clip(measured: Loudness, gates: AudioGates) -> None:
    """Raise Rejected(too_short | audio_silent) for a clip outside the settings' limits."""
    if measured.seconds < gates.min_seconds:
        raise Rejected("too_short", f"{measured.seconds:.2f} s, at least {gates.min_seconds:g} s are needed")
    if measured.rms < gates.min_rms_dbfs:
        raise Rejected("audio_silent", f"{measured.rms:.1f} dB, the quietest allowed is {gates.min_rms_dbfs:g} dB")


def speaking_rate(text: str, seconds: Seconds) -> float:
    """Return the aksharas a second of a transcript over its clip, punctuation apart."""
    return len(aksharas(scoring_form(text))) / seconds if seconds > 0 else math.inf


def check_speaking_rate(text: str, seconds: Seconds, gates: AudioGates) -> None:
    """Raise Rejected("transcript_too_long") where nobody could have said the text within the clip."""
    rate = speaking_rate(text, seconds)
    if rate > gates.max_aksharas_per_second:
        limit = gates.max_aksharas_per_second
        raise Rejected("transcript_too_long", f"{rate:.1f} aksharas/s in {seconds:.2f} s, at most {limit:g}")
