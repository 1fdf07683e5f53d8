"""Audio: any payload in, 16 kHz mono PCM16 WAV out, with the same bytes every time.

soundfile (libsndfile) decodes; what it refuses and a known container holds (m4a, webm, FLAC without a length) goes to
an ffmpeg child process. soxr HQ resamples: the default resamplers of ffmpeg and torchaudio let aliases of 48 kHz
material through at -37 and -23 dB, soxr HQ at -140 dB. No dither.
"""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
import soxr

from data_foundry.errors import FoundryError
from data_foundry.preprocessing.containers import check_complete, sniff
from data_foundry.records import SAMPLE_RATE, Hertz, Rejected, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

MAX_SECONDS: Seconds = 7200.0
_FFMPEG_SECONDS = 300
_CANCELLED = 0.1
"""Power of the mix below this share of the channels' mean power: the channels cancel. In phase 1, unrelated 0.5."""
_DEAD = 1e-6
"""A channel 60 dB below the loudest carries nothing; a mean with it would only halve the level."""


class Clip(NamedTuple):
    """A decoded clip: mono float32 in [-1, 1] at the source's rate, and how it got to be mono."""

    samples: Samples
    rate: Hertz
    channels: int
    opposite_phase: bool = False

    @property
    def seconds(self) -> Seconds:
        return len(self.samples) / self.rate


def decode(payload: bytes, max_seconds: Seconds = MAX_SECONDS) -> Clip:
    """Decode a payload of any supported format, whatever its file name says.

    Raises Rejected: audio_empty (no bytes, or a header without samples), audio_corrupt (nothing can decode it),
    audio_truncated (it declares more than it holds), audio_too_long (over `max_seconds`, judged before decoding
    where the header tells). Raises FoundryError where ffmpeg is needed and missing.
    """
    if not payload:
        raise Rejected("audio_empty", "a payload of 0 bytes")
    container = sniff(payload)
    if container is None:
        raise Rejected("audio_corrupt", f"no audio container starts with {payload[:4].hex()}")
    check_complete(payload, container)
    if container in ("mov", "matroska", "aac", "amr"):
        frames, rate = _decode_ffmpeg(payload, container, max_seconds)
    else:
        try:
            frames, rate = _decode_soundfile(io.BytesIO(payload), container, max_seconds)
        except soundfile.LibsndfileError:
            frames, rate = _decode_ffmpeg(payload, container, max_seconds)
    if not len(frames):
        raise Rejected("audio_empty", "a header without samples")
    if not np.isfinite(frames.sum()):
        raise Rejected("audio_corrupt", "samples that are not finite numbers")
    samples, opposite = to_mono(frames)
    return Clip(samples, rate, frames.shape[1], opposite)


def _decode_soundfile(source: io.BytesIO | Path, container: str, max_seconds: Seconds) -> tuple[Samples, Hertz]:
    with soundfile.SoundFile(source) as file:
        declared, rate = file.frames, file.samplerate
        if container == "flac" and not 0 < declared < 1 << 40:
            raise soundfile.LibsndfileError(0, "a FLAC stream without a length: ")
        if declared > max_seconds * rate:
            raise Rejected("audio_too_long", f"{declared / rate:.1f} s, the limit is {max_seconds:g} s")
        try:
            frames = file.read(dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            # A FLAC decoder loses sync where a stream is damaged; at the end of the bytes the rest is missing.
            at_end = isinstance(source, io.BytesIO) and source.tell() == len(source.getbuffer())
            raise Rejected("audio_truncated" if at_end else "audio_corrupt", str(error)) from None
    # An MP3's length is an estimate, good to two frames, where the encoder left no index.
    if declared - len(frames) > (2 * 1152 if container == "mp3" else 0):
        raise Rejected("audio_truncated", f"{declared} sample frames are declared, {len(frames)} decode")
    return frames, rate


_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")


def _decode_ffmpeg(payload: bytes, container: str, max_seconds: Seconds) -> tuple[Samples, Hertz]:
    """Decode in a child process; the demuxer is named, so that a payload can't make ffmpeg open other files."""
    command = shutil.which("ffmpeg")
    if command is None:
        raise FoundryError(f"ffmpeg is needed for {container} audio and is not installed.", "apt-get install ffmpeg")
    with tempfile.TemporaryDirectory(prefix="data-foundry-") as folder:
        source, target = Path(folder) / "in", Path(folder) / "out.wav"
        source.write_bytes(payload)
        options = ["-hide_banner", "-nostdin", "-nostats", "-threads", "1", "-protocol_whitelist", "file"]
        options += ["-f", container, "-i", str(source), "-map", "0:a:0", "-t", f"{max_seconds + 1:.3f}"]
        options += ["-bitexact", "-c:a", "pcm_f32le", "-threads", "1", str(target)]
        try:
            done = subprocess.run([command, *options], capture_output=True, timeout=_FFMPEG_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Rejected("audio_corrupt", f"ffmpeg did not end within {_FFMPEG_SECONDS} s") from None
        said = done.stderr.decode(errors="replace")
        if done.returncode or not target.exists():
            last = said.strip().splitlines()[-1:] or ["nothing"]
            raise Rejected("audio_corrupt", f"{container}: ffmpeg says {last[0].replace(str(source), 'the payload')}")
        try:
            frames, rate = _decode_soundfile(target, "wav", max_seconds)
        except soundfile.LibsndfileError:
            raise Rejected("audio_corrupt", f"{container}: ffmpeg decoded nothing") from None
    found = _DURATION.search(said)
    declared = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0
    decoded = len(frames) / rate
    # An AAC encoder's priming and a container's rounding account for a tenth of a second.
    if "partial file" in said or (container in ("mov", "matroska") and declared - decoded > max(0.1, 0.01 * declared)):
        raise Rejected("audio_truncated", f"{declared:.2f} s are declared, {decoded:.2f} s decode")
    return frames, rate


def to_mono(frames: Samples) -> tuple[Samples, bool]:
    """Mix sample frames, shape (n, channels), to mono; return it and whether the channels were in opposite phase.

    The mean of the channels that carry sound, which can't clip. Channels that cancel each other (opposite phase, as
    a miswired recorder leaves them) would vanish in the mean: then the loudest channel alone is kept.
    """
    if frames.shape[1] == 1:
        return np.ascontiguousarray(frames[:, 0]), False
    power = np.square(frames, dtype=np.float64).mean(axis=0)
    loudest = power.max()
    if loudest == 0:
        return np.ascontiguousarray(frames[:, 0]), False
    alive = power > _DEAD * loudest
    mix = frames[:, alive].mean(axis=1, dtype=np.float32)
    if np.square(mix, dtype=np.float64).mean() < _CANCELLED * power[alive].mean():
        return np.ascontiguousarray(frames[:, int(power.argmax())]), True
    return mix, False


def to_16k(samples: Samples, rate: Hertz) -> Samples:
    """Resample mono float32 samples to 16 kHz with soxr HQ, in one shot; 16 kHz input is returned as it is."""
    return samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")


def wav_bytes(samples: Samples, rate: Hertz = SAMPLE_RATE) -> bytes:
    """Return a mono PCM16 WAV file: a 44-byte header and the samples rounded to 16 bits, clipped at full scale."""
    pcm = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype("<i2").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", len(pcm),
    )  # fmt: skip
    return header + pcm
