"""Audio: any payload in, 16 kHz mono PCM16 WAV out, with the same bytes every time.

soxr HQ resamples: the default resamplers of ffmpeg and torchaudio let aliases of 48 kHz material through at -37 and
-23 dB, soxr HQ at -140 dB. soxr works in float32 and rounding to 16 bits is done here, without dither: soxr's own
16-bit output is dithered from a seed that is the time of day.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soxr

from data_foundry.preprocessing.decoding import open_recording
from data_foundry.records import SAMPLE_RATE, Hertz, Rejected, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_foundry.preprocessing.decoding import Recording

    Samples = NDArray[np.float32]

MAX_SECONDS: Seconds = 7200.0
_CANCELLED = 0.5
"""The power of a mix over that of a mix of unrelated channels; below this share the channels cancel each other."""
_WINDOW = 1 << 13
_VANISHED = 0.1
_VANISHED_SHARE = 0.01
"""A part of a recording counts, too: windows of 8192 sample frames (0.17 s at 48 kHz) whose mix has under a tenth of
that power. More than a hundredth of all power in them, 36 s of an hour, would be missed. Of 320 pairs made from 80 mono
clips of real speech, the second channel 0.5 to 3 ms late as a second microphone has it, none is taken for that.
"""
_DEAD = 1e-6
"""A channel 60 dB below the loudest carries nothing; a mean with it would only halve the level."""
_TURNED_DOWN = 4.0
"""Samples in float can lie beyond full scale. Up to this magnitude all of the recording is turned down to fit; a click
beyond it is cut off instead, since it would take the speech down with it."""


class Clip(NamedTuple):
    """A decoded clip: mono float32 at the source's rate, full scale 1, and how it got to be mono."""

    samples: Samples
    rate: Hertz
    channels: int
    opposite_phase: bool = False

    @property
    def seconds(self) -> Seconds:
        return len(self.samples) / self.rate


def decode(payload: bytes | Path, max_seconds: Seconds = MAX_SECONDS) -> Clip:
    """Decode a payload of any supported format as a whole; `speech.pieces` is for what may be long.

    Raises Rejected: audio_empty (no bytes, or a header without samples), audio_corrupt (nothing can decode it),
    audio_truncated (it declares more than it holds), audio_too_long (over `max_seconds`). Raises FoundryError where
    ffmpeg is needed and missing.
    """
    with open_recording(payload, max_seconds) as recording:
        blocks = list(read_blocks(recording))
    frames = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    mix = Mix(recording.channels, recording.within_full_scale)
    mix.hear(frames)
    return Clip(mix.of(frames), recording.rate, recording.channels, mix.opposite_phase)


def read_blocks(recording: Recording, values: int = 1 << 21) -> Iterator[Samples]:
    """Yield the rest of a recording as sample frames of shape (n, channels), `values` numbers (8 MiB) at a time."""
    size = values // recording.channels
    while True:
        block = recording.read(size)
        if len(block):
            yield block
        if len(block) < size:
            return


class Mix:
    """A mix-down to mono that neither clips nor cancels, decided on what was heard of a recording.

    The mean of the channels that carry sound, which can't clip where they don't: a recording with samples beyond full
    scale is turned down, so that 16 bits hold it. Channels that cancel each other (opposite phase, as
    a miswired recorder leaves them) would vanish in the mean: where its power is under half of what unrelated
    channels would leave, or where a part of it all but vanishes, the loudest channel alone is kept. It is decided once
    for a whole recording, since a change within it would be heard as a step.
    """

    def __init__(self, channels: int, within_full_scale: bool = False) -> None:
        self._within_full_scale = within_full_scale
        self._frames = 0
        # Inner products of all pairs of channels, over the windows that ended and over the one that has not.
        self._ended = np.zeros((channels, channels))
        self._window = np.zeros((channels, channels))
        self._peaks = np.zeros(channels, np.float32)
        self._vanished = 0.0
        self._size = _WINDOW if channels > 1 else sys.maxsize

    def hear(self, frames: Samples) -> None:
        """Take note of sample frames, shape (n, channels). Raises Rejected("audio_corrupt") where they are no sound."""
        at = 0
        with np.errstate(over="ignore", invalid="ignore"):
            for channel, samples in () if self._within_full_scale else enumerate(frames.T):
                self._peaks[channel] = max(self._peaks[channel], samples.max(initial=0.0), -samples.min(initial=0.0))
            while at < len(frames):
                # Windows lie where they lie in the recording, however it is read.
                part = frames[at : at + self._size - self._frames % self._size].T
                for first, left in enumerate(part):
                    for second in range(first + 1):
                        self._window[first, second] += np.dot(left, part[second])
                at += part.shape[1]
                self._frames += part.shape[1]
                if self._frames % self._size == 0:
                    self._vanished += _power_lost(self._window, _VANISHED)
                    self._ended += self._window
                    self._window[:] = 0
        # Also false for NaN. Full scale is 1 and nothing has more power than a square wave of that amplitude.
        if not self._power.max() <= 4 * self._frames:
            raise Rejected("audio_corrupt", "samples that are not finite numbers, or far beyond full scale")

    @property
    def _power(self) -> NDArray[np.float64]:
        return self._ended.diagonal() + self._window.diagonal()

    @property
    def _alive(self) -> list[int]:
        """The channels that carry sound; one of silence."""
        if len(self._peaks) == 1:
            return [0]
        power = self._power
        return np.flatnonzero(power > _DEAD * power.max()).tolist() or [0]

    @property
    def opposite_phase(self) -> bool:
        """Whether channels that carry sound are left out, because they cancel each other."""
        if len(self._peaks) == 1 or len(self._alive) < 2:
            return False
        vanished = self._vanished + _power_lost(self._window, _VANISHED)
        everywhere = _power_lost(self._ended + self._window, _CANCELLED)
        return everywhere > 0 or vanished > _VANISHED_SHARE * float(self._power.sum())

    @property
    def peak(self) -> float:
        """The largest magnitude of a sample in the channels of the mix; the mean of them is nowhere larger.

        1 where the coding of the recording holds nothing beyond it.
        """
        if self._within_full_scale:
            return 1.0
        return float(self._peaks[self.channels].max())

    @property
    def flags(self) -> tuple[str, ...]:
        """What was done to the sound besides taking a mean: opposite_phase, turned_down."""
        return ("opposite_phase",) * self.opposite_phase + ("turned_down",) * (self.peak > 1)

    @property
    def channels(self) -> list[int]:
        """The channels whose mean is the mix."""
        if len(self._peaks) == 1:
            return [0]
        return [int(self._power.argmax())] if self.opposite_phase else self._alive

    def of(self, frames: Samples) -> Samples:
        """Mix sample frames, shape (n, channels), to samples of shape (n,)."""
        first, *others = self.channels
        mixed = np.ascontiguousarray(frames[:, first])
        if others:
            mixed = mixed + frames[:, others[0]]
            for other in others[1:]:
                mixed += frames[:, other]
            mixed *= np.float32(1 / (1 + len(others)))
        if self.peak > 1:
            mixed = np.clip(mixed * np.float32(1 / min(self.peak, _TURNED_DOWN)), -1, 1)
        return mixed


def _power_lost(products: NDArray[np.float64], share: float) -> float:
    """Return the power of channels, by the lower triangle of their products, if the mix keeps under `share` of it."""
    apart = float(products.trace())
    return apart if apart + 2 * float(np.tril(products, -1).sum()) < share * apart else 0.0


def to_16k(samples: Samples, rate: Hertz) -> Samples:
    """Resample mono float32 samples to 16 kHz with soxr HQ; 16 kHz input is returned as it is."""
    return samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")


def blocks_to_16k(blocks: Iterable[Samples], rate: Hertz) -> Iterator[tuple[Samples, Samples]]:
    """Yield (block, what it adds at 16 kHz); together they are bit for bit what `to_16k` makes of all at once."""
    if rate == SAMPLE_RATE:
        yield from ((block, block) for block in blocks)
        return
    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield block, stream.resample_chunk(block)
    nothing = np.zeros(0, np.float32)
    yield nothing, stream.resample_chunk(nothing, last=True)


def length_at_16k(frames: int, rate: Hertz) -> int:
    """Return how many samples `to_16k` makes of so many: the nearest whole number, halves rounded up."""
    return (2 * frames * SAMPLE_RATE + rate) // (2 * rate)


def pcm16(samples: Samples) -> NDArray[np.int16]:
    """Round samples to 16 bits, clipped at full scale."""
    scaled = samples * np.float32(32768)
    np.rint(scaled, out=scaled)
    np.minimum(scaled, np.float32(32767), out=scaled)
    np.maximum(scaled, np.float32(-32768), out=scaled)
    return scaled.astype("<i2")


WAV_HEADER = 44
"""Bytes before the samples in a file of `wav_bytes`."""


def wav_bytes(samples: Samples, rate: Hertz = SAMPLE_RATE) -> bytes:
    """Return a mono PCM16 WAV file: a header of 44 bytes and the samples rounded to 16 bits, clipped at full scale."""
    pcm = pcm16(samples)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + pcm.nbytes, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", pcm.nbytes,
    )  # fmt: skip
    return b"".join((header, pcm.data))
