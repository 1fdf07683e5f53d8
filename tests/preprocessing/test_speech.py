"""Speech: a recording's pieces cover it, carry the right samples, and are the same however it is read."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from data_foundry.config import AudioGates
from data_foundry.preprocessing import audio
from data_foundry.preprocessing.audio import decode, length_at_16k, to_16k
from data_foundry.preprocessing.chunks import Chunk, timed_chunks
from data_foundry.preprocessing.speech import Piece, pieces
from data_foundry.records import SAMPLE_RATE, Rejected

from .audio_builders import bursts, encoded, segments, through_ffmpeg, tone

GATES = AudioGates(max_segment_seconds=2.0)


def chunk(start: float, end: float) -> Chunk:
    return Chunk(start, end, "മഴ", None)


def small_blocks(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    """Read recordings in blocks so small that a short one takes the way of a long one."""
    read = audio.read_blocks
    monkeypatch.setattr(audio, "read_blocks", lambda recording: read(recording, values))


def same(left: list[Piece], right: list[Piece]) -> bool:
    return len(left) == len(right) and all(
        a._replace(samples=None, source=None, refusal=str(a.refusal))
        == b._replace(samples=None, source=None, refusal=str(b.refusal))
        and np.array_equal(a.samples, b.samples)
        and np.array_equal(a.source, b.source)
        for a, b in zip(left, right, strict=True)
    )


def test_a_short_recording_is_one_piece_the_whole_of_it():
    samples = tone(1.5, 48_000)
    (piece,) = pieces(encoded(samples, 48_000, "float"), [], GATES)
    assert np.array_equal(piece.samples, to_16k(samples, 48_000))
    assert np.array_equal(piece.source, samples)
    assert (piece.number, piece.rate, piece.start, piece.end, piece.aligned) == (0, 48_000, None, None, True)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_a_long_recording_is_cut_end_to_end_and_no_sample_is_lost(rate):
    source = np.interp(np.arange(20 * rate) / rate, np.arange(320_000) / 16_000, bursts(1.2, 0.4, 13)[:320_000])
    payload = encoded(source.astype(np.float32), rate)
    whole = to_16k(decode(payload).samples, rate)
    found = list(pieces(payload, [], GATES))
    assert np.array_equal(np.concatenate([piece.samples for piece in found]), whole)
    assert [len(piece.samples) for piece in found] == [end - start for start, end in segments(whole, 2.0)]
    assert [piece.number for piece in found] == list(range(len(found)))
    assert all(left.end == right.start for left, right in pairwise(found))
    assert (found[0].start, found[-1].end) == (0.0, length_at_16k(20 * rate, rate) / SAMPLE_RATE)
    assert not any(piece.aligned for piece in found)
    assert all(abs(len(piece.source) / rate - len(piece.samples) / SAMPLE_RATE) < 2e-4 for piece in found)
    np.testing.assert_allclose(sum(len(piece.source) for piece in found), len(source), atol=rate // SAMPLE_RATE + 1)


@pytest.mark.parametrize("codec", ["wav16", "flac", "mp3", "opus", "mulaw"])
@pytest.mark.parametrize("values", [3_001, 40_000])
def test_blocks_bytes_and_files_give_the_same_pieces_bit_for_bit(codec, values, tmp_path, monkeypatch):
    left = bursts(1.1, 0.3, 8)
    payload = encoded(np.stack([left, np.roll(left, 50) * 0.5], axis=1), 48_000, codec)
    (tmp_path / "file").write_bytes(payload)
    chunks = [chunk(0.5, 1.0), chunk(0.2, 3.1), chunk(2.9, 3.2), chunk(3.3, 99.0), chunk(0.0, 2.0), chunk(1.0, 1.5)]
    once = [list(pieces(payload, given, GATES)) for given in ([], chunks)]
    small_blocks(monkeypatch, values)
    for source in (payload, tmp_path / "file"):
        assert all(same(list(pieces(source, given, GATES)), one) for given, one in zip(([], chunks), once, strict=True))


def test_blocks_of_an_ffmpeg_format_give_the_same_pieces_bit_for_bit(tmp_path, monkeypatch):
    payload = through_ffmpeg(bursts(1.1, 0.3, 4), 16_000, "a.m4a", tmp_path)
    once = list(pieces(payload, [], GATES))
    small_blocks(monkeypatch, 7_000)
    assert len(once) > 2
    assert same(list(pieces(tmp_path / "a.m4a", [], GATES)), once)


def test_the_mix_is_decided_on_the_whole_of_a_recording_that_is_read_in_blocks(monkeypatch):
    left = bursts(0.9, 0.3, 5)
    right = np.concatenate([left[:8_000], -left[8_000:]])  # in phase only at first
    payload = encoded(np.stack([left, right], axis=1), 16_000, "float")
    small_blocks(monkeypatch, 4_000)
    found = list(pieces(payload, [], GATES))
    assert all(piece.flags == ("opposite_phase",) for piece in found)
    assert np.array_equal(np.concatenate([piece.samples for piece in found]), left)


@pytest.mark.parametrize("codec", ["wav16", "flac", "mp3", "opus"])
def test_a_recording_that_ends_too_early_yields_no_piece_at_all(codec, monkeypatch):
    payload = encoded(np.random.default_rng(0).normal(0, 0.1, 480_000).astype(np.float32), 48_000, codec)
    small_blocks(monkeypatch, 48_000)
    with pytest.raises(Rejected) as refusal:
        next(pieces(payload[: len(payload) * 3 // 4], [], GATES))
    assert refusal.value.reason == "audio_truncated"


def test_chunks_give_one_piece_each_in_the_order_in_which_they_end():
    samples = tone(10.0)
    found = list(pieces(encoded(samples, 16_000, "float"), [chunk(3.0, 4.5), chunk(0.0, 1.0), chunk(0.5, 2.0)], GATES))
    assert [(piece.start, piece.end) for piece in found] == [(0.0, 1.0), (0.5, 2.0), (3.0, 4.5)]
    for piece in found:
        assert np.array_equal(piece.samples, samples[int(piece.start * 16_000) : int(piece.end * 16_000)])
        assert piece.aligned
        assert (piece.chunk.start, piece.chunk.end) == (piece.start, piece.end)


def test_a_chunk_that_is_too_long_is_cut_at_silences_and_its_text_belongs_to_no_piece():
    samples = bursts(0.9, 0.3, 8)
    found = list(pieces(encoded(samples, 16_000, "float"), [chunk(0.0, 1.0), chunk(1.0, 7.0)], GATES))
    assert [piece.aligned for piece in found] == [True] + [False] * (len(found) - 1)
    assert len(found) > 3
    assert np.array_equal(np.concatenate([piece.samples for piece in found]), samples[:112_000])


@pytest.mark.parametrize(
    "times", [(-1.0, 1.0), (2.0, 2.0), (2.0, 1.0), (4.0, 9.0), (20.0, 21.0), (-5.0, -4.0), (4.0, 1e308), (-1e308, 1.0)]
)
def test_a_chunk_outside_its_recording_is_refused_and_spares_its_neighbours(times):
    found = list(pieces(encoded(tone(5.0), 16_000), [chunk(0.0, 1.0), chunk(*times), chunk(1.0, 2.0)], GATES))
    (refused,) = (piece for piece in found if piece.refusal)
    assert refused.refusal.reason == "bad_chunk_times"
    assert (refused.start, refused.end) == times
    assert len(refused.samples) == 0
    assert sum(len(piece.samples) for piece in found) == 32_000


def test_a_chunk_may_end_after_its_recording_by_no_more_than_rounding():
    (_, last) = pieces(encoded(tone(2.0), 16_000), [chunk(0.0, 1.0), chunk(1.0, 2.09)], GATES)
    assert last.end == 2.0
    assert len(last.samples) == 16_000


def test_one_chunk_of_a_recording_is_its_piece_however_short_the_recording():
    (piece,) = pieces(encoded(tone(1.8), 16_000), [chunk(0.2, 1.0)], GATES)
    assert (piece.chunk, piece.start, piece.end, len(piece.samples)) == (chunk(0.2, 1.0), 0.2, 1.0, 12_800)
    assert piece.coverage.outside_chunks == 16_000
    (beyond,) = pieces(encoded(tone(1.8), 16_000), [chunk(0.2, 500.0)], GATES)
    assert beyond.refusal.reason == "bad_chunk_times"


def test_memory_does_not_grow_with_the_length_of_a_recording(tmp_path):
    def peak(seconds: int) -> int:
        path = tmp_path / f"{seconds}.flac"
        path.write_bytes(encoded(np.tile(bursts(0.8, 0.2, 10), seconds // 10), 16_000, "flac"))
        tracemalloc.start()
        total = sum(len(piece.samples) for piece in pieces(path, [], AudioGates()))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert total == seconds * 16_000
        return most

    short, long = peak(600), peak(1_800)
    assert long < 1.1 * short < 80e6


def test_timed_chunks_are_read_from_a_list_or_its_json_under_their_usual_names():
    expected = [Chunk(0.0, 1.5, "മഴ", "s1"), Chunk(1.5, 2.0, None, None)]
    cell = [{"start": 0, "end": 1.5, "text": "മഴ", "speaker_id": "s1"}, {"start_time": 1.5, "end_time": 2.0}]
    assert timed_chunks(cell) == expected
    assert timed_chunks('[{"start": 0, "end": 1.5, "transcript": "മഴ", "speaker": "s1"}]') == expected[:1]
    assert timed_chunks([{"start": "0.0", "end": "1.5", "text": "മഴ", "speaker_id": "s1"}]) == expected[:1]


def test_a_chunk_without_a_time_among_others_is_refused_alone():
    chunks = timed_chunks([{"start": 0, "end": 1, "text": "മഴ"}, {"start": 1, "end": None, "text": "വെയിൽ"}])
    refused, kept = sorted(pieces(encoded(tone(1.8), 16_000), chunks, GATES), key=lambda piece: piece.refusal is None)
    assert (kept.start, kept.end, kept.chunk.text) == (0.0, 1.0, "മഴ")
    assert (refused.refusal.reason, refused.start, refused.chunk.text) == ("bad_chunk_times", None, "വെയിൽ")


@pytest.mark.parametrize("cell", [None, "", "[", "[1]", [1], [{"start": 0}], [{"start": "x", "end": 1}], 5, {}])
def test_a_cell_without_times_has_no_chunks(cell):
    assert timed_chunks(cell) == []
