"""Messages over a socket: eight bytes of length, then the message."""

from __future__ import annotations

import struct

_LENGTH = struct.Struct(">Q")
MAX_MESSAGE = 64 * 2**20


class TooLong(Exception):
    """A message is announced that is longer than any may be."""


def frame(message: bytes) -> bytes:
    """Return a message as it is sent."""
    return _LENGTH.pack(len(message)) + message


class Frames:
    """Takes bytes as they arrive, gives whole messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, some: bytes) -> None:
        """Add bytes that arrived."""
        self._bytes += some

    def message(self) -> bytes | None:
        """Return the next whole message, None while there is none. Raises TooLong."""
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if length > MAX_MESSAGE:
            raise TooLong(str(length))
        end = _LENGTH.size + length
        if len(self._bytes) < end:
            return None
        message = bytes(self._bytes[_LENGTH.size : end])
        del self._bytes[:end]
        return message
