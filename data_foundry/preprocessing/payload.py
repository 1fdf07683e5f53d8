"""Payload: encoded audio as bytes or as a file, read alike and a few bytes at a time."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any, Self

_BLOCK = 1 << 16


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
            self._at, self._held = start, self._handle.read(max(stop - start, _BLOCK))
        return self._held[start - self._at : max(start, stop) - self._at]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()


Payload = bytes | FileBytes


def read(form: str, payload: Payload, at: int) -> tuple[Any, ...]:
    """Return the numbers at a place of a payload; `form` as `struct` has it."""
    return struct.unpack(form, payload[at : at + struct.calcsize(form)])


def find(pattern: re.Pattern[bytes], payload: Payload, at: int) -> int | None:
    """Return the first place from `at` on where a pattern of up to 64 bytes stands, None where it stands nowhere."""
    if isinstance(payload, bytes):
        found = pattern.search(payload, at)
        return None if found is None else found.start()
    for start in range(at, len(payload), _BLOCK - 64):
        found = pattern.search(payload[start : start + _BLOCK])
        if found is not None:
            return start + found.start()
    return None


def is_blank(payload: Payload, at: int) -> bool:
    """Return whether only zeros follow a place: padding, or what a broken download was to fill."""
    return not any(payload[start : start + _BLOCK].strip(b"\0") for start in range(at, len(payload), _BLOCK))
