"""Exact duplicates: groups by content, marked in raw order, dropped or kept by policy, counted within and across."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
import soundfile

from data_foundry.config import Duplicates
from data_foundry.lake import Layer
from data_foundry.preprocessing import standardize
from data_foundry.preprocessing.duplicates import SeenRows, group, shared_rows, text_group
from data_foundry.records import Rejected

from .audio_builders import tone
from .raw_builders import INDICVOICES, NEWS, STT, TEXT, clip, flags_of, mixed_rows, speech, wav

A, B = wav(tone(2.0)), wav(tone(2.0, frequency=300))


def test_texts_that_differ_in_punctuation_alone_are_one_group_and_nothing_is_none():
    assert text_group("ഇന്ന് മഴ പെയ്തു.") == text_group("ഇന്ന്, മഴ പെയ്തു") != text_group("ഇന്ന് മഴ പെയ്തില്ല")
    assert text_group("...") is None and text_group(None) is None
    assert len(text_group("മഴ")) == 16 and int(text_group("മഴ"), 16) >= 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5 ലക്ഷം", "15 ലക്ഷം"),
        ("5-10 പേർ", "510 പേർ"),
        ("സമയം 2:30", "സമയം 230"),
        ("താപനില -5", "താപനില 5"),
        ("12/5 തീയതി", "125 തീയതി"),
        ("1.5 രൂപ, 15 രൂപ", "15 രൂപ, 1.5 രൂപ"),
        ("1.52", "15.2"),
        ("₹500 വില", "$500 വില"),
        ("5% വില", "5 വില"),
        (".5 ലിറ്റർ", "5 ലിറ്റർ"),
    ],
)
def test_texts_with_other_numbers_are_not_one_group(one, other):
    assert text_group(one) != text_group(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,00,000 രൂപ.", "100000 രൂപ"),
        ("2,500,000", "2500000"),
        ("വില 1.5, ശരി", "വില: 1.5 ശരി!"),
        ("7-ാം വാർഡ്", "7ാം വാർഡ്"),
        ("₹ 500, 5 %", "₹500, 5%"),
        ("ഇൻറർനെറ്റ്", "ഇന്റർനെറ്റ്"),
    ],
)
def test_texts_that_differ_in_how_a_number_or_word_is_written_are_one_group(one, other):
    assert text_group(one) == text_group(other) is not None


def stored(samples: np.ndarray, container: str) -> bytes:
    sink = io.BytesIO()
    soundfile.write(sink, samples, 16_000, "PCM_16", format=container)
    return sink.getvalue()


def test_the_same_samples_are_one_group_in_any_container_and_any_dataset(run):
    heard = np.rint(tone(2.0) * 32767).astype(np.int16)
    _, first, _ = run(STT, speech(clip(stored(heard, "WAV")), clip(stored(heard, "FLAC"), "മഴ")))
    record = {"file_name": "Data/Train/a.wav", "sentence": TEXT, "verbatim": []}
    _, second, _ = run(INDICVOICES, {"metadata.jsonl": json.dumps(record), "Data/Train/a.wav": stored(heard, "WAV")})
    groups = {row["audio_group"] for row in [*first, *second]}
    assert len(first) == 2 and len(groups) == 1 and groups == {group(first[0]["audio"]["bytes"])}
    assert first[0]["text_group"] == second[0]["text_group"] != first[1]["text_group"]


@pytest.mark.parametrize(
    ("policy", "kept", "reasons"),
    [
        ({}, [0, 1, 3], ["duplicate_audio"]),
        ({"audio": "keep"}, [0, 1, 2, 3], []),
        ({"text": "drop"}, [0, 3], ["duplicate_text", "duplicate_audio"]),
        ({"text": "drop", "audio": "keep"}, [0, 3], ["duplicate_text", "duplicate_text"]),
    ],
)
def test_a_row_that_repeats_an_earlier_one_is_kept_and_flagged_or_dropped_by_policy(
    policy, kept, reasons, run, with_settings
):
    rows = [clip(A), clip(B), clip(A), clip(A, "മറ്റൊരു വാക്യം ആണ് ഇത്")]
    _, silver, rejected = run(STT, speech(*rows), with_settings(duplicates=policy))
    assert [row["source_row"] for row in silver] == kept
    assert [row["reason"] for row in rejected] == reasons
    flags = {row["source_row"]: flags_of(row) for row in silver}
    assert flags[0] == [] and flags[3] == ["duplicate_audio"]
    assert flags.get(1, ["duplicate_text"]) == ["duplicate_text"]
    assert flags.get(2, ["duplicate_text", "duplicate_audio"]) == ["duplicate_text", "duplicate_audio"]
    assert all(row["audio_group"] and row["text_group"] for row in rejected)


def test_a_rejected_row_is_none_that_a_later_one_could_repeat():
    seen = SeenRows(Duplicates(text="drop"))

    def row(text):
        return {"text_group": text and group(text.encode()), "audio_group": None, "flags": []}

    for text in ("a", None, None, "b"):
        seen.mark(row(text))
    with pytest.raises(Rejected, match="duplicate_text"):
        seen.mark(row("a"))
    assert seen.summary()["same_text_as_an_earlier_row"] == 1


@pytest.mark.parametrize("says", ["text_group", "translation", "label", "dialect", "district", "gender", "speaker"])
def test_the_same_samples_that_come_back_with_anything_else_said_of_them_are_never_dropped(says):
    seen = SeenRows(Duplicates(audio="drop"))
    meaning = ("text_group", "translation", "label", "dialect", "district", "gender", "speaker")
    first = {**dict.fromkeys(meaning), "audio_group": group(b"a"), "flags": []}
    seen.mark({**first})
    other = {**first, says: group(b"b")}
    seen.mark(other)
    assert other["flags"] == ["duplicate_audio"]
    assert seen.summary()["same_audio_with_another_meaning"] == 1
    with pytest.raises(Rejected, match="duplicate_audio"):
        seen.mark({**other, "flags": []})


def test_duplicates_are_counted_within_a_dataset_and_across(run, settings, lake):
    run(STT, speech(clip(A), clip(A), clip(B), clip(A, "മറ്റൊരു വാക്യം ആണ് ഇത്")))
    news = [{"news": TEXT, "class": 0}, {"news": "ഒരു പുതിയ വാർത്ത ഇന്ന്", "class": 1}]
    run(NEWS, {"malayalam-train.jsonl": "\n".join(map(json.dumps, news))})
    assert lake.manifest(Layer.SILVER, STT).details["metrics"]["duplicates"] == {
        "same_text_as_an_earlier_row": 2, "same_audio_as_an_earlier_row": 2, "same_audio_with_another_meaning": 1,
    }  # fmt: skip
    assert shared_rows(lake, [STT, NEWS]) == {
        STT: {"text": {NEWS: 2}, "audio": {}},
        NEWS: {"text": {STT: 1}, "audio": {}},
    }
    reports, _ = standardize.describe(settings.model_copy(update={"datasets": (STT, NEWS)}), lake)
    assert reports[NEWS].metrics["rows_shared_with"] == {"text": {STT: 1}, "audio": {}}
    found = {finding["kind"]: finding for finding in reports[STT].findings}
    assert found["duplicates_across_datasets"]["examples"] == [f"2 rows share their text with {NEWS}"]
    assert found["duplicate_text"]["count"] == 1


def test_which_row_of_a_group_is_the_first_does_not_depend_on_the_workers(run, with_settings, lake):
    rows = mixed_rows(12) * 2
    flags = []
    for workers in (1, 4):
        _, silver, _ = run(STT, speech(*rows), with_settings(workers=workers, duplicates={"audio": "keep"}))
        shutil.rmtree(lake.folder(Layer.SILVER, STT))
        flags.append([(row["source_row"], row["flags"], row["audio_group"]) for row in silver])
    assert flags[0] == flags[1]
    assert {"duplicate_audio"} < {flag for _, found, _ in flags[0] for flag in found}
