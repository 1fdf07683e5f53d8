import pyarrow as pa

from data_foundry.records import RejectedRow, SilverRow, arrow_schema, row_id

MISSION_COLUMNS = {
    "row_id", "dataset", "revision", "source_file", "source_row", "source_split", "text", "text_raw", "malayalam_ratio",
    "audio", "duration", "speaker", "gender", "district", "dialect", "label", "translation", "licence", "flags",
}  # fmt: skip


def test_the_arrow_schema_has_the_models_fields_in_its_order():
    assert arrow_schema(SilverRow).names == list(SilverRow.model_fields)
    assert set(arrow_schema(SilverRow).names) >= MISSION_COLUMNS


def test_rejected_rows_add_the_reason():
    assert set(arrow_schema(RejectedRow).names) - set(arrow_schema(SilverRow).names) == {"reason", "detail"}


def test_a_row_of_the_model_goes_through_arrow_unchanged():
    row = SilverRow(
        row_id="1", dataset="o/n", revision="r", source_file="f", source_row=3, source_split="train", text="ശരി",
        audio={"bytes": b"RIFF", "path": "a.wav"}, codes=[[1, 2], [3, 4]], flags=["pii"],
    )  # fmt: skip
    table = pa.Table.from_pylist([row.model_dump()], schema=arrow_schema(SilverRow))
    assert SilverRow.model_validate(table.to_pylist()[0]) == row


def test_a_row_id_depends_on_file_row_and_segment():
    ids = {row_id("o/n", f, r, s) for f in ("a", "b") for r in (0, 1) for s in (0, 1)}
    assert len(ids) == 8 and row_id("o/n", "a", 0) == row_id("o/n", "a", 0, 0)
