"""Phase 2 on tiny raw datasets: every row ends in silver or among the rejected, with the reason that was meant."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.lake import Layer

from .audio_builders import encoded, level, peak_frequency, tone
from .raw_builders import (
    AUDIO_TYPE,
    COMMENTS,
    DIALECTS,
    INDICST,
    INDICVOICES,
    NEWS,
    SPEECH_WITH_ENGLISH,
    STT,
    TEXT,
    TOKENS,
    clip,
    flags_of,
    parquet_bytes,
    speech,
    wav,
)


def test_a_clip_becomes_16_khz_mono_wav_with_its_normalised_text_and_its_origin(run):
    payload = encoded(np.stack([tone(1.5, 48_000)] * 2, axis=1), 48_000, "mp3")
    _, (row,), rejected = run(STT, speech(clip(payload, "<breathing> അവന്\u200d  വന്നു"), split="dev"))
    assert rejected == []
    samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
    assert (rate, samples.ndim) == (16_000, 1)
    assert peak_frequency(samples, rate) == pytest.approx(440, abs=2)
    assert level(samples) == pytest.approx(level(tone(1.5)), abs=0.5)
    assert row["duration"] == len(samples) / 16_000
    assert row["audio"]["path"] == f"{row['row_id']}.wav"
    assert (row["text"], row["text_raw"]) == ("അവൻ വന്നു", "<breathing> അവന്\u200d  വന്നു")
    assert (row["malayalam_ratio"], row["source_rate"], row["source_split"]) == (1.0, 48_000, "validation")
    assert (row["source_file"], row["source_row"]) == ("data/dev-00000-of-00001.parquet", 0)
    assert row["licence"] == DATASET_REGISTRY[STT].licence


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (clip(b""), "audio_empty"),
        (clip(wav(np.zeros(0, np.float32))), "audio_empty"),
        (clip(b"no audio at all"), "audio_corrupt"),
        (clip(wav(tone(2.0))[:20_000]), "audio_truncated"),
        ({"audio": {"bytes": None, "path": "a.wav"}, "transcript": TEXT}, "audio_missing"),
        ({"audio": None, "transcript": TEXT}, "audio_missing"),
        (clip(wav(np.zeros(32_000, np.float32))), "audio_silent"),
        (clip(wav(np.clip(tone(2.0, amplitude=9.0), -1, 1))), "audio_clipped"),
        (clip(wav(tone(0.2)), "മഴ"), "too_short"),
        (clip(wav(tone(0.5)), TEXT * 4), "transcript_too_long"),
        (clip(wav(tone(2.0)), None), "empty_text"),
        (clip(wav(tone(2.0)), "  "), "empty_text"),
        (clip(wav(tone(2.0)), "<Persistent-noise-start>"), "empty_text"),
        (clip(wav(tone(2.0)), "this is an English sentence"), "low_malayalam_ratio"),
    ],
)
def test_each_fault_of_a_speech_row_has_its_own_reason_and_spares_its_neighbour(run, row, reason):
    result, silver, rejected = run(STT, speech(row, clip(wav(tone(2.0)))))
    assert [r["reason"] for r in rejected] == [reason]
    assert rejected[0]["detail"]
    assert rejected[0]["audio"] is None
    assert rejected[0]["text_raw"] == row["transcript"]
    assert rejected[0]["source_row"] == 0
    assert [r["source_row"] for r in silver] == [1]
    assert result.rejected == {reason: 1}


def test_a_clip_over_the_source_limit_is_refused(run, with_settings):
    settings = with_settings(audio={"max_source_seconds": 3.0})
    _, _, rejected = run(STT, speech(clip(wav(tone(4.0)))), settings)
    assert [row["reason"] for row in rejected] == ["audio_too_long"]


def test_a_long_clip_without_times_is_cut_and_keeps_its_duration_but_no_text(run, with_settings):
    voice = np.concatenate([tone(3.0, frequency=300), np.zeros(8_000, np.float32)])
    settings = with_settings(audio={"max_segment_seconds": 5.0})
    result, silver, rejected = run(STT, speech(clip(wav(np.tile(voice, 4)))), settings)
    assert rejected == []
    assert len(silver) > 1
    assert len({row["row_id"] for row in silver}) == len(silver)
    assert sum(row["duration"] for row in silver) == pytest.approx(14.0)
    assert [row["segment_start"] for row in silver[1:]] == [row["segment_end"] for row in silver[:-1]]
    for row in silver:
        assert row["duration"] <= 5.0
        assert (row["text"], row["malayalam_ratio"]) == (None, None)
        assert "text_unaligned" in row["flags"]
    assert [row["text_raw"] for row in silver] == [TEXT, *[None] * (len(silver) - 1)]
    assert result.rows_in == len(silver)


def recording(seconds: float, chunks: list[dict], name: str = "Data/Train/a.wav", **more) -> dict:
    sentence = " ".join(chunk["text"] for chunk in chunks)
    return {
        "file_name": name, "sentence": sentence, "verbatim": chunks, "speaker_id": "S1", "gender": "Female",
        "district": "Kannur", "duration": seconds, **more,
    }  # fmt: skip


def folder(payload: bytes, *records: dict) -> dict:
    lines = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    return {"metadata.jsonl": lines, "Data/Train/a.wav": payload}


def test_a_recording_with_timed_chunks_becomes_one_row_a_chunk_each_judged_alone(run):
    samples = np.concatenate([tone(2.0, frequency=200 * k) for k in (1, 2, 3, 4)])
    chunks = [
        {"start": 0.0, "end": 2.0, "text": "ഒന്ന് ആദ്യം"},
        {"start": 2.0, "end": 4.0, "text": "this part is English"},
        {"start": 4.0, "end": 6.0, "text": "മൂന്ന് പിന്നെ", "speaker_id": "S2"},
        {"start": 7.0, "end": 6.5, "text": "നാല്"},
    ]
    result, silver, rejected = run(INDICVOICES, folder(wav(samples), recording(8.0, chunks)))
    assert [(row["segment_start"], row["segment_end"], row["text"], row["speaker"]) for row in silver] == [
        (0.0, 2.0, "ഒന്ന് ആദ്യം", "S1"), (4.0, 6.0, "മൂന്ന് പിന്നെ", "S2"),
    ]  # fmt: skip
    for row, frequency in zip(silver, (200, 600), strict=True):
        heard, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        assert len(heard) == 32_000
        assert peak_frequency(heard, rate) == pytest.approx(frequency, abs=2)
        assert (row["gender"], row["district"]) == ("female", "Kannur")
    assert [(row["reason"], row["segment_start"]) for row in rejected] == [
        ("low_malayalam_ratio", 2.0), ("bad_chunk_times", 7.0),
    ]  # fmt: skip
    assert result.rows_in == 4


@pytest.mark.parametrize(("end", "kept"), [(9.0, []), (4.2, []), (4.05, [4.0]), (1e308, [])])
def test_a_chunk_that_ends_after_its_recording_is_refused_not_shortened(run, end, kept):
    chunks = [{"start": 0.0, "end": 2.0, "text": "ഒന്ന് ആദ്യം"}, {"start": 2.0, "end": end, "text": "രണ്ട് പിന്നെ"}]
    _, silver, rejected = run(INDICVOICES, folder(wav(tone(4.0)), recording(9.0, chunks)))
    assert [row["segment_end"] for row in silver] == [2.0, *kept]
    assert [row["reason"] for row in rejected] == ["bad_chunk_times"] * (not kept)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), None])
def test_a_chunk_without_a_time_is_refused_and_its_text_kept_among_the_rejected(run, time):
    chunks = [{"start": 0.0, "end": 2.0, "text": TEXT}, {"start": 2.0, "end": time, "text": TEXT}]
    _, silver, rejected = run(INDICVOICES, folder(wav(tone(4.0)), recording(4.0, chunks)))
    assert [(row["duration"], row["segment_start"], row["text"]) for row in silver] == [(2.0, 0.0, TEXT)]
    assert [(row["reason"], row["segment_start"], row["text_raw"]) for row in rejected] == [
        ("bad_chunk_times", None, TEXT)
    ]


def test_one_timed_chunk_gives_its_text_and_speaker_and_without_a_text_takes_that_of_its_row(run):
    said = [{"start": 0.5, "end": 2.0, "text": TEXT, "speaker_id": "S2"}]
    _, silver, _ = run(INDICVOICES, folder(wav(tone(3.0)), recording(3.0, said, sentence=None)))
    assert [(row["text"], row["speaker"], row["segment_start"], row["duration"]) for row in silver] == [
        (TEXT, "S2", 0.5, 1.5)
    ]


def test_one_timed_chunk_without_a_text_takes_that_of_its_row(run):
    record = recording(3.0, [], sentence=TEXT, verbatim=[{"start": 0.5, "end": 2.0, "text": None}])
    _, silver, _ = run(INDICVOICES, folder(wav(tone(3.0)), record))
    assert [(row["text"], row["speaker"], row["duration"]) for row in silver] == [(TEXT, "S1", 1.5)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("thank you", "low_malayalam_ratio"), ("नमस्ते जी", "low_malayalam_ratio"), ("nan", "low_malayalam_ratio"),
        ("ok", "low_malayalam_ratio"), ("!!!", "empty_text"), ("9 + 9", "empty_text"), ("ശരി", None), ("ഈ", None),
        ("ഈ k", None),
    ],
)  # fmt: skip
def test_a_short_text_is_judged_and_one_without_malayalam_never_passes(run, text, reason):
    _, silver, rejected = run(NEWS, {"malayalam-test.jsonl": json.dumps({"news": text, "class": 2})})
    assert [row["reason"] for row in rejected] == [reason] * (reason is not None)
    assert [row["text"] for row in silver] == [text] * (reason is None)


def test_signs_alone_pass_a_code_mixed_set(run):
    _, silver, _ = run(COMMENTS, {"c.tsv": "label\tquery\nPositive\t!!!\n"})
    assert [row["flags"] for row in silver] == [["no_letters"]]


def test_half_a_character_in_json_costs_no_dataset_and_is_flagged(run):
    lines = [json.dumps({"news": f"{TEXT} \ud83d", "class": 2}), json.dumps({"news": TEXT, "class": 2})]
    _, silver, _ = run(NEWS, {"malayalam-test.jsonl": "\n".join(lines)})
    assert [("lone_surrogate" in row["flags"], row["text_raw"]) for row in silver] == [
        (True, f"{TEXT} \ufffd"), (False, TEXT),
    ]  # fmt: skip


def test_the_speaking_rate_is_that_of_what_is_spoken_and_not_of_its_mask(run, with_settings):
    text = "എന്റെ നമ്പർ ഒൻപത് എട്ട് നാല് ഏഴ് പൂജ്യം ഒന്ന് ആറ് മൂന്ന് അഞ്ച് രണ്ട് ആണ്"
    rates, texts = [], []
    for masked in (True, False):
        settings = with_settings(content={"mask_personal_data": masked})
        _, row, _ = run(STT, speech(clip(wav(tone(6.0)), text)), settings)
        rates.append(row[0]["speaking_rate"])
        texts.append(row[0]["text"])
    assert "[NUMBER]" in texts[0] and texts[1] == text
    assert rates[0] == rates[1] > 0


def test_fidelity_sees_what_was_masked_and_what_lost_its_text(run, lake, with_settings):
    def figure() -> float:
        return lake.manifest(Layer.SILVER, STT).details["metrics"]["malayalam_fidelity"]

    text = "എന്റെ നമ്പർ ഒൻപത് എട്ട് നാല് ഏഴ് പൂജ്യം ഒന്ന് ആറ് മൂന്ന് അഞ്ച് രണ്ട് ആണ്"
    run(STT, speech(clip(wav(tone(6.0)), text)))
    assert 0 < figure() < 0.5
    settings = with_settings(audio={"max_segment_seconds": 5.0})
    run(STT, speech(clip(wav(tone(4.0))), clip(wav(tone(12.0)))), settings)
    assert figure() == 0.5


def test_audio_without_a_text_is_kept_where_a_district_makes_it_useful(run):
    _, silver, _ = run(INDICVOICES, folder(wav(tone(2.0)), recording(2.0, [], sentence=None)))
    assert [(row["text"], flags_of(row)) for row in silver] == [(None, ["no_text"])]


def test_an_audiofolder_accounts_for_missing_files_and_files_without_a_row(run):
    files = folder(wav(tone(2.0)), recording(2.0, [], "Data/Valid/gone.wav", sentence=TEXT))
    _, silver, rejected = run(INDICVOICES, files)
    assert silver == []
    assert {(row["source_file"], row["reason"]) for row in rejected} == {
        ("metadata.jsonl", "audio_missing"), ("Data/Train/a.wav", "no_metadata"),
    }  # fmt: skip


def test_a_translation_set_keeps_the_text_of_a_row_whose_audio_is_broken(run):
    types = {"audio": AUDIO_TYPE, "text": pa.string(), "translation": pa.string()}
    rows = [
        {"audio": {"bytes": b"junk", "path": None}, "text": TEXT, "translation": "It rained well today"},
        {"audio": {"bytes": wav(tone(2.0)), "path": None}, "text": f"{TEXT} ഇവിടെ", "translation": TEXT},
        {"audio": {"bytes": b"junk", "path": None}, "text": None, "translation": "It rained"},
    ]
    _, silver, rejected = run(SPEECH_WITH_ENGLISH, {"data/train-0.parquet": parquet_bytes(rows, types)})
    assert [(row["translation"], row["direction"], row["duration"], flags_of(row)) for row in silver] == [
        ("It rained well today", "ml-en", None, ["audio_corrupt"]),
        (None, None, 2.0, ["translation_not_english"]),
    ]
    assert [row["reason"] for row in rejected] == ["audio_corrupt"]


def test_indicst_is_pairs_and_transcripts_without_audio(run):
    columns = ("path", "text", "task", "source_text", "source_language", "tar_lang")
    rows = [
        ("/x/1.wav", "It rained today", "ast", TEXT, "malayalam", "english"),
        ("/x/2.wav", TEXT, "ast", "It rained today", "english", "malayalam"),
        ("/x/3.wav", TEXT, "asr", TEXT, "ml", "ml"),
        ("/x/4.wav", "It rained all day", "ast", "It rained today", "english", "english"),
    ]
    data = parquet_bytes([dict(zip(columns, row, strict=True)) for row in rows], dict.fromkeys(columns, pa.string()))
    _, silver, rejected = run(INDICST, {"data/kathbath-0.parquet": data})
    assert [(row["text"], row["translation"], row["direction"]) for row in silver] == [
        (TEXT, "It rained today", "ml-en"), (TEXT, "It rained today", "en-ml"), (TEXT, None, None),
    ]  # fmt: skip
    assert {row["source_split"] for row in silver} == {"kathbath"}
    assert all(row["audio"] is None and row["duration"] is None for row in silver)
    assert [row["reason"] for row in rejected] == ["low_malayalam_ratio"]


def test_labels_are_canonical_and_an_unknown_one_is_refused_not_guessed(run):
    tsv = (
        "label\tquery\nPositive \tnalla padam aanu\nNegativ\tmosham\nnot-malayalam\tok ok\nunknown_state\t\n\tveruthe\n"
    )
    _, silver, rejected = run(COMMENTS, {"c.tsv": tsv})
    assert [(row["label"], row["flags"]) for row in silver] == [
        ("positive", ["romanised"]), ("not_malayalam", []),
    ]  # fmt: skip
    assert [(row["source_row"], row["reason"]) for row in rejected] == [
        (1, "unknown_label"), (3, "empty_text"), (4, "empty_label"),
    ]  # fmt: skip


def test_a_missing_text_that_a_writer_left_as_nan_is_empty_and_not_the_word_nan(run):
    _, silver, rejected = run(NEWS, {"malayalam-test.jsonl": '{"news": NaN, "class": 2}'})
    assert (silver, [row["reason"] for row in rejected]) == ([], ["empty_text"])


def test_topics_may_be_numbers_and_mojibake_is_repaired(run):
    news = TEXT.encode().decode("latin-1")
    lines = [{"news": news, "class": 2}, {"news": TEXT, "class": "Technology"}, {"news": TEXT, "class": 9}]
    result, silver, rejected = run(NEWS, {"malayalam-test.jsonl": "\n".join(map(json.dumps, lines)) + "\n{"})
    assert [(row["text"], row["label"], row["source_split"]) for row in silver] == [
        (TEXT, "sports", "test"), (TEXT, "technology", "test"),
    ]  # fmt: skip
    assert result.rejected == {"unknown_label": 1, "malformed_row": 1}
    assert rejected[0]["text_raw"] == TEXT


def test_a_json_row_without_the_key_of_its_label_is_one_with_an_empty_label(run):
    lines = [{"news": TEXT, "class": 1}, {"news": TEXT + " ശരി"}, {"news": TEXT, "class": None}, {"class": 1}]
    result, silver, _ = run(NEWS, {"malayalam-train.jsonl": "\n".join(map(json.dumps, lines))})
    assert [row["label"] for row in silver] == ["entertainment"]
    assert result.rejected == {"empty_label": 2, "empty_text": 1}


def test_nine_lines_without_script_or_label_pass_a_code_mixed_set(run):
    csv = "id,translation\n" + "".join(f"{i},njan naale varam {i}\n" for i in range(9))
    _, silver, _ = run(DIALECTS, {"Dialects - Sheet1.csv": csv})
    assert len(silver) == 9
    assert {(row["dialect"], row["malayalam_ratio"]) for row in silver} == {(None, 0.0)}


def test_tokens_that_do_not_fit_their_codec_or_text_are_refused(run):
    names = [f"nano_layer_{n}" for n in range(1, 5)]
    types = {"text": pa.string(), **dict.fromkeys(names, pa.list_(pa.int64())), "encoded_len": pa.int64()}

    def row(text=TEXT, frames=25, length=25, **layers):
        return {"text": text, **{name: [7] * frames for name in names}, "encoded_len": length, **layers}

    rows = [
        row(), row(nano_layer_3=[7] * 24), row(nano_layer_2=[4032] * 25), row(length=24), row(text=""),
        row(text="ab cd ef gh ij kl"), row(text=TEXT * 9),
    ]  # fmt: skip
    _, (kept,), rejected = run(TOKENS, {"data/train-0.parquet": parquet_bytes(rows, types)})
    assert kept["codes"] == [[7] * 25] * 4
    assert kept["codec"].startswith("nvidia/nemo-nano-codec")
    assert (kept["duration"], kept["audio"]) == (2.0, None)
    assert [row["reason"] for row in rejected] == [
        "codec_unequal_layers", "codec_out_of_range", "codec_length", "empty_text", "low_malayalam_ratio",
        "transcript_too_long",
    ]  # fmt: skip


def test_a_content_rule_refuses_rows_only_where_the_settings_name_it_and_leaks_nothing(run, with_settings):
    rows = [clip(wav(tone(3.0)), "എന്റെ നമ്പർ 90000 00001 ആണ്"), clip(wav(tone(2.9)), "മഴ പെയ്തു 9000000001")]
    settings = with_settings(content={"exclude": ["mobile_number"]})
    _, silver, rejected = run(STT, speech(*rows), settings)
    assert silver == []
    assert {row["reason"] for row in rejected} == {"content_mobile_number"}
    assert not any("90000" in (row[name] or "") for row in rejected for name in ("text", "text_raw", "detail"))


def test_personal_data_is_masked_and_ill_formed_text_flagged_and_nothing_deleted(run):
    rows = [clip(wav(tone(3.0)), "എന്റെ നമ്പർ 90000 00001 ആണ്"), clip(wav(tone(2.9)), "ഇന്ന് മഴ പെയ്തു ്")]
    _, silver, _ = run(STT, speech(*rows))
    assert [flags_of(row) for row in silver] == [["personal_data", "personal_data_in_audio"], ["ill_formed"]]
    assert silver[0]["text"] == silver[0]["text_raw"] == "എന്റെ നമ്പർ [PHONE] ആണ്"


def test_a_speaker_that_is_a_phone_number_or_an_address_is_masked_and_a_plain_one_is_not(run):
    chunks = [
        {"start": 0.0, "end": 2.0, "text": "ഒന്ന് ആദ്യം", "speaker_id": "nobody@example.org"},
        {"start": 2.0, "end": 4.0, "text": "രണ്ട് പിന്നെ"},
    ]
    _, silver, _ = run(INDICVOICES, folder(wav(tone(4.0)), recording(4.0, chunks, speaker_id="+91 90000 00001")))
    kinds, hashes = zip(*(row["speaker"].split("-") for row in silver), strict=True)
    assert kinds == ("[EMAIL]", "[PHONE]") and all(re.fullmatch("[0-9a-f]{6}", each) for each in hashes)
    other = folder(wav(tone(4.0)), recording(4.0, [], speaker_id="+91 90000 00002"))
    assert run(INDICVOICES, other)[1][0]["speaker"] not in (silver[1]["speaker"], "[PHONE]")
    _, (row,), _ = run(INDICVOICES, folder(wav(tone(4.0)), recording(4.0, [], speaker_id="S4259212200332054")))
    assert row["speaker"] == "S4259212200332054"


def test_a_rejected_row_keeps_its_flags_its_measures_and_nobodys_number(run):
    _, _, (row,) = run(STT, speech(clip(wav(tone(2.0)), "ente bill adachu pakshe message vannilla")))
    assert (row["reason"], "romanised" in row["flags"]) == ("low_malayalam_ratio", True)
    chunks = [{"start": 0.0, "end": 2.0, "text": "all of it English"}, {"start": 2.0, "end": 4.0, "text": TEXT}]
    _, _, (row,) = run(INDICVOICES, folder(wav(tone(4.0)), recording(4.0, chunks)))
    assert (row["duration"], row["rms"] is None, row["audio"]) == (2.0, False, None)
    _, _, (row,) = run(COMMENTS, {"c.tsv": "label\tquery\ncall me 9000000001\tnalla padam aanu\n"})
    assert row["reason"] == "unknown_label" and "[PHONE]" in row["detail"]


def test_labels_that_no_table_knows_are_told_of_every_chunk(run):
    chunks = [{"start": start, "end": start + 2.0, "text": f"{TEXT} {start}"} for start in (0.0, 2.0)]
    odd = recording(4.0, chunks, gender="?!", district="Atlantis")
    _, silver, _ = run(INDICVOICES, folder(wav(tone(4.0)), odd))
    assert [flags_of(row)[:2] for row in silver] == [["unknown_gender", "unknown_district"]] * 2
