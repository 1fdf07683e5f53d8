"""The lake's contract: what is complete, what is listed, what is refused."""

from hashlib import sha256

import pytest

from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer, sha256_file
from data_foundry.lake import commit as commit_module
from tests.lake.builders import NAME, publish, tree


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


def test_shared_storage_reads_back_what_it_wrote_before_it_touches_the_old_state(with_settings, monkeypatch, tmp_path):
    shared = Lake(with_settings(base_path=str(tmp_path / "shared"), storage={"type": "shared"}))
    local = Lake(with_settings(base_path=str(tmp_path / "local")))
    first = [publish(lake, {"a": b"one", "kept": b"k"}) for lake in (local, shared)]
    before = tree(shared.base_path)

    def lose_a_byte(path):
        found = sha256_file(path)
        path.write_bytes(path.read_bytes()[:-1])
        return found

    with monkeypatch.context() as patched:
        patched.setattr(commit_module, "sha256_file", lose_a_byte)
        publish(local, {"a": b"two"}, key="k2")
        with pytest.raises(FoundryError, match=r"reads back with other bytes .* nothing was published"):
            publish(shared, {"a": b"two"}, key="k2")
    assert shared.manifest(Layer.SILVER, NAME) == first[1] and tree(shared.base_path) == before
    # A kept file is read back too.
    (shared.folder(Layer.SILVER, NAME) / "kept").write_bytes(b"x")
    with pytest.raises(FoundryError, match="kept reads back"), shared.commit(Layer.SILVER, NAME, "k2") as commit:
        commit.keep(first[1].files[1])
        commit.publish()
    assert shared.manifest(Layer.SILVER, NAME) == first[1]


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


def test_an_adopted_file_is_published_without_being_hashed_again_and_stays_where_it_was(lake, tmp_path, monkeypatch):
    source = tmp_path / "fetched"
    source.write_bytes(b"one")
    hashed = []
    monkeypatch.setattr(commit_module, "sha256_file", lambda path: hashed.append(path.name) or "0" * 64)
    with lake.commit(Layer.RAW, NAME, "k") as commit:
        commit.adopt(source, "files/a", sha256(b"one").hexdigest())
        commit.path("b").write_bytes(b"two")
        manifest = commit.publish()
    assert hashed == ["b"] and source.exists()
    assert [(file.path, file.sha256, file.bytes) for file in manifest.files][1:] == [
        ("files/a", sha256(b"one").hexdigest(), 3)
    ]


def test_where_links_fail_an_adopted_file_is_copied_and_the_copy_must_have_its_hash(lake, tmp_path, monkeypatch):
    source = tmp_path / "fetched"
    source.write_bytes(b"one")

    def refuse(*paths):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    with lake.commit(Layer.RAW, NAME, "k") as commit:
        commit.adopt(source, "a", sha256(b"one").hexdigest())
        commit.publish()
    assert lake.files(Layer.RAW, NAME)[0].read_bytes() == b"one"
    with pytest.raises(FoundryError, match="its bytes differ"), lake.commit(Layer.RAW, NAME, "k2") as commit:
        commit.adopt(source, "a", sha256(b"two").hexdigest())
    assert lake.manifest(Layer.RAW, NAME).key == "k"


def test_a_kept_file_that_is_gone_stops_the_publication(lake):
    first = publish(lake, {"a": b"one"})
    (lake.folder(Layer.SILVER, NAME) / "a").unlink()
    with pytest.raises(FoundryError, match="a vanished"), lake.commit(Layer.SILVER, NAME, "k2") as commit:
        commit.keep(first.files[0])
        commit.publish()


def test_one_unreadable_manifest_hides_no_other_and_tells_its_fault(lake):
    whole = publish(lake, {"a": b"one"})
    broken = lake.folder(Layer.SILVER, "owner/broken")
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text("{")
    assert lake.manifests(Layer.SILVER) == [whole] and lake.names(Layer.SILVER) == ["owner/broken", NAME]
    assert lake.fault(Layer.SILVER, NAME) is None and lake.readable(Layer.SILVER, "owner/broken") is None
    assert "Delete" in lake.fault(Layer.SILVER, "owner/broken")


def test_a_file_of_the_data_that_is_called_like_a_manifest_is_no_folder_of_the_lake(lake):
    publish(lake, {"files/manifest.json": b'{"layer": "raw", "name": "other/name", "key": "k"}'}, layer=Layer.RAW)
    with lake.commit(Layer.GOLD, "stt", "k") as commit:
        commit.path("train/manifest.json").write_text("{}")
        commit.publish()
    assert lake.names(Layer.RAW) == [NAME] and lake.names(Layer.GOLD) == ["stt"]
    assert [manifest.name for layer in Layer for manifest in lake.manifests(layer)] == [NAME, "stt"]


def test_a_backup_takes_room_twice_only_of_what_is_backed_up_and_on_the_same_disk(with_settings, tmp_path, monkeypatch):
    assert not Lake(with_settings()).backup_shares_disk(Layer.RAW)
    backed = Lake(with_settings(storage={"backup_enabled": True, "backup_path": str(tmp_path / "copies")}))
    assert backed.backup_shares_disk(Layer.RAW) and not backed.backup_shares_disk(Layer.SILVER)
    elsewhere = Lake(with_settings(storage={"backup_enabled": True, "backup_path": "/proc/copies"}))
    assert not elsewhere.backup_shares_disk(Layer.RAW)
