"""Finding a row by its id, or by a start of it that no other id has, in whatever file of silver and gold it lies."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from data_foundry.lineage.find import find, read, rows_where
from tests.preprocessing.raw_builders import NEWS, STT


def silver_ids(lake: Lake, name: str) -> dict[str, str]:
    """{row id: the file that it lies in} of one silver dataset, rejected rows too."""
    return {
        row_id: file.path
        for file in lake.manifest(Layer.SILVER, name).files
        for row_id in pq.read_table(lake.folder(Layer.SILVER, name) / file.path)["row_id"].to_pylist()
    }


def test_every_row_of_silver_is_found_where_it_lies_and_read_alone(made):
    lake = Lake(made)
    for row_id, path in silver_ids(lake, STT).items():
        (place,) = find(lake, row_id).silver
        assert (place.name, place.file.path) == (STT, path)
        assert place.rejected == path.startswith("rejected/")
        row = read(lake, place)
        assert row.num_rows == 1 and row["row_id"][0].as_py() == row_id


def test_a_row_is_found_in_the_gold_of_every_engine_that_took_or_refused_it_and_in_its_phone_versions(made):
    lake = Lake(made)
    row_id = next(each for each, path in silver_ids(lake, STT).items() if path.startswith("test/"))
    splits = {place.name: [] for place in find(lake, row_id).gold}
    for place in find(lake, row_id).gold:
        splits[place.name].append(place.split)
    assert sorted(splits["stt"]) == ["test", "test_phone"]
    assert splits["tts"] == splits["translation"] == ["rejected"]


def test_a_start_of_an_id_is_enough_where_no_other_id_has_it(made):
    lake = Lake(made)
    ids = sorted(silver_ids(lake, STT))
    length = next(n for n in range(1, 17) if sum(each.startswith(ids[0][:n]) for each in ids) == 1)
    assert find(lake, f" {ids[0][: max(length, 8)]}\n").row_id == ids[0]
    with pytest.raises(FoundryError, match="rows have an id that starts with") as told:
        find(lake, ids[0][:1])
    assert "Give more of its digits" in str(told.value)


@pytest.mark.parametrize("row_id", ["", "  ", "\x00", "a\nb", "\udcff"])
def test_what_can_be_no_id_is_said_to_be_none(made, row_id):
    with pytest.raises(FoundryError, match="is no row id"):
        find(Lake(made), row_id)


@pytest.mark.parametrize(
    "row_id", ["zz", "../../etc/passwd", "%s{}", "f" * 10_000, "മഴ", "' or 1=1", "0123456789ABCDE"]
)
def test_an_id_that_nobody_has_is_a_clear_error(made, row_id):
    with pytest.raises(FoundryError, match="No row of silver or gold has the id"):
        find(Lake(made), row_id)


def test_the_id_itself_comes_before_longer_ones_that_start_with_it(lake):
    for name, ids in (("a/b", ["ab", "abc"]), ("c/d", ["ab"])):
        with lake.commit(Layer.SILVER, name, "k") as commit:
            pq.write_table(pa.table({"row_id": ids}), commit.path("train/part-00000.parquet"))
            commit.publish()
    assert [place.name for place in find(lake, "ab").silver] == ["a/b", "c/d"]
    assert [place.row for place in find(lake, "abc").silver] == [1]
    assert [place.name for place in find(lake, "ab", datasets=["c/d"]).silver] == ["c/d"]


def test_a_damaged_file_is_named_and_the_others_are_looked_into(copied):
    lake = Lake(copied)
    row_id = next(iter(silver_ids(lake, NEWS)))
    part = lake.folder(Layer.SILVER, STT) / "train/part-00000.parquet"
    part.write_bytes(b"PAR1 this is none PAR1")
    (lake.folder(Layer.GOLD, "tts") / "manifest.json").write_text("{")
    found = find(lake, row_id)
    assert [place.name for place in found.silver] == [NEWS]
    assert len(found.unreadable) == 2
    assert any("train/part-00000.parquet can't be read" in each for each in found.unreadable)
    with pytest.raises(FoundryError, match=r"part-00000.parquet can't be read"):
        find(lake, "nobody")


def test_rows_are_kept_by_a_condition_with_their_places(made):
    import pyarrow.compute as pc

    lake = Lake(made)
    found = list(rows_where(lake, Layer.SILVER, NEWS, ("row_id", "source_row"), pc.field("source_row") == 3))
    assert {place.file.path for place, _ in found} == {"train/part-00000.parquet", "test/part-00000.parquet"}
    for place, row in found:
        assert read(lake, place)["row_id"][0].as_py() == row["row_id"]
