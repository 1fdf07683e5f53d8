"""Decoding block by block: any payload in, sample frames out, never more of them in memory than were asked for.

soundfile (libsndfile) decodes; what it refuses and a known container holds (m4a, webm, amr, wma, FLAC without a
length, MP3 of variable bit rate without an index) goes to an ffmpeg child process, which hands its samples over a
pipe. What a payload declares is held against what decodes; a limit on the duration is judged by the declared length
where there is one, and while decoding in any case, so that no header can make a ten-hour decode out of a lie.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np
import soundfile

from data_foundry.errors import FoundryError
from data_foundry.preprocessing.containers import FFMPEG_ONLY, Container, examine
from data_foundry.preprocessing.payload import FileBytes
from data_foundry.records import Hertz, Rejected, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

RATES = (4_000, 400_000)
"""Rates of recordings: telephony has 8 kHz, the highest of studios is 384 kHz. Others are a damaged header."""
MAX_CHANNELS = 32
_OF_INTEGERS = ("PCM_", "ULAW", "ALAW")
_FFMPEG_SECONDS = 120
"""How long ffmpeg may deliver nothing before it counts as hung."""
_FFMPEG_BYTES = 256 << 20
"""The largest single allocation that ffmpeg may make, whatever a damaged header asks for."""
_LOST = re.compile(rb"^\[matroska[^]]*\] \[error\] (.*)", re.MULTILINE)
"""What the demuxer says where it lost its place: a stream to a pipe declares no length to be compared."""
_DURATION = re.compile(rb"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")


class _Decoder(Protocol):
    rate: Hertz
    channels: int
    declared: int | None
    within_full_scale: bool

    def take(self, frames: int) -> Samples: ...

    def check_end(self, decoded: int) -> None: ...


class Recording:
    """An open payload: `rate` in hertz, `channels`, whether its coding holds nothing beyond full scale, and `read`."""

    def __init__(self, decoder: _Decoder, max_seconds: Seconds) -> None:
        self.rate, self.channels = decoder.rate, decoder.channels
        self.within_full_scale = decoder.within_full_scale
        self.frames = 0
        self._decoder = decoder
        self._max_seconds = max_seconds
        if not RATES[0] <= self.rate <= RATES[1]:
            raise Rejected("audio_corrupt", f"a sample rate of {self.rate} Hz")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise Rejected("audio_corrupt", f"{self.channels} channels")
        self._check_length(decoder.declared or 0)

    def read(self, frames: int) -> Samples:
        """Decode the next sample frames, float32 of shape (n, channels); fewer than asked for are the last ones.

        Raises Rejected: audio_too_long, audio_corrupt, audio_truncated, audio_empty (at the end of no samples).
        """
        block = self._decoder.take(frames)
        self.frames += len(block)
        self._check_length(self.frames)
        if len(block) < frames:
            if not self.frames:
                raise Rejected("audio_empty", "a header without samples")
            self._decoder.check_end(self.frames)
        return block

    def _check_length(self, frames: int) -> None:
        if frames > self._max_seconds * self.rate:
            raise Rejected("audio_too_long", f"{frames / self.rate:.1f} s, the limit is {self._max_seconds:g} s")


@contextlib.contextmanager
def open_recording(payload: bytes | Path, max_seconds: Seconds, *, by_ffmpeg: bool = True) -> Iterator[Recording]:
    """Open a payload, or a file, of any supported format, whatever its name says.

    Raises Rejected as `containers.examine` and `Recording.read` do, and audio_unsupported for what ffmpeg alone reads
    where `by_ffmpeg` is false. Raises FoundryError where ffmpeg is needed and missing.
    """
    with contextlib.ExitStack() as stack:
        view = payload if isinstance(payload, bytes) else stack.enter_context(FileBytes(payload))
        container = examine(view)
        decoder: _Decoder | None = _soundfile(payload, container, stack)
        if decoder is None and not by_ffmpeg:
            raise Rejected("audio_unsupported", _why_not(container))
        if decoder is None:
            decoder = stack.enter_context(_ffmpeg(payload, container.name, max_seconds))
        yield Recording(decoder, max_seconds)


def _why_not(container: Container) -> str:
    """Say why libsndfile can't read a payload, in words that fit into a sentence."""
    if container.name in FFMPEG_ONLY:
        return f"its format is {container.name}"
    if not container.by_soundfile:
        return f"this {container.name} file does not tell its whole length, or is several in one"
    return f"this {container.name} file is in a coding that is unknown here"


def declared_seconds(payload: bytes | Path) -> Seconds | None:
    """Return how long a payload says it is, decoding nothing; None where only a decoder or ffmpeg could tell."""
    with contextlib.ExitStack() as stack, contextlib.suppress(Rejected):
        view = payload if isinstance(payload, bytes) else stack.enter_context(FileBytes(payload))
        decoder = _soundfile(payload, examine(view), stack)
        if decoder is not None and decoder.rate >= RATES[0]:
            return (decoder.declared or 0) / decoder.rate
    return None


def _soundfile(payload: bytes | Path, container: Container, stack: contextlib.ExitStack) -> _Soundfile | None:
    """Open a payload with soundfile, until `stack` ends; None where soundfile can't read it."""
    if not container.by_soundfile:
        return None
    source: IO[bytes] = io.BytesIO(payload) if isinstance(payload, bytes) else payload.open("rb", buffering=0)
    stack.enter_context(source)
    # A file by its number: a name would tell soundfile of a format, and a Python file is read by call-backs.
    place = source if isinstance(payload, bytes) else source.fileno()
    try:
        file = stack.enter_context(_Sequential(place, closefd=False))
    except soundfile.LibsndfileError:
        return None
    return _Soundfile(file, source, container.name)


class _Sequential(soundfile.SoundFile):
    """A sound file that is read from start to end.

    soundfile seeks to where it is after each read of what can seek, and an Opus decoder that was sought decodes other
    samples than one that went on.
    """

    def seekable(self) -> bool:
        return False


class _Soundfile:
    def __init__(self, file: soundfile.SoundFile, source: IO[bytes], container: str) -> None:
        self.rate, self.channels = file.samplerate, file.channels
        self.declared: int | None = file.frames
        self.within_full_scale = file.subtype.startswith(_OF_INTEGERS)
        self._file, self._source, self._container = file, source, container
        self._left = file.frames

    def take(self, frames: int) -> Samples:
        try:
            block = self._file.read(min(frames, self._left), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            # A FLAC decoder loses sync where a stream is damaged; at the end of the bytes the rest is missing.
            at_end = not self._source.read(1)
            raise Rejected("audio_truncated" if at_end else "audio_corrupt", str(error)) from None
        self._left -= len(block)
        return block

    def check_end(self, decoded: int) -> None:
        # An MP3's length is an estimate where the encoder left no index: the bytes over those of the first frame. That
        # is good to two frames, and to the byte by which some frames are longer: one of 104 at 32 kbit/s and 44.1 kHz.
        estimate = 2 * 1152 + (self.declared or 0) // 100 if self._container == "mp3" else 0
        if (self.declared or 0) - decoded > estimate:
            raise Rejected("audio_truncated", f"{self.declared} sample frames are declared, {decoded} decode")


@contextlib.contextmanager
def _ffmpeg(payload: bytes | Path, container: str, max_seconds: Seconds) -> Iterator[_Ffmpeg]:
    """Decode in a child process; the demuxer is named, so that a payload can't make ffmpeg open other files."""
    command = shutil.which("ffmpeg")
    if command is None:
        raise FoundryError(f"ffmpeg is needed for {container} audio and is not installed.", "apt-get install ffmpeg")
    with contextlib.ExitStack() as stack:
        if isinstance(payload, bytes):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="data-foundry-")))
            source = folder / "payload"
            source.write_bytes(payload)
        else:
            source = payload.absolute()
        said = stack.enter_context(tempfile.TemporaryFile())
        options = [
            "-hide_banner",
            "-nostdin",
            "-nostats",
            "-loglevel",
            "level+info",
            "-threads",
            "1",
            "-max_alloc",
            str(_FFMPEG_BYTES),
        ]
        options += ["-protocol_whitelist", "file,pipe", "-f", container, "-i", f"file:{source}", "-map", "0:a:0"]
        options += [
            "-t",
            f"{max_seconds + 1:.3f}",
            "-bitexact",
            "-c:a",
            "pcm_f32be",
            "-threads",
            "1",
            "-f",
            "au",
            "pipe:1",
        ]
        if container not in ("mp3", "wav"):
            # A packet that can't be decoded would be left out without a word. What ffmpeg says of an MP3 may be of a
            # tag between two files, its frames were walked; of a WAV without a length, of the last packet.
            options.insert(0, "-xerror")
        child = subprocess.Popen([command, *options], stdout=subprocess.PIPE, stderr=said, stdin=subprocess.DEVNULL)
        try:
            yield _Ffmpeg(child, said, container)
        finally:
            child.kill()
            child.communicate()


class _Ffmpeg:
    """Reads the samples of an ffmpeg child: an AU header of 24 bytes or more, then big-endian float32."""

    def __init__(self, child: subprocess.Popen[bytes], said: IO[bytes], container: str) -> None:
        self._child, self._said, self._container = child, said, container
        self.declared: int | None = None
        self.within_full_scale = False
        head = self._read(24)
        if len(head) < 24:
            raise self._failure()
        offset, _, _, self.rate, self.channels = struct.unpack(">5I", head[4:])
        self._read(offset - 24)

    def take(self, frames: int) -> Samples:
        # Not in one piece, which would ask for all of its memory at once for what may be a short clip.
        data = self._read(frames * self.channels * 4)
        whole = len(data) // (4 * self.channels)
        block = np.frombuffer(data, ">f4", whole * self.channels).astype("<f4")
        return block.reshape(whole, self.channels)

    def check_end(self, decoded: int) -> None:
        self._child.wait(_FFMPEG_SECONDS)
        if self._child.returncode:
            raise self._failure()
        said = self._words()
        if lost := _LOST.search(said):
            raise Rejected("audio_corrupt", f"{self._container}: ffmpeg says {lost[1].decode(errors='replace')}")
        found = _DURATION.search(said)
        declared = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0
        seconds = decoded / self.rate
        # An AAC encoder's priming and a container's rounding account for a tenth of a second. In a raw stream (aac,
        # amr, mp3) the duration is ffmpeg's guess by the bit rate.
        short = self._container in ("mov", "matroska", "asf") and declared - seconds > max(0.1, 0.01 * declared)
        if b"partial file" in said or short:
            raise Rejected("audio_truncated", f"{declared:.2f} s are declared, {seconds:.2f} s decode")

    def _read(self, size: int) -> bytearray:
        """Read that many bytes, fewer only at the end. Raises Rejected where ffmpeg hangs."""
        pipe = self._child.stdout
        assert pipe is not None
        data = bytearray()
        while len(data) < size:
            if not select.select([pipe], [], [], _FFMPEG_SECONDS)[0]:
                raise Rejected("audio_corrupt", f"{self._container}: ffmpeg delivered nothing for {_FFMPEG_SECONDS} s")
            part = os.read(pipe.fileno(), min(size - len(data), 1 << 20))
            if not part:
                break
            data += part
        return data

    def _words(self) -> bytes:
        self._said.seek(0)
        return self._said.read(1 << 20)

    def _failure(self) -> Rejected:
        self._child.wait(_FFMPEG_SECONDS)
        lines = [line for line in self._words().decode(errors="replace").splitlines() if line.strip()]
        lines = [line for line in lines if line != "Conversion failed!"]
        last = re.sub(r"file:\S+", "the payload", lines[-1] if lines else "nothing")
        return Rejected("audio_corrupt", f"{self._container}: ffmpeg says {last}")
