"""python -m data_foundry: what a person sees of a lake."""

import json

import pytest

from data_foundry import __main__ as command
from data_foundry.commands.tables import print_table
from data_foundry.lake import Layer
from tests.lake.builders import NAME, publish


@pytest.fixture
def status(tmp_path, capfd):
    def start(*flags):
        assert command.main(["status", "--base-path", str(tmp_path / "base"), *flags]) == 0
        return capfd.readouterr().out

    return start


def test_status_of_an_empty_lake_says_so(status):
    text = status()
    assert "raw    empty" in text and "nothing registered: stt, " in text and "none was ever heard of" in text


def test_status_names_a_folder_whose_manifest_can_not_be_read_beside_the_others(lake, status):
    publish(lake, {"a": b"one"}, layer=Layer.RAW)
    broken = lake.folder(Layer.RAW, "owner/broken")
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text("{")
    text, found = status(), json.loads(status("--json"))
    assert "can't be read as a manifest" in " ".join(text.split()) and NAME in text
    assert [entry["name"] for entry in found["raw"]] == ["owner/broken", NAME]
    assert "Delete" in found["raw"][0]["fault"] and found["raw"][1]["bytes"] == 3


def test_a_table_keeps_to_120_columns_and_loses_nothing(capfd):
    entries = [
        {"engine": "stt", **{f"measure_{n}": n / 7 for n in range(12)}, "reason": "it heard every call. " * 20},
        {"engine": "nlu", **{f"measure_{n}": None for n in range(12)}, "reason": "nothing yet", "nowhere": None},
    ]
    print_table("deployments", entries)
    lines = capfd.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 120
    text = " ".join(" ".join(lines).split())
    assert ("it heard every call. " * 20).strip() in text and "nothing yet" in text and "nowhere" not in text
    assert all(f"{n / 7:.3f}" in text for n in range(12))


def test_a_table_that_fits_stays_a_table(capfd):
    print_table("raw", [{"name": "a/b", "rows": 3}, {"name": "c", "rows": 12345}])
    assert capfd.readouterr().out == "\nraw\n  name  rows\n  a/b   3\n  c     12345\n"
