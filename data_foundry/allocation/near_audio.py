"""Clips that sound nearly the same: one recording by another road (resampled, telephone, codec, trimmed, noisier).

Two clips are near when, laid over each other at the best offset, at most 22 % of the bits of their fingerprints
(`preprocessing.fingerprint`) differ, over at least 20 words with speech (0.5 s) and 60 % of the speech of the shorter
one. So a piece cut out of a clip is near it, while clips that share less than 60 % of the shorter are not; nor are a
faster or slower copy, another pitch, or speech under noise as loud as 10 dB below it (found in 4 of 5 clips).

As in Haitsma and Kalker (2002), candidates are clips with an equal word; here 26 bits of it, without the highest
bands, where codecs and telephones do most harm. Measured in benchmarks/near: different speakers who say the same
sentence differ in 29 % at least, the same speaker saying it again in 25 %.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

import numpy as np

from data_foundry.allocation.neighbours import Near, distinct, equal_neighbours

LARGEST_ERROR = 0.22
FEWEST_WORDS = 20
SHARE_OF_SHORTER = 0.6

_INDEXED = np.uint32(0x0FFF3FFF)
_NEXT_IN_BUCKET = 64
"""A word that more clips share (a beep, a jingle) links each with so many others; chains tie the rest."""
_BLOCK = 1 << 22
_AROUND = (-12, -6, 6, 12)
_ERROR_AROUND = 0.3
_BITS_AROUND = 64
_ERROR_OF_QUARTER = 0.3
_CANDIDATES = 1 << 14
_OFFSETS = 1 << 17
"""More than there are words in a clip of 26 minutes, either way."""


class NearAudio:
    """Compares the fingerprints of clips, which are added one by one.

    Memory: the different fingerprints twice (330 bytes a second of audio) and about 300 MB while comparing.
    """

    METHOD = (
        f"fingerprints of the sound differ in at most {LARGEST_ERROR:.0%} of their bits at the best offset, over "
        f"{SHARE_OF_SHORTER:.0%} of the speech of the shorter clip"
    )

    def __init__(self) -> None:
        self._contents: dict[bytes, int] = {}
        self._rows = array("q")

    def add(self, fingerprint: bytes | None) -> None:
        """Add the next row's fingerprint, None where it has none."""
        if not fingerprint:
            self._rows.append(-1)
        else:
            self._rows.append(self._contents.setdefault(fingerprint, len(self._contents)))

    def found(self) -> Near:
        """Compare all rows with each other."""
        rows = np.array(self._rows, dtype=np.int64)
        prints = sorted(self._contents)
        rank = np.empty(len(prints) + 1, dtype=np.int64)
        rank[[self._contents[content] for content in prints]] = np.arange(len(prints))
        rank[-1] = -1
        clips = _Clips(prints)
        first, second = clips.near_pairs()
        name = np.array([_name(content) for content in prints], dtype=np.uint64)
        counts = {
            "rows": len(rows),
            "compared": int((rows >= 0).sum()),
            "contents": len(prints),
            "candidates": clips.candidates,
            "pairs": len(first),
        }
        return Near(rank[rows], first, second, name, counts)


def _name(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") or 1


class _Clips:
    """The words of all clips in one array, each clip followed by words of silence enough to look around any place."""

    def __init__(self, prints: list[bytes]) -> None:
        margin = bytes(4 * _AROUND[-1])
        self.words = np.frombuffer(margin + b"".join(part for clip in prints for part in (clip, margin)), dtype="<u4")
        lengths = np.array([len(clip) // 4 for clip in prints], dtype=np.int64)
        self.start = _AROUND[-1] + np.cumsum(lengths + _AROUND[-1]) - lengths - _AROUND[-1]
        self.end = self.start + lengths
        self.speech = np.array([np.count_nonzero(np.frombuffer(clip, dtype="<u4")) for clip in prints])
        self.candidates = 0

    def near_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the clips that are near, first < second, sorted."""
        found = [np.zeros(0, dtype=np.int64)]
        for ours, theirs in self._equal_words():
            found.append(self._placed(ours, theirs))
            if sum(map(len, found)) > _BLOCK:
                found = [distinct(np.concatenate(found))]
        codes = distinct(np.concatenate(found))
        self.candidates = len(codes)
        near = [np.zeros(0, dtype=np.int64)]
        for at in range(0, len(codes), _CANDIDATES):
            chosen = codes[at : at + _CANDIDATES]
            # Most are sent away by a quarter of their words.
            chosen = chosen[self._error(chosen, every=4) <= _ERROR_OF_QUARTER]
            near.append(chosen[self._error(chosen, every=1) <= LARGEST_ERROR] // _OFFSETS)
        pairs = distinct(np.concatenate(near))
        return pairs // max(1, len(self.start)), pairs % max(1, len(self.start))

    def _equal_words(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield places of words that are equal where they are indexed; some millions of words at a time."""
        parts = 1 + len(self.words) // _BLOCK
        for part in range(parts):
            places = np.concatenate(
                [at + self._indexed(at, part, parts) for at in range(0, len(self.words), _BLOCK)] or [np.zeros(0, int)]
            )
            keys = self.words[places] & _INDEXED
            for ours, theirs in equal_neighbours(keys, _NEXT_IN_BUCKET):
                yield places[ours], places[theirs]

    def _indexed(self, at: int, part: int, parts: int) -> np.ndarray:
        """Return which words of a block belong to a part: those of speech, the first of a run of equal ones."""
        words = self.words[at : at + _BLOCK]
        before = np.concatenate((self.words[max(0, at - 1) : at], words[:-1])) if at else np.roll(words, 1)
        keys = words & _INDEXED
        fresh = (words != 0) & ((before == 0) | (keys != before & _INDEXED))
        mixed = (keys * np.uint32(2654435761)) >> np.uint32(8)
        return np.flatnonzero(fresh & (mixed % np.uint32(parts) == part))

    def _placed(self, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        """Return a code of (clip, later clip, offset) for the places around which two different clips are alike."""
        ours, theirs = np.minimum(ours, theirs), np.maximum(ours, theirs)
        errors = np.zeros(len(ours), dtype=np.int16)
        compared = np.zeros(len(ours), dtype=np.int16)
        for step in _AROUND:
            a, b = self.words[ours + step], self.words[theirs + step]
            heard = (a != 0) & (b != 0)
            errors += np.where(heard, np.bitwise_count(a ^ b), 0).astype(np.int16)
            compared += 32 * heard
        alike = (errors <= _ERROR_AROUND * compared) & (compared >= _BITS_AROUND)
        ours, theirs = ours[alike], theirs[alike]
        a = np.searchsorted(self.start, ours, side="right") - 1
        b = np.searchsorted(self.start, theirs, side="right") - 1
        offset = (theirs - self.start[b]) - (ours - self.start[a]) + _OFFSETS // 2
        return distinct(((a * len(self.start) + b) * _OFFSETS + offset)[a != b])

    def _error(self, codes: np.ndarray, every: int) -> np.ndarray:
        """Return for each candidate the share of bits that differ where both clips hold speech; 1.0: too little of it.

        Of the words that lie over each other each n-th is looked at.
        """
        pairs, offset = codes // _OFFSETS, codes % _OFFSETS - _OFFSETS // 2
        a, b = pairs // len(self.start), pairs % len(self.start)
        ours, theirs = self.start[a] + np.maximum(0, -offset), self.start[b] + np.maximum(0, offset)
        count = -(-np.maximum(0, np.minimum(self.end[a] - ours, self.end[b] - theirs)) // every)
        first = np.cumsum(count) - count
        place = every * (np.arange(count.sum()) - np.repeat(first, count))
        left = self.words[np.repeat(ours, count) + place]
        right = self.words[np.repeat(theirs, count) + place]
        heard = (left != 0) & (right != 0)
        owner = np.repeat(np.arange(len(codes)), count)
        compared = np.bincount(owner[heard], minlength=len(codes))
        errors = np.bincount(owner, np.where(heard, np.bitwise_count(left ^ right), 0), minlength=len(codes))
        fewest = np.maximum(FEWEST_WORDS, SHARE_OF_SHORTER * np.minimum(self.speech[a], self.speech[b]))
        # A quarter of the words may hold less than a quarter of the speech.
        enough = compared * every >= (fewest if every == 1 else fewest / 2)
        return np.where(enough, errors / np.maximum(1, 32 * compared), 1.0)
