"""Texts that are handed out once, and spoken two at a time: what keeps the repositories' lines apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sample.corpus import Utterance
from sample.speech import SPEAKING_RATE_HZ, Voice, speak

SHORTEST, LONGEST = 1.2, 3.75  # seconds; the tiny speech model hears four, and lossy codecs add up to 0.15
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Clip:
    """One spoken text: mono float32 samples at 22 050 Hz, by a voice."""

    utterance: Utterance
    voice: Voice
    samples: np.ndarray

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / SPEAKING_RATE_HZ


class Pool:
    """A list of texts from which each text is taken at most once."""

    def __init__(self, texts: list[Utterance]) -> None:
        self._left = list(reversed(texts))

    def take(self, count: int) -> list[Utterance]:
        """Take the next ``count`` texts. Raises ValueError when fewer are left."""
        if count > len(self._left):
            raise ValueError(f"the pool has {len(self._left)} texts left, not {count}")
        return [self._left.pop() for _ in range(count)]

    def speak(self, count: int, voices: tuple[Voice, ...]) -> list[Clip]:
        """Take and speak texts, the voices in turn, until ``count`` clips of 1.2 to 3.75 seconds stand."""
        clips: list[Clip] = []
        while len(clips) < count:
            texts = self.take(count - len(clips))
            spoken = speak_all([(text, voices[(len(clips) + place) % len(voices)]) for place, text in enumerate(texts)])
            clips += [clip for clip in spoken if SHORTEST <= clip.seconds <= LONGEST]
        return clips


def speak_all(lines: list[tuple[Utterance, Voice]]) -> list[Clip]:
    """Speak each (text, voice), two at a time, in order."""
    return in_pairs(lambda line: Clip(line[0], line[1], speak(line[0].text, line[1])), lines)


def in_pairs(work: Callable[[_Item], _Made], items: Iterable[_Item]) -> list[_Made]:
    """Map over items with two threads, keeping order: the work waits on espeak-ng and ffmpeg, not on Python."""
    with ThreadPoolExecutor(max_workers=2) as two:
        return list(two.map(work, items))
