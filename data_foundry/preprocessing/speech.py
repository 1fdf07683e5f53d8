"""One recording in, its pieces out: 16 kHz mono clips of at most a segment's length, each with its place.

A recording with timed chunks gives one piece per chunk; sound in no chunk is in no piece, and is counted. One
without times that is longer than a segment may be is cut at silences: its text belongs to no piece, so the pieces are
not `aligned`. The rest is one piece.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data_foundry.preprocessing.audio_ledger import Coverage
from data_foundry.preprocessing.chunks import Chunk
from data_foundry.records import SAMPLE_RATE, Hertz, Rejected, Seconds

if TYPE_CHECKING:
    from pathlib import Path

    from data_foundry.config import AudioGates
    from data_foundry.preprocessing.audio import Samples

_CHUNK_OVERRUN: Seconds = 0.1
"""By how much rounding lets a chunk end after its recording; one that ends later lost part of what its text says."""


class Piece(NamedTuple):
    """A stretch of a recording, samples float32 mono.

    `samples` is at 16 kHz, `source` the same stretch before resampling, at `rate`. `start` and `end` are seconds in the
    recording, both None where the piece is the whole of it. `chunk` is the timed chunk that it is (part of).
    `aligned`: its text, the chunk's or else the row's, was spoken in it and nowhere else. `first`: no earlier piece is
    of the same chunk, or recording. `flags` say how it was decoded. With a `refusal` there are no samples. `coverage`,
    of the first piece alone, says what all of them cover.
    """

    number: int
    samples: Samples
    source: Samples
    rate: Hertz
    start: Seconds | None = None
    end: Seconds | None = None
    chunk: Chunk | None = None
    aligned: bool = True
    first: bool = True
    flags: tuple[str, ...] = ()
    refusal: Rejected | None = None
    coverage: Coverage | None = None


def pieces(payload: bytes | Path, chunks: Sequence[Chunk], gates: AudioGates) -> Iterator[Piece]:
    """Yield the pieces of a recording, in the order in which they end and numbered from 0.

    A recording of more than 2^21 values (8 MiB as float32: 44 s of mono 48 kHz) is decoded twice, block by block: once
    to be judged as a whole, once to be cut, so that memory holds a few segments of it whatever its length. Short or
    long, as bytes or as a file, the pieces are bit for bit those of the recording resampled and cut as a whole.

    Raises Rejected, before the first piece, where the recording can't be decoded whole (see `audio.decode`).
    """
    from data_foundry.preprocessing.audio import Mix, blocks_to_16k, length_at_16k, read_blocks, to_16k
    from data_foundry.preprocessing.decoding import open_recording

    longest = int(gates.max_segment_seconds * SAMPLE_RATE)
    with open_recording(payload, gates.max_source_seconds) as recording:
        rate, mix = recording.rate, Mix(recording.channels, recording.within_full_scale)
        for block in read_blocks(recording):
            mix.hear(block)
    total = length_at_16k(recording.frames, rate)
    stretches = _stretches(total, chunks, longest)
    coverage = Coverage.of(total, [(stretch.at, stretch.last) for stretch in stretches])
    flags = mix.flags
    if recording.frames == len(block):
        source = mix.of(block)
        window = _Window(iter([(source, to_16k(source, rate))]), rate)
        yield from _cut(window, stretches, longest, flags, coverage)
        return
    del block
    with open_recording(payload, gates.max_source_seconds) as recording:
        mono = (mix.of(block) for block in read_blocks(recording))
        yield from _cut(_Window(blocks_to_16k(mono, rate), rate), stretches, longest, flags, coverage)


@dataclass(order=True, slots=True)
class _Stretch:
    """What is left of a chunk, or of a recording without chunks: 16 kHz samples `at` to `last`.

    Ordered by `end`, up to where the samples must be known to take the next piece off it.
    """

    end: int
    index: int
    at: int
    last: int
    chunk: Chunk | None
    whole: bool = True
    refusal: Rejected | None = None


def _stretches(total: int, chunks: Sequence[Chunk], longest: int) -> list[_Stretch]:
    """Return what a recording of `total` samples falls into, as a heap."""
    if not chunks:
        return [_Stretch(min(total, longest), 0, 0, total, None)]
    found = []
    seconds = total / SAMPLE_RATE
    for index, chunk in enumerate(chunks):
        times = (chunk.start, chunk.end) if chunk.timed else (0.0, 0.0)
        at, last = (round(min(max(0.0, time), seconds) * SAMPLE_RATE) for time in times)
        refusal = None
        if chunk.start < 0 or at >= last or chunk.end > seconds + _CHUNK_OVERRUN:
            said = f"{chunk.start:g} to {chunk.end:g} s in a recording of {seconds:g} s"
            refusal, at = Rejected("bad_chunk_times", said if chunk.timed else "it has no start or no end"), last
        found.append(_Stretch(min(last, at + longest), index, at, last, chunk, refusal=refusal))
    heapq.heapify(found)
    return found


def _cut(
    window: _Window, stretches: list[_Stretch], longest: int, flags: tuple[str, ...], coverage: Coverage
) -> Iterator[Piece]:
    """Yield the pieces of a heap of stretches, as far as `window` has come with each."""
    from data_foundry.preprocessing.segmentation import cut

    number = 0
    while stretches:
        stretch = heapq.heappop(stretches)
        start, end = stretch.at, stretch.end
        window.reach(end, min([start, *(other.at for other in stretches)]))
        if end < stretch.last:
            end = start + cut(window.samples(start, end))
            later = _Stretch(min(stretch.last, end + longest), stretch.index, end, stretch.last, stretch.chunk, False)
            heapq.heappush(stretches, later)
        uncut = stretch.whole and end == stretch.last
        from_, to = _place(stretch, start, end, uncut)
        yield Piece(
            number,
            window.samples(start, end),
            window.source(start, end),
            window.rate,
            from_,
            to,
            stretch.chunk,
            aligned=uncut,
            first=stretch.whole,
            flags=flags,
            refusal=stretch.refusal,
            coverage=None if number else coverage,
        )
        number += 1


def _place(stretch: _Stretch, start: int, end: int, uncut: bool) -> tuple[Seconds, Seconds] | tuple[None, None]:
    """Return where a piece lies in its recording; for a chunk with impossible times, the times as they were found."""
    if stretch.chunk is None and uncut:
        return None, None
    if stretch.chunk is not None and stretch.refusal is not None:
        return (stretch.chunk.start, stretch.chunk.end) if stretch.chunk.timed else (None, None)
    return start / SAMPLE_RATE, end / SAMPLE_RATE


class _Window:
    """The part of a recording that pieces are being cut from, as far as it was decoded: a buffer that slides."""

    def __init__(self, blocks: Iterator[tuple[Samples, Samples]], rate: Hertz) -> None:
        self.rate = rate
        self._blocks = blocks
        self._source, self._samples = next(blocks)
        self._source_start = self._start = 0

    def reach(self, end: int, keep: int) -> None:
        """Decode up to sample `end` of the 16 kHz recording; what lies before `keep` may go."""
        while self._start + len(self._samples) < end:
            source, samples = next(self._blocks)
            keep = max(self._start, min(keep, self._start + len(self._samples)))
            keep_source = max(self._source_start, keep * self.rate // SAMPLE_RATE)
            self._samples = np.concatenate([self._samples[keep - self._start :], samples])
            self._source = np.concatenate([self._source[keep_source - self._source_start :], source])
            self._start, self._source_start = keep, keep_source

    def samples(self, start: int, end: int) -> Samples:
        return self._samples[start - self._start : end - self._start]

    def source(self, start: int, end: int) -> Samples:
        first, last = (at * self.rate // SAMPLE_RATE - self._source_start for at in (start, end))
        return self._source[first:last]
