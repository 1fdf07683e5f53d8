"""Lost packets: how many, how they cluster, and what is heard instead of them."""

from itertools import pairwise

import numpy as np
import pytest

from data_foundry.telephony.loss import concealed, lost_frames
from tests.telephony.voice_builders import tone, voice

FRAME = 160


def burst_lengths(lost: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(lost.astype(int), prepend=0, append=0))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("burst", [1.0, 2.5, 8.0])
def test_share_and_mean_burst_are_those_asked_for(share, burst):
    lost = lost_frames(400_000, share, burst, seed=11)
    # Four standard errors of means over so many bursts.
    bursts = 400_000 * share / burst
    lengths = burst_lengths(lost)
    assert lost.mean() == pytest.approx(share, rel=4 * np.sqrt(2) / np.sqrt(bursts))
    assert lengths.mean() == pytest.approx(burst, rel=4 / np.sqrt(bursts))


def test_burst_lengths_are_geometric():
    lengths = burst_lengths(lost_frames(1_000_000, 0.1, 3.0, seed=5))
    for most in (1, 2, 4, 8):
        assert np.mean(lengths <= most) == pytest.approx(1 - (1 - 1 / 3) ** most, abs=0.015)


def test_short_clips_lose_the_same_share_as_long_ones():
    lost = np.concatenate([lost_frames(50, 0.1, 4.0, seed) for seed in range(4000)])
    assert lost.mean() == pytest.approx(0.1, rel=0.06)
    first = np.mean([lost_frames(50, 0.1, 4.0, seed)[0] for seed in range(4000)])
    assert first == pytest.approx(0.1, abs=0.02)


def test_nothing_is_lost_when_nothing_should_be():
    assert not lost_frames(1000, 0.0, 3.0, seed=1).any()
    assert not len(lost_frames(0, 0.3, 3.0, seed=1))


def test_a_lost_packet_of_a_steady_tone_is_hardly_missed():
    sound = tone(125, rate=8000)
    lost = np.zeros(50, bool)
    lost[20] = True
    heard = concealed(sound, lost, FRAME, "repeat")
    place = slice(20 * FRAME, 20 * FRAME + 80)
    error = np.square(heard[place] - sound[place]).mean() / np.square(sound[place]).mean()
    assert error < 0.001


def test_what_replaces_a_packet_is_continuous_with_both_sides():
    sound = tone(130, seconds=4, rate=8000)
    lost = lost_frames(200, 0.1, 2.0, seed=3)
    largest = {how: np.abs(np.diff(concealed(sound, lost, FRAME, how))).max() for how in ("repeat", "silence")}
    assert largest["repeat"] < 1.5 * np.abs(np.diff(sound)).max() < 0.3 * largest["silence"]


def test_a_period_that_ends_louder_than_it_began_is_repeated_without_a_step():
    times = np.arange(30 * FRAME) / 8000
    # A tone of 100 Hz that grows by half every period, lost at its peak.
    sound = (1e-3 * np.exp(40 * (times - 0.3)) * np.cos(2 * np.pi * 100 * times)).astype(np.float32)
    lost = np.zeros(30, bool)
    lost[20] = True
    heard = concealed(sound, lost, FRAME, "repeat")[20 * FRAME - 80 : 21 * FRAME]
    assert np.abs(np.diff(heard)).max() < 1.5 * np.abs(np.diff(sound[20 * FRAME - 160 : 20 * FRAME])).max()


def test_only_lost_packets_and_their_seams_change():
    sound = voice(4, 8000)
    lost = np.zeros(200, bool)
    lost[[51, 52, 131]] = True
    heard = concealed(sound, lost, FRAME, "repeat")
    changed = np.flatnonzero(heard != sound)
    # A quarter of the longest pitch period before, 10 ms at most after.
    near = np.zeros(len(sound), bool)
    for first, last in ((51, 53), (131, 132)):
        near[first * FRAME - 30 : last * FRAME + 80] = True
    assert len(changed) and near[changed].all()
    assert sound is not heard and np.array_equal(concealed(sound, lost & False, FRAME, "repeat"), sound)


def test_a_long_burst_fades_and_ends_in_silence():
    sound = tone(200, seconds=1, rate=8000)
    lost = np.zeros(50, bool)
    lost[20:35] = True
    heard = concealed(sound, lost, FRAME, "repeat")
    levels = [np.abs(heard[20 * FRAME + at : 20 * FRAME + at + 80]).max() for at in range(0, 640, 80)]
    assert levels[0] == pytest.approx(0.25, rel=0.02)
    assert levels[2] == pytest.approx(0.8 * levels[0], rel=0.05)
    assert all(later < earlier for earlier, later in pairwise(levels[1:7]))
    assert not heard[20 * FRAME + 480 : 35 * FRAME].any()


def test_silence_is_what_silence_says():
    sound = tone(200, rate=8000)
    lost = np.zeros(50, bool)
    lost[[0, 30]] = True
    heard = concealed(sound, lost, FRAME, "silence")
    assert not heard[:FRAME].any() and not heard[30 * FRAME : 31 * FRAME].any()
    assert np.array_equal(heard[FRAME : 30 * FRAME], sound[FRAME : 30 * FRAME])


@pytest.mark.parametrize("method", ["repeat", "silence"])
@pytest.mark.parametrize("size", [0, 1, 159, 160, 161, 1000])
def test_clips_of_any_length_whose_every_packet_is_lost_are_silent(method, size):
    sound = voice(1, 8000)[:size]
    lost = np.ones(-(-size // FRAME), bool)
    heard = concealed(sound, lost, FRAME, method)
    assert len(heard) == size and not heard.any()


def test_a_last_packet_that_is_short_and_lost_is_filled_to_its_end():
    sound = tone(125, rate=8000)[: 20 * FRAME + 37]
    lost = np.zeros(21, bool)
    lost[20] = True
    heard = concealed(sound, lost, FRAME, "repeat")
    assert len(heard) == len(sound)
    assert np.allclose(heard[20 * FRAME :], sound[20 * FRAME :], atol=0.02)
