"""Ogg pages (RFC 3533): numbered, checksummed, with a first and a last one of every stream."""

from __future__ import annotations

import struct
import zlib

from data_foundry.preprocessing.payload import Payload
from data_foundry.records import Rejected

_PAGE = 27 + 255 + 255 * 255
"""The longest page in bytes."""
_FIRST, _LAST = 2, 4
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Every byte with its bits in reverse order."""


def check_ogg(payload: Payload, at: int) -> bool:
    """Hold the pages to their numbers, checksums and last page; return whether libsndfile decodes all of them.

    A decoder passes over a damaged page and what depends on it, and counts the rest for the whole. Of streams that
    follow each other (s4, "chained") libsndfile decodes the first one, ffmpeg all.
    """
    numbers: dict[int, int] = {}
    ended = chained = False
    while payload[at : at + 4] == b"OggS":
        head = payload[at : at + 27]
        if len(head) < 27:
            raise Rejected("audio_truncated", "the last Ogg page is cut off")
        flags, serial, number, lacing = head[5], *struct.unpack_from("<II", head, 14), head[26]
        end = at + 27 + lacing + sum(payload[at + 27 : at + 27 + lacing])
        if at + 27 + lacing > len(payload) or end > len(payload):
            raise Rejected("audio_truncated", "the last Ogg page is cut off")
        if not flags & _FIRST and number != numbers.get(serial, -1) + 1:
            raise Rejected("audio_corrupt", f"Ogg page {number} follows page {numbers.get(serial, 'none')}")
        if not _is_intact(payload[at:end]):
            raise Rejected("audio_corrupt", f"the checksum of Ogg page {number} is not that of its bytes")
        chained = chained or (ended and bool(flags & _FIRST))
        numbers[serial] = number
        ended = bool(flags & _LAST)
        at = end
    if not ended:
        raise Rejected("audio_truncated", "the Ogg stream has no last page")
    if b"OggS" in payload[at : at + _PAGE]:
        raise Rejected("audio_corrupt", f"no Ogg page starts at byte {at}, and more of them follow")
    return not chained


def _is_intact(page: bytes) -> bool:
    """Return whether a page has the checksum that its header states, in bytes 22 to 25, which count as zeros.

    It is zlib's CRC-32 with all bits mirrored, and with nothing inverted before and after.
    """
    mirrored = page.translate(_MIRRORED)
    found = zlib.crc32(mirrored[26:], zlib.crc32(bytes(4), zlib.crc32(mirrored[:22], 0xFFFFFFFF)))
    return found ^ 0xFFFFFFFF == int.from_bytes(mirrored[22:26])
