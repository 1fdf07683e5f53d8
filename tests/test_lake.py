import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.lake import LEASE_SECONDS, Lake, Layer, sha256_file

NAME = "owner/name"


def publish(lake: Lake, files: dict[str, bytes], key: str = "k1", layer: Layer = Layer.SILVER, **more):
    with lake.commit(layer, NAME, key) as commit:
        for path, content in files.items():
            commit.path(path).write_bytes(content)
        return commit.publish(**more)


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_is_published_is_listed_with_its_hash_and_found_again(lake):
    manifest = publish(lake, {"train/a": b"one", "test/b": b"two"}, rows={"train/a": 2}, rows_in=2, rows_out=2)
    assert lake.manifest(Layer.SILVER, NAME) == manifest
    assert [p.name for p in lake.files(Layer.SILVER, NAME)] == ["b", "a"]
    assert [p.name for p in lake.files(Layer.SILVER, NAME, under="train")] == ["a"]
    assert lake.manifests(Layer.SILVER) == [manifest]
    assert manifest.files[1].rows == 2 and manifest.files[1].bytes == 3


def test_nothing_is_complete_before_its_manifest(lake):
    with lake.commit(Layer.SILVER, NAME, "k") as commit:
        commit.path("train/a").write_bytes(b"half")
        assert lake.manifest(Layer.SILVER, NAME) is None
    assert not any(p.is_file() for p in lake.folder(Layer.SILVER, NAME).rglob("*"))


def test_an_error_in_a_step_leaves_the_previous_state_untouched(lake):
    publish(lake, {"a": b"one"})
    before = tree(lake.base_path)
    with pytest.raises(RuntimeError), lake.commit(Layer.SILVER, NAME, "k2") as commit:
        commit.path("a").write_bytes(b"two")
        raise RuntimeError
    assert tree(lake.base_path) == before


def test_rows_that_are_neither_out_nor_rejected_stop_the_publication(lake):
    with pytest.raises(FoundryError, match="3 rows in, but 1 out and 1 rejected"):
        publish(lake, {"a": b"x"}, rows_in=3, rows_out=1, rejected={"empty_text": 1})
    assert lake.manifest(Layer.SILVER, NAME) is None


def test_files_of_an_earlier_commit_are_swept_and_kept_ones_stay(lake):
    first = publish(lake, {"old": b"1", "same": b"2"})
    with lake.commit(Layer.SILVER, NAME, "k2") as commit:
        commit.keep(next(f for f in first.files if f.path == "same"))
        commit.path("new").write_bytes(b"3")
        commit.publish()
    assert [p.name for p in lake.files(Layer.SILVER, NAME)] == ["new", "same"]
    assert not (lake.folder(Layer.SILVER, NAME) / "old").exists()


def test_equal_content_makes_equal_bytes_whatever_the_order_of_writing(with_settings, tmp_path):
    trees = []
    for index, order in enumerate((("a", "b"), ("b", "a"))):
        lake = Lake(with_settings(base_path=str(tmp_path / str(index))))
        publish(lake, {name: name.encode() for name in order})
        trees.append(tree(lake.base_path))
    assert trees[0] == trees[1]


def test_a_missing_or_shortened_file_is_named(lake):
    publish(lake, {"a": b"one"})
    path = lake.folder(Layer.SILVER, NAME) / "a"
    path.write_bytes(b"on")
    with pytest.raises(FoundryError, match="has 2 bytes, its manifest says 3"):
        lake.files(Layer.SILVER, NAME)
    path.unlink()
    with pytest.raises(FoundryError, match="is missing"):
        lake.files(Layer.SILVER, NAME)


def test_an_unreadable_manifest_is_an_error_and_not_an_empty_lake(lake):
    publish(lake, {"a": b"one"})
    (lake.folder(Layer.SILVER, NAME) / "manifest.json").write_text("{")
    with pytest.raises(FoundryError, match=r"manifest\.json can't be read"):
        lake.manifest(Layer.SILVER, NAME)


@pytest.mark.parametrize("name", ["", "../x", "/etc", "a/../b", "a//b"])
def test_names_that_leave_the_lake_are_refused(lake, name):
    with pytest.raises(FoundryError, match="can't be a name"):
        lake.folder(Layer.RAW, name)


KILLED = """
import os, signal, sys
from pathlib import Path
from data_foundry.config import load_settings
from data_foundry import lake as module
from data_foundry.lake import Lake, Layer
point, base = sys.argv[1:]
real_replace, real_write, real_fsync = Path.replace, module.write_atomically, module._fsync
def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
def replace(self, target):
    if point == "before_rename" and "manifest" not in str(target): die()
    result = real_replace(self, target)
    if point == "after_rename" and "manifest" not in str(target): die()
    if point == "after_manifest" and str(target).endswith("manifest.json"): die()
    return result
Path.replace = replace
if point == "after_write": module._fsync = die
if point == "before_manifest": module.write_atomically = die
lake = Lake(load_settings(flags={"base_path": base}, environ={}))
with lake.commit(Layer.SILVER, "owner/name", "k2") as commit:
    commit.path("a").write_bytes(b"new a")
    commit.path("b").write_bytes(b"new b")
    commit.publish()
"""


@pytest.mark.parametrize("point", ["after_write", "before_rename", "after_rename", "before_manifest", "after_manifest"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_kill_at_any_point_leaves_a_whole_state_and_the_rerun_ends_as_if_undisturbed(
    with_settings, tmp_path, point, earlier
):
    bases = [tmp_path / "killed", tmp_path / "undisturbed"]
    for base in bases:
        if earlier:
            publish(Lake(with_settings(base_path=str(base))), {"a": b"old a", "c": b"old c"})
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    dead = subprocess.run([sys.executable, "-c", KILLED, point, str(bases[0])], env=environment, check=False)
    assert dead.returncode == -signal.SIGKILL
    killed = Lake(with_settings(base_path=str(bases[0])))
    if killed.manifest(Layer.SILVER, NAME) is not None:
        for file in killed.manifest(Layer.SILVER, NAME).files:
            assert sha256_file(killed.folder(Layer.SILVER, NAME) / file.path) == file.sha256
    for base in bases:
        publish(Lake(with_settings(base_path=str(base))), {"a": b"new a", "b": b"new b"}, key="k2")
    assert tree(bases[0]) == tree(bases[1])


def hold(settings, ready, done):
    with Lake(settings).lock("test"):
        ready.set()
        done.wait(30)


@pytest.mark.parametrize("kind", ["local", "shared"])
def test_a_second_run_is_refused_while_one_works_and_let_in_when_it_is_dead(with_settings, kind):
    settings = with_settings(storage={"type": kind})
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(settings, ready, done))
    process.start()
    try:
        assert ready.wait(30)
        with pytest.raises(FoundryError, match="Another run"), Lake(settings).lock("second"):
            pass
    finally:
        process.kill()
        process.join()
    if kind == "shared":
        lease = settings.base_path / "storage" / ".lease"
        lease = lease if lease.exists() else settings.base_path / "storage" / ".lock.lease"
        stale = time.time() - LEASE_SECONDS - 1
        os.utime(lease, (stale, stale))
    with Lake(settings).lock("third"):
        pass


def test_shared_storage_reads_back_what_it_wrote_and_local_storage_does_not(with_settings, monkeypatch, tmp_path):
    real = Path.replace

    def lose_a_byte(self, target):
        result = real(self, target)
        if str(target).endswith("a"):
            Path(target).write_bytes(b"on")
        return result

    monkeypatch.setattr(Path, "replace", lose_a_byte)
    publish(Lake(with_settings(base_path=str(tmp_path / "local"))), {"a": b"one"})
    shared = Lake(with_settings(base_path=str(tmp_path / "shared"), storage={"type": "shared"}))
    with pytest.raises(FoundryError, match="reads back with other bytes"):
        publish(shared, {"a": b"one"})
    assert shared.manifest(Layer.SILVER, NAME) is None


def test_the_backup_holds_raw_data_and_models_only_when_it_is_enabled(with_settings, tmp_path):
    for enabled in (False, True):
        lake = Lake(with_settings(base_path=str(tmp_path / str(enabled)), storage={"backup_enabled": enabled}))
        for layer in (Layer.RAW, Layer.SILVER, Layer.MODELS):
            publish(lake, {"a": b"one"}, layer=layer)
        copies = sorted(str(p.relative_to(lake.base_path)) for p in lake.base_path.glob("backup/**/a"))
        assert copies == (["backup/models/owner/name/a", "backup/raw/owner/name/a"] if enabled else [])
    assert json.loads((tmp_path / "True/backup/raw/owner/name/manifest.json").read_text())["key"] == "k1"


def test_a_file_that_vanishes_before_publication_stops_it(lake):
    with pytest.raises(FoundryError, match="train/a vanished"), lake.commit(Layer.SILVER, NAME, "k") as commit:
        commit.path("train/a").write_bytes(b"one")
        commit.path("train/a").unlink()
        commit.publish(rows={"train/a": 1}, rows_in=1, rows_out=1)
    assert lake.manifest(Layer.SILVER, NAME) is None


def test_what_a_killed_run_staged_is_swept(lake):
    left = lake.folder(Layer.SILVER, NAME) / ".staging-1-dead" / "train" / "a"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    publish(lake, {"b": b"whole"})
    assert not left.exists() and [f.path for f in lake.manifest(Layer.SILVER, NAME).files] == ["b"]
