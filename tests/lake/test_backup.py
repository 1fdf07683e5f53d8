"""Backups: what is copied, what is made up for, and what of an earlier one goes."""

import fcntl
import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from tests.lake.builders import NAME, publish, tree


@pytest.fixture
def backed_up(with_settings):
    return Lake(with_settings(storage={"backup_enabled": True}))


def test_the_backup_holds_raw_data_and_models_only_when_it_is_enabled(with_settings, tmp_path):
    for enabled in (False, True):
        lake = Lake(with_settings(base_path=str(tmp_path / str(enabled)), storage={"backup_enabled": enabled}))
        for layer in (Layer.RAW, Layer.SILVER, Layer.MODELS):
            publish(lake, {"a": b"one"}, layer=layer)
            assert lake.backup_fault(layer, NAME) is None
        copies = sorted(str(p.relative_to(lake.base_path)) for p in lake.base_path.glob("backup/**/a"))
        assert copies == (["backup/models/owner/name/a", "backup/raw/owner/name/a"] if enabled else [])
    assert json.loads((tmp_path / "True/backup/raw/owner/name/manifest.json").read_text())["key"] == "k1"


def test_a_backup_follows_its_folder_and_keeps_nothing_of_an_earlier_one(backed_up):
    publish(backed_up, {"a": b"one", "gone": b"two"}, layer=Layer.RAW)
    publish(backed_up, {"a": b"ONE", "b": b"three"}, key="k2", layer=Layer.RAW)
    copy = backed_up.base_path / "backup" / "raw" / NAME
    assert tree(copy) == tree(backed_up.folder(Layer.RAW, NAME)) and not (copy / "gone").exists()


@pytest.mark.parametrize("layer", [Layer.RAW, Layer.MODELS])
def test_a_backup_that_is_lost_or_damaged_is_made_whole_without_a_new_commit(backed_up, layer):
    publish(backed_up, {"a": b"one", "b": b"two"}, layer=layer)
    copy = backed_up.base_path / "backup" / layer.value / NAME
    whole, published = tree(copy), tree(backed_up.folder(layer, NAME))
    (copy / "a").write_bytes(b"ONE")
    (copy / "manifest.json").unlink()
    assert "is not complete" in backed_up.backup_fault(layer, NAME)
    backed_up.back_up(layer, NAME)
    assert backed_up.backup_fault(layer, NAME) is None
    assert tree(copy) == whole and tree(backed_up.folder(layer, NAME)) == published


def test_a_relative_backup_path_lies_below_the_project_and_not_where_the_command_was_typed(with_settings, monkeypatch):
    from data_foundry.config import PROJECT_ROOT

    monkeypatch.chdir("/")
    assert with_settings(storage={"backup_path": "elsewhere"}).storage.backup_path == PROJECT_ROOT / "elsewhere"


def test_a_database_is_copied_as_of_one_moment_while_it_is_in_use(backed_up):
    path = backed_up.base_path / "models" / "registry.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as user:
        user.execute("PRAGMA journal_mode = WAL")
        user.execute("CREATE TABLE t (x)")
        user.execute("INSERT INTO t VALUES (1)")
        user.commit()
        user.execute("INSERT INTO t VALUES (2)")  # Not committed: no part of any moment.
        backed_up.back_up_database(path)
    folder = backed_up.base_path / "backup" / "models"
    assert [each.name for each in folder.iterdir()] == ["registry.sqlite"]
    with closing(sqlite3.connect(folder / "registry.sqlite")) as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_a_damaged_database_does_not_replace_its_last_copy(backed_up):
    path = backed_up.base_path / "models" / "registry.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as user:
        user.execute("CREATE TABLE t (x)")
    backed_up.back_up_database(path)
    copy = backed_up.base_path / "backup" / "models" / "registry.sqlite"
    before = copy.read_bytes()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(FoundryError, match="can't be copied"):
        backed_up.back_up_database(path)
    assert copy.read_bytes() == before and [each.name for each in copy.parent.iterdir()] == [copy.name]


def test_no_database_is_copied_where_no_backup_is_asked_for(lake):
    lake.back_up_database(lake.base_path / "models" / "registry.sqlite")
    assert not (lake.base_path / "backup").exists()


def test_copies_that_are_made_at_the_same_time_leave_a_whole_one_that_is_no_older_than_any(backed_up):
    path = backed_up.base_path / "models" / "registry.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as user:
        user.execute("CREATE TABLE t (x)")

    def move_on(number):
        with closing(sqlite3.connect(path, timeout=20)) as user:
            user.execute("INSERT INTO t VALUES (?)", (number,))
            user.commit()
        backed_up.back_up_database(path)

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(move_on, range(60))] == [None] * 60
    with closing(sqlite3.connect(backed_up.base_path / "backup" / "models" / "registry.sqlite")) as copy:
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (60,)


def test_who_holds_the_folder_of_the_copies_holds_up_nobody_for_ever(backed_up, monkeypatch):
    path = backed_up.base_path / "models" / "registry.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as user:
        user.execute("CREATE TABLE t (x)")
    backed_up.back_up_database(path)
    monkeypatch.setattr("data_foundry.lake.backup.LOCK_SECONDS", 0.1)
    held = os.open(backed_up.base_path / "backup" / "models", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    with pytest.raises(FoundryError, match="Another program holds"):
        backed_up.back_up_database(path)
    os.close(held)
    backed_up.back_up_database(path)
