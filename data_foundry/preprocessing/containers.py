"""What an audio payload declares of itself, read from its container without decoding a sample.

Decoders return what they find and stay silent about the rest, so a payload that was cut off in transit decodes to a
shorter clip and looks whole. `check_complete` compares what the container declares with the bytes that are there.
"""

from __future__ import annotations

import struct

from data_foundry.records import Rejected

_UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFF000)
"""Sizes that writers to a pipe leave in a RIFF header, where they could not seek back to fill in the true one."""

_BITRATES = {  # kbit/s by (MPEG-1, layer), ISO/IEC 11172-3 s2.4.2.3 and 13818-3 s2.4.2.3; index 0 and 15 are not used
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def sniff(payload: bytes) -> str | None:
    """Return the container by its first bytes, as ffmpeg names its demuxer, or None for what is not audio."""
    head = payload[:12]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if head[:3] == b"ID3":
        return "mp3"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "mp3"
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        return "aiff"
    if head[:4] == b"caff":
        return "caf"
    if head[:5] == b"#!AMR":
        return "amr"
    return "au" if head[:4] == b".snd" else None


def check_complete(payload: bytes, container: str | None) -> None:
    """Raise Rejected("audio_truncated") where the container declares more than the payload holds."""
    if container == "wav":
        _check_chunks(payload, 12, ">4sI" if payload[:4] == b"RIFX" else "<4sI", b"data")
    elif container == "aiff":
        _check_chunks(payload, 12, ">4sI", b"SSND")
    elif container == "caf":
        _check_chunks(payload, 8, ">4sq", b"data")
    elif container == "au" and len(payload) >= 12:
        start, size = struct.unpack_from(">II", payload, 4)
        _check_samples(size, len(payload) - start)
    elif container == "mp3":
        _check_mp3(payload)
    elif container == "aac":
        _check_aac(payload)
    elif container == "ogg":
        _check_ogg(payload)


def _check_chunks(payload: bytes, at: int, header: str, samples: bytes) -> None:
    """Hold the chunk named `samples` to its declared size; chunks with 32-bit sizes are padded to even ones."""
    length = struct.calcsize(header)
    block, long_size = 1, None
    while at + length <= len(payload):
        name, size = struct.unpack_from(header, payload, at)
        if name == b"fmt " and at + 22 <= len(payload):
            block = max(1, struct.unpack_from(f"{header[0]}H", payload, at + 20)[0])
        if name == b"ds64" and at + 24 <= len(payload):
            long_size = struct.unpack_from("<Q", payload, at + 16)[0]
        if name == samples:
            # RF64 (EBU Tech 3306): 2^32 - 1 stands for the size in the chunk ds64.
            _check_samples(long_size if long_size and size == 0xFFFFFFFF else size, len(payload) - at - length, block)
            return
        if size < 0:
            raise Rejected("audio_corrupt", f"a chunk of {size} bytes")
        at += length + size + (size & 1 if length == 8 else 0)
    raise Rejected("audio_truncated" if at > len(payload) else "audio_empty", "no samples follow the header")


def _check_samples(declared: int, there: int, block: int = 1) -> None:
    # Less than one sample frame short is a writer's rounding, not a loss.
    if declared not in _UNKNOWN_SIZES and declared - there >= block:
        raise Rejected("audio_truncated", f"the header declares {declared} bytes of samples, {max(0, there)} are there")


def _mp3_frame(payload: bytes, at: int) -> tuple[int, int] | None:
    """Return (length in bytes, where a Xing header would stand) of the frame at an offset, None without one."""
    if at + 4 > len(payload) or payload[at] != 0xFF or payload[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = payload[at + 1] >> 3 & 3, 4 - (payload[at + 1] >> 1 & 3)
    bitrate, rate, padding = payload[at + 2] >> 4, payload[at + 2] >> 2 & 3, payload[at + 2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    first = version == 3
    bits = _BITRATES[first, layer][bitrate] * 1000
    hertz = _RATES[version][rate]
    mono = payload[at + 3] >> 6 == 3
    if layer == 1:
        length = (12 * bits // hertz + padding) * 4
    else:
        length = (144 if first or layer == 2 else 72) * bits // hertz + padding
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return length, at + 4 + side


def _check_mp3(payload: bytes) -> None:
    at = 0
    if payload[:3] == b"ID3" and len(payload) >= 10:
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(payload[6:10], (21, 14, 7, 0), strict=True))
        if at >= len(payload):
            raise Rejected("audio_truncated", f"an ID3 tag of {at} bytes in a payload of {len(payload)}")
    frame = _mp3_frame(payload, at)
    if frame is None:
        return
    start, xing = at, frame[1]
    if payload[xing : xing + 4] in (b"Xing", b"Info") and xing + 16 <= len(payload):
        flags = struct.unpack_from(">I", payload, xing + 4)[0]
        if flags & 2:
            size = struct.unpack_from(">I", payload, xing + (12 if flags & 1 else 8))[0]
            # The header's size starts at its own frame; encoders differ by less than a frame in what they count.
            if size - (len(payload) - start) > frame[0]:
                raise Rejected("audio_truncated", f"the header declares {size} bytes, {len(payload) - start} are there")
            return
    while frame is not None:
        if at + frame[0] > len(payload):
            raise Rejected("audio_truncated", "the last frame is cut off")
        at += frame[0]
        frame = _mp3_frame(payload, at)


def _check_aac(payload: bytes) -> None:
    """ISO/IEC 13818-7 s6.2: each ADTS frame states its length in 13 bits, its header of 7 bytes included."""
    at = 0
    while at + 6 <= len(payload) and payload[at] == 0xFF and payload[at + 1] & 0xF6 == 0xF0:
        size = (payload[at + 3] & 3) << 11 | payload[at + 4] << 3 | payload[at + 5] >> 5
        if at + size > len(payload):
            raise Rejected("audio_truncated", "the last ADTS frame is cut off")
        at += max(7, size)


def _check_ogg(payload: bytes) -> None:
    """RFC 3533: pages follow each other and the last one of a whole stream carries the end-of-stream flag."""
    at, ended = 0, False
    while at < len(payload):
        if at + 27 > len(payload):
            raise Rejected("audio_truncated", "the last Ogg page is cut off")
        if payload[at : at + 4] != b"OggS":
            return
        segments = payload[at + 26]
        end = at + 27 + segments + sum(payload[at + 27 : at + 27 + segments])
        if at + 27 + segments > len(payload) or end > len(payload):
            raise Rejected("audio_truncated", "the last Ogg page is cut off")
        ended = bool(payload[at + 5] & 4)
        at = end
    if not ended:
        raise Rejected("audio_truncated", "the Ogg stream has no last page")
