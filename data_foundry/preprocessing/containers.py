"""What an audio payload declares of itself, read from its container without decoding a sample.

Decoders return what they find and stay silent about the rest, so a payload that was cut off in transit decodes to a
shorter clip and looks whole. `examine` compares what the container declares with the bytes that are there. It reads
headers and frame headers alone, a few bytes at a time, so that a file of any length costs no memory.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from data_foundry.records import Rejected

_UNKNOWN_SIZE = 0x7FFF0000
"""From here on a 32-bit size stands for "unknown": writers to a pipe (ffmpeg, sox, espeak, arecord) can't seek back."""

_MPEG_BITRATES = {  # kbit/s by (MPEG-1, layer), ISO/IEC 11172-3 s2.4.2.3 and 13818-3 s2.4.2.3; 0 and 15 are not used
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_AMR_BYTES = {  # bytes a frame by mode, RFC 4867 s5.3; modes without a length are reserved
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1),
}


class FileBytes:
    """A file that is sliced like bytes, read 64 KiB at a time."""

    def __init__(self, path: Path) -> None:
        self._handle = path.open("rb", buffering=0)
        self._length = self._handle.seek(0, 2)
        self._at, self._held = 0, b""

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, where: int | slice) -> Any:
        if isinstance(where, int):
            return self[where : where + 1][0]
        start, stop, _ = where.indices(self._length)
        if start < self._at or stop > self._at + len(self._held):
            self._handle.seek(start)
            self._at, self._held = start, self._handle.read(max(stop - start, 1 << 16))
        return self._held[start - self._at : max(start, stop) - self._at]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()


Payload = bytes | FileBytes


class Container(NamedTuple):
    """A container by its ffmpeg demuxer's name, and whether libsndfile decodes the whole of what this one holds."""

    name: str
    by_soundfile: bool = True


def examine(payload: Payload) -> Container:
    """Return the container of a payload, after holding it to what it declares.

    Raises Rejected: audio_empty (no bytes, or a header without samples), audio_corrupt (not audio, or the container
    contradicts itself), audio_truncated (it declares more than it holds).
    """
    if not len(payload):
        raise Rejected("audio_empty", "a payload of 0 bytes")
    start = _after_id3(payload)
    name = sniff(payload[start : start + 16])
    if name is None and start:
        name = "mp3"  # a decoder finds the first frame behind whatever stands there
    if name is None:
        raise Rejected("audio_corrupt", f"no audio container starts with {payload[:4].hex()}")
    complete = _CHECKS[name](payload, start)
    return Container(name, complete and name not in _FFMPEG_ONLY)


def sniff(head: bytes) -> str | None:
    """Return the container by its first 16 bytes, as ffmpeg names its demuxer, or None for what is not audio."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "aac" if head[1] & 0xF6 == 0xF0 else "mp3"
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        return "aiff"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


_MAGIC = {
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"\x1aE\xdf\xa3": "matroska",
    b"caff": "caf",
    b"#!AMR": "amr",
    b".snd": "au",
    b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb": "w64",
    b"NIST_1A\n": "nistsphere",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
}
_FFMPEG_ONLY = ("mov", "matroska", "aac", "amr", "asf")


def _read(form: str, payload: Payload, at: int) -> tuple[Any, ...]:
    return struct.unpack(form, payload[at : at + struct.calcsize(form)])


def _after_id3(payload: Payload) -> int:
    """Return where the audio starts behind ID3v2 tags: a size is 4 times 7 bits, the tag's own 10 bytes apart."""
    at = 0
    while payload[at : at + 3] == b"ID3" and at + 10 <= len(payload):
        at += 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(payload[at + 6 : at + 10], (21, 14, 7, 0), strict=True)
        )
        if at >= len(payload):
            raise Rejected("audio_truncated", f"an ID3 tag of {at} bytes in a payload of {len(payload)}")
    return at


def _check_riff(payload: Payload, start: int) -> bool:
    return _check_chunks(payload, start + 12, ">4sI" if payload[start : start + 4] == b"RIFX" else "<4sI", b"data")


def _check_aiff(payload: Payload, start: int) -> bool:
    return _check_chunks(payload, start + 12, ">4sI", b"SSND")


def _check_caf(payload: Payload, start: int) -> bool:
    return _check_chunks(payload, start + 8, ">4sq", b"data")


def _check_w64(payload: Payload, start: int) -> bool:
    """Sony Wave64: 16-byte ids, 64-bit sizes that count their own header, chunks at multiples of 8 bytes."""
    at = start + 40
    while at + 24 <= len(payload):
        size = _read("<Q", payload, at + 16)[0]
        if payload[at : at + 4] == b"data":
            return _check_samples(size - 24 if size < 1 << 62 else -1, len(payload) - at - 24)
        at += max(24, size + 7 & ~7)
    raise Rejected("audio_truncated" if at > len(payload) else "audio_empty", "no samples follow the header")


def _check_chunks(payload: Payload, at: int, header: str, samples: bytes) -> bool:
    """Hold the chunk named `samples` to its declared size; chunks with 32-bit sizes are padded to even ones."""
    length = struct.calcsize(header)
    block, long_size = 1, None
    while at + length <= len(payload):
        name, size = _read(header, payload, at)
        if name == b"fmt " and at + 22 <= len(payload):
            block = max(1, _read(f"{header[0]}H", payload, at + 20)[0])
        if name == b"ds64" and at + 24 <= len(payload):
            long_size = _read("<Q", payload, at + 16)[0]
        if name == samples:
            there = len(payload) - at - length
            if size == 0 and there and header[1:] == "4sI":
                return not _holds_samples(payload, at + length, header)
            # RF64 (EBU Tech 3306): 2^32 - 1 stands for the size in the chunk ds64.
            return _check_samples(long_size if long_size and size == 0xFFFFFFFF else _known(size), there, block)
        if size < 0:
            raise Rejected("audio_corrupt", f"a chunk of {size} bytes")
        at += length + size + (size & 1 if length == 8 else 0)
    raise Rejected("audio_truncated" if at > len(payload) else "audio_empty", "no samples follow the header")


def _holds_samples(payload: Payload, at: int, header: str) -> bool:
    """Whether the bytes after a chunk of size 0 are its samples (from a writer to a pipe), not more chunks."""
    while at + 8 <= len(payload):
        name, size = _read(header, payload, at)
        if not name.isalnum() and not name.strip(b" \0").isalnum():
            return True
        at += 8 + size + (size & 1)
    if at < len(payload):
        return True
    raise Rejected("audio_empty", "a header without samples")


def _known(size: int) -> int:
    """Return a size field's value, -1 where it stands for "unknown"."""
    return size if size < _UNKNOWN_SIZE else -1


def _check_samples(declared: int, there: int, block: int = 1) -> bool:
    # Less than one sample frame short is a writer's rounding, not a loss.
    if declared - there >= block:
        raise Rejected("audio_truncated", f"the header declares {declared} bytes of samples, {max(0, there)} are there")
    return True


def _check_au(payload: Payload, start: int) -> bool:
    if len(payload) < start + 24:
        raise Rejected("audio_truncated", "the header is cut off")
    offset, size = _read(">II", payload, start + 4)
    return _check_samples(_known(size), len(payload) - start - offset)


def _check_nist(payload: Payload, start: int) -> bool:
    fields = dict(
        re.findall(rb"(sample_count|sample_n_bytes|channel_count) -i (\d{1,12})", payload[start : start + 1024])
    )
    if len(fields) == 3:
        _check_samples(
            int(fields[b"sample_count"]) * int(fields[b"sample_n_bytes"]) * int(fields[b"channel_count"]),
            len(payload) - start - 1024,
        )
    return True


def _check_flac(payload: Payload, start: int) -> bool:
    """RFC 9639 s8.2: STREAMINFO has 36 bits for the length; 0, for "unknown", libsndfile can't read."""
    if len(payload) < start + 42:
        raise Rejected("audio_truncated", "the header is cut off")
    return bool(_read(">Q", payload, start + 18)[0] & (1 << 36) - 1)


@lru_cache(maxsize=1024)
def _mpeg_header(head: bytes) -> tuple[int, int, int] | None:
    """Return (length in bytes, bytes before a Xing header, bit rate) of an MPEG frame by its 4 bytes of header.

    A file has few different ones, and thousands of frames.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    first = version == 3
    bits = _MPEG_BITRATES[first, layer][bitrate] * 1000
    hertz = _MPEG_RATES[version][rate]
    mono = head[3] >> 6 == 3
    if layer == 1:
        length = (12 * bits // hertz + padding) * 4
    else:
        length = (144 if first or layer == 2 else 72) * bits // hertz + padding
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return length, 4 + side, bits


def _check_mpeg(payload: Payload, start: int) -> bool:
    """Compare an MP3 with its Xing header's size, or walk its frames where it has none.

    Frames of several bit rates without a Xing header: libsndfile guesses their number from the first one, and then
    stops early or promises too much, so that they are no file for it.
    """
    at, frame = start, _mpeg_header(payload[start : start + 4])
    if frame is None:
        return True
    xing = start + frame[1]
    if payload[xing : xing + 4] in (b"Xing", b"Info") and xing + 16 <= len(payload):
        flags = _read(">I", payload, xing + 4)[0]
        if flags & 2:
            size = _read(">I", payload, xing + (12 if flags & 1 else 8))[0]
            # The header's size starts at its own frame; encoders differ by less than a frame in what they count.
            if size - (len(payload) - start) > frame[0]:
                raise Rejected("audio_truncated", f"the header declares {size} bytes, {len(payload) - start} are there")
        if flags & 1:
            return True
    bit_rates = set()
    while frame is not None:
        if at + frame[0] > len(payload):
            raise Rejected("audio_truncated", "the last frame is cut off")
        bit_rates.add(frame[2])
        at += frame[0]
        frame = _mpeg_header(payload[at : at + 4])
    return len(bit_rates) == 1


def _check_adts(payload: Payload, at: int) -> bool:
    """ISO/IEC 13818-7 s6.2: each ADTS frame states its length in 13 bits, its header of 7 bytes included."""
    while at + 6 <= len(payload):
        head = payload[at : at + 6]
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            break
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if at + size > len(payload):
            raise Rejected("audio_truncated", "the last ADTS frame is cut off")
        at += max(7, size)
    return True


def _check_amr(payload: Payload, at: int) -> bool:
    magic = next((magic for magic in _AMR_BYTES if payload[at : at + len(magic)] == magic), None)
    if magic is None:
        return True
    at += len(magic)
    while at < len(payload):
        size = _AMR_BYTES[magic][payload[at] >> 3 & 15]
        if not size:
            raise Rejected("audio_corrupt", f"an AMR frame of the reserved mode {payload[at] >> 3 & 15}")
        at += size
    if at > len(payload):
        raise Rejected("audio_truncated", "the last AMR frame is cut off")
    return True


def _check_ogg(payload: Payload, at: int) -> bool:
    """RFC 3533: a stream's pages are numbered without a gap and its last one carries the end-of-stream flag."""
    numbers: dict[int, int] = {}
    ended = False
    while payload[at : at + 4] == b"OggS":
        head = payload[at : at + 27]
        if len(head) < 27:
            raise Rejected("audio_truncated", "the last Ogg page is cut off")
        flags, serial, number, lacing = head[5], *struct.unpack_from("<II", head, 14), head[26]
        end = at + 27 + lacing + sum(payload[at + 27 : at + 27 + lacing])
        if at + 27 + lacing > len(payload) or end > len(payload):
            raise Rejected("audio_truncated", "the last Ogg page is cut off")
        if not flags & 2 and number != numbers.get(serial, -1) + 1:
            raise Rejected("audio_corrupt", f"Ogg page {number} follows page {numbers.get(serial, 'none')}")
        numbers[serial] = number
        ended = bool(flags & 4)
        at = end
    if not ended:
        raise Rejected("audio_truncated", "the Ogg stream has no last page")
    return True


def _check_boxes(payload: Payload, at: int) -> bool:
    """ISO/IEC 14496-12 s4.2: each box states its size; 1 stands for 64 bits behind its name, 0 for "to the end"."""
    while at + 8 <= len(payload):
        size = _read(">I", payload, at)[0]
        if size == 1 and at + 16 <= len(payload):
            size = _read(">Q", payload, at + 8)[0]
        if size == 0:
            return True
        if size < 8:
            raise Rejected("audio_corrupt", f"a box of {size} bytes")
        at += size
    if at > len(payload):
        raise Rejected("audio_truncated", f"the boxes declare {at} bytes, {len(payload)} are there")
    return True


def _check_matroska(payload: Payload, at: int) -> bool:
    """RFC 8794 s4 and s6: the EBML header and the segment state their sizes; all ones stand for "unknown"."""
    for identity in (b"\x1aE\xdf\xa3", b"\x18S\x80g"):
        if payload[at : at + 4] != identity or at + 5 > len(payload):
            return True
        width = 9 - payload[at + 4].bit_length()
        size = int.from_bytes(payload[at + 4 : at + 4 + width]) & (1 << 7 * width) - 1
        if width > 8 or size == (1 << 7 * width) - 1:
            return True
        at += 4 + width + size
    if at > len(payload):
        raise Rejected("audio_truncated", f"the segment ends at byte {at}, the payload at {len(payload)}")
    return True


def _check_asf(payload: Payload, at: int) -> bool:
    """Each top-level object states its size behind a 16-byte id, its own 24 bytes included."""
    while at + 24 <= len(payload):
        size = _read("<Q", payload, at + 16)[0]
        if size < 24:
            return True
        at += size
    if at > len(payload):
        raise Rejected("audio_truncated", f"the objects declare {at} bytes, {len(payload)} are there")
    return True


_CHECKS = {
    "wav": _check_riff, "w64": _check_w64, "aiff": _check_aiff, "caf": _check_caf, "au": _check_au,
    "nistsphere": _check_nist, "flac": _check_flac, "ogg": _check_ogg, "mp3": _check_mpeg, "aac": _check_adts,
    "amr": _check_amr, "mov": _check_boxes, "matroska": _check_matroska, "asf": _check_asf,
}  # fmt: skip
