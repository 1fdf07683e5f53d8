"""What an audio payload declares of itself, read from its container without decoding a sample.

Decoders return what they find and stay silent about the rest, so a payload that was cut off in transit decodes to a
shorter clip and looks whole. `examine` compares what the container declares with the bytes that are there. It reads
headers and frame headers alone, a few bytes at a time, so that a file of any length costs no memory.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from data_foundry.preprocessing.frames import after_tags, check_adts, check_amr, check_flac, check_mpeg
from data_foundry.preprocessing.ogg_pages import check_ogg
from data_foundry.preprocessing.payload import Payload, is_blank, read
from data_foundry.records import Rejected

_UNKNOWN_SIZE = 0x7FFF0000
"""From here on a 32-bit size stands for "unknown": writers to a pipe (ffmpeg, sox, espeak, arecord) can't seek back."""


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
    start = after_tags(payload, 0)
    name = sniff(payload[start : start + 16])
    if name is None and start:
        name = "mp3"  # a decoder finds the first frame behind whatever stands there
    if name is None:
        raise Rejected("audio_corrupt", f"no audio container starts with {payload[:4].hex()}")
    complete = _CHECKS[name](payload, start)
    return Container(name, complete and name not in FFMPEG_ONLY)


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
FFMPEG_ONLY = ("mov", "matroska", "aac", "amr", "asf")


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
        size = read("<Q", payload, at + 16)[0]
        if payload[at : at + 4] == b"data":
            known = size < 1 << 62
            _check_samples(size - 24 if known else -1, len(payload) - at - 24)
            at += size + 7 & ~7
            if known and (not _is_name(payload[at : at + 4]) or payload[at : at + 4] in _FILES):
                _check_nothing_after(payload, at)
            return True
        at += max(24, size + 7 & ~7)
    raise Rejected("audio_truncated" if at > len(payload) else "audio_empty", "no samples follow the header")


def _check_chunks(payload: Payload, at: int, header: str, samples: bytes) -> bool:
    """Hold the chunk named `samples` to its declared size; chunks with 32-bit sizes are padded to even ones."""
    length = struct.calcsize(header)
    block, long_size = 1, None
    while at + length <= len(payload):
        name, size = read(header, payload, at)
        if name == b"fmt " and at + 22 <= len(payload):
            block = max(1, read(f"{header[0]}H", payload, at + 20)[0])
        if name == b"ds64" and at + 24 <= len(payload):
            long_size = read("<Q", payload, at + 16)[0]
        if name == samples:
            there = len(payload) - at - length
            if size == 0 and there and header[1:] == "4sI":
                return not _holds_samples(payload, at + length, header)
            # RF64 (EBU Tech 3306): 2^32 - 1 stands for the size in the chunk ds64.
            declared = long_size if long_size and size == 0xFFFFFFFF else _known(size)
            _check_samples(declared, there, block)
            if declared >= 0:
                _check_chunks_after(payload, at + length, declared, header)
            return True
        if size < 0:
            raise Rejected("audio_corrupt", f"a chunk of {size} bytes")
        at += length + size + (size & 1 if length == 8 else 0)
    raise Rejected("audio_truncated" if at > len(payload) else "audio_empty", "no samples follow the header")


def _check_chunks_after(payload: Payload, at: int, size: int, header: str) -> None:
    """Hold what follows `size` bytes of samples to be whole chunks: behind a size that is too small stand samples."""
    length = struct.calcsize(header)
    while True:
        at += size
        # Not every writer pads an odd chunk; a name does not begin with the zero of those who do.
        if length == 8 and size & 1 and not _is_name(payload[at : at + 4]):
            at += 1
        if at + length > len(payload):
            return
        name, size = read(header, payload, at)
        if not _is_name(name) or name in _FILES or not 0 <= size <= len(payload) - at - length:
            _check_nothing_after(payload, at)
            return
        at += length


_FILES = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff", b"riff", b"data", b"SSND")
"""What no chunk after the samples is called, but the start of another file, or more samples."""


def _is_name(name: bytes) -> bool:
    return name.isascii() and name.decode("ascii").isprintable()


def _check_nothing_after(payload: Payload, at: int) -> None:
    if not is_blank(payload, at):
        raise Rejected("audio_corrupt", f"{len(payload) - at} bytes follow the samples that the header declares")


def _holds_samples(payload: Payload, at: int, header: str) -> bool:
    """Whether the bytes after a chunk of size 0 are its samples (from a writer to a pipe), not more chunks."""
    while at + 8 <= len(payload):
        name, size = read(header, payload, at)
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
    offset, size = read(">II", payload, start + 4)
    _check_samples(_known(size), len(payload) - start - offset)
    if _known(size) >= 0:
        _check_nothing_after(payload, start + offset + size)
    return True


def _check_nist(payload: Payload, start: int) -> bool:
    fields = dict(
        re.findall(rb"(sample_count|sample_n_bytes|channel_count) -i (\d{1,12})", payload[start : start + 1024])
    )
    if len(fields) == 3:
        size = int(fields[b"sample_count"]) * int(fields[b"sample_n_bytes"]) * int(fields[b"channel_count"])
        _check_samples(size, len(payload) - start - 1024)
        _check_nothing_after(payload, start + 1024 + size)
    return True


def _check_boxes(payload: Payload, at: int) -> bool:
    """ISO/IEC 14496-12 s4.2: each box states its size; 1 stands for 64 bits behind its name, 0 for "to the end"."""
    indexed = False
    while at + 8 <= len(payload):
        size, name = read(">I4s", payload, at)
        if name == b"moov" and indexed:
            raise Rejected("audio_corrupt", f"another file starts before byte {at} of {len(payload)}")
        indexed = indexed or name == b"moov"
        if not _is_name(name):
            # Where a box of fragments is lost, ffmpeg goes without them and all that follow.
            reason = "audio_truncated" if is_blank(payload, at) else "audio_corrupt"
            raise Rejected(reason, f"no box starts at byte {at} of {len(payload)}")
        if size == 1 and at + 16 <= len(payload):
            size = read(">Q", payload, at + 8)[0]
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
    if payload[at : at + 4] == b"\x1aE\xdf\xa3":
        raise Rejected("audio_corrupt", f"another file starts at byte {at} of {len(payload)}")
    return True


def _check_asf(payload: Payload, at: int) -> bool:
    """Each top-level object states its size behind a 16-byte id, its own 24 bytes included."""
    start = at
    while at + 24 <= len(payload):
        size = read("<Q", payload, at + 16)[0]
        if size < 24:
            return True
        if at > start and payload[at : at + 16] == payload[start : start + 16]:
            raise Rejected("audio_corrupt", f"another file starts at byte {at} of {len(payload)}")
        at += size
    if at > len(payload):
        raise Rejected("audio_truncated", f"the objects declare {at} bytes, {len(payload)} are there")
    return True


_CHECKS = {
    "wav": _check_riff, "w64": _check_w64, "aiff": _check_aiff, "caf": _check_caf, "au": _check_au,
    "nistsphere": _check_nist, "flac": check_flac, "ogg": check_ogg, "mp3": check_mpeg, "aac": check_adts,
    "amr": check_amr, "mov": _check_boxes, "matroska": _check_matroska, "asf": _check_asf,
}  # fmt: skip
