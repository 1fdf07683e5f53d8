"""The export command: whole or not at all, the same bytes for the same gold, and clear when it can't."""

import json
import os
import subprocess
import sys
import tarfile
import tracemalloc

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.engines import AIEngine
from data_foundry.lake import Layer
from tests.export.builders import publish_gold, row, splits, text_row, tree, wav

FORMATS = ("nemo", "shar", "webdataset")
KIB = 1024


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_gold_gives_the_same_bytes_wherever_and_whenever(export, lake, gold, tmp_path, form):
    assert export("stt", form, "one", "--shard-size", "8kB") == 0
    program = (
        "import os, sys, time\n"
        "os.umask(0o027); os.environ['TZ'] = 'Asia/Kolkata'; time.tzset(); time.time = lambda: 2e9\n"
        f"from data_foundry.__main__ import main\nsys.exit(main({_command(tmp_path, form, 'deep/er/two')!r}))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C", "PYTHONPATH": str(PROJECT_ROOT)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=tmp_path)
    assert tree(tmp_path / "one") == tree(tmp_path / "deep" / "er" / "two")
    publish_gold(lake, {**gold, "train": gold["train"][:-1]}, key="gold 2")
    assert export("stt", form, "three", "--shard-size", "8kB") == 0
    assert tree(tmp_path / "one") != tree(tmp_path / "three")


def _command(tmp_path, form, to):
    base = ["--base-path", str(tmp_path / "base"), "--shard-size", "8kB"]
    return ["export", "stt", "--format", form, "--to", str(tmp_path / to), *base]


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_lists_its_files_with_their_hashes_and_names_its_gold(export, lake, gold, tmp_path, form):
    assert export("stt", form, "out") == 0
    folder, manifest = tmp_path / "out", json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], check=True, cwd=folder)
    listed = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines()}
    assert listed | {"SHA256SUMS", "manifest.json"} == set(tree(folder))
    assert manifest["files"] == len(listed)
    held = lake.manifest(Layer.GOLD, "stt")
    assert manifest["gold"]["content_hash"] == held.content_hash
    beside = {path.name: path.read_bytes() for path in (folder / "gold").iterdir()}
    assert beside == {
        name: (lake.folder(Layer.GOLD, "stt") / name).read_bytes()
        for name in ("README.md", "splits.json", "manifest.json")
    }
    assert {split: line["rows"] for split, line in manifest["splits"].items()} == {
        split: len(rows) for split, rows in gold.items()
    }
    assert manifest["splits"]["train"]["seconds"] == round(sum(row["duration"] for row in gold["train"]), 3)


def test_licences_and_obligations_of_the_exported_rows_go_along(export, gold, tmp_path):
    assert export("stt", "shar", "out", "--split", "validation") == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    counts = {line["dataset"]: line["rows"] for line in manifest["licences"]}
    assert counts == {"owner/one": 2, "owner/two": 1}
    text = (tmp_path / "out" / "LICENCES.md").read_text("utf-8")
    assert "| owner/two | cc-by-sa-4.0 | 1 | attribution | as found |" in text


def test_only_the_splits_asked_for_are_exported_and_refused_rows_never(export, gold, tmp_path, capfd):
    assert export("stt", "webdataset", "some", "--split", "test", "test_phone") == 0
    assert {path.name for path in (tmp_path / "some").iterdir() if path.is_dir()} == {"gold", "test", "test_phone"}
    assert export("stt", "webdataset", "all") == 0
    assert "0000000000000000" not in {path.split("/")[-1] for path in _members(tmp_path / "all")}
    assert not (tmp_path / "all" / "rejected").exists() and not (tmp_path / "all" / "assignments").exists()
    capfd.readouterr()
    for split in ("rejected", "nonsense", "domain"):
        assert export("stt", "webdataset", "none", "--split", "test", split) == 2
        error = capfd.readouterr().err
        assert f"no rows in {split}" in error and "train, validation, test, test_phone" in error
    assert not (tmp_path / "none").exists()


def _members(folder):
    names = []
    for path in folder.rglob("*.tar"):
        with tarfile.open(path) as tar:
            names += tar.getnames()
    return names


def test_a_split_without_rows_is_left_out_and_refused_when_asked_for(export, lake, tmp_path, capfd):
    publish_gold(lake, {**splits(), "validation": []})
    assert export("stt", "nemo", "out") == 0
    assert not (tmp_path / "out" / "validation_manifest.json").exists()
    assert export("stt", "nemo", "more", "--split", "validation") == 2
    assert "no rows in validation" in capfd.readouterr().err
    publish_gold(lake, {}, key="empty")
    assert export("stt", "nemo", "more") == 2
    assert "holds no row" in capfd.readouterr().err


@pytest.mark.parametrize("form", ["shar", "webdataset"])
def test_tar_files_carry_no_trace_of_their_maker_and_keep_to_their_bound(export, gold, tmp_path, form):
    assert export("stt", form, "out", "--shard-size", "8kB") == 0
    shards = sorted((tmp_path / "out" / "train").glob("*.tar"))
    assert len(shards) > 2
    for shard in shards:
        with tarfile.open(shard) as tar:
            members = tar.getmembers()
        # A tar file is padded to whole records of 10,240 bytes.
        assert sum(512 + -(-member.size // 512) * 512 for member in members) <= 8000
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}


def test_rows_without_audio_stay_in_gold_and_are_counted(export, lake, tmp_path, capfd):
    content = {"train": [row(1), row(2, audio=None, duration=None), row(3)], "test": [row(9)]}
    publish_gold(lake, content, AIEngine.DIALECT)
    for form in FORMATS:
        assert export("dialect", form, form) == 0
        manifest = json.loads((tmp_path / form / "manifest.json").read_text("utf-8"))
        assert manifest["splits"]["train"]["rows"] == 2
        assert manifest["splits"]["train"]["left_out"] == {"no_audio": 1}
        assert "1 row of train without audio" in (tmp_path / form / "README.md").read_text("utf-8")
    assert "1 row left in gold (no_audio)" in capfd.readouterr().out
    silent = {"train": [row(1), row(2, audio=None)], "test": [row(9, audio=None)]}
    publish_gold(lake, silent, AIEngine.DIALECT, key="gold 2")
    assert export("dialect", "shar", "none", "--split", "test") == 2
    assert "No row of test has audio" in capfd.readouterr().err and not (tmp_path / "none").exists()


@pytest.mark.parametrize("engine", ["tts", "translation", "nlu", "sentiment"])
def test_an_engine_of_text_has_no_recordings_to_make_manifests_of(export, lake, tmp_path, capfd, engine):
    publish_gold(lake, {"train": [text_row(1)], "domain": [text_row(2)]}, AIEngine(engine))
    for form in ("nemo", "shar"):
        assert export(engine, form, "out") == 2
        error = capfd.readouterr().err
        assert "holds no audio" in error and "--format webdataset" in error and "load_dataset" in error
    assert export(engine, "webdataset", "out") == 0
    assert (tmp_path / "out" / "domain" / "000000.tar").is_file()


def test_what_is_unknown_or_not_there_is_said(export, lake, tmp_path, capfd):
    for engine, form in (("speech", "shar"), ("stt", "csv")):
        with pytest.raises(SystemExit) as ended:
            export(engine, form, "out")
        assert ended.value.code == 2 and "invalid choice" in capfd.readouterr().err
    assert export("stt", "shar", "out") == 2
    assert "no gold of stt" in capfd.readouterr().err
    publish_gold(lake, splits())
    for size in ("much", "0"):
        assert export("stt", "shar", "out", "--shard-size", size) == 2
        assert f"--shard-size {size}" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_second_export_of_the_same_has_nothing_to_do(export, gold, tmp_path, capfd):
    assert export("stt", "shar", "out") == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    capfd.readouterr()
    assert export("stt", "shar", "out") == 0
    assert "nothing to do" in capfd.readouterr().out
    assert export("stt", "shar", "out", "--json") == 0
    assert json.loads(capfd.readouterr().out)["outcome"] == "nothing to do"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_another_export_foreign_files_and_a_damaged_export_are_left_alone(export, lake, gold, tmp_path, capfd):
    assert export("stt", "shar", "out") == 0
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    cases = [
        (("nemo", "out"), "holds another export: stt as shar"),
        (("shar", "out", "--split", "test"), "holds another export"),
        (("shar", "out", "--shard-size", "8kB"), "holds another export"),
        (("shar", "foreign"), "is not empty"),
        (("shar", "file"), "is a file"),
        (("shar", lake.folder(Layer.GOLD, "stt") / "export"), "lies in the lake"),
        (("shar", lake.folder(Layer.MODELS, "mine")), "lies in the lake"),
    ]
    for (form, to, *flags), said in cases:
        assert export("stt", form, to, *flags) == 2
        error = capfd.readouterr().err
        assert said in error and "--to DIR" in error, error
    assert tree(tmp_path) == before
    (tmp_path / "out" / "test" / "recording.000000.tar").unlink()
    assert export("stt", "shar", "out") == 2
    assert "not all as they were written" in capfd.readouterr().err
    publish_gold(lake, splits(train=5), key="gold 2")
    assert export("stt", "shar", "empty") == 0 and export("stt", "nemo", "empty") == 2


def test_an_empty_folder_may_be_the_target(export, gold, tmp_path):
    (tmp_path / "out").mkdir()
    assert export("stt", "shar", "out") == 0 and (tmp_path / "out" / "manifest.json").is_file()


def test_a_dry_run_writes_nothing(export, gold, tmp_path, capfd):
    assert export("stt", "nemo", "out", "--dry-run") == 0
    assert "would run: stt as NeMo manifests" in capfd.readouterr().out and not (tmp_path / "out").exists()
    assert export("stt", "nemo", "out") == 0
    capfd.readouterr()
    assert export("stt", "nemo", "out", "--dry-run", "--json") == 0
    assert json.loads(capfd.readouterr().out)["would"] == "skip"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "a/b", "a.b", "", "x" * 101, "തല"])
def test_a_hostile_row_id_leads_nowhere(export, lake, tmp_path, capfd, form, name):
    publish_gold(lake, {"train": [row(1), row(2, row_id=name)]})
    before = tree(tmp_path)
    assert export("stt", form, "out") == 2
    assert "can't name a file of an export" in capfd.readouterr().err
    assert tree(tmp_path) == before and not (tmp_path / "out").exists()


def test_a_row_that_is_no_recording_or_no_json_ends_the_export_with_its_id(export, lake, tmp_path, capfd):
    for number, changes in enumerate(
        ({"audio": {"bytes": b"RIFF no", "path": "a"}}, {"sampling_weight": float("nan")})
    ):
        publish_gold(lake, {"train": [row(1), row(2, **changes)]}, key=str(number))
        assert export("stt", "nemo", "out") == 2
        assert row(2)["row_id"] in capfd.readouterr().err and not (tmp_path / "out").exists()


def test_gold_whose_bytes_changed_is_not_exported(export, lake, gold, tmp_path, capfd):
    part = lake.files(Layer.GOLD, "stt", "test")[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    assert export("stt", "shar", "out") == 2
    assert "other bytes than were published" in capfd.readouterr().err and not (tmp_path / "out").exists()


def test_gold_that_is_made_anew_meanwhile_ends_the_export(export, lake, gold, tmp_path, capfd, monkeypatch):
    from data_foundry.export import export as module

    def replaced(lake, engine, split):
        if split == "test_phone":
            publish_gold(lake, gold, key="gold 2")
        return iter(())

    read = module.read_split
    monkeypatch.setattr(
        module, "read_split", lambda *given: replaced(*given) if given[2] == "test_phone" else read(*given)
    )
    assert export("stt", "shar", "out") == 2
    assert "changed while it was exported" in capfd.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name != "base"]


# Where a process is killed: at the n-th write to any file, or when all is written but not yet in its place.
KILLED = """
import os, signal, sys
from data_foundry.export import folder
place, left = sys.argv[1], [int(sys.argv[2])]
def dying(call):
    def counted(*given, **more):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **more)
    return counted
if place == "write":
    folder.HashedFile.write = dying(folder.HashedFile.write)
else:
    holder, name = (folder.Path, place[5:]) if place.startswith("Path.") else (folder, place)
    setattr(holder, name, dying(getattr(holder, name)))
from data_foundry.__main__ import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("place", "number"), [("write", 2), ("write", 40), ("fsync", 3)])
def test_a_killed_export_leaves_nothing_that_looks_finished_and_runs_again(export, gold, tmp_path, form, place, number):
    command = _command(tmp_path, form, "out")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    killed = subprocess.run([sys.executable, "-c", KILLED, place, str(number), *command], env=environment, check=False)
    assert killed.returncode == -9 and not (tmp_path / "out").exists()
    assert export("stt", form, "out", "--shard-size", "8kB") == 0
    assert export("stt", form, "undisturbed", "--shard-size", "8kB") == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "out", "undisturbed"]


@pytest.mark.parametrize(("place", "finished"), [("Path.rename", False), ("Path.unlink", True)])
def test_an_export_killed_as_it_takes_its_place_is_there_or_made_again(export, gold, tmp_path, place, finished):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", KILLED, place, "1", *_command(tmp_path, "shar", "out")]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    assert (tmp_path / "out").exists() is finished
    assert export("stt", "shar", "out", "--shard-size", "8kB") == 0
    assert export("stt", "shar", "undisturbed", "--shard-size", "8kB") == 0
    made = tree(tmp_path / "out")
    assert made.pop(".exporting", b"") == b"" and made == tree(tmp_path / "undisturbed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "out", "undisturbed"]


def test_two_exports_to_one_folder_do_not_mix(export, gold, tmp_path, capfd):
    import fcntl

    staging = tmp_path / ".out.exporting"
    staging.mkdir()
    with (staging / ".exporting").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert export("stt", "shar", "out") == 2
    assert "Another export writes to" in capfd.readouterr().err
    assert export("stt", "shar", "out") == 0


def test_what_only_looks_like_the_remains_of_an_export_is_left_alone(export, gold, tmp_path, capfd):
    (tmp_path / ".out.exporting").mkdir()
    (tmp_path / ".out.exporting" / "thesis.txt").write_text("mine")
    assert export("stt", "shar", "out") == 2
    assert "in the way" in capfd.readouterr().err and (tmp_path / ".out.exporting" / "thesis.txt").is_file()
    (tmp_path / "mine").mkdir()
    (tmp_path / ".two.exporting").symlink_to(tmp_path / "mine")
    assert export("stt", "shar", "two") == 2 and (tmp_path / "mine").is_dir()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("free_kib", [4, 40, 100])
def test_a_full_disk_is_said_and_leaves_nothing_and_with_room_the_export_is_made(
    export, lake, tmp_path, capfd, disk, form, free_kib
):
    publish_gold(lake, splits(train=60))
    place = disk(2048)
    (place / "filler").write_bytes(b"x" * (2048 - 4 - free_kib) * KIB)
    assert export("stt", form, place / "out") == 1
    error = capfd.readouterr().err
    assert "No space left on device" in error and str(place) in error
    assert "Free space" in error and "--to DIR" in error and "Traceback" not in error
    assert [path.name for path in place.iterdir()] == ["filler"]
    (place / "filler").unlink()
    assert export("stt", form, place / "out") == 0
    assert export("stt", form, "roomy") == 0
    assert tree(place / "out") == tree(tmp_path / "roomy")


def test_a_mounted_disk_is_no_target_but_a_folder_in_it_is(export, gold, capfd, disk):
    place = disk(2048)
    assert export("stt", "shar", place) == 2
    assert "Name a folder in it" in capfd.readouterr().err


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_holds_a_few_rows_in_memory_however_many_there_are(export, lake, form):
    rows = [row(number, audio={"bytes": wav(number, 125_000), "path": "a"}) for number in range(160)]
    publish_gold(lake, {"train": rows}, rows_a_part=160)
    tracemalloc.start()
    try:
        assert export("stt", form, "out") == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6 < sum(len(each["audio"]["bytes"]) for each in rows)
