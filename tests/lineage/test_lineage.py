"""What `python -m data_foundry lineage` tells: from the raw row down to gold, for people and as JSON."""

import json

import pyarrow.parquet as pq
import pytest

from data_foundry import __main__ as command
from data_foundry.lake import Lake, Layer, sha256_file
from data_foundry.lineage.find import find
from data_foundry.lineage.trace import trace
from data_foundry.records import row_id
from tests.lineage.conftest import NUMBER, change_cell, sentence
from tests.preprocessing.raw_builders import INDICVOICES, NEWS, STT, TOKENS

PART = "train/part-00000.parquet"


def silver(lake: Lake, name: str, path: str = PART) -> list[dict]:
    return pq.read_table(lake.folder(Layer.SILVER, name) / path).to_pylist()


def row_where(rows: list[dict], holds) -> dict:
    return next(row for row in rows if holds(row))


def traced(settings, row_id: str) -> dict:
    lake = Lake(settings)
    (copy,) = trace(lake, settings, find(lake, row_id))["copies"]
    return copy


@pytest.fixture
def said(made, capfd, monkeypatch):
    """Run the command with the lake's own settings; return its exit code and what it printed."""
    monkeypatch.setenv("DATA_FOUNDRY_AUDIO__MAX_SEGMENT_SECONDS", "5.0")
    monkeypatch.setenv("DATA_FOUNDRY_LICENSING__COMMERCIAL_USE", "false")

    def run(*arguments, base=made.base_path):
        code = command.main(["lineage", *arguments, "--base-path", str(base)])
        return code, capfd.readouterr()

    return run


def test_a_recording_in_a_folder_is_traced_to_its_table_its_file_and_its_bounds(made):
    row = row_where(silver(Lake(made), INDICVOICES), lambda row: row["segment_start"] is not None)
    lines = traced(made, row["row_id"])
    raw, folder = lines["raw"], Lake(made).base_path / "storage"
    assert (raw["dataset"], raw["revision"], raw["file"], raw["row"]) == (INDICVOICES, "0" * 40, "metadata.jsonl", 0)
    assert raw["segment"] == {"start": row["segment_start"], "end": row["segment_end"]}
    assert raw["sha256"] == sha256_file(folder / raw["path"]) and raw["audio_format"] == "wav"
    assert raw["audio_sha256"] == sha256_file(folder / raw["audio_path"])
    assert lines["silver"]["sha256"] == sha256_file(folder / lines["silver"]["path"])
    assert {"rows", "text", "audio", "segmentation", "soxr"} <= set(lines["silver"]["rules"])
    assert lines["audio"]["source_rate"] == 16_000 and lines["audio"]["duration"] == row["duration"]
    assert lines["labels"]["district"] == "Kannur"


def test_every_rule_that_changed_a_text_is_named_with_how_often(made):
    row = row_where(silver(Lake(made), STT), lambda row: "\u200d" in (row["text_raw"] or ""))
    lines = traced(made, row["row_id"])["text"]
    assert lines["as_found"] == row["text_raw"] and lines["normalised"] == row["text"] != row["text_raw"]
    assert sum(lines["changes"].values()) == row["text_raw"].count("\u200d") and len(lines["changes"]) == 1


def test_personal_data_stays_masked_wherever_it_stood(made, said):
    row = row_where(silver(Lake(made), STT), lambda row: "personal_data" in row["flags"])
    lines = traced(made, row["row_id"])
    assert lines["text"]["masked"] and lines["text"]["content"][0]["rule"] == "mobile_number"
    stt = next(line for line in lines["engines"] if line["engine"] == "stt")
    assert not stt["took"] and stt["reasons"] == stt["lacks"] == ["personal_data_in_audio"]
    for flags in ((), ("--json",), ("--check",)):
        code, told = said(row["row_id"], *flags)
        assert code == 0 and NUMBER not in told.out and NUMBER.replace(" ", "") not in told.out
        assert "personal_data" in told.out


def test_gold_says_its_side_its_group_what_it_shares_and_its_phone_version(made):
    row = silver(Lake(made), STT, "test/part-00000.parquet")[0]
    lines = {line["engine"]: line for line in traced(made, row["row_id"])["engines"]}
    clean, phone = lines["stt"]["rows"]
    assert (clean["split"], phone["split"]) == ("test", "test_phone") and clean["group"] == phone["group"]
    assert json.loads(phone["derived"]["channel_parameters"])["channel"] and clean["derived"]["channel"] == "clean"
    assert "telephony" in clean["rules"] and clean["links"]["rows_in_group"] >= 1
    assert lines["tts"]["reasons"] == ["no_codec_tokens"] and not lines["tts"]["took"]


def test_rows_of_one_group_say_what_they_share(made):
    lake = Lake(made)
    rows = [row for row in silver(lake, STT) if sentence(701) in (row["text"] or "")]
    told = [traced(made, row["row_id"])["engines"][0] for row in rows]
    shared = [line["rows"][0]["links"] for line in told if line["took"]]
    assert len(shared) >= 2 and all(each["share"]["text"] == len(shared) - 1 for each in shared)


def test_codec_tokens_are_told_by_their_codec_and_size(made):
    row = silver(Lake(made), TOKENS)[0]
    assert traced(made, row["row_id"])["codes"] == {"codec": row["codec"], "layers": 4, "frames": 25}


def test_a_rejected_row_says_where_and_why(made, said):
    row = silver(Lake(made), NEWS, "rejected/part-00000.parquet")[0]
    code, told = said(row["row_id"], "--check")
    assert code == 0 and "rejected: malformed_row" in told.out and "is not JSON" in told.out
    assert "the check holds" in told.out and "gold " not in told.out


def test_the_command_prints_the_path_and_checks_it(made, said):
    row = silver(Lake(made), STT, "test/part-00000.parquet")[0]
    code, told = said(row["row_id"][:12], "--check")
    assert code == 0, told.out
    assert told.out.splitlines()[0] == f"row {row['row_id']}"
    for words in (
        f"raw     {STT} at commit {'0' * 40}", "data/test-00000-of-00001.parquet, row 0 (from 0)", "recording: wav",
        "8000 Hz -> 16 kHz mono PCM16 WAV", "text normalised:", "side test, group", "side test_phone",
        "tts did not take it: no_codec_tokens", "byte for byte the same", "the check holds",
    ):  # fmt: skip
        assert words in told.out, words
    code, told = said(row["row_id"], "--check", "--json")
    found = json.loads(told.out)
    assert code == 0 and found["check"]["holds"] and found["check"]["differences"] == []
    assert found["row_id"] == row["row_id"] and found["copies"][0]["text"]["normalised"] == row["text"]


def test_the_command_ends_with_1_where_the_check_fails_and_with_2_for_a_row_that_is_none(copied, rewrite, said):
    lake = Lake(copied)
    row_id = silver(lake, STT)[0]["row_id"]
    rewrite(lake, Layer.SILVER, STT, PART, change_cell("text", 0, "മഴ"))
    assert said(row_id, base=copied.base_path)[0] == 0
    code, told = said(row_id, "--check", base=copied.base_path)
    assert code == 1 and "text differs" in told.out and "stored:  'മഴ'" in told.out and "the check fails" in told.out
    code, told = said("nobody", base=copied.base_path)
    assert code == 2 and "No row of silver or gold has the id nobody" in told.err
    code, told = said(row_id[:1], base=copied.base_path)
    assert code == 2 and "Give more of its digits" in told.err


def test_a_damaged_recording_names_the_row_of_the_table_beside_it(copied, capfd):
    sound = Lake(copied).folder(Layer.RAW, INDICVOICES) / "files/Data/Valid/c.wav"
    sound.write_bytes(sound.read_bytes()[:-1] + b"?")
    assert command.main(["verify", INDICVOICES, "--layer", "raw", "--base-path", str(copied.base_path)]) == 1
    told = capfd.readouterr().out
    assert "row 2: of metadata.jsonl, whose recording it is" in told
    assert row_id(INDICVOICES, "metadata.jsonl", 2) in told
    table = sound.parents[2] / "metadata.jsonl"
    table.write_bytes(b"\xff" + table.read_bytes()[1:])
    assert command.main(["verify", INDICVOICES, "--layer", "raw", "--base-path", str(copied.base_path)]) == 1
    assert "metadata.jsonl has other bytes" in capfd.readouterr().out


def test_a_row_is_traced_without_its_raw_data_and_without_gold_and_without_silver(copied, said):
    lake = Lake(copied)
    row = silver(lake, STT, "test/part-00000.parquet")[0]
    (lake.folder(Layer.RAW, STT) / "files/data/test-00000-of-00001.parquet").unlink()
    assert "can't be read" in traced(copied, row["row_id"])["raw"]["fault"]
    (lake.folder(Layer.RAW, STT) / "manifest.json").unlink()
    assert traced(copied, row["row_id"])["raw"]["fault"] == "it is not in the lake"
    (lake.folder(Layer.GOLD, "tts") / "manifest.json").unlink()
    lines = {line["engine"]: line for line in traced(copied, row["row_id"])["engines"]}
    assert lines["tts"]["reasons"] == ["its gold is not made"] and lines["stt"]["took"]
    (lake.folder(Layer.SILVER, STT) / "manifest.json").unlink()
    code, told = said(row["row_id"], base=copied.base_path)
    assert code == 0 and "silver holds no row with this id any more" in told.out
    assert said(row["row_id"], "--check", base=copied.base_path)[0] == 1
