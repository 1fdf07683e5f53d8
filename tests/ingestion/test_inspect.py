"""Inspection: rows, metrics and findings of raw files, trap by trap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.inspect import Inspection, inspect_dataset
from data_foundry.ingestion.payloads import Digests, parquet_payloads
from tests.ingestion.builders import (
    COMMENTS,
    DIALECTS,
    FOLDER_SPEECH,
    NEWS,
    PAIRS,
    SENTENCES,
    SPEECH,
    TOKENS,
    Files,
    comments,
    json_lines,
    news,
    parquet,
    tone,
)

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def inspected(tmp_path: Path):
    """Inspect files as the dataset they are given for; return the inspection and the findings by kind."""

    def build(repo_id: str, files: Files) -> tuple[Inspection, dict[str, dict[str, Any]]]:
        for name, data in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        findings = Findings()
        result = inspect_dataset(DATASET_REGISTRY[repo_id], {name: tmp_path / name for name in files}, findings)
        return result, {finding["kind"]: finding for finding in findings.listed()}

    return build


def pairs(rows: list[dict[str, str | None]]) -> bytes:
    names = ("path", "text", "task", "source_text", "source_language", "tar_lang")
    return parquet({name: [row.get(name) for row in rows] for name in names}, **dict.fromkeys(names, pa.string()))


def test_a_clean_dataset_has_no_finding(inspected):
    result, findings = inspected(NEWS, news())
    assert (result.rows, findings) == (8, {})
    assert result.labels == {"business": 3, "entertainment": 2, "sports": 2, "technology": 1}
    assert result.metrics == {
        "completeness_score": 1.0, "content_ratio": 1.0, "duplicate_share": 0.0, "label_share": 1.0,
        "mostly_malayalam_share": 1.0, "text_share": 1.0,
    }  # fmt: skip


def test_the_ratio_is_that_of_the_right_column_and_of_the_malayalam_side(inspected):
    rows = [
        {"text": "What is my balance", "source_text": SENTENCES[0], "tar_lang": "english"},
        {"text": SENTENCES[1], "source_text": "Help me to pay the bill", "tar_lang": "malayalam"},
        {"text": "hello", "source_text": "bye"},
    ]
    result, findings = inspected(PAIRS, {"data/train-00000-of-00001.parquet": pairs(rows)})
    assert result.metrics["content_ratio"] == pytest.approx(2 / 3, abs=1e-4)
    assert findings["no_malayalam_side"]["count"] == 1
    assert findings["no_malayalam_side"]["examples"] == ["data/train-00000-of-00001.parquet row 2"]


def test_a_speech_set_without_audio_is_a_finding_and_a_path_is_no_audio(inspected):
    _, findings = inspected(PAIRS, {"data/train.parquet": pairs([{"path": "/x/a.wav", "text": SENTENCES[0]}])})
    assert findings["declared_engine_not_served"]["message"].startswith("Declared for stt, but no column holds audio ")
    audio_of_another_machine = parquet({"audio": ["/x/a.wav"], "text": [SENTENCES[0]]})
    _, findings = inspected(PAIRS, {"data/train.parquet": audio_of_another_machine})
    assert "no column holds audio " in findings["declared_engine_not_served"]["message"]


def test_splits_follow_the_files_names_and_the_evaluation_split_stays_apart(inspected):
    names = ("train", "dev", "test", "kathbath")
    files = {f"data/{name}-00000-of-00001.parquet": pairs([{"text": f"{SENTENCES[0]} {name}"}]) for name in names}
    result, _ = inspected(PAIRS, files)
    assert set(result.splits) == {"train", "validation", "test", "kathbath"}


def test_text_that_train_shares_with_a_held_out_split_is_counted(inspected):
    files = {"data/train-0.parquet": pairs([{"text": text} for text in SENTENCES[:3]])}
    files["data/kathbath-0.parquet"] = pairs([{"text": text} for text in SENTENCES[2:5]])
    result, findings = inspected(PAIRS, files)
    assert findings["text_in_two_splits"]["count"] == 1
    assert findings["text_in_two_splits"]["examples"] == ["train and kathbath: 1 texts"]
    assert findings["duplicate_text"]["count"] == 1 and result.metrics["duplicate_share"] == pytest.approx(
        1 / 6, abs=1e-4
    )


def test_codec_tokens_in_a_set_declared_for_understanding_are_a_finding(inspected):
    layers = {f"nano_layer_{n}": [[1, 2], [1, 2], [1, 2, 3], [1, 4032], []] for n in (1, 2, 3)}
    layers["nano_layer_4"] = [[1, 2], [1], [1, 2, 3], [1, 2], []]
    data = parquet({"text": [*SENTENCES[:5]], **layers, "encoded_len": [2, 2, 4, 2, 0]})
    result, findings = inspected(TOKENS, {"data/train-00000-of-00001.parquet": data})
    assert "no column holds label" in findings["declared_engine_not_served"]["message"]
    assert findings["codec_tokens_found"]["message"] == "Declared for nlu, but it holds codec tokens: data for tts."
    rows = {kind: finding["examples"] for kind, finding in findings.items() if kind.startswith("codes_")}
    path = "data/train-00000-of-00001.parquet row"
    assert rows == {
        "codes_empty": [f"{path} 4"], "codes_ragged": [f"{path} 1"], "codes_outside": [f"{path} 3"],
        "codes_length": [f"{path} 2"],
    }  # fmt: skip
    assert result.roles["codes"] == ["nano_layer_1", "nano_layer_2", "nano_layer_3", "nano_layer_4"]
    assert result.metrics["completeness_score"] == pytest.approx((5 + 5 + 16) / 30, abs=1e-4)


def test_another_number_of_layers_than_the_codecs_is_a_finding(inspected):
    layers = {f"nano_layer_{n}": [[1]] for n in range(1, 9)}
    _, findings = inspected(TOKENS, {"data/train.parquet": parquet({"text": [SENTENCES[0]], **layers})})
    assert findings["codec_layers"]["message"].startswith("Rows have 8 codec layers;")


def test_a_table_without_its_header_loses_no_row(inspected):
    body = comments()["Malayalam_first_ready_for_sentiment.tsv"].split(b"\n", 1)[1]
    result, findings = inspected(COMMENTS, {"x.tsv": body})
    assert result.rows == 3 and findings["header_missing"]["count"] == 1
    assert result.labels == {"mixed": 1, "negative": 1, "positive": 1}
    result, findings = inspected(COMMENTS, comments())
    assert result.rows == 3 and findings == {}


def test_a_lone_quote_swallows_no_row_and_is_counted(inspected):
    body = 'label\tquery\nPositive\t"super padam\nNegative\tkollilla"\nNegative\t"ok"\n'
    result, findings = inspected(COMMENTS, {"x.tsv": body.encode()})
    assert result.rows == 3 and findings["lone_quote"]["count"] == 2
    assert findings["lone_quote"]["examples"] == ["x.tsv line 2", "x.tsv line 3"]


def test_a_quote_that_swallows_lines_of_a_csv_is_a_finding(inspected):
    body = 'id,translation,,\n1,"one,,\n2,two,,\n3,three",,\n4,four\n'
    result, findings = inspected(DIALECTS, {"Dialects - Sheet1.csv": body.encode()})
    assert result.rows == 2 and findings["multi_line_cell"]["count"] == 1
    assert findings["blank_column"]["count"] == 2 and findings["ragged_row"]["count"] == 1
    assert result.schemas[0]["columns"]["id"] == "int64" and result.schemas[0]["columns"]["Unnamed: 2"] == "null"


def test_unknown_and_empty_labels_and_empty_texts_are_told_apart(inspected):
    rows = [{"news": SENTENCES[0], "class": 9}, {"news": " ", "class": 1}, {"news": SENTENCES[1], "class": None}]
    result, findings = inspected(NEWS, {"malayalam-train.jsonl": json_lines(rows)})
    assert {kind: findings[kind]["count"] for kind in findings} == {
        "unknown_label": 1,
        "empty_text": 1,
        "empty_label": 1,
    }
    assert result.metrics["text_share"] == pytest.approx(2 / 3, abs=1e-4)
    assert result.metrics["completeness_score"] == pytest.approx(4 / 6, abs=1e-4)
    assert result.nulls == {"news": 0, "class": 1}


def test_a_broken_line_stays_a_row_and_is_counted(inspected):
    data = news()["malayalam-train.jsonl"] + b'{"news": "cut of\n[1]\n'
    result, findings = inspected(NEWS, {"malayalam-train.jsonl": data})
    assert result.rows == 7 and findings["broken_line"]["count"] == 2


def test_files_that_differ_in_their_columns_are_a_finding(inspected):
    files = {f"data/train-{n}.parquet": parquet({"text": [SENTENCES[n]], "translation": ["x"]}) for n in (0, 1)}
    files["data/train-2.parquet"] = parquet({"text": [SENTENCES[2]], "translation": [7], "extra": [1]})
    result, findings = inspected(SPEECH, files)
    assert findings["schema_drift"]["message"].startswith("Files differ in the columns extra:")
    assert "translation (string, int64)" in findings["type_drift"]["message"]
    assert findings["schema_drift"]["examples"] == ["data/train-2.parquet"]
    assert [len(schema["files"]) for schema in result.schemas] == [2, 1]


def test_an_unreadable_file_is_an_error_and_the_others_count(inspected):
    good = parquet({"text": [SENTENCES[0]], "translation": ["hello"]})
    result, findings = inspected(
        SPEECH, {"data/train-0.parquet": good, "data/train-1.parquet": good[:-9] + b"corrupted"}
    )
    assert result.rows == 1
    assert findings["unreadable_file"]["severity"] == "error"
    assert findings["unreadable_file"]["examples"] == ["data/train-1.parquet"]


def test_sides_that_are_swapped_or_both_malayalam_are_counted(inspected):
    columns = {"text": ["My balance", SENTENCES[1]], "translation": [SENTENCES[0], SENTENCES[1]]}
    _, findings = inspected(SPEECH, {"data/train-0.parquet": parquet(columns)})
    assert findings["swapped_sides"]["count"] == 1 and findings["no_english_side"]["count"] == 1


def test_a_set_whose_text_column_is_unknown_has_no_ratio_rather_than_a_zero(inspected):
    result, findings = inspected(SPEECH, {"data/train-0.parquet": parquet({"utterance": ["Tell me my balance"]})})
    assert "content_ratio" not in result.metrics and "no_text_column" in findings


def audio_table(payloads: list[bytes | None]) -> bytes:
    cells = [{"bytes": payload, "path": None} for payload in payloads]
    rows = len(payloads)
    texts = {"text": [f"{SENTENCES[n % 6]} {n}" for n in range(rows)], "translation": ["x"] * rows}
    return parquet({"audio": cells, **texts}, audio=AUDIO)


def test_audio_payloads_are_sniffed(inspected):
    wav = tone(1, 8000)
    payloads = [
        wav,
        tone(2, 16000, "FLAC"),
        tone(31, 8000, subtype="ULAW"),
        wav[:6000],
        b"not audio at all",
        None,
        b"",
        b"\0\0\0\x20ftypM4A " + bytes(64),
        tone(0, 16000),
    ]
    result, findings = inspected(SPEECH, {"data/train-0.parquet": audio_table(payloads)})
    assert result.audio["payloads"] == result.audio["sampled"] == 9
    assert result.audio["forms"] == {
        "FLAC/PCM_16 16000 Hz 1 ch": 1, "MPEG-4 audio": 1, "WAV/PCM_16 16000 Hz 1 ch": 1, "WAV/PCM_16 8000 Hz 1 ch": 2,
        "WAV/ULAW 8000 Hz 1 ch": 1,
    }  # fmt: skip
    found = {kind: (finding["count"], finding["examples"]) for kind, finding in findings.items()}
    path = "data/train-0.parquet row"
    assert found == {
        "long_audio": (1, [f"{path} 2"]),
        "truncated_audio": (1, [f"{path} 3"]),
        "unreadable_audio": (1, [f"{path} 4"]),
        "empty_audio": (3, [f"{path} 5", f"{path} 6", f"{path} 8"]),
        "audio_needs_ffmpeg": (1, [f"{path} 7"]),
        "mixed_sample_rates": (2, [f"{path} 0: 8000 Hz", f"{path} 1: 16000 Hz"]),
    }
    assert result.audio["seconds"]["max"] == 31.0
    # 8 of 9 payloads are there; an empty one that is not null counts as filled in the file's own statistics.
    assert result.metrics["completeness_score"] == pytest.approx(26 / 27, abs=1e-4)


def test_no_more_than_a_bounded_sample_of_the_payloads_of_large_tables_is_read(inspected, monkeypatch):
    monkeypatch.setattr("data_foundry.ingestion.inspect.WHOLE_BYTES", 1000)
    wav = tone(0.1, 8000)
    result, _ = inspected(SPEECH, {f"data/train-{n}.parquet": audio_table([wav] * 400) for n in range(2)})
    assert (result.audio["payloads"], result.audio["sampled"]) == (800, 512)


@pytest.mark.parametrize("group", [100, 7, 3])
def test_every_payload_of_a_small_file_is_looked_at_however_its_row_groups_lie(tmp_path, group):
    cells = [{"bytes": str(row).encode(), "path": None} for row in range(102)]
    pq.write_table(pa.table({"audio": pa.array(cells, type=AUDIO)}), tmp_path / "x.parquet", row_group_size=group)
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert list(parquet_payloads(file, "audio", 123)) == [(row, str(row).encode()) for row in range(102)]
    picked = list(parquet_payloads(file, "audio", 10))
    assert len(picked) == 10 and all(str(row).encode() == payload for row, payload in picked)


def test_an_audio_folder_finds_the_split_that_the_hubs_loader_hides(inspected):
    rows = [
        {"file_name": "Data/Train/a.wav", "sentence": SENTENCES[0], "speaker_id": "1"},
        {"file_name": "Data/Valid/b.wav", "sentence": SENTENCES[1], "speaker_id": "2"},
        {"file_name": "Data/Train/gone.wav", "sentence": SENTENCES[2], "speaker_id": "3"},
    ]
    clips = {name: tone(0.5, 8000) for name in ("Data/Train/a.wav", "Data/Valid/b.wav", "Data/Train/extra.wav")}
    result, findings = inspected(FOLDER_SPEECH, {"metadata.jsonl": json_lines(rows), **clips})
    assert result.rows == 4
    train = {"rows": 3, "files": 2, "without_audio": 1}
    assert result.splits == {"train": train, "validation": {"rows": 1, "files": 1}}
    assert findings["hidden_split"]["examples"] == ["Data/Valid/b.wav"]
    assert findings["missing_clip"]["examples"] == ["metadata.jsonl row 2"]
    assert findings["clip_without_row"]["examples"] == ["Data/Train/extra.wav"]
    assert set(findings) == {"hidden_split", "missing_clip", "clip_without_row"}
    assert result.audio["sampled"] == 3


def test_findings_name_places_and_never_repeat_a_rows_text(inspected):
    secret = "9876543210"
    rows = [
        {"news": f"{SENTENCES[0]} {secret}", "class": "nonsense"},
        {"news": f"{SENTENCES[0]} {secret}", "class": None},
    ]
    _, findings = inspected(NEWS, {"malayalam-train.jsonl": json_lines(rows)})
    assert findings and secret not in str(findings)


def test_a_column_that_only_its_script_tells_is_measured_as_text(inspected):
    result, findings = inspected(SPEECH, {"data/train-0.parquet": parquet({"utterance": [*SENTENCES]})})
    assert result.metrics["content_ratio"] == 1.0 and result.roles["text"] == "utterance"
    assert "utterance is mostly Malayalam" in findings["text_column_detected"]["message"]


def test_the_same_columns_in_another_order_are_told_apart_from_other_types(inspected):
    files = {
        "data/train-0.parquet": parquet({"text": [SENTENCES[0]], "translation": ["x"]}),
        "data/train-1.parquet": parquet({"translation": ["y"], "text": [SENTENCES[1]]}),
    }
    _, findings = inspected(SPEECH, files)
    assert findings["order_drift"]["examples"] == ["data/train-1.parquet"] and "schema_drift" not in findings


def test_a_shard_without_rows_is_a_finding_and_counts_as_a_file(inspected):
    empty = parquet({"text": [], "translation": []}, text=pa.string(), translation=pa.string())
    files = {"data/train-0.parquet": parquet({"text": [SENTENCES[0]], "translation": ["x"]})}
    result, findings = inspected(SPEECH, {**files, "data/test-0.parquet": empty, "data/train-1.parquet": b""})
    assert findings["empty_file"]["examples"] == ["data/test-0.parquet", "data/train-1.parquet"]
    assert result.rows == 1 and result.splits["test"] == {"rows": 0, "files": 1}


def test_a_parquet_file_that_breaks_off_counts_alike_in_rows_and_splits(inspected, tmp_path):
    columns = {"text": [f"{SENTENCES[n % 6]} {n}" for n in range(20_000)], "translation": ["x"] * 20_000}
    pq.write_table(pa.table(columns), tmp_path / "whole.parquet", row_group_size=5_000, compression="NONE")
    data = bytearray((tmp_path / "whole.parquet").read_bytes())
    # The footer stays; the pages of the later row groups are damaged.
    data[len(data) // 2 : len(data) // 2 + 200_000] = bytes(200_000)
    result, findings = inspected(SPEECH, {"data/train-0.parquet": bytes(data)})
    assert result.rows == result.splits["train"]["rows"] == result.rows_per_file["data/train-0.parquet"] == 20_000
    broken = findings["unreadable_file"]
    assert broken["severity"] == "error" and 0 < broken["count"] < 20_000


def test_the_same_audio_in_two_splits_is_counted_in_tables_and_in_folders(inspected):
    wavs = [tone(0.2, 8000), tone(0.3, 8000), tone(0.4, 8000)]
    files = {"data/train-0.parquet": audio_table(wavs[:2]), "data/test-0.parquet": audio_table(wavs[1:])}
    _, findings = inspected(SPEECH, files)
    assert findings["audio_in_two_splits"]["examples"] == ["train and test: 1 clips"]
    assert findings["duplicate_audio"]["count"] == 1


def test_a_table_that_is_a_copy_of_another_is_a_finding(inspected, tmp_path):
    data = parquet({"text": [SENTENCES[0]], "translation": ["x"]})
    for name in ("train-0", "test-0"):
        (tmp_path / f"{name}.parquet").write_bytes(data)
    findings = Findings()
    files = {f"data/{name}.parquet": tmp_path / f"{name}.parquet" for name in ("train-0", "test-0")}
    inspect_dataset(DATASET_REGISTRY[SPEECH], files, findings, dict.fromkeys(files, "ab" * 32))
    found = {finding["kind"]: finding for finding in findings.listed()}
    assert found["duplicate_file"]["examples"] == ["data/train-0.parquet = data/test-0.parquet"]


def test_unknown_labels_are_listed_with_counts_and_texts_among_them_are_not(inspected):
    rows = [
        {"news": SENTENCES[n % 6] + str(n), "class": label} for n, label in enumerate(["wrong", "wrong", 9, "x" * 90])
    ]
    result, findings = inspected(NEWS, {"malayalam-train.jsonl": json_lines(rows)})
    assert result.unknown_labels == {"(long)": 1, "9": 1, "wrong": 2}
    assert result.labels == {"(unknown)": 4} and findings["unknown_label"]["count"] == 4


def test_clips_that_a_cap_left_out_are_not_missing(inspected, tmp_path):
    rows = [{"file_name": f"Data/Train/{name}.wav", "sentence": SENTENCES[0]} for name in ("a", "b", "gone")]
    (tmp_path / "metadata.jsonl").write_bytes(json_lines(rows))
    (tmp_path / "a.wav").write_bytes(tone(0.2, 8000))
    files = {"metadata.jsonl": tmp_path / "metadata.jsonl", "Data/Train/a.wav": tmp_path / "a.wav"}
    findings = Findings()
    result = inspect_dataset(DATASET_REGISTRY[FOLDER_SPEECH], files, findings, None, ["Data/Train/b.wav"])
    found = {finding["kind"]: finding for finding in findings.listed()}
    assert found["left_out_by_selection"]["examples"] == ["Data/Train/b.wav"]
    assert found["missing_clip"]["examples"] == ["metadata.jsonl row 2"]
    assert result.splits == {"train": {"rows": 3, "files": 1, "without_audio": 2}} and result.rows_without_audio == 2


def test_what_repeats_is_told_with_its_row_and_that_of_the_first(inspected):
    texts = [SENTENCES[0], "", SENTENCES[1], SENTENCES[0], SENTENCES[2]]
    first = json_lines([{"news": text, "class": 1} for text in texts])
    second = json_lines([{"news": text, "class": 1} for text in (SENTENCES[3], SENTENCES[2])])
    _, findings = inspected(NEWS, {"malayalam-train.jsonl": first, "malayalam-test.jsonl": second})
    assert findings["duplicate_text"]["count"] == 2
    # Tables are read in the order of their names.
    assert findings["duplicate_text"]["examples"] == [
        "malayalam-train.jsonl row 3 = malayalam-train.jsonl row 0",
        "malayalam-train.jsonl row 4 = malayalam-test.jsonl row 1",
    ]


def test_rows_of_an_audio_folder_that_repeat_are_told_though_their_splits_alternate(inspected):
    names = [f"Data/{split}/{n}.wav" for n in range(3) for split in ("Train", "Valid")]
    rows = [{"file_name": name, "sentence": SENTENCES[n % 5]} for n, name in enumerate(names)]
    clips = {name: tone(0.2 + n / 10, 8000) for n, name in enumerate(names)}
    _, findings = inspected(FOLDER_SPEECH, {"metadata.jsonl": json_lines(rows), **clips})
    assert findings["duplicate_text"]["examples"] == ["metadata.jsonl row 5 = metadata.jsonl row 0"]
    assert findings["text_in_two_splits"]["count"] == 1


def test_audio_that_repeats_is_told_by_its_row_and_of_many_repeats_a_few_are_named(inspected):
    wav, other = tone(0.2, 8000), tone(0.3, 8000)
    _, findings = inspected(SPEECH, {"data/train-0.parquet": audio_table([other, wav, *[wav] * 9])})
    found, path = findings["duplicate_audio"], "data/train-0.parquet row"
    assert found["count"] == 9 and found["examples"] == [f"{path} {n} = {path} 1" for n in range(2, 7)]


def test_completeness_counts_cells_of_columns_and_no_clips(inspected):
    rows = [{"file_name": f"Data/Train/{n}.wav", "sentence": SENTENCES[0] if n else ""} for n in range(4)]
    clips = {row["file_name"]: tone(0.2, 8000) for row in rows[:2]}
    result, _ = inspected(FOLDER_SPEECH, {"metadata.jsonl": json_lines(rows), **clips})
    assert set(result.roles) == {"file_name", "text"} and result.metrics["completeness_score"] == 7 / 8


def test_the_distribution_of_the_ratio_is_kept(inspected):
    rows = [{"news": SENTENCES[0], "class": 1}, {"news": "balance", "class": 1}]
    result, _ = inspected(NEWS, {"malayalam-train.jsonl": json_lines(rows)})
    assert result.ratio_histogram == {"0.0-0.1": 1, "0.9-1.0": 1}


def test_the_audio_profile_is_a_histogram(inspected):
    clips = [tone(0.2, 8000), tone(3, 8000), tone(4, 16000, "FLAC"), b"noise"]
    result, _ = inspected(SPEECH, {"data/train-0.parquet": audio_table(clips)})
    assert result.audio["rates"] == {"8000": 2, "16000": 1} and result.audio["channels"] == {"1": 3}
    assert result.audio["formats"] == {"FLAC": 1, "WAV": 2} and result.audio["unreadable"] == 1
    assert result.audio["seconds_histogram"] == {"0-0.3": 1, "2-5": 2}


def test_row_groups_that_no_reader_can_take_in_parts_are_passed_over_and_told(inspected, monkeypatch):
    monkeypatch.setattr("data_foundry.ingestion.payloads.LARGEST_GROUP", 1000)
    result, findings = inspected(SPEECH, {"data/train-0.parquet": audio_table([tone(1, 8000)] * 3)})
    assert findings["large_row_group"]["count"] == 1 and result.audio is None


def test_speakers_are_counted_and_those_of_two_splits_are_told(inspected):
    def shard(*speakers: str | None) -> bytes:
        rows = len(speakers)
        columns = {"text": [f"{SENTENCES[n]} {speakers}" for n in range(rows)], "translation": ["x"] * rows}
        return parquet({**columns, "speaker_id": list(speakers)}, speaker_id=pa.string())

    files = {"data/train-0.parquet": shard("a", "b", None), "data/test-0.parquet": shard("b", "c")}
    result, findings = inspected(SPEECH, files)
    assert result.speakers == 3
    assert findings["speaker_in_two_splits"]["examples"] == ["train and test: 1 speakers"]
    assert inspected(NEWS, news())[0].speakers is None


def test_a_clip_is_found_by_a_path_that_climbs_and_a_missing_one_is_told_by_its_row_not_by_its_cell(inspected):
    rows = [
        {"file_name": "../clips/a.wav", "sentence": SENTENCES[0]},
        {"file_name": "my number is 0471 " * 9000, "sentence": SENTENCES[1]},
    ]
    files = {"tables/metadata.jsonl": json_lines(rows), "clips/a.wav": tone(0.2, 8000)}
    result, findings = inspected(FOLDER_SPEECH, files)
    assert findings["missing_clip"]["examples"] == ["tables/metadata.jsonl row 1"]
    assert result.rows == 2 and "clip_without_row" not in findings


def test_repeats_and_what_two_splits_share_are_counted_alike_before_and_after_more_comes():
    found = Digests()
    assert found.repeats() == (0, 0) and found.different() == 0 and list(found.shared()) == []
    found.add_rows("train", np.array([5, 0, 9, 5, 2**64 - 1], dtype=np.uint64), 0)
    found.add_rows("test", np.zeros(3, dtype=np.uint64), 5)
    assert found.repeats() == (4, 1) and list(found.shared()) == []
    found.add_rows(["test", "train", "test"], np.array([9, 1, 9], dtype=np.uint64), 8)
    found.add("validation", 9, 11)
    assert found.repeats() == (8, 4) and found.different() == 4
    assert list(found.shared()) == [("train", "test", 1), ("train", "validation", 1), ("test", "validation", 1)]
    assert found.repeats() == (8, 4)
