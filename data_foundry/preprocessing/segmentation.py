"""Cutting long clips where nobody speaks, so that no word is lost and the total duration is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_foundry.records import SAMPLE_RATE, Seconds

if TYPE_CHECKING:
    from data_foundry.preprocessing.audio import Samples

_FRAME = SAMPLE_RATE * 30 // 1000
_AGGRESSIVENESS = 2
_MIN_SILENCE: Seconds = 0.18


def speech_frames(samples: Samples) -> np.ndarray:
    """Return one boolean per whole 30 ms frame of a 16 kHz clip: speech, by the WebRTC voice activity detector."""
    import webrtcvad

    detector = webrtcvad.Vad(_AGGRESSIVENESS)
    pcm = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype("<i2").tobytes()
    frames = len(samples) // _FRAME
    step = _FRAME * 2
    heard = (detector.is_speech(pcm[at : at + step], SAMPLE_RATE) for at in range(0, frames * step, step))
    return np.fromiter(heard, bool, frames)


def cut_points(samples: Samples) -> list[int]:
    """Return the middles of the silences of a 16 kHz clip, as sample indices, in order."""
    silent = np.concatenate(([False], ~speech_frames(samples), [False]))
    edges = np.flatnonzero(silent[1:] != silent[:-1])
    starts, ends = edges[::2], edges[1::2]
    long_enough = (ends - starts) * _FRAME >= _MIN_SILENCE * SAMPLE_RATE
    return [int(start + end) * _FRAME // 2 for start, end in zip(starts[long_enough], ends[long_enough], strict=True)]


def segments(samples: Samples, max_seconds: Seconds) -> list[tuple[int, int]]:
    """Cover a 16 kHz clip with (start, end) sample ranges of at most `max_seconds`, end to end.

    Each cut is the last silence that fits; where there is none in the second half of the window, the quietest 30 ms
    there. A clip that fits is one range.
    """
    longest = int(max_seconds * SAMPLE_RATE)
    total = len(samples)
    if total <= longest:
        return [(0, total)]
    points = cut_points(samples)
    ranges: list[tuple[int, int]] = []
    start = 0
    while total - start > longest:
        fitting = [point for point in points if start + longest // 2 <= point <= start + longest]
        end = fitting[-1] if fitting else _quietest(samples, start + longest // 2, start + longest)
        ranges.append((start, end))
        start = end
    ranges.append((start, total))
    return ranges


def _quietest(samples: Samples, start: int, end: int) -> int:
    frames = (end - start) // _FRAME
    power = np.square(samples[start : start + frames * _FRAME], dtype=np.float64).reshape(frames, _FRAME).sum(axis=1)
    return start + int(power.argmin()) * _FRAME + _FRAME // 2
