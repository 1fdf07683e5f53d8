"""Clips of one recording are tied by their fingerprints, and no others."""

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_foundry.allocation import near_audio
from data_foundry.allocation.near_audio import FEWEST_WORDS, LARGEST_ERROR, NearAudio
from data_foundry.allocation.neighbours import Near, equal_neighbours
from data_foundry.preprocessing import fingerprint as fingerprints
from tests.preprocessing.voices import voice


def clip(words: int, seed: int) -> np.ndarray:
    """A fingerprint whose bits change as slowly as those of speech, with a pause in it."""
    random = np.random.default_rng(seed)
    bits = np.repeat(random.random((words // 3 + 1, 32)) < 0.5, 3, axis=0)[:words] ^ (random.random((words, 32)) < 0.05)
    found = np.maximum(np.packbits(bits, axis=1, bitorder="little").view("<u4").ravel(), 1)
    found[words // 2 : words // 2 + 5] = 0
    return found


def changed(words: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """The same with a share of its bits turned round."""
    random = np.random.default_rng(seed)
    turned = np.packbits(random.random((len(words), 32)) < share, axis=1, bitorder="little").view("<u4").ravel()
    return np.where(words == 0, 0, np.maximum(words ^ turned, 1)).astype("<u4")


def keys_of(*clips: np.ndarray | None) -> list[int]:
    return compared(None if words is None else words.tobytes() for words in clips).keys.tolist()


def compared(fingerprints: Iterable[bytes | None]) -> Near:
    sounds = NearAudio()
    for words in fingerprints:
        sounds.add(words)
    return sounds.found()


OTHERS = [clip(120, seed) for seed in range(100, 140)]


def test_a_clip_with_a_tenth_of_its_bits_changed_is_tied_to_the_clip():
    first, second, *others = keys_of(clip(120, 1), changed(clip(120, 1), 0.1), *OTHERS)
    assert first == second != 0
    assert not any(others)


def test_a_clip_of_which_more_bits_differ_than_allowed_is_another():
    assert not any(keys_of(clip(120, 1), changed(clip(120, 1), LARGEST_ERROR + 0.08), *OTHERS))


def test_trimmed_clips_and_pieces_are_tied_to_the_whole():
    whole = clip(400, 2)
    pad = np.zeros(30, "<u4")
    keys = keys_of(whole, whole[17:], np.concatenate([pad, changed(whole, 0.05), pad]), whole[100:160], *OTHERS)
    assert len(set(keys[:4])) == 1 and keys[0]
    assert not any(keys[4:])


def test_clips_that_share_less_than_their_greater_part_are_not_tied():
    ours, theirs, shared = clip(120, 3), clip(120, 4), clip(120, 5)
    assert not any(keys_of(np.concatenate([ours, shared]), np.concatenate([shared, theirs])))


def test_a_few_words_are_too_little_to_tell():
    piece = clip(120, 6)[: FEWEST_WORDS - 1]
    assert not any(keys_of(clip(120, 6), piece))


def test_equal_fingerprints_share_a_key_and_silence_has_none():
    keys = keys_of(clip(120, 7), clip(120, 7), None, np.zeros(0, "<u4"), clip(120, 8))
    assert keys[0] == keys[1] != 0
    assert keys[2:] == [0, 0, 0]


def test_a_sound_that_many_clips_share_ties_them_all():
    beep = clip(60, 9)
    clips = [changed(beep, 0.06, seed) for seed in range(300)]
    keys = keys_of(*clips, *OTHERS)
    assert len(set(keys[:300])) == 1 and keys[0]
    assert not any(keys[300:])


def test_the_keys_do_not_depend_on_the_order_of_rows():
    clips = [changed(clip(90, seed % 40), 0.03, seed) for seed in range(80)] + [None, *OTHERS[:10]]
    keys = np.array(keys_of(*clips), dtype=np.uint64)
    order = np.random.default_rng(1).permutation(len(clips))
    assert keys_of(*[clips[place] for place in order]) == keys[order].tolist()
    assert keys[:80].all()


def test_what_is_compared_in_small_parts_is_compared_the_same(monkeypatch):
    clips = [changed(clip(90, seed % 40), 0.03, seed) for seed in range(80)]
    whole = keys_of(*clips)
    monkeypatch.setattr(near_audio, "_BLOCK", 1000)
    monkeypatch.setattr(near_audio, "_CANDIDATES", 7)
    assert keys_of(*clips) == whole


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=200).map(lambda data: data[: len(data) // 4 * 4])), max_size=8))
def test_any_fingerprints_have_keys(contents):
    keys = compared(contents).keys
    assert keys.dtype == np.uint64 and len(keys) == len(contents)
    assert not any(key for key, content in zip(keys.tolist(), contents, strict=True) if not content)


def test_the_sound_itself_is_found_by_another_road_and_another_sound_is_not():
    random = np.random.default_rng(2)
    sounds = [voice(3.0, seed) for seed in range(30)]
    copies = [0.3 * sound[900:] + random.normal(0, 1e-3, len(sound) - 900).astype(np.float32) for sound in sounds[:10]]
    near = compared(fingerprints.fingerprint(sound.astype(np.float32)) for sound in [*sounds, *copies])
    for place in range(10):
        assert np.flatnonzero(near.touched(np.arange(40) == place)).tolist() == [place, 30 + place]
    assert near.counts["pairs"] == 10


def test_both_sides_mean_the_same_by_a_word():
    assert FEWEST_WORDS == fingerprints.FEWEST_WORDS


def test_places_of_an_equal_key_meet_their_next_ones_and_no_more():
    keys = np.array([5, 7, 5, 5, 9, 5])
    met = [pair for a, b in equal_neighbours(keys, 2) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    assert sorted(met) == [(0, 2), (0, 3), (2, 3), (2, 5), (3, 5)]
