"""Messages over a socket: eight bytes of length, then the message."""

from __future__ import annotations

import struct

_LENGTH = struct.Struct(">Q")
MAX_MESSAGE = 64 * 2**20
"""Bytes of a message that may hold a caller's audio."""
MAX_ANSWER = 2**20
"""Bytes of a message from a candidate; while one is read, the gateway does nothing else."""


class TooLong(Exception):
    """A message is announced that is longer than any may be."""


def frame(message: bytes) -> bytes:
    """Return a message as it is sent."""
    return _LENGTH.pack(len(message)) + message


class Frames:
    """Takes bytes as they arrive, gives whole messages of at most `most` bytes each."""

    def __init__(self, most: int = MAX_MESSAGE) -> None:
        self._bytes, self._most = bytearray(), most

    def feed(self, some: bytes) -> None:
        """Add bytes that arrived."""
        self._bytes += some

    def message(self) -> bytes | None:
        """Return the next whole message, None while there is none. Raises TooLong."""
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if length > self._most:
            raise TooLong(str(length))
        end = _LENGTH.size + length
        if len(self._bytes) < end:
            return None
        message = bytes(self._bytes[_LENGTH.size : end])
        del self._bytes[:end]
        return message
