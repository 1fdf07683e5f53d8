"""What the codecs of telephone lines leave of speech: there and back through libsndfile, in memory.

libsndfile (through soundfile, which reads audio here anyway) holds all four codecs, so neither a process per clip nor
another dependency is needed. ffmpeg, with a process each way, takes fifty times the CPU time for a short clip
(benchmarks/telephony), and encodes GSM only where it was built with libgsm.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from data_foundry.records import Hertz

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_foundry.telephony_settings import PhoneCodec

PHONE_RATE: Hertz = 8000
BITS_PER_SECOND: dict[PhoneCodec, int] = {"alaw": 64_000, "ulaw": 64_000, "gsm": 13_000, "opus_nb": 12_000}
"""What each codec sends; Opus, whose rate is variable, is asked for it on average."""

_OPUS_SLOWEST, _OPUS_FASTEST = 6_000, 256_000
"""The bit rates that libsndfile's compression levels 1 and 0 stand for, for one channel."""
_OPUS_LEVEL = (_OPUS_FASTEST - BITS_PER_SECOND["opus_nb"]) / (_OPUS_FASTEST - _OPUS_SLOWEST)

_FORMATS: dict[PhoneCodec, dict[str, Any]] = {
    "alaw": {"format": "WAV", "subtype": "ALAW"},
    "ulaw": {"format": "WAV", "subtype": "ULAW"},
    "gsm": {"format": "WAV", "subtype": "GSM610"},
    "opus_nb": {"format": "OGG", "subtype": "OPUS", "compression_level": _OPUS_LEVEL},
}
_BLOCK = 320
"""Samples: two frames of GSM, which is what a block of it in WAV holds, and of Opus."""


def encoded(pcm: NDArray[np.int16], codec: PhoneCodec) -> bytes:
    """Return 8 kHz 16-bit samples, shape (n,), encoded in a WAV or Ogg file; n is rounded up to whole frames."""
    import soundfile

    padded = np.zeros(-(-len(pcm) // _BLOCK) * _BLOCK, np.int16)
    padded[: len(pcm)] = pcm
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", PHONE_RATE, 1, **_FORMATS[codec]) as file:
        file.write(padded)
    return target.getvalue()


def round_trip(pcm: NDArray[np.int16], codec: PhoneCodec) -> NDArray[np.int16]:
    """Return 8 kHz 16-bit samples, shape (n,), as they are after encoding and decoding, shape (n,).

    alaw, ulaw: ITU-T G.711, 64 kb/s. gsm: GSM 06.10 full rate, 13 kb/s. opus_nb: Opus (RFC 6716) at a rate of 8 kHz,
    which makes it narrowband, 12 kb/s. None of them shifts the samples: G.711 works sample by sample, GSM 06.10 frame
    by frame without looking ahead, and libsndfile takes off what Opus needs before the first sample. The same samples
    come out each time; Opus calculates in floating point with the processor's vector instructions, so that on another
    kind of processor its last bits may differ.
    """
    import soundfile

    if not len(pcm):
        return pcm
    samples, _ = soundfile.read(io.BytesIO(encoded(pcm, codec)), dtype="int16")
    return samples[: len(pcm)]
