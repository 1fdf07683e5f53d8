"""Damage: whichever byte of the lake changes, verification finds it, and names rows that hold the byte."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry import __main__ as command
from data_foundry.allocation.gold import PartWriter
from data_foundry.lake import Layer
from data_foundry.lake.damage import damaged_rows
from data_foundry.lake.manifest import MANIFEST
from data_foundry.lake.verify import chosen, verify
from data_foundry.preprocessing.silver_files import SilverFiles
from data_foundry.records import RejectedRow
from tests.lake.builders import NAME

ROWS = 150
"""Three row groups of clips."""


def silver_row(number: int) -> dict:
    row = dict.fromkeys(RejectedRow.model_fields)
    wav = random.Random(number).randbytes(400)
    return row | {
        "row_id": f"{number:016x}", "dataset": NAME, "revision": "r", "source_file": "a", "source_row": number,
        "source_split": "train", "text": f"മഴ {number}", "audio": {"bytes": wav, "path": f"{number}.wav"},
        "duration": number / 7, "licence": "cc0-1.0", "flags": ["x"] * (number % 3), "content": [],
    }  # fmt: skip


@pytest.fixture
def held(lake):
    """Silver with clips and gold with texts, by the writers of their phases, and raw and a model beside them."""
    with lake.commit(Layer.SILVER, NAME, "k") as commit:
        files = SilverFiles(commit)
        for number in range(ROWS):
            files.add(silver_row(number))
        files.close()
        commit.publish(rows=files.rows, rows_in=ROWS, rows_out=ROWS)
    with lake.commit(Layer.GOLD, "nlu", "k") as commit:
        writer = PartWriter(commit, "test", pa.schema([("row_id", pa.string()), ("text", pa.string())]))
        writer.write(pa.table({"row_id": [f"{at:016x}" for at in range(40)], "text": [f"മഴ {at}" for at in range(40)]}))
        writer.close()
        for name in ("README.md", "splits.json"):
            commit.path(name).write_text('{"text": "മഴ"}\n', encoding="utf-8")
        commit.publish(rows=writer.rows, rows_in=40, rows_out=40, details={"words": ["മഴ", 1.5]})
    for layer, name in ((Layer.RAW, NAME), (Layer.MODELS, "nlu/1a2b")):
        with lake.commit(layer, name, "k") as commit:
            commit.path("files/a.tsv").write_text("a\tb\n1\t2\n", encoding="utf-8")
            commit.publish(rows={"files/a.tsv": 1}, rows_in=1, rows_out=1)
    return lake


def regions(path) -> list[tuple[int, int, int, int, str]]:
    """(first byte, last byte + 1, first row, last row, column) of every column of every row group."""
    found, row = [], 0
    metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        for at in range(metadata.row_group(group).num_columns):
            column = metadata.row_group(group).column(at)
            start = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
            name = column.path_in_schema.split(".")[0]
            found.append((start, start + column.total_compressed_size, row, row + rows - 1, name))
        row += rows
    return found


def flipped(content: bytes, at: int, mask: int) -> bytes:
    return content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]


def test_every_byte_of_every_small_file_is_watched_over_whichever_way_it_flips(held):
    rng, files = random.Random(5), 0
    for layer, name in chosen(held, list(Layer), []):
        folder = held.folder(layer, name)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.suffix == ".parquet":
                continue
            files += 1
            content = path.read_bytes()
            for at in range(len(content)):
                path.write_bytes(flipped(content, at, 1 << rng.randrange(8)))
                assert verify(held, layer, name), f"{path} at byte {at} of {len(content)}: {content[at]:#x}"
            path.write_bytes(content)
            assert verify(held, layer, name) == []
    assert files == 8


@pytest.mark.parametrize(("layer", "name", "part"), [(Layer.GOLD, "nlu", "test/part-00000.parquet"),
                                                     (Layer.SILVER, NAME, "train/part-00000.parquet")])  # fmt: skip
def test_a_flipped_byte_of_a_parquet_file_is_found_and_its_rows_are_named(held, layer, name, part):
    path = held.folder(layer, name) / part
    content, whole, rows = path.read_bytes(), regions(path), pq.read_metadata(path).num_rows
    rng = random.Random(7)
    named = 0
    for at in range(len(content)) if len(content) < 6_000 else sorted(rng.sample(range(len(content)), 600)):
        path.write_bytes(flipped(content, at, 1 << rng.randrange(8)))
        (damage,) = verify(held, layer, name)
        assert damage.file == part and damage.damaged, at
        inside = [region for region in whole if region[0] <= at < region[1]]
        for _, _, first, last, column in inside:
            (place,) = (each for each in damage.damaged if each.first <= first and last <= each.last)
            assert not place.columns or column in place.columns, (at, column, place)
            if place.columns:
                named += 1
                assert (place.first, place.last, len(damage.damaged)) == (first, last, 1)
                ids = tuple(f"{number:016x}" for number in range(first, last + 1))
                assert place.row_ids == (() if column == "row_id" else ids)
        if not inside:
            assert (damage.damaged[0].first, damage.damaged[-1].last) == (0, rows - 1) or damage.damaged[0].columns
    path.write_bytes(content)
    assert named > 100 and verify(held, layer, name) == []


def test_a_byte_of_a_clip_names_its_row_group_and_its_column(held, capfd):
    path = held.folder(Layer.SILVER, NAME) / "train/part-00000.parquet"
    at = path.read_bytes().index(silver_row(130)["audio"]["bytes"]) + 100
    path.write_bytes(flipped(path.read_bytes(), at, 1))
    ((place,),) = (damage.damaged for damage in verify(held, Layer.SILVER, NAME))
    assert str(place) == "rows 128 to 149, column audio: the checksum of a page differs"
    assert f"{130:016x}" in place.row_ids and len(place.row_ids) == 22
    assert command.main(["verify", "--base-path", str(held.base_path)]) == 1
    told = capfd.readouterr().out
    assert str(place) in told and f"{128:016x}" in told and "and 18 more rows" in told


def test_a_file_whose_rows_nothing_tells_apart_names_them_all(held):
    raw, silver = held.folder(Layer.RAW, NAME), held.folder(Layer.SILVER, NAME)
    (raw / "files/a.tsv").write_bytes(flipped((raw / "files/a.tsv").read_bytes(), 2, 1))
    ((place,),) = (damage.damaged for damage in verify(held, Layer.RAW, NAME))
    assert str(place) == "row 0: the file has no checksums by which to tell"
    part = silver / "train/part-00000.parquet"
    content = part.read_bytes()
    for damaged, why in (
        (content[:-2], f"the file has {len(content) - 2} bytes instead of {len(content)}"),
        (content[:-6] + bytes(6), "its footer can't be read"),
    ):
        part.write_bytes(damaged)
        ((place,),) = (damage.damaged for damage in verify(held, Layer.SILVER, NAME))
        assert (place.first, place.last) == (0, ROWS - 1) and why in str(place)
    part.unlink()
    ((place,),) = (damage.damaged for damage in verify(held, Layer.SILVER, NAME))
    assert "is missing" in place.why


@pytest.mark.parametrize("seed", range(4))
def test_hostile_bytes_end_in_rows_and_never_in_a_crash(held, seed, tmp_path):
    content = (held.folder(Layer.SILVER, NAME) / "train/part-00000.parquet").read_bytes()
    footer = int.from_bytes(content[-8:-4], "little")
    rng = random.Random(seed)
    path = tmp_path / "hostile.parquet"
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 3, 40))):
            at = (
                rng.randrange(len(content) - footer - 8, len(content))
                if rng.random() < 0.7
                else rng.randrange(len(content))
            )
            damaged[at] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        path.write_bytes(damaged)
        assert damaged_rows(path, ROWS)
    for empty in (b"", b"PAR1", b"PAR1PAR1", bytes(100), content[:1000]):
        path.write_bytes(empty)
        assert damaged_rows(path, ROWS)[0].last == ROWS - 1


def test_equal_rows_are_equal_bytes_with_checksums_too(lake):
    found = []
    for _ in range(2):
        with lake.commit(Layer.SILVER, NAME, "k") as commit:
            files = SilverFiles(commit)
            for number in range(ROWS):
                files.add(silver_row(number))
            files.close()
            found.append(commit.publish(rows=files.rows, rows_in=ROWS, rows_out=ROWS))
    assert found[0] == found[1]
    path = lake.folder(Layer.SILVER, NAME) / "train/part-00000.parquet"
    assert pq.read_table(path, page_checksum_verification=True).num_rows == ROWS


def test_a_manifest_of_an_earlier_version_has_no_checksum_and_is_read(held):
    path = held.folder(Layer.GOLD, "nlu") / MANIFEST
    manifest = held.manifest(Layer.GOLD, "nlu")
    path.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    assert held.manifest(Layer.GOLD, "nlu") == manifest and verify(held, Layer.GOLD, "nlu") == []
