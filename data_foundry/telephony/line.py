"""Speech through a phone line: band, level, noise, codec, lost packets, and back to 16 kHz.

Of the libraries that offer parts of this, scipy (the filters), soxr (rates) and libsndfile (codecs) are used.
audiomentations is not: of what a phone does it has a band-pass filter, gain and noise at an SNR of RMS to RMS, but no
G.711, GSM or Opus and no packet loss; it draws from the global random state, so that a row would depend on the rows
before it; and its release 0.43.1 refuses soxr 1.x.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data_foundry.preprocessing.loudness import active_level, power
from data_foundry.records import SAMPLE_RATE, Decibels, Hertz, Rejected
from data_foundry.telephony.channel import PhoneChannel
from data_foundry.telephony.codecs import PHONE_RATE, round_trip
from data_foundry.telephony.loss import concealed, lost_frames
from data_foundry.telephony.noise import babble, line_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

CEILING = 0.95
"""What the codec is given peaks here at most (-0.45 dB): A-law ends at 0.984, and filters and codecs overshoot."""
_LOUDEST = 4.0
"""Float samples may lie beyond full scale, and are turned down then."""
_TAPS = 201
_SKIRT: Hertz = 40
"""How far outside the band the filter's half amplitude lies, so that the band's edges lose about a decibel."""


class Transmission(NamedTuple):
    """What came out of a channel, and what became of its parameters with these samples.

    `gain_db`: the level change, less what it took to keep the peaks under full scale. `speech_level_db`: the active
    speech level (ITU-T P.56, dBov) that the codec was given, without the noise; None for a clip that holds no speech.
    `snr_db`: None where no noise was added, because the channel has none or because the clip holds no speech to set it
    by. `frames`, `lost_frames`: how many packets there were, and how many were lost.
    """

    samples: Samples
    gain_db: Decibels
    speech_level_db: Decibels | None
    snr_db: Decibels | None
    frames: int
    lost_frames: int


def through(samples: Samples, channel: PhoneChannel) -> Samples:
    """Return a 16 kHz clip, shape (n,), float32, full scale 1, as it is heard through a phone, shape (n,).

    The same samples and channel give the same samples. Nothing is shifted, so transcripts and times hold: the band
    filter is symmetric and its delay taken off, soxr's resamplers have none, nor have the codecs (see
    `codecs.round_trip`). Raises Rejected("audio_corrupt") for samples that are no sound.
    """
    return transmit(samples, channel).samples


def transmit(samples: Samples, channel: PhoneChannel) -> Transmission:
    """Return what `through` does, and what it came to.

    The order is that of a call: microphone and surroundings (band, level, noise), codec, network (lost packets). When
    the level change or the noise would take a peak beyond full scale, speech and noise are turned down together.
    """
    import soxr

    size = len(samples)
    samples = samples.astype(np.float32, copy=False)
    # Also false for NaN.
    if not np.abs(samples).max(initial=0.0) <= _LOUDEST:
        raise Rejected("audio_corrupt", "samples that are not finite numbers, or far beyond full scale")
    speech = _fitted(soxr.resample(samples, SAMPLE_RATE, PHONE_RATE, quality="HQ"), -(-size // 2))
    speech = _in_band(speech, channel)
    speech *= _amplitude(channel.level_db)
    level = _speech_level(speech)
    snr_db = _add_noise(speech, level, channel)
    peak = float(max(speech.max(initial=0.0), -speech.min(initial=0.0)))
    turned_down = min(1.0, CEILING / peak) if peak else 1.0
    turned_down_db = 20 * float(np.log10(turned_down))
    speech *= np.float32(turned_down * 32768)
    heard = round_trip(np.rint(speech).astype(np.int16), channel.codec).astype(np.float32)
    heard /= 32768
    frame = PHONE_RATE * channel.frame_ms // 1000
    lost = lost_frames(-(-len(heard) // frame), channel.loss_share, channel.burst_frames, channel.seed)
    heard = concealed(heard, lost, frame, channel.concealment)
    heard = _fitted(soxr.resample(heard, PHONE_RATE, SAMPLE_RATE, quality="HQ"), size)
    return Transmission(
        samples=np.clip(heard, -1, 1),
        gain_db=channel.level_db + turned_down_db,
        speech_level_db=None if level is None else level + turned_down_db,
        snr_db=snr_db,
        frames=len(lost),
        lost_frames=int(lost.sum()),
    )


def _speech_level(speech: Samples) -> Decibels | None:
    """Return the active level of 8 kHz speech."""
    # Each sample twice: 16 kHz with the power and the envelope that the speech has at 8 kHz.
    level = active_level(np.repeat(speech, SAMPLE_RATE // PHONE_RATE))
    return None if level is None else level.level


def _add_noise(speech: Samples, level: Decibels | None, channel: PhoneChannel) -> Decibels | None:
    """Add the channel's noise to 8 kHz speech of an active level, in place; return the SNR, None without noise."""
    if channel.snr_db is None or level is None:
        return None
    noise = babble(speech, channel.seed) if channel.noise == "babble" else line_noise(len(speech), channel.seed)
    noise = _in_band(noise, channel)
    present = power(noise)
    if present <= 0:
        return None
    noise *= np.float32(_amplitude(level - channel.snr_db) / present**0.5)
    speech += noise
    return channel.snr_db


def _in_band(samples: Samples, channel: PhoneChannel) -> Samples:
    """Return 8 kHz samples without what lies outside the channel's band; as many, and not shifted."""
    from scipy.signal import oaconvolve

    if not len(samples):
        return samples
    return oaconvolve(samples, _band_filter(channel.low_hz, channel.high_hz))[_TAPS // 2 : _TAPS // 2 + len(samples)]


@cache
def _band_filter(low: Hertz, high: Hertz) -> Samples:
    """Return a symmetric filter of odd length: about -1 dB at both ends of the band, -50 dB from 110 Hz outside on."""
    from scipy.signal import firwin

    return firwin(_TAPS, [low - _SKIRT, high + _SKIRT], pass_zero=False, fs=PHONE_RATE).astype(np.float32)


def _amplitude(level: Decibels) -> np.float32:
    return np.float32(10 ** (level / 20))


def _fitted(samples: Samples, size: int) -> Samples:
    """Return exactly so many samples: what a resampler rounded away is silence, what it added goes."""
    if len(samples) >= size:
        return samples[:size]
    return np.pad(samples, (0, size - len(samples)))
