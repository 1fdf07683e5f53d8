"""The audio ledger: every sample of a recording ends in a row, in none because no chunk claims it, or stops the run."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_foundry.config import AudioGates
from data_foundry.errors import FoundryError
from data_foundry.lake import Layer
from data_foundry.preprocessing import silver_audio, standardize
from data_foundry.preprocessing.audio_ledger import AudioLedger, Coverage, Undecoded
from data_foundry.preprocessing.chunks import Chunk
from data_foundry.preprocessing.speech import pieces
from data_foundry.records import SAMPLE_RATE

from .audio_builders import bursts, encoded, tone
from .raw_builders import (
    AUDIO_TYPE,
    INDICVOICES,
    NEWS,
    SPEECH_WITH_ENGLISH,
    STT,
    TEXT,
    TOKEN_ROW,
    TOKEN_TYPES,
    TOKENS,
    clip,
    parquet_bytes,
    speech,
    wav,
)

TIMES = st.floats(-0.5, 3.0).map(lambda time: round(time, 3))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted).map(tuple), max_size=8))
def test_coverage_counts_each_sample_as_often_as_a_tally_of_all_of_them_does(ranges):
    tally = np.zeros(50, int)
    for start, end in ranges:
        tally[start:end] += 1
    assert Coverage.of(50, ranges) == (50, int((tally == 0).sum()), int((tally - 1).clip(0).sum()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TIMES, TIMES), max_size=6), st.sampled_from([8_000, 16_000, 44_100]))
def test_any_chunk_list_conserves_the_samples_of_its_recording(times, rate):
    payload = encoded(np.random.default_rng(0).normal(0, 0.1, 2 * rate + 7).astype(np.float32), rate)
    chunks = [Chunk(start, end, TEXT, None) for start, end in times]
    found = list(pieces(payload, chunks, AudioGates(max_segment_seconds=0.5)))
    (coverage,) = (piece.coverage for piece in found if piece.coverage is not None)
    assert coverage is found[0].coverage
    assert coverage.decoded == round((2 * rate + 7) / rate * SAMPLE_RATE)
    in_pieces = sum(len(piece.samples) for piece in found)
    assert coverage.decoded + coverage.repeated == in_pieces + coverage.outside_chunks
    tally = np.zeros(coverage.decoded, int)
    for piece in found:
        if piece.refusal is None:
            start = round((piece.start or 0.0) * SAMPLE_RATE)
            tally[start : start + len(piece.samples)] += 1
    assert (coverage.outside_chunks, coverage.repeated) == ((tally == 0).sum(), (tally - 1).clip(0).sum())


def audio_of(lake, name: str) -> dict:
    audio = lake.manifest(Layer.SILVER, name).details["metrics"]["audio"]
    into = audio["decoded"] + audio["repeated"]
    assert into == pytest.approx(audio["accepted"] + sum(audio["rejected"].values()) + audio["outside_chunks"])
    return audio


def folder(samples: np.ndarray, chunks: list[dict]) -> dict:
    record = {"file_name": "Data/Train/a.wav", "sentence": TEXT, "verbatim": chunks, "district": "Kannur"}
    return {"metadata.jsonl": json.dumps(record), "Data/Train/a.wav": wav(samples)}


def test_sound_between_around_and_in_several_chunks_is_accounted_for_to_the_sample(run, lake):
    samples = np.concatenate([tone(2.0, frequency=200 * k) for k in (1, 2, 3, 4, 5)])
    chunks = [
        {"start": 0.5, "end": 2.0, "text": "ഒന്ന് ആദ്യം"},
        {"start": 1.5, "end": 4.0, "text": "രണ്ട് പിന്നെ വന്നു"},
        {"start": 5.0, "end": 7.0, "text": "this part is English"},
        {"start": 8.0, "end": 7.5, "text": "നാല്"},
    ]
    run(INDICVOICES, folder(samples, chunks))
    assert audio_of(lake, INDICVOICES) == {
        "recordings": 1, "decoded": 10.0, "repeated": 0.5, "accepted": 4.0,
        "rejected": {"low_malayalam_ratio": 2.0}, "outside_chunks": 4.5, "undecoded": {},
    }  # fmt: skip
    findings = {found["kind"]: found for found in lake.manifest(Layer.SILVER, INDICVOICES).details["findings"]}
    assert "4.5 s" in findings["audio_outside_chunks"]["message"]
    assert findings["audio_outside_chunks"]["count"] == 1


def test_every_recording_is_decoded_or_counted_by_why_it_was_not_and_what_its_header_says(run, lake):
    rows = [
        clip(wav(tone(2.0))), clip(wav(tone(1.5)), "this is an English sentence"), clip(wav(tone(0.2)), "മഴ"),
        clip(b"junk"), {"audio": None, "transcript": TEXT},
        clip(encoded(tone(3.0, 48_000), 48_000, "flac"), "another English sentence"),
    ]  # fmt: skip
    run(STT, speech(*rows))
    assert audio_of(lake, STT) == {
        "recordings": 2, "decoded": 2.2, "repeated": 0.0, "accepted": 2.0, "rejected": {"too_short": 0.2},
        "outside_chunks": 0.0,
        "undecoded": {
            "audio_corrupt": {"recordings": 1, "declared_seconds": 0.0, "of_unknown_length": 1},
            "audio_missing": {"recordings": 1, "declared_seconds": 0.0, "of_unknown_length": 1},
            "low_malayalam_ratio": {"recordings": 2, "declared_seconds": 4.5, "of_unknown_length": 0},
        },
    }  # fmt: skip


def test_a_row_that_is_kept_for_its_text_alone_does_not_hide_the_recording_that_it_lost(run, lake):
    types = {"audio": AUDIO_TYPE, "text": pa.string(), "translation": pa.string()}
    row = {"audio": {"bytes": b"junk", "path": None}, "text": TEXT, "translation": "It rained well today"}
    run(SPEECH_WITH_ENGLISH, {"data/train-0.parquet": parquet_bytes([row], types)})
    audio = audio_of(lake, SPEECH_WITH_ENGLISH)
    assert (audio["recordings"], audio["undecoded"]["audio_corrupt"]["recordings"]) == (0, 1)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        (NEWS, {"malayalam-train.jsonl": json.dumps({"news": TEXT, "class": 1})}),
        (TOKENS, {"data/train-0.parquet": parquet_bytes([TOKEN_ROW], TOKEN_TYPES)}),
    ],
)
def test_texts_and_codec_tokens_are_no_recordings(name, files, run, lake):
    run(name, files)
    found = audio_of(lake, name)
    assert (found["recordings"], found["undecoded"], found["accepted"]) == (0, {}, 0)


def test_sound_that_gets_lost_on_the_way_stops_the_run_before_anything_is_published(run, lake, monkeypatch):
    def loses_the_last(*given, **named):
        yield from list(pieces(*given, **named))[:-1]

    monkeypatch.setattr(silver_audio, "pieces", loses_the_last)
    long = np.tile(bursts(1.2, 0.3, 12), 3)
    with pytest.raises(FoundryError, match="does not add up"):
        run(STT, speech(clip(wav(long))))
    assert lake.manifest(Layer.SILVER, STT) is None


def test_a_recording_that_no_row_accounts_for_is_told():
    ledger = AudioLedger()
    row = {"duration": None, "reason": "audio_corrupt", "recording": Undecoded("audio_corrupt", 1.5)}
    ledger.add(row)
    with pytest.raises(FoundryError, match="1 of 0 recordings"):
        ledger.summary()


def test_a_long_recording_without_times_keeps_its_sound_without_a_text_and_the_report_says_so(run, lake, with_settings):
    settings = with_settings(audio={"max_segment_seconds": 5.0}, datasets=[STT])
    long = bursts(1.2, 0.3, 9)
    _, silver, rejected = run(STT, speech(clip(wav(long)), clip(wav(tone(2.0)))), settings)
    cut = [row for row in silver if "text_unaligned" in row["flags"]]
    assert rejected == [] and len(cut) == len(silver) - 1 >= 3
    for row in cut:
        assert {row[name] for name in ("text", "text_group", "malayalam_ratio", "speaking_rate")} == {None}
        assert row["audio"]["bytes"]
    assert sum(row["duration"] for row in cut) == len(long) / SAMPLE_RATE
    reports, _ = standardize.describe(settings, lake)
    (finding,) = (found for found in reports[STT].findings if found["kind"] == "text_unaligned")
    assert finding["count"] == len(cut) and "no text" in finding["message"]
    assert reports[STT].metrics["audio"]["accepted"] == pytest.approx(len(long) / SAMPLE_RATE + 2.0)
    assert "to the sample" in reports[STT].model_dump()["metric_definitions"]["audio"]


def test_the_pieces_of_a_cut_recording_still_say_that_somebodys_number_is_spoken_in_them(run, with_settings):
    settings = with_settings(audio={"max_segment_seconds": 5.0})
    long = bursts(1.2, 0.3, 9)
    text = "എന്റെ നമ്പർ 90000 00001 ആണ്"
    chunked = folder(long, [{"start": 0.0, "end": 12.0, "text": text}])
    for name, files in ((STT, speech(clip(wav(long), text))), (INDICVOICES, chunked)):
        _, silver, _ = run(name, files, settings)
        assert len(silver) >= 3
        for row in silver:
            assert {"personal_data_in_audio", "text_unaligned"} <= set(row["flags"])
            assert (row["text"], row["content"], "90000" in (row["text_raw"] or "")) == (None, [], False)
        assert [row["text_raw"] is not None for row in silver] == [True] + [False] * (len(silver) - 1)


def test_a_recording_over_the_limit_counts_by_its_declared_length(run, lake, with_settings):
    run(STT, speech(clip(wav(tone(4.0)))), with_settings(audio={"max_source_seconds": 3.0}))
    assert audio_of(lake, STT)["undecoded"] == {
        "audio_too_long": {"recordings": 1, "declared_seconds": 4.0, "of_unknown_length": 0}
    }
