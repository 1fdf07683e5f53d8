"""What is measured on a clip and its transcript, and the gates that hold it to the settings.

Every measure is a column of silver. None means that there is nothing to measure; no measure is ever infinite or not
a number. benchmarks/quality holds the measures against known signals and the gates against real speech.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from data_foundry.preprocessing.bandwidth import bandwidth
from data_foundry.preprocessing.loudness import (
    MARGIN,
    active_level,
    clipping_share,
    decibels,
    frame_powers,
    sound_of,
    true_peak,
)
from data_foundry.preprocessing.noise import snr
from data_foundry.preprocessing.text import aksharas, scoring_form
from data_foundry.records import SAMPLE_RATE, Decibels, Hertz, Rejected, Seconds

if TYPE_CHECKING:
    from data_foundry.config import AudioGates
    from data_foundry.preprocessing.audio import Samples


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of a clip, named like the columns of silver; of the 16 kHz clip, where nothing else is said.

    The levels are those of the sound alone: a constant offset of the samples, which nobody hears, is taken off before.
    `duration`: seconds.
    `peak`: true peak in dBTP, ITU-R BS.1770-4 annex 2; above 0 where the clip overshoots full scale between samples.
    `clipping_share`: share of the samples as decoded that lie in flat tops (`loudness.clipping_share`), or of the 16
    kHz samples that are beyond full scale, if that is more.
    `rms`: root mean square of the whole clip in dBov, ITU-T G.100.1; None for digital silence.
    `speech_level`: active speech level in dBov, ITU-T P.56 method B; None under 0.1 s, and where P.56 finds no speech.
    `silence_share`: share of the 20 ms frames that lie under the threshold of P.56, 15.9 dB below `speech_level`; 0 in
    noise louder than that, which hides the pauses.
    `snr`: active speech over noise in dB, estimated (`noise.snr`).
    `bandwidth`: highest frequency with speech in it in Hz, of the clip as decoded (`bandwidth.bandwidth`).
    `dc_offset`: mean of the samples, full scale being 1.
    `speaking_rate`: aksharas of the transcript a second of speech, that is, of the frames that are not silence.
    `mos`: opinion score of listeners, 1 to 5, as DNSMOS P.835 predicts it (`mos.overall`); None unless asked for.
    """

    duration: Seconds
    peak: Decibels | None
    clipping_share: float
    rms: Decibels | None
    speech_level: Decibels | None
    silence_share: float | None
    snr: Decibels | None
    bandwidth: float | None
    dc_offset: float
    speaking_rate: float | None
    mos: float | None

    def columns(self) -> dict[str, float | None]:
        """Return the measures by the names of their columns."""
        return asdict(self)

    def with_text(self, text: str) -> Measures:
        """Return the same with the speaking rate of a normalised transcript: its aksharas over the time of speech."""
        rate = speaking_rate(text, self.duration * (1 - (self.silence_share or 0.0)))
        return replace(self, speaking_rate=_rounded(rate, 3))


def measure(
    samples: Samples,
    source: Samples | None = None,
    rate: Hertz = SAMPLE_RATE,
    text: str | None = None,
    *,
    mos: bool = False,
) -> Measures:
    """Measure a clip of 16 kHz mono float32 samples; levels are rounded to 0.01 dB, shares and rates to 6 and 3 places.

    `source` is the same stretch of sound as it was decoded, mono at `rate`; without it the clip stands for it. `text`
    is the normalised transcript. `mos` runs a model of its own, at two hundred times the cost of all others together;
    raises FoundryError where its packages are not installed.
    """
    source, rate = (samples, SAMPLE_RATE) if source is None else (source, rate)
    seconds = len(samples) / SAMPLE_RATE
    sound, level = sound_of(samples)
    active = active_level(sound)
    silence = ratio = None
    if active is not None:
        powers = frame_powers(sound)
        silence = np.count_nonzero(powers < 10 ** ((active.level - MARGIN) / 10)) / len(powers)
        ratio = snr(powers, active.level)
    peak = true_peak(samples)
    # Resampling overshoots, and 16 bits end at full scale.
    cut_off = np.count_nonzero(np.abs(samples) > 1) / len(samples) if peak is not None and peak > 0 else 0.0
    score = None
    if mos:
        from data_foundry.preprocessing.mos import overall

        score = overall(samples)
    measures = Measures(
        duration=seconds,
        peak=_rounded(peak, 2),
        clipping_share=round(max(clipping_share(source), cut_off), 6),
        rms=_rounded(decibels(level), 2),
        speech_level=_rounded(active and active.level, 2),
        silence_share=_rounded(silence, 6),
        snr=_rounded(ratio, 2),
        bandwidth=_rounded(bandwidth(source, rate), 1),
        dc_offset=round(float(samples.mean()), 6) if len(samples) else 0.0,
        speaking_rate=None,
        mos=_rounded(score, 3),
    )
    return measures if text is None else measures.with_text(text)


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(float(value), places)


def speaking_rate(text: str, seconds: Seconds) -> float | None:
    """Return the aksharas a second of a transcript, punctuation apart; None for no aksharas or no time."""
    count = len(aksharas(scoring_form(text)))
    return count / seconds if count and seconds > 0 else None


def check_measures(measures: Measures, gates: AudioGates) -> None:
    """Raise Rejected for a clip outside the settings' limits.

    too_short, audio_silent, audio_clipped, low_snr (where the settings ask for it), transcript_too_long,
    transcript_too_short.
    """
    if measures.duration < gates.min_seconds:
        raise Rejected("too_short", f"{measures.duration:.2f} s, at least {gates.min_seconds:g} s are needed")
    if measures.rms is None:
        raise Rejected("audio_silent", "digital silence")
    if measures.rms < gates.min_rms_dbfs:
        raise Rejected("audio_silent", f"{measures.rms:.1f} dB, the quietest allowed is {gates.min_rms_dbfs:g} dB")
    if measures.clipping_share > gates.max_clipping_share:
        raise Rejected("audio_clipped", f"{measures.clipping_share:.1%} of the samples are cut off at the peak")
    if gates.min_snr_db is not None and measures.snr is not None and measures.snr < gates.min_snr_db:
        raise Rejected("low_snr", f"{measures.snr:.1f} dB, at least {gates.min_snr_db:g} dB are asked")
    if measures.speaking_rate is not None:
        _check_rate(measures.speaking_rate, "of speech", gates)


def check_speaking_rate(text: str, seconds: Seconds, gates: AudioGates) -> None:
    """Raise Rejected(transcript_too_long | transcript_too_short) for a text whose sound is known by its duration alone.

    The pauses are unknown then: only a text that is too long for the whole time is judged, none that is too short.
    """
    rate = speaking_rate(text, seconds)
    if rate is not None and rate > gates.max_aksharas_per_second:
        _check_rate(rate, f"in {seconds:.2f} s", gates)


def _check_rate(rate: float, time: str, gates: AudioGates) -> None:
    least, most = gates.min_aksharas_per_second, gates.max_aksharas_per_second
    if rate > most:
        raise Rejected("transcript_too_long", f"{rate:.1f} aksharas a second {time}, at most {most:g}")
    if rate < least:
        raise Rejected("transcript_too_short", f"{rate:.1f} aksharas a second {time}, at least {least:g}")


def measure_flags(measures: Measures, gates: AudioGates) -> list[str]:
    """Return what is worth knowing of a clip that is kept: narrowband, unusual_speaking_rate."""
    flags = []
    if measures.bandwidth is not None and measures.bandwidth <= gates.narrowband_hz:
        flags.append("narrowband")
    slowest, fastest = gates.usual_aksharas_per_second
    if measures.speaking_rate is not None and not slowest <= measures.speaking_rate <= fastest:
        flags.append("unusual_speaking_rate")
    return flags
