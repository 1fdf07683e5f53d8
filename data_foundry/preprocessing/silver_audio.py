"""What silver keeps of a recording: per piece its WAV file, hash, fingerprint and measures, and no samples.

All of it depends on the recording alone, not on its text or on other rows, so any thread may do it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data_foundry.preprocessing.chunks import timed_chunks
from data_foundry.preprocessing.duplicates import group
from data_foundry.preprocessing.readers import RawRow
from data_foundry.preprocessing.speech import Piece, pieces
from data_foundry.records import Rejected, Seconds

if TYPE_CHECKING:
    from data_foundry.config import AudioGates
    from data_foundry.preprocessing.quality import Measures

LONG_PAYLOAD = 2 << 20
"""Bytes from which on a recording may be too long to lie in memory whole: half a minute of stereo WAV."""
LONG_SECONDS: Seconds = 120.0
"""What its header may declare at most for the same: 4 MB of silver. Seven thousand seconds of silence are a FLAC of a
third of a megabyte, so bytes alone do not tell."""


class SilverAudio(NamedTuple):
    """A piece of a recording without its samples; `wav` is 16 kHz mono PCM16. A refused piece has none and no measures.

    `place` is the piece as it was cut, with empty sample arrays.
    """

    place: Piece
    wav: bytes = b""
    group: str | None = None
    fingerprint: bytes | None = None
    measures: Measures | None = None


def silver_audio(raw: RawRow, gates: AudioGates) -> Iterator[SilverAudio]:
    """Yield the pieces of a raw row's recording. Raises Rejected where it can't be decoded, before the first piece."""
    import numpy as np

    from data_foundry.preprocessing.audio import WAV_HEADER, wav_bytes
    from data_foundry.preprocessing.fingerprint import fingerprint
    from data_foundry.preprocessing.quality import measure

    if raw.payload is None:
        raise Rejected("audio_missing", "the cell of the audio is empty")
    for piece in pieces(raw.payload, timed_chunks(raw.values.get("chunks")), gates):
        nothing = piece.samples[:0]
        place = piece._replace(samples=nothing, source=nothing)
        if piece.refusal is not None:
            yield SilverAudio(place)
        else:
            wav = wav_bytes(piece.samples)
            # Of the samples as silver keeps them, so that anyone can make it again from the WAV file.
            heard = fingerprint(np.frombuffer(wav, dtype="<i2", offset=WAV_HEADER))
            measures = measure(piece.samples, piece.source, piece.rate, mos=gates.mos)
            yield SilverAudio(place, wav, group(wav), heard, measures)


def is_long(raw: RawRow) -> bool:
    """Return whether a row's recording should be worked on alone, piece by piece; one of unknown length should."""
    if raw.payload is None:
        return False
    size = raw.payload.stat().st_size if isinstance(raw.payload, Path) else len(raw.payload)
    if size > LONG_PAYLOAD:
        return True
    from data_foundry.preprocessing.decoding import declared_seconds

    # No length, or none yet, is what a stream writes that does not know how long it will be.
    return not 0 < (declared_seconds(raw.payload) or 0) <= LONG_SECONDS
