"""Raw tables whose form is broken: no row vanishes, nothing is read without bound, and each trap is a finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.ingestion import tables
from data_foundry.ingestion import text_lines as lines
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.tables import ParquetTable, close, open_table, row_count
from tests.ingestion.builders import COMMENTS, DIALECTS, NEWS, SENTENCES, json_lines, parquet


@pytest.fixture
def read(tmp_path: Path):
    """Read a table as a dataset's; return its rows, of the columns that the file has, and the findings by kind."""

    def build(repo_id: str, name: str, data: bytes) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
        (tmp_path / name).write_bytes(data)
        findings = Findings()
        table = open_table(DATASET_REGISTRY[repo_id], name, tmp_path / name, findings)
        rows = []
        for block in table.blocks(table.names) if table else ():
            columns = [values if isinstance(values, list) else values.to_pylist() for values in block.values()]
            rows += [dict(zip(block, cells, strict=True)) for cells in zip(*columns, strict=True)]
        if table:
            close(table)
            assert row_count(DATASET_REGISTRY[repo_id], name, tmp_path / name) == len(rows)
        return rows, {finding["kind"]: finding for finding in findings.listed()}

    return build


def test_one_array_of_objects_is_read_element_by_element(read):
    elements = [{"news": f"{sentence} {number}", "class": number % 4} for number, sentence in enumerate(SENTENCES * 9)]
    rows, findings = read(NEWS, "train.json", b"\n " + json.dumps(elements, ensure_ascii=False, indent=2).encode())
    assert rows == elements and set(findings) == {"json_array"}


def test_an_array_that_spans_many_blocks_is_read_whole(read, monkeypatch):
    monkeypatch.setattr(lines, "_READ", 7)
    elements = [{"news": SENTENCES[0], "class": 1}, 12345, {"news": "]}", "class": 2}]
    rows, findings = read(NEWS, "train.json", json.dumps(elements).encode())
    assert rows == [elements[0], {"news": None, "class": None}, elements[2]]
    assert findings["broken_line"]["examples"] == ["train.json element 1"]


def test_an_array_that_breaks_off_keeps_what_came_before(read):
    rows, findings = read(NEWS, "train.json", b'[{"news": "a", "class": 1}, {"news": "b')
    assert [row["news"] for row in rows] == ["a", None]
    assert "breaks off" in findings["broken_line"]["message"]


def test_a_lone_carriage_return_ends_a_line_and_is_told(read):
    rows, findings = read(DIALECTS, "x.csv", b"id,translation\r\n1,one\rtwo\r\n2,three\r\n")
    assert [row["translation"] for row in rows] == ["one", None, "three"]
    assert findings["lone_cr"]["examples"] == ["x.csv line 2"] and findings["ragged_row"]["count"] == 1


def test_nul_bytes_stay_and_are_told(read):
    rows, findings = read(COMMENTS, "x.tsv", b"label\tquery\nPositive\tsu\0per\n")
    assert rows[0]["query"] == "su\0per" and findings["nul_byte"]["count"] == 1


def test_a_byte_order_mark_is_no_part_of_the_first_column(read):
    rows, findings = read(COMMENTS, "x.tsv", b"\xef\xbb\xbflabel\tquery\nPositive\tsuper\n")
    assert rows == [{"label": "Positive", "query": "super"}] and findings["byte_order_mark"]["severity"] == "info"
    _, findings = read(NEWS, "train.jsonl", b"\xef\xbb\xbf" + json_lines([{"news": "a", "class": 1}]))
    assert set(findings) == {"byte_order_mark"}


def test_text_in_another_encoding_is_told(read):
    _, findings = read(COMMENTS, "x.tsv", "label\tquery\nPositive\tsuper\n".encode("utf-16"))
    assert findings["wrong_encoding"]["severity"] == "error" and "UTF-16" in findings["wrong_encoding"]["message"]
    for encoding in ("utf-32-le", "utf-32-be"):
        _, findings = read(COMMENTS, "x.tsv", "\ufefflabel\tquery\n".encode(encoding))
        told = findings["wrong_encoding"]
        assert told["count"] == 1 and "UTF-32" in told["message"], encoding
    rows, findings = read(COMMENTS, "x.tsv", "label\tquery\nPositive\tcafé\n".encode("latin-1"))
    assert findings["bad_encoding"]["examples"] == ["x.tsv line 2"] and rows[0]["query"] == "caf\ufffd"


def test_a_line_without_end_stops_the_reading_before_it_fills_the_memory(read, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    data = json_lines([{"news": "a", "class": 1}]) + b'{"news": "' + b"x" * 500 + b'"}\n'
    rows, findings = read(NEWS, "train.jsonl", data)
    assert len(rows) == 1 and findings["endless_line"]["severity"] == "error"


def test_rows_that_a_quote_swallowed_are_counted(read):
    body = 'id,translation,a,b\n1,"one,,\n2,two,,\n3,three,,\n4,four",,\n5,five,,\n'
    rows, findings = read(DIALECTS, "x.csv", body.encode())
    assert len(rows) == 2 and findings["swallowed_row"]["count"] == 2


def test_columns_of_one_name_are_told(read):
    _, findings = read(DIALECTS, "x.csv", b"id,id,translation\n1,2,three\n")
    assert findings["repeated_column"]["count"] == 1


def test_an_empty_file_holds_no_rows_and_is_told(read):
    for name in ("x.csv", "x.jsonl", "x.parquet"):
        rows, findings = read(DIALECTS, name, b"")
        assert rows == [] and set(findings) == {"empty_file"}


def test_numbers_of_a_column_without_type_are_numbers(read):
    rows, _ = read(DIALECTS, "x.csv", b"id,translation\n1,007\n-2.5,\xe0\xb5\xa7\n")
    assert rows == [{"id": 1, "translation": 7}, {"id": -2.5, "translation": "൧"}]


def test_nulls_are_those_of_the_files_statistics_or_unknown(tmp_path):
    audio = pa.array([{"bytes": b"x", "path": None}, None], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    for known in (True, False):
        pq.write_table(pa.table({"audio": audio, "text": ["a", None]}), tmp_path / "x.parquet", write_statistics=known)
        table = ParquetTable("x.parquet", tmp_path / "x.parquet")
        assert table.nulls == ({"audio": 1, "text": 1} if known else {})
        close(table)


def test_a_column_is_taken_for_text_by_its_script_alone_only_when_half_of_it_is_malayalam(tmp_path):
    for name, cells in {"sentence_ml": [*SENTENCES], "code": ["a"] * 6}.items():
        (tmp_path / "x.parquet").write_bytes(parquet({"n": list(range(6)), name: cells}))
        table = ParquetTable("x.parquet", tmp_path / "x.parquet")
        assert table.most_malayalam() == (name if name == "sentence_ml" else None)
        close(table)


LONG = "x" * 1000
WIDE_TABLES = {
    "x.jsonl": (NEWS, json_lines([{"news": LONG, "class": 1}] * 50)),
    "x.json": (NEWS, json.dumps([{"news": LONG, "class": 1}] * 50).encode()),
    "x.tsv": (COMMENTS, b"label\tquery\n" + f"Positive\t{LONG}\n".encode() * 50),
    "x.parquet": (NEWS, parquet({"news": [f"{row} {LONG}" for row in range(50)], "class": [1] * 50})),
}


@pytest.mark.parametrize("name", WIDE_TABLES)
def test_a_block_ends_by_the_size_of_its_rows_too(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 5000)
    repo_id, data = WIDE_TABLES[name]
    (tmp_path / name).write_bytes(data)
    table = open_table(DATASET_REGISTRY[repo_id], name, tmp_path / name, Findings())
    text = "query" if name == "x.tsv" else "news"
    sizes = [len(block[text]) for block in table.blocks([text])]
    close(table)
    assert sum(sizes) == 50 and max(sizes) <= 5


def test_light_columns_are_read_many_rows_at_once_beside_heavy_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 5000)
    (tmp_path / "x.parquet").write_bytes(WIDE_TABLES["x.parquet"][1])
    table = ParquetTable("x.parquet", tmp_path / "x.parquet")
    assert [len(block["class"]) for block in table.blocks(["class"])] == [50]
    close(table)
