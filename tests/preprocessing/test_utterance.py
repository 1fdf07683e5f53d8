"""What a row becomes where its audio and its text do not go together: no text and no pair is lost in silence."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from .audio_builders import tone
from .raw_builders import AUDIO_TYPE, INDICVOICES, SPEECH_WITH_ENGLISH, TEXT, parquet_bytes, wav

ENGLISH = "It rained well today"
PAIR_TYPES = {"audio": AUDIO_TYPE, "text": pa.string(), "translation": pa.string()}


def rising(seconds):
    """A sound that never repeats itself, as a duplicate would."""
    return np.concatenate([tone(1.0, frequency=200.0 + 50 * second) for second in range(seconds)])


def pair(payload, text=TEXT, translation=ENGLISH):
    row = {"audio": {"bytes": payload, "path": None}, "text": text, "translation": translation}
    return {"data/train-0.parquet": parquet_bytes([row], PAIR_TYPES)}


def recorded(*records):
    """The files of a speech set in a folder: recordings of 4 s, with what is given of each."""
    named = [{"file_name": f"{place}.wav", **record} for place, record in enumerate(records)]
    files = {f"train/{record['file_name']}": wav(rising(4)) for record in named}
    return {"train/metadata.jsonl": "\n".join(map(json.dumps, named)), **files}


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(32_000, np.float32), "audio_silent"), (tone(0.1), "too_short"),
        (np.clip(tone(3.0, amplitude=3.0), -1, 1), "audio_clipped"), (tone(0.5), "transcript_too_long"),
    ],
)  # fmt: skip
def test_a_pair_survives_audio_that_is_refused_by_what_was_measured_of_it(run, samples, reason):
    text = " ".join([TEXT] * 5) if reason == "transcript_too_long" else TEXT
    result, silver, rejected = run(SPEECH_WITH_ENGLISH, pair(wav(samples), text))
    assert [row["reason"] for row in rejected] == [reason]
    (row,) = silver
    assert (row["text"], row["translation"], row["direction"]) == (text, ENGLISH, "ml-en")
    assert row["flags"] == [reason] and row["audio"] is None and row["duration"] is None
    assert row["row_id"] != rejected[0]["row_id"]
    assert result.rows_in == 2


def test_a_pair_survives_a_recording_that_is_cut_into_pieces(run, with_settings):
    short = with_settings(audio={"max_segment_seconds": 5.0})
    _, silver, rejected = run(SPEECH_WITH_ENGLISH, pair(wav(rising(12))), short)
    assert not rejected
    *cut, whole = silver
    assert len(cut) >= 3 and {(row["text"], row["text_raw"], row["translation"]) for row in cut} == {(None, None, None)}
    assert all("text_unaligned" in row["flags"] for row in cut)
    assert (whole["text"], whole["text_raw"], whole["translation"]) == (TEXT, TEXT, ENGLISH)
    assert whole["flags"] == ["text_apart"] and whole["audio"] is None
    assert len({row["row_id"] for row in silver}) == len(silver)


def test_a_text_that_is_refused_itself_does_not_survive_its_audio(run):
    _, silver, rejected = run(SPEECH_WITH_ENGLISH, pair(wav(np.zeros(32_000, np.float32)), "only English here"))
    assert not silver
    assert [row["reason"] for row in rejected] == ["low_malayalam_ratio"]


@pytest.mark.parametrize(
    "times",
    [
        {"start": "00:00:00.0", "end": "00:00:02.0"}, {"timestamp": [0, 2]}, {"begin": 0, "finish": "2"},
        {"start": 0, "duration": 2}, {"start": "00:00:00,000", "end": "0:02"},
    ],
)  # fmt: skip
def test_chunk_times_in_other_notations_cut_as_seconds_do(run, times):
    chunks = [{**times, "text": TEXT}, {"start": 2.0, "end": 4.0, "text": f"{TEXT} 2"}]
    _, silver, _ = run(INDICVOICES, recorded({"verbatim": chunks}))
    assert [(row["segment_start"], row["segment_end"], row["text"]) for row in silver] == [
        (0.0, 2.0, TEXT), (2.0, 4.0, f"{TEXT} 2"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", [list, json.dumps])
def test_chunks_whose_times_nobody_can_read_keep_their_texts_as_raw_text(run, form):
    chunks = form([{"at": "x", "text": TEXT}, {"at": "y", "text": "ശരി"}])
    with_district = {"verbatim": chunks, "district": "Kollam"}
    _, silver, rejected = run(
        INDICVOICES, recorded({"verbatim": chunks}, with_district, {"verbatim": chunks, "text": "മഴ മഴ"})
    )
    assert [(row["reason"], row["text_raw"]) for row in rejected] == [("bad_chunk_times", f"{TEXT} ശരി")]
    assert [(row["text"], row["text_raw"], "chunks_without_times" in row["flags"]) for row in silver] == [
        (None, f"{TEXT} ശരി", True), ("മഴ മഴ", "മഴ മഴ", True),
    ]  # fmt: skip


def test_the_text_of_a_row_whose_several_chunks_have_none_is_kept_once_and_said_to_be_of_no_single_one(run):
    chunks = [{"start": 0, "end": 2}, {"start": 2, "end": 4, "text": ""}]
    _, silver, rejected = run(INDICVOICES, recorded({"verbatim": chunks, "sentence": TEXT}))
    assert not rejected
    assert [(row["text"], row["text_raw"], "text_unaligned" in row["flags"]) for row in silver] == [
        (None, TEXT, True), (None, None, True),
    ]  # fmt: skip


@pytest.mark.parametrize("odd", ["[" * 100_000, "[" * 500 + "]" * 500, '[{"start": 0, "end":'])
def test_chunks_that_are_no_json_or_nested_too_deep_cost_their_own_row(run, odd):
    good = json.dumps([{"start": 0, "end": 1.5, "text": "മഴ \ud83d പെയ്തു"}])
    _, silver, rejected = run(INDICVOICES, recorded({"verbatim": odd}, {"verbatim": good}))
    assert [row["source_row"] for row in rejected] == [0]
    assert [(row["text_raw"], row["segment_end"]) for row in silver] == [("മഴ \ufffd പെയ്തു", 1.5)]
