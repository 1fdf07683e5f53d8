"""One raw row, read alone: it is what it is among all rows, whatever the layout of its dataset."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from data_foundry.preprocessing.readers import read_row, read_rows
from tests.preprocessing.raw_builders import COMMENTS, DIALECTS, INDICVOICES, NEWS, STT, TOKENS, entry, write_files


def test_one_row_of_any_layout_is_read_as_it_stands_among_all(tmp_path):
    groups = pa.BufferOutputStream()
    table = pa.table({"text": [f"മഴ {at}" for at in range(50)], **{f"nano_layer_{at}": [[at]] * 50 for at in (1, 2)}})
    pq.write_table(table, groups, row_group_size=7)
    folder = {
        "metadata.jsonl": "\n".join(json.dumps({"file_name": f"Data/{at}.wav", "sentence": "മഴ"}) for at in range(3)),
        **{f"Data/{at}.wav": b"x" for at in range(5)},
    }  # fmt: skip
    layouts = {
        TOKENS: {"data/train-0.parquet": groups.getvalue().to_pybytes(), "data/test-0.parquet": b""},
        INDICVOICES: folder,
        COMMENTS: {
            "a.tsv": "label\tquery\nPositive\tone\n\nNegative\ttwo\tthree\n",
            "b.tsv": "Positive\tnalla padam\n",
        },
        NEWS: {"malayalam-train.jsonl": '{"news": "മഴ"}\n{broken\n{"news": "വെയിൽ"}'},
        DIALECTS: {"Dialects - Sheet1.csv": 'id, translation ,,\n1,"ഒന്ന്, രണ്ട്",,\n2,"വരി\nമാറി",,\n'},
    }
    for name, files in layouts.items():
        base = tmp_path / name
        paths = write_files(base, files)
        rows = list(read_rows(entry(name), base, paths))
        assert len(rows) >= 2
        for row in rows:
            found = read_row(entry(name), base, paths, (), (row.source_file, row.source_row))
            # A fault is an exception, which equals itself alone.
            assert repr(found) == repr(row)
        first, last = rows[0].source_file, rows[-1].source_file
        for place in ((last, len(rows)), (first, -1), ("../x", 0), (f"{tmp_path}/x", 0), ("README.md", 0)):
            assert read_row(entry(name), base, paths, (), place) is None


def test_one_row_of_parquet_costs_one_row_group(tmp_path):
    table = pa.table({"news": [f"മഴ {at}" for at in range(40)], "text": [f"മഴ {at}" for at in range(40)]})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=10, compression="none")
    content = (tmp_path / "train.parquet").read_bytes()
    at = content.index("മഴ 5".encode())
    (tmp_path / "train.parquet").write_bytes(content[: at - 30] + bytes(40) + content[at + 10 :])
    place = ("train.parquet", 35)
    assert read_row(entry(STT), tmp_path, ["train.parquet"], (), place).values["text"] == "മഴ 35"
