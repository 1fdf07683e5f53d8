"""A folder as a Hub: its revision is git's, planning over it is cheap, and nothing wrong comes out of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from data_foundry.config import load_settings
from data_foundry.errors import FoundryError
from data_foundry.hub import fetch, fetch_all, model_folder, model_revision
from data_foundry.hub.files import HubFile, Snapshot, check_repo_id
from data_foundry.hub.folder import FolderHub
from tests.ingestion.builders import write_hub

FILES = {"README.md": b"# Card\n", "data/train-00000.parquet": bytes(range(256)) * 512, "data/b.csv": b"id\n1\n"}


@pytest.fixture
def folder(tmp_path: Path) -> FolderHub:
    return FolderHub(write_hub(tmp_path / "hub", {"owner/name": FILES}), tmp_path / "index")


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def test_a_folders_revision_is_the_id_that_git_gives_to_its_tree(tmp_path):
    names = ["b", "b.txt", "b/inner.txt", "B.md", "Data/Train/ഒന്ന്.wav", "Dialects - Sheet1.csv", "empty", "run.sh"]
    files = {name: name.encode() * (name != "empty") for name in names if name != "b"}
    source = write_hub(tmp_path / "hub", {"owner/name": files})
    (source / "datasets/owner/name/run.sh").chmod(0o755)
    (source / "datasets/owner/name/without files").mkdir()
    git("init", "-q", cwd=tmp_path)
    git("add", "hub", cwd=tmp_path)
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "sample", cwd=tmp_path)
    folder_hub = FolderHub(source, tmp_path / "index")
    assert folder_hub.known_revision("datasets", "owner/name", None) == git(
        "rev-parse", "HEAD:hub/datasets/owner/name", cwd=tmp_path
    )
    snapshot = folder_hub.snapshot("datasets", "owner/name", None)
    assert {file.path for file in snapshot.files} == set(files)
    for file in snapshot.files:
        assert file.git_blob == git("hash-object", f"hub/datasets/owner/name/{file.path}", cwd=tmp_path)


def test_files_that_tools_leave_in_a_folder_are_no_part_of_its_revision(folder):
    before = folder.known_revision("datasets", "owner/name", None)
    inside = folder.source / "datasets/owner/name"
    for name in (".git/config", ".cache/huggingface/download/README.md.metadata"):
        (inside / name).parent.mkdir(parents=True)
        (inside / name).write_text("x")
    assert folder.known_revision("datasets", "owner/name", None) == before


def test_planning_writes_nothing_and_after_a_run_it_reads_no_file_again(folder, monkeypatch):
    revision = folder.known_revision("datasets", "owner/name", None)
    assert not folder.index.exists()
    assert folder.snapshot("datasets", "owner/name", None).revision == revision
    for name in ("hash_file", "git_blob_id"):
        monkeypatch.setattr(f"data_foundry.hub.folder.{name}", lambda path: pytest.fail(f"read {path}"))
    assert folder.known_revision("datasets", "owner/name", None) == revision


def test_a_finished_dataset_is_resolved_without_reading_a_file(folder, monkeypatch):
    revision = folder.resolve("datasets", "owner/name", None)
    assert revision == folder.known_revision("datasets", "owner/name", None)
    for name in ("hash_file", "git_blob_id"):
        monkeypatch.setattr(f"data_foundry.hub.folder.{name}", lambda path: pytest.fail(f"read {path}"))
    assert folder.resolve("datasets", "owner/name", None) == revision
    assert folder.snapshot("datasets", "owner/name", revision).revision == revision


def test_a_changed_file_of_the_same_size_changes_the_revision_though_it_is_indexed(folder):
    before = folder.snapshot("datasets", "owner/name", None).revision
    (folder.source / "datasets/owner/name/data/b.csv").write_bytes(b"id\n2\n")
    assert folder.known_revision("datasets", "owner/name", None) not in (None, before)


def test_a_plan_leaves_the_hashing_of_a_large_new_folder_to_the_run(folder, monkeypatch):
    monkeypatch.setattr("data_foundry.hub.folder.PLANNED_BYTES", 1000)
    assert folder.known_revision("datasets", "owner/name", None) is None
    revision = folder.snapshot("datasets", "owner/name", None).revision
    assert folder.known_revision("datasets", "owner/name", None) == revision


def test_a_dataset_that_a_folder_lacks_is_named_with_what_it_has(folder):
    with pytest.raises(FoundryError, match="owner/other is missing from the folder Hub") as raised:
        folder.known_revision("datasets", "owner/other", None)
    assert "It has: owner/name." in raised.value.hint


def test_a_large_file_pointer_in_a_folder_is_refused(folder):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
    (folder.source / "datasets/owner/name/data/b.csv").write_bytes(pointer)
    with pytest.raises(FoundryError, match="is a Git LFS pointer"):
        folder.snapshot("datasets", "owner/name", None)


def test_a_folder_whose_file_changes_while_it_is_read_gives_nothing(folder, tmp_path):
    snapshot = folder.snapshot("datasets", "owner/name", None)
    file = next(file for file in snapshot.files if file.path == "data/b.csv")
    (folder.source / "datasets/owner/name/data/b.csv").write_bytes(b"id\n7\n")
    with pytest.raises(FoundryError, match="it changed while it was read"):
        fetch(folder, snapshot, file, tmp_path / "out")
    assert not (tmp_path / "out/data/b.csv").exists()


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "a\\b", "", ".", "a//b", "a/./b", "a/", "x\0y", "a\x1b[2Jb", "a\nb"]
)
def test_a_path_that_would_leave_its_folder_or_hide_is_refused(folder, tmp_path, path):
    snapshot = Snapshot("datasets", "owner/name", "0" * 40, "folder", ())
    file = HubFile(path, 1, sha256="0" * 64)
    for bring in (
        lambda: fetch(folder, snapshot, file, tmp_path),
        lambda: fetch_all(folder, snapshot, [file], tmp_path, 1),
    ):
        with pytest.raises(FoundryError, match="would leave its folder"):
            bring()


@pytest.mark.parametrize("repo_id", ["name", "a/b/c", "../x", "a/..", "", "a b/c"])
def test_what_is_no_repository_id_is_refused(repo_id):
    with pytest.raises(FoundryError, match="can't be a repository id"):
        check_repo_id(repo_id)


def test_a_file_without_a_hash_in_the_commit_is_never_taken_for_good(tmp_path):
    (tmp_path / "x").write_bytes(b"12")
    assert HubFile("x", 2).fault(tmp_path / "x") == "has no hash in the commit to be checked against"


def test_a_model_of_a_folder_hub_is_the_folder_itself(tmp_path):
    source = write_hub(tmp_path / "hub", {"owner/base": FILES}, kind="models")
    settings = load_settings(flags={"base_path": str(tmp_path), "hub": {"source": str(source)}}, environ={})
    assert model_folder(settings, "owner/base") == source / "models/owner/base"
    assert model_revision(settings, "owner/base") == model_revision(settings, "owner/base", resolve=True)
    shutil.rmtree(source / "models/owner/base")
    with pytest.raises(FoundryError, match="owner/base is missing"):
        model_folder(settings, "owner/base")


def test_a_link_to_nowhere_or_to_a_folder_is_refused_and_never_left_out(folder, tmp_path):
    for target in (tmp_path / "nowhere", tmp_path):
        link = folder.source / "datasets/owner/name/linked"
        link.symlink_to(target)
        for ask in (folder.known_revision, folder.snapshot):
            with pytest.raises(FoundryError, match=r"owner/name: .*linked can't be read"):
                ask("datasets", "owner/name", None)
        link.unlink()


def test_a_file_that_can_not_be_read_is_refused_by_name(folder, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("data_foundry.hub.folder.git_blob_id", denied)
    with pytest.raises(FoundryError, match=r"owner/name: .*README\.md can't be read"):
        folder.known_revision("datasets", "owner/name", None)
