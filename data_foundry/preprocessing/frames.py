"""Streams of frames that nothing wraps: MP3, AAC in ADTS, AMR, FLAC. Each frame says where the next one starts.

A decoder that loses its place finds it again further on and says nothing, so what it passed over is missing from a clip
that looks whole. Walked by their headers, frames must follow each other to the end of the payload.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from data_foundry.preprocessing.payload import Payload, find, is_blank, read
from data_foundry.records import Hertz, Rejected

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
_AMR_ZERO_BITS = 0x83
_FLAC_BLOCK_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_FLAC_SAMPLE_SIZES = {8: 1, 12: 2, 16: 4, 20: 5, 24: 6, 32: 7}
_FLAC_FRAME = re.compile(rb"\xff[\xf8\xf9]")
_FLAC_START = re.compile(rb"fLaC[\0\x80]\0\0\x22")
_FLAC_TAIL = 1 << 16
"""Bytes at the end of a FLAC stream that hold its last frame, where its header does not say how long one may be."""
_TAGS = 1 << 12
"""Bytes of tags that may follow it."""


def after_tags(payload: Payload, at: int) -> int:
    """Return where the next audio starts behind tags (ID3v2, APEv2, ID3v1), `at` itself where there are none.

    Sizes of ID3v2 are 4 times 7 bits, without the tag's own 10 bytes (and as many at its end, if bit 4 says so).
    """
    while True:
        if payload[at : at + 3] == b"ID3" and at + 10 <= len(payload):
            sizes = zip(payload[at + 6 : at + 10], (21, 14, 7, 0), strict=True)
            at += 10 + sum((byte & 0x7F) << shift for byte, shift in sizes) + (10 if payload[at + 5] & 16 else 0)
            if at >= len(payload):
                raise Rejected("audio_truncated", f"an ID3 tag of {at} bytes in a payload of {len(payload)}")
        elif payload[at : at + 8] == b"APETAGEX" and at + 32 <= len(payload):
            at += 32 + read("<I", payload, at + 12)[0]
        elif payload[at : at + 3] == b"TAG" and at + 128 <= len(payload):
            at += 128
        else:
            return min(at, len(payload))


def _lost(payload: Payload, at: int, kind: str) -> Rejected:
    reason = "audio_truncated" if is_blank(payload, at) else "audio_corrupt"
    return Rejected(reason, f"no {kind} frame starts at byte {at} of {len(payload)}")


class _MpegFrame(NamedTuple):
    """Length in bytes, bytes before a Xing header, bits a second, and what a stream can't change."""

    length: int
    xing: int
    bit_rate: int
    form: tuple[Hertz, bool]


def _mpeg_frame(head: bytes) -> _MpegFrame | None:
    """Return an MPEG frame by its 4 bytes of header, None where they are none."""
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
    return _MpegFrame(length, 4 + side, bits, (hertz, mono))


def check_mpeg(payload: Payload, at: int) -> bool:
    """Walk the frames of an MP3 and hold them to its Xing header; return whether libsndfile decodes all of them.

    It does not where files were joined (it ends with the first one's Xing header), nor where frames of several bit
    rates come without a Xing header: it guesses their number from the first one, and stops early or promises too much.
    """
    first = _mpeg_frame(payload[at : at + 4])
    if first is None:
        return True
    declared = _xing_frames(payload, at, first)
    frames, joined = -1, False  # the frame of a Xing header is not counted in it
    seen: dict[bytes, _MpegFrame] = {}
    end = len(payload)
    while at < end:
        head = payload[at : at + 4]
        frame = seen.get(head) or _mpeg_frame(head)
        if frame is None:
            after = after_tags(payload, at)
            if after == at:
                # A rest that is too short for a frame is padding, and any zeros are where no frame is missing.
                if end - at < first.length or (declared and is_blank(payload, at)):
                    break
                raise _lost(payload, at, "MPEG")
            at, joined = after, after < end
            continue
        seen[head] = frame
        at += frame.length
        frames += 1
    if at > end:
        raise Rejected("audio_truncated", "the last frame is cut off")
    # Encoders differ by a frame in what they count.
    if declared and frames < declared - 1:
        raise Rejected("audio_truncated", f"{declared} frames are declared, {frames} are there")
    joined = joined or (bool(declared) and frames > declared + 1)
    one_form = len({frame.form for frame in seen.values()}) == 1
    one_bit_rate = len({frame.bit_rate for frame in seen.values()}) == 1
    return not joined and one_form and (bool(declared) or one_bit_rate)


def _xing_frames(payload: Payload, at: int, first: _MpegFrame) -> int:
    """Return how many frames the first one declares, 0 for none. Raises Rejected where it declares more bytes."""
    xing = at + first.xing
    if payload[xing : xing + 4] not in (b"Xing", b"Info") or xing + 16 > len(payload):
        return 0
    flags, *numbers = read(">III", payload, xing + 4)
    if flags & 2:
        size = numbers[flags & 1]
        # The size starts at the header's own frame; encoders differ by less than a frame in what they count.
        if size - (len(payload) - at) > first.length:
            raise Rejected("audio_truncated", f"the header declares {size} bytes, {len(payload) - at} are there")
    return numbers[0] if flags & 1 else 0


def check_adts(payload: Payload, at: int) -> bool:
    """Walk ADTS frames (ISO/IEC 13818-7 s6.2): each states its length in 13 bits, its header of 7 bytes included."""
    while at < len(payload):
        head = payload[at : at + 7]
        if head[0] != 0xFF or (len(head) > 1 and head[1] & 0xF6 != 0xF0):
            after = after_tags(payload, at)
            if after == at:
                raise _lost(payload, at, "ADTS")
            at = after
            continue
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5 if len(head) == 7 else 7
        if size < 7:
            raise Rejected("audio_corrupt", f"an ADTS frame of {size} bytes")
        at += size
        if at > len(payload):
            raise Rejected("audio_truncated", "the last ADTS frame is cut off")
    return True


def check_amr(payload: Payload, at: int) -> bool:
    """Walk AMR frames: the byte before each states its mode, and has bits that are always 0 (RFC 4867 s5.3)."""
    magic = next((magic for magic in _AMR_BYTES if payload[at : at + len(magic)] == magic), None)
    if magic is None:
        return True
    at += len(magic)
    while at < len(payload):
        mode = payload[at] >> 3 & 15
        if payload[at] & _AMR_ZERO_BITS or not _AMR_BYTES[magic][mode]:
            raise Rejected("audio_corrupt", f"no AMR frame starts at byte {at} of {len(payload)}")
        at += _AMR_BYTES[magic][mode]
    if at > len(payload):
        raise Rejected("audio_truncated", "the last AMR frame is cut off")
    return True


def check_flac(payload: Payload, at: int) -> bool:
    """Compare STREAMINFO's length (RFC 9639 s8.2, 36 bits) with the last frame; libsndfile ends where the former does.

    Returns whether it decodes all: not where frames go on, nor for 0, which stands for "unknown". What is declared and
    missing is found while decoding. Raises Rejected where another file follows, which no decoder goes on with.
    """
    if len(payload) < at + 42:
        raise Rejected("audio_truncated", "the header is cut off")
    form = read(">Q", payload, at + 18)[0]
    declared, bits, channels = form & (1 << 36) - 1, (form >> 36 & 31) + 1, (form >> 41 & 7) + 1
    layouts = (1, 8, 9, 10) if channels == 2 else (channels - 1,)
    fourths = {layout << 4 | size << 1 for layout in layouts for size in (0, _FLAC_SAMPLE_SIZES.get(bits, 0))}
    block_size = read(">H", payload, at + 10)[0]
    longest = int.from_bytes(payload[at + 15 : at + 18])
    other = find(_FLAC_START, payload, at + 4)
    if other is not None:
        raise Rejected("audio_corrupt", f"another FLAC file starts at byte {other} of {len(payload)}")
    tail = payload[max(at + 42, len(payload) - (longest + _TAGS if longest else _FLAC_TAIL)) :]
    places = [found.start() for found in _FLAC_FRAME.finditer(tail)]
    heads = (tail[place : place + 16] for place in reversed(places))
    ends = (_flac_end(head, block_size) for head in heads if head[3:4] and head[3] in fourths)
    # What looks like a header within a frame, and has its checksum too, rarely has its number.
    return declared > 0 and next((end for end in ends if end >= declared), 0) <= declared


def _flac_end(head: bytes, block_size: int) -> int:
    """Return the sample after a FLAC frame by its header (RFC 9639 s9.1), 0 for what is none, by its checksum."""
    if len(head) < 16 or head[4] == 0xFF:
        return 0
    # The number of the frame, or of its sample, is coded like a character of UTF-8, in up to 7 bytes.
    length = max(1, 8 - (head[4] ^ 0xFF).bit_length())
    number = head[4] & (0x7F if length == 1 else (1 << 7 - length) - 1)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    at = 4 + length
    code, rate = head[2] >> 4, head[2] & 15
    size = _FLAC_BLOCK_SIZES[code]
    if code in (6, 7):
        size = int.from_bytes(head[at : at + code - 5]) + 1
        at += code - 5
    at += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not size or at > 15 or _crc8(head[:at]) != head[at]:
        return 0
    return (number if head[1] & 1 else number * block_size) + size


def _crc8(data: bytes) -> int:
    """Return the checksum of a FLAC frame header: polynomial x^8 + x^2 + x + 1, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
