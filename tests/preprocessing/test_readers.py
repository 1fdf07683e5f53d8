"""Readers: every layout gives rows with their roles, and a row that can't be read is still a row, with its reason."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry.errors import FoundryError
from data_foundry.preprocessing.readers import _cells, read_rows

from .audio_builders import encoded, tone
from .raw_builders import (
    AUDIO_TYPE,
    COMMENTS,
    DIALECTS,
    INDICST,
    INDICVOICES,
    NEWS,
    STT,
    TEXT,
    TOKENS,
    clip,
    entry,
    parquet_bytes,
    speech,
    write_files,
)  # fmt: skip

STRINGS = dict.fromkeys(("path", "text", "task", "source_text", "source_language", "tar_lang"), pa.string())


def rows_of(name, tmp_path, files):
    return list(read_rows(entry(name), tmp_path, write_files(tmp_path, files)))


def test_parquet_rows_come_batch_by_batch_in_order_with_their_split(tmp_path):
    types = {"audio": AUDIO_TYPE, "transcript": pa.string()}
    made = [{"audio": {"bytes": bytes([i % 256]), "path": None}, "transcript": f"വരി {i}"} for i in range(150)]
    files = {
        "data/train-00000-of-00002.parquet": parquet_bytes(made[:100], types),
        "data/train-00001-of-00002.parquet": parquet_bytes(made[100:], types),
        "data/validation-00000-of-00001.parquet": parquet_bytes(made[:3], types),
        "README.md": "---\n---\n",
    }
    rows = rows_of(STT, tmp_path, files)
    assert [row.values["text"] for row in rows[:150]] == [row["transcript"] for row in made]
    assert [row.payload for row in rows[:150]] == [row["audio"]["bytes"] for row in made]
    assert [(row.source_file[5:9], row.source_row) for row in rows[98:102]] == [
        ("trai", 98), ("trai", 99), ("trai", 0), ("trai", 1),
    ]  # fmt: skip
    assert {row.source_split for row in rows[150:]} == {"validation"}


def test_a_text_column_of_another_name_is_an_alias(tmp_path):
    data = parquet_bytes([{"Sentence": "മഴ"}], {"Sentence": pa.string()})
    assert rows_of(STT, tmp_path, {"data/train-0.parquet": data})[0].values["text"] == "മഴ"


def test_a_text_column_of_an_unknown_name_is_found_by_its_script(tmp_path):
    data = parquet_bytes(
        [{"comment_en": "rain", "ezhuthu": "മഴ പെയ്തു"}] * 3, {"comment_en": pa.string(), "ezhuthu": pa.string()}
    )
    assert rows_of(STT, tmp_path, {"data/train-0.parquet": data})[0].values["text"] == "മഴ പെയ്തു"


def test_a_path_of_another_machine_is_not_audio(tmp_path):
    row = {
        "path": "/box/a.wav",
        "text": "മഴ",
        "task": "asr",
        "source_text": "മഴ",
        "source_language": "ml",
        "tar_lang": "ml",
    }
    files = {f"data/{split}-00000-of-00001.parquet": parquet_bytes([row], STRINGS) for split in ("dev", "kathbath")}
    rows = rows_of(INDICST, tmp_path, files)
    assert [row.source_split for row in rows] == ["validation", "kathbath"]
    assert not any(row.has_audio_column or row.payload for row in rows)


def test_an_audio_column_that_holds_only_strings_is_none(tmp_path):
    data = parquet_bytes(
        [{"audio": "/box/a.wav", "transcript": "മഴ"}], {"audio": pa.string(), "transcript": pa.string()}
    )
    assert not rows_of(STT, tmp_path, {"data/train-0.parquet": data})[0].has_audio_column


def test_codec_layers_are_read_in_the_order_of_their_numbers(tmp_path):
    layers = {f"nano_layer_{n}": pa.list_(pa.int64()) for n in (2, 10, 1)}
    data = parquet_bytes(
        [{"text": "മഴ", "encoded_len": 1, "nano_layer_1": [1], "nano_layer_2": [2], "nano_layer_10": None}],
        {"text": pa.string(), "encoded_len": pa.int64(), **layers},
    )
    assert rows_of(TOKENS, tmp_path, {"data/train-0.parquet": data})[0].codes == [[1], [2], None]


def test_a_parquet_file_that_is_none_is_a_clear_error(tmp_path):
    with pytest.raises(FoundryError, match=r"train-0.parquet can't be read"):
        rows_of(STT, tmp_path, {"data/train-0.parquet": b"PAR1 no"})


def test_a_dataset_without_files_of_its_layout_is_a_clear_error(tmp_path):
    with pytest.raises(FoundryError, match=r"holds no file \*.parquet"):
        rows_of(STT, tmp_path, {"README.md": "x"})


def test_an_audiofolder_takes_its_splits_from_its_folders_and_finds_what_is_missing(tmp_path):
    sound = encoded(tone(0.5), 16_000)
    records = [
        {"file_name": "Data/Train/a.wav", "sentence": "മഴ", "speaker_id": "S1", "district": "Kollam", "verbatim": []},
        {"file_name": "Data/Valid/b.wav", "sentence": "വെയിൽ"},
        {"file_name": "Data/Train/gone.wav", "sentence": "കാറ്റ്"},
        {"file_name": "../../../etc/passwd", "sentence": "കാറ്റ്"},
    ]
    lines = [*(json.dumps(record, ensure_ascii=False) for record in records), "{broken", "[1]", ""]
    files = {
        "metadata.jsonl": "\n".join(lines), ".gitattributes": "*.wav -text\n",
        **{f"Data/{name}": sound for name in ("Train/a.wav", "Valid/b.wav", "Train/stray.wav")},
    }  # fmt: skip
    rows = rows_of(INDICVOICES, tmp_path, files)
    assert [row.source_split for row in rows[:2]] == ["train", "validation"]
    assert [row.payload for row in rows[:2]] == [tmp_path / "Data" / name for name in ("Train/a.wav", "Valid/b.wav")]
    assert rows[0].values["district"] == "Kollam"
    assert [row.fault.reason for row in rows[2:]] == [
        "audio_missing", "audio_missing", "malformed_row", "malformed_row", "no_metadata",
    ]  # fmt: skip
    assert rows[-1].source_file == "Data/Train/stray.wav"


def test_a_tsv_takes_quote_marks_literally(tmp_path):
    text = 'label\tquery\nPositive \tnalla "padam\nNegative\t"mosham\nPositive\tok"\n'
    rows = rows_of(COMMENTS, tmp_path, {"a b.tsv": text})
    assert [row.values["text"] for row in rows] == ['nalla "padam', '"mosham', 'ok"']
    assert rows[0].values["label"] == "Positive "


def test_a_tsv_without_its_header_loses_no_row(tmp_path):
    rows = rows_of(COMMENTS, tmp_path, {"a.tsv": "Positive\tnalla padam\nNegative\tmosham\n"})
    assert [(row.values["label"], row.values["text"], row.source_row) for row in rows] == [
        ("Positive", "nalla padam", 0), ("Negative", "mosham", 1),
    ]  # fmt: skip


def test_a_row_with_more_cells_than_columns_is_malformed_and_one_with_fewer_has_none(tmp_path):
    rows = rows_of(COMMENTS, tmp_path, {"a.tsv": "label\tquery\nPositive\tone\ttwo\nPositive\n\nNegative\tx\n"})
    assert rows[0].fault.reason == "malformed_row"
    assert rows[1].values["text"] is None
    assert len(rows) == 3


def test_a_csv_with_quotes_blank_columns_and_a_byte_order_mark(tmp_path):
    text = '\ufeffid, translation ,,\n1,"ഒന്ന്, രണ്ട്",,\n2,"വരി\nമാറി",,\n'
    rows = rows_of(DIALECTS, tmp_path, {"Dialects - Sheet1.csv": text})
    assert [row.values["text"] for row in rows] == ["ഒന്ന്, രണ്ട്", "വരി\nമാറി"]


def test_json_lines_keep_numbers_as_labels(tmp_path):
    files = {
        "malayalam-train.jsonl": '{"news": "മഴ", "class": 2}\nnot json\n', "malayalam-test.jsonl": '{"news": null}',
        "metadata.json": "{}",
    }  # fmt: skip
    test, train, broken = rows_of(NEWS, tmp_path, files)
    assert (test.source_split, test.values) == ("test", {"text": None, "label": None})
    assert (train.source_split, train.values) == ("train", {"text": "മഴ", "label": 2})
    assert broken.fault.reason == "malformed_row"


def test_heavy_rows_are_read_a_few_at_a_time_whatever_their_row_group(tmp_path, monkeypatch):
    from data_foundry.preprocessing import readers

    rows = [clip(bytes(50_000 + number), TEXT) for number in range(40)]
    write_files(tmp_path, speech(*rows))
    asked: list[int] = []
    iterate = pq.ParquetFile.iter_batches

    def iter_batches(self, batch_size, **more):
        asked.append(batch_size)
        return iterate(self, batch_size, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    monkeypatch.setattr(readers, "BATCH_BYTES", 200_000)
    found = list(read_rows(entry(STT), tmp_path, list(speech(*rows))))
    assert asked == [3]
    assert [(row.source_row, len(row.payload)) for row in found] == [(n, 50_000 + n) for n in range(40)]


def test_light_rows_are_read_many_at_a_time(tmp_path):
    from data_foundry.preprocessing.readers import BATCH_ROWS, _batch_rows

    data = parquet_bytes([{"text": TEXT}] * 5, {"text": pa.string()})
    assert _batch_rows(pq.ParquetFile(pa.BufferReader(data)).metadata) == BATCH_ROWS


def test_a_null_in_an_audio_column_is_no_payload(tmp_path):
    rows = [
        clip(b"abc"),
        {"audio": None, "transcript": TEXT},
        {"audio": {"bytes": None, "path": "a"}, "transcript": TEXT},
    ]
    assert [row.payload for row in rows_of(STT, tmp_path, speech(*rows))] == [b"abc", None, None]


def test_a_json_file_that_is_one_array_gives_its_items(tmp_path):
    text = '  \n[{"news": "മഴ", "class": 1}, 7,\n {"news": "വെയിൽ", "class": 2}]'
    rows = rows_of(NEWS, tmp_path, {"malayalam-train.jsonl": text})
    assert [(row.source_row, row.values.get("text"), row.fault and row.fault.reason) for row in rows] == [
        (0, "മഴ", None), (1, None, "malformed_row"), (2, "വെയിൽ", None),
    ]  # fmt: skip


def test_a_file_without_a_byte_holds_no_rows(tmp_path):
    files = {"data/train-0.parquet": b"", **speech(clip(b"abc"), split="test")}
    assert [row.source_split for row in rows_of(STT, tmp_path, files)] == ["test"]


@pytest.mark.parametrize(
    ("name", "file", "line", "wrap"),
    [
        (NEWS, "malayalam-train.jsonl", '{"news": "%s"}', ("", "")),
        (DIALECTS, "a.csv", "1,%s", ("id,translation\n", "")),
        (COMMENTS, "a.tsv", "positive\t%s", ("category\ttext\n", "")),
        (DIALECTS, "a.csv", "1,%s", ("id,translation\n", '2,"തുടക്കം\n')),
    ],
)
def test_a_line_that_is_too_long_costs_its_own_row_and_none_after_it(tmp_path, monkeypatch, name, file, line, wrap):
    from data_foundry.preprocessing import delimited

    monkeypatch.setattr(delimited, "MAX_LINE", 100)
    monkeypatch.setattr(delimited, "_PASSED_OVER", 7)
    head, before = wrap
    text = head + before + "\n".join(line % word for word in ("മഴ", "x" * 500, "വെയിൽ", "കാറ്റ്"))
    rows = rows_of(name, tmp_path, {file: text})
    told = [row.values.get("text") or row.fault.detail.rpartition(": ")[2][:15] for row in rows]
    assert [row.fault and row.fault.reason for row in rows][-4:] == [None, "malformed_row", None, None]
    assert [told[-4], *told[-2:]] == ["മഴ", "വെയിൽ", "കാറ്റ്"]
    assert "longer than" in rows[-3].fault.detail and len(rows) == 4 + bool(before)


def test_a_quote_that_is_opened_and_not_closed_costs_its_own_row_and_says_what_it_would_swallow(tmp_path):
    text = 'id,translation\n1,"തുടക്കം\n2,രണ്ട്\n3,"മൂന്ന്, നാല്"\n4,"അഞ്ച്\nആറ്"\n5,"ഏഴ്" എട്ട്\n6,"അവസാനം\n'
    rows = rows_of(DIALECTS, tmp_path, {"a.csv": text})
    assert [row.values.get("text") for row in rows] == [
        None, "രണ്ട്", "മൂന്ന്, നാല്", "അഞ്ച്\nആറ്", "ഏഴ് എട്ട്", None,
    ]  # fmt: skip
    faults = [row.fault for row in rows if row.fault]
    assert [fault.reason for fault in faults] == ["malformed_row"] * 2
    assert [fault.detail.split("would ")[1] for fault in faults] == ["swallow 2 more lines", "swallow 0 more lines"]


def test_a_quote_that_is_never_closed_is_not_looked_for_to_the_end_of_a_long_file(tmp_path, monkeypatch):
    from data_foundry.preprocessing import delimited

    monkeypatch.setattr(delimited, "MAX_QUOTED_LINES", 4)
    text = "id,translation\n" + '0,"തുടക്കം\n' * 5 + "".join(f"{number},വരി\n" for number in range(20))
    rows = rows_of(DIALECTS, tmp_path, {"a.csv": text})
    assert [row.fault is None for row in rows] == [False] * 5 + [True] * 20


def test_a_label_of_several_lines_is_a_malformed_row(tmp_path):
    lines = [{"news": TEXT, "class": "sports\nbusiness"}, {"news": TEXT, "class": "sports\n"}]
    rows = rows_of(NEWS, tmp_path, {"malayalam-train.jsonl": "\n".join(map(json.dumps, lines))})
    assert [row.fault and row.fault.reason for row in rows] == ["malformed_row", None]


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_a_json_array_is_read_block_by_block(tmp_path, monkeypatch, block):
    from data_foundry.preprocessing import json_records

    monkeypatch.setattr(json_records, "BLOCK", block)
    values = [{"news": "മഴ ] , [", "class": 1}, 12345, [1, [2]], {"news": 'a "b" \\', "class": 22}, "x"]
    rows = rows_of(NEWS, tmp_path, {"malayalam-train.jsonl": "\ufeff " + json.dumps(values, indent=1) + "\n"})
    assert [row.values for row in rows] == [
        {"text": "മഴ ] , [", "label": 1}, {}, {}, {"text": 'a "b" \\', "label": 22}, {},
    ]  # fmt: skip
    assert rows_of(NEWS, tmp_path / "b", {"malayalam-train.jsonl": "[ ]"}) == []


@pytest.mark.parametrize("text", ['[{"news": "a"}', '[{"news": "a"} {"news": "b"}]', "[{broken}]", "["])
def test_a_json_array_that_is_none_is_a_clear_error(tmp_path, text):
    with pytest.raises(FoundryError, match="can't be read as a JSON array"):
        rows_of(NEWS, tmp_path, {"malayalam-train.jsonl": text})


@pytest.mark.parametrize("odd", ["[" * 900 + "]" * 900, "[" * 50_000 + "]" * 50_000, "7" * 5_000])
@pytest.mark.parametrize("form", ["%s\n%s\n%s", "[%s,\n%s, %s]"])
def test_a_value_that_is_nested_too_deep_or_too_long_a_number_costs_its_own_row(tmp_path, form, odd):
    lines = ('{"news": "മഴ ] \\" [", "class": 1}', f'{{"class": 1, "news": {odd}}}', '{"news": "വെയിൽ"}')
    rows = rows_of(NEWS, tmp_path, {"malayalam-train.jsonl": form % lines})
    assert [row.fault and row.fault.reason for row in rows] == [None, "malformed_row", None]


@pytest.mark.parametrize(
    ("name", "file", "content", "said"),
    [
        (COMMENTS, "a.tsv", "text\tcategory\nമഴ\tpositive\n".encode("utf-16"), "by its NUL bytes, UTF-16"),
        (DIALECTS, "a.csv", "text;dialect\nമഴ;malabar\n", "parted by ';'"),
        (DIALECTS, "a.csv", "id,note\n1,മഴ\n", "('id', 'note') none holds a text"),
        (NEWS, "malayalam-train.jsonl", '{"data": [{"news": "മഴ"}]}', "('data') none holds a text"),
    ],
)
def test_a_table_without_any_known_column_is_one_clear_error_and_not_an_empty_text_per_row(
    tmp_path, name, file, content, said
):
    with pytest.raises(FoundryError, match="can't be read") as error:
        rows_of(name, tmp_path, {file: content})
    assert said in str(error.value)


def test_a_table_without_any_known_column_beside_others_is_one_rejected_row(tmp_path):
    files = {"a.csv": "text,dialect\nമഴ,malabar\n", "b.csv": "word,count\nx,1\ny,2\n", "c.csv": "text,dialect\n"}
    rows = rows_of(DIALECTS, tmp_path, files)
    assert [(row.source_file, row.fault and row.fault.reason) for row in rows] == [
        ("a.csv", None), ("b.csv", "malformed_row"),
    ]  # fmt: skip


def test_a_stray_quote_that_a_later_stray_quote_closes_swallows_no_row_that_carries_a_label(tmp_path):
    lines = ['"തുടക്കം,malabar', *(f"വരി എണ്ണം {number},cochin" for number in range(10)), 'അവസാനം",malabar', "ശരി,cochin"]
    rows = rows_of(DIALECTS, tmp_path, {"a.csv": "\n".join(["text,dialect", *lines])})
    assert [row.fault and row.fault.reason for row in rows] == ["malformed_row"] + [None] * 12
    assert "swallow 11 more lines" in rows[0].fault.detail
    poem = 'text,dialect\n"മഴ, വെയിൽ\nകാറ്റ്, മഞ്ഞ്",malabar\n'
    (row,) = rows_of(DIALECTS, tmp_path / "poem", {"a.csv": poem})
    assert row.values["text"] == "മഴ, വെയിൽ\nകാറ്റ്, മഞ്ഞ്"


def test_a_json_array_is_not_held_as_a_whole(tmp_path):
    item = json.dumps({"news": "x" * 1000, "class": 1})
    paths = write_files(tmp_path, {"malayalam-train.jsonl": "[" + ",".join([item] * 20_000) + "]"})
    tracemalloc.start()
    assert sum(1 for _ in read_rows(entry(NEWS), tmp_path, paths)) == 20_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8e6


def test_strings_that_are_no_utf8_and_half_characters_are_repaired(tmp_path):
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffb")])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"transcript": broken}), sink)
    (row,) = rows_of(STT, tmp_path / "a", {"data/train-0.parquet": sink.getvalue().to_pybytes()})
    assert row.values["text"] == "a\ufffdb"
    (row,) = rows_of(NEWS, tmp_path / "b", {"malayalam-train.jsonl": '{"news": "a\\ud83d", "class": 1}'})
    assert (row.values["text"], row.flags) == ("a\ufffd", ("lone_surrogate",))


@pytest.mark.parametrize("shape", ["list", "struct", "list of structs"])
def test_a_byte_that_is_no_utf8_costs_its_own_cell_whatever_the_column_is_made_of(shape):
    offsets = pa.py_buffer(np.array([0, 3, 5], np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"a\xffbok")])
    with_time = pa.StructArray.from_arrays([broken, pa.array([0.5, None])], ["text", "start"])
    bad, good = ({"text": "a\ufffdb", "start": 0.5}, {"text": "ok", "start": None})
    column, cells = {
        "list": (pa.ListArray.from_arrays([0, 1, 1, 2], broken), [["a\ufffdb"], [], ["ok"]]),
        "struct": (with_time, [bad, good]),
        "list of structs": (pa.ListArray.from_arrays([0, 2], with_time), [[bad, good]]),
    }[shape]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"cell": column}), sink)
    (batch,) = pq.ParquetFile(pa.BufferReader(sink.getvalue())).iter_batches()
    assert _cells(batch.column("cell")) == cells


def test_a_text_column_of_a_dictionary_with_a_broken_entry_is_read_to_its_end(tmp_path):
    offsets = pa.py_buffer(np.array([0, 3, 5], np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"a\xffbok")])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"transcript": pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), broken)}), sink)
    rows = rows_of(STT, tmp_path, {"data/train-0.parquet": sink.getvalue().to_pybytes()})
    assert [row.values["text"] for row in rows] == ["ok", "a\ufffdb", "ok"]


def test_a_recording_that_a_size_limit_left_on_the_hub_is_told_from_one_that_is_missing(tmp_path):
    records = [{"file_name": f"Data/Train/{name}.wav", "sentence": TEXT} for name in ("out", "gone")]
    paths = write_files(tmp_path, {"metadata.jsonl": "\n".join(map(json.dumps, records))})
    rows = list(read_rows(entry(INDICVOICES), tmp_path, paths, left_out=["Data/Train/out.wav"]))
    assert [row.fault.reason for row in rows] == ["left_out_by_selection", "audio_missing"]


def test_a_recording_beside_the_tables_folder_is_found_by_a_path_that_climbs(tmp_path):
    record = {"file_name": "../clips/a.wav", "sentence": TEXT}
    paths = write_files(tmp_path, {"tables/metadata.jsonl": json.dumps(record), "clips/a.wav": b"RIFF"})
    (row,) = read_rows(entry(INDICVOICES), tmp_path, paths)
    assert row.fault is None and row.payload == tmp_path / "clips/a.wav"
