"""Which calls a candidate hears or answers: a keyed hash of the call's id, the same in every gateway and every year.

One hash for each purpose, independent of the others: whether a call is mirrored says nothing of whether the version in
staging answers it, nor of which version is asked first. Who does not know the key can't place a call in or out of a
share, nor find a call's id from what is stored.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Purpose = Literal["shadow", "staging"]


def is_chosen(call_id: str, key: bytes, share: float, purpose: Purpose) -> bool:
    """Say whether a call belongs to a share (0..1) of all; a greater share holds every call of a smaller one."""
    return int.from_bytes(_lot(call_id, key, purpose)) < share * 2**64


def candidate_first(call_id: str, key: bytes) -> bool:
    """Draw by lot which version of a pair is asked first: what the first one warms up, the second one finds warm."""
    return bool(_lot(call_id, key, "order")[0] & 1)


def call_hash(call_id: str, key: bytes) -> str:
    """Return what stands for a call wherever its id may not be kept: 16 hex digits."""
    return _lot(call_id, key, "call").hex()


def _lot(call_id: str, key: bytes, purpose: str) -> bytes:
    text = call_id.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8, key=key, person=purpose.encode()).digest()
