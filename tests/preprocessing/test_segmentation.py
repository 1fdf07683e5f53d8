"""Segmentation: long clips are cut in their pauses, end to end, wherever they are read from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from data_foundry.preprocessing.segmentation import cut

from .audio_builders import bursts, segments, tone


def test_a_long_clip_is_cut_in_its_pauses_end_to_end():
    samples = bursts(2.5, 0.5, 20)
    ranges = segments(samples, 10.0)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(samples)
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    assert all(end - start <= 160_000 for start, end in ranges)
    for _, end in ranges[:-1]:
        assert (end / 16_000) % 3.0 >= 2.4  # every cut lies in a pause of the last half second


def test_a_clip_without_pauses_is_still_cut_into_pieces_that_fit():
    samples = tone(25.0)
    ranges = segments(samples, 10.0)
    assert sum(end - start for start, end in ranges) == len(samples)
    assert all(0 < end - start <= 160_000 for start, end in ranges)


def test_a_clip_that_fits_is_not_cut():
    assert segments(tone(3.0), 30.0) == [(0, 48_000)]


def test_a_cut_is_the_middle_of_the_longest_pause_of_the_windows_second_half():
    pauses = [np.random.default_rng(0).normal(0, 1e-4, int(seconds * 16_000)) for seconds in (2.0, 0.8, 0.3)]
    voice = bursts(2.0, 0.0, 1)
    samples = np.concatenate([voice, pauses[0], voice, voice, pauses[1], voice, pauses[2], voice]).astype(np.float32)
    assert abs(cut(samples) / 16_000 - 8.4) < 0.2  # 2 + 2 + 2 + 2 s, then the middle of the pause of 0.8 s


def test_every_sample_is_in_exactly_one_segment_whatever_the_length():
    samples = bursts(0.7, 0.3, 12)
    for length in (1, 479, 480, 16_000, 16_001, 31_999, 32_000, 32_001, len(samples)):
        ranges = segments(samples[:length], 1.0)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == length
        assert all(left[1] == right[0] for left, right in pairwise(ranges))
        assert all(0 < end - start <= 16_000 for start, end in ranges)
